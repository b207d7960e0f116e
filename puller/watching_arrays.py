"""Looks at the elements of a submitted array, with one listing and at most one question more."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from job_protocol.states import ClientStatus
from puller.array_state import ArrayState, conclude, follow, state_of, tasks_of, with_state
from puller.array_wrapper import element_dir
from puller.exit_file import Records, read_records
from puller.journal import Record, told
from puller.observation import AskDetail, Evidence, Live, NotAsked, Over, Verdict, judge
from puller.schedulers.interface import EndReason, ListedJob, SchedulerState
from puller.submitting import WRAPPER
from puller.workplace import Listing, Workplace

_LOG = logging.getLogger(__name__)


class ArrayWatching:
    """The observation of one installation's arrays."""

    def __init__(self, place: Workplace) -> None:
        """Watch with these tools."""
        self._place = place

    def look(self, record: Record, control: Path, listing: Listing) -> tuple[Record, Live | Over]:
        """The record with what is now known of the elements, journalled, and what follows.

        Only elements that have not ended are looked at, and only the files of those that the
        scheduler does not list as live are read.

        Raises:
            SchedulerUnavailable: the scheduler did not answer; nothing has changed.
            ElementsError: the allocation contradicts itself.
        """
        jobs = listing.jobs()
        before = state_of(record)
        evidence, names = self._evidence(record, control, jobs, before)
        verdicts: dict[int, Verdict] = {i: judge(known) for i, known in evidence.items()}
        unclear = [i for i, verdict in verdicts.items() if isinstance(verdict, AskDetail)]
        if unclear:
            known = self._place.scheduler.details(
                record.scheduler_id or "", [names[index] for index in unclear]
            )
            for index in unclear:
                detail = known.get(names[index])
                verdicts[index] = judge(replace(evidence[index], detail=detail))
        self._warn(record, verdicts)
        after = follow(before, verdicts)
        now = self._place.clock()
        ends = [verdict.end.time for verdict in verdicts.values() if isinstance(verdict, Over)]
        concluded = conclude(
            after, stop_asked=record.stop_asked_at is not None, now=max(ends, default=now)
        )
        if isinstance(concluded, Over):
            self._clear_away(record, jobs)
        changed = self._with_start(with_state(record, after), evidence)
        if changed is not record:
            record = self._place.journal.write(changed)
        if isinstance(concluded, Live):
            concluded = replace(
                concluded,
                words=_first_words(verdicts),
                expected_start=_first_start(concluded, verdicts),
            )
        return record, concluded

    def _evidence(
        self,
        record: Record,
        control: Path,
        jobs: dict[str, ListedJob],
        state: ArrayState,
    ) -> tuple[dict[int, Evidence], dict[int, str]]:
        """What is known of each element that has not ended, and the scheduler's id of each."""
        scheduler, array_id = self._place.scheduler, record.scheduler_id or ""
        array = tasks_of(record.allocation, scheduler.task_numbers)
        if array is None:
            raise AssertionError(f"{told(record)} is no array")
        is_open = set(state.elements.open)
        identity = scheduler.identity_of(control / WRAPPER)
        evidence: dict[int, Evidence] = {}
        names: dict[int, str] = {}
        for index, task in zip(array.indexes, array.tasks, strict=True):
            if index not in is_open:
                continue
            names[index] = scheduler.element_id(array_id, task)
            listed = jobs.get(names[index])
            on_disk = Records()
            if not _live(listed, identity):
                on_disk = read_records(element_dir(control, index))
            evidence[index] = Evidence(
                scheduler_id=array_id,
                identity=identity,
                now=self._place.clock(),
                listed=listed,
                exit=on_disk.exit,
                start=on_disk.start,
                detail=NotAsked.ASK,
                claimed_at=record.allocation.claimed_at,
                submitted_at=record.submitted_at,
                missing_since=state.missing.get(index),
                stop_asked=record.stop_asked_at is not None,
                lost_after=self._place.settings.lost_after,
            )
        return evidence, names

    def _with_start(self, record: Record, evidence: dict[int, Evidence]) -> Record:
        """The record with the time at which the first element started, as far as known."""
        starts = [known.start.time for known in evidence.values() if known.start is not None]
        first = min(starts, default=None)
        if first is None or (record.started_at is not None and record.started_at <= first):
            return record
        return replace(record, started_at=float(first))

    def _clear_away(self, record: Record, jobs: dict[str, ListedJob]) -> None:
        """Delete elements that could not start but are kept (as Eqw), all with one call."""
        array_id = record.scheduler_id or ""
        if any(
            job.submission == array_id and job.end is EndReason.REFUSED for job in jobs.values()
        ):
            self._place.scheduler.cancel(array_id)

    def _warn(self, record: Record, verdicts: dict[int, Verdict]) -> None:
        for index, verdict in verdicts.items():
            if isinstance(verdict, Live) and verdict.status is None:
                _LOG.warning(
                    "%s, element %d: the scheduler says %r, which is not known here",
                    told(record),
                    index,
                    verdict.words,
                )
                return


def _live(listed: ListedJob | None, identity: str) -> bool:
    return (
        listed is not None
        and listed.state is not SchedulerState.ENDED
        and listed.identity in (None, identity)
    )


def _first_start(whole: Live, verdicts: dict[int, Verdict]) -> int | None:
    """When the scheduler expects to start the first of the elements, if none has begun."""
    if whole.status is not ClientStatus.QUEUED:
        return None
    starts = [v.expected_start for v in verdicts.values() if isinstance(v, Live)]
    return min((start for start in starts if start is not None), default=None)


def _first_words(verdicts: dict[int, Verdict]) -> str:
    """The scheduler's words on the first element that it has."""
    return next((v.words for v in verdicts.values() if isinstance(v, Live)), "")
