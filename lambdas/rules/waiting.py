"""Why a job waits, in sentences: the site, the queue before it, or the scheduler's own reason."""

from __future__ import annotations

import re

from job_protocol.allocation import Allocation
from job_protocol.states import ClientStatus, Desired
from lambdas.rules.site_health import SiteHealth
from lambdas.rules.status_document import expected_start, iso

MEANINGS = {
    # squeue(1), "JOB REASON CODES".
    "Priority": "jobs with a higher priority are before it in the partition",
    "Resources": "it is next, and waits for nodes to become free",
    "Dependency": "it waits for another job that it depends on",
    "DependencyNeverSatisfied": "a job that it depends on failed, so it will never start: stop it",
    "BeginTime": "its earliest start time has not been reached",
    "JobHeldUser": "its owner holds it at the scheduler",
    "JobHeldAdmin": "an administrator holds it at the scheduler",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition takes no jobs at the moment",
    "PartitionTimeLimit": "it asks for more time than its partition allows, so it will not start",
    "PartitionNodeLimit": "it asks for more nodes than its partition has, so it will not start",
    "ReqNodeNotAvail": "a node that it needs is down, drained or reserved",
    "Reservation": "it waits for its reservation",
    "Licenses": "it waits for a license",
    "NodeDown": "a node that it needs is down",
    "BadConstraints": "no node can satisfy what it asks for, so it will not start: stop it",
    "AssociationJobLimit": "its account has as many jobs as it may have",
    "AssocGrpCpuLimit": "its account uses as many CPUs as it may use",
    "AssocGrpMemLimit": "its account uses as much memory as it may use",
    "AssocGrpNodeLimit": "its account uses as many nodes as it may use",
    "AssocMaxJobsLimit": "its account runs as many jobs as it may run",
    "AssocMaxWallDurationPerJobLimit": "it asks for more time than its account may ask for",
    "QOSGrpCpuLimit": "the jobs of its quality of service use as many CPUs as they may use",
    "QOSGrpNodeLimit": "the jobs of its quality of service use as many nodes as they may use",
    "QOSMaxCpuPerUserLimit": "its owner uses as many CPUs as one user may use",
    "QOSMaxJobsPerUserLimit": "its owner runs as many jobs as one user may run",
    "QOSMaxNodePerUserLimit": "its owner uses as many nodes as one user may use",
    "QOSMaxSubmitJobPerUserLimit": "its owner has submitted as many jobs as one user may submit",
    "QOSMaxWallDurationPerJobLimit": "it asks for more time than its quality of service allows",
    # qstat(1) of Grid Engine, job states.
    "qw": "it waits for a free slot",
    "hqw": "it is held at the scheduler",
    "Eqw": "the scheduler met an error when it tried to start it",
}
"""What a scheduler's word means for the job, as the end of a sentence that begins with `it`."""

_WORD = re.compile(r"[A-Za-z]+")


def meaning_of(words: str) -> str | None:
    """What the scheduler's words mean, or None if none of them is known.

    Args:
        words: the words as the puller recorded them, such as `PENDING (Priority)`.
    """
    # The reason follows the state, so the last known word tells more than the first.
    known = [MEANINGS[word] for word in _WORD.findall(words) if word in MEANINGS]
    return known[-1] if known else None


def reasons(
    allocation: Allocation,
    health: SiteHealth,
    *,
    ahead: int | None,
    now: int,
    others: str | None = None,
) -> tuple[str, ...]:
    """Why an allocation has not started yet, each a sentence; empty if it does not wait.

    Args:
        allocation: the current allocation of a job.
        health: the state of its site.
        ahead: how many allocations are before it in the site's queue, if it is in the queue.
        now: seconds since the epoch.
        others: which other jobs it waits for (`dependencies.waiting_sentence`), if it does.
    """
    status = allocation.client_status
    if status not in (ClientStatus.PENDING, ClientStatus.STARTING, ClientStatus.QUEUED):
        return ()
    if others is not None and allocation.desired is not Desired.STOP:
        return (f"it {others}",)
    found = [_site(health)] if health.silent else []
    if health.problem is not None and status is ClientStatus.PENDING:
        found.append(f"site {health.site} cannot take it now: {health.problem}")
    if allocation.desired is Desired.STOP:
        found.append("it has been told to stop; the site's puller will see to that")
        return tuple(found)
    if health.drain and status is ClientStatus.PENDING:
        found.append(f"site {health.site} is drained: its operator lets it claim nothing new")
    if allocation.not_before is not None and allocation.not_before > now:
        found.append(f"it may not start before {iso(allocation.not_before)}")
    elif ahead:
        found.append(f"{ahead} {'job is' if ahead == 1 else 'jobs are'} ahead of it at the site")
    found += _scheduler(allocation, now)
    if not found:
        found.append(_ordinary(allocation, health))
    return tuple(found)


def _site(health: SiteHealth) -> str:
    if health.last_seen is None:
        return f"site {health.site} has never been seen: its puller is not running"
    return f"site {health.site} is silent since {iso(health.last_seen)}"


def _scheduler(allocation: Allocation, now: int) -> list[str]:
    """What the scheduler says: its reason, and its estimate of the start while that lies ahead."""
    who = allocation.scheduler or "the site's scheduler"
    found = []
    if allocation.reason:
        meaning = meaning_of(allocation.reason)
        found.append(f"{who} says: {allocation.reason}" + (f" ({meaning})" if meaning else ""))
    expected = expected_start(allocation)
    if expected is not None and expected > now:
        found.append(f"{who} expects to start it at {iso(expected)}")
    return found


def _ordinary(allocation: Allocation, health: SiteHealth) -> str:
    match allocation.client_status:
        case ClientStatus.PENDING:
            return f"site {health.site} has not come for it yet; its puller looks regularly"
        case ClientStatus.STARTING:
            return "its files are being fetched to the site and handed to the scheduler"
    return f"{allocation.scheduler} job {allocation.scheduler_id} waits in the scheduler's queue"
