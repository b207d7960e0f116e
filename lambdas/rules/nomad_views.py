"""Jobs, allocations and sites in the JSON of Nomad's API, with what jobferry adds.

The shapes are those of Nomad's HTTP API (developer.hashicorp.com/nomad/api-docs). What Nomad does
not have stands beside them under names of its own: `Outcome`, `Word`, `Message`, `Waiting`, ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from job_protocol import identifiers
from job_protocol.allocation import Allocation
from job_protocol.elements import Element
from job_protocol.items import to_attributes
from job_protocol.job import Job
from job_protocol.job_settings import DEFAULT_PRIORITY, JobSettings
from job_protocol.states import ClientStatus, Desired, JobKind, Outcome, Role
from lambdas.rules.derivation import message_of
from lambdas.rules.file_tree import SCRIPT_TASK
from lambdas.rules.site_health import SiteHealth
from lambdas.rules.status_document import array_details, expected_start, iso
from lambdas.rules.task_groups import Place, element_of, place_of, status_of

NAMESPACE = "default"
_NANOSECONDS = 1_000_000_000
_CLIENT_STATUS = {
    ClientStatus.PENDING: "pending",
    ClientStatus.STARTING: "pending",
    ClientStatus.QUEUED: "pending",
    ClientStatus.RUNNING: "running",
    ClientStatus.PUBLISHING: "running",
    ClientStatus.COMPLETE: "complete",
    ClientStatus.FAILED: "failed",
    # Nomad calls a task that was stopped on request complete, whatever its exit code.
    ClientStatus.STOPPED: "complete",
    ClientStatus.LOST: "lost",
}
_SUMMARY_COLUMN = {
    ClientStatus.PENDING: "Queued",
    ClientStatus.STARTING: "Starting",
    ClientStatus.QUEUED: "Starting",
    ClientStatus.RUNNING: "Running",
    ClientStatus.PUBLISHING: "Running",
    ClientStatus.COMPLETE: "Complete",
    ClientStatus.FAILED: "Failed",
    ClientStatus.STOPPED: "Complete",
    ClientStatus.LOST: "Lost",
}
_COLUMNS = ("Queued", "Starting", "Running", "Complete", "Failed", "Lost", "Unknown")


def nanoseconds(seconds: int | None) -> int:
    """A time as Nomad's API has it; 0 for none."""
    return (seconds or 0) * _NANOSECONDS


def job_view(job: Job, allocation: Allocation | None, waiting: Iterable[str]) -> dict[str, Any]:
    """A job, as `GET /v1/job/:id` answers.

    Args:
        job: the job.
        allocation: its current allocation, if it has one.
        waiting: why it waits, if it does.
    """
    settings = allocation.settings if allocation else None
    told = allocation is not None and allocation.desired is Desired.STOP
    return {
        **_common(job),
        "Name": (settings.name if settings else None) or job.id,
        "Priority": allocation.priority if allocation else DEFAULT_PRIORITY,
        "Region": "global",
        "Meta": None,
        "AllAtOnce": False,
        "Constraints": None,
        "Version": max(job.run - 1, 0),
        "JobModifyIndex": job.rev,
        "Stop": job.outcome is Outcome.STOPPED or (told and job.replacement is None),
        "Dispatched": False,
        "Periodic": None,
        "ParameterizedJob": None,
        "Stable": False,
        "TaskGroups": [_script_group(settings)],
        "AllocID": job.current,
        "Settings": to_attributes(settings) if settings else {},
        "Waiting": list(waiting),
        "ExpectedStart": iso(expected_start(allocation)) if allocation else None,
        "WaitingOn": [
            {"Job": one.job, "Site": one.site or job.site, "On": one.on.value, "Run": one.run}
            for one in job.waiting_on
            if job.active
        ],
        "Note": job.note,
        "Submitter": job.submitter,
        "Reasons": [
            {"Key": row.key, "Problem": row.problem, "Remedy": row.remedy} for row in job.reasons
        ],
        "ExitCode": allocation.exit_code if allocation else None,
        "SchedulerID": allocation.scheduler_id if allocation else None,
    }


def _script_group(settings: JobSettings | None) -> dict[str, Any]:
    attempts = settings.retries.attempts if settings and settings.retries else 0
    return {
        "Name": SCRIPT_TASK,
        "Count": 1,
        "ReschedulePolicy": {"Attempts": attempts, "Unlimited": False},
        "Tasks": [
            {"Name": SCRIPT_TASK, "Driver": "script", "Config": {"command": "aws-job-run.sh"}}
        ],
    }


def _common(job: Job) -> dict[str, Any]:
    return {
        "ID": job.id,
        "ParentID": job.parent or "",
        "Name": job.id,
        "Namespace": NAMESPACE,
        "Datacenters": [job.site],
        "Type": "batch",
        "Periodic": job.kind is JobKind.PERIODIC,
        "ParameterizedJob": job.kind is JobKind.PARAMETERIZED,
        "Status": job.status.value,
        "Stop": job.outcome is Outcome.STOPPED,
        "StatusDescription": job.message or "",
        "SubmitTime": nanoseconds(job.submitted),
        "CreateIndex": 1,
        "ModifyIndex": job.rev,
        "Site": job.site,
        "Run": job.run,
        "Outcome": job.outcome.value if job.outcome else None,
        "Word": job.word.value,
        "Message": job.message,
        "Submitted": iso(job.submitted),
        "Finished": iso(job.finished),
    }


def job_stub(job: Job, children: Iterable[Job] = ()) -> dict[str, Any]:
    """A row of `GET /v1/jobs`, from what the list index carries.

    Args:
        job: the job.
        children: its children, if it is a template.
    """
    counted = [] if job.client_status is None else [(SCRIPT_TASK, job.client_status)]
    of = job.registration
    return {
        **_common(job),
        "Priority": job.priority or DEFAULT_PRIORITY,
        "Version": of.version if of is not None else max(job.run - 1, 0),
        "JobModifyIndex": of.index if of is not None else job.rev,
        "JobSummary": summary_view(job, counted, children),
    }


def summary_view(
    job: Job, statuses: Iterable[tuple[str, ClientStatus]], children: Iterable[Job] = ()
) -> dict[str, Any]:
    """How many allocations of a job are in which state.

    Args:
        job: the job.
        statuses: task group and client status of each allocation.
        children: the job's children, if it is a template.
    """
    groups: dict[str, dict[str, int]] = {}
    for group, status in statuses:
        counts = groups.setdefault(group, dict.fromkeys(_COLUMNS, 0))
        counts[_SUMMARY_COLUMN[status]] += 1
    if not groups and job.role is not Role.TEMPLATE:
        groups[SCRIPT_TASK] = dict.fromkeys(_COLUMNS, 0)
    born = dict.fromkeys(("Pending", "Running", "Dead"), 0)
    for child in children:
        born[child.status.value.capitalize()] += 1
    return {
        "JobID": job.id,
        "Namespace": NAMESPACE,
        "Summary": groups,
        "Children": born,
        "CreateIndex": 1,
        "ModifyIndex": job.rev,
    }


def client_status(allocation: Allocation, status: ClientStatus, health: SiteHealth | None) -> str:
    """Nomad's client status; `unknown` for what a silent site was running.

    Args:
        allocation: the allocation.
        status: its status, or that of one of its elements.
        health: the state of its site, where that is known.
    """
    claimed = allocation.token is not None and not status.terminal
    if health is not None and health.silent and claimed:
        return "unknown"
    return _CLIENT_STATUS[status]


def allocation_view(
    allocation: Allocation,
    health: SiteHealth | None = None,
    *,
    place: Place | None = None,
    version: int | None = None,
    task_states: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """An allocation, or one element of it, as Nomad's API shows it.

    Args:
        allocation: the allocation.
        health: the state of its site, where that is known.
        place: which element; by default the first one of a script.
        version: the version of the job, if that is a Nomad job.
        task_states: what the run script told of its tasks, if it has.
    """
    place = place or place_of(None, 0)
    element = element_of(allocation, place.element)
    status = status_of(allocation, element)
    return {
        "ID": identifiers.element_allocation(allocation.id, place.element),
        "EvalID": allocation.id,
        "Name": f"{allocation.job}.{place.group}[{place.index}]",
        "Namespace": NAMESPACE,
        "NodeID": identifiers.node(allocation.site),
        "NodeName": allocation.site,
        "JobID": allocation.job,
        "JobVersion": allocation.run - 1 if version is None else version,
        "TaskGroup": place.group,
        "DesiredStatus": allocation.desired.value,
        "DesiredDescription": "",
        "ClientStatus": client_status(allocation, status, health),
        "ClientDescription": _said(allocation, element),
        "TaskStates": {
            task: (task_states or {}).get(task) or _task_state(allocation, element)
            for task in place.tasks
        },
        "CreateIndex": 1,
        "ModifyIndex": allocation.obs + 1,
        "CreateTime": nanoseconds(allocation.created),
        "ModifyTime": nanoseconds(_newest_time(allocation)),
        "Site": allocation.site,
        "SiteStatus": status.value,
        "Attempt": allocation.attempt + 1,
        "Scheduler": allocation.scheduler,
        "SchedulerID": allocation.scheduler_id,
        "ExitCode": allocation.exit_code if element is None else element.exit_code,
        "Reason": None if _tells(element) else allocation.reason,
        "Results": _results(allocation),
        "Array": _array(allocation),
        "Audit": None,  # told of one allocation, not in lists
    }


def _array(allocation: Allocation) -> dict[str, Any] | None:
    """The elements together, and what is true of the allocation and not of the element shown."""
    details = array_details(allocation)
    if details is None:
        return None
    whole = {
        "claimed": iso(allocation.claimed_at),
        "submitted": iso(allocation.submitted_at),
        "started": iso(allocation.started_at),
        "ended": iso(allocation.ended_at),
        "reason": allocation.reason,
    }
    return {**details, "whole": {name: value for name, value in whole.items() if value is not None}}


def _tells(element: Element | None) -> bool:
    """Whether an element's own end is known: then what its allocation says is about others, too."""
    return element is not None and element.state.ended


def _said(allocation: Allocation, element: Element | None) -> str:
    """One sentence about an allocation, or about the end of one of its elements."""
    if element is None or not _tells(element):
        return message_of(allocation) or ""
    status = status_of(allocation, element)
    if status is ClientStatus.FAILED and element.exit_code is not None:
        return f"failed with exit code {element.exit_code}"
    return "" if status is ClientStatus.COMPLETE else status.value


def _newest_time(allocation: Allocation) -> int:
    times = (
        allocation.created,
        allocation.claimed_at,
        allocation.submitted_at,
        allocation.started_at,
        allocation.ended_at,
    )
    return max(time for time in times if time is not None)


def _results(allocation: Allocation) -> dict[str, Any] | None:
    results = allocation.results
    if results is None:
        return None
    return {
        "Files": results.files,
        "Bytes": results.size,
        "LeftOut": results.left_out,
        "LeftOutFirst": [{"Path": row.path, "Reason": row.reason} for row in results.listed],
    }


def _task_state(allocation: Allocation, element: Element | None) -> dict[str, Any]:
    status = status_of(allocation, element)
    code = allocation.exit_code if element is None else element.exit_code
    if status.terminal:
        state = "dead"
    else:
        running = status in (ClientStatus.RUNNING, ClientStatus.PUBLISHING)
        state = "running" if running else "pending"
    as_job = "" if allocation.scheduler_id is None else f" as job {allocation.scheduler_id}"
    exited = "" if code is None else f"Exit Code: {code}"
    steps = (
        ("Received", allocation.claimed_at, f"the puller of site {allocation.site} took it"),
        ("Driver", allocation.submitted_at, f"{allocation.scheduler} took it{as_job}"),
        ("Started", allocation.started_at, "the script runs"),
        ("Terminated", allocation.ended_at, _said(allocation, element) or exited),
    )
    return {
        "State": state,
        "Failed": status in (ClientStatus.FAILED, ClientStatus.LOST),
        "Restarts": 0,
        "StartedAt": iso(allocation.started_at),
        "FinishedAt": iso(allocation.ended_at),
        "Events": [
            {
                "Type": kind,
                "Time": nanoseconds(time),
                "ExitCode": (code or 0) if kind == "Terminated" else 0,
                "DisplayMessage": message,
            }
            for kind, time, message in steps
            if time is not None
        ],
    }
