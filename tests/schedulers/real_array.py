"""Watches an array on a real scheduler until the real rules conclude its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from job_protocol.allocation import Allocation
from job_protocol.elements import ElementState
from puller.array_state import state_of
from puller.errors import SchedulerUnavailable
from puller.journal import End, Journal, Phase, Record
from puller.observation import Live, Over
from puller.settings import Settings
from puller.watching_arrays import ArrayWatching
from puller.workplace import Listing, Workplace
from tests.kill_points.world import no_artifacts
from tests.patience import PATIENCE
from tests.schedulers.prepared_job import PreparedJob
from tests.schedulers.real_watch import LOST_AFTER


class ArrayWatch:
    """The passes over one submitted array.

    Attributes:
        record: what the journal has.
    """

    def __init__(
        self,
        job: PreparedJob,
        scratch: Path,
        *,
        stop_asked: bool = False,
        submitted_at: float | None = None,
    ) -> None:
        self._job = job
        now = submitted_at or time.time()
        journal = Journal(scratch / "state")
        unused: Any = None
        self._place = Workplace(
            settings=Settings(
                site="dc1",
                bucket="b",
                table="t",
                region="r",
                scheduler=job.scheduler.name,
                jobs_dir=job.control_dir.parents[2],
                state_dir=scratch / "state",
                lock_dir=scratch / "locks",
                lost_after=LOST_AFTER,
            ),
            queue=unused,
            bucket=unused,
            scheduler=job.scheduler,
            journal=journal,
            installation="i",
            clock=time.time,
            login_environment=dict,
            artifact_sources=no_artifacts,
        )
        self.record = journal.write(
            Record(
                allocation=Allocation(
                    site="dc1",
                    job="job0001",
                    id=job.control_dir.name,
                    settings=job.submission.settings,
                    claimed_at=int(now) - 10,
                ),
                token="t",
                phase=Phase.SUBMITTED,
                submitted_at=now,
                scheduler_id=job.id,
                stop_asked_at=now if stop_asked else None,
            )
        )

    def look(self) -> Live | Over | None:
        """What one pass concludes; None where the scheduler did not answer."""
        try:
            self.record, concluded = ArrayWatching(self._place).look(
                self.record, self._job.control_dir, Listing(self._job.scheduler)
            )
        except SchedulerUnavailable:
            return None
        return concluded

    def states(self) -> list[tuple[str, int | None]]:
        """State and exit code of every element, as journalled."""
        elements = state_of(self.record).elements.all
        return [(element.state.name.lower(), element.exit_code) for element in elements]

    def until(self, reached: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Pass until something holds."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, self.states()
            self.look()
            time.sleep(0.1)

    def running(self, index: int) -> None:
        """Pass until an element runs."""
        self.until(lambda: index in state_of(self.record).elements.of(ElementState.RUNNING))

    def end(self, seconds: float = PATIENCE) -> End:
        """The end that is concluded."""
        deadline = time.monotonic() + seconds
        while not isinstance(concluded := self.look(), Over):
            assert time.monotonic() < deadline, self.states()
            time.sleep(0.1)
        return concluded.end
