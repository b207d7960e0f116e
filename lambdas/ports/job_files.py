"""The files under a job's prefix, as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from job_protocol import object_keys
from job_protocol.file_mode import MODE_METADATA

_PAGE = 1000
_URL_SECONDS = 3600
_ALGORITHMS = ("SHA256", "CRC32", "CRC32C", "CRC64NVME", "SHA1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A part of a folder.

    Attributes:
        files: name, bytes and time of each file.
        folders: the names of the folders in it.
        next: where the next part starts, if there is more.
        there: whether there is such a folder, which may be empty.
    """

    files: tuple[tuple[str, int, datetime], ...]
    folders: tuple[str, ...]
    next: str | None
    there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """A file.

    Attributes:
        size: bytes.
        modified: when it was put.
    """

    size: int
    modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A part of a flat list.

    Attributes:
        files: path, bytes and time of each file.
        more: whether there are more behind the last one.
    """

    files: tuple[tuple[str, int, datetime], ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file as it is now, and how to fetch it.

    Attributes:
        url: where, for an hour at most.
        etag: tells this content from any other, for `If-Match`.
        size: bytes.
        modified: when it was put.
        mode: its file mode in octal, if it is known.
        checksum: algorithm and value, if S3 keeps one.
        part_size: bytes of its first part, if it was put in parts.
    """

    url: str
    etag: str
    size: int
    modified: datetime
    mode: str | None
    checksum: tuple[str, str] | None
    part_size: int | None


class JobFiles:
    """The files of one site's jobs."""

    def __init__(self, client: Any, bucket: str) -> None:
        """Use the bucket.

        Args:
            client: a boto3 S3 client.
            bucket: the site's bucket.
        """
        self._client = client
        self._bucket = bucket

    def folder(self, job_id: str, path: str, after: str | None = None) -> Folder:
        """What lies directly in a folder; at most 1000 entries at once.

        Args:
            job_id: the job.
            path: the folder's path without a slash at its end; empty for the job's own folder.
            after: where the part before ended.
        """
        prefix = object_keys.input_key(job_id, f"{path}/" if path else "")
        start = {"ContinuationToken": after} if after else {}
        answer = self._client.list_objects_v2(
            Bucket=self._bucket, Prefix=prefix, Delimiter="/", MaxKeys=_PAGE, **start
        )
        return Folder(
            files=tuple(
                (row["Key"].removeprefix(prefix), int(row["Size"]), row["LastModified"])
                for row in answer.get("Contents", [])
                if row["Key"] != prefix
            ),
            folders=tuple(
                row["Prefix"].removeprefix(prefix).rstrip("/")
                for row in answer.get("CommonPrefixes", [])
            ),
            next=answer.get("NextContinuationToken"),
            there=bool(answer.get("Contents") or answer.get("CommonPrefixes")),
        )

    def tree(self, job_id: str, *, under: str, after: str) -> Tree:
        """What lies under the job's prefix, however deep; at most 1000 files at once.

        Args:
            job_id: the job.
            under: what the paths begin with.
            after: only paths that come after this one; empty for all.
        """
        start = {"StartAfter": object_keys.input_key(job_id, after)} if after else {}
        answer = self._client.list_objects_v2(
            Bucket=self._bucket,
            Prefix=object_keys.input_key(job_id, under),
            MaxKeys=_PAGE,
            **start,
        )
        return Tree(
            files=tuple(
                (
                    object_keys.relative_path(job_id, row["Key"]),
                    int(row["Size"]),
                    row["LastModified"],
                )
                for row in answer.get("Contents", [])
            ),
            more=bool(answer.get("IsTruncated")),
        )

    def stored(self, job_id: str, path: str) -> Stored | None:
        """A file as it is now; None if there is none."""
        target = {"Bucket": self._bucket, "Key": object_keys.input_key(job_id, path)}
        try:
            answer = self._client.head_object(**target, ChecksumMode="ENABLED")
            sums = [
                (name, answer[f"Checksum{name}"])
                for name in _ALGORITHMS
                if answer.get(f"Checksum{name}")
            ]
            part_size = None
            if sums and "-" in sums[0][1]:
                first = self._client.get_object(**target, PartNumber=1, IfMatch=answer["ETag"])
                first["Body"].close()
                part_size = int(first["ContentLength"])
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return None
            raise
        return Stored(
            url=self.url(job_id, path),
            etag=answer["ETag"],
            size=int(answer["ContentLength"]),
            modified=answer["LastModified"],
            mode=answer.get("Metadata", {}).get(MODE_METADATA),
            checksum=sums[0] if sums else None,
            part_size=part_size,
        )

    def stat(self, job_id: str, path: str) -> Stat | None:
        """The file at a path; None if there is none."""
        try:
            answer = self._client.head_object(
                Bucket=self._bucket, Key=object_keys.input_key(job_id, path)
            )
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return None
            raise
        return Stat(size=int(answer["ContentLength"]), modified=answer["LastModified"])

    def read(self, job_id: str, path: str, start: int, length: int) -> bytes:
        """A piece of a file; shorter at its end, empty behind it.

        Args:
            job_id: the job.
            path: the file's path.
            start: its first byte.
            length: bytes, at least one.
        """
        try:
            answer = self._client.get_object(
                Bucket=self._bucket,
                Key=object_keys.input_key(job_id, path),
                Range=f"bytes={start}-{start + length - 1}",
            )
        except self._client.exceptions.ClientError as error:
            # 416: nothing lies there (yet). 404: it was deleted since its size was read.
            if error.response["Error"]["Code"] in ("InvalidRange", "416", "NoSuchKey"):
                return b""
            raise
        with answer["Body"] as body:
            content: bytes = body.read()
        return content

    def url(self, job_id: str, path: str) -> str:
        """A URL under which the whole file can be fetched for an hour at most."""
        url: str = self._client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self._bucket, "Key": object_keys.input_key(job_id, path)},
            ExpiresIn=_URL_SECONDS,
        )
        return url
