<?php
// Answers /, /echo, /bytes/N, /delay/MS and /status/CODE. What web server is before it says which path was asked for.
declare(strict_types=1);

function answer(int $status, string $body, string $type = 'text/plain'): never
{
    http_response_code($status);
    header("Content-Type: $type");
    header('Content-Length: ' . strlen($body));
    echo $body;
    exit;
}

function numbered(string $name, int $number): never
{
    $limits = ['bytes' => [0, 1 << 28], 'delay' => [0, 3600000], 'status' => [200, 599]];
    [$low, $high] = $limits[$name];
    if ($number < $low || $number > $high) {
        answer(400, "/$name/ takes a number from $low to $high\n");
    }
    if ($name === 'bytes') {
        answer(200, str_repeat('x', $number), 'application/octet-stream');
    }
    if ($name === 'status') {
        answer($number, "$number\n");
    }
    usleep($number * 1000);
    answer(200, "after $number ms\n");
}

ini_set('memory_limit', '-1');
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/') {
    answer(200, "hello\n");
}
if ($path === '/echo') {
    answer(200, file_get_contents('php://input'), 'application/octet-stream');
}
if (is_string($path) && preg_match('~^/(bytes|delay|status)/(\d{1,11})$~D', $path, $found)) {
    numbered($found[1], (int) $found[2]);
}
answer(404, "nothing is here; there are /, /echo, /bytes/N, /delay/MS and /status/CODE\n");
