"""The job item: written by the Lambdas alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from job_protocol.dependency import Dependency, dependencies
from job_protocol.items import SCHEMA_VERSION, decoded_by, from_attributes
from job_protocol.object_keys import Problem
from job_protocol.states import ClientStatus, JobKind, JobStatus, Outcome, Role, Word, word_of

DEFAULT_KEEP_DAYS = 90
"""How long the items of a dead job stay in the table."""

EARLIER_RUNS = 20
"""As many runs before the current one can be told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An object that was kept with a version.

    Attributes:
        version: its S3 version id.
        size: bytes.
    """

    version: str
    size: int


def _kept(attributes: Mapping[str, Any]) -> Kept:
    return from_attributes(Kept, attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A version of a job that was registered as a Nomad job; of a child, the template's version.

    Attributes:
        version: 0, then one more with every registration that changes something.
        name: names the version's objects (`object_keys.specification_key`).
        index: Nomad's `JobModifyIndex`: the job's revision when it was last registered or stopped.
        time: when this version was registered, in seconds since the epoch.
        script: S3 version id of a template's run script (`object_keys.template_input_key`).
        script_size: bytes of it.
        signed, signature: of a template that was signed, the document and its signature.
        rows: how many elements a child has that was dispatched with a sweep.
    """

    version: int
    name: str
    index: int = 1
    time: int | None = None
    script: str | None = None
    script_size: int | None = None
    signed: Kept | None = decoded_by(_kept, default=None)
    signature: Kept | None = decoded_by(_kept, default=None)
    rows: int | None = None


def _registration(attributes: Mapping[str, Any]) -> Registration:
    return from_attributes(Registration, attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """The run that follows when the current one of a changed job has ended.

    Attributes:
        allocation: its first allocation, which is there already.
        upload: the id of the request that caused it.
        time: when that was, in seconds since the epoch.
        runs: the version that the current run is of, until then.
        submitter: who asked.
        priority: as in `Job`.
    """

    allocation: str
    upload: str
    time: int
    runs: Registration | None = decoded_by(_registration, default=None)
    submitter: str | None = None
    priority: int | None = None


def _replacement(attributes: Mapping[str, Any]) -> Replacement:
    return from_attributes(Replacement, attributes)


def _problems(rows: list[dict[str, str]]) -> tuple[Problem, ...]:
    return tuple(Problem(**row) for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a user submitted, named by (site, id).

    Times are whole seconds since the epoch.

    Attributes:
        site: the site's name.
        id: the job id, which is the prefix in the site's bucket.
        bucket: the site's bucket.
        role: the place in the tree of job ids.
        kind: batch, parameterized or periodic.
        status, outcome: see `states`.
        rev: rises by one with every change that a user may see.
        unpublished: whether the status objects do not show this revision yet. Whoever raises
            `rev` sets it; only the publisher that has written the objects takes it away.
        announce: whether the event that tells this state has not been sent yet.
        run: 1 for the first accepted upload of this job id, then 2, ...
        upload: S3 version id of the `aws-job-stat.txt` whose `FILE_UPLOAD` caused this run.
        earlier_uploads: the same of the runs before, the newest first, at most `EARLIER_RUNS`.
        sequencer: S3 sequencer of the newest event that was acted on.
        stop_sequencer: S3 sequencer of a `JOB_STOP` that found no job yet.
        current: id of the current allocation.
        client_status: its client status as last derived.
        created: time of the first upload; inputs older than that were never results.
        submitted: time of this run's upload.
        finished: time at which the job became dead.
        priority: 1 to 100, a higher one first; None is `DEFAULT_PRIORITY`.
        submitter: who submitted this run through the API: an ARN, a token's name, a JWT's subject.
        counted: sort keys of the counters of active jobs that this run is counted in.
        awaited: whether a workflow waits for the end of this run (see `table_keys.task_token`).
        waiting_on: what has to come before this run and has not; where the run has ended, what it
            never got.
        dependents: whether jobs wait for the end of this run (see `table_keys.dependent`). Whoever
            begins to wait sets it without raising `rev`; every other write depends on it.
        message: why the job is in this state, a sentence.
        note: why the user's last word changed nothing, a sentence.
        reasons: why the upload was rejected.
        lease, lease_until: the publisher that is writing the status objects, and until when.
        ttl: when the item may be deleted.
        registration: the registered version, of a job that was made from a Nomad job.
        earlier: the names of the versions before, the newest first.
        replacement: what follows the current run; the registered version is that of it already.
        parent: the template that this job is a child of.
        next_due: when a periodic job launches next.
        launched: children of a periodic job without overlap, or of a parameterized one with
            `max_active`, that were not yet seen dead.
        max_active: how many children of a parameterized job may be active at once.
        first_turn: dispatches up to this number wait no more; None as long as none ever could.
        turn: the number of this child among the dispatches that wait (`table_keys.turn`).
        purge: set when the job's objects, directories and items shall be removed: objects that
            were put up to this time, which is that of the request or of the run's end.
    """

    site: str
    id: str
    bucket: str
    role: Role = decoded_by(Role, default=Role.LEAF)
    kind: JobKind = decoded_by(JobKind, default=JobKind.BATCH)
    status: JobStatus = decoded_by(JobStatus, default=JobStatus.PENDING)
    outcome: Outcome | None = decoded_by(Outcome, default=None)
    rev: int = 1
    unpublished: bool = False
    announce: bool = False
    run: int = 0
    upload: str | None = None
    earlier_uploads: tuple[str, ...] = decoded_by(tuple, default=())
    sequencer: str | None = None
    stop_sequencer: str | None = None
    current: str | None = None
    client_status: ClientStatus | None = decoded_by(ClientStatus, default=None)
    created: int | None = None
    submitted: int | None = None
    finished: int | None = None
    priority: int | None = None
    submitter: str | None = None
    counted: tuple[str, ...] = decoded_by(tuple, default=())
    awaited: bool = False
    waiting_on: tuple[Dependency, ...] = decoded_by(dependencies, default=())
    dependents: bool = False
    message: str | None = None
    note: str | None = None
    reasons: tuple[Problem, ...] = decoded_by(_problems, default=())
    lease: str | None = None
    lease_until: int | None = None
    ttl: int | None = None
    purge: int | None = None
    registration: Registration | None = decoded_by(_registration, default=None)
    earlier: tuple[str, ...] = decoded_by(tuple, default=())
    replacement: Replacement | None = decoded_by(_replacement, default=None)
    parent: str | None = None
    next_due: int | None = None
    launched: tuple[str, ...] = decoded_by(tuple, default=())
    max_active: int | None = None
    first_turn: int | None = None
    turn: int | None = None
    v: int = SCHEMA_VERSION

    @property
    def active(self) -> bool:
        """Whether a run of the job has not ended."""
        return self.role is Role.LEAF and self.status is not JobStatus.DEAD

    @property
    def launches(self) -> bool:
        """Whether it is a template that has not been stopped."""
        return self.role is Role.TEMPLATE and self.status is not JobStatus.DEAD

    @property
    def running_version(self) -> Registration | None:
        """The registered version of the current run; `registration` may be that of the next one."""
        follows = self.replacement
        return follows.runs if follows is not None and follows.runs else self.registration

    @property
    def held_back(self) -> bool:
        """Whether its run may not enter the site's queue yet."""
        return self.active and (bool(self.waiting_on) or self.turn is not None)

    @property
    def word(self) -> Word:
        """The word of `aws-job-stat.txt` that says the job's state."""
        return word_of(self.outcome, self.client_status)
