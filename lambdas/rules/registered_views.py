"""Registered jobs in the JSON of Nomad's API: with all defaults, as Nomad's clients expect them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from job_protocol.job import Job
from job_protocol.states import Outcome
from lambdas.rules.dispatch import Dispatch, child_job
from lambdas.rules.job_file.defaults import canonical
from lambdas.rules.job_file.plan import job_diff
from lambdas.rules.registration import Examined
from lambdas.rules.status_document import iso

_NANOSECONDS = 1_000_000_000
_OUR_OWN = ("TaskGroups", "Priority", "Region", "Meta", "AllAtOnce", "Constraints")
"""What the view of any job says for lack of a specification."""


def registered_view(
    view: Mapping[str, Any],
    job: Job,
    stated: Mapping[str, Any],
    *,
    version: int,
    index: int,
    meta: Mapping[str, str],
) -> dict[str, Any]:
    """A job that was registered, or a child, as `GET /v1/job/:id` answers.

    Args:
        view: what is shown of any job (`nomad_views.job_view`).
        job: the job.
        stated: its specification; of a child, its template's.
        version: the number of that version.
        index: its `JobModifyIndex`.
        meta: what a dispatch gave.
    """
    whole = canonical(stated)
    if job.parent is not None:
        # A dispatch may state its own.
        whole["Priority"] = view.get("Priority") or whole["Priority"]
        # As in Nomad: a dispatched child keeps ParameterizedJob, a launched one has no Periodic.
        if whole.get("Periodic") is not None:
            whole |= {"ID": job.id, "Name": job.id, "ParentID": job.parent, "Periodic": None}
        else:
            whole = child_job(whole, job.id, Dispatch(meta=meta))
    # What Nomad has no word for stands beside; what both have is the specification's.
    kept = {name: value for name, value in view.items() if name not in _OUR_OWN}
    return {
        **whole,
        **kept,
        "Name": whole.get("Name") or job.id,
        "Datacenters": whole.get("Datacenters") or [job.site],
        "Periodic": whole.get("Periodic"),
        "ParameterizedJob": whole.get("ParameterizedJob"),
        "Dispatched": bool(whole.get("Dispatched")),
        "Payload": None,
        "Version": version,
        "JobModifyIndex": index,
        "NextPeriodicLaunch": iso(job.next_due),
    }


def version_view(
    job_id: str, stated: Mapping[str, Any], *, version: int, index: int, time: int, current: Job
) -> dict[str, Any]:
    """A version, as `GET /v1/job/:id/versions` lists it.

    Args:
        job_id: the job.
        stated: the version's specification.
        version: its number.
        index: its `JobModifyIndex`.
        time: when it was registered, in seconds since the epoch.
        current: the job.
    """
    is_current = current.registration is not None and current.registration.version == version
    return {
        **canonical(stated),
        "ID": job_id,
        "Version": version,
        "JobModifyIndex": index,
        "ModifyIndex": current.rev if is_current else index,
        "CreateIndex": 1,
        "SubmitTime": time * _NANOSECONDS,
        "Stable": False,
        "Stop": is_current and current.outcome is Outcome.STOPPED,
        "Status": current.status.value if is_current else "dead",
        "StatusDescription": "",
        "Dispatched": False,
    }


def plan_view(
    there: Job | None,
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any],
    *,
    diff: bool,
    next_launch: int | None,
    warnings: tuple[str, ...],
) -> dict[str, Any]:
    """What registering a job would do, as `POST /v1/job/:id/plan` answers.

    Args:
        there: the registered job, if there is one.
        old: its specification, if that is there.
        new: the accepted job.
        diff: whether to show the difference.
        next_launch: when a periodic job would launch next, in seconds since the epoch.
        warnings: what the job states in vain.
    """
    changes = job_diff(old, new)
    template = new.get("Periodic") is not None or new.get("ParameterizedJob") is not None
    updates = (
        {} if template else {group["Name"]: _updates(group) for group in changes["TaskGroups"]}
    )
    return {
        "Annotations": {"DesiredTGUpdates": updates, "PreemptedAllocs": None},
        "CreatedEvals": None,
        "Diff": changes if diff else None,
        "FailedTGAllocs": None,
        "JobModifyIndex": there.registration.index if there and there.registration else 0,
        "NextPeriodicLaunch": iso(next_launch),
        "Warnings": "\n".join(warnings),
    }


def _updates(group: Mapping[str, Any]) -> dict[str, int]:
    counts = dict.fromkeys(
        ("Ignore", "Place", "Migrate", "Stop", "InPlaceUpdate", "DestructiveUpdate", "Canary"), 0
    )
    for word, count in group["Updates"].items():
        name = {"ignore": "Ignore", "create": "Place", "destroy": "Stop"}.get(
            word, "DestructiveUpdate"
        )
        counts[name] += int(count)
    return counts


def validation_view(examined: Examined) -> dict[str, Any]:
    """Whether a job may be registered, as `POST /v1/validate/job` answers."""
    errors = [f"{row.key}: {row.problem}; {row.remedy}" for row in examined.problems]
    return {
        "DriverConfigValidated": True,
        "ValidationErrors": errors or None,
        "Error": "; ".join(errors),
        "Warnings": "\n".join(examined.warnings),
    }
