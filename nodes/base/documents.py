"""What the nodes respond that only serve files: `/`, and `/bytes/N` for a few N."""

from __future__ import annotations

from pathlib import Path

GREETING = b"hello\n"
SIZES = (0, 10, 1000, 100_000, 1_000_000)
"""The N of `/bytes/N`, in bytes."""


def static_files(folder: Path) -> Path:
    """Make the document root `folder`/documents, readable by everybody, and return it. `/` is its index.html."""
    root = folder / "documents"
    sizes = root / "bytes"
    sizes.mkdir(parents=True, exist_ok=True)  # a reload finds it there
    (root / "index.html").write_bytes(GREETING)
    for size in SIZES:
        (sizes / str(size)).write_bytes(b"x" * size)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root
