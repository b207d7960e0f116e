"""What `nomad job plan` prints: the difference to what is registered, and what would happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from jobferry.nomad_times import coming_launches, launch_text
from jobferry.rendering import printable

_MARKS = {"Added": "+", "Deleted": "-", "Edited": "+/-"}
_LAUNCHES = 3


def plan_text(plan: Mapping[str, Any], job: Mapping[str, Any], file: str, now: datetime) -> str:
    """What a plan says.

    Args:
        plan: the answer of `POST /v1/job/:id/plan`.
        job: the job that was planned.
        file: where it came from.
        now: the time.
    """
    lines = list(_job(plan.get("Diff") or {}))
    lines += ["", "Scheduler dry-run:"]
    failed = plan.get("FailedTGAllocs")
    if failed:
        lines += [f"- WARNING: Failed to place all allocations of {name!r}." for name in failed]
    else:
        lines.append("- All tasks successfully allocated.")
    launches = coming_launches(job, now, _LAUNCHES)
    if launches:
        shown = launch_text(launches[0], now)
        lines.append(f"- If submitted now, next periodic launch would be at {shown}.")
        lines += [f"  then at {one.isoformat(timespec='seconds')}" for one in launches[1:]]
    if plan.get("Warnings"):
        lines += ["", "Job Warnings:", printable_lines(plan["Warnings"])]
    index = plan.get("JobModifyIndex", 0)
    return "\n".join(
        [
            *lines,
            "",
            f"Job Modify Index: {index}",
            "To submit the job with version verification run:",
            "",
            f"jobferry job run -check-index {index} {file}",
            "",
            "When running the job with the check-index flag, the job will only be run if the",
            "job modify index given matches the server-side version. If the index has",
            "changed, another user has modified the job and the plan's results are",
            "potentially invalid.",
        ]
    )


def printable_lines(text: object) -> str:
    """Text of several lines that cannot steer a terminal."""
    return "\n".join(printable(line) for line in str(text).splitlines())


def _job(diff: Mapping[str, Any]) -> Iterator[str]:
    yield _line(0, diff, f'Job: "{printable(diff.get("ID", ""))}"')
    yield from _content(0, diff)
    for group in diff.get("TaskGroups") or []:
        updates = group.get("Updates") or {}
        told = ", ".join(f"{count} {printable(word)}" for word, count in sorted(updates.items()))
        about = f" ({told})" if told else ""
        yield _line(0, group, f'Task Group: "{printable(group.get("Name"))}"{about}')
        yield from _content(1, group)
        for task in group.get("Tasks") or []:
            yield _line(1, task, f'Task: "{printable(task.get("Name"))}"{_why(task)}')
            yield from _content(2, task)


def _content(depth: int, diff: Mapping[str, Any]) -> Iterator[str]:
    for one in diff.get("Fields") or []:
        if one.get("Type") in _MARKS:
            yield _line(depth, one, f"{printable(one.get('Name'))}: {_change(one)}{_why(one)}")
    for one in diff.get("Objects") or []:
        if one.get("Type") in _MARKS:
            yield _line(depth, one, f"{printable(one.get('Name'))} {{")
            yield from _content(depth + 1, one)
            yield f"{'  ' * depth}    }}"


def _change(one: Mapping[str, Any]) -> str:
    old, new = printable(one.get("Old", "")), printable(one.get("New", ""))
    match one.get("Type"):
        case "Added":
            return f'"{new}"'
        case "Deleted":
            return f'"{old}"'
    return f'"{old}" => "{new}"'


def _why(one: Mapping[str, Any]) -> str:
    annotations: Sequence[object] = one.get("Annotations") or ()
    return f" ({', '.join(map(printable, annotations))})" if annotations else ""


def _line(depth: int, diff: Mapping[str, Any], text: str) -> str:
    mark = _MARKS.get(str(diff.get("Type")), "")
    return f"{'  ' * depth}{mark + ' ' if mark else ''}{text}"
