"""Pushing results completes what it begins, and one bad file does not hold up the others."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job_protocol.allocation import ResultSummary
from job_protocol.identifiers import result_mark
from job_protocol.job_settings import JobSettings
from puller.bucket import ObjectRefused
from puller.errors import CloudUnreachable
from puller.file_record import FileRecord
from puller.job_directory import JobDirectory, control_directory
from puller.live_logs import PushedLog, push_log
from puller.push import ResultsUnreadable, ResultTarget, push_results
from puller.results import ResultPlan, plan_results
from puller.staging import StagedIndex
from tests.unit.puller.memory_bucket import MemoryBucket

ALLOCATION = "0a1b2c3d-0000-5000-8000-000000000001"
REPORT = f"_jobferry/results/{ALLOCATION}.json"


class Ended:
    """An allocation that has ended, with what its job left behind."""

    def __init__(self, jobs: Path) -> None:
        self.bucket = MemoryBucket()
        directory = JobDirectory(jobs, "proj/job 1")
        directory.prepare(ALLOCATION, datetime(2024, 1, 1, tzinfo=UTC))
        self.path = directory.path
        self.target = ResultTarget(
            site="dc1",
            allocation_id=ALLOCATION,
            directory=directory,
            control=control_directory(jobs, ALLOCATION),
            bucket=self.bucket,
        )

    def put(self, path: str, content: bytes = b"x") -> Path:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def plan(self) -> ResultPlan:
        nothing = StagedIndex({}, frozenset())
        return plan_results(self.target.directory, nothing, JobSettings())

    def push(self, plan: ResultPlan | None = None, **options: object) -> ResultSummary:
        return push_results(plan or self.plan(), self.target, now=0, workers=4, **options)

    def reasons(self, summary: ResultSummary) -> dict[str, str]:
        return {entry.path: entry.reason for entry in summary.listed}


@pytest.fixture
def ended(tmp_path: Path) -> Ended:
    return Ended(tmp_path)


def test_files_and_folders_arrive_with_mode_and_mark(ended: Ended) -> None:
    ended.put("out/run", b"#!").chmod(0o750)
    (ended.path / "none").mkdir()
    summary = ended.push()
    assert summary == ResultSummary(files=2, size=2)
    assert ended.bucket.content("proj/job 1/out/run") == b"#!"
    assert ended.bucket.metadata("proj/job 1/out/run") == {
        "file-permissions": "0750",
        "jobferry-result": result_mark("dc1", "proj/job 1", "out/run"),
    }
    assert ended.bucket.content("proj/job 1/none/") == b""


def test_a_second_call_pushes_only_what_changed_and_sums_up_all(ended: Ended) -> None:
    for number in range(30):
        ended.put(f"{number}", b"1234")
    ended.push()
    ended.bucket.written.clear()
    ended.put("7", b"123456")
    assert ended.push() == ResultSummary(files=30, size=122)
    assert ended.bucket.written == ["proj/job 1/7"]


class Killed(BaseException):
    """As if the process had been killed."""


@given(st.integers(0, 40), st.integers(0, 20))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
def test_a_push_that_is_killed_half_way_continues(
    tmp_path_factory: pytest.TempPathFactory, puts: int, cut: int
) -> None:
    ended = Ended(tmp_path_factory.mktemp("jobs"))
    for number in range(40):
        ended.put(f"folder{number % 3}/{number}", bytes([number]))

    def kill(key: str) -> None:
        if len(ended.bucket.written) >= puts:
            raise Killed

    ended.bucket.before_put = kill
    with suppress(Killed):
        ended.push()
    ended.bucket.before_put = lambda key: None
    record = ended.target.control.path / "pushed.jsonl"
    if cut and record.exists():
        record.write_bytes(record.read_bytes()[:-cut])
    done = len(ended.bucket.written)
    assert ended.push() == ResultSummary(files=40, size=40)
    assert {ended.bucket.content(f"proj/job 1/folder{n % 3}/{n}") for n in range(40)} == {
        bytes([n]) for n in range(40)
    }
    assert len(ended.bucket.written) - done <= 40 - done + 1 + (cut > 0) + 4


def test_with_the_cloud_away_what_was_pushed_is_recorded(ended: Ended) -> None:
    for number in range(20):
        ended.put(f"{number}")

    def gone(key: str) -> None:
        if len(ended.bucket.written) >= 10:
            raise CloudUnreachable("no route")

    ended.bucket.before_put = gone
    with pytest.raises(CloudUnreachable):
        ended.push()
    recorded = FileRecord(ended.target.control, "pushed.jsonl").files
    assert {f"proj/job 1/{path}" for path in recorded} == set(ended.bucket.written)


def test_files_that_cannot_be_had_are_left_out_and_the_others_arrive(ended: Ended) -> None:
    for path in ("deleted", "swapped", "folder/in", "refused", "piped", "good"):
        ended.put(path)
    plan = ended.plan()
    (ended.path / "deleted").unlink()
    (ended.path / "swapped").unlink()
    (ended.path / "swapped").symlink_to("/etc/passwd")
    (ended.path / "folder").rename(ended.path / "elsewhere")
    (ended.path / "folder").symlink_to("/etc")
    (ended.path / "piped").unlink()
    os.mkfifo(ended.path / "piped")

    def refuse(key: str) -> None:
        if key.endswith("refused"):
            raise ObjectRefused("too large")

    ended.bucket.before_put = refuse
    summary = ended.push(plan)
    assert (summary.files, summary.left_out) == (1, 5)
    assert ended.bucket.written == ["proj/job 1/good"]
    found = ended.reasons(summary)
    assert "deleted" in found["deleted"]
    assert "symbolic link" in found["swapped"]
    assert "symbolic link" in found["folder/in"]
    assert "not a regular file" in found["piped"]
    assert found["refused"] == "too large"


def test_a_file_that_grows_while_it_is_pushed_arrives_as_it_was_measured(ended: Ended) -> None:
    file = ended.put("grows", b"12345")

    def grow(key: str) -> None:
        with file.open("ab") as more:
            more.write(b"more")

    ended.bucket.before_put = grow
    assert ended.push().files == 1
    assert ended.bucket.content("proj/job 1/grows") == b"12345"


def test_a_file_that_shrinks_is_tried_again(ended: Ended) -> None:
    file = ended.put("shrinks", b"12345")
    ended.bucket.before_put = lambda key: file.write_bytes(b"1")
    assert ended.push() == ResultSummary(files=1, size=1)


def test_a_file_that_never_stands_still_is_left_out(ended: Ended) -> None:
    file = ended.put("shrinks", b"12345")
    ended.bucket.before_put = lambda key: file.write_bytes(b"x" * (file.stat().st_size - 1))
    summary = ended.push()
    assert "kept changing" in ended.reasons(summary)["shrinks"]


def test_a_failing_file_server_is_no_reason_to_leave_results_out(
    ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended.put("good")
    ended.put("bad")
    plan = ended.plan()
    real = ended.target.directory.tree.open_file

    def open_file(path: str, *args: int) -> int:
        if path == "bad":
            raise OSError(116, "Stale file handle")
        return real(path, *args)

    monkeypatch.setattr(ended.target.directory.tree, "open_file", open_file)
    with pytest.raises(ResultsUnreadable, match=r"'bad'.*Stale file handle"):
        ended.push(plan)
    assert ended.bucket.written == ["proj/job 1/good"]
    assert "Stale" in ended.reasons(ended.push(plan, give_up_unreadable=True))["bad"]
    monkeypatch.undo()
    assert ended.push() == ResultSummary(files=2, size=2)


def test_a_full_disk_does_not_keep_results_from_leaving(
    ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended.put("result")
    plan = ended.plan()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert ended.push(plan) == ResultSummary(files=1, size=1)


def test_a_long_list_of_what_was_left_out_goes_into_a_report(ended: Ended) -> None:
    for number in range(25):
        os.mkfifo(ended.path / f"{number:02}")
    summary = ended.push()
    assert (summary.left_out, len(summary.listed)) == (25, 20)
    report = json.loads(ended.bucket.content(REPORT))
    assert (report["count"], len(report["left_out"])) == (25, 25)
    assert report["left_out"][0] == {"path": "00", "reason": "a named pipe"}


def test_a_short_list_is_worth_no_report(ended: Ended) -> None:
    os.mkfifo(ended.path / "pipe")
    assert ended.push().left_out == 1
    assert REPORT not in ended.bucket.latest


def test_a_log_that_was_pushed_while_the_job_ran_is_not_pushed_again(ended: Ended) -> None:
    ended.put("aws-job-stdout.txt", b"all of it")
    ended.put("aws-job-stderr.txt", b"begin")
    logs: dict[str, PushedLog] = {}
    for path in ("aws-job-stdout.txt", "aws-job-stderr.txt"):
        target = ended.target
        pushed = push_log(
            path, None, site="dc1", directory=target.directory, bucket=ended.bucket, now=0
        )
        assert pushed is not None
        logs[path] = pushed
    ended.put("aws-job-stderr.txt", b"begin and end")
    ended.bucket.written.clear()
    assert ended.push(logs=logs) == ResultSummary(files=2, size=22)
    assert ended.bucket.written == ["proj/job 1/aws-job-stderr.txt"]
