"""Becomes PHP-FPM, with a configuration made from the knobs and the script in app.php."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import fastcgi
import native
from knobs import Knobs


def command(knobs: Knobs, folder: Path) -> list[str]:
    configuration = folder / "php-fpm.conf"
    configuration.write_text(_configuration(knobs, folder))
    script = Path(fastcgi.SCRIPT).name
    shutil.copyfile(Path(__file__).resolve().with_name(script), folder / script)
    flags = ["--nodaemonize", "--force-stderr", "--fpm-config", str(configuration), "-n"]  # -n: no php.ini
    return ["php-fpm8.2", *flags, *(["--allow-to-run-as-root"] if os.geteuid() == 0 else [])]


def _configuration(knobs: Knobs, folder: Path) -> str:
    lines = [
        "[global]",
        f"pid = {folder}/php-fpm.pid",
        "error_log = /dev/stderr",
        f"process_control_timeout = {knobs.whole_seconds('GRACEFUL_TIMEOUT', 0, at_least=0)}s",
        "[www]",
        *(["user = root", "group = root"] if os.geteuid() == 0 else []),
        f"listen = 0.0.0.0:{knobs.port('PORT', 9000)}",
        f"listen.backlog = {knobs.number('BACKLOG', 511, at_least=1)}",
        "pm = static",
        f"pm.max_children = {knobs.number('WORKERS', 5, at_least=1)}",
        f"pm.max_requests = {knobs.number('MAX_REQUESTS', 0)}",
        f"request_terminate_timeout = {knobs.whole_seconds('REQUEST_TIMEOUT', 0, at_least=0)}s",
        "access.log = /dev/stderr",
        r'access.format = "%t \"%m %{REQUEST_URI}e\" %s pid=%p duration=%{milliseconds}d"',
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    native.main("php-fpm", command, package="php8.2-fpm")
