"""Unpacks an archive that somebody may have made to do harm.

An archive is refused as a whole, with the name of the member, for what an honest one does not have:
paths that are absolute or lead outside, links that do, members that go through a link, two members
of one name, devices and pipes, names that are not UTF-8 or have control characters, and more bytes
or members than are allowed. Bits beyond `rwxrwxrwx` do not arrive.
"""

from __future__ import annotations

import lzma
import os
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from job_protocol.object_keys import MAX_KEY_BYTES, MAX_SEGMENT_BYTES, ancestors
from puller.archive_readers import Kind, Member, members_of
from puller.confined_tree import ConfinedTree, folder_of, name_of
from puller.errors import ArtifactRefused, UnsafePath
from puller.fetching import default_mode

_DAMAGED = (
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
_HEADERS = 64 * 1024 * 1024
"""Bytes of headers and padding that a tar may have beside what its members have."""

_HEADERS_EACH = 4096
_MAX_LINK = 4096
"""Characters of a symbolic link, as in Linux (path_resolution(7))."""

_NOT_IN_NAMES = ("Cc", "Cs", "Zl", "Zp")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may become.

    Attributes:
        size: bytes of all files together.
        members: how many.
        ratio: how many times its own size it may become, once it has become `ratio_from` bytes.
        ratio_from: bytes.
    """

    size: int
    members: int = 200_000
    ratio: int = 1000
    ratio_from: int = 256 * 1024 * 1024


def unpack(file: IO[bytes], form: str, tree: ConfinedTree, limits: Limits) -> None:
    """Unpack an archive into an empty folder.

    The one file of a form without names (`gz`, `bz2`, `xz`) becomes `file`. The links that it makes
    still have to be examined, by `puller.artifact_tree.entries_of`, before anything follows one.

    Args:
        file: the archive, open for reading.
        form: see `job_protocol.artifact_plan.ArtifactPlan`.
        tree: the folder, which nothing else uses.
        limits: how much it may become.

    Raises:
        ArtifactRefused: it is not taken, or damaged; what was unpacked so far is still there.
        OSError: it cannot be written or read.
    """
    packed = os.fstat(file.fileno()).st_size
    most_bytes = limits.size + _HEADERS + _HEADERS_EACH * limits.members
    with _typed(), tree.folder(create=True):
        unpacking = _Unpacking(tree, limits, packed)
        for member in members_of(file, form, most_bytes):
            unpacking.take(member)
        unpacking.make_links()


@contextmanager
def _typed() -> Iterator[None]:
    try:
        yield
    except UnsafePath as error:
        raise ArtifactRefused(f"the archive leads outside: {error}") from error
    except _DAMAGED as error:
        raise ArtifactRefused(
            f"the archive is damaged or of another form ({type(error).__name__}: {error}); state "
            "archive=false if it shall not be unpacked"
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise ArtifactRefused(f"the archive is damaged ({error})") from error


class _Unpacking:
    def __init__(self, tree: ConfinedTree, limits: Limits, packed: int) -> None:
        self._tree = tree
        self._limits = limits
        self._packed = packed
        self._kinds: dict[str, Kind] = {}
        self._links: dict[str, str] = {}
        self._count = 0
        self._size = 0

    def take(self, member: Member) -> None:
        """Make one member; a symbolic link only after all others, by `make_links`."""
        self._count += 1
        if self._count > self._limits.members:
            raise ArtifactRefused(f"the archive has more than {self._limits.members} members")
        path = plain_path(member.name) if member.name else "file"
        if not path and member.kind is Kind.FOLDER:
            return
        self._place(path, member)
        match member.kind:
            case Kind.FOLDER:
                with self._tree.folder(path, create=True):
                    pass
            case Kind.FILE:
                self._file(path, member)
            case Kind.HARD_LINK:
                self._hard_link(path, member)
            case Kind.LINK:
                self._links[path] = _link_target(path, member.target)

    def _place(self, path: str, member: Member) -> None:
        """Refuse a member whose place is taken, or that goes through what is no folder."""
        if not path:
            raise ArtifactRefused(f"the member {member.name!r} has no name")
        for above in ancestors(path):
            if self._kinds.setdefault(above, Kind.FOLDER) is not Kind.FOLDER:
                raise ArtifactRefused(
                    f"the member {member.name!r} goes through {above!r}, a {self._kinds[above]}"
                )
        before = self._kinds.get(path)
        if before is not None and not before is member.kind is Kind.FOLDER:
            raise ArtifactRefused(f"the archive has two members {path!r}")
        self._kinds[path] = member.kind

    def _file(self, path: str, member: Member) -> None:
        with self._tree.folder(folder_of(path), create=True):
            pass
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(self._tree.open_file(path, flags, mode=0o777), "wb") as file:
            # What is missing of 0o777 now is the umask, which threads cannot ask for safely.
            umask = 0o777 & ~os.fstat(file.fileno()).st_mode
            start = b""
            for block in member.blocks():
                self._count_bytes(len(block))
                start = start or block[:4]
                file.write(block)
            file.flush()
            os.fchmod(file.fileno(), _mode(member.mode, start, umask))
            os.fsync(file.fileno())
            if member.modified is not None:
                # Whole seconds, as staged inputs have them.
                modified = int(member.modified) * 1_000_000_000
                os.utime(file.fileno(), ns=(modified, modified))

    def _count_bytes(self, more: int) -> None:
        self._size += more
        if self._size > self._limits.size:
            raise ArtifactRefused(
                f"it unpacks to more than {self._limits.size} bytes, the site's max_artifact_bytes"
            )
        if self._size > max(self._limits.ratio_from, self._limits.ratio * self._packed):
            raise ArtifactRefused(
                f"it unpacks to more than {self._limits.ratio} times its own {self._packed} bytes"
            )

    def _hard_link(self, path: str, member: Member) -> None:
        target = plain_path(member.target)
        if self._kinds.get(target) is not Kind.FILE:
            raise ArtifactRefused(
                f"the member {member.name!r} is a link to {member.target!r}, which is no file "
                "before it in the archive"
            )
        with (
            self._tree.folder(folder_of(target)) as source,
            self._tree.folder(folder_of(path), create=True) as folder,
        ):
            os.link(
                name_of(target),
                name_of(path),
                src_dir_fd=source,
                dst_dir_fd=folder,
                follow_symlinks=False,
            )
        self._kinds[path] = Kind.FILE

    def make_links(self) -> None:
        """Make the symbolic links, when nothing can go through them any more."""
        for path, target in self._links.items():
            with self._tree.folder(folder_of(path), create=True) as folder:
                os.symlink(target, name_of(path), dir_fd=folder)


def plain_path(name: str) -> str:
    """The path of a member, without `.` segments and stray slashes; empty for the root.

    Raises:
        ArtifactRefused: it cannot lie in a job directory.
    """
    segments = [segment for segment in name.split("/") if segment not in ("", ".")]
    path = "/".join(segments)
    problem = None
    if name.startswith("/"):
        problem = "has an absolute path"
    elif ".." in segments:
        problem = "leads outside, by '..'"
    elif any(unicodedata.category(char) in _NOT_IN_NAMES for char in name):
        problem = "has a name with a control character, or that is not UTF-8"
    elif len(path.encode()) > MAX_KEY_BYTES or any(
        len(segment.encode()) > MAX_SEGMENT_BYTES for segment in segments
    ):
        problem = "has too long a name"
    if problem is not None:
        raise ArtifactRefused(f"the member {name[:300]!r} {problem}")
    return path


def _link_target(path: str, target: str) -> str:
    """What a symbolic link says, if it looks as if it stays inside."""
    depth = path.count("/")
    for segment in target.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(segment, 1)
        if depth < 0 or target.startswith("/"):
            raise ArtifactRefused(f"the link {path!r} leads outside, to {target[:300]!r}")
    if any(unicodedata.category(char) in _NOT_IN_NAMES for char in target) or (
        not 0 < len(target) <= _MAX_LINK
    ):
        raise ArtifactRefused(f"the link {path!r} leads to no path: {target[:300]!r}")
    return target


def _mode(stated: int | None, start: bytes, umask: int) -> int:
    if stated is None:
        return default_mode(start, umask)
    return stated & 0o777 & ~umask | 0o600
