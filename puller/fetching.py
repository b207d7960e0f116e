"""One version of one object into a new file, whole, synced and with its mode, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from job_protocol.file_mode import mode_of as stated_mode
from job_protocol.object_keys import SCRIPT
from puller.bucket import Bucket, Fetched, VersionGone
from puller.confined_tree import ConfinedTree
from puller.file_record import FileState

ModeRule = Callable[[Fetched, bytes, int], int]
"""The permission bits of what was fetched, of its first four bytes, under a umask."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is fetched.

    Attributes:
        key: the object.
        version: the S3 version id.
        size: bytes.
    """

    key: str
    version: str
    size: int


def fetch_file(
    source: Source, bucket: Bucket, tree: ConfinedTree, path: str, mode_rule: ModeRule
) -> FileState:
    """Fetch into a file that does not exist yet, in a folder that does.

    Args:
        source: what is fetched.
        bucket: the site's bucket.
        tree: where the file is made, at `path`.
        path: see `tree`.
        mode_rule: says its permission bits.

    Raises:
        VersionGone: the version cannot be had, or is not as large as it was.
        CloudUnreachable, CloudRefused: see `Bucket`.
        OSError, UnsafePath: it cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    with os.fdopen(tree.open_file(path, flags, mode=0o777), "w+b") as file:
        # What is missing of 0o777 now is the umask, which threads cannot ask for safely.
        umask = 0o777 & ~os.fstat(file.fileno()).st_mode
        fetched = bucket.fetch(source.key, source.version, source.size, file)
        file.flush()
        size = os.fstat(file.fileno()).st_size
        if size != source.size:
            raise VersionGone(
                f"s3://{bucket.name}/{source.key} has {size} bytes, not {source.size}"
            )
        start = os.pread(file.fileno(), 4, 0)
        os.fchmod(file.fileno(), mode_rule(fetched, start, umask))
        os.fsync(file.fileno())
        # The time of the upload, as `aws s3 cp` sets it: a later change shows even where times
        # have whole seconds only.
        modified = int(fetched.modified) * 1_000_000_000
        os.utime(file.fileno(), ns=(modified, modified))
        return FileState.of(os.fstat(file.fileno()))


def mode_of(path: str, fetched: Fetched, start: bytes, umask: int) -> int:
    """The permission bits of a staged file.

    Args:
        path: relative to the job directory.
        fetched: what came with the object; metadata `file-permissions` wins.
        start: the first four bytes: without metadata, `#!` and ELF files become executable.
        umask: the puller's; it applies where the metadata says nothing.
    """
    stated = stated_mode(fetched.metadata)
    mode = default_mode(start, umask) if stated is None else stated | 0o600
    return mode | (mode & 0o444) >> 2 if path == SCRIPT else mode


def default_mode(start: bytes, umask: int) -> int:
    """The permission bits of a file that comes without any.

    Args:
        start: its first four bytes: `#!` and ELF files become executable.
        umask: the puller's.
    """
    executable = start.startswith((b"#!", b"\x7fELF"))
    return (0o755 if executable else 0o644) & ~umask | 0o600
