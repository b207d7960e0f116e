"""The way to the jobs with nothing but rights on the site's bucket."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

import boto3
from boto3.s3.transfer import ProgressCallbackInvoker
from botocore.config import Config
from botocore.exceptions import ClientError
from s3transfer.exceptions import CancelledError, RetriesExceededError
from s3transfer.manager import TransferConfig, TransferManager

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
from jobferry.checksums import Checksum, agrees
from jobferry.errors import CloudUnreachable, TransferFailed, UsageError
from jobferry.file_mode import MODE_METADATA, mode_of
from jobferry.interface import Event, Fetched, Listing, Progress, RemoteFile
from jobferry.report import Report, report_of
from jobferry.shared_inputs import SharedUpload
from jobferry.signed_shared import SharedObject, objects_of
from jobferry.status_versions import chains_of
from jobferry.upload_plan import LocalFile, Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MOST_LISTED = 200_000
"""Objects that a search for jobs looks at: 200 requests."""

_CHUNK = 256 * 1024
_WORD_BYTES = 64
_TRANSFERS = 10
_LAST = "\U0010ffff"
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=2 * _TRANSFERS,
    user_agent_extra="jobferry-client",
)


def parameter_of(session: boto3.Session) -> Callable[[str], str | None]:
    """Reads parameters of the parameter store; None if there is none.

    Args:
        session: whose profile, region and credentials count.
    """

    def parameter(name: str) -> str | None:
        with typed_errors(f"read the parameter {name} (naming the bucket goes without it)"):
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

    def __init__(self, client: S3Client, bucket: str) -> None:
        """Use `client` for objects of `bucket`."""
        self._client = client
        self.bucket = bucket

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
        with ThreadPoolExecutor(_TRANSFERS) as pool:
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
            self._upload_files(upload.prefix, missing, progress)
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
        """Upload everything in parallel, and when all of it is there, put the mark."""
        if sites:
            raise UsageError("choosing among several sites needs the API (--via api)")
        job_id = upload.job_id
        with typed_errors(f"upload to {self.location(job_id)}"):
            self._upload_files(input_key(job_id, ""), upload.files, progress)
            for folder in upload.folders:
                self._put(input_key(job_id, folder), b"")
            if upload.settings is not None:
                self._put(input_key(job_id, SETTINGS), upload.settings)
            if upload.signed is not None:
                self._put(input_key(job_id, SIGNED), upload.signed.document)
                self._put(input_key(job_id, SIGNATURE), upload.signed.signature)
            self._put(status_word_key(job_id), Word.FILE_UPLOAD.body)
        return job_id

    def _upload_files(self, prefix: str, files: Sequence[LocalFile], progress: Progress) -> None:
        config = TransferConfig(max_request_concurrency=_TRANSFERS)
        with TransferManager(self._client, config) as manager:  # an exception cancels the rest
            futures = [
                manager.upload(
                    str(file.source),
                    self.bucket,
                    f"{prefix}{file.path}",
                    extra_args={"Metadata": {MODE_METADATA: f"{file.mode:04o}"}},
                    subscribers=[ProgressCallbackInvoker(progress)],
                )
                for file in files
            ]
            for file, future in zip(files, futures, strict=True):
                try:
                    future.result()
                except OSError as error:
                    raise TransferFailed(
                        f"{file.path} cannot be read ({error}); the job was not submitted"
                    ) from error
                except (CancelledError, RetriesExceededError) as error:
                    raise CloudUnreachable(
                        f"the upload of {file.path} broke off ({error}); the job was not "
                        "submitted, try again"
                    ) from error

    def stop(self, job_id: str) -> None:
        """Write `JOB_STOP`."""
        with typed_errors(f"stop the job at {self.location(job_id)}"):
            self._put(status_word_key(job_id), Word.JOB_STOP.body)

    def retry(self, job_id: str) -> None:
        """Write `JOB_RETRY`."""
        with typed_errors(f"run the job at {self.location(job_id)} again"):
            self._put(status_word_key(job_id), Word.JOB_RETRY.body)

    def events(self, job_id: str) -> tuple[Event, ...]:
        """Only the API tells them."""
        raise UsageError(
            f"the bucket does not tell what happened to job {job_id!r}; this needs the API "
            "(--via api)"
        )

    def audit(self, job_id: str) -> tuple[dict[str, Any], ...]:
        """The chains of its allocations, from the versions of `aws-job-stat.json`."""
        return chains_of(self._client, self.bucket, job_id)

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
        """Write the rest of an object to `target`; boto3 or this checks length and checksum."""
        key = input_key(job_id, path)
        start = target.seek(0, io.SEEK_END)
        with typed_errors(f"read s3://{self.bucket}/{key}"):
            try:
                if start:
                    return self._fetch_rest(key, path, target, start, progress)
                answer = self._client.get_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if is_missing(error) or code_of(error) in ("PreconditionFailed", "412"):
                    target.truncate(0)
                    raise TransferFailed(
                        f"{path} was deleted or changed at {self.location(job_id)} meanwhile; run "
                        "it again"
                    ) from error
                raise
            for chunk in answer["Body"].iter_chunks(_CHUNK):
                target.write(chunk)
                progress(len(chunk))
            return Fetched(int(answer["LastModified"].timestamp()), mode_of(answer["Metadata"]))

    def _fetch_rest(
        self, key: str, path: str, target: IO[bytes], start: int, progress: Progress
    ) -> Fetched:
        head = self._client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        size = head["ContentLength"]
        start = min(start, size)
        target.truncate(start)
        target.seek(start)
        progress(start)
        if start < size:
            answer = self._client.get_object(
                Bucket=self.bucket, Key=key, Range=f"bytes={start}-", IfMatch=head["ETag"]
            )
            for chunk in answer["Body"].iter_chunks(_CHUNK):
                target.write(chunk)
                progress(len(chunk))
        for algorithm, value in (
            ("SHA256", head.get("ChecksumSHA256")),
            ("CRC32", head.get("ChecksumCRC32")),
        ):
            if value and agrees(target, size, Checksum(algorithm, value)) is False:
                target.truncate(0)
                raise TransferFailed(
                    f"what was fetched of {path} has not the checksum that S3 states; it was "
                    "thrown away, run it again"
                )
        return Fetched(int(head["LastModified"].timestamp()), mode_of(head["Metadata"]))

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
            yield from answer["Body"].iter_chunks(_CHUNK)

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
