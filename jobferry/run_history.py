"""What happened to a job's runs, from the versions of its `aws-job-stat.json`. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from jobferry.interface import Event

_TIMES = {
    "created": ("Created", "attempt {attempt} waits for site {site}"),
    "claimed": ("Claimed", "the puller of site {site} took attempt {attempt}"),
    "submitted": ("Scheduled", "{scheduler} took it as job {scheduler_id}"),
    "started": ("Started", "attempt {attempt} runs"),
    "ended": ("Ended", "attempt {attempt}: {end}"),
}


def events_of(documents: Iterable[bytes]) -> tuple[Event, ...]:
    """What the documents tell, oldest first.

    Args:
        documents: versions of the object, the oldest first; later ones of a run tell more. What is
            no such document is passed over.
    """
    runs: dict[int, Mapping[str, Any]] = {}
    attempts: dict[tuple[int, str], Mapping[str, Any]] = {}
    for body in documents:
        document = _document(body)
        run = document.get("run")
        if not isinstance(run, int):
            continue
        runs[run] = document
        allocation = _mapping(document.get("allocation"))
        if isinstance(name := allocation.get("id"), str):
            attempts[run, name] = allocation
    found = [_submitted(run, document) for run, document in runs.items()]
    for (run, name), allocation in attempts.items():
        found += _of_attempt(run, name, allocation, runs[run])
    found += [_finished(run, one) for run, one in runs.items() if one.get("finished")]
    return tuple(sorted(found, key=lambda event: (event.run or 0, event.time or "")))


def _submitted(run: int, document: Mapping[str, Any]) -> Event:
    submitter = document.get("submitter") or "a mark in the bucket"
    time = _mapping(document.get("upload")).get("time")
    return Event(time, run, "Submitted", None, f"run {run} was submitted by {submitter}")


def _finished(run: int, document: Mapping[str, Any]) -> Event:
    said = document.get("message") or f"the job is {document.get('outcome')}"
    return Event(document["finished"], run, "Finished", None, str(said))


def _of_attempt(
    run: int, name: str, allocation: Mapping[str, Any], document: Mapping[str, Any]
) -> list[Event]:
    words = {
        "attempt": allocation.get("attempt"),
        "site": document.get("site"),
        "scheduler": allocation.get("scheduler"),
        "scheduler_id": allocation.get("scheduler_id"),
        "end": _end(allocation),
    }
    return [
        Event(allocation[key], run, kind, name, text.format(**words))
        for key, (kind, text) in _TIMES.items()
        if allocation.get(key)
    ]


def _end(allocation: Mapping[str, Any]) -> str:
    said = str(allocation.get("client_status"))
    if allocation.get("exit_code"):
        said += f" with exit code {allocation['exit_code']}"
    reason = allocation.get("reason")
    return f"{said} ({reason})" if reason else said


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(body))
    except ValueError:
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
