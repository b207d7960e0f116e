"""Locks between processes, which end with the process that holds them."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from puller.errors import HeldElsewhere, SettingsError

_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""What file systems without locks say."""


def prepare_lock_dir(directory: Path) -> None:
    """Make the lock directory, of this user alone.

    Raises:
        SettingsError: it belongs to somebody else or is no directory.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise SettingsError(
            f"lock directory {directory} is not a directory of yours; set lock_dir to another one"
        )


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold a lock while the block runs. The descriptor is not inherited by child processes.

    Raises:
        HeldElsewhere: another process of this host holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HeldElsewhere(f"another pass is at work on this host ({path})") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def inheritable_lock(path: Path) -> Iterator[int]:
    """Hold a lock on a descriptor that a child process may inherit and so hold on to.

    Raises:
        HeldElsewhere: a process, perhaps an orphan of a pass that was killed, still holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HeldElsewhere(f"a submission is still under way ({path})") from error
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def lock_of_all_hosts(path: Path) -> Iterator[None]:
    """Hold a lock that processes of other hosts see too, where the file system has such locks.

    Raises:
        HeldElsewhere: another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HeldElsewhere(f"{path} is locked") from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        try:
            yield
        finally:
            # Closing would not do: a program that another thread starts at this moment has the
            # descriptor, too, until it runs.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)
