"""Small files that are either as they were or wholly as they shall be, whenever the power fails."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a small file atomically; once this returns, the content survives a power cut.

    The folder must exist. A leftover of an earlier attempt that died is overwritten.

    Args:
        path: the file. If it is a symbolic link, the link is replaced, not its target.
        content: the whole content.
        mode: the permission bits; the process's umask does not apply.

    Raises:
        OSError: it could not be written; `path` is as it was.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        write_durably_in(folder, path.name, content, mode=mode)
    finally:
        os.close(folder)


def write_durably_in(folder: int, name: str, content: bytes, *, mode: int = 0o600) -> None:
    """`write_durably` for `name` in the folder that the descriptor `folder` is open on."""
    temporary = _temporary(name)
    remove_leftover(folder, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def remove_leftover(folder: int, name: str) -> None:
    """Remove what a write of `name` that died has left in a folder."""
    with suppress(FileNotFoundError):
        os.unlink(_temporary(name), dir_fd=folder)


def _temporary(name: str) -> str:
    return f".{name}.tmp"
