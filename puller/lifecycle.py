"""The steps of one allocation on the site, from its claim to its published end.

Each step is journalled before it is taken and safe to repeat. A step returns the record as it then
stands, or None when this site is done with the allocation.
"""

from __future__ import annotations

import logging
import shutil
import uuid
from contextlib import suppress
from dataclasses import replace
from typing import Any

from job_protocol.allocation import Allocation, ResultSummary
from job_protocol.audit_chain import head_of_created, head_of_end
from job_protocol.states import ClientStatus, Desired
from puller.audit import AuditLog
from puller.cloud.written import Written
from puller.errors import PullerError
from puller.finished import FinishedAllocations
from puller.job_directory import control_directory
from puller.journal import End, Phase, Record, told
from puller.policy_guard import PolicyGuard
from puller.shared_cache import cache_of
from puller.workplace import Workplace

_LOG = logging.getLogger(__name__)

ELEMENTS_INTERVAL = 15.0
"""Seconds between two reports of a lingering puller on nothing but an array's elements."""


class Lifecycle:
    """Claims, reports and ends allocations; the other steps use it.

    Attributes:
        place: the tools.
        guard: the site's policy.
        audit: what is told of submissions, refusals and results.
        cache: the shared inputs of this site.
        tell_after: seconds that a passing state must have lasted before it is told; 0 where the
            next look may be an hour away.
    """

    def __init__(self, place: Workplace) -> None:
        """Work with these tools."""
        self.place = place
        self.tell_after = 0.0
        self.guard = PolicyGuard(place)
        self.audit = AuditLog(place.settings.state, place.settings.site, place.clock)
        self.cache = cache_of(place.settings, place.clock)
        self._finished = FinishedAllocations(place.settings.state)

    # ---- claim ----

    def claim(self, allocation_id: str) -> Record | None:
        """Claim an allocation that waits."""
        record = Record(
            allocation=Allocation(site=self.place.settings.site, job="", id=allocation_id),
            token=uuid.uuid4().hex,
        )
        return self.confirm_claim(self.place.journal.write(record))

    def confirm_claim(self, record: Record) -> Record | None:
        """Claim with the journalled token, whether or not an earlier attempt got through.

        Repeating the claim, rather than asking whether it got through, leaves no moment in which
        a delayed request could claim what the journal has forgotten.
        """
        queue = self.place.queue
        claimed = queue.claim(
            record.id,
            token=record.token,
            installation=self.place.installation,
            now=int(self.place.clock()),
        )
        if claimed is None:
            found = queue.read(record.id)
            if found is not None and found.token == record.token:
                claimed = found
        if claimed is None or claimed.client_status.terminal:
            self.place.journal.forget(record)
            return None
        head = head_of_created(claimed)
        record = replace(
            record, allocation=claimed, phase=Phase.STAGING, obs=claimed.obs, created_head=head
        )
        _LOG.info("claimed %s", told(record))
        self.audit.write(
            "claimed",
            job=claimed.job,
            allocation=claimed.id,
            principal=claimed.principal,
            run=claimed.run,
            head=head,
        )
        return self.place.journal.write(record)

    # ---- reports ----

    def report(
        self,
        record: Record,
        status: ClientStatus,
        reason: str | None,
        *,
        since: float | None = None,
        expected_start: int | None = None,
    ) -> Record | None:
        """Tell the table what was observed, if it does not know it yet.

        Args:
            record: the allocation.
            status: what it is.
            reason: why, for people.
            since: since when it is so, in seconds since the epoch; a state that has not lasted for
                `tell_after` yet is not told, since each costs two status objects. None tells it
                at once.
            expected_start: when the scheduler expects to start it, in seconds since the epoch. It
                changes often, so that alone nothing is told.
        """
        told_already = (status, reason) == (record.reported, record.reported_reason)
        if told_already and not self._elements_due(record):
            return record
        if since is not None and self.place.clock() - since < self.tell_after:
            return record
        for _ in range(2):
            record = replace(record, obs=record.obs + 1)
            written = self.place.queue.observe(
                record.id,
                record.token,
                obs=record.obs,
                status=status,
                facts={
                    "reason": reason,
                    "expected_start": expected_start,
                    **self._facts(record),
                },
            )
            if written is not Written.REPEATED:
                break
            found = self.place.queue.read(record.id)
            record = replace(record, obs=found.obs if found else record.obs)
        if written is Written.DONE:
            record = replace(record, reported=status, reported_reason=reason, elements_told=True)
            if record.elements is not None:
                record = replace(record, elements_told_at=self.place.clock())
            return self.place.journal.write(record)
        return self.after(record, written)

    def _elements_due(self, record: Record) -> bool:
        """Whether the table is to be told of elements alone: each time costs two status objects."""
        waited = self.place.clock() - record.elements_told_at
        return not record.elements_told and (
            self.tell_after == 0 or not 0 <= waited < ELEMENTS_INTERVAL
        )

    def _facts(self, record: Record) -> dict[str, Any]:
        """What is known of the submission, for the table."""
        if record.scheduler_id is None:
            return {}
        facts = {
            "scheduler": self.place.scheduler.name,
            "scheduler_id": record.scheduler_id,
            "submitted_at": _whole(record.submitted_at),
            "started_at": _whole(record.started_at),
        }
        return facts if record.elements is None else {**facts, "elements": record.elements}

    def show_problem(self, record: Record, problem: str) -> None:
        """Tell the user why a claimed allocation is not submitted, where the journal cannot help.

        Raises:
            CloudUnreachable, CloudRefused: it could not be told.
        """
        found = self.place.queue.read(record.id)
        if (
            found is not None
            and found.token == record.token
            and found.client_status is ClientStatus.STARTING
            and found.reason != problem
        ):
            self.place.queue.observe(
                record.id,
                record.token,
                obs=found.obs + 1,
                status=found.client_status,
                facts={"reason": problem},
            )

    def after(self, record: Record, written: Written) -> Record | None:
        """What follows from a write whose condition failed."""
        if written is Written.STOP_DESIRED:
            return self.stopped_before_submission(record)
        if written is Written.ENDED and not self.guard.contradicts_end(record):
            self.finish(record)
            return None
        if written in (Written.FENCED, Written.ENDED):
            _LOG.error(
                "%s: the job table %s. Nothing of it is cancelled, deleted or pushed; its "
                "directory stays",
                told(record),
                "names another claim"
                if written is Written.FENCED
                else "says that it has ended, which this site has not seen",
            )
            return self.place.journal.write(replace(record, phase=Phase.FENCED))
        return record

    # ---- end ----

    def end_unsubmitted(
        self, record: Record, status: ClientStatus, reason: str, *, refused: bool = False
    ) -> Record | None:
        """End an allocation that never reached the scheduler.

        Args:
            record: the allocation.
            status: how it ends.
            reason: why, a sentence.
            refused: whether the site's policy refused it: then no attempt follows.
        """
        now = int(self.place.clock())
        end = End(status=status, exit_code=None, reason=reason, time=now, refused=refused)
        return self.write_end(self.ended(record, end), None)

    def stopped_before_submission(self, record: Record) -> Record | None:
        """End an allocation that its user stopped in time."""
        return self.end_unsubmitted(
            record, ClientStatus.STOPPED, "stopped by the user before it was submitted"
        )

    def ended(self, record: Record, end: End) -> Record:
        """Remember the end; from here on only publishing remains."""
        return self.place.journal.write(replace(record, phase=Phase.ENDED, end=end))

    def write_end(self, record: Record, results: ResultSummary | None) -> Record | None:
        """Write the end into the table and let go of the allocation here."""
        if record.end is None:
            raise PullerError(f"{told(record)} has not ended")
        written = self.place.queue.end(
            record.allocation,
            record.token,
            obs=record.obs + 1,
            end=record.end,
            results=results,
            facts=self._facts(record),
            now=int(self.place.clock()),
        )
        if written in (Written.DONE, Written.ENDED):
            self._audit_end(record, record.end, results)
        if written is not Written.DONE:
            return self.after(record, written)
        _LOG.info(
            "%s: %s%s%s",
            told(record),
            record.end.status.value,
            "" if record.end.exit_code is None else f", exit code {record.end.exit_code}",
            f" ({record.end.reason})" if record.end.reason else "",
        )
        self.finish(record)
        return None

    def _audit_end(self, record: Record, end: End, results: ResultSummary | None) -> None:
        """Note how the job's event log stands with an end of which the table knows."""
        if record.created_head is None:  # claimed by an older version
            return
        ended = replace(
            record.allocation,
            client_status=end.status,
            installation=self.place.installation,
            ended_at=end.time,
            exit_code=end.exit_code,
            reason=end.reason,
            results=results,
            **{name: value for name, value in self._facts(record).items() if value is not None},
        )
        self.audit.write(
            "ended",
            job=ended.job,
            allocation=ended.id,
            status=end.status.value,
            exit_code=end.exit_code,
            head=head_of_end(record.created_head, ended),
        )

    def finish(self, record: Record) -> None:
        """Remove what the puller keeps of an allocation; the job directory stays."""
        try:
            self._finished.add(record.id, int(self.place.clock()))
        except OSError as error:
            _LOG.warning(
                "%s: `clean` will not find its directory, remove it by hand: %s",
                told(record),
                error,
            )
        with suppress(OSError):  # there may be no jobs directory yet
            control = control_directory(self.place.settings.jobs_dir, record.id)
            shutil.rmtree(control.path, ignore_errors=True)
        with suppress(OSError):
            self.place.submission_lock(record.id).unlink()
        self.place.journal.forget(record)
        self.cache.sweep_if_due()

    def still_ours(self, record: Record) -> Record | None:
        """The record, if the table still names our claim; else what follows from that."""
        found = self.place.queue.read(record.id)
        if found is None or found.token != record.token:
            return self.after(record, Written.FENCED)
        if found.client_status.terminal:
            if record.end is not None:  # a pass died between the write and its entry
                self._audit_end(record, record.end, found.results)
            return self.after(record, Written.ENDED)
        return record

    def wanted_to_stop(self, record: Record) -> bool:
        """Whether the table wants an allocation of ours stopped."""
        found = self.place.queue.read(record.id)
        return found is not None and found.token == record.token and found.desired is Desired.STOP


def _whole(time: float | None) -> int | None:
    return None if time is None else int(time)
