"""A further revision of a job, which is to be published."""

from __future__ import annotations

from dataclasses import replace

from job_protocol.job import Job


def touched(job: Job, now: int) -> Job:
    """The job with a further revision, which is to be published.

    A lease that has run out goes: the stream passes over the jobs of a publisher at work.

    Args:
        job: the job as it was read.
        now: seconds since the epoch.
    """
    new = replace(job, rev=job.rev + 1, unpublished=True)
    if (job.lease_until or 0) > now:
        return new
    return replace(new, lease=None, lease_until=None)
