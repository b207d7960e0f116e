"""Jobs, allocations and sites in the JSON of Nomad's API, with what jobferry adds.

The shapes are those of Nomad's HTTP API (developer.hashicorp.com/nomad/api-docs). What Nomad does
not have stands beside them under names of its own: `Outcome`, `Word`, `Message`, `Waiting`, ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from job_protocol import identifiers
from job_protocol.allocation import Allocation
from job_protocol.items import to_attributes
from job_protocol.job import Job
from job_protocol.job_settings import DEFAULT_PRIORITY, JobSettings
from job_protocol.states import ClientStatus, Desired, JobKind
from lambdas.rules.derivation import message_of
from lambdas.rules.site_health import SiteHealth
from lambdas.rules.status_document import iso

SCRIPT_TASK = "script"
"""Task group and task of a job that is a script, so that Nomad's clients have names to show."""

_NAMESPACE = "default"
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


def _nanoseconds(seconds: int | None) -> int:
    return (seconds or 0) * _NANOSECONDS


def job_view(job: Job, allocation: Allocation | None, waiting: Iterable[str]) -> dict[str, Any]:
    """A job, as `GET /v1/job/:id` answers.

    Args:
        job: the job.
        allocation: its current allocation, if it has one.
        waiting: why it waits, if it does.
    """
    settings = allocation.settings if allocation else None
    return {
        **_common(job),
        "Priority": allocation.priority if allocation else DEFAULT_PRIORITY,
        "Region": "global",
        "Meta": None,
        "AllAtOnce": False,
        "Constraints": None,
        "Version": max(job.run - 1, 0),
        "JobModifyIndex": job.rev,
        "Stop": allocation is not None and allocation.desired is Desired.STOP,
        "Stable": False,
        "TaskGroups": [_script_group(settings)],
        "AllocID": job.current,
        "Settings": to_attributes(settings) if settings else {},
        "Waiting": list(waiting),
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
        "ParentID": "",
        "Name": job.id,
        "Namespace": _NAMESPACE,
        "Datacenters": [job.site],
        "Type": "batch",
        "Periodic": job.kind is JobKind.PERIODIC,
        "ParameterizedJob": job.kind is JobKind.PARAMETERIZED,
        "Status": job.status.value,
        "StatusDescription": job.message or "",
        "SubmitTime": _nanoseconds(job.submitted),
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


def job_stub(job: Job) -> dict[str, Any]:
    """A row of `GET /v1/jobs`, from what the list index carries."""
    return {**_common(job), "JobSummary": summary_view(job, [job.client_status])}


def summary_view(job: Job, statuses: Iterable[ClientStatus | None]) -> dict[str, Any]:
    """How many allocations of a job are in which state.

    Args:
        job: the job.
        statuses: the client status of each allocation; None counts nowhere.
    """
    counts = dict.fromkeys(_COLUMNS, 0)
    for status in statuses:
        if status is not None:
            counts[_SUMMARY_COLUMN[status]] += 1
    return {
        "JobID": job.id,
        "Namespace": _NAMESPACE,
        "Summary": {SCRIPT_TASK: counts},
        "Children": {"Pending": 0, "Running": 0, "Dead": 0},
        "CreateIndex": 1,
        "ModifyIndex": job.rev,
    }


def client_status(allocation: Allocation, health: SiteHealth | None) -> str:
    """Nomad's client status; `unknown` for what a silent site was running.

    Args:
        allocation: the allocation.
        health: the state of its site, where that is known.
    """
    claimed = allocation.token is not None and not allocation.client_status.terminal
    if health is not None and health.silent and claimed:
        return "unknown"
    return _CLIENT_STATUS[allocation.client_status]


def allocation_view(allocation: Allocation, health: SiteHealth | None = None) -> dict[str, Any]:
    """An allocation, as Nomad's API shows it.

    Args:
        allocation: the allocation.
        health: the state of its site, where that is known.
    """
    return {
        "ID": allocation.id,
        "EvalID": evaluation_id(allocation),
        "Name": f"{allocation.job}.{SCRIPT_TASK}[0]",
        "Namespace": _NAMESPACE,
        "NodeID": identifiers.node(allocation.site),
        "NodeName": allocation.site,
        "JobID": allocation.job,
        "JobVersion": allocation.run - 1,
        "TaskGroup": SCRIPT_TASK,
        "DesiredStatus": allocation.desired.value,
        "DesiredDescription": "",
        "ClientStatus": client_status(allocation, health),
        "ClientDescription": message_of(allocation) or "",
        "TaskStates": {SCRIPT_TASK: _task_state(allocation)},
        "CreateIndex": 1,
        "ModifyIndex": allocation.obs + 1,
        "CreateTime": _nanoseconds(allocation.created),
        "ModifyTime": _nanoseconds(_newest_time(allocation)),
        "Site": allocation.site,
        "SiteStatus": allocation.client_status.value,
        "Attempt": allocation.attempt + 1,
        "Scheduler": allocation.scheduler,
        "SchedulerID": allocation.scheduler_id,
        "ExitCode": allocation.exit_code,
        "Reason": allocation.reason,
        "Results": _results(allocation),
    }


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


def _task_state(allocation: Allocation) -> dict[str, Any]:
    status = allocation.client_status
    if status.terminal:
        state = "dead"
    else:
        running = status in (ClientStatus.RUNNING, ClientStatus.PUBLISHING)
        state = "running" if running else "pending"
    steps: Mapping[str, int | None] = {
        "Received": allocation.claimed_at,
        "Driver": allocation.submitted_at,
        "Started": allocation.started_at,
        "Terminated": allocation.ended_at,
    }
    return {
        "State": state,
        "Failed": status in (ClientStatus.FAILED, ClientStatus.LOST),
        "Restarts": 0,
        "StartedAt": iso(allocation.started_at),
        "FinishedAt": iso(allocation.ended_at),
        "Events": [
            {
                "Type": kind,
                "Time": _nanoseconds(time),
                "ExitCode": (allocation.exit_code or 0) if kind == "Terminated" else 0,
                "DisplayMessage": (message_of(allocation) or "") if kind == "Terminated" else "",
            }
            for kind, time in steps.items()
            if time is not None
        ],
    }


def evaluation_id(allocation: Allocation) -> str:
    """The id of the evaluation that led to an allocation: the allocation's own.

    jobferry has no evaluations; so one can be told from its id without being kept anywhere.
    """
    return allocation.id


def evaluation_view(allocation: Allocation) -> dict[str, Any]:
    """The evaluation that led to an allocation, as Nomad's API shows it."""
    return {
        "ID": evaluation_id(allocation),
        "Namespace": _NAMESPACE,
        "Type": "batch",
        "TriggeredBy": "alloc-failure" if allocation.attempt else "job-register",
        "JobID": allocation.job,
        "NodeID": "",
        "Priority": allocation.priority,
        "Status": "complete",
        "StatusDescription": "",
        "DeploymentID": "",
        "QueuedAllocations": {SCRIPT_TASK: 0},
        "CreateIndex": 1,
        "ModifyIndex": 1,
        "CreateTime": _nanoseconds(allocation.created),
        "ModifyTime": _nanoseconds(allocation.created),
    }
