"""What registering a job would do, and whether it may be, in the JSON of Nomad's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from job_protocol.job import Job
from lambdas.rules.registration import Examined
from lambdas.rules.status_document import iso
from nomad_jobs.job_file.plan import job_diff


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
