"""What the puller needs of a site's bucket, whoever provides it."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Protocol

from puller.errors import PullerError

RESULT_METADATA = "jobferry-result"
"""Object metadata by which a result is known as such: `job_protocol.identifiers.result_mark`."""


class VersionGone(PullerError):
    """A version of an object can never be read (again): deleted, archived, or never there."""


class ObjectRefused(PullerError):
    """The bucket does not take this one object (too large, a key that it does not allow)."""


class SourceShrank(OSError):
    """A file became shorter while it was being read."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came along with the content of an object.

    Attributes:
        modified: when it was written to the bucket, in seconds since the epoch.
        metadata: the user metadata, names in lower case.
    """

    modified: float
    metadata: Mapping[str, str] = field(default_factory=dict)


class FileRange(io.RawIOBase):
    """A fixed part of an open file, as a seekable stream of its own.

    Whatever happens to the file meanwhile, the stream has exactly `length` bytes or fails with
    `SourceShrank`: a growing log is cut where it was measured. The descriptor stays the caller's.

    Attributes:
        length: bytes.
        failure: why it could not be read; a HTTP library may hide that in an error of its own.
    """

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._start = start
        self._position = 0
        self.length = length
        self.failure: OSError | None = None

    def readable(self) -> bool:
        """A stream for reading."""
        return True

    def seekable(self) -> bool:
        """A request that is repeated starts again at 0."""
        return True

    def tell(self) -> int:
        """The position in this part, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move within this part."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes; fewer than `size` only at the end.

        Raises:
            SourceShrank: the file ends before this part does.
            OSError: it cannot be read.
        """
        left = max(0, self.length - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        blocks: list[bytes] = []
        while wanted:
            try:
                block = self._block(wanted)
            except OSError as error:
                self.failure = error
                raise
            blocks.append(block)
            wanted -= len(block)
            self._position += len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def _block(self, size: int) -> bytes:
        block = os.pread(self._descriptor, size, self._start + self._position)
        if not block:
            raise SourceShrank("the file became shorter while it was being read")
        return block

    def readall(self) -> bytes:
        """The rest of this part."""
        return self.read()


MIN_BASE = 5 * 1024 * 1024
"""Bytes of the smallest part of a multipart upload, except the last one (Amazon S3 quotas)."""


@dataclass(frozen=True, slots=True)
class BaseVersion:
    """A version to which a log that has grown is appended.

    Attributes:
        version: the S3 version id.
        size: bytes.
    """

    version: str
    size: int


class Bucket(Protocol):
    """A versioned bucket. Its methods are thread-safe.

    Each may raise `CloudUnreachable` (try again later) or `CloudRefused` (somebody must set
    something right first).
    """

    @property
    def name(self) -> str:
        """The bucket's name, for messages."""

    def fetch(self, key: str, version: str, size: int, target: IO[bytes]) -> Fetched:
        """Write the content of one version of an object to `target`, an empty seekable file.

        Args:
            key: the object.
            version: the S3 version id.
            size: the bytes that it is known to have.
            target: where it goes; its position afterwards is unspecified.

        Raises:
            VersionGone: this version cannot be had.
            OSError: `target` cannot be written.
        """

    def read(self, key: str, limit: int) -> bytes:
        """The whole content of a small object in its newest version.

        Raises:
            VersionGone: there is no such object, or it is larger than `limit` bytes.
        """

    def put(self, key: str, content: bytes, metadata: Mapping[str, str]) -> str:
        """Write a small object, and return the version id of what was written.

        Raises:
            ObjectRefused: this object cannot be written.
        """

    def put_file(self, key: str, source: FileRange, metadata: Mapping[str, str]) -> None:
        """Write an object of any size.

        Raises:
            ObjectRefused: this object cannot be written.
            OSError: `source` cannot be read.
        """

    def put_grown(
        self, key: str, base: BaseVersion | None, tail: FileRange, metadata: Mapping[str, str]
    ) -> str:
        """Write a version that is an earlier one with `tail` behind it, and return its id.

        The bytes of the earlier version are copied inside the bucket.

        Args:
            key: the object.
            base: the earlier version, of at least `MIN_BASE` bytes; None to send all.
            tail: what was added since.
            metadata: user metadata of the new version.

        Raises:
            VersionGone: the earlier version does not exist any more.
            OSError: `tail` cannot be read.
        """
