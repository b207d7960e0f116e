"""Whether an operator may adopt an allocation whose installation is lost, and how it goes on here.

Before `submitting` nothing has reached the scheduler, so the claim is simply taken over. From
`submitting` on, only evidence of the submission moves it: the wrapper's own records, the
scheduler's listing, or, where there is neither, the word of a person who has looked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from job_protocol.allocation import Allocation
from job_protocol.site_records import Heartbeat
from job_protocol.states import ClientStatus
from puller.journal import Phase, Record
from puller.schedulers.interface import ListedJob

SILENT_AFTER = 3600
"""Seconds without a sign of life after which an installation may be taken for lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Who holds an allocation.

    Attributes:
        allocation: the allocation as the table has it.
        heartbeat: the last sign of life of the installation that the table names.
        journalled: what this installation's journal says of it.
        installation: this installation.
        now: seconds since the epoch.
    """

    allocation: Allocation
    heartbeat: Heartbeat | None
    journalled: Record | None
    installation: str
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What is left of a submission.

    Attributes:
        scheduler: the scheduler's name here.
        identity: what the scheduler shows of a job that was submitted from here.
        owner: the scheduler's id in the records of the wrapper, which has run.
        listed: the job that the scheduler lists under this identity.
        asked: the id that the scheduler was asked about, where there is neither: the table's or
            the operator's.
        known: what the scheduler knows of `asked`.
    """

    scheduler: str
    identity: str
    owner: str | None = None
    listed: ListedJob | None = None
    asked: str | None = None
    known: ListedJob | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What the operator says of a submission.

    Attributes:
        scheduler_id: under this id the scheduler has, or had, it.
        not_submitted: the scheduler never got it.
    """

    scheduler_id: str | None = None
    not_submitted: bool = False


class Way(StrEnum):
    """How an adopted allocation goes on."""

    STAGE = "stage"
    """Nothing was submitted: its inputs are staged, and it is submitted."""
    SUBMIT = "submit"
    """A submission had begun, and the operator says that it never reached the scheduler."""
    OBSERVE = "observe"
    """The scheduler has, or had, it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        way: how it goes on.
        because: why, for people.
        scheduler_id: the scheduler's id, to observe.
        submitted_at: when the scheduler got it, in seconds since the epoch, where that is known.
    """

    way: Way
    because: str
    scheduler_id: str | None = None
    submitted_at: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is to be done: a sentence that says what to do instead."""

    problem: str


def begun(allocation: Allocation) -> bool:
    """Whether the scheduler may have got the allocation."""
    return allocation.submitting or allocation.client_status is not ClientStatus.STARTING


def objection(holding: Holding) -> Refusal | None:
    """Why an allocation must not be adopted, whatever has become of its submission."""
    allocation, record = holding.allocation, holding.journalled
    if allocation.client_status.terminal:
        return Refusal(f"it has ended ({allocation.client_status.value}): nothing is left to adopt")
    if allocation.token is None:
        return Refusal("nobody holds it: it waits in the queue, and a pass claims it")
    ours = allocation.installation == holding.installation
    if record is not None and record.token == allocation.token and record.phase is not Phase.FENCED:
        return Refusal("this installation holds it already: passes go on with it")
    beat = holding.heartbeat
    if ours or beat is None or holding.now - beat.at >= SILENT_AFTER:
        return None
    return Refusal(
        f"installation {beat.installation} on host {beat.host}, which holds it, gave a sign of "
        f"life {max(0, int(holding.now - beat.at))} s ago. If it is lost, try again once it has "
        f"been silent for {SILENT_AFTER // 60} minutes; what runs goes on meanwhile. If it is not, "
        "leave it to that one"
    )


def decide(allocation: Allocation, trace: Trace | None, word: Word) -> Plan | Refusal:
    """How an allocation to which there is no objection goes on.

    Args:
        allocation: the allocation.
        trace: what is left of its submission; None if it has not `begun`.
        word: what the operator says.
    """
    if trace is None:
        if word.scheduler_id is not None:
            return Refusal(
                "its submission had not begun, so no job of the scheduler's can be it: leave "
                "--scheduler-id out"
            )
        return Plan(Way.STAGE, "its submission had not begun")
    if allocation.scheduler not in (None, trace.scheduler):
        return Refusal(
            f"it was submitted to {allocation.scheduler}, and this installation uses "
            f"{trace.scheduler}: adopt it where {allocation.scheduler} can be asked"
        )
    if trace.owner is not None:
        return _found(trace.owner, f"its job's own records name {trace.owner}", word)
    if trace.listed is not None:
        because = f"{trace.scheduler} lists it as {trace.listed.submission} ({trace.listed.words})"
        return _found(trace.listed.submission, because, word, trace.listed.submitted_at)
    if allocation.scheduler_id is not None:
        return _once_known(allocation.scheduler_id, trace, word)
    return _never_known(trace, word)


def _found(
    scheduler_id: str, because: str, word: Word, submitted_at: int | None = None
) -> Plan | Refusal:
    """The submission is found; a word that says otherwise is a mistake."""
    if word.not_submitted:
        return Refusal(f"it was submitted: {because}. Leave --not-submitted out")
    if word.scheduler_id not in (None, scheduler_id):
        return Refusal(f"{because}, and not {word.scheduler_id}. Leave --scheduler-id out")
    return Plan(Way.OBSERVE, because, scheduler_id, submitted_at)


def _once_known(scheduler_id: str, trace: Trace, word: Word) -> Plan | Refusal:
    """The table has the scheduler's id, and no trace is left but what the scheduler knows of it."""
    if word.not_submitted or word.scheduler_id not in (None, scheduler_id):
        return _found(scheduler_id, f"the table says that it is {scheduler_id}", word)
    if trace.known is not None and not _another(trace):
        because = f"{trace.scheduler} knows {scheduler_id} ({trace.known.words})"
        return Plan(Way.OBSERVE, because, scheduler_id)
    if word.scheduler_id is not None:
        return Plan(Way.OBSERVE, f"the operator names {scheduler_id}", scheduler_id)
    return Refusal(
        f"{trace.scheduler} does not know job {scheduler_id} any more, and no file of "
        f"{trace.identity} tells how it ended. If jobs_dir is right and mounted, adopt it with "
        f"--scheduler-id {scheduler_id}: it ends as lost unless evidence turns up"
    )


def _never_known(trace: Trace, word: Word) -> Plan | Refusal:
    """Nobody has seen the scheduler's id, and the submission has left no trace."""
    if word.scheduler_id is not None:
        if _another(trace):
            return Refusal(
                f"job {word.scheduler_id} of {trace.scheduler} is another one: it was not "
                f"submitted as {trace.identity}"
            )
        because = f"the operator names {word.scheduler_id}"
        return Plan(Way.OBSERVE, because, word.scheduler_id)
    if word.not_submitted:
        because = "the operator says that it was not submitted, and there is no trace of it"
        return Plan(Way.SUBMIT, because)
    return Refusal(
        f"its submission had begun, and neither {trace.scheduler} nor a file knows "
        f"{trace.identity}. Look at the scheduler's own records. If it got the job, name it with "
        "--scheduler-id ID; if you are sure that it never did, say --not-submitted, and it is "
        "submitted again"
    )


def _another(trace: Trace) -> bool:
    """Whether what the scheduler knows under this id was submitted by somebody else."""
    known = trace.known
    return known is not None and known.identity not in (None, trace.identity)
