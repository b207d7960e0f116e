"""Artifacts in S3 against the emulator: an object, a version, a folder, and what is not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from job_protocol.artifact_source import S3Source
from job_protocol.job_settings import Artifact, JobSettings
from job_protocol.manifest import Manifest
from local_cloud.emulator import Emulator
from puller.artifact_git import GitCheckouts
from puller.artifact_hosts import ArtifactHosts
from puller.artifact_http import HttpDownloads
from puller.artifact_staging import ArtifactSources
from puller.artifacts import stage_artifacts
from puller.cloud.s3_artifacts import S3Artifacts
from puller.cloud.s3_bucket import LARGE, S3Bucket
from puller.errors import ArtifactRefused, StagingError
from puller.job_directory import JobDirectory, control_directory
from puller.results import plan_results
from puller.staging import StagedIndex, stage
from tests.unit.puller.hostile_archives import tar

pytestmark = pytest.mark.emulator

ALLOCATION = "0a1b2c3d-0000-5000-8000-000000000001"


class Site:
    """A job directory, and a bucket that is the site's own."""

    def __init__(self, jobs: Path, client: Any, bucket: str) -> None:
        self.client, self.bucket = client, bucket
        self.directory = JobDirectory(jobs, "job1")
        self.directory.prepare(ALLOCATION, datetime(2024, 1, 1, tzinfo=UTC))
        self.control = control_directory(jobs, ALLOCATION)
        self.hosts: list[str] = []

    def put(self, key: str, content: bytes) -> str:
        answer = self.client.put_object(Bucket=self.bucket, Key=key, Body=content)
        return str(answer["VersionId"])

    def fetch(self, source: str, *, own: str | None = None, **more: Any) -> None:
        hosts = ArtifactHosts.of(self.hosts)
        http = HttpDownloads(hosts)
        sources = ArtifactSources(
            hosts=hosts,
            http=http,
            s3=S3Artifacts(lambda region: self.client),
            git=GitCheckouts(http.addresses, {}),
            bucket=own or self.bucket,
            max_bytes=3 * LARGE,
            patience=3600,
        )
        bucket = S3Bucket(self.bucket, lambda: self.client)
        stage(Manifest(()), self.directory, self.control, bucket)
        artifacts = [Artifact(source=source, **more)]
        stage_artifacts(artifacts, [], self.directory, self.control, sources, 1_700_000_000)

    def refused(self, source: str, **more: Any) -> str:
        with pytest.raises(StagingError) as caught:
            self.fetch(source, **more)
        assert caught.value.final
        return str(caught.value)


@pytest.fixture
def site(emulator: Emulator, plain_bucket: str) -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as jobs:
        yield Site(Path(jobs), emulator.client("s3"), plain_bucket)


def test_an_object_of_the_own_bucket_by_each_kind_of_url(site: Site) -> None:
    site.put("data/日本 語.txt", b"1")
    site.put("data/plain", b"2")
    for number, source in enumerate(
        [
            f"s3://{site.bucket}/data/plain",
            f"s3::https://s3.eu-west-1.amazonaws.com/{site.bucket}/data/plain",
            f"https://{site.bucket}.s3.eu-west-1.amazonaws.com/data/plain",
        ]
    ):
        (site.control.path / "artifact-0.jsonl").unlink(missing_ok=True)
        site.fetch(source, destination=f"{number}")
        assert (site.directory.path / f"{number}/plain").read_bytes() == b"2"
    (site.control.path / "artifact-0.jsonl").unlink()
    site.fetch(f"s3://{site.bucket}/data/日本 語.txt")
    assert (site.directory.path / "local/日本 語.txt").read_bytes() == b"1"


def test_a_stated_version(site: Site) -> None:
    version = site.put("a", b"first")
    site.put("a", b"second")
    site.fetch(f"s3://{site.bucket}/a?version={version}")
    assert (site.directory.path / "local/a").read_bytes() == b"first"


def test_a_large_archive_is_fetched_in_parts_and_unpacked(site: Site) -> None:
    content = os.urandom(LARGE + 17)
    site.put("tools.tar.gz", tar(("bin/tool", content)))
    site.fetch(f"s3://{site.bucket}/tools.tar.gz", destination="opt")
    assert (site.directory.path / "opt/bin/tool").read_bytes() == content


def test_a_folder(site: Site) -> None:
    for key in ("d/a", "d/b/c", "d/empty/", "dd/x"):
        site.put(key, b"" if key.endswith("/") else key.encode())
    site.fetch(f"s3://{site.bucket}/d", mode="dir")
    root = site.directory.path / "local"
    assert sorted(str(p.relative_to(root)) for p in root.rglob("*")) == ["a", "b", "b/c", "empty"]
    assert (root / "b/c").read_bytes() == b"d/b/c"
    plan = plan_results(site.directory, StagedIndex.load(site.control), JobSettings())
    assert (plan.files, plan.folders) == ((), ())


def test_what_is_not_there_or_not_allowed_is_told(site: Site) -> None:
    assert "no such object" in site.refused(f"s3://{site.bucket}/gone")
    assert "nothing under" in site.refused(f"s3://{site.bucket}/gone/")
    site.put("large", bytes(3 * LARGE + 1))
    assert "max_artifact_bytes" in site.refused(f"s3://{site.bucket}/large")
    assert "artifact_hosts" in site.refused(f"s3://{site.bucket}/large", own="another-bucket")


def test_a_listed_bucket_without_versions(site: Site, emulator: Emulator) -> None:
    site.client.create_bucket(
        Bucket="plain-unversioned",
        CreateBucketConfiguration={"LocationConstraint": emulator.region},
    )
    site.client.put_object(Bucket="plain-unversioned", Key="a", Body=b"1")
    site.hosts = ["s3://plain-unversioned"]
    site.fetch("s3://plain-unversioned/a")
    assert (site.directory.path / "local/a").read_bytes() == b"1"


def test_an_object_that_goes_while_it_is_fetched_is_told(site: Site) -> None:
    source = S3Source(site.bucket, "a")
    site.put("a", b"1")
    port = S3Artifacts(lambda region: site.client)
    found = port.find(source)
    site.client.delete_object(Bucket=site.bucket, Key="a", VersionId=found.version)
    with tempfile.TemporaryFile() as target, pytest.raises(ArtifactRefused):
        port.fetch(source, found, target)
