"""What a web server hands to an application over FastCGI, by the names of CGI (RFC 3875)."""

from __future__ import annotations

SCRIPT = "/tmp/php-fpm.running/app.php"
"""Where a node of the kind php-fpm has its script, which answers whatever path is asked for: native.py gives the folder
of the running program that name."""
