"""A few facts and files as one run of bytes: what goes into the guest, and what comes out.

    8 bytes    length of the head, little endian
    head       JSON: {"facts": {...}, "files": [{"path", "size", "mode"} or {"path", "link"}]}
    contents   of the files, one after the other

Not tar: reading and writing it must cost the guest next to nothing, and what comes out of a guest is checked here, in
a few lines, before it touches a disk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

_LENGTH = 8
_CHUNK = 1 << 20
MAX_HEAD = 16 << 20

Facts = dict[str, Any]


class BundleError(ValueError):
    """Not a bundle, or one that names files outside of its folder."""


def pack(facts: Facts, sources: Iterable[tuple[str, Path]] = ()) -> Iterator[bytes]:
    """The bundle in pieces. `sources` are relative names and files; symbolic links stay links. Raises OSError."""
    files: list[Facts] = []
    contents: list[tuple[Path, int]] = []
    for name, path in sources:
        if path.is_symlink():
            files.append({"path": name, "link": str(path.readlink())})
        else:
            info = path.stat()
            files.append({"path": name, "size": info.st_size, "mode": info.st_mode & 0o777})
            contents.append((path, info.st_size))
    head = json.dumps({"facts": facts, "files": files}, separators=(",", ":")).encode()
    yield len(head).to_bytes(_LENGTH, "little") + head
    for path, size in contents:
        yield from _content(path, size)


def _content(path: Path, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes, whatever happens to the file meanwhile: a log may still grow."""
    left = size
    with path.open("rb") as file:
        while left and (piece := file.read(min(left, _CHUNK))):
            left -= len(piece)
            yield piece
    if left:
        yield bytes(left)


def tree(folder: Path) -> Iterator[tuple[str, Path]]:
    """All files and links below a folder, for `pack`, sorted by name."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or path.is_file():
            yield path.relative_to(folder).as_posix(), path


def unpack(read: Callable[[int], bytes], folder: Path) -> Facts:
    """Write the files below `folder`; returns the facts. `read(n)` gives the next n bytes.

    Raises BundleError before anything is written when the head is not one, or a name or link would lead outside, or a
    name leads through a link: where that leads is decided by where it lies, not by its words.
    """
    length = int.from_bytes(read(_LENGTH), "little")
    if not 0 < length <= MAX_HEAD:
        raise BundleError("it has no head")
    try:
        head = json.loads(read(length))
        facts: Facts = head["facts"]
        files = [(_checked(file["path"]), file) for file in head["files"]]
        links = {path for path, file in files if "link" in file}
        for path, file in files:
            if inside := links.intersection(path.parents):
                raise BundleError(f"it names {str(path)!r}, which is behind the link {str(inside.pop())!r}")
            if "link" in file:
                _checked(os.path.normpath(path.parent / file["link"]) if not file["link"].startswith("/") else "/")
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(str(error)) from None
    for path, file in files:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if "link" in file:
            target.symlink_to(file["link"])
        else:
            _write(target, read, int(file["size"]), int(file["mode"]))
    return facts


def _checked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise BundleError(f"it names {name!r}")
    return path


def _write(target: Path, read: Callable[[int], bytes], size: int, mode: int) -> None:
    # Never through a link that came before: the file must be a new one.
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode & 0o755 | 0o600)
    with os.fdopen(descriptor, "wb") as file:
        left = size
        while left:
            piece = read(min(left, _CHUNK))
            if not piece:
                raise BundleError("it is cut short")
            file.write(piece)
            left -= len(piece)
