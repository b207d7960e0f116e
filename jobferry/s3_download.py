"""A file from a bucket: only what is missing, and all of it compared with what S3 keeps of it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from job_protocol.file_mode import mode_of
from jobferry.aws_errors import code_of, is_missing, typed_errors
from jobferry.checksums import Checksum, agrees
from jobferry.errors import TransferFailed
from jobferry.interface import Fetched, Progress

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK = 256 * 1024


def fetch(
    client: S3Client, bucket: str, key: str, path: str, target: IO[bytes], progress: Progress
) -> Fetched:
    """Write the rest of an object to `target`, and verify all of it.

    boto3 compares an object that came in one piece with its checksum, unless it was put in parts.

    Args:
        client: for objects.
        bucket: the bucket.
        key: the object.
        path: what the user calls it.
        target: what was fetched before; it is read, and written at its end.
        progress: sees the transfer, what was there before included.

    Raises:
        TransferFailed: the content is not what S3 says of it, or has changed meanwhile.
        CloudUnreachable: it broke off; calling again goes on.
    """
    start = target.seek(0, io.SEEK_END)
    with typed_errors(f"read s3://{bucket}/{key}"):
        try:
            if start:
                stated = _fetch_rest(client, bucket, key, target, start, progress)
            else:
                stated = client.get_object(Bucket=bucket, Key=key)
                _write(stated, target, progress)
            checksum = _left_to_compare(client, bucket, key, stated, whole=not start)
        except ClientError as error:
            if is_missing(error) or code_of(error) in ("PreconditionFailed", "412"):
                target.truncate(0)
                raise TransferFailed(
                    f"{path} was deleted or changed in s3://{bucket}/{key} meanwhile; run it again"
                ) from error
            raise
    if checksum is not None and agrees(target, stated["ContentLength"], checksum) is False:
        target.truncate(0)
        raise TransferFailed(
            f"what was fetched of {path} has not the checksum that S3 states; it was thrown away, "
            "run it again"
        )
    return Fetched(int(stated["LastModified"].timestamp()), mode_of(stated["Metadata"]))


def _fetch_rest(
    client: S3Client, bucket: str, key: str, target: IO[bytes], start: int, progress: Progress
) -> Any:
    head = client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    start = min(start, head["ContentLength"])
    target.truncate(start)
    target.seek(start)
    progress(start)
    if start < head["ContentLength"]:
        answer = client.get_object(
            Bucket=bucket, Key=key, Range=f"bytes={start}-", IfMatch=head["ETag"]
        )
        _write(answer, target, progress)
    return head


def _write(answer: Any, target: IO[bytes], progress: Progress) -> None:
    for chunk in answer["Body"].iter_chunks(CHUNK):
        target.write(chunk)
        progress(len(chunk))


def _left_to_compare(
    client: S3Client, bucket: str, key: str, stated: Mapping[str, Any], *, whole: bool
) -> Checksum | None:
    """What boto3 has not compared; None if nothing is left, or nothing is known."""
    for algorithm in ("SHA256", "CRC32"):
        value = stated.get(f"Checksum{algorithm}")
        if value and "-" in value:
            first = client.get_object(Bucket=bucket, Key=key, PartNumber=1, IfMatch=stated["ETag"])
            first["Body"].close()
            return Checksum(algorithm, value, first["ContentLength"])
        if value and not whole:
            return Checksum(algorithm, value)
    return None
