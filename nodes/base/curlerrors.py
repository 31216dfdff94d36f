"""The errors of curl and libcurl by the names that all clients use."""

from __future__ import annotations

import errno
import os

from causes import errno_name

_NAMES = {
    1: "BadStatusLine",  # "Received HTTP/0.9 when not allowed": the protocol of a response without a status line
    6: "NameResolutionError",
    8: "BadStatusLine",
    18: "IncompleteRead",
    52: "RemoteDisconnected",
}
_TIMED_OUT = 28
_REASONS = {os.strerror(number): number for number in errno.errorcode}


def error_name(code: int, message: str, reason: str | None) -> str:
    """Of a CURLcode with libcurl's message. `reason`: the operating system's words for it, as in `Broken pipe`."""
    if code == _TIMED_OUT and reason is None:
        return "ReadTimeout" if message.startswith("Operation timed out") else "ConnectTimeout"
    if code in _NAMES:
        return _NAMES[code]
    return system_name(reason) or f"CURLcode{code}"


def system_name(reason: str | None) -> str | None:
    """The name of the operating system's error whose words these are."""
    number = _REASONS.get(reason or "")
    return None if number is None else errno_name(number)


def reason_in(text: str) -> str | None:
    """The operating system's words at the end of a line of libcurl's: `Recv failure: Connection reset by peer`."""
    words = text.rpartition(": ")[2].strip()
    return words if words in _REASONS else None


def died_name(reason: str | None) -> str:
    """Of an exchange without a response on a connection from the cache; without a reason the server had closed it."""
    return system_name(reason) or "RemoteDisconnected"
