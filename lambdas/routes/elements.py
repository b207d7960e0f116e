"""What Nomad's clients see of an allocation: one allocation for each element, with its tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import ClientStatus
from lambdas.ports.specifications import Version
from lambdas.routes.route import Call
from lambdas.rules import nomad_views
from lambdas.rules.file_tree import SCRIPT_TASK
from lambdas.rules.site_health import SiteHealth
from lambdas.rules.task_groups import (
    element_of,
    own_elements,
    place_of,
    status_of,
)
from nomad_jobs.run_script.task_states import TASK_STATES_PATH, as_api, read_task_states

MAX_SHOWN = 1000
"""Elements of a job that are listed; any can be asked for by its id."""

_WITH_TASK_STATES = 10
"""Elements whose task states are read for a list: each is a request to the bucket."""
_TASK_STATES_BYTES = 256 * 1024
_AT_ONCE = 16


def specification(call: Call, job: Job) -> Version | None:
    """The version of a registered job or a child; None for a script."""
    if job.registration is None:
        return None
    return call.services.specifications(job.site).of(job)


def running(call: Call, job: Job) -> Version | None:
    """The version that a job's current run is of; None for a script."""
    return call.services.specifications(job.site).running(job)


def specifications(call: Call, jobs: Iterable[Job]) -> dict[str, Version | None]:
    """The versions that several jobs' runs are of, by job id; each object is read once."""
    of = {job.id: job for job in jobs if job.running_version is not None}
    keys = {
        job_id: (job.site, job.parent or job.id, version.name)
        for job_id, job in of.items()
        if (version := job.running_version) is not None
    }
    wanted = dict.fromkeys(keys.values())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda key: call.services.specifications(key[0]).read(*key[1:]), wanted)
        versions = dict(zip(wanted, found, strict=True))
    return {job_id: _as_swept(of[job_id], versions[key]) for job_id, key in keys.items()}


def _as_swept(job: Job, version: Version | None) -> Version | None:
    rows = job.registration.rows if job.registration is not None else None
    return version.swept(rows) if version is not None else None


def statuses(
    allocations: Iterable[Allocation], job: Mapping[str, Any] | None
) -> list[tuple[str, ClientStatus]]:
    """Task group and client status of each element of some allocations.

    Args:
        allocations: the allocations.
        job: the `Job` object of their job; None for a script.
    """
    return [
        (place_of(job, index).group, status_of(one, element_of(one, index)))
        for one in allocations
        for index in own_elements(one)
    ]


def group_names(job: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The names of a job's task groups."""
    if job is None:
        return (SCRIPT_TASK,)
    return tuple(group["Name"] for group in job["TaskGroups"])


def shown_elements(
    call: Call,
    allocations: Iterable[Allocation],
    version: Version | None,
    health: SiteHealth | None,
    current: str | None,
) -> list[dict[str, Any]]:
    """The elements of allocations of one job, each as an allocation.

    Args:
        call: the request.
        allocations: the allocations.
        version: the version of their job; None for a script.
        health: the state of their site.
        current: the job's current allocation, whose task states lie in the bucket.
    """
    wanted = [(one, index) for one in allocations for index in own_elements(one)]
    wanted = wanted[:MAX_SHOWN]
    read = len(wanted) <= _WITH_TASK_STATES

    def shown(pair: tuple[Allocation, int]) -> dict[str, Any]:
        one, index = pair
        # A further attempt at an array goes on in the same folders.
        told = read and (one.id == current or one.settings.array is not None)
        return shown_element(call, one, index, version, health, with_task_states=told)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(shown, wanted))


def shown_element(
    call: Call,
    allocation: Allocation,
    index: int,
    version: Version | None,
    health: SiteHealth | None,
    *,
    with_task_states: bool,
) -> dict[str, Any]:
    """One element as an allocation.

    Args:
        call: the request.
        allocation: its allocation.
        index: its index in the array.
        version: the version of its job; None for a script.
        health: the state of its site, where that is known.
        with_task_states: whether to read what the run script told of its tasks.
    """
    place = place_of(version.job if version else None, index)
    states = None
    if with_task_states and version is not None and allocation.claimed_at is not None:
        text = call.services.files(allocation.site).read(
            allocation.job, f"{place.folder}{TASK_STATES_PATH}", 0, _TASK_STATES_BYTES
        )
        states = as_api(read_task_states(text.decode(errors="replace")))
    return nomad_views.allocation_view(
        allocation,
        health,
        place=place,
        version=version.version if version else None,
        task_states=states,
    )
