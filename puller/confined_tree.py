"""A folder that file access cannot leave: no `..` and no symbolic link on the way, ever.

Every step from the root to the file is opened by name, relative to the descriptor of the folder
above it, and without following links. So a link that a job plants, even in the instant between
a look and an access, is refused instead of followed.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from puller.durable_file import write_durably_in
from puller.errors import UnsafePath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SAFE_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""O_NONBLOCK: opening a named pipe must not wait for a writer. It does nothing to a file."""


def segments_of(path: str) -> list[str]:
    """The names on the way of a relative path; an empty path is the root itself.

    Raises:
        UnsafePath: it is absolute, has empty, `.` or `..` segments, or a NUL.
    """
    if not path:
        return []
    segments = path.split("/")
    if any(s in ("", ".", "..") or "\0" in s for s in segments):
        raise UnsafePath(f"{path!r} is not a plain relative path")
    return segments


def folder_of(path: str) -> str:
    """The path of the folder that a relative path lies in; empty for the root."""
    return path.rpartition("/")[0]


def name_of(path: str) -> str:
    """The last name of a relative path."""
    return path.rpartition("/")[2]


def _folder_and_name(path: str) -> tuple[str, str]:
    if not segments_of(path):
        raise UnsafePath("an empty path names no file")
    return folder_of(path), name_of(path)


def has_entries(folder: int) -> bool:
    """Whether anything is in the folder that a descriptor is open on."""
    with os.scandir(folder) as entries:
        return any(True for _ in entries)


class ConfinedTree:
    """All access to one folder and what lies below it.

    Paths are relative to that folder. Each access starts from `trusted` again, so that a tree which
    is deleted or moved meanwhile gives an ordinary `FileNotFoundError`.

    Attributes:
        path: where the folder is, for messages and for other programs.
    """

    def __init__(self, trusted: Path, inside: str = "") -> None:
        """Confine to the folder `inside` (a relative path) of `trusted`.

        `trusted` belongs to the site and may be a link; nothing below it may.
        """
        self._trusted = trusted
        self._prefix = segments_of(inside)
        self.path = trusted.joinpath(*self._prefix)

    def inside(self, path: str) -> ConfinedTree:
        """A tree that is confined to a folder of this one.

        Raises:
            UnsafePath: the path is not plain.
        """
        return ConfinedTree(self._trusted, "/".join(self._prefix + segments_of(path)))

    @contextmanager
    def folder(self, path: str = "", *, create: bool = False) -> Iterator[int]:
        """A descriptor of a folder, which is made (with those above it) if `create` says so.

        Raises:
            UnsafePath: the path is not plain, or a symbolic link stands in the way.
            OSError: there is no such folder, or something else stands in the way.
        """
        current = os.open(self._trusted, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in self._prefix + segments_of(path):
                below = self._step(current, name, path, create)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)

    def _step(self, folder: int, name: str, path: str, create: bool) -> int:
        try:
            return os.open(name, _FOLDER, dir_fd=folder)
        except FileNotFoundError:
            if not create:
                raise
        except NotADirectoryError:
            self._refuse_link(folder, name, path)
            raise
        with suppress(FileExistsError):  # somebody else was faster: what it is shows below
            os.mkdir(name, dir_fd=folder)
        return self._step(folder, name, path, create=False)

    def _refuse_link(self, folder: int, name: str, path: str) -> None:
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            self._refuse(name, path)

    def _refuse(self, name: str, path: str) -> NoReturn:
        raise UnsafePath(
            f"{name!r} on the way to {path or '.'!r} in {self.path} is a symbolic link, "
            "which jobferry does not follow; remove it or replace it with a folder"
        )

    def open_file(self, path: str, flags: int = os.O_RDONLY, *, mode: int = 0o600) -> int:
        """A descriptor of a regular file.

        Raises:
            UnsafePath: the path is not plain, or it or a folder above it is a symbolic link.
            OSError: it cannot be opened, or it is no regular file (`IsADirectoryError` or EINVAL).
        """
        above, name = _folder_and_name(path)
        with self.folder(above) as folder:
            try:
                descriptor = os.open(name, flags | _SAFE_FILE, mode, dir_fd=folder)
            except OSError:
                with suppress(FileNotFoundError):
                    self._refuse_link(folder, name, path)
                raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(f"{self.path / path} is not a regular file")
        return descriptor

    def lstat(self, path: str = "") -> os.stat_result:
        """The status of a file, folder or link itself.

        Raises:
            UnsafePath: a symbolic link stands in the way.
            OSError: there is no such file.
        """
        if not path:
            with self.folder() as folder:
                return os.fstat(folder)
        above, name = _folder_and_name(path)
        with self.folder(above) as folder:
            return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def link_target(self, path: str) -> str:
        """What a symbolic link says, as it stands.

        Raises:
            OSError: there is no such link.
        """
        above, name = _folder_and_name(path)
        with self.folder(above) as folder:
            return os.readlink(name, dir_fd=folder)

    def read(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of a regular file.

        Raises:
            UnsafePath: the path is not plain, or it or a folder above it is a symbolic link.
            OSError: it cannot be read.
        """
        with os.fdopen(self.open_file(path), "rb") as file:
            return file.read(limit)

    def write(self, path: str, content: bytes, *, mode: int = 0o600) -> None:
        """Write a small file as `write_durably` does; its folder must exist.

        Raises:
            UnsafePath: the path is not plain, or a folder above it is a symbolic link.
            OSError: it could not be written.
        """
        above, name = _folder_and_name(path)
        with self.folder(above) as folder:
            write_durably_in(folder, name, content, mode=mode)

    def rename(self, path: str, target: ConfinedTree, target_path: str) -> None:
        """Move a file, folder or link itself to a folder that exists, on the same file system.

        Raises:
            UnsafePath: a symbolic link stands in the way on either side.
            OSError: it could not be moved.
        """
        above, name = _folder_and_name(path)
        target_above, target_name = _folder_and_name(target_path)
        with self.folder(above) as source, target.folder(target_above) as to:
            os.rename(name, target_name, src_dir_fd=source, dst_dir_fd=to)

    def remove(self) -> None:
        """Remove the folder with all that is in it, if it is there; links are not followed.

        Raises:
            UnsafePath: it is the trusted folder itself, or a symbolic link stands in the way.
            OSError: something could not be removed.
        """
        if not self._prefix:
            raise UnsafePath(f"{self.path} is not jobferry's to remove")
        above = ConfinedTree(self._trusted, "/".join(self._prefix[:-1]))
        with suppress(FileNotFoundError), above.folder() as folder:
            shutil.rmtree(self._prefix[-1], dir_fd=folder)
