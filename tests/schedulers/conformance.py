"""What every scheduler's adapter must come to, scenario by scenario, through the real rule.

A scheduler takes part with one `Column`: for every scenario what its commands answer, or why the
scenario does not exist there. The same adapter, the same `judge` as in a pass; only the commands
are replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from puller.errors import SchedulerUnavailable
from puller.exit_file import ExitRecord, StartRecord
from puller.observation import AskDetail, Evidence, Live, NotAsked, Wait, judge
from puller.schedulers.interface import Scheduler
from puller.schedulers.runner import Completed, Run

SUBMITTED = 1795300400
"""When the scheduler gave the id, in seconds since the epoch (2026-11-21 22:33:20 UTC)."""

CONTROL = Path("/srv/aws-job/.jobferry/alloc/0f8fad5b-d9cb-469f-a165-70867728950e")
WRAPPER = CONTROL / "wrapper.sh"
USER = "hanako"

LOST_AFTER = 120.0

Answer = Completed | Exception
Answers = Mapping[str, Answer]
"""By the beginning of a command line: its answer."""


@dataclass(frozen=True)
class Scenario:
    """One thing that can happen to a submitted job.

    Attributes:
        name: what happens.
        concluded: what a pass must conclude.
        exit_code: the code in the wrapper's exit file; None if there is no such file.
        stop_asked: whether the puller has asked for its end.
        long_missing: whether nobody has known it for longer than the grace period.
    """

    name: str
    concluded: str
    exit_code: int | None = None
    stop_asked: bool = False
    long_missing: bool = False


SCENARIOS = (
    Scenario("waits", "queued"),
    Scenario("is held", "queued"),
    Scenario("runs", "running"),
    Scenario("is suspended", "running"),
    Scenario("is in a state that is not known", "live"),
    Scenario("ends well", "complete 0", exit_code=0),
    Scenario("ends with 3", "failed 3", exit_code=3),
    Scenario("ends well, no exit file", "complete 0", long_missing=True),
    Scenario("ends with 3, no exit file", "failed 3", long_missing=True),
    Scenario("kills itself, no exit file", "failed 137", long_missing=True),
    Scenario("has ended just now, no exit file yet", "wait"),
    Scenario("exceeds its time", "failed (reason)", long_missing=True),
    Scenario("exceeds its memory", "failed (reason)", long_missing=True),
    Scenario("loses its node", "failed (reason)", long_missing=True),
    Scenario("cannot be started", "failed (reason)"),
    Scenario("depends on what failed", "failed (reason)"),
    Scenario("is cancelled while it runs", "stopped", stop_asked=True, long_missing=True),
    Scenario("is cancelled while it waits", "stopped", stop_asked=True, long_missing=True),
    Scenario("is cancelled by others", "stopped", long_missing=True),
    Scenario("is requeued, stale exit file", "queued", exit_code=3),
    Scenario("id recycled, in the listing", "wait"),
    Scenario("id recycled, in the accounting", "wait"),
    Scenario("is unknown to all", "wait"),
    Scenario("is unknown to all for long", "lost", long_missing=True),
    Scenario("unknown, no accounting", "lost", long_missing=True),
    Scenario("ends with 3, no accounting", "failed 3", exit_code=3),
    Scenario("accounting is down", "no evidence", exit_code=3, long_missing=True),
    Scenario("controller is down", "no evidence", exit_code=0, long_missing=True),
    Scenario("listing hangs", "no evidence", exit_code=0, long_missing=True),
    Scenario("listing is too long to be read", "no evidence", exit_code=0, long_missing=True),
    Scenario("listing is something else", "no evidence", exit_code=0, long_missing=True),
)


@dataclass(frozen=True)
class Column:
    """How one scheduler takes part.

    Attributes:
        make: makes the adapter with a given way to run commands.
        job_id: the id that the job has there.
        answers: by scenario: what its commands answer.
        absent: by scenario: why it does not exist there.
        differs: by scenario: what is concluded there instead, and why.
        met: how the answers came about: recorded on a real one, or written from manuals.
        cut_unseen: why a cut listing may pass for a whole one; empty if it cannot.
    """

    make: Callable[[Run], Scheduler]
    job_id: str
    answers: Mapping[str, Answers]
    met: str
    absent: Mapping[str, str] = field(default_factory=dict)
    differs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    cut_unseen: str = ""


def answered(stdout: str = "", *, code: int | None = 0, **fields: Any) -> Completed:
    """A command's answer."""
    return Completed(arguments=("program",), code=code, stdout=stdout, **fields)


HUNG = answered(code=None, timed_out=True)
"""A command that was killed after its time-out."""


class Replayed:
    """Runs no command: answers each by the longest beginning of its line that is known."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def __call__(self, arguments: Sequence[str], **_: Any) -> Completed:
        line = " ".join(arguments)
        known = [beginning for beginning in self._answers if line.startswith(beginning)]
        assert known, f"the transcript has no answer to: {line}"
        answer = self._answers[max(known, key=len)]
        if isinstance(answer, Exception):
            raise answer
        return replace(answer, arguments=tuple(arguments))


def conclude(column: Column, scenario: Scenario, answers: Answers) -> str:
    """What a pass concludes, as `Watching.observe` does it."""
    scheduler = column.make(Replayed(answers))
    now = SUBMITTED + 3600.0
    try:
        evidence = Evidence(
            scheduler_id=column.job_id,
            identity=scheduler.identity_of(WRAPPER),
            now=now,
            listed=scheduler.list_mine().get(column.job_id),
            exit=_exit_record(column.job_id, scenario.exit_code),
            start=_start_record(column.job_id),
            detail=NotAsked.ASK,
            claimed_at=SUBMITTED - 10.0,
            submitted_at=float(SUBMITTED),
            missing_since=now - 2 * LOST_AFTER if scenario.long_missing else None,
            stop_asked=scenario.stop_asked,
            lost_after=LOST_AFTER,
        )
        verdict = judge(evidence)
        if isinstance(verdict, AskDetail):
            verdict = judge(replace(evidence, detail=scheduler.detail(column.job_id)))
    except SchedulerUnavailable:
        return "no evidence"
    if isinstance(verdict, Live):
        return verdict.status.value if verdict.status is not None else "live"
    if isinstance(verdict, Wait | AskDetail):
        return "wait"
    return ended_as(verdict.end.status.value, verdict.end.exit_code, verdict.end.reason)


def ended_as(status: str, code: int | None, reason: str | None) -> str:
    """An end in a few words: with a reason of the scheduler's it is not the code that counts."""
    if status == "failed" and reason:
        return "failed (reason)"
    return f"{status} {code}" if status in ("complete", "failed") else status


def _exit_record(job_id: str, code: int | None) -> ExitRecord | None:
    if code is None:
        return None
    return ExitRecord(
        scheduler_id=job_id, restart=0, host="node", started=SUBMITTED, ended=SUBMITTED, code=code
    )


def _start_record(job_id: str) -> StartRecord:
    return StartRecord(scheduler_id=job_id, restart=0, host="node", time=SUBMITTED)
