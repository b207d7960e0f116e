"""Removes the directories of a job that was purged in the cloud, and says so there."""

from __future__ import annotations

import logging

from puller.job_directories import directories_of
from puller.removal import Removal
from puller.workplace import Workplace

_LOG = logging.getLogger(__name__)


class Purging:
    """The purges of one installation.

    The directories are moved out of the way by one rename each, then deleted, and only then is it
    told: a pass that dies on the way leaves the request in the queue, and the next one goes on.
    """

    def __init__(self, place: Workplace) -> None:
        """Purge with these tools."""
        self._place = place

    def purge(self, allocation_id: str) -> None:
        """Remove what lies here of an allocation's job, if that is still wanted.

        Nothing happens while this site still holds an allocation of the job.

        Args:
            allocation_id: the allocation that the queue named.

        Raises:
            CloudUnreachable, CloudRefused: see `puller.errors`.
        """
        place = self._place
        allocation = place.queue.read(allocation_id)
        if allocation is None or not allocation.purge_wanted:
            return
        if any(record.allocation.job == allocation.job for record in place.journal.glance()):
            _LOG.info("job %r: not purged yet, it still has work here", allocation.job)
            return
        removal = Removal(place.settings, finished={})
        gone = removal.put_aside_within_pass(
            directories_of(place.settings.jobs_dir, allocation.job)
        )
        problems = removal.delete_put_aside()
        for problem in problems:
            _LOG.error("job %r: %s", allocation.job, problem)
        if not problems and place.queue.confirm_purge(allocation_id, int(place.clock())):
            _LOG.info("job %r: purged, %d directories removed", allocation.job, len(gone))
