"""A site's bucket, as the Lambdas use it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from job_protocol import object_keys
from lambdas.rules.mark import MAX_WORD_BYTES
from lambdas.rules.upload import ObjectVersion

RESULT_METADATA = "jobferry-result"
_HEADS_AT_ONCE = 32


class SiteBucket:
    """One site's bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        """Use the bucket.

        Args:
            client: a boto3 S3 client.
            bucket: the bucket's name.
        """
        self._client = client
        self.name = bucket

    def read_word(self, key: str, version: str) -> bytes | None:
        """The beginning of a mark's content; None if the version is gone."""
        return self.read(key, version, MAX_WORD_BYTES + 1)

    def read(self, key: str, version: str, limit: int) -> bytes | None:
        """The first `limit` bytes of an object version; None if it is gone."""
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key, VersionId=version)
        except self._client.exceptions.ClientError as error:
            if _is_gone(error):
                return None
            raise
        with answer["Body"] as body:
            content: bytes = body.read(limit)
        return content

    def versions(self, job_id: str, limit: int) -> list[ObjectVersion]:
        """All versions and delete markers under a job's prefix, the newest first within a key.

        Args:
            job_id: the job.
            limit: more than this many are not read on; the answer is then longer than `limit`.
        """
        return self.versions_under(object_keys.input_key(job_id, ""), limit)

    def versions_under(self, prefix: str, limit: int) -> list[ObjectVersion]:
        """All versions and delete markers under any prefix; see `versions`."""
        found: list[tuple[ObjectVersion, bool]] = []
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=self.name, Prefix=prefix
        )
        for page in pages:
            found.extend(_version(row, deleted=False) for row in page.get("Versions", []))
            found.extend(_version(row, deleted=True) for row in page.get("DeleteMarkers", []))
            if len(found) > limit:
                break
        # S3 lists versions and delete markers apart. IsLatest goes before LastModified, which has
        # whole seconds and is, of a multipart upload, the time at which it was begun; a stable
        # sort keeps S3's own order within a second.
        return [v for v, _ in sorted(found, key=lambda pair: (not pair[1], -pair[0].modified))]

    def find_all(
        self, wanted: Iterable[tuple[str, str | None]]
    ) -> dict[tuple[str, str | None], ObjectVersion | None]:
        """Objects by key and version (None: the newest); None for what is not there."""
        keys = list(dict.fromkeys(wanted))
        if not keys:
            return {}
        with ThreadPoolExecutor(_HEADS_AT_ONCE) as pool:
            found = pool.map(lambda pair: self._find(*pair), keys)
            return dict(zip(keys, found, strict=True))

    def _find(self, key: str, version: str | None) -> ObjectVersion | None:
        pinned = {} if version is None else {"VersionId": version}
        try:
            answer = self._client.head_object(Bucket=self.name, Key=key, **pinned)
        except self._client.exceptions.ClientError as error:
            # HEAD has no body to say why: 400 is a version id of a wrong form, 405 a delete marker.
            if _is_gone(error) or (pinned and error.response["Error"]["Code"] in ("400", "405")):
                return None
            raise
        return ObjectVersion(
            key=key,
            version=answer["VersionId"],
            size=answer["ContentLength"],
            modified=int(answer["LastModified"].timestamp()),
        )

    def written_by_puller(self, versions: list[tuple[ObjectVersion, str]]) -> set[ObjectVersion]:
        """Those object versions that carry the given result mark in their metadata."""
        if not versions:
            return set()
        with ThreadPoolExecutor(_HEADS_AT_ONCE) as pool:
            marks = pool.map(lambda pair: self._result_mark(pair[0]), versions)
            return {
                v for (v, expected), mark in zip(versions, marks, strict=True) if mark == expected
            }

    def _result_mark(self, version: ObjectVersion) -> str | None:
        try:
            answer = self._client.head_object(
                Bucket=self.name, Key=version.key, VersionId=version.version
            )
        except self._client.exceptions.ClientError as error:
            if _is_gone(error):
                return None
            raise
        mark: str | None = answer.get("Metadata", {}).get(RESULT_METADATA)
        return mark

    def put_manifest(self, allocation_id: str, body: bytes) -> None:
        """Write a manifest that is too large for the job table."""
        self._client.put_object(
            Bucket=self.name,
            Key=object_keys.input_manifest_key(allocation_id),
            Body=body,
            ContentType="application/json",
        )

    def put_status(self, job_id: str, word: bytes, details: bytes) -> None:
        """Write the status objects: the details first, so that the word never runs ahead."""
        self._client.put_object(
            Bucket=self.name,
            Key=object_keys.status_details_key(job_id),
            Body=details,
            ContentType="application/json; charset=utf-8",
            CacheControl="no-store",
        )
        self._client.put_object(
            Bucket=self.name,
            Key=object_keys.status_word_key(job_id),
            Body=word,
            ContentType="text/plain; charset=utf-8",
            CacheControl="no-store",
        )


def _is_gone(error: Any) -> bool:
    return error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion", "404")


def _version(row: dict[str, Any], *, deleted: bool) -> tuple[ObjectVersion, bool]:
    version = ObjectVersion(
        key=row["Key"],
        version=row["VersionId"],
        size=row.get("Size", 0),
        modified=int(row["LastModified"].timestamp()),
        deleted=deleted,
        etag=row.get("ETag", "").strip('"'),
    )
    return version, bool(row.get("IsLatest"))
