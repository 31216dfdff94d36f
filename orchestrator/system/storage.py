"""What a file system refuses, in one message about the folder."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import EnvironmentFailure

_STORAGE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


@contextlib.contextmanager
def storage_errors(
    folder: Path, *, hint: str = "free some space, or choose another folder with --output"
) -> Iterator[None]:
    """What a file system refuses inside (no space, read-only, broken) becomes one message about the folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in _STORAGE:
            raise
        raise EnvironmentFailure(f"cannot write into {folder}: {error.strerror}", hint=hint) from None
