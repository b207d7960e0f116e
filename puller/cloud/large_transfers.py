"""Large objects in parallel parts, by boto3's own transfer machinery."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, cast

from s3transfer.exceptions import CancelledError, RetriesExceededError
from s3transfer.manager import TransferConfig, TransferManager
from s3transfer.subscribers import BaseSubscriber

from puller.errors import CloudUnreachable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from s3transfer.futures import TransferFuture

    from puller.bucket import FileRange

_BEHIND = 64 * 1024 * 1024
"""Bytes that are gathered before the disk begins to write them."""


class LargeTransfers:
    """One transfer manager, and so one set of threads, for all large objects of a bucket."""

    def __init__(self, client: S3Client, bucket: str, *, part: int) -> None:
        """Use `client` for objects of `bucket`.

        Args:
            client: the S3 client.
            bucket: the bucket's name.
            part: bytes of a part, and of the smallest object that has parts; S3 allows 10,000
                parts, so larger objects get larger ones.
        """
        self._bucket = bucket
        self._manager = TransferManager(
            client, TransferConfig(multipart_threshold=part, multipart_chunksize=part)
        )

    def download(self, key: str, version: str, size: int, etag: str, target: IO[bytes]) -> None:
        """Write one version of an object to a seekable file.

        Raises:
            CloudUnreachable: the transfer broke off.
            BotoCoreError, ClientError: as boto3 says it.
            OSError: `target` cannot be written.
        """
        future = self._manager.download(
            self._bucket,
            key,
            cast("IO[bytes]", _WrittenBehind(target)),
            extra_args={"VersionId": version},
            subscribers=[_Known(size, etag)],
        )
        self._wait(future, key)

    def upload(self, key: str, source: FileRange, arguments: Mapping[str, Any]) -> None:
        """Write an object.

        Raises:
            CloudUnreachable: the transfer broke off.
            BotoCoreError, ClientError: as boto3 says it.
            OSError: `source` cannot be read.
        """
        future = self._manager.upload(
            cast("IO[bytes]", source), self._bucket, key, extra_args=dict(arguments)
        )
        self._wait(future, key)

    def close(self) -> None:
        """End the threads."""
        self._manager.shutdown()

    def _wait(self, future: TransferFuture, key: str) -> None:
        try:
            future.result()
        except (CancelledError, RetriesExceededError) as error:
            raise CloudUnreachable(
                f"the transfer of s3://{self._bucket}/{key} broke off ({error}); "
                "the next pass tries again"
            ) from error


class _WrittenBehind:
    """A file that sends its bytes to the disk while more of them arrive.

    Who then syncs it waits for the last bytes alone, not for all.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._behind = 0
        self._first = self._end = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def write(self, content: bytes) -> int:
        start = self._file.tell()
        written = self._file.write(content)
        if not self._behind:
            self._first = self._end = start
        self._first = min(self._first, start)
        self._end = max(self._end, start + written)
        self._behind += written
        if self._behind >= _BEHIND:
            self._file.flush()
            # Linux begins to write the changed pages of this range, and returns.
            length = self._end - self._first
            os.posix_fadvise(self._file.fileno(), self._first, length, os.POSIX_FADV_DONTNEED)
            self._behind = 0
        return written


class _Known(BaseSubscriber):
    """Tells a download the size and ETag that are known already, which saves its HEAD request."""

    def __init__(self, size: int, etag: str) -> None:
        self._size = size
        self._etag = etag

    def on_queued(self, future: TransferFuture, **_: Any) -> None:
        """Called by s3transfer before it plans the parts."""
        future.meta.provide_transfer_size(self._size)
        future.meta.provide_object_etag(self._etag)
