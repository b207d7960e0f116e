"""Observes what was submitted, pushes growing logs, and publishes the results at the end."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from job_protocol.states import ClientStatus
from puller.errors import SchedulerUnavailable
from puller.exit_file import Records, read_records
from puller.job_directory import control_directory
from puller.journal import End, Record, told
from puller.lifecycle import Lifecycle
from puller.observation import AskDetail, Evidence, Live, NotAsked, Over, Verdict, Wait, judge
from puller.schedulers.interface import EndReason, ListedJob
from puller.submitting import SCHEDULER_OUTPUT, WRAPPER
from puller.watching_arrays import ArrayWatching
from puller.workplace import Listing, Workplace

_LOG = logging.getLogger(__name__)

_CANCEL_AGAIN_AFTER = 60.0
_OUTPUT_BYTES = 500
_TELL_WHY_AFTER = 30.0
_TELL_WITHOUT_ESTIMATE_AFTER = 90.0
"""Seconds since the submission. An expected start is told with the reason and costs no write of
its own, so the reason waits for it a little where the scheduler may give one: Slurm's backfill
looks every 30 s (bf_interval)."""


class Watching:
    """The observation of one installation's submitted allocations."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        """Watch what was submitted."""
        self._lifecycle = lifecycle
        self._place: Workplace = lifecycle.place
        self._arrays = ArrayWatching(self._place)

    def observe(self, record: Record, listing: Listing) -> Record | None:
        """Look at a submitted allocation; one that has ended comes back as such."""
        if record.scheduler_id is None:
            raise AssertionError(f"{told(record)} is submitted and has no scheduler's id")
        control = control_directory(self._place.settings.jobs_dir, record.id).path
        on_disk = read_records(control)
        if on_disk.owner not in (None, record.scheduler_id):
            record = self._follow_the_owner(record, on_disk.owner)
        try:
            verdict: Verdict
            if record.allocation.settings.array is not None:
                record, verdict = self._arrays.look(record, control, listing)
            else:
                verdict = self._verdict(record, control, listing, on_disk)
        except SchedulerUnavailable as error:
            _LOG.warning("%s: %s", told(record), error)
            return record
        if on_disk.start is not None and record.started_at != on_disk.start.time:
            record = replace(record, started_at=on_disk.start.time)
        if isinstance(verdict, Over):
            output = scheduler_output(control / SCHEDULER_OUTPUT)
            return self._lifecycle.ended(record, with_output(verdict.end, output))
        return self._follow(record, verdict)

    def _verdict(
        self, record: Record, control: Path, listing: Listing, on_disk: Records
    ) -> Verdict:
        """What the evidence says of a single job.

        Raises:
            SchedulerUnavailable: the scheduler did not answer.
        """
        scheduler_id = record.scheduler_id or ""
        evidence = Evidence(
            scheduler_id=scheduler_id,
            identity=self._place.scheduler.identity_of(control / WRAPPER),
            now=self._place.clock(),
            listed=listing.jobs().get(scheduler_id),
            exit=on_disk.exit,
            start=on_disk.start,
            detail=NotAsked.ASK,
            claimed_at=record.allocation.claimed_at,
            submitted_at=record.submitted_at,
            missing_since=record.missing_since,
            stop_asked=record.stop_asked_at is not None,
            lost_after=self._place.settings.lost_after,
        )
        verdict = judge(evidence)
        if isinstance(verdict, AskDetail):
            detail: ListedJob | None = self._place.scheduler.detail(scheduler_id)
            verdict = judge(replace(evidence, detail=detail))
        if isinstance(verdict, Over):
            self._clear_away(evidence.listed)
        return verdict

    def _clear_away(self, listed: ListedJob | None) -> None:
        """Delete a job that could not start but is kept (as Eqw): it might yet be released."""
        if listed is not None and listed.end is EndReason.REFUSED:
            self._place.scheduler.cancel(listed.id)

    def _follow_the_owner(self, record: Record, owner: str | None) -> Record:
        """Of two submissions of an allocation, only the one that was first to start runs."""
        _LOG.warning("%s: %s runs it, not %s", told(record), owner, record.scheduler_id)
        return self._place.journal.write(replace(record, scheduler_id=owner, missing_since=None))

    def _follow(self, record: Record, verdict: Live | AskDetail | Wait) -> Record | None:
        match verdict:
            case Wait(since=since) if record.missing_since is None:
                return self._place.journal.write(replace(record, missing_since=since))
            case Live():
                return self._live(record, verdict)
        return record

    def _live(self, record: Record, verdict: Live) -> Record | None:
        status, words, start = verdict.status, verdict.words, verdict.expected_start
        if record.missing_since is not None:
            record = self._place.journal.write(replace(record, missing_since=None))
        if status is None:
            _LOG.warning("%s: the scheduler says %r, which is not known here", told(record), words)
            return record
        now = self._place.clock()
        if status is ClientStatus.RUNNING:
            if record.started_at is None:
                record = self._place.journal.write(replace(record, started_at=now))
            return self._lifecycle.report(record, status, None, since=record.started_at)
        submitted = record.submitted_at or 0.0
        may_come = start is None and self._place.scheduler.gives_estimates
        patience = _TELL_WITHOUT_ESTIMATE_AFTER if may_come else _TELL_WHY_AFTER
        why = words if now - submitted >= patience else record.reported_reason
        if record.reported is ClientStatus.RUNNING:  # it was requeued
            return self._lifecycle.report(record, status, words, expected_start=start)
        return self._lifecycle.report(record, status, why, since=submitted, expected_start=start)

    def stop(self, record: Record) -> Record | None:
        """Ask the scheduler to cancel a submitted allocation, again after a while."""
        now = self._place.clock()
        asked = record.stop_asked_at
        if asked is not None and 0 <= now - asked < _CANCEL_AGAIN_AFTER:
            return record
        if not self._lifecycle.wanted_to_stop(record):
            return record
        record = self._place.journal.write(replace(record, stop_asked_at=now))
        _LOG.info("%s: cancelling %s", told(record), record.scheduler_id)
        try:
            self._place.scheduler.cancel(record.scheduler_id or "")
        except SchedulerUnavailable as error:
            _LOG.warning("%s: %s", told(record), error)
        return record


def scheduler_output(path: Path) -> str:
    """The last words of the scheduler itself about a job, in one line."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _OUTPUT_BYTES))
            text = file.read(_OUTPUT_BYTES).decode(errors="replace")
    except OSError:
        return ""
    return " / ".join(line.strip() for line in text.splitlines() if line.strip())


def with_output(end: End, output: str) -> End:
    """The end of a job that did not complete, with the scheduler's own words about it."""
    if not output or end.status is ClientStatus.COMPLETE:
        return end
    return replace(end, reason=f"{end.reason}: {output}" if end.reason else output)
