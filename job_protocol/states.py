"""States of allocations and jobs, their legal transitions, and the words of `aws-job-stat.txt`."""

from __future__ import annotations

from enum import StrEnum


class ClientStatus(StrEnum):
    """What the puller knows of an allocation. Terminal states are final."""

    PENDING = "pending"
    STARTING = "starting"
    QUEUED = "queued"
    RUNNING = "running"
    PUBLISHING = "publishing"
    COMPLETE = "complete"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"

    @property
    def terminal(self) -> bool:
        """Whether the allocation has ended; nothing may change it any more."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {ClientStatus.COMPLETE, ClientStatus.FAILED, ClientStatus.STOPPED, ClientStatus.LOST}
)
_LIVE_ON_SITE = frozenset(
    {ClientStatus.QUEUED, ClientStatus.RUNNING, ClientStatus.PUBLISHING} | _TERMINAL
)

TRANSITIONS: dict[ClientStatus, frozenset[ClientStatus]] = {
    ClientStatus.PENDING: frozenset({ClientStatus.STARTING, ClientStatus.STOPPED}),
    # `starting` goes back to `pending` when the scheduler refuses for a limit of its queue.
    ClientStatus.STARTING: frozenset({ClientStatus.PENDING} | _LIVE_ON_SITE),
    ClientStatus.QUEUED: frozenset({ClientStatus.RUNNING, ClientStatus.PUBLISHING} | _TERMINAL),
    # The scheduler may requeue a running job.
    ClientStatus.RUNNING: frozenset({ClientStatus.QUEUED, ClientStatus.PUBLISHING} | _TERMINAL),
    ClientStatus.PUBLISHING: _TERMINAL,
    ClientStatus.COMPLETE: frozenset(),
    ClientStatus.FAILED: frozenset(),
    ClientStatus.STOPPED: frozenset(),
    ClientStatus.LOST: frozenset(),
}


class Desired(StrEnum):
    """What the control plane wants of an allocation."""

    RUN = "run"
    STOP = "stop"
    PURGE = "purge"
    """It has ended, and its job's directories on the site shall go."""


class JobStatus(StrEnum):
    """A job's status, in Nomad's words."""

    PENDING = "pending"
    RUNNING = "running"
    DEAD = "dead"


class Outcome(StrEnum):
    """How a dead job ended, so that `dead` never hides whether it worked."""

    COMPLETE = "complete"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"
    REJECTED = "rejected"


class JobKind(StrEnum):
    """Nomad's kinds of batch job."""

    BATCH = "batch"
    PARAMETERIZED = "parameterized"
    PERIODIC = "periodic"


class Role(StrEnum):
    """The place of an item in the tree of job ids: no leaf lies inside another leaf."""

    LEAF = "leaf"
    FOLDER = "folder"
    TEMPLATE = "template"
    REJECTED = "rejected"
    """An upload that never became a job; it holds no place in the tree."""


class Word(StrEnum):
    """The words of `aws-job-stat.txt`."""

    FILE_UPLOAD = "FILE_UPLOAD"
    JOB_STOP = "JOB_STOP"
    JOB_RETRY = "JOB_RETRY"
    JOB_QUEUED = "JOB_QUEUED"
    JOB_SUBMITTED = "JOB_SUBMITTED"
    JOB_RUNNING = "JOB_RUNNING"
    JOB_COMPLETE = "JOB_COMPLETE"
    JOB_FAILED = "JOB_FAILED"
    JOB_STOPPED = "JOB_STOPPED"
    JOB_LOST = "JOB_LOST"
    FILE_REJECTED = "FILE_REJECTED"

    @property
    def body(self) -> bytes:
        """The whole content of `aws-job-stat.txt`: the word and a newline."""
        return f"{self.value}\n".encode()


USER_WORDS = frozenset({Word.FILE_UPLOAD, Word.JOB_STOP, Word.JOB_RETRY})
JOBFERRY_WORDS = frozenset(Word) - USER_WORDS

_WORD_OF_OUTCOME = {
    Outcome.COMPLETE: Word.JOB_COMPLETE,
    Outcome.FAILED: Word.JOB_FAILED,
    Outcome.STOPPED: Word.JOB_STOPPED,
    Outcome.LOST: Word.JOB_LOST,
    Outcome.REJECTED: Word.FILE_REJECTED,
}
_JOB_STATUS_OF_CLIENT = {
    ClientStatus.PENDING: JobStatus.PENDING,
    ClientStatus.STARTING: JobStatus.PENDING,
    ClientStatus.QUEUED: JobStatus.PENDING,
    ClientStatus.RUNNING: JobStatus.RUNNING,
    ClientStatus.PUBLISHING: JobStatus.RUNNING,
}
_WORD_OF_CLIENT = {
    ClientStatus.PENDING: Word.JOB_QUEUED,
    ClientStatus.STARTING: Word.JOB_QUEUED,
    ClientStatus.QUEUED: Word.JOB_SUBMITTED,
    ClientStatus.RUNNING: Word.JOB_RUNNING,
    ClientStatus.PUBLISHING: Word.JOB_RUNNING,
}


def may_become(old: ClientStatus, new: ClientStatus) -> bool:
    """Whether an allocation may go from `old` to `new`."""
    return new in TRANSITIONS[old]


def outcome_of(status: ClientStatus) -> Outcome | None:
    """The outcome that a terminal client status means for its job, else None."""
    return Outcome(status.value) if status.terminal else None


def job_status_of(status: ClientStatus) -> JobStatus:
    """The job status that follows from the client status of its current allocation."""
    return _JOB_STATUS_OF_CLIENT.get(status, JobStatus.DEAD)


def word_of(outcome: Outcome | None, client: ClientStatus | None) -> Word:
    """The word that a user with only S3 shall see.

    Args:
        outcome: the outcome of a dead job, else None.
        client: the client status of the current allocation, not terminal; None before there
            is one.
    """
    if outcome is not None:
        return _WORD_OF_OUTCOME[outcome]
    return _WORD_OF_CLIENT[client] if client is not None else Word.JOB_QUEUED
