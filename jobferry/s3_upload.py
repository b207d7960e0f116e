"""Files to a bucket: small ones at once, large ones in parts, of which none is sent a second time.

Source: Amazon S3 User Guide, "Uploading and copying objects using multipart upload" and "Checking
object integrity": S3 keeps the SHA-256 of each part, which `ListParts` tells until the upload is
put together.
"""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from boto3.s3.transfer import ProgressCallbackInvoker
from botocore.exceptions import ClientError
from s3transfer.exceptions import CancelledError, RetriesExceededError
from s3transfer.manager import TransferConfig, TransferManager

from job_protocol.file_mode import MODE_METADATA
from jobferry.aws_errors import code_of, is_missing
from jobferry.checksums import Checksum, agrees
from jobferry.errors import CloudUnreachable, TransferFailed
from jobferry.interface import Progress
from jobferry.upload_plan import LocalFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART = 8 * 1024**2
"""Bytes of a part, and of the smallest file that is sent in parts."""

TRANSFERS = 10
_MOST_PARTS = 10_000
_NOT_TOLD = frozenset({"AccessDenied", "403"})


class FileUpload:
    """Uploads the files of one submission.

    A file whose upload broke off goes on: what has arrived is compared by its checksum.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        begun: Mapping[str, str],
        remember: Callable[[str, str], None],
    ) -> None:
        """Nothing is uploaded yet.

        Args:
            client: for objects.
            bucket: where to.
            begun: by path, the S3 uploads that an earlier try has begun.
            remember: is told path and id of each upload that is begun.
        """
        self._client = client
        self._bucket = bucket
        self._begun = begun
        self._remember = remember

    def upload(self, prefix: str, files: Sequence[LocalFile], progress: Progress) -> None:
        """Upload files; one that is here already in the same content is left as it is, if large.

        Args:
            prefix: what the keys begin with.
            files: the files.
            progress: sees the transfer, what was there before included.

        Raises:
            TransferFailed: a file cannot be read.
            CloudUnreachable: it broke off.
        """
        self._upload_small(prefix, [file for file in files if file.size < PART], progress)
        for file in files:
            if file.size >= PART:
                self._upload_large(f"{prefix}{file.path}", file, progress)

    def _upload_small(self, prefix: str, files: Sequence[LocalFile], progress: Progress) -> None:
        config = TransferConfig(max_request_concurrency=TRANSFERS)
        with TransferManager(self._client, config) as manager:  # an exception cancels the rest
            futures = [
                manager.upload(
                    str(file.source),
                    self._bucket,
                    f"{prefix}{file.path}",
                    extra_args={"Metadata": _metadata(file)},
                    subscribers=[ProgressCallbackInvoker(progress)],
                )
                for file in files
            ]
            for file, future in zip(files, futures, strict=True):
                try:
                    future.result()
                except OSError as error:
                    raise _unreadable(file, error) from error
                except (CancelledError, RetriesExceededError) as error:
                    raise CloudUnreachable(
                        f"the upload of {file.path} broke off ({error}); the job was not "
                        "submitted, try again"
                    ) from error

    def _upload_large(self, key: str, file: LocalFile, progress: Progress) -> None:
        begun = self._begun.get(file.path)
        arrived = None if begun is None else self._arrived(key, begun)
        if begun is not None and arrived is None and self._is_there(key, file):
            progress(file.size)
            return
        if begun is None or arrived is None:
            begun, arrived = self._begin(key, file), {}
        upload_id, there = begun, arrived
        size = part_size(file.size)
        failed, stop = threading.Event(), threading.Event()

        def send(number: int) -> CompletedPartTypeDef:
            content = _part(file, number, size)
            digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
            etag, known = there.get(number, ("", ""))
            if known != digest:
                etag = self._client.upload_part(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=_Body(content, stop),
                    ChecksumSHA256=digest,
                )["ETag"]
            progress(len(content))
            return {"PartNumber": number, "ETag": etag, "ChecksumSHA256": digest}

        def send_if_well(number: int) -> CompletedPartTypeDef:
            if failed.is_set():
                raise TransferFailed("interrupted")
            try:
                return send(number)
            except BaseException:
                failed.set()  # what is on its way goes on, and nothing else begins
                raise

        with ThreadPoolExecutor(TRANSFERS) as pool:
            try:
                parts = list(pool.map(send_if_well, range(1, -(-file.size // size) + 1)))
            except OSError as error:
                raise _unreadable(file, error) from error
            finally:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
        self._client.complete_multipart_upload(
            Bucket=self._bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
        )

    def _begin(self, key: str, file: LocalFile) -> str:
        answer = self._client.create_multipart_upload(
            Bucket=self._bucket, Key=key, ChecksumAlgorithm="SHA256", Metadata=_metadata(file)
        )
        self._remember(file.path, answer["UploadId"])
        return answer["UploadId"]

    def _arrived(self, key: str, upload: str) -> dict[int, tuple[str, str]] | None:
        """ETag and checksum of each part that has arrived; None if the upload is over.

        None are told to callers without the right to list parts: they send all of them again.
        """
        pages = self._client.get_paginator("list_parts").paginate(
            Bucket=self._bucket, Key=key, UploadId=upload
        )
        try:
            return {
                row["PartNumber"]: (row["ETag"], row.get("ChecksumSHA256", ""))
                for page in pages
                for row in page.get("Parts", [])
            }
        except ClientError as error:
            if code_of(error) == "NoSuchUpload":
                return None
            if code_of(error) in _NOT_TOLD:
                return {}
            raise

    def _is_there(self, key: str, file: LocalFile) -> bool:
        """Whether an upload is over because all of the file, as it is now, has arrived."""
        try:
            head = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if is_missing(error):
                return False
            raise
        stated = head.get("ChecksumSHA256")
        if not stated or (head["ContentLength"], head["Metadata"]) != (file.size, _metadata(file)):
            return False
        checksum = Checksum("SHA256", stated, part_size(file.size))
        try:
            with file.source.open("rb") as content:
                return agrees(content, file.size, checksum) is True
        except OSError as error:
            raise _unreadable(file, error) from error


def part_size(size: int) -> int:
    """Bytes of each part but the last of a file of so many bytes."""
    part = PART
    while -(-size // part) > _MOST_PARTS:
        part *= 2
    return part


class _Body(io.BytesIO):
    """A part as the body of a request that breaks off when the whole upload does."""

    def __init__(self, content: bytes, stop: threading.Event) -> None:
        super().__init__(content)
        self._stop = stop

    def read(self, size: int | None = -1, /) -> bytes:
        if self._stop.is_set():
            raise TransferFailed("interrupted")
        return super().read(size)


def _part(file: LocalFile, number: int, size: int) -> bytes:
    start = (number - 1) * size
    wanted = min(size, file.size - start)
    with file.source.open("rb") as source:
        source.seek(start)
        content = source.read(wanted)
    if len(content) != wanted:
        raise TransferFailed(
            f"{file.source} has become shorter while it was uploaded; the job was not submitted, "
            "try again"
        )
    return content


def _metadata(file: LocalFile) -> dict[str, str]:
    return {MODE_METADATA: f"{file.mode:04o}"}


def _unreadable(file: LocalFile, error: OSError) -> TransferFailed:
    return TransferFailed(f"{file.path} cannot be read ({error}); the job was not submitted")
