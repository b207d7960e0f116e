"""Watches a job on a real scheduler until the real rule concludes something."""

from __future__ import annotations

import time
from dataclasses import replace

from puller.errors import SchedulerUnavailable
from puller.observation import AskDetail, Evidence, Live, NotAsked, Over, Verdict, Wait, judge
from tests.patience import PATIENCE
from tests.schedulers.conformance import ended_as
from tests.schedulers.prepared_job import PreparedJob

LOST_AFTER = 4.0
"""Seconds; in earnest it is 120 or more."""


class Watch:
    """The passes over one job.

    Args:
        job: a submitted job.
        stop_asked: whether the puller has asked for its end.
    """

    def __init__(self, job: PreparedJob, *, stop_asked: bool = False) -> None:
        self._job = job
        self._submitted_at = time.time()
        self._missing_since: float | None = None
        self._stop_asked = stop_asked

    def look(self) -> str:
        """What one pass concludes."""
        try:
            verdict = self._verdict()
        except SchedulerUnavailable:
            return "no evidence"
        match verdict:
            case Live(status=status):
                self._missing_since = None
                return status.value if status is not None else "live"
            case Over(end=end):
                return ended_as(end.status.value, end.exit_code, end.reason)
            case Wait(since=since):
                self._missing_since = since
        return "wait"

    def until(self, *wanted: str, seconds: float = PATIENCE) -> str:
        """The first of these conclusions, or the last one if none of them comes."""
        deadline = time.monotonic() + seconds
        while (seen := self.look()) not in wanted and time.monotonic() < deadline:
            time.sleep(0.1)
        return seen

    def end(self) -> str:
        """The end that is concluded."""
        deadline = time.monotonic() + PATIENCE
        while (seen := self.look()) in ("wait", "queued", "running", "live", "no evidence"):
            assert time.monotonic() < deadline, f"no end came; the last pass saw {seen!r}"
            time.sleep(0.1)
        return seen

    def _verdict(self) -> Verdict:
        job = self._job
        records = job.records()
        evidence = Evidence(
            scheduler_id=job.id,
            identity=job.scheduler.identity_of(job.submission.wrapper),
            now=time.time(),
            listed=job.scheduler.list_mine().get(job.id),
            exit=records.exit,
            start=records.start,
            detail=NotAsked.ASK,
            claimed_at=self._submitted_at - 10,
            submitted_at=self._submitted_at,
            missing_since=self._missing_since,
            stop_asked=self._stop_asked,
            lost_after=LOST_AFTER,
        )
        verdict = judge(evidence)
        if isinstance(verdict, AskDetail):
            verdict = judge(replace(evidence, detail=job.scheduler.detail(job.id)))
        return verdict
