"""Registered jobs in the JSON of Nomad's API: with all defaults, as Nomad's clients expect them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from job_protocol.job import Job
from job_protocol.states import Outcome
from lambdas.rules.dispatch import Dispatch, child_job
from lambdas.rules.status_document import iso
from nomad_jobs.job_file.defaults import canonical

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
