"""The knobs of the reference server: environment variables, and Winstone's flags, which win over them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_FLAGS = ("--httpPort", "--httpKeepAliveTimeout")


class SettingError(ValueError):
    """A knob or flag has a value that it cannot have."""


@dataclass(frozen=True)
class Settings:
    """All that can be set; node.yaml has the meanings. `keepalive_timeout` in seconds."""

    port: int = 8080
    keepalive_timeout: float = 5.0
    keepalive_requests: int = 0
    advertise: bool = False
    leak: bool = False
    backlog: int = 1024
    tcp_keepalive: bool = False


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Raises SettingError, which names the knob or flag."""
    flags = _read_flags(arguments)
    knobs = {name: value.strip() for name, value in environment.items() if value.strip()}
    timeout = _duration("KEEPALIVE_TIMEOUT", knobs.get("KEEPALIVE_TIMEOUT", "5s"))
    if (milliseconds := flags.get("--httpKeepAliveTimeout")) is not None:
        timeout = _number("--httpKeepAliveTimeout", milliseconds) / 1000
    if timeout <= 0:
        raise SettingError("the keep-alive timeout must be more than 0; KEEPALIVE_REQUESTS=1 turns keep-alive off")
    port = flags.get("--httpPort", knobs.get("HTTP_PORT", "8080"))
    return Settings(
        port=_number("--httpPort" if "--httpPort" in flags else "HTTP_PORT", port, at_most=65535),
        keepalive_timeout=timeout,
        keepalive_requests=_number("KEEPALIVE_REQUESTS", knobs.get("KEEPALIVE_REQUESTS", "0")),
        advertise=_truth("ADVERTISE", knobs.get("ADVERTISE", "false")),
        leak=_truth("LEAK", knobs.get("LEAK", "false")),
        backlog=_number("BACKLOG", knobs.get("BACKLOG", "1024"), at_most=65535),
        tcp_keepalive=_truth("TCP_KEEPALIVE", knobs.get("TCP_KEEPALIVE", "false")),
    )


def _read_flags(arguments: Sequence[str]) -> dict[str, str]:
    """`--flag=value` and `--flag value`; the last one counts."""
    flags: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in _FLAGS:
            raise SettingError(f"unknown argument {word!r}; there are: {', '.join(_FLAGS)}")
        given = value if equals else next(words, None)
        if given is None:
            raise SettingError(f"{name} needs a value")
        flags[name] = given
    return flags


def _number(name: str, text: str, at_most: int = 2**31 - 1) -> int:
    if not re.fullmatch(r"[0-9]+", text) or int(text) > at_most:
        raise SettingError(f"{name}: expected a whole number from 0 to {at_most}, not {text!r}")
    return int(text)


def _duration(name: str, text: str) -> float:
    if not re.fullmatch(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+|0", text):
        raise SettingError(f"{name}: expected a duration such as 5s, 500ms or 1m30s, not {text!r}")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h)", text))


def _truth(name: str, text: str) -> bool:
    if text.lower() not in _WORDS:
        raise SettingError(f"{name}: expected true or false, not {text!r}")
    return _WORDS[text.lower()]
