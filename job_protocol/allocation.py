"""The allocation item: one submission to the site's scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from job_protocol.elements import Elements
from job_protocol.items import SCHEMA_VERSION, decoded_by, from_attributes
from job_protocol.job import DEFAULT_KEEP_DAYS
from job_protocol.job_settings import DEFAULT_PRIORITY, JobSettings
from job_protocol.states import ClientStatus, Desired


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that was not pushed, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSummary:
    """What the puller pushed.

    Attributes:
        files: how many files and empty folders.
        size: bytes.
        left_out: how many were not pushed.
        listed: the first of those (the rest: `object_keys.result_report_key`).
    """

    files: int = 0
    size: int = 0
    left_out: int = 0
    listed: tuple[LeftOut, ...] = decoded_by(
        lambda rows: tuple(LeftOut(**row) for row in rows), default=()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """One submission to the site's scheduler: claimed, submitted, watched and published.

    Times are whole seconds since the epoch.

    Attributes:
        site, job, id: whose allocation it is; the id is a derived UUID.
        run: the job's run that caused it.
        attempt: 0, then one more with each retry or reschedule within the run.
        client_status: see `states.ClientStatus`.
        desired: what the control plane wants.
        created: time of creation.
        not_before: time before which no puller may claim it.
        settings: what `aws-job.json` stated.
        manifest: the packed manifest of inputs, when small.
        manifest_of: the allocation for which a large manifest was written; it lies at
            `object_keys.input_manifest_key(manifest_of)`.
        principal: who caused it (see `audit_chain`).
        before: the job's allocation before this one.
        previous: `audit_chain.head_of` that one, when this one was created.
        stop_by, stop_at: who first asked for its end, and when.
        keep_days: days to keep the item after the end.
        token: the claim's fencing token.
        installation: the installation of the puller that holds the claim.
        submitting: set for good before the scheduler is called.
        scheduler: the scheduler's name (`slurm`, `local`, ...).
        scheduler_id: the scheduler's id of the submission.
        obs: rises with every observation that was written.
        reason: the scheduler's or the puller's word on the state, verbatim.
        refused: whether the site's policy refused it: no attempt follows.
        expected_start: when the scheduler expected to start it, as it said with that reason.
        exit_code: the script's exit code, 128 + n for signal n as in POSIX shells.
        claimed_at, submitted_at, started_at, ended_at: times.
        elements: the packed vector of an array's elements (`elements.Elements`); None where
            nothing is known of them yet.
        continues: the first of the allocations in whose job directory this one goes on, as a
            further attempt at an array does.
        results: what was pushed.
        ttl: when the item may be deleted.
        purged_at: when the puller had removed the job's directories.
    """

    site: str
    job: str
    id: str
    run: int = 1
    attempt: int = 0
    client_status: ClientStatus = decoded_by(ClientStatus, default=ClientStatus.PENDING)
    desired: Desired = decoded_by(Desired, default=Desired.RUN)
    created: int = 0
    not_before: int | None = None
    settings: JobSettings = decoded_by(
        lambda attributes: from_attributes(JobSettings, attributes), default=JobSettings()
    )
    manifest: bytes | None = None
    manifest_of: str | None = None
    principal: str | None = None
    before: str | None = None
    previous: str | None = None
    stop_by: str | None = None
    stop_at: int | None = None
    keep_days: int = DEFAULT_KEEP_DAYS
    token: str | None = None
    installation: str | None = None
    submitting: bool = False
    scheduler: str | None = None
    scheduler_id: str | None = None
    obs: int = 0
    reason: str | None = None
    refused: bool = False
    expected_start: int | None = None
    exit_code: int | None = None
    claimed_at: int | None = None
    submitted_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    elements: bytes | None = None
    continues: str | None = None
    results: ResultSummary | None = decoded_by(
        lambda attributes: from_attributes(ResultSummary, attributes), default=None
    )
    ttl: int | None = None
    purged_at: int | None = None
    v: int = SCHEMA_VERSION

    @property
    def purge_wanted(self) -> bool:
        """Whether its job's directories shall go."""
        return self.desired is Desired.PURGE and self.client_status.terminal

    @property
    def known_elements(self) -> Elements | None:
        """The elements as last told, of an array; all of them wait where nothing was told."""
        if self.settings.array is None:
            return None
        if self.elements is None:
            return Elements.queued(self.settings.array)
        return Elements.unpack(self.elements)

    @property
    def priority(self) -> int:
        """1 to 100, a higher one first."""
        return self.settings.priority or DEFAULT_PRIORITY
