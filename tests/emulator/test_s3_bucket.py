"""The S3 port against the emulator: versions, parts, metadata, and what goes wrong."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Entry, Manifest
from local_cloud.emulator import Emulator
from puller.bucket import BaseVersion, FileRange, SourceShrank, VersionGone
from puller.cloud import s3_bucket
from puller.cloud.client_config import client_config
from puller.cloud.s3_bucket import LARGE, S3Bucket
from puller.errors import CloudRefused, CloudUnreachable
from puller.file_record import FileState
from puller.job_directory import JobDirectory, control_directory
from puller.live_logs import PushedLog, push_log
from puller.push import ResultTarget, push_results
from puller.results import plan_results
from puller.staging import stage

pytestmark = pytest.mark.emulator

ALLOCATION = "0a1b2c3d-0000-5000-8000-000000000001"
MIB = 1024 * 1024


def client(endpoint_url: str, config: Config) -> Any:
    return boto3.Session().client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


class Requests:
    """The bucket, and which requests it made."""

    def __init__(self, emulator: Emulator, name: str) -> None:
        self.made: list[str] = []
        self.client = client(emulator.endpoint_url, client_config(connections=32))
        self.client.meta.events.register("before-call.s3", self._note)
        self.bucket = S3Bucket(name, lambda: self.client)

    def _note(self, model: Any, **_: Any) -> None:
        self.made.append(model.name)

    def put(self, key: str, content: bytes, **arguments: Any) -> str:
        answer = self.client.put_object(Bucket=self.bucket.name, Key=key, Body=content, **arguments)
        return str(answer["VersionId"])

    def get(self, key: str) -> Any:
        return self.client.get_object(Bucket=self.bucket.name, Key=key)


@pytest.fixture
def s3(emulator: Emulator, plain_bucket: str) -> Iterator[Requests]:
    requests = Requests(emulator, plain_bucket)
    yield requests
    requests.bucket.close()


@pytest.fixture
def jobs() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def fetched(s3: Requests, key: str, version: str, size: int) -> tuple[bytes, dict[str, str]]:
    with tempfile.TemporaryFile() as target:
        found = s3.bucket.fetch(key, version, size, target)
        assert abs(found.modified - time.time()) < 3600
        target.seek(0)
        return target.read(), dict(found.metadata)


def file_range(content: bytes) -> Iterator[FileRange]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield FileRange(file.fileno(), 0, len(content))


def test_a_pinned_version_with_its_metadata_takes_one_request(s3: Requests) -> None:
    key = "job 日本/データ +%&.txt"
    version = s3.put(key, b"validated", Metadata={"file-permissions": "0755"})
    s3.put(key, b"later")
    s3.made.clear()
    assert fetched(s3, key, version, 9) == (b"validated", {"file-permissions": "0755"})
    assert s3.made == ["GetObject"]


def test_a_large_pinned_version_arrives_whole(s3: Requests) -> None:
    content = os.urandom(3 * LARGE + 17)
    version = s3.put("job/large", content, Metadata={"file-permissions": "0600"})
    s3.put("job/large", b"later")
    got, metadata = fetched(s3, "job/large", version, len(content))
    assert hashlib.sha256(got).digest() == hashlib.sha256(content).digest()
    assert metadata == {"file-permissions": "0600"}


@pytest.mark.parametrize("size", [4, 2 * LARGE])
@pytest.mark.parametrize("how", ["deleted", "never", "malformed", "other key"])
def test_a_version_that_is_gone_is_told_apart(s3: Requests, size: int, how: str) -> None:
    version = s3.put("job/data", b"x" * size)
    key = "job/data"
    if how == "deleted":
        s3.client.delete_object(Bucket=s3.bucket.name, Key=key, VersionId=version)
    elif how == "never":
        version = "3sL4kqtJlcpXroDTDmJ_rmSpXd3dIbrHY_MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo"
    elif how == "malformed":
        version = "gone"
    else:
        key = "job/other"
    with pytest.raises(VersionGone, match=f"s3://{s3.bucket.name}/{key}"):
        fetched(s3, key, version, size)


def test_a_missing_bucket_is_refused_not_gone(s3: Requests) -> None:
    bucket = S3Bucket("no-such-bucket-anywhere", lambda: s3.client)
    for size in (1, LARGE):
        with pytest.raises(CloudRefused, match="settings"), tempfile.TemporaryFile() as target:
            bucket.fetch("job/data", "v", size, target)
    with pytest.raises(CloudRefused, match="settings"):
        bucket.put("job/data", b"", {})


def test_no_answer_is_unreachable() -> None:
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})
    dead = client("http://127.0.0.1:9", client_config().merge(once))
    bucket = S3Bucket("bucket", lambda: dead)
    with pytest.raises(CloudUnreachable, match="s3://bucket/key"):
        bucket.put("key", b"", {})
    with pytest.raises(CloudUnreachable), tempfile.TemporaryFile() as target:
        bucket.fetch("key", "v", 1, target)


def test_a_body_that_breaks_off_is_fetched_again(
    s3: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = s3.put("job/data", b"x" * 100)
    real = s3_bucket._chunks
    calls = 0

    def breaks_once(body: Any) -> Iterator[bytes]:
        nonlocal calls
        calls += 1
        if calls == 1:
            yield b"half"
            raise s3_bucket._BrokenStream("cut")
        yield from real(body)

    monkeypatch.setattr(s3_bucket, "_chunks", breaks_once)
    assert fetched(s3, "job/data", version, 100)[0] == b"x" * 100


def test_a_small_object_can_be_read_and_a_large_one_is_refused(s3: Requests) -> None:
    s3.put("_jobferry/manifests/a.json", b"[]")
    assert s3.bucket.read("_jobferry/manifests/a.json", 2) == b"[]"
    with pytest.raises(VersionGone):
        s3.bucket.read("_jobferry/manifests/a.json", 1)
    with pytest.raises(VersionGone):
        s3.bucket.read("_jobferry/manifests/b.json", 10)


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, LARGE, 2 * LARGE + 3])
def test_files_of_all_sizes_arrive_with_metadata_and_type(s3: Requests, size: int) -> None:
    content = os.urandom(size)
    for source in file_range(content):
        s3.bucket.put_file("job/a.png", source, {"file-permissions": "0640"})
    found = s3.get("job/a.png")
    assert found["Body"].read() == content
    assert found["Metadata"] == {"file-permissions": "0640"}
    assert found["ContentType"] == "image/png"
    assert ("CreateMultipartUpload" in s3.made) == (size >= LARGE)
    assert "HeadObject" not in s3.made


@pytest.mark.parametrize("size", [10, 2 * MIB, 2 * LARGE])
def test_a_file_that_shrinks_is_told_apart_and_leaves_nothing(s3: Requests, size: int) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * (size - 1))
        file.flush()
        with pytest.raises(SourceShrank):
            s3.bucket.put_file("job/data", FileRange(file.fileno(), 0, size), {})
    listed = s3.client.list_objects_v2(Bucket=s3.bucket.name)
    assert listed["KeyCount"] == 0
    uploads = s3.client.list_multipart_uploads(Bucket=s3.bucket.name)
    assert uploads.get("Uploads", []) == []


def test_a_grown_log_is_composed_inside_the_bucket(s3: Requests) -> None:
    start, middle, end = os.urandom(5 * MIB), os.urandom(17 * MIB), b"the end\n"
    version = s3.bucket.put("job/log", start, {})
    size = len(start)
    for tail in (middle, end):
        for source in file_range(tail):
            base = BaseVersion(version, size)
            version = s3.bucket.put_grown("job/log", base, source, {"jobferry-result": "m"})
            size += len(tail)
    found = s3.get("job/log")
    assert found["Body"].read() == start + middle + end
    assert (found["VersionId"], found["Metadata"]) == (version, {"jobferry-result": "m"})


def test_a_version_that_is_gone_cannot_be_continued_and_leaves_no_upload(s3: Requests) -> None:
    version = s3.bucket.put("job/log", b"x" * (5 * MIB), {})
    s3.client.delete_object(Bucket=s3.bucket.name, Key="job/log", VersionId=version)
    for source in file_range(b"tail"):
        with pytest.raises(VersionGone):
            s3.bucket.put_grown("job/log", BaseVersion(version, 5 * MIB), source, {})
    uploads = s3.client.list_multipart_uploads(Bucket=s3.bucket.name)
    assert uploads.get("Uploads", []) == []


def test_live_pushes_of_a_large_log_send_only_what_is_new(s3: Requests, jobs: Path) -> None:
    directory = JobDirectory(jobs, "job")
    directory.prepare(ALLOCATION, datetime(2024, 1, 1, tzinfo=UTC))
    log = directory.path / "aws-job-stdout.txt"
    pushed: PushedLog | None = None
    for number in range(4):
        with log.open("ab") as file:
            file.write(os.urandom(9 * MIB if number == 0 else 1000))
        s3.made.clear()
        pushed = push_log(
            "aws-job-stdout.txt",
            pushed,
            site="dc1",
            directory=directory,
            bucket=s3.bucket,
            now=number * 1000.0,
        )
        if number:
            assert s3.made.count("UploadPart") == s3.made.count("UploadPartCopy") == 1
    assert s3.get("job/aws-job-stdout.txt")["Body"].read() == log.read_bytes()


def test_two_thousand_small_files_and_a_large_one_go_there_and_come_back(
    s3: Requests, jobs: Path
) -> None:
    made = JobDirectory(jobs / "one", "job")
    made.prepare(ALLOCATION, datetime(2024, 1, 1, tzinfo=UTC))
    contents = {f"out/{n % 40:02}/{n:04}.dat": os.urandom(4096) for n in range(2000)}
    contents["large.bin"] = os.urandom(40 * MIB)
    for path, content in contents.items():
        (made.path / path).parent.mkdir(parents=True, exist_ok=True)
        (made.path / path).write_bytes(content)
    (made.path / "large.bin").chmod(0o755)
    (made.path / "out/none").mkdir()
    staged = stage(Manifest(()), made, control_directory(jobs / "one", ALLOCATION), s3.bucket)
    target = ResultTarget(
        site="dc1",
        allocation_id=ALLOCATION,
        directory=made,
        control=control_directory(jobs / "one", ALLOCATION),
        bucket=s3.bucket,
    )
    summary = push_results(plan_results(made, staged, JobSettings()), target, now=0)
    assert (summary.files, summary.left_out) == (2002, 0)

    pages = s3.client.get_paginator("list_object_versions").paginate(Bucket=s3.bucket.name)
    manifest = Manifest(
        tuple(
            Entry(found["Key"].removeprefix("job/"), found["VersionId"], found["Size"])
            for page in pages
            for found in page["Versions"]
        )
    )
    assert len(manifest.entries) == 2002
    s3.made.clear()
    again = JobDirectory(jobs / "two", "job")
    again.prepare(ALLOCATION, datetime(2024, 1, 1, tzinfo=UTC))
    control = control_directory(jobs / "two", ALLOCATION)
    index = stage(manifest, again, control, s3.bucket)
    assert s3.made.count("GetObject") <= 2000 + 1 + 5
    for path, content in contents.items():
        assert (again.path / path).read_bytes() == content
    assert (again.path / "large.bin").stat().st_mode & 0o777 == 0o755
    assert index.files["large.bin"] == FileState.of((again.path / "large.bin").stat())
    assert (again.path / "out/none").is_dir()
    assert plan_results(again, index, JobSettings()).files == ()
