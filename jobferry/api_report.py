"""Jobs as the HTTP API tells them, as the reports that the bucket's status objects give."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from job_protocol.states import Word
from jobferry.report import Report

_ALLOCATION = {
    "ID": "id",
    "Attempt": "attempt",
    "SiteStatus": "client_status",
    "DesiredStatus": "desired",
    "Scheduler": "scheduler",
    "SchedulerID": "scheduler_id",
    "ExitCode": "exit_code",
    "Reason": "reason",
}
_WORDS = {"JOB_QUEUED": "pending", "JOB_SUBMITTED": "queued", "JOB_RUNNING": "running"}
_TIMES = {"Received": "claimed", "Driver": "submitted", "Started": "started", "Terminated": "ended"}


def report_of_view(job: Mapping[str, Any], allocation: Mapping[str, Any] | None) -> Report:
    """A job's state.

    Args:
        job: the answer of `GET /v1/job/:id`, or a row of `GET /v1/jobs`.
        allocation: the answer of `GET /v1/allocation/:id` for its current allocation.
    """
    word = job.get("Word")
    reasons = [
        {"key": row.get("Key"), "problem": row.get("Problem"), "remedy": row.get("Remedy")}
        for row in job.get("Reasons") or []
    ]
    details = {
        "job": job["ID"],
        "site": job.get("Site"),
        "word": word,
        "status": job.get("Status"),
        "outcome": job.get("Outcome"),
        "message": job.get("Message"),
        "note": job.get("Note"),
        "reasons": reasons or None,
        "run": job.get("Run") or None,
        "submitter": job.get("Submitter"),
        "waiting": job.get("Waiting") or None,
        "revision": job.get("ModifyIndex"),
        "upload": {"time": job["Submitted"]} if job.get("Submitted") else None,
        "allocation": _allocation(job, allocation) if allocation else None,
        "finished": job.get("Finished"),
        "updated": job.get("Finished") or job.get("Submitted"),
    }
    return Report(
        job["ID"],
        Word(str(word)) if word in Word.__members__ else None,
        {name: value for name, value in details.items() if value is not None},
    )


def _allocation(job: Mapping[str, Any], view: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: view.get(theirs) for theirs, name in _ALLOCATION.items()}
    found["created"] = _iso(view.get("CreateTime"))
    if view.get("Array"):  # the view is that of its first element
        found["client_status"] = job.get("Outcome") or _WORDS.get(str(job.get("Word")))
        found["exit_code"] = job.get("ExitCode")
        found |= view["Array"].get("whole") or {}
        array = {name: part for name, part in view["Array"].items() if name != "whole"}
        found["array"] = {**array, **_groups(job, array.get("count"))}
    else:
        for state in (view.get("TaskStates") or {}).values():
            for event in state.get("Events") or []:
                if event.get("Type") in _TIMES:
                    found[_TIMES[event["Type"]]] = _iso(event.get("Time"))
    results = view.get("Results")
    if results:
        found["results"] = {
            "files": results.get("Files"),
            "bytes": results.get("Bytes"),
            "left_out": results.get("LeftOut"),
            "left_out_first": [
                {"path": row.get("Path"), "reason": row.get("Reason")}
                for row in results.get("LeftOutFirst") or []
            ],
        }
    return {name: value for name, value in found.items() if value is not None}


def _groups(job: Mapping[str, Any], count: object) -> dict[str, Any]:
    """The groups of an array of a Nomad job and their counts, which name the elements' folders."""
    groups = [[one.get("Name"), one.get("Count")] for one in job.get("TaskGroups") or []]
    numbers = [number for _, number in groups if isinstance(number, int)]
    return {"groups": groups} if groups and sum(numbers) == count else {}


def _iso(nanoseconds: object) -> str | None:
    if not isinstance(nanoseconds, int) or nanoseconds <= 0:
        return None
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
