"""The elements of an allocation as Nomad's allocations: which group, which index, which folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from job_protocol.allocation import Allocation
from job_protocol.elements import Element, ElementsError, ElementState
from job_protocol.states import ClientStatus
from lambdas.rules.file_tree import SCRIPT_TASK
from nomad_jobs.run_script.element_folders import element_folder
from nomad_jobs.run_script.specification import read_job

_CLIENT_STATUS = {
    ElementState.QUEUED: ClientStatus.QUEUED,
    ElementState.RUNNING: ClientStatus.RUNNING,
    ElementState.COMPLETE: ClientStatus.COMPLETE,
    ElementState.KEPT: ClientStatus.COMPLETE,
    ElementState.FAILED: ClientStatus.FAILED,
    ElementState.STOPPED: ClientStatus.STOPPED,
    ElementState.LOST: ClientStatus.LOST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an element of a job belongs.

    Attributes:
        element: its index in the array.
        group: its task group.
        index: its index in the group.
        folder: its folder in the job directory, with a slash at its end; empty for the directory.
        tasks: the names of its tasks.
    """

    element: int
    group: str
    index: int
    folder: str
    tasks: tuple[str, ...]


def place_of(job: Mapping[str, Any] | None, element: int) -> Place:
    """Where an element belongs.

    Args:
        job: the `Job` object of a Nomad job; None for a script.
        element: its index in the array.
    """
    if job is not None:
        specification, _ = read_job(job)
        first = 0
        for group in specification.groups:
            if element < first + group.count:
                index = element - first
                folder = element_folder(specification, group, str(index))
                tasks = tuple(task.name for task in group.tasks)
                return Place(
                    element=element,
                    group=group.name,
                    index=index,
                    folder=f"{folder}/" if folder else "",
                    tasks=tasks,
                )
            first += group.count
    return Place(element=element, group=SCRIPT_TASK, index=element, folder="", tasks=(SCRIPT_TASK,))


def element_count(allocation: Allocation) -> int:
    """How many elements an allocation has; one that is no array has one."""
    return allocation.settings.array or 1


def own_elements(allocation: Allocation) -> list[int]:
    """The indexes of the elements that an allocation stands for.

    Not those that an earlier attempt of the same run completed: it is listed, too. What a run
    before has completed is that of a retry's first attempt, since nothing else of it is listed.
    """
    count = element_count(allocation)
    try:
        known = allocation.known_elements
    except ElementsError:
        known = None
    if known is None or allocation.attempt == 0:
        return list(range(count))
    return list(known.to_run)


def element_of(allocation: Allocation, index: int) -> Element | None:
    """What is known of an element; None where the allocation itself says it."""
    try:
        known = allocation.known_elements
    except ElementsError:
        return None
    return known.all[index] if known is not None and index < len(known.all) else None


def status_of(allocation: Allocation, element: Element | None) -> ClientStatus:
    """The client status of an element.

    Args:
        allocation: its allocation.
        element: what is known of it; None for that of the allocation.
    """
    status = allocation.client_status
    if element is None:
        return status
    waits = element.state is ElementState.QUEUED
    if waits and (status.terminal or status in (ClientStatus.PENDING, ClientStatus.STARTING)):
        return status
    return _CLIENT_STATUS[element.state]
