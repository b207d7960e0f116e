"""What the steps of a pass work with: settings, ports and clocks, handed in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from puller.bucket import Bucket
from puller.cloud.queue import CloudQueue
from puller.journal import Journal
from puller.schedulers.interface import ListedJob, Scheduler
from puller.settings import Settings

if TYPE_CHECKING:
    from puller.artifact_staging import ArtifactSources

KILL_SWITCH = "stop-submitting"
"""A file of this name in the state directory stops every claim and submission at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """The tools of one installation.

    Attributes:
        settings: the puller's settings.
        queue: the job table.
        bucket: the site's bucket.
        scheduler: the local scheduler.
        journal: the puller's memory.
        installation: the installation's id.
        clock: the time in seconds since the epoch.
        login_environment: the environment of the user's login shell, for jobs.
        artifact_sources: how this site fetches artifacts.
    """

    settings: Settings
    queue: CloudQueue
    bucket: Bucket
    scheduler: Scheduler
    journal: Journal
    installation: str
    clock: Callable[[], float]
    login_environment: Callable[[], Mapping[str, str]]
    artifact_sources: Callable[[], ArtifactSources]

    def submission_lock(self, allocation_id: str) -> Path:
        """The lock that a submitting process holds, even when it is an orphan."""
        return self.settings.locks / f"{allocation_id}.submit"

    def may_submit(self) -> bool:
        """Whether nobody has thrown the kill switch."""
        return not (self.settings.state / KILL_SWITCH).exists()


@dataclass(slots=True)
class Listing:
    """The scheduler's listing, asked at most once a pass, by whatever thread needs it first."""

    scheduler: Scheduler
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _jobs: dict[str, ListedJob] | None = None
    _error: Exception | None = None

    def jobs(self) -> dict[str, ListedJob]:
        """All of this user's jobs, by the scheduler's id.

        Raises:
            SchedulerUnavailable: the scheduler did not answer, or had not when first asked.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._jobs is None:
                try:
                    self._jobs = self.scheduler.list_mine()
                except Exception as error:
                    self._error = error
                    raise
            return self._jobs
