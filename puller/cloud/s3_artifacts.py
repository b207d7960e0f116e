"""Artifacts in Amazon S3, fetched with the puller's own rights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from threading import Lock
from typing import IO, TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from job_protocol.artifact_source import S3Source
from puller.bucket import VersionGone
from puller.cloud.errors import status_of, typed
from puller.cloud.s3_bucket import S3Bucket
from puller.errors import ArtifactRefused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Connect = Callable[[str | None], "S3Client"]

_NO_VERSION = "null"
"""The version id of an object in a bucket that never had versions (Amazon S3 user guide)."""


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One version of an object.

    Attributes:
        key, version: the version.
        size: bytes.
    """

    key: str
    version: str
    size: int


class S3Artifacts:
    """Objects of any bucket that the puller's credentials may read."""

    def __init__(self, connect: Connect) -> None:
        """Prepare to read.

        Args:
            connect: makes a client for a region; None means that of the settings. Called once for
                each region.
        """
        self._make = connect
        self._lock = Lock()
        self._clients: dict[str | None, S3Client] = {}

    def _connect(self, region: str | None) -> S3Client:
        with self._lock:
            if region not in self._clients:
                self._clients[region] = self._make(region)
            return self._clients[region]

    def find(self, source: S3Source) -> FoundObject:
        """The object as it is now.

        Raises:
            ArtifactRefused: it is not there, or may not be read.
            CloudUnreachable, CloudRefused: see `puller.errors`.
        """
        doing = f"read s3://{source.bucket}/{source.key}"
        try:
            client = self._connect(source.region)
            if source.version is None:
                head = client.head_object(Bucket=source.bucket, Key=source.key)
            else:
                head = client.head_object(
                    Bucket=source.bucket, Key=source.key, VersionId=source.version
                )
        except (BotoCoreError, ClientError) as error:
            raise _typed(error, doing) from error
        return FoundObject(
            source.key, head.get("VersionId", _NO_VERSION), int(head["ContentLength"])
        )

    def below(self, source: S3Source, most: int) -> list[str]:
        """The keys under a prefix.

        Args:
            source: its key is empty or ends in `/`.
            most: how many there may be.

        Raises:
            ArtifactRefused: there is none, there are too many, or they may not be listed.
            CloudUnreachable, CloudRefused: see `puller.errors`.
        """
        place = f"s3://{source.bucket}/{source.key}"
        found: list[str] = []
        try:
            pages = self._connect(source.region).get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=source.bucket, Prefix=source.key):
                found += [row["Key"] for row in page.get("Contents", [])]
                if len(found) > most:
                    raise ArtifactRefused(f"there are more than {most} objects under {place}")
        except (BotoCoreError, ClientError) as error:
            raise _typed(error, f"list {place}") from error
        if not found:
            raise ArtifactRefused(f"there is nothing under {place}; check the key")
        return found

    def fetch(self, source: S3Source, found: FoundObject, target: IO[bytes]) -> float:
        """Write an object's content to an empty file; the result is when it was modified.

        Raises:
            ArtifactRefused: it is gone.
            CloudUnreachable, CloudRefused: see `puller.errors`.
            OSError: `target` cannot be written.
        """
        bucket = S3Bucket(source.bucket, lambda: self._connect(source.region))
        with closing(bucket):
            try:
                return bucket.fetch(found.key, found.version, found.size, target).modified
            except VersionGone as error:
                raise ArtifactRefused(str(error)) from error


def _typed(error: Exception, doing: str) -> Exception:
    if isinstance(error, ClientError):
        status = status_of(error)
        if status == 404:
            return ArtifactRefused(f"cannot {doing}: there is no such object; check the key")
        if status == 403:
            return ArtifactRefused(
                f"cannot {doing}: it is not there, or the site's puller has no right to read it; "
                "check the key, or copy the object under the job's prefix"
            )
        if status == 400:
            return ArtifactRefused(f"cannot {doing}: AWS says it is no valid request; check it")
    return typed(error, doing)
