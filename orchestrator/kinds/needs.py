"""What this machine must have for a node kind to run under netns, and where it comes from: Debian or PyPI."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict, model_validator

_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.]*")


class Need(BaseModel):
    """A command or a file and the Debian package that brings it; or a wheel of PyPI."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    command: str | None = None
    file: str | None = None
    package: str | None = None
    wheel: str | None = None
    """`name==version`, with compiled code or a whole program in it. Under netns any version of it will do that is
    installed where simctl is; images and the virtual machine have this one."""

    @model_validator(mode="after")
    def _one(self) -> Need:
        if (self.command, self.file, self.wheel).count(None) != 2:
            raise ValueError("a need is either a `command`, a `file` or a `wheel`")
        if (self.package is None) == (self.wheel is None):
            raise ValueError("a `command` or a `file` has the Debian `package` that brings it; a `wheel` has none")
        if self.wheel is not None and not _WHEEL.fullmatch(self.wheel):
            raise ValueError(f"a `wheel` is name==version, not {self.wheel!r}")
        return self

    @property
    def source(self) -> str:
        """The name of the Debian package, or `name==version` of the wheel."""
        return self.package or self.wheel or ""

    @property
    def met(self) -> bool:
        if self.command is not None:
            return shutil.which(self.command, path=_path()) is not None
        if self.file is not None:
            return Path(self.file).exists()
        return self.installed is not None

    @property
    def installed(self) -> str | None:
        """The version of the wheel that is installed where simctl is."""
        try:
            return metadata.version((self.wheel or "").partition("==")[0]) if self.wheel else None
        except metadata.PackageNotFoundError:
            return None

    def __str__(self) -> str:
        return self.command or self.file or self.wheel or ""


def how_to_get(needs: Iterable[Need]) -> str:
    """The commands that bring them, for a hint."""
    needs = list(needs)
    packages = sorted({need.package for need in needs if need.package})
    wheels = sorted({need.wheel for need in needs if need.wheel})
    commands = [f"sudo apt-get install {' '.join(packages)}"] if packages else []
    if wheels:
        commands.append(f"pip install {' '.join(wheels)} where simctl is installed")
    return " and ".join(commands)


def _path() -> str:
    """Servers are installed where the PATH of an ordinary user does not look."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
