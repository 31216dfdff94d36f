// A server on Node's http, unmodified. Its settings, from run.py, are options of http.createServer and server.listen.
'use strict';

const http = require('node:http');

const MAX_BYTES = 2 ** 28;
const MAX_ECHO = 2 ** 20;
const MAX_DELAY = 3_600_000;
const settings = JSON.parse(process.argv[2]);

/** `last`: what stands after the last slash. */
const ROUTES = [
  [/^\/$/, (response) => text(response, 200, 'simctl node\n')],
  [/^\/bytes\/\d+$/, (response, n) => numbered(response, n, 0, MAX_BYTES, () => {
    response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': n });
    response.end(Buffer.alloc(n, 'x'));
  })],
  [/^\/delay\/\d+$/, (response, ms) => numbered(response, ms, 0, MAX_DELAY, () => {
    setTimeout(() => text(response, 200, 'waited\n'), ms);
  })],
  [/^\/status\/\d+$/, (response, code) => numbered(response, code, 200, 599, () => {
    response.writeHead(code);
    response.end();
  })],
];

function respond(request, response) {
  const path = request.url.split('?')[0];
  if (path === '/echo') {
    echo(request, response);
    return;
  }
  const found = ROUTES.find(([pattern]) => pattern.test(path));
  if (found) found[1](response, Number(path.slice(path.lastIndexOf('/') + 1)));
  else text(response, 404, `there is no ${path} here\n`);
}

function numbered(response, n, low, high, then) {
  if (n >= low && n <= high) then();
  else text(response, 400, `expected a number from ${low} to ${high}, not ${n}\n`);
}

function echo(request, response) {
  const chunks = [];
  let size = 0;
  request.on('data', (chunk) => {
    size += chunk.length;
    if (size < MAX_ECHO) chunks.push(chunk);
  });
  request.on('end', () => {
    if (size >= MAX_ECHO) {
      text(response, 413, `/echo returns less than ${MAX_ECHO} bytes\n`);
      return;
    }
    response.writeHead(200, {
      'Content-Type': request.headers['content-type'] ?? 'application/octet-stream',
      'Content-Length': size,
    });
    response.end(Buffer.concat(chunks));
  });
}

function text(response, status, line) {
  response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': Buffer.byteLength(line) });
  response.end(line);
}

const server = http.createServer(settings.server, respond);
server.maxRequestsPerSocket = settings.maxRequestsPerSocket;
Object.assign(server, settings.properties);
server.on('error', (error) => {
  console.error(`node: ${error.message}`);
  process.exit(1);
});
server.listen(settings.listen);

// As programs on Node end when they are told to: no new connections, idle ones are closed, those with a request once it has
// its response. What is left when the grace is over ends with the program.
if (settings.graceful) {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      server.close(() => process.exit(0));
      server.closeIdleConnections?.(); // server.close() does it itself since Node 19
      if (settings.grace) setTimeout(() => process.exit(1), settings.grace);
    });
  }
}
