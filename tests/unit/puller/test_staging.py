"""Staging brings the recorded versions into the job directory, whatever interrupts it."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job_protocol.manifest import Entry, Manifest
from puller.bucket import Fetched
from puller.confined_tree import ConfinedTree
from puller.errors import CloudUnreachable, StagingError
from puller.fetching import mode_of
from puller.job_directory import JobDirectory, control_directory
from puller.staging import StagedIndex, stage
from tests.unit.puller.memory_bucket import MemoryBucket

ALLOCATION = "0a1b2c3d-0000-5000-8000-000000000001"
NOW = datetime(2024, 1, 1, tzinfo=UTC)
SCRIPT = "aws-job-run.sh"


class Staging:
    """One allocation's staging, from the upload on."""

    def __init__(self, jobs: Path) -> None:
        self.bucket = MemoryBucket()
        self.directory = JobDirectory(jobs, "proj/job 1")
        self.directory.prepare(ALLOCATION, NOW)
        self.control: ConfinedTree = control_directory(jobs, ALLOCATION)
        self.entries: list[Entry] = []

    def upload(
        self, path: str, content: bytes = b"", metadata: Mapping[str, str] | None = None
    ) -> Path:
        version = self.bucket.store(f"proj/job 1/{path}", content, metadata)
        self.entries.append(Entry(path, version, len(content)))
        return self.directory.path / path

    def run(self) -> StagedIndex:
        manifest = Manifest(tuple(self.entries))
        return stage(manifest, self.directory, self.control, self.bucket, workers=4)


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_files_folders_and_odd_names_arrive(staging: Staging) -> None:
    files = [staging.upload(name, name.encode()) for name in (SCRIPT, "a/b/c", "日本 語/é", "-")]
    folder = staging.upload("deep/empty/")
    index = staging.run()
    assert [file.read_bytes() for file in files] == [
        name.encode() for name in (SCRIPT, "a/b/c", "日本 語/é", "-")
    ]
    assert folder.is_dir()
    assert index.folders == {"a", "a/b", "日本 語", "deep", "deep/empty"}
    assert set(index.files) == {SCRIPT, "a/b/c", "日本 語/é", "-"}


def test_the_pinned_version_is_staged_not_the_newest(staging: Staging) -> None:
    file = staging.upload("data", b"validated")
    staging.bucket.store("proj/job 1/data", b"later")
    staging.run()
    assert file.read_bytes() == b"validated"


def test_the_index_can_be_read_again(staging: Staging) -> None:
    staging.upload("a/b", b"1")
    staging.upload("empty/")
    assert staging.run() == StagedIndex.load(staging.control)


def test_what_is_complete_is_not_fetched_again(staging: Staging) -> None:
    for number in range(20):
        staging.upload(f"{number}", b"x")
    staging.run()
    staging.bucket.fetched.clear()
    staging.run()
    assert staging.bucket.fetched == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b"other"),
        lambda file: file.write_bytes(b"longer than before"),
        lambda file: file.chmod(0o600),
        lambda file: (file.unlink(), file.symlink_to("/etc/passwd")),
    ],
)
def test_what_is_not_as_it_was_recorded_is_fetched_again(staging: Staging, spoil: object) -> None:
    file = staging.upload("data", b"right")
    staging.upload("more", b"x")
    staging.run()
    spoil(file)
    staging.bucket.fetched.clear()
    staging.run()
    assert file.read_bytes() == b"right"
    assert not file.is_symlink()
    assert staging.bucket.fetched == ["proj/job 1/data"]


class Killed(BaseException):
    """As if the process had been killed."""


@given(st.integers(0, 120), st.booleans())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
def test_after_a_crash_at_any_step_the_next_run_completes(
    tmp_path_factory: pytest.TempPathFactory, step: int, cut: bool
) -> None:
    staging = Staging(tmp_path_factory.mktemp("jobs"))
    for number in range(6):
        staging.upload(f"folder{number % 2}/{number}", bytes([number]) * number)
    manifest = Manifest(tuple(staging.entries))
    steps = 0

    def dies(name: str) -> object:
        real = getattr(os, name)

        def call(*args: object, **kwargs: object) -> object:
            nonlocal steps
            steps += 1
            if steps > step:
                raise Killed
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "fsync", "write", "fchmod", "utime", "mkdir"):
            patch.setattr(os, name, dies(name))
        with suppress(Killed):
            stage(manifest, staging.directory, staging.control, staging.bucket, workers=1)
    record = staging.control.path / "staged.jsonl"
    if cut and record.exists():
        record.write_bytes(record.read_bytes()[:-3])
    index = staging.run()
    for number in range(6):
        path = f"folder{number % 2}/{number}"
        file = staging.directory.path / path
        assert file.read_bytes() == bytes([number]) * number
        assert index.files[path].mtime_ns == file.stat().st_mtime_ns
    assert StagedIndex.load(staging.control) == index
    assert not (staging.control.path / "parts").exists()


def test_what_has_arrived_stays_when_the_cloud_goes_away(staging: Staging) -> None:
    for number in range(30):
        staging.upload(f"{number:02}", b"x")

    def gone(key: str) -> None:
        if key.endswith("/20"):
            raise CloudUnreachable("no route")

    staging.bucket.before_fetch = gone
    with pytest.raises(CloudUnreachable):
        staging.run()
    staging.bucket.before_fetch = lambda key: None
    first = list(staging.bucket.fetched)
    staging.run()
    assert len(first) >= 20
    assert sorted(staging.bucket.fetched) == sorted(f"proj/job 1/{n:02}" for n in range(30))


def test_a_version_that_is_gone_is_final_and_names_the_file(staging: Staging) -> None:
    staging.upload("data/in", b"x")
    staging.entries[-1] = Entry("data/in", "gone", 1)
    with pytest.raises(StagingError, match=r"'data/in'.*upload it again") as caught:
        staging.run()
    assert caught.value.final is True


def test_an_object_of_another_size_than_validated_is_final(staging: Staging) -> None:
    staging.upload("in", b"four")
    staging.entries[-1] = Entry("in", staging.entries[-1].version, 5)
    with pytest.raises(StagingError) as caught:
        staging.run()
    assert caught.value.final is True
    assert not (staging.directory.path / "in").exists()


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a/../x", "a//b", "x\ny", "aws-job-stat.txt", "x" * 256]
)
def test_a_path_that_cannot_be_is_final_and_touches_nothing(staging: Staging, path: str) -> None:
    file = staging.upload("fine", b"x")
    staging.entries.append(Entry(path, "v0", 1))
    with pytest.raises(StagingError) as caught:
        staging.run()
    assert caught.value.final is True
    assert not file.exists()


def test_a_planted_link_does_not_redirect_an_input(staging: Staging, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    staging.upload("folder/data", b"x")
    (staging.directory.path / "folder").symlink_to(outside)
    with pytest.raises(StagingError, match="symbolic link"):
        staging.run()
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota is used up")]
)
def test_a_full_disk_is_named_and_not_final(
    staging: Staging, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    staging.upload("data", b"x")

    def full(key: str) -> None:
        raise OSError(code, os.strerror(code))

    staging.bucket.before_fetch = full
    with pytest.raises(StagingError, match=f"{words}.*{errno.errorcode[code]}") as caught:
        staging.run()
    assert caught.value.final is False


def test_a_job_directory_that_is_removed_meanwhile_is_not_final(staging: Staging) -> None:
    staging.upload("data", b"x")

    def remove(key: str) -> None:
        (staging.directory.path / "aws-job-allocation.json").unlink()
        staging.directory.path.rmdir()

    staging.bucket.before_fetch = remove
    with pytest.raises(StagingError, match="was removed") as caught:
        staging.run()
    assert caught.value.final is False


@pytest.mark.parametrize(
    ("stated", "expected"),
    [("0755", 0o755), ("0100755", 0o755), ("644", 0o644), ("4755", 0o755), ("0044", 0o644)],
)
def test_the_mode_comes_from_the_metadata(staging: Staging, stated: str, expected: int) -> None:
    file = staging.upload("data", b"x", {"file-permissions": stated})
    staging.run()
    assert mode(file) == expected


@pytest.mark.parametrize("stated", ["", "rwx", "0o755", "999", "1" * 30, "-755"])
def test_metadata_that_is_no_mode_counts_as_none(stated: str) -> None:
    fetched = Fetched(0, {"file-permissions": stated})
    assert mode_of("data", fetched, b"abcd", 0o022) == 0o644


def test_without_metadata_scripts_and_programs_become_executable(staging: Staging) -> None:
    files = [
        staging.upload("run", b"#!/bin/sh\n"),
        staging.upload("a.out", b"\x7fELF\x02\x01"),
        staging.upload("text", b"# !"),
    ]
    staging.run()
    umask = os.umask(0o022)
    os.umask(umask)
    assert [mode(file) for file in files] == [0o755 & ~umask, 0o755 & ~umask, 0o644 & ~umask]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_umask_applies_where_the_metadata_says_nothing(staging: Staging, umask: int) -> None:
    plain, stated = staging.upload("plain"), staging.upload("x", b"", {"file-permissions": "0666"})
    before = os.umask(umask)
    try:
        staging.run()
    finally:
        os.umask(before)
    assert (mode(plain), mode(stated)) == (0o644 & ~umask, 0o666)


@given(st.integers(0, 0o7777), st.integers(0, 0o777), st.booleans())
def test_every_file_stays_the_owners_to_read_and_write_and_the_script_to_run(
    bits: int, umask: int, stated: bool
) -> None:
    fetched = Fetched(0, {"file-permissions": f"{bits:04o}"} if stated else {})
    assert mode_of("data", fetched, b"", umask) & 0o7600 in (0o600, 0o600 | bits & 0o100, 0o700)
    assert mode_of(SCRIPT, fetched, b"", umask) & 0o7700 == 0o700
    assert mode_of("data", fetched, b"", umask) & 0o7000 == 0


def test_the_time_of_a_staged_file_is_that_of_the_upload(staging: Staging) -> None:
    file = staging.upload("data", b"x")
    staging.run()
    assert file.stat().st_mtime == 1_700_000_000
