"""What the evidence on disk and at the scheduler says of a submitted job.

Only positive evidence ends an allocation: the wrapper's exit file, which must name the scheduler's
id and counts only while the scheduler does not list that job as live, or the scheduler's own
record, matched on id and identity. A scheduler that does not answer is no evidence of anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from job_protocol.states import ClientStatus
from puller.exit_file import ExitRecord, StartRecord
from puller.journal import End
from puller.schedulers.interface import EndReason, ListedJob, SchedulerState


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of a submitted job at one moment.

    Attributes:
        scheduler_id: the id that the scheduler gave.
        identity: what the scheduler shows of this submission (`Scheduler.identity_of`).
        now: seconds since the epoch.
        listed: the scheduler's listing of it, or None if it is not in the listing.
        exit: the exit file, if whole.
        start: the start file, if whole.
        detail: what the detail query said; `ASK` before it was asked.
        claimed_at: when the allocation was claimed, in seconds since the epoch.
        submitted_at: when the scheduler's id became known, in seconds since the epoch.
        missing_since: since when nobody has known the job.
        stop_asked: whether this puller has asked the scheduler to cancel it.
        lost_after: seconds for which nobody must know it before it counts as lost, and for which
            an exit file may be late.
    """

    scheduler_id: str
    identity: str
    now: float
    listed: ListedJob | None
    exit: ExitRecord | None
    start: StartRecord | None
    detail: ListedJob | NotAsked | None
    claimed_at: float | None
    submitted_at: float | None
    missing_since: float | None
    stop_asked: bool
    lost_after: float


class NotAsked(Enum):
    """The detail query was not made."""

    ASK = auto()


@dataclass(frozen=True, slots=True)
class Live:
    """The scheduler has it.

    Attributes:
        status: `queued` or `running`; None if the scheduler's state is not known here.
        words: the scheduler's words.
        expected_start: see `ListedJob.expected_start`.
    """

    status: ClientStatus | None
    words: str
    expected_start: int | None = None


@dataclass(frozen=True, slots=True)
class AskDetail:
    """Only a detail query can tell."""


@dataclass(frozen=True, slots=True)
class Wait:
    """No evidence yet; `since` is to be remembered (seconds since the epoch)."""

    since: float


@dataclass(frozen=True, slots=True)
class Over:
    """It has ended."""

    end: End


Verdict = Live | AskDetail | Wait | Over

_CLOCKS_DIFFER = 600.0
"""Seconds by which the scheduler's clock may differ from the puller's."""

_REASON_WINS = frozenset(EndReason)


def judge(evidence: Evidence) -> Verdict:
    """What the evidence says."""
    shown = _same_job(evidence.listed, evidence)
    if isinstance(evidence.detail, ListedJob):  # asked later, and tells more
        shown = _same_job(evidence.detail, evidence) or shown
    if shown is not None and shown.state is not SchedulerState.ENDED:
        return Live(_LIVE_STATUS.get(shown.state), shown.words, shown.expected_start)
    exit_file = _own_exit(evidence)
    if exit_file is not None:
        needs_reason = exit_file.code != 0 and shown is None
        if needs_reason and evidence.detail is NotAsked.ASK:
            return AskDetail()
        return Over(_end(evidence, shown, exit_file.code, exit_file.ended))
    if shown is not None:
        tells_little = shown.end is None and shown.exit_code is None
        if tells_little and evidence.detail is NotAsked.ASK:
            return AskDetail()
        late = evidence.now - (evidence.missing_since or evidence.now) < evidence.lost_after
        # Where a scheduler cannot tell who killed a job, a kill that was asked for explains it.
        explained = shown.end is not None or (evidence.stop_asked and bool(shown.exit_code))
        if late and not explained:
            return Wait(evidence.missing_since or evidence.now)
        return Over(_end(evidence, shown, shown.exit_code, evidence.now))
    return AskDetail() if evidence.detail is NotAsked.ASK else _known_to_nobody(evidence)


def _known_to_nobody(evidence: Evidence) -> Verdict:
    since = evidence.missing_since or evidence.now
    if evidence.now - since < evidence.lost_after:
        return Wait(since)
    if evidence.stop_asked:
        reason = "cancelled; the scheduler keeps no record of it"
        return Over(_ended_unseen(ClientStatus.STOPPED, reason, evidence.now))
    reason = (
        f"neither the scheduler nor an exit file has known job {evidence.scheduler_id} "
        f"for {int(evidence.now - since)} s"
    )
    return Over(_ended_unseen(ClientStatus.LOST, reason, evidence.now))


def _ended_unseen(status: ClientStatus, reason: str, now: float) -> End:
    return End(status=status, exit_code=None, reason=reason, time=int(now))


_LIVE_STATUS = {
    SchedulerState.QUEUED: ClientStatus.QUEUED,
    SchedulerState.RUNNING: ClientStatus.RUNNING,
}


def _same_job(shown: ListedJob | None, evidence: Evidence) -> ListedJob | None:
    """What was shown, unless it is another job for which the id was recycled.

    The identity tells. An answer without it tells by the time of submission; a requeue may move
    that to a later one.
    """
    if shown is None:
        return None
    if shown.identity is not None:
        return shown if shown.identity == evidence.identity else None
    if shown.submitted_at is None:
        return shown
    claimed, submitted = evidence.claimed_at, evidence.submitted_at
    requeued = evidence.start is not None and evidence.start.restart > 0
    if claimed is not None and shown.submitted_at < claimed - _CLOCKS_DIFFER:
        return None
    if submitted is not None and not requeued and shown.submitted_at > submitted + _CLOCKS_DIFFER:
        return None
    return shown


def _own_exit(evidence: Evidence) -> ExitRecord | None:
    """The exit file, if it is this submission's and not of a start before a requeue."""
    found = evidence.exit
    if found is None or found.scheduler_id != evidence.scheduler_id:
        return None
    start = evidence.start
    newer_start = (
        start is not None
        and start.scheduler_id == evidence.scheduler_id
        and start.restart > found.restart
    )
    return None if newer_start else found


def _end(evidence: Evidence, shown: ListedJob | None, code: int | None, time: float) -> End:
    cause = shown.end if shown is not None else None
    words = shown.words if shown is not None and cause in _REASON_WINS else None
    return End(
        status=_terminal_status(cause, code, stop_asked=evidence.stop_asked),
        exit_code=code,
        reason=words,
        time=int(time),
    )


def _terminal_status(
    cause: EndReason | None, code: int | None, *, stop_asked: bool
) -> ClientStatus:
    if cause is EndReason.CANCELLED:
        return ClientStatus.STOPPED
    if cause is None and code == 0:
        return ClientStatus.COMPLETE
    return ClientStatus.STOPPED if stop_asked else ClientStatus.FAILED
