"""Deletes objects of a site's bucket, all their versions; the purger alone may do so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from job_protocol import object_keys
from lambdas.errors import ControlPlaneError

_STATUS_NAMES = tuple(f"/{name}" for name in sorted(object_keys.STATUS_NAMES))


class BucketRemover:
    """Deletes in one bucket."""

    def __init__(self, client: Any, bucket: str, *, clock: Callable[[], float] = time.time) -> None:
        """Use the bucket.

        Args:
            client: a boto3 S3 client.
            bucket: the bucket's name.
            clock: the time in seconds since the epoch.
        """
        self._client = client
        self._bucket = bucket
        self._clock = clock

    def delete_job(self, job_id: str, *, before: int, until: float) -> bool:
        """Delete every version and delete marker under a job's prefix.

        What was put after the purge was asked for is somebody's new upload and stays, but for the
        status objects.

        Args:
            job_id: the job.
            before: when the purge was asked for, in seconds since the epoch.
            until: when to stop, in seconds since the epoch.

        Returns:
            Whether nothing is left to delete.

        Raises:
            ControlPlaneError: S3 refused to delete something.
        """
        for page in self._pages(object_keys.input_key(job_id, "")):
            self._delete(
                [
                    row
                    for row in page
                    if int(row["LastModified"].timestamp()) <= before
                    or row["Key"].endswith(_STATUS_NAMES)
                ]
            )
            if self._clock() > until:
                return False
        return True

    def delete_own(self, keys: tuple[str, ...]) -> None:
        """Delete objects by their keys, all their versions.

        Raises:
            ControlPlaneError: S3 refused to delete something.
        """
        for key in keys:
            for page in self._pages(key):
                self._delete([row for row in page if row["Key"] == key])

    def _pages(self, prefix: str) -> Iterator[list[dict[str, Any]]]:
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        for page in pages:
            yield [*page.get("Versions", []), *page.get("DeleteMarkers", [])]

    def _delete(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        wanted = [{"Key": row["Key"], "VersionId": row["VersionId"]} for row in rows]
        answer = self._client.delete_objects(
            Bucket=self._bucket, Delete={"Objects": wanted, "Quiet": True}
        )
        for error in answer.get("Errors", []):
            raise ControlPlaneError(
                f"cannot delete {error.get('Key')!r} from {self._bucket}: "
                f"{error.get('Code')} {error.get('Message')}"
            )
