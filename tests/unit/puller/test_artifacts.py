"""Artifacts come into the job directory whole or not at all, whatever interrupts them."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job_protocol.job_settings import Artifact, JobSettings
from job_protocol.manifest import Entry, Manifest
from puller.artifact_git import GitCheckouts
from puller.artifact_hosts import ArtifactHosts
from puller.artifact_http import HttpDownloads
from puller.artifact_patience import Failures
from puller.artifact_staging import ArtifactSources
from puller.artifacts import stage_artifacts
from puller.cloud.s3_artifacts import S3Artifacts
from puller.errors import StagingError
from puller.job_directory import JobDirectory, control_directory
from puller.results import plan_results
from puller.staging import StagedIndex, stage
from tests.artifact_server import ArtifactServer, artifact_server, status
from tests.unit.puller.hostile_archives import header, link, tar, zipped
from tests.unit.puller.memory_bucket import MemoryBucket

ALLOCATION = "0a1b2c3d-0000-5000-8000-000000000001"
TOOL = b"x" * 10
TOOLS = tar(
    header("bin/tool", mode=0o755, size=10), ("lib/a.so.1", b"1"), link("lib/a.so", "a.so.1")
)


def _no_aws(region: str | None) -> NoReturn:
    raise AssertionError("nothing is fetched from AWS here")


class Job:
    """One allocation with its artifacts."""

    def __init__(self, jobs: Path, server: ArtifactServer) -> None:
        self.server = server
        self.now = 1_700_000_000.0
        self.bucket = MemoryBucket()
        self.directory = JobDirectory(jobs, "job1")
        self.directory.prepare(ALLOCATION, datetime(2024, 1, 1, tzinfo=UTC))
        self.control = control_directory(jobs, ALLOCATION)
        self.entries: list[Entry] = []
        self.artifacts: list[Artifact] = []
        self.limit = 1_000_000
        self.upload("aws-job-run.sh")

    def upload(self, path: str) -> None:
        version = self.bucket.store(f"job1/{path}", b"#!/bin/sh\n")
        self.entries.append(Entry(path, version, 10))

    def artifact(self, path: str, content: bytes | None = None, **more: Any) -> None:
        if content is not None:
            self.server.files[path.partition("?")[0]] = content
            self.server.files[path] = content
        self.artifacts.append(Artifact(source=self.server.url(path), **more))

    def run(self) -> None:
        hosts = ArtifactHosts.of([f"127.0.0.1:{self.server.port}"])
        http = HttpDownloads(hosts)
        sources = ArtifactSources(
            hosts=hosts,
            http=http,
            s3=S3Artifacts(_no_aws),
            git=GitCheckouts(http.addresses, {}),
            bucket="own-bucket",
            max_bytes=self.limit,
            patience=3600,
        )
        stage(Manifest(tuple(self.entries)), self.directory, self.control, self.bucket, workers=1)
        stage_artifacts(
            self.artifacts,
            [entry.path for entry in self.entries],
            self.directory,
            self.control,
            sources,
            self.now,
        )

    def refused(self) -> str:
        with pytest.raises(StagingError) as caught:
            self.run()
        assert caught.value.final
        assert str(caught.value).startswith("job 'job1': artifact ")
        return str(caught.value)

    def waits(self) -> str:
        with pytest.raises(StagingError) as caught:
            self.run()
        assert not caught.value.final
        return str(caught.value)

    def files(self) -> set[str]:
        root = self.directory.path
        found = {str(path.relative_to(root)) for path in root.rglob("*")}
        return found - {"aws-job-run.sh", "aws-job-allocation.json"}

    def results(self) -> set[str]:
        plan = plan_results(self.directory, StagedIndex.load(self.control), JobSettings())
        assert plan.left_out == ()
        return {file.path for file in plan.files} | set(plan.folders)


@pytest.fixture(scope="module")
def listening() -> Iterator[ArtifactServer]:
    with artifact_server() as made:
        yield made


@pytest.fixture
def server(listening: ArtifactServer) -> ArtifactServer:
    listening.files.clear()
    listening.asked.clear()
    return listening


@pytest.fixture
def job(tmp_path: Path, server: ArtifactServer) -> Job:
    return Job(tmp_path, server)


def test_a_file_an_archive_and_a_compressed_file(job: Job) -> None:
    job.artifact("/batch.jar", b"jar")
    job.artifact("/tools.tar.gz", TOOLS, destination="opt/tools")
    job.artifact("/data.csv.gz", gzip.compress(b"1,2"), destination=".")
    job.artifact("/run", b"#!/bin/sh\n", destination="./", options={"filename": "start"})
    job.artifact("/x.zip", zipped(("a", b"1")), mode="file", destination="only")
    job.run()
    root = job.directory.path
    assert (root / "local/batch.jar").read_bytes() == b"jar"
    assert (root / "opt/tools/lib/a.so").read_bytes() == b"1"
    assert os.access(root / "opt/tools/bin/tool", os.X_OK)
    assert (root / "data.csv").read_bytes() == b"1,2"
    assert (root / "only").read_bytes() == b"1"
    assert os.access(root / "start", os.X_OK)
    assert not (root / "local/batch.jar").stat().st_mode & 0o111
    assert (root / "local/batch.jar").stat().st_mtime == 1_700_000_000


def test_a_folder_of_an_archive(job: Job) -> None:
    job.artifact("/tools.tar.gz", TOOLS, destination="lib")
    job.artifacts = [Artifact(source=job.server.url("/tools.tar.gz//lib"), destination="lib")]
    job.run()
    assert job.files() == {"lib", "lib/a.so", "lib/a.so.1"}
    job.artifacts = [Artifact(source=job.server.url("/tools.tar.gz//share"), destination="share")]
    (job.control.path / "artifact-0.jsonl").unlink()
    assert "no folder 'share'" in job.refused()


def test_what_is_complete_is_not_fetched_again(job: Job) -> None:
    job.artifact("/tools.tar.gz", TOOLS)
    job.run()
    job.run()
    assert len(job.server.asked) == 1
    assert not list((job.control.path / "artifacts").iterdir())


def test_what_was_changed_before_the_submission_is_fetched_again(job: Job) -> None:
    job.artifact("/a", b"right")
    job.run()
    (job.directory.path / "local/a").write_bytes(b"wrong")
    job.run()
    assert (job.directory.path / "local/a").read_bytes() == b"right"


def test_an_unchanged_artifact_is_no_result_and_a_changed_one_is(job: Job) -> None:
    job.artifact("/tools.tar.gz", TOOLS)
    job.artifact("/a", b"1")
    job.run()
    assert job.results() == set()
    (job.directory.path / "local/bin/tool").write_bytes(b"changed")
    (job.directory.path / "local/new").symlink_to("a")
    assert job.results() == {"local/bin/tool", "local/new"}


def test_checksums(job: Job) -> None:
    right, wrong = hashlib.sha256(TOOLS).hexdigest(), "0" * 64
    job.artifact("/tools.tar.gz", TOOLS, checksum=f"sha256:{right}")
    job.run()
    assert "local/bin/tool" in job.files()
    job.artifact("/other.tar.gz", TOOLS, checksum=f"sha256:{wrong}", destination="other")
    assert f"is {right}, not {wrong}" in job.refused()
    assert "other/bin/tool" not in job.files()


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("/gone", None, "404"),
        ("/evil.tar.gz", tar(("../../aws-job-run.sh", b"x")), "leads outside"),
        ("/evil.tar.gz", tar(link("a", "/etc")), "leads outside"),
        ("/big", bytes(1_000_001), "max_artifact_bytes"),
        ("/empty.zip", zipped(), "nothing in it"),
        ("/x.zip", zipped(("aws-job-stat.txt", b"x")), "protocol"),
    ],
    ids=["gone", "member outside", "link outside", "large", "empty", "protocol's name"],
)
def test_what_is_refused_leaves_nothing(
    job: Job, path: str, content: bytes | None, words: str
) -> None:
    job.artifact(path, content)
    assert words in job.refused()
    assert job.files() == set()


def test_an_artifact_replaces_no_input_and_no_other_artifact(job: Job) -> None:
    job.upload("data/a")
    job.artifact("/a", b"1", destination="data")
    assert "would replace 'data/a'" in job.refused()
    job.artifacts.clear()
    job.artifact("/x.zip", zipped(("aws-job-run.sh", b"evil")), destination=".")
    assert "would replace 'aws-job-run.sh'" in job.refused()
    job.artifacts.clear()
    job.artifact("/a", b"1")
    job.artifact("/x.zip", zipped(("a", b"2")))
    assert "artifact 2" in job.refused()


def test_a_destination_that_is_an_input_is_refused(job: Job) -> None:
    job.upload("data/a")
    job.artifact("/a", b"1", destination="data/a")
    assert "file" in job.refused()


def test_the_secret_of_a_signed_url_is_not_told(job: Job) -> None:
    job.artifact("/gone?signature=secret")
    assert "secret" not in job.refused()


def test_a_host_that_is_not_listed(job: Job) -> None:
    job.artifacts = [Artifact(source="https://example.org/a")]
    assert 'add "example.org" to artifact_hosts' in job.refused()
    job.artifacts = [Artifact(source="s3://other-bucket/a")]
    assert 'add "s3://other-bucket" to artifact_hosts' in job.refused()


def test_a_failure_that_may_pass_is_tried_again_and_not_for_ever(job: Job) -> None:
    job.artifact("/a", b"1")
    job.server.files["/a"] = status(503)
    first = job.waits()
    assert "503" in first
    assert "artifact_patience" in first
    assert job.waits() == first
    assert len(job.server.asked) == 1  # not asked again at once
    job.now += 16
    assert job.waits() == first
    assert len(job.server.asked) == 2
    job.now += 3600
    assert "tried for 3600 s" in job.refused()


def test_a_success_forgets_the_failures(job: Job) -> None:
    job.artifact("/a", b"1")
    job.server.files["/a"] = status(503)
    job.waits()
    job.server.files["/a"] = b"1"
    job.now += 16
    job.run()
    assert not (job.control.path / "artifact-failures.json").exists()


def test_the_wait_grows_and_a_clock_that_was_set_back_does_not_stop_it() -> None:
    waits = [Failures(0, count, 100, "").wait for count in (1, 2, 3, 10, 1000)]
    assert waits == [15, 30, 60, 600, 600]
    assert not Failures(0, 1, 100, "").must_wait(99)


class Killed(BaseException):
    """As if the process had been killed."""


@given(st.integers(0, 90))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=40,
)
def test_after_a_crash_at_any_step_the_next_run_completes(
    tmp_path_factory: pytest.TempPathFactory, listening: ArtifactServer, step: int
) -> None:
    job = Job(tmp_path_factory.mktemp("jobs"), listening)
    job.artifact("/tools.tar.gz", TOOLS, destination=".")
    job.artifact("/a", b"1" * 1000)
    steps = 0

    def dies(name: str) -> Any:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps > step:
                raise Killed
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "fsync", "write", "fchmod", "utime", "mkdir", "unlink", "symlink"):
            patch.setattr(os, name, dies(name))
        with suppress(Killed):
            job.run()
    whole = {"bin", "bin/tool", "lib", "lib/a.so", "lib/a.so.1", "local", "local/a"}
    for path in job.files():
        assert path in whole
    for file, content in (("bin/tool", TOOL), ("local/a", b"1" * 1000)):
        if (job.directory.path / file).exists():
            assert (job.directory.path / file).read_bytes() == content
    job.run()
    assert job.files() == whole
    assert job.results() == set()
    assert not list((job.control.path / "artifacts").iterdir())
