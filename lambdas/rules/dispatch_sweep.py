"""A dispatch with a sweep: a table of metadata, of which each element of one child gets a row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from job_protocol.object_keys import Problem
from job_protocol.sweep import SweepError, read_sweep
from lambdas.rules.dispatch import Dispatch, refusal
from nomad_jobs.run_script.specification import read_job

Row = dict[str, str]

_MOST_PROBLEMS = 20
_META = re.compile(r"\$\{NOMAD_META_([A-Za-z0-9_.-]+)\}")


def rows_of(table: str) -> tuple[Row, ...]:
    """The metadata of each element; an empty cell gives none of that key.

    Raises:
        SweepError: it is no such table.
    """
    sweep = read_sweep(table.encode(), metadata=True)
    return tuple(
        {name: value for name, value in zip(sweep.names, row, strict=True) if value}
        for row in sweep.rows
    )


def sweep_problems(
    job: Mapping[str, Any], asked: Dispatch, table: str, *, most_elements: int
) -> tuple[tuple[Row, ...], list[Problem]]:
    """The rows of a sweep, and every reason why the job cannot be dispatched so.

    Args:
        job: the parent's specification.
        asked: the dispatch; its metadata is that of every element.
        table: the table, as CSV.
        most_elements: how many elements an array of the site may have.
    """
    try:
        rows = rows_of(table)
    except (SweepError, UnicodeEncodeError) as error:
        return (), [Problem("Sweep", str(error), "correct the table")]
    return rows, list(_problems(job, asked, rows, most_elements))[:_MOST_PROBLEMS]


def _problems(
    job: Mapping[str, Any], asked: Dispatch, rows: tuple[Row, ...], most_elements: int
) -> Iterator[Problem]:
    if len(rows) > most_elements:
        problem = f"it has {len(rows)} rows of values; this site takes at most {most_elements}"
        yield Problem("Sweep", problem, "dispatch it in several parts")
    if read_job(job)[0].elements != 1:
        problem = f"job {job['ID']!r} has several elements itself"
        yield Problem("Sweep", problem, "a sweep needs a job of one group with count 1")
    columns = {name for row in rows for name in row}
    for name in sorted(columns & asked.meta.keys()):
        yield Problem("Sweep", f"{name!r} is in Meta, too", "state it in one place")
    yield from _artifact_problems(job, columns)
    found: dict[str, list[int]] = {}
    for number, row in enumerate(rows, 1):
        if message := refusal(job, replace(asked, meta={**asked.meta, **row}), stopped=False):
            found.setdefault(message, []).append(number)
    for message, (first, *others) in found.items():
        more = f" (as {len(others)} further rows)" if others else ""
        yield Problem("Sweep", f"row {first}: {message}{more}", "correct the table or the dispatch")


def _artifact_problems(job: Mapping[str, Any], columns: set[str]) -> Iterator[Problem]:
    """Artifacts are fetched once for all elements, so none can depend on a row."""
    names = columns | {name.upper() for name in columns}
    for group in read_job(job)[0].groups:
        for task in group.tasks:
            for artifact in task.artifacts:
                texts = (artifact.source, artifact.destination, *artifact.options.values())
                used = {name for text in texts for name in _META.findall(text)} & names
                for name in sorted(used):
                    yield Problem(
                        "Sweep",
                        f"an artifact of task {task.name!r} uses ${{NOMAD_META_{name}}}, which "
                        "every row has its own of",
                        "fetch it in the task itself",
                    )
