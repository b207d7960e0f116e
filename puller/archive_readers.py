"""Reads tar, zip and compressed files member by member, whatever somebody has put into them.

Nothing here writes. What a reader holds in memory is bounded: headers by the size of one read,
decompressed data by the size of a block.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any, Protocol, cast

from puller.errors import ArtifactRefused

BLOCK = 256 * 1024
_MOST_AT_ONCE = 16 * 1024 * 1024
"""Bytes of one read: no honest tar has a longer header, no honest zip a longer directory."""

_XZ_MEMORY = 256 * 1024 * 1024
"""Bytes for decompression; `xz -9` needs 65 MiB (xz(1))."""

_MAX_LINK = 4096
_LATEST = 2**33
_UTF8_NAMES = 0x800
_ENCRYPTED = 0x1


class Kind(StrEnum):
    """What a member is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "symbolic link"
    HARD_LINK = "hard link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of an archive. Its content must be read before the next one is asked for.

    Attributes:
        name: as the archive has it; empty for a file without a name.
        kind: what it is.
        mode: permission bits; None if the archive has none.
        modified: seconds since the epoch; None if the archive does not say.
        target: what a link says.
        blocks: the content of a file.
    """

    name: str
    kind: Kind
    mode: int | None = None
    modified: float | None = None
    target: str = ""
    blocks: Callable[[], Iterator[bytes]] = lambda: iter(())


class Readable(Protocol):
    """An open file, as far as readers need it."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


def members_of(file: IO[bytes], form: str, most_bytes: int) -> Iterator[Member]:
    """The members of an archive.

    Args:
        file: the archive, open for reading.
        form: see `job_protocol.artifact_plan.ArtifactPlan`.
        most_bytes: bytes that it may have unpacked, headers included.

    Raises:
        ArtifactRefused: something in it is not taken.
        OSError, ValueError, ... (see `puller.archives`): it is damaged.
    """
    if form == "zip":
        yield from _zip_members(file)
    elif form.startswith("tar"):
        yield from _tar_members(_Forward(_decompressed(file, form[4:]), most_bytes))
    else:
        stream = _decompressed(file, form)
        yield Member(name="", kind=Kind.FILE, blocks=lambda: _blocks(stream))


def _blocks(stream: Readable) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block


# ---- compression ----


def _decompressed(file: IO[bytes], form: str) -> Readable:
    match form:
        case "gz":
            return gzip.GzipFile(fileobj=file, mode="rb")
        case "bz2":
            return _Streams(file, bz2.BZ2Decompressor)
        case "xz":
            return _Streams(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY))
    return file


class _Streams:
    """One or more compressed streams after each other, with a bound on the memory for each."""

    def __init__(
        self, file: IO[bytes], new: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
    ) -> None:
        self._file = file
        self._new = new
        self._engine = new()

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most `size`."""
        while True:
            data = b""
            if self._engine.eof:
                data = self._engine.unused_data.lstrip(b"\0") or self._file.read(BLOCK)
                if not data.strip(b"\0"):  # the padding of xz(1)
                    return b""
                self._engine = self._new()
            elif self._engine.needs_input:
                data = self._file.read(BLOCK)
                if not data:
                    raise EOFError("the compressed data are cut off")
            if block := self._engine.decompress(data, size):
                return block


class _Forward:
    """A stream as tarfile wants it: with a position that only grows, and bounded reads."""

    def __init__(self, stream: Readable, most_bytes: int) -> None:
        self._stream = stream
        self._most = most_bytes
        self._position = 0

    def tell(self) -> int:
        """The position in the unpacked data."""
        return self._position

    def seek(self, position: int) -> None:
        """Go forward."""
        if position < self._position:
            raise ArtifactRefused("a header of the archive leads backwards")
        while self._position < position:
            if not self.read(min(BLOCK, position - self._position)):
                return

    def read(self, size: int) -> bytes:
        """The next bytes; fewer only at the end."""
        if not 0 <= size <= _MOST_AT_ONCE:
            raise ArtifactRefused(f"a header of the archive has {size} bytes")
        blocks: list[bytes] = []
        while size:
            block = self._stream.read(size)
            if not block:
                break
            size -= len(block)
            self._position += len(block)
            if self._position > self._most:
                raise ArtifactRefused(f"the archive has more than {self._most} bytes unpacked")
            blocks.append(block)
        return b"".join(blocks)


# ---- tar ----


def _tar_members(stream: _Forward) -> Iterator[Member]:
    file = cast("IO[bytes]", stream)
    with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        while (info := tar.next()) is not None:
            cast("Any", tar).members.clear()  # it would keep them all
            yield _tar_member(tar, info)


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    if info.size < 0:
        raise ArtifactRefused(f"the member {info.name!r} has a negative size")
    if info.issparse():
        raise ArtifactRefused(f"the member {info.name!r} is a sparse file: pack it without -S")
    if info.isreg():
        kind = Kind.FILE
    elif info.isdir():
        kind = Kind.FOLDER
    elif info.issym():
        kind = Kind.LINK
    elif info.islnk():
        kind = Kind.HARD_LINK
    else:
        raise ArtifactRefused(
            f"the member {info.name!r} is a device, a named pipe or something unknown"
        )

    def blocks() -> Iterator[bytes]:
        content = tar.extractfile(info)
        return iter(()) if content is None else _blocks(content)

    return Member(
        name=info.name,
        kind=kind,
        mode=info.mode,
        modified=_time(info.mtime),
        target=info.linkname,
        blocks=blocks,
    )


def _time(seconds: float) -> float | None:
    return float(seconds) if 0 <= seconds < _LATEST else None


# ---- zip ----


class _BoundedFile:
    """A zip file as zipfile wants it, with bounded reads."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def seekable(self) -> bool:
        """A zip file is read from its end."""
        return True

    def tell(self) -> int:
        """The position in the file."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go anywhere in it."""
        if whence == os.SEEK_SET and offset < 0:
            raise zipfile.BadZipFile("a header leads before its beginning")
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        if not 0 <= size <= _MOST_AT_ONCE:  # zipfile reads to the end for what is small
            block = self._file.read(_MOST_AT_ONCE + 1)
            if len(block) > _MOST_AT_ONCE:
                raise ArtifactRefused("the directory of the archive is too long")
            return block
        return self._file.read(size)


def _zip_members(file: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(cast("IO[bytes]", _BoundedFile(file))) as archive:
        for info in archive.infolist():
            yield _zip_member(archive, info)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    name = _zip_name(info)
    if info.flag_bits & _ENCRYPTED:
        raise ArtifactRefused(f"the member {name!r} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArtifactRefused(
            f"the member {name!r} is compressed by method {info.compress_type}: pack it with "
            "deflate, as zip does by default"
        )
    mode = info.external_attr >> 16 if info.create_system == 3 else 0
    kind = Kind.FOLDER if name.endswith("/") else Kind.FILE
    if stat.S_ISLNK(mode):
        kind = Kind.LINK
    elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArtifactRefused(f"the member {name!r} is a device, a named pipe or something unknown")

    def blocks() -> Iterator[bytes]:
        with archive.open(info) as content:
            yield from _blocks(content)

    target = ""
    if kind is Kind.LINK:
        with archive.open(info) as content:
            target = content.read(_MAX_LINK + 1).decode("utf-8", "surrogateescape")
    return Member(name=name, kind=kind, mode=mode & 0o777 or None, target=target, blocks=blocks)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name; zipfile reads one without a flag as cp437, and cuts it at a NUL."""
    name = info.orig_filename
    if info.flag_bits & _UTF8_NAMES:
        return name
    return name.encode("cp437").decode("utf-8", "surrogateescape")
