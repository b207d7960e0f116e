"""Growing logs arrive as they are, and a large one is never sent twice."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from puller.job_directory import JobDirectory
from puller.live_logs import GROWTH_RATE, WHOLE_BELOW, PushedLog, push_log
from tests.unit.puller.memory_bucket import MemoryBucket

LOG = "aws-job-stdout.txt"
KEY = f"job0001/{LOG}"
MIB = 1024 * 1024


class Running:
    """A running job whose log grows."""

    def __init__(self, jobs: Path) -> None:
        self.bucket = MemoryBucket()
        self.directory = JobDirectory(jobs, "job0001")
        self.directory.prepare("0a1b2c3d", datetime(2024, 1, 1, tzinfo=UTC))
        self.log = self.directory.path / LOG
        self.pushed: PushedLog | None = None
        self.now = 0.0

    def write(self, content: bytes, mode: str = "ab") -> None:
        with self.log.open(mode) as log:
            log.write(content)

    def push(self, *, after: float = 3600, path: str = LOG, final: bool = False) -> int:
        """Push, and return how many bytes were sent."""
        self.now += after
        before = self.bucket.sent
        self.pushed = push_log(
            path,
            self.pushed,
            site="dc1",
            directory=self.directory,
            bucket=self.bucket,
            now=self.now,
            final=final,
        )
        return self.bucket.sent - before


@pytest.fixture
def job(tmp_path: Path) -> Running:
    return Running(tmp_path)


def test_a_missing_or_empty_log_costs_nothing(job: Running) -> None:
    job.push()
    job.write(b"")
    job.push()
    assert (job.bucket.written, job.pushed) == ([], None)


def test_a_log_is_pushed_when_it_has_changed_and_only_then(job: Running) -> None:
    job.write(b"one\n")
    assert job.push() == 4
    assert job.push() == 0
    job.write(b"two\n")
    assert job.push(after=1) == 8
    assert job.bucket.content(KEY) == b"one\ntwo\n"


def test_only_the_new_part_of_a_large_log_is_sent(job: Running) -> None:
    job.write(os.urandom(WHOLE_BELOW + 5))
    assert job.push() == WHOLE_BELOW + 5
    for _ in range(3):
        job.write(b"0123456789")
        assert job.push() == 10
    assert job.bucket.content(KEY) == job.log.read_bytes()


def test_a_small_log_that_becomes_large_starts_from_what_is_there(job: Running) -> None:
    job.write(os.urandom(6 * MIB))
    job.push()
    job.write(os.urandom(4 * MIB))
    assert job.push() == 4 * MIB
    assert job.bucket.content(KEY) == job.log.read_bytes()


def test_what_is_below_the_least_part_of_an_upload_is_sent_again(job: Running) -> None:
    job.write(b"x" * MIB)
    job.push()
    job.write(b"y" * (8 * MIB))
    assert job.push() == 9 * MIB
    assert job.bucket.content(KEY) == job.log.read_bytes()


@pytest.mark.parametrize("size", [WHOLE_BELOW, WHOLE_BELOW + 100, WHOLE_BELOW * 2])
def test_a_large_log_that_was_written_anew_is_sent_anew(job: Running, size: int) -> None:
    job.write(b"a" * (WHOLE_BELOW + 100))
    job.push()
    job.write(b"b" * size, "wb")
    assert job.push() == size
    assert job.bucket.content(KEY) == job.log.read_bytes()


def test_a_log_whose_last_version_is_gone_is_sent_anew(job: Running) -> None:
    job.write(b"a" * WHOLE_BELOW)
    job.push()
    job.bucket.versions.clear()
    job.write(b"b")
    assert job.push() == WHOLE_BELOW + 1


def test_a_large_log_is_pushed_the_less_often_the_larger_it_is(job: Running) -> None:
    job.write(b"a" * (GROWTH_RATE * 10))
    job.push()
    job.write(b"b")
    assert job.push(after=9) == 0
    assert job.push(after=2) == 1


def test_at_the_end_a_large_log_is_pushed_without_waiting(job: Running) -> None:
    job.write(b"a" * (GROWTH_RATE * 10))
    job.push()
    job.write(b"b")
    assert job.push(after=0, final=True) == 1


@pytest.mark.parametrize(
    "path", ["../outside", "/etc/hostname", "sub/aws-job-stat.txt", "link", "pipe", "folder", "a\n"]
)
def test_a_log_that_cannot_be_pushed_is_passed_over(
    job: Running, tmp_path: Path, path: str
) -> None:
    (tmp_path / "outside").write_text("secret")
    (job.directory.path / "sub").mkdir()
    (job.directory.path / "folder").mkdir()
    (job.directory.path / "sub/aws-job-stat.txt").write_text("JOB_COMPLETE")
    (job.directory.path / "link").symlink_to(tmp_path / "outside")
    os.mkfifo(job.directory.path / "pipe")
    (job.directory.path / "a\n").write_text("x")
    assert job.push(path=path) == 0
    assert job.pushed is None


def test_a_log_that_shrinks_while_it_is_read_waits_for_the_next_pass(
    job: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.write(b"12345678")

    def truncate(*_: int) -> str:
        os.truncate(job.log, 2)
        return ""

    with monkeypatch.context() as patch:
        patch.setattr("puller.live_logs._fingerprint", truncate)
        job.push()
    assert job.bucket.written == []
    assert job.push() == 2


def test_the_mark_and_the_mode_travel_with_a_log(job: Running) -> None:
    job.write(b"x")
    job.log.chmod(0o640)
    job.push()
    assert job.bucket.metadata(KEY)["file-permissions"] == "0640"
    assert "jobferry-result" in job.bucket.metadata(KEY)
