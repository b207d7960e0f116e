"""One file at two places: a hard link, or a copy where the file system has none."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress

from puller.confined_tree import ConfinedTree, folder_of, name_of
from puller.file_record import FileState

_BLOCK = 1024 * 1024
_NO_LINK = frozenset(
    {errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM, errno.EXDEV}
)
"""A file system that has no hard links, or no more for this file (link(2))."""


def link_or_copy(tree: ConfinedTree, path: str, target: ConfinedTree, target_path: str) -> None:
    """Have a file at a further place, which must be free, in a folder that exists.

    Raises:
        UnsafePath: a symbolic link stands in the way on either side.
        OSError: there is no such file, or the place cannot be written.
    """
    with tree.folder(folder_of(path)) as here, target.folder(folder_of(target_path)) as there:
        try:
            os.link(
                name_of(path),
                name_of(target_path),
                src_dir_fd=here,
                dst_dir_fd=there,
                follow_symlinks=False,
            )
        except FileExistsError:
            # An NFS client that repeats a request whose answer was lost is told so (nfs(5)).
            if not os.path.samestat(_status(here, path), _status(there, target_path)):
                raise
            return
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
        else:
            return
    _copy(tree, path, target, target_path)


def _status(folder: int, path: str) -> os.stat_result:
    return os.stat(name_of(path), dir_fd=folder, follow_symlinks=False)


def _copy(tree: ConfinedTree, path: str, target: ConfinedTree, target_path: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with (
        os.fdopen(tree.open_file(path), "rb") as original,
        os.fdopen(target.open_file(target_path, flags), "wb") as copy,
    ):
        status = os.fstat(original.fileno())
        shutil.copyfileobj(original, copy, _BLOCK)
        copy.flush()
        os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode))
        os.fsync(copy.fileno())
        os.utime(copy.fileno(), ns=(status.st_mtime_ns, status.st_mtime_ns))


def file_as_recorded(tree: ConfinedTree, path: str, recorded: FileState) -> FileState | None:
    """The state of a file with the recorded content; None if its content was changed.

    Opening it asks an NFS server anew (nfs(5)). A mode that a job changed (`chmod -R`) is set
    right: whoever has written into it since has changed its time.

    Raises:
        UnsafePath: it is a symbolic link, or one stands in the way.
        OSError: it cannot be opened.
    """
    descriptor = tree.open_file(path)
    try:
        state = FileState.of(os.fstat(descriptor))
        if not state.same_content(recorded):
            return None
        if state.mode != recorded.mode:
            os.fchmod(descriptor, recorded.mode)
        return FileState.of(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def remove_file(tree: ConfinedTree, path: str) -> None:
    """Remove a file or link, if it is there.

    Raises:
        UnsafePath: a symbolic link stands in the way.
        OSError: it cannot be removed.
    """
    with suppress(FileNotFoundError), tree.folder(folder_of(path)) as folder:
        os.unlink(name_of(path), dir_fd=folder)
