"""Replaces the active run of a changed Nomad job: the old one ends first, then the new one begins.

Never both: they would write below one prefix, and a site may be silent for long. The new run's
allocation is written at once, outside the queue. When the old run has ended, its publisher tells so
(status objects, events, who depends on it), and only then lets the new one begin, in the write that
would otherwise say that everybody was told; so whoever dies on the way is gone on with.
"""

from __future__ import annotations

from dataclasses import replace

from job_protocol.job import Job, Replacement
from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Manifest
from lambdas.ports import replacements
from lambdas.ports.job_items import Asked
from lambdas.runs import Cause, Runs


def replace_run(
    runs: Runs, job: Job, cause: Cause, *, manifest: Manifest, settings: JobSettings
) -> Job:
    """Stop a job's current run, and have another one follow.

    Args:
        runs: the runs of the job's site.
        job: the job as it was read: a run of it is active, or one follows already.
        cause: what causes the new run.
        manifest: the object versions that run.
        settings: what the job states.

    Returns:
        The job as it now is, of the new version.

    Raises:
        Conflict: the job or its allocation changed meanwhile.
        LimitReached: the run would exceed a limit of the site.
    """
    allocation = runs.new_allocation(
        job.id, cause, run=job.run + 1, manifest=manifest, settings=settings
    )
    version = cause.registration.version if cause.registration is not None else None
    new = replace(
        runs.touched(job),
        registration=cause.registration,
        earlier=cause.earlier,
        note=f"run {job.run} is being stopped; version {version} starts when it has ended",
        replacement=Replacement(
            allocation=allocation.id,
            upload=cause.upload,
            time=cause.time,
            runs=job.running_version,
            submitter=cause.submitter,
            priority=settings.priority,
        ),
    )
    size = sum(entry.size for entry in manifest.entries)
    # The place among the active jobs goes over from the old run to the new one.
    charges = [one for one in runs.charges(cause, size) if "active_jobs" not in one.adds]
    replacements.announce(
        runs.table,
        job,
        new,
        allocation,
        runs.table.allocation(job.site, job.current) if job.current else None,
        Asked(by=cause.who, at=runs.clock()),
        ttl=runs.expiry(),
        charges=charges,
    )
    return new
