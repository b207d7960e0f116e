"""The way to the jobs with nothing but rights on the site's bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from job_protocol import object_keys
from job_protocol.job_settings import SharedInput
from job_protocol.object_keys import (
    SETTINGS,
    SIGNATURE,
    SIGNED,
    input_key,
    status_details_key,
    status_word_key,
)
from job_protocol.states import Word
from jobferry.aws_errors import code_of, is_missing, typed_errors
from jobferry.errors import JobNotFound, TransferFailed, UsageError
from jobferry.interface import Event, Fetched, Listing, Progress, RemoteFile
from jobferry.report import Report, report_of
from jobferry.run_history import events_of
from jobferry.s3_download import CHUNK, fetch
from jobferry.s3_upload import TRANSFERS, FileUpload
from jobferry.shared_inputs import SharedUpload
from jobferry.signed_shared import SharedObject, objects_of
from jobferry.status_versions import chains_of, documents_of
from jobferry.upload_plan import LocalFile, Upload
from jobferry.upload_record import Begun, UploadRecord

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_LISTED = 200_000
"""Objects that a search for jobs looks at: 200 requests."""

_OF_HISTORY, _OF_AUDIT = 200, 1000
"""Versions of a status object that are read, the newest: for a job's history, for its event log."""

_WORD_BYTES = 64
_LAST = "\U0010ffff"
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=2 * TRANSFERS,
    user_agent_extra="jobferry-client",
)


def parameter_of(session: boto3.Session) -> Callable[[str], str | None]:
    """Reads parameters of the parameter store; None if there is none.

    Args:
        session: whose profile, region and credentials count.
    """

    def parameter(name: str) -> str | None:
        what = "the API's address" if "/api/" in name else "the bucket"
        with typed_errors(f"read the parameter {name} (naming {what} goes without it)"):
            try:
                answer = session.client("ssm", config=_CONFIG).get_parameter(Name=name)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
            return answer["Parameter"].get("Value")

    return parameter


def s3_client(session: boto3.Session) -> S3Client:
    """The client for objects."""
    return session.client("s3", config=_CONFIG)


class S3Access:
    """The jobs of one bucket.

    Attributes:
        bucket: the bucket's name.
    """

    def __init__(self, client: S3Client, bucket: str, records: Path) -> None:
        """Use a bucket.

        Args:
            client: for its objects.
            bucket: its name.
            records: where begun uploads are remembered.
        """
        self._client = client
        self.bucket = bucket
        self._records = records

    def location(self, job_id: str) -> str:
        """The job's prefix as a URL."""
        return f"s3://{self.bucket}/{job_id}/"

    def report(self, job_id: str) -> Report | None:
        """The job's state from its status objects; None if there is none."""
        word = self._get(status_word_key(job_id), _WORD_BYTES)
        if word is None:
            return None
        return report_of(job_id, word, self._get(status_details_key(job_id)))

    def reports(self, prefix: str, limit: int) -> Listing:
        """Search for status objects under a prefix, and read the words of the `limit` newest."""
        found, complete = self._find_jobs(prefix)
        newest = sorted(found, key=lambda job_id: found[job_id], reverse=True)[:limit]
        with ThreadPoolExecutor(TRANSFERS) as pool:
            words = pool.map(lambda job: self._get(status_word_key(job), _WORD_BYTES), newest)
            reports = [
                Report(job_id, report_of(job_id, word, None).word, {"updated": found[job_id]})
                for job_id, word in zip(newest, words, strict=True)
                if word is not None
            ]
        return Listing(tuple(reports), total=len(found), complete=complete)

    def _find_jobs(self, prefix: str) -> tuple[dict[str, str], bool]:
        """When each job's word was written (ISO 8601, UTC), and whether all were looked at.

        No job lies inside another, so what follows the mark of a job under its prefix is skipped.
        """
        found: dict[str, str] = {}
        after, inside, looked_at = "", None, 0
        while looked_at < MOST_LISTED:
            with typed_errors(f"list s3://{self.bucket}/{prefix}"):
                page = self._client.list_objects_v2(
                    Bucket=self.bucket, Prefix=prefix, StartAfter=after
                )
            rows = page.get("Contents", [])
            for row in rows:
                after = row["Key"]
                if inside is not None and after.startswith(inside):
                    continue
                job_id = object_keys.job_of_mark(after)
                if job_id in (None, object_keys.TOP_OF_BUCKET, object_keys.EMPTY_PREFIX):
                    continue
                found[job_id] = _iso(row["LastModified"])
                inside = f"{job_id}/"
            if not page.get("IsTruncated"):
                return found, True
            if inside is not None and after.startswith(inside):
                after = f"{inside}{_LAST}"
            looked_at += len(rows)
        return found, False

    def share(self, upload: SharedUpload, progress: Progress) -> None:
        """Upload what is not there yet: the prefix is named after the content."""
        with typed_errors(f"upload to s3://{self.bucket}/{upload.prefix}"):
            there: dict[str, int] = {}
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=upload.prefix
            )
            for page in pages:
                there |= {row["Key"]: row["Size"] for row in page.get("Contents", [])}
            missing = []
            for file in upload.files:
                if there.get(f"{upload.prefix}{file.path}") == file.size:
                    progress(file.size)
                else:
                    missing.append(file)
            with self._record(upload.prefix, upload.files) as record:
                self._upload_files("", upload.prefix, missing, record, progress)
                record.forget()
            if missing and (changed := upload.changed()):
                raise TransferFailed(
                    f"{changed[0]} changed while it was uploaded, so that its name says something "
                    f"else than its content; delete s3://{self.bucket}/{upload.prefix} and submit "
                    "again"
                )
            for folder in upload.folders:
                if f"{upload.prefix}{folder}" not in there:
                    self._put(f"{upload.prefix}{folder}", b"")

    def shared_objects(self, row: SharedInput) -> Iterable[SharedObject]:
        """The objects of a row of `inputs`, with their SHA-256."""
        return objects_of(self._client, self.bucket, row)

    def submit(self, upload: Upload, progress: Progress, sites: Sequence[str] = ()) -> str:
        """Upload everything in parallel, and when all of it is there, put the mark.

        Returns:
            The job id: that of an upload that broke off, if this is the same one.
        """
        if sites:
            raise UsageError("choosing among several sites needs the API (--via api)")
        own_id = upload.chosen or upload.signed is not None
        with self._record(upload.job_id if own_id else "", upload.files) as record:
            job_id = upload.job_id if own_id else self._begun(record) or upload.job_id
            with typed_errors(f"upload to {self.location(job_id)}"):
                self._upload_files(job_id, input_key(job_id, ""), upload.files, record, progress)
                for folder in upload.folders:
                    self._put(input_key(job_id, folder), b"")
                if upload.settings is not None:
                    self._put(input_key(job_id, SETTINGS), upload.settings)
                if upload.signed is not None:
                    self._put(input_key(job_id, SIGNED), upload.signed.document)
                    self._put(input_key(job_id, SIGNATURE), upload.signed.signature)
                self._put(status_word_key(job_id), Word.FILE_UPLOAD.body)
            record.forget()
        return job_id

    def _begun(self, record: UploadRecord) -> str | None:
        """The id under which these files were begun to be uploaded, unless they became a job."""
        begun = record.read()
        return None if begun is None or self.report(begun.job_id) else begun.job_id

    def _record(self, about: str, files: Sequence[LocalFile]) -> UploadRecord:
        """What is remembered of an upload of these files, as they are now."""
        rows = [f"{f.source}\n{f.path}\n{f.size}\n{f.mode}\n{f.mtime_ns}" for f in files]
        return UploadRecord(self._records, f"s3://{self.bucket}", about, *rows)

    def _upload_files(
        self,
        job_id: str,
        prefix: str,
        files: Sequence[LocalFile],
        record: UploadRecord,
        progress: Progress,
    ) -> None:
        found = record.read()
        parts = dict(found.parts) if found is not None else {}

        def remember(path: str, upload: str) -> None:
            parts[path] = upload
            record.write(Begun(job_id, self.bucket, "", parts))

        FileUpload(self._client, self.bucket, parts, remember).upload(prefix, files, progress)

    def stop(self, job_id: str) -> None:
        """Write `JOB_STOP`."""
        with typed_errors(f"stop the job at {self.location(job_id)}"):
            self._put(status_word_key(job_id), Word.JOB_STOP.body)

    def retry(self, job_id: str) -> None:
        """Write `JOB_RETRY`."""
        with typed_errors(f"run the job at {self.location(job_id)} again"):
            self._put(status_word_key(job_id), Word.JOB_RETRY.body)

    def events(self, job_id: str) -> tuple[Event, ...]:
        """What the versions of the job's status object tell, oldest first."""
        found = documents_of(self._client, self.bucket, job_id, most=_OF_HISTORY)
        if not found:
            raise JobNotFound(
                f"nothing is kept of a job {job_id!r} at {self.location(job_id)}; see "
                "`jobferry status` for all jobs"
            )
        return events_of(reversed(found))

    def audit(self, job_id: str) -> tuple[dict[str, Any], ...]:
        """The chains of its allocations, from the versions of `aws-job-stat.json`."""
        return chains_of(documents_of(self._client, self.bucket, job_id, most=_OF_AUDIT))

    def files(self, job_id: str, under: str = "", after: str = "") -> Iterator[RemoteFile]:
        """What lies under the job's prefix; see `JobAccess.files`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket,
            Prefix=input_key(job_id, under),
            StartAfter=input_key(job_id, after) if after else "",
        )
        with typed_errors(f"list {self.location(job_id)}"):
            for page in pages:
                for row in page.get("Contents", []):
                    path = object_keys.relative_path(job_id, row["Key"])
                    yield RemoteFile(path, row["Size"], int(row["LastModified"].timestamp()))

    def fetch(self, job_id: str, path: str, target: IO[bytes], progress: Progress) -> Fetched:
        """Write the rest of an object to `target`, and verify all of it."""
        return fetch(self._client, self.bucket, input_key(job_id, path), path, target, progress)

    def read(self, job_id: str, path: str, start: int) -> Iterator[bytes]:
        """The content of an object from a byte on; nothing if there is no more, or no object."""
        key = input_key(job_id, path)
        with typed_errors(f"read s3://{self.bucket}/{key}"):
            try:
                answer = self._client.get_object(
                    Bucket=self.bucket, Key=key, Range=f"bytes={start}-"
                )
            except ClientError as error:
                if is_missing(error) or code_of(error) in ("InvalidRange", "416"):
                    return
                raise
            yield from answer["Body"].iter_chunks(CHUNK)

    def _get(self, key: str, most: int | None = None) -> bytes | None:
        with typed_errors(f"read s3://{self.bucket}/{key}"):
            try:
                answer = self._client.get_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
            with answer["Body"] as body:
                return body.read(most)

    def _put(self, key: str, body: bytes) -> None:
        self._client.put_object(Bucket=self.bucket, Key=key, Body=body)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
