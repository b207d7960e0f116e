"""An S3 multipart upload that begins with what an earlier version already has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from puller.bucket import BaseVersion, FileRange

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_MIB = 1024 * 1024
_LEAST_PART = 16 * _MIB
_MOST_SENT_PARTS = 8_000
_COPY_PART = 4 * 1024 * _MIB
"""S3 copies at most 5 GiB at a time, and no part but the last may be below 5 MiB."""


def copy_ranges(size: int, most: int = _COPY_PART) -> Iterator[tuple[int, int]]:
    """The (first, last) bytes of the parts by which `size` bytes are copied, nearly equal ones.

    Args:
        size: bytes, at least 1.
        most: bytes of the largest part.
    """
    parts = -(-size // most)
    for number in range(parts):
        yield size * number // parts, size * (number + 1) // parts - 1


def sent_part_size(size: int) -> int:
    """Bytes of the parts in which `size` bytes are sent: S3 takes 10,000 parts at most."""
    return max(_LEAST_PART, -(-size // _MOST_SENT_PARTS))


def put_grown(
    client: S3Client,
    bucket: str,
    key: str,
    base: BaseVersion | None,
    tail: FileRange,
    metadata: dict[str, str],
    content_type: str,
) -> str:
    """Write the version `base` with `tail` behind it, and return the new version id.

    Raises:
        BotoCoreError, ClientError: as boto3 says it; the upload was aborted if that was possible.
        OSError: `tail` cannot be read.
    """
    upload = client.create_multipart_upload(
        Bucket=bucket,
        Key=key,
        Metadata=metadata,
        ContentType=content_type,
        ChecksumAlgorithm="CRC32",
    )["UploadId"]
    try:
        parts = list(_parts(client, bucket, key, upload, base, tail))
        return client.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )["VersionId"]
    except BaseException:
        # What cannot be aborted is removed by the bucket's lifecycle rule.
        with suppress(BotoCoreError, ClientError):
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        raise


def _parts(
    client: S3Client,
    bucket: str,
    key: str,
    upload: str,
    base: BaseVersion | None,
    tail: FileRange,
) -> Iterator[CompletedPartTypeDef]:
    number = 0
    if base is not None:
        for first, last in copy_ranges(base.size):
            number += 1
            copied = client.upload_part_copy(
                Bucket=bucket,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                CopySource={"Bucket": bucket, "Key": key, "VersionId": base.version},
                CopySourceRange=f"bytes={first}-{last}",
            )["CopyPartResult"]
            yield _completed(number, copied["ETag"], copied.get("ChecksumCRC32"))
    size = sent_part_size(tail.length)
    tail.seek(0)
    while block := tail.read(size):
        number += 1
        sent = client.upload_part(
            Bucket=bucket,
            Key=key,
            UploadId=upload,
            PartNumber=number,
            Body=block,
            ChecksumAlgorithm="CRC32",
        )
        yield _completed(number, sent["ETag"], sent.get("ChecksumCRC32"))


def _completed(number: int, etag: str, checksum: str | None) -> CompletedPartTypeDef:
    part: CompletedPartTypeDef = {"PartNumber": number, "ETag": etag}
    if checksum is not None:
        part["ChecksumCRC32"] = checksum
    return part
