"""Takes a job id's place in the tree, creates runs and stops them: for intake and API alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from job_protocol import audit_chain, identifiers
from job_protocol.allocation import Allocation
from job_protocol.job import EARLIER_RUNS, Job, Registration
from job_protocol.job_settings import JobSettings
from job_protocol.manifest import INLINE_LIMIT, Manifest
from job_protocol.states import ClientStatus, Desired, JobStatus, Outcome
from lambdas.dependents import look_up
from lambdas.errors import Conflict
from lambdas.places import Places
from lambdas.ports import counters, replacements
from lambdas.ports.job_items import Asked, Birth, after
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.site_directory import Site
from lambdas.rules import site_limits
from lambdas.rules.again import again
from lambdas.rules.dependencies import Standing, standing
from lambdas.rules.revision import touched
from lambdas.turns import Turns

STOPPED_AT_ONCE = "stopped by the user before it had begun"
_STOPPED_UNCLAIMED = "stopped by the user before the site had claimed it"
_FREE = Standing()
_NOBODY = audit_chain.CONTROL_PLANE
"""Who causes a run that nobody asks for: the launch of a periodic job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What causes a run.

    Attributes:
        upload: S3 version id of the mark, or the id that the API derived from the request.
        sequencer: S3 sequencer of the newest mark that was acted on, if any was.
        time: when it was asked for, in seconds since the epoch.
        submitter: who asked for it through the API.
        principal: who asked for it otherwise, as AWS names them.
        task_token: the task token of the workflow that waits for the end.
        registration: the version of the Nomad job that runs.
        earlier: the names of that job's versions before.
    """

    upload: str
    sequencer: str | None
    time: int
    submitter: str | None = None
    principal: str | None = None
    task_token: str | None = None
    registration: Registration | None = None
    earlier: tuple[str, ...] = ()

    @property
    def who(self) -> str:
        """Who causes it, for the job's event log."""
        return audit_chain.principal_text(self.submitter or self.principal or _NOBODY)


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of one site's jobs.

    Attributes:
        table: the job table.
        bucket: the site's bucket.
        site: the site.
        clock: the time in seconds since the epoch.
    """

    table: JobTable
    bucket: SiteBucket
    site: Site
    clock: Callable[[], int]

    @property
    def places(self) -> Places:
        """The tree of the site's job ids."""
        return Places(self.table, self.site, self.clock)

    @property
    def turns(self) -> Turns:
        """Whose turn it is among the children of templates."""
        return Turns(self.table, self.clock)

    def touched(self, job: Job) -> Job:
        """The job with a further revision, which is to be published."""
        return touched(job, self.clock())

    def expiry(self) -> int:
        """When the items of a job that dies now may be deleted, in seconds since the epoch."""
        return self.clock() + self.site.keep_days * 24 * 3600

    # ---- a run ----

    def start(
        self,
        job_id: str,
        cause: Cause,
        job: Job | None,
        *,
        manifest: Manifest,
        settings: JobSettings,
        birth: Birth | None = None,
        stands: Standing = _FREE,
    ) -> Job:
        """Create a run and its first allocation, which the site's puller may then claim.

        Args:
            job_id: the job; its place in the tree is taken.
            cause: what causes the run.
            job: the item of the job id as it was read, if there was one; no run of it is active.
            manifest: the object versions that run.
            settings: what the user stated.
            birth: what goes with it, if the run is that of a template's new child.
            stands: how it stands towards what it depends on.

        Returns:
            The job with its new run.

        Raises:
            Conflict: the job changed meanwhile.
            LimitReached: it would exceed a limit of the site.
        """
        run = (job.run if job else 0) + 1
        allocation = self.new_allocation(
            job_id, cause, run=run, manifest=manifest, settings=settings
        )
        if job is not None and job.current is not None:
            allocation = after(allocation, self.table.allocation(job.site, job.current))
        charged = self.charges(cause, sum(entry.size for entry in manifest.entries))
        new = self._new_run(job_id, cause, job)
        if birth is not None:
            # Nobody is told that it waits: dispatching many children is to cost little.
            new = replace(new, parent=birth.parent, unpublished=False, announce=False)
        return self._create(job, new, allocation, stands, cause, charged, birth)

    def new_allocation(
        self, job_id: str, cause: Cause, *, run: int, manifest: Manifest, settings: JobSettings
    ) -> Allocation:
        """The first allocation of a run; a large manifest is put into the bucket."""
        allocation = Allocation(
            site=self.site.name,
            job=job_id,
            id=identifiers.first_allocation(self.site.name, job_id, cause.upload),
            run=run,
            created=self.clock(),
            desired=Desired.RUN,
            # The job says from now on what it waits for: an item is charged by its size.
            settings=replace(settings, depends_on=()),
            keep_days=self.site.keep_days,
            principal=cause.who,
        )
        packed = manifest.pack()
        if len(packed) <= INLINE_LIMIT:
            return replace(allocation, manifest=packed)
        self.bucket.put_manifest(allocation.id, manifest.to_json())
        return replace(allocation, manifest_of=allocation.id)

    def charges(self, cause: Cause, size: int) -> tuple[site_limits.Charge, ...]:
        """What a run adds to the counters of the site's limits; `size` in bytes."""
        return site_limits.charges(
            self.site.quotas,
            site=self.site.name,
            submitter=cause.submitter,
            size=size,
            now=self.clock(),
        )

    def start_again(self, job: Job, cause: Cause) -> Job | None:
        """Create a run with the inputs of the last one; of an array, of what is not complete.

        It depends on what the last run was still waiting for when it ended.

        Args:
            job: the job as it was read; it is dead.
            cause: what causes the run.

        Returns:
            The job with its new run; None if no inputs of an earlier run are recorded.

        Raises:
            Conflict: the job changed meanwhile.
            LimitReached: it would exceed a limit of the site.
        """
        ended = self.table.allocation(job.site, job.current) if job.current else None
        if ended is None or (ended.manifest is None and ended.manifest_of is None):
            return None
        allocation = again(
            ended,
            id_=identifiers.first_allocation(job.site, job.id, cause.upload),
            run=job.run + 1,
            attempt=0,
            now=self.clock(),
            principal=cause.who,
        )
        charged = self.charges(cause, 0)  # nothing new was uploaded
        new = replace(
            self._new_run(job.id, cause, job),
            registration=job.registration,
            earlier=job.earlier,
            parent=job.parent,
        )
        named = look_up(self.table, job.site, job.waiting_on)
        stands = standing(job.site, job.waiting_on, named)
        birth = self._rebirth(job)
        return self._create(job, new, allocation, stands, cause, charged, birth)

    def _rebirth(self, job: Job) -> Birth | None:
        """What a further run of a child counts towards, where its template has `max_active`."""
        template = self.table.job(job.site, job.parent) if job.parent is not None else None
        if template is None or template.max_active is None:
            return None
        return self.turns.birth(template, job.id)

    def _create(
        self,
        read: Job | None,
        new: Job,
        allocation: Allocation,
        stands: Standing,
        cause: Cause,
        charged: tuple[site_limits.Charge, ...],
        birth: Birth | None = None,
    ) -> Job:
        allocation = stands.held_back(allocation, self.clock(), self.expiry())
        new = replace(
            new,
            current=allocation.id,
            client_status=ClientStatus.PENDING,
            waiting_on=stands.waiting_on,
            priority=allocation.settings.priority,
            counted=site_limits.counted_by(charged),
            turn=birth.turn if birth is not None else None,
            dependents=birth is not None and birth.limited,
        )
        counters.create_run(
            self.table,
            read,
            new,
            allocation,
            task_token=cause.task_token,
            charges=charged,
            birth=birth,
        )
        return new

    def stopped_at_once(self, job: Job, cause: Cause) -> Job:
        """The new run of a job that was told to stop before it had begun."""
        return replace(
            self._new_run(job.id, cause, job),
            status=JobStatus.DEAD,
            outcome=Outcome.STOPPED,
            message=STOPPED_AT_ONCE,
            current=None,
            client_status=None,
            finished=self.clock(),
            ttl=self.expiry(),
        )

    def _new_run(self, job_id: str, cause: Cause, job: Job | None) -> Job:
        if job is not None:
            must_be_told(job)
        touched = self.touched(job) if job else None
        return Job(
            site=self.site.name,
            id=job_id,
            bucket=self.site.bucket,
            rev=touched.rev if touched else 1,
            unpublished=True,
            announce=True,
            run=(job.run if job else 0) + 1,
            upload=cause.upload,
            earlier_uploads=_earlier_uploads(job) if job else (),
            sequencer=cause.sequencer,
            stop_sequencer=job.stop_sequencer if job else None,
            created=(job.created if job and job.run else None) or cause.time,
            submitted=cause.time,
            submitter=cause.submitter,
            awaited=cause.task_token is not None,
            lease=touched.lease if touched else None,
            lease_until=touched.lease_until if touched else None,
            registration=cause.registration,
            earlier=cause.earlier,
        )

    # ---- its end on request ----

    def stop(self, job: Job, *, sequencer: str | None, asked_by: str, by: str | None = None) -> Job:
        """Stop the job's current run: at once if nothing of it has been claimed.

        Args:
            job: the job as it was read; a run of it is active, or one is to follow.
            sequencer: S3 sequencer of the newest mark that was acted on, if any was.
            asked_by: who or what asked, for the note, such as `JOB_STOP`.
            by: who asked, for the event log; None is unknown.

        Returns:
            The job as it now is.

        Raises:
            Conflict: the job or its allocation changed meanwhile.
        """
        asked = replace(self.touched(job), note=None, sequencer=sequencer)
        who = Asked(by=audit_chain.principal_text(by or asked_by), at=self.clock())
        if job.replacement is not None:
            # The current run has been told already.
            asked = replace(asked, replacement=None, note=f"{asked_by}: no further run follows.")
            replacements.give_up(self.table, job, asked, who, ttl=self.expiry())
            return asked
        allocation = self.table.allocation(job.site, job.current) if job.current else None
        if allocation is None:
            asked = replace(asked, note=f"{asked_by} changed nothing: nothing of the job runs.")
            self.table.replace_job(job, asked)
        elif allocation.client_status.terminal:
            asked = replace(asked, note=f"{asked_by} came at the end of the run; no other follows.")
            self.table.stop_attempts(job, asked)
        elif allocation.token is None and allocation.client_status is ClientStatus.PENDING:
            self.table.stop_unclaimed(job, asked, who, ttl=self.expiry(), reason=_STOPPED_UNCLAIMED)
        else:
            asked = replace(asked, note=f"{asked_by}: the site's puller has been asked to stop it.")
            self.table.ask_to_stop(job, asked, who)
        return asked


def must_be_told(job: Job) -> None:
    """Make sure that nobody waits to be told how a job has ended, before its item says else.

    Raises:
        Conflict: a workflow or another job does.
    """
    waits = job.awaited or job.dependents or job.replacement is not None
    if waits and job.unpublished and not job.active:
        raise Conflict(f"the end of run {job.run} of job {job.id!r} is still being published")


def _earlier_uploads(job: Job) -> tuple[str, ...]:
    """What caused the runs before the next one, by which their allocations are found."""
    last = (job.upload,) if job.run and job.upload else ()
    return (*last, *job.earlier_uploads)[:EARLIER_RUNS]
