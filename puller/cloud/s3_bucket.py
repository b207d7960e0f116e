"""A site's bucket in Amazon S3."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from threading import BoundedSemaphore, Lock
from typing import IO, TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from puller.bucket import BaseVersion, Fetched, FileRange, ObjectRefused, VersionGone
from puller.cloud.errors import code_of, typed
from puller.cloud.multipart import put_grown
from puller.errors import CloudUnreachable

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

    from puller.cloud.large_transfers import LargeTransfers

LARGE = 8 * 1024 * 1024
"""Bytes from which on an object travels in parts, several at a time."""

CONNECTIONS = 32
"""How many connections the client should keep: enough for what happens at the same time."""

_AT_ONCE = 20
"""Requests for small objects; large ones have ten threads of their own (s3transfer's default)."""

_IN_MEMORY = 1024 * 1024
_CHUNK = 256 * 1024
_READ_ATTEMPTS = 4
_GONE_CODES = frozenset(
    {"404", "InvalidObjectState", "MethodNotAllowed", "NoSuchKey", "NoSuchVersion"}
)
_OBJECT_CODES = frozenset({"EntityTooLarge", "InvalidURI", "KeyTooLongError", "MetadataTooLarge"})


class _BrokenStream(Exception):
    """The body of an answer was cut off or came damaged."""


class S3Bucket:
    """The puller's `Bucket` in Amazon S3; see `puller.bucket` for what the methods promise."""

    def __init__(self, name: str, connect: Callable[[], S3Client]) -> None:
        """Name the bucket; no client is made before the first request.

        Args:
            name: the bucket.
            connect: makes the client; called once, from whatever thread comes first.
        """
        self._name = name
        self._connect = connect
        self._lock = Lock()
        self._slots = BoundedSemaphore(_AT_ONCE)

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self._name

    @property
    def _client(self) -> S3Client:
        with self._lock:
            return self._connected

    @cached_property
    def _connected(self) -> S3Client:
        return self._connect()

    @property
    def _large(self) -> LargeTransfers:
        with self._lock:
            return self._large_transfers

    @cached_property
    def _large_transfers(self) -> LargeTransfers:
        from puller.cloud.large_transfers import LargeTransfers  # s3transfer takes long to import

        return LargeTransfers(self._connected, self._name, part=LARGE)

    def close(self) -> None:
        """End the threads of large transfers."""
        if "_large_transfers" in self.__dict__:
            self._large_transfers.close()

    def fetch(self, key: str, version: str, size: int, target: IO[bytes]) -> Fetched:
        """One request for an object below 8 MiB; parts in parallel for a larger one."""
        with self._typed(f"read {self._url(key)} version {version}", pinned=True):
            if size < LARGE:
                return self._fetch_whole(key, version, target)
            return self._fetch_in_parts(key, version, size, target)

    def _fetch_whole(self, key: str, version: str, target: IO[bytes]) -> Fetched:
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                with self._slots:
                    answer = self._client.get_object(Bucket=self._name, Key=key, VersionId=version)
                    _copy(answer["Body"], target)
            except _BrokenStream as error:
                if attempt == _READ_ATTEMPTS:
                    raise CloudUnreachable(
                        f"cannot read {self._url(key)}: the transfer broke off "
                        f"{attempt} times ({error}); the next pass tries again"
                    ) from error
                target.seek(0)
                target.truncate()
            else:
                return _fetched(answer)
        raise AssertionError("unreachable")

    def _fetch_in_parts(self, key: str, version: str, size: int, target: IO[bytes]) -> Fetched:
        # HEAD answers a missing version and a missing bucket alike; a GET of one byte does not.
        with self._slots:
            first = self._client.get_object(
                Bucket=self._name, Key=key, VersionId=version, Range="bytes=0-0"
            )
            first["Body"].close()
        content_range = first.get("ContentRange", "")
        if not content_range:  # RFC 9110, 14.2: a server may ignore a range
            return self._fetch_whole(key, version, target)
        length = int(content_range.rpartition("/")[2])
        if length != size:
            raise VersionGone(
                f"{self._url(key)} version {version} has {length} bytes instead of {size}"
            )
        self._large.download(key, version, size, first["ETag"], target)
        return _fetched(first)

    def read(self, key: str, limit: int) -> bytes:
        """One request."""
        with self._slots, self._typed(f"read {self._url(key)}"):
            answer = self._client.get_object(Bucket=self._name, Key=key)
            body = answer["Body"]
            if answer["ContentLength"] > limit:
                body.close()
                raise VersionGone(
                    f"{self._url(key)} has {answer['ContentLength']} bytes; at most {limit} are "
                    "read here"
                )
            try:
                return b"".join(_chunks(body))
            except _BrokenStream as error:
                raise CloudUnreachable(
                    f"cannot read {self._url(key)}: {error}; the next pass tries again"
                ) from error

    def put(self, key: str, content: bytes, metadata: Mapping[str, str]) -> str:
        """One request."""
        with self._slots, self._typed(f"write {self._url(key)}"):
            answer = self._client.put_object(
                Bucket=self._name,
                Key=key,
                Body=content,
                Metadata=dict(metadata),
                ContentType=_content_type(key),
            )
            return answer["VersionId"]

    def put_file(self, key: str, source: FileRange, metadata: Mapping[str, str]) -> None:
        """One request for a small file; parts in parallel for a file of 8 MiB and more."""
        if source.length <= _IN_MEMORY:
            self.put(key, source.read(), metadata)
            return
        with self._typed(f"write {self._url(key)}", source):
            self._large.upload(
                key, source, {"Metadata": dict(metadata), "ContentType": _content_type(key)}
            )

    def put_grown(
        self, key: str, base: BaseVersion | None, tail: FileRange, metadata: Mapping[str, str]
    ) -> str:
        """A multipart upload that begins with copies of ranges of the earlier version."""
        with self._slots, self._typed(f"write {self._url(key)}", tail):
            return put_grown(
                self._client, self._name, key, base, tail, dict(metadata), _content_type(key)
            )

    def _url(self, key: str) -> str:
        return f"s3://{self._name}/{key}"

    @contextmanager
    def _typed(
        self, doing: str, source: FileRange | None = None, *, pinned: bool = False
    ) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            if source is not None and source.failure is not None:
                raise source.failure from error
            if isinstance(error, ClientError):
                code = code_of(error)
                if code in _GONE_CODES or (pinned and code == "InvalidArgument"):
                    raise VersionGone(f"cannot {doing}: AWS says {code}") from error
                if code in _OBJECT_CODES:
                    raise ObjectRefused(f"cannot {doing}: AWS says {code}") from error
            raise typed(error, doing) from error


def _copy(body: StreamingBody, target: IO[bytes]) -> None:
    for chunk in _chunks(body):
        target.write(chunk)


def _chunks(body: StreamingBody) -> Iterator[bytes]:
    with body:
        while True:
            try:
                chunk = body.read(_CHUNK)
            except (BotoCoreError, HTTPError, OSError) as error:
                raise _BrokenStream(str(error)) from error
            if not chunk:
                return
            yield chunk


def _fetched(answer: GetObjectOutputTypeDef) -> Fetched:
    return Fetched(modified=answer["LastModified"].timestamp(), metadata=answer["Metadata"])


_TYPES = mimetypes.MimeTypes(filenames=())


def _content_type(key: str) -> str:
    """What `aws s3 cp` would say, without the tables of the computer that it runs on."""
    return _TYPES.guess_type(key, strict=False)[0] or "binary/octet-stream"
