"""`doctor --probe`: what can become of its job, and that nothing of it stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from puller.administration import probe as module
from puller.administration.finding import Finding, Level
from puller.errors import SubmissionRefused
from puller.schedulers.interface import (
    DeclaredPlaces,
    ListedJob,
    SchedulerState,
    Submission,
)
from puller.settings import Settings


class FakeScheduler:
    """A scheduler whose jobs do what the test says."""

    name = "local"
    directive_prefixes: tuple[str, ...] = ()
    gives_estimates = False

    def __init__(self, job: Callable[[Submission], SchedulerState]) -> None:
        self.job = job
        self.state: SchedulerState | None = None
        self.cancelled: list[str] = []
        self.submissions: list[Submission] = []

    def declared_places(self, script: str) -> DeclaredPlaces:
        return DeclaredPlaces()

    def submit(self, submission: Submission) -> str:
        self.submissions.append(submission)
        self.state = self.job(submission)
        return "7"

    def detail(self, scheduler_id: str) -> ListedJob | None:
        assert self.state is not None
        return ListedJob(id=scheduler_id, state=self.state, words="ITS WORDS")

    def cancel(self, scheduler_id: str) -> None:
        self.cancelled.append(scheduler_id)
        self.state = SchedulerState.ENDED


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[FakeScheduler], list[Finding]]:
    settings = Settings(
        site="dc1",
        bucket="b",
        table="t",
        region="r",
        scheduler="local",
        jobs_dir=tmp_path / "jobs",
        submit_args=("--account=gx0001",),
    )
    monkeypatch.setattr(module, "login_environment", lambda *_, **__: {"PATH": "/usr/bin:/bin"})
    monkeypatch.setattr(module, "_END_GRACE", 0.1)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "_ASK_SECONDS", 0.01)
    monkeypatch.setattr(module, "_FIRST_ASK_SECONDS", 0.0)

    def one(scheduler: FakeScheduler) -> list[Finding]:
        monkeypatch.setattr(module, "choose_scheduler", lambda *_, **__: scheduler)
        found = list(module.probe(settings, {}, 1.0))
        left = [path for path in (tmp_path / "jobs").rglob("*") if not path.is_dir()]
        assert left == []
        assert not (tmp_path / "jobs/.jobferry/probe").exists()
        return found

    return one


Run = Callable[[FakeScheduler], list[Finding]]


def ends_with(submission: Submission, code: int) -> None:
    record = f"id=7\nrestart=0\nhost=node9\nstarted=1\nended=2\ncode={code}\nend\n"
    (submission.wrapper.parent / "exit").write_text(record)


def test_a_job_that_answers(run: Run) -> None:
    def job(submission: Submission) -> SchedulerState:
        token = (submission.job_dir / "token.txt").read_text()
        (submission.job_dir / "answer.txt").write_text(f"{token}module\n")
        ends_with(submission, 0)
        return SchedulerState.ENDED

    scheduler = FakeScheduler(job)
    found = run(scheduler)
    assert [f.level for f in found] == [Level.OK] * 3
    assert "node9" in found[0].message
    assert "`module` works" in found[2].message
    assert scheduler.submissions[0].site_arguments == ("--account=gx0001",)
    assert scheduler.submissions[0].settings.time_limit == 60
    assert scheduler.cancelled == []


def test_a_node_that_does_not_see_what_this_host_writes(run: Run) -> None:
    def job(submission: Submission) -> SchedulerState:
        (submission.job_dir / "answer.txt").write_text("cat: token.txt: No such file\n")
        ends_with(submission, 1)
        return SchedulerState.ENDED

    assert [f.level for f in run(FakeScheduler(job))] == [Level.OK, Level.FAIL]


def test_an_exit_file_that_does_not_come_back(run: Run) -> None:
    def job(submission: Submission) -> SchedulerState:
        submission.scheduler_output.write_text("cannot chdir\n")
        return SchedulerState.ENDED

    scheduler = FakeScheduler(job)
    (finding,) = run(scheduler)
    assert finding.level is Level.FAIL
    assert "ITS WORDS" in finding.message
    assert "cannot chdir" in finding.message
    assert "jobs_dir" in finding.remedy


def test_a_job_that_waits_in_the_queue_is_cancelled(run: Run) -> None:
    scheduler = FakeScheduler(lambda _: SchedulerState.QUEUED)
    (finding,) = run(scheduler)
    assert finding.level is Level.WARN
    assert "--probe-seconds" in finding.remedy
    assert scheduler.cancelled == ["7"]


def test_a_job_that_is_refused(run: Run) -> None:
    def job(_: Submission) -> SchedulerState:
        raise SubmissionRefused("no account")

    (finding,) = run(FakeScheduler(job))
    assert finding.level is Level.FAIL
    assert "no account" in finding.message
    assert "submit_args" in finding.remedy
