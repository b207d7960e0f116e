"""Allocations and their files as Nomad's commands print them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jobferry.nomad_times import View
from jobferry.rendering import aligned, human_size, local_time, printable, table


def allocation_text(allocation: Mapping[str, Any], view: View) -> str:
    """What `nomad alloc status` prints."""
    results = allocation.get("Results") or {}
    size = results.get("Bytes")
    pairs = [
        ("ID", allocation["ID"]),
        ("Eval ID", view.id(allocation.get("EvalID", ""))),
        ("Name", allocation.get("Name")),
        ("Node ID", view.id(allocation.get("NodeID", ""))),
        ("Node Name", allocation.get("NodeName")),
        ("Job ID", allocation.get("JobID")),
        ("Job Version", allocation.get("JobVersion")),
        ("Client Status", allocation.get("ClientStatus")),
        ("Client Description", allocation.get("ClientDescription") or "<none>"),
        ("Desired Status", allocation.get("DesiredStatus")),
        ("Created", view.age(allocation.get("CreateTime"))),
        ("Modified", view.age(allocation.get("ModifyTime"))),
        ("Site Status", allocation.get("SiteStatus")),
        ("Attempt", allocation.get("Attempt")),
        ("Scheduler", allocation.get("Scheduler")),
        ("Scheduler ID", allocation.get("SchedulerID")),
        ("Exit Code", allocation.get("ExitCode")),
        ("Reason", allocation.get("Reason")),
        (
            "Results",
            f"{results.get('Files')} files, {human_size(size)}" if isinstance(size, int) else None,
        ),
        ("Left Out", results.get("LeftOut") or None),
    ]
    blocks = [aligned(pairs)]
    for name, state in sorted((allocation.get("TaskStates") or {}).items()):
        blocks.append(_task(name, state, view))
    return "\n\n".join("\n".join(block) for block in blocks)


def _task(name: str, state: Mapping[str, Any], view: View) -> list[str]:
    rows = [
        (
            view.time(event.get("Time")),
            printable(event.get("Type", "")),
            printable(event.get("DisplayMessage", "")),
        )
        for event in reversed(state.get("Events") or [])
    ]
    return [
        f'Task "{printable(name)}" is "{printable(state.get("State", ""))}"',
        *aligned(
            [
                ("Started At", local_time(state.get("StartedAt"), view.zone) or "N/A"),
                ("Finished At", local_time(state.get("FinishedAt"), view.zone) or "N/A"),
                ("Total Restarts", state.get("Restarts", 0)),
            ]
        ),
        "",
        "Recent Events:",
        *table([("Time", "Type", "Description"), *rows]),
    ]


def file_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """What `nomad alloc fs` prints of a folder."""
    return "\n".join(
        table(
            [
                ("Mode", "Size", "Modified Time", "Name"),
                *(
                    (
                        printable(row.get("FileMode", "")),
                        human_size(int(row.get("Size") or 0)),
                        local_time(row.get("ModTime")) or "",
                        printable(f"{row['Name']}{'/' if row.get('IsDir') else ''}"),
                    )
                    for row in rows
                ),
            ]
        )
    )
