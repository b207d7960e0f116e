"""Adopts allocations of lost installations: looks, asks the scheduler, moves the claim.

The claim is moved before it is journalled, unlike in a pass: a record of a claim that a pass does
not hold would make it act on somebody else's job. A crash in between is mended by adopting again:
the table then names this installation, whose journal does not know the claim.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from job_protocol.allocation import Allocation
from job_protocol.audit_chain import head_of_created
from job_protocol.object_keys import SITE_CONTROL_DIR
from puller.adoption import Holding, Plan, Refusal, Trace, Way, Word, begun, decide, objection
from puller.array_state import tasks_of
from puller.errors import HeldElsewhere, PullerError
from puller.exit_file import read_records
from puller.journal import Phase, Record
from puller.lock import inheritable_lock
from puller.schedulers.interface import ListedJob
from puller.submitting import WRAPPER
from puller.workplace import Workplace


class NotAdopted(PullerError):
    """An allocation cannot be adopted; nothing was changed."""


class Adopting:
    """The adoption of allocations by one installation. The caller holds the pass's lock."""

    def __init__(self, place: Workplace) -> None:
        """Work with these tools."""
        self._place = place
        self._claims = place.queue.foreign_claims()
        self._controls = place.settings.jobs_dir / SITE_CONTROL_DIR / "alloc"

    def candidates(self) -> list[str]:
        """Allocations that have left something here and that no pass of this installation sees to.

        An allocation that was claimed and never staged has left nothing; its id is in the details
        that its user sees.
        """
        records = {record.id: record for record in self._place.journal.records()}
        try:
            found = {entry.name for entry in self._controls.iterdir() if _is_id(entry.name)}
        except (FileNotFoundError, NotADirectoryError):
            found = set()
        fenced = {id_ for id_, record in records.items() if record.phase is Phase.FENCED}
        return sorted((found - set(records)) | fenced)

    def look(self, allocation_id: str) -> Holding:
        """What table and journal say of an allocation.

        Raises:
            NotAdopted: the table does not have it, or the journal cannot be read.
            CloudUnreachable, CloudRefused: see `puller.errors`.
        """
        settings = self._place.settings
        record = self._place.journal.find(allocation_id)
        file = settings.state / "journal" / f"{allocation_id}.json"
        if record is None and file.exists():
            raise NotAdopted(f"{file} cannot be read: move it away and adopt again")
        allocation = self._place.queue.read(allocation_id)
        if allocation is None:
            raise NotAdopted(
                f"table {settings.table} has no such allocation of site {settings.site}, or one of "
                "a newer version than this puller knows: compare the id with aws-job-stat.json"
            )
        holder = allocation.installation
        return Holding(
            allocation=allocation,
            heartbeat=self._claims.heartbeat(holder) if holder is not None else None,
            journalled=record,
            installation=self._place.installation,
            now=self._place.clock(),
        )

    def plan(self, holding: Holding, word: Word) -> Plan | Refusal:
        """How the allocation goes on; the scheduler is asked where that depends on it.

        Raises:
            NotAdopted: a submission of it is still under way on this host.
            SchedulerUnavailable: the scheduler does not answer.
        """
        refusal = objection(holding)
        if refusal is not None:
            return refusal
        allocation = holding.allocation
        trace = self._trace(holding, word) if begun(allocation) else None
        return decide(allocation, trace, word)

    def _trace(self, holding: Holding, word: Word) -> Trace:
        allocation, scheduler = holding.allocation, self._place.scheduler
        control = self._controls / allocation.id
        identity = scheduler.identity_of(control / WRAPPER)
        try:
            with inheritable_lock(self._place.submission_lock(allocation.id)):
                jobs = scheduler.list_mine()
        except HeldElsewhere as error:
            raise NotAdopted(f"{error}: wait for its end, or end that process") from error
        records = read_records(control)  # after the listing: what it does not show may have ended
        trace = Trace(
            scheduler=scheduler.name,
            identity=identity,
            owner=records.owner,
            listed=next((job for job in jobs.values() if job.identity == identity), None),
        )
        asked = allocation.scheduler_id or word.scheduler_id
        if trace.owner is not None or trace.listed is not None or asked is None:
            return trace
        return replace(trace, asked=asked, known=self._known(allocation, asked))

    def _known(self, allocation: Allocation, asked: str) -> ListedJob | None:
        """What the scheduler knows of a submission; of an array, its first element's record."""
        scheduler = self._place.scheduler
        array = tasks_of(allocation, scheduler.task_numbers)
        if array is None:
            return scheduler.detail(asked)
        first = scheduler.element_id(asked, array.tasks[0])
        return scheduler.details(asked, [first]).get(first)

    def carry_out(self, holding: Holding, plan: Plan) -> Record:
        """Move the claim to this installation, and journal it for the next pass.

        Raises:
            NotAdopted: the claim is not as it was read any more.
            JournalError: the claim has moved and is not journalled; adopt again.
            CloudUnreachable, CloudRefused: see `puller.errors`; adopt again.
        """
        token = uuid.uuid4().hex
        move = {
            Way.STAGE: self._claims.take_over,
            Way.SUBMIT: self._claims.take_back,
            Way.OBSERVE: self._claims.adopt,
        }[plan.way]
        if not move(holding.allocation, token=token, installation=self._place.installation):
            raise NotAdopted("its claim has changed while it was looked at; look again")
        return self._place.journal.write(self._record(holding, plan, token))

    def _record(self, holding: Holding, plan: Plan, token: str) -> Record:
        allocation = holding.allocation
        observed = plan.way is Way.OBSERVE
        submitted_at = allocation.submitted_at or plan.submitted_at or holding.now
        return Record(
            allocation=replace(
                allocation,
                token=token,
                installation=self._place.installation,
                submitting=observed,
            ),
            token=token,
            phase=Phase.SUBMITTED if observed else Phase.STAGING,
            obs=allocation.obs,
            reported=allocation.client_status,
            reported_reason=allocation.reason,
            submitted_at=submitted_at if observed else None,
            scheduler_id=plan.scheduler_id,
            started_at=allocation.started_at,
            created_head=head_of_created(allocation),
        )


def _is_id(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
