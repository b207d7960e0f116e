"""What Nomad's commands print, from the JSON of its API: aligned pairs, and tables below headings.

The layout is that of `nomad job status`, `job run` and `job dispatch`. What Nomad has no word for
(how a dead job ended, why one waits) stands in the same layout beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobferry.nomad_times import View, launch_text, next_launch
from jobferry.rendering import aligned, printable, table

_COLUMNS = ("Queued", "Starting", "Running", "Failed", "Complete", "Lost")
_NONE = "<none>"
_MOST_PLACED = 20
"""Allocations that are named when an evaluation is watched; with -verbose all of them."""


@dataclass(frozen=True, slots=True)
class JobAnswers:
    """What the API answers about one job.

    Attributes:
        job: `GET /v1/job/:id`.
        summary: `.../summary`.
        allocations: `.../allocations`.
        evaluations: `.../evaluations`.
        children: rows of `GET /v1/jobs?prefix=`: of a template, its children.
    """

    job: Mapping[str, Any]
    summary: Mapping[str, Any] = field(default_factory=dict)
    allocations: Sequence[Mapping[str, Any]] = ()
    evaluations: Sequence[Mapping[str, Any]] = ()
    children: Sequence[Mapping[str, Any]] = ()


def is_periodic(job: Mapping[str, Any]) -> bool:
    """Whether a job is launched by time."""
    return bool(job.get("Periodic"))


def is_parameterized(job: Mapping[str, Any]) -> bool:
    """Whether a job is dispatched; a dispatched child still has the block."""
    return (
        bool(job.get("ParameterizedJob")) and not job.get("Dispatched") and not job.get("ParentID")
    )


def is_template(job: Mapping[str, Any]) -> bool:
    """Whether a job never runs itself, but has children."""
    return is_periodic(job) or is_parameterized(job)


def status_of(job: Mapping[str, Any]) -> str:
    """The status, and how a dead job ended."""
    status, outcome = job.get("Status", ""), job.get("Outcome")
    if job.get("Stop") and outcome in (None, "stopped"):
        return f"{status} (stopped)"
    return f"{status} ({outcome})" if outcome else str(status)


# ---- job status ----


def job_status(answers: JobAnswers, view: View) -> str:
    """What `nomad job status ID` prints."""
    job = answers.job
    blocks = [_head(job, view)]
    if waiting := job.get("Waiting"):
        blocks.append(["Waiting", *(printable(reason) for reason in waiting)])
    if reasons := job.get("Reasons"):
        blocks.append(["Reasons", *(_problem(row) for row in reasons)])
    if is_parameterized(job):
        blocks += _parameterized(answers)
    elif is_periodic(job):
        blocks += _periodic(answers)
    else:
        blocks += _batch(answers, view)
    return "\n\n".join("\n".join(block) for block in blocks)


def _head(job: Mapping[str, Any], view: View) -> list[str]:
    pairs: list[tuple[str, Any]] = [
        ("ID", job["ID"]),
        ("Name", job.get("Name") or job["ID"]),
        ("Submit Date", view.time(job.get("SubmitTime"))),
        ("Type", job.get("Type")),
        ("Priority", job.get("Priority")),
        ("Datacenters", ",".join(job.get("Datacenters") or [])),
        ("Status", status_of(job)),
        ("Periodic", str(is_periodic(job)).lower()),
        ("Parameterized", str(is_parameterized(job)).lower()),
    ]
    if is_periodic(job):
        pairs.append(("Next Periodic Launch", _next_launch(job, view.now)))
    pairs += [
        (name, job.get(key))
        for name, key in (("Message", "Message"), ("Note", "Note"), ("Exit Code", "ExitCode"))
        if job.get(key) not in (None, "")
    ]
    return aligned(pairs)


def _next_launch(job: Mapping[str, Any], now: datetime) -> str:
    if job.get("Stop"):
        return "none (job stopped)"
    moment = next_launch(job, now)
    return launch_text(moment, now) if moment else "none"


def _problem(row: Mapping[str, Any]) -> str:
    return printable(f"{row.get('Key')}: {row.get('Problem')}; {row.get('Remedy')}")


def _children_counts(answers: JobAnswers) -> list[str]:
    counts = answers.summary.get("Children") or {}
    columns = ("Pending", "Running", "Dead")
    return table([columns, [str(counts.get(name, 0)) for name in columns]])


def _children(answers: JobAnswers) -> list[str]:
    rows = [(printable(row["ID"]), status_of(row)) for row in answers.children]
    return table([("ID", "Status"), *rows]) if rows else []


def _parameterized(answers: JobAnswers) -> list[list[str]]:
    stated = answers.job["ParameterizedJob"]
    stated = stated if isinstance(stated, Mapping) else {}
    most = stated.get("MaxActive")  # jobferry's own
    return [
        [
            "Parameterized Job",
            *aligned(
                [
                    ("Payload", stated.get("Payload") or "optional"),
                    ("Required Metadata", ", ".join(stated.get("MetaRequired") or []) or _NONE),
                    ("Optional Metadata", ", ".join(stated.get("MetaOptional") or []) or _NONE),
                    *([("Max Active", most)] if most else []),
                ]
            ),
        ],
        ["Parameterized Job Summary", *_children_counts(answers)],
        ["Dispatched Jobs", *_children(answers)],
    ]


def _periodic(answers: JobAnswers) -> list[list[str]]:
    return [
        ["Children Job Summary", *_children_counts(answers)],
        ["Previously Launched Jobs", *_children(answers)],
    ]


def _batch(answers: JobAnswers, view: View) -> list[list[str]]:
    groups = answers.summary.get("Summary") or {}
    rows = [
        (printable(name), *(str(counts.get(column, 0)) for column in _COLUMNS))
        for name, counts in sorted(groups.items())
    ]
    blocks = [["Summary", *table([("Task Group", *_COLUMNS), *rows])]]
    if view.verbose:
        blocks.append(["Evaluations", *_evaluations(answers.evaluations)])
    blocks.append(["Allocations", *allocation_rows(answers.allocations, view)])
    return blocks


def _evaluations(evaluations: Iterable[Mapping[str, Any]]) -> list[str]:
    head = ("ID", "Priority", "Triggered By", "Status", "Placement Failures")
    return table(
        [
            head,
            *(
                (
                    printable(row["ID"]),
                    str(row.get("Priority", "")),
                    printable(row.get("TriggeredBy", "")),
                    printable(row.get("Status", "")),
                    str(bool(row.get("FailedTGAllocs"))).lower(),
                )
                for row in evaluations
            ),
        ]
    )


def _ids(allocations: Sequence[Mapping[str, Any]]) -> set[str]:
    """What a short id may mean: that of an array means its first element, and no later one."""
    return {one[key] for one in allocations for key in ("ID", "EvalID") if one.get(key)}


def allocation_rows(allocations: Sequence[Mapping[str, Any]], view: View) -> list[str]:
    """A table of allocations."""
    if not allocations:
        return ["No allocations placed"]
    head = ["ID", "Node ID", "Task Group", "Version", "Desired", "Status", "Created", "Modified"]
    if view.verbose:
        head[1:2] = ["Eval ID", "Node ID", "Node Name"]
    rows = []
    ids = _ids(allocations)
    for one in allocations:
        row = [
            view.id_among(one["ID"], ids),
            view.id(one.get("NodeID", "")),
            printable(one.get("TaskGroup", "")),
            str(one.get("JobVersion", 0)),
            printable(one.get("DesiredStatus", "")),
            printable(one.get("ClientStatus", "")),
            view.age(one.get("CreateTime")),
            view.age(one.get("ModifyTime")),
        ]
        if view.verbose:
            row[1:2] = [view.id(one.get("EvalID", "")), row[1], printable(one.get("NodeName", ""))]
        rows.append(row)
    return table([head, *rows])


def job_list(jobs: Sequence[Mapping[str, Any]], view: View) -> str:
    """What `nomad job status` prints without an id."""
    if not jobs:
        return "No running jobs"
    rows = [
        (
            printable(job["ID"]),
            _kind(job),
            str(job.get("Priority") or "-"),
            status_of(job),
            view.time(job.get("SubmitTime")),
        )
        for job in jobs
    ]
    return "\n".join(table([("ID", "Type", "Priority", "Status", "Submit Date"), *rows]))


def _kind(job: Mapping[str, Any]) -> str:
    if is_periodic(job):
        return f"{job.get('Type')}/periodic"
    if is_parameterized(job):
        return f"{job.get('Type')}/parameterized"
    return str(job.get("Type"))


# ---- run, dispatch, stop ----


def monitor_lines(
    evaluation: Mapping[str, Any], allocations: Iterable[Mapping[str, Any]], view: View
) -> list[str]:
    """What Nomad's commands print while they watch an evaluation.

    Args:
        evaluation: `GET /v1/evaluation/:id`.
        allocations: `.../allocations`.
        view: how ids are shown.
    """
    name = view.id(evaluation["ID"])
    status = evaluation.get("Status", "complete")
    lines = [
        f'==> Monitoring evaluation "{name}"',
        f'    Evaluation triggered by job "{printable(evaluation.get("JobID", ""))}"',
    ]
    if deployment := evaluation.get("DeploymentID"):
        lines.append(f'    Evaluation within deployment: "{view.id(deployment)}"')
    placed = list(allocations)
    ids = _ids(placed)
    shown = placed if view.verbose or len(placed) <= _MOST_PLACED else placed[:_MOST_PLACED]
    lines += [
        f'    Allocation "{view.id_among(one["ID"], ids)}" created: '
        f'node "{view.id(one.get("NodeID", ""))}", '
        f'group "{printable(one.get("TaskGroup", ""))}"'
        for one in shown
    ]
    if more := len(placed) - len(shown):
        lines.append(f"    ... and {more} further allocations")
    return [
        *lines,
        f'    Evaluation status changed: "pending" -> "{status}"',
        f'==> Evaluation "{name}" finished with status "{status}"',
    ]


def dispatched_lines(answer: Mapping[str, Any], view: View) -> list[str]:
    """The head of what `nomad job dispatch` prints."""
    pairs = [("Dispatched Job ID", answer["DispatchedJobID"])]
    if answer.get("EvalID"):
        pairs.append(("Evaluation ID", view.id(answer["EvalID"])))
    return aligned(pairs)
