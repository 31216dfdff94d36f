"""What a web server hands to an application over FastCGI, by the names of CGI (RFC 3875)."""

from __future__ import annotations

SCRIPT = "/tmp/php-fpm.running/app.php"
"""Where a node of the kind php-fpm has its script, which answers whatever path is asked for: native.py gives the folder
of the running program that name."""

PARAMETERS = {
    "SCRIPT_FILENAME": SCRIPT,
    "SCRIPT_NAME": "$document_uri",
    "REQUEST_URI": "$request_uri",
    "REQUEST_METHOD": "$request_method",
    "QUERY_STRING": "$query_string",
    "CONTENT_TYPE": "$content_type",
    "CONTENT_LENGTH": "$content_length",
    "SERVER_PROTOCOL": "$server_protocol",
    "REMOTE_ADDR": "$remote_addr",
}
"""As Debian's fastcgi.conf has them for nginx, but for the script."""
