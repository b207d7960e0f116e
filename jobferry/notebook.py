"""Jobs as HTML, for notebooks: what `jobferry status` prints, as tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import tzinfo
from html import escape
from typing import TYPE_CHECKING

from jobferry.rendering import describe, local_time, printable

if TYPE_CHECKING:
    from jobferry.interface import Listing
    from jobferry.report import Report

_PAIR = re.compile(r"([A-Z][A-Za-z ]*?) += (.*)")
"""A line of `rendering.describe` that has a key and a value."""

_COLUMNS = ("ID", "Status", "Outcome", "Word", "Updated")


def job_html(report: Report, location: str, zone: tzinfo | None = None) -> str:
    """All that is known of a job, as a table.

    Args:
        report: its state.
        location: where its files lie.
        zone: see `rendering.local_time`.
    """
    rows: list[str] = []
    for line in describe(report, location, zone).splitlines():
        pair = _PAIR.fullmatch(line)
        if pair is not None:
            rows.append(_row([f"<b>{escape(pair[1])}</b>", escape(pair[2])]))
        elif line:
            rows.append(f'<tr><td colspan="2" style="text-align:left">{escape(line)}</td></tr>')
    return _table(rows)


def jobs_html(listing: Listing, zone: tzinfo | None = None) -> str:
    """A table of jobs, and how many there are if it does not show all.

    Args:
        listing: the jobs.
        zone: see `rendering.local_time`.
    """
    head = "<tr>" + "".join(f"<th>{name}</th>" for name in _COLUMNS) + "</tr>"
    rows = [
        _row(
            escape(printable(cell))
            for cell in (
                report.job,
                report.status.value,
                report.outcome.value if report.outcome else "-",
                report.word.value if report.word else "?",
                local_time(report.details.get("updated"), zone) or "-",
            )
        )
        for report in listing.reports
    ]
    shown = len(listing.reports)
    more = f"<p>{shown} of {listing.total} jobs</p>" if listing.total > shown else ""
    return _table([head, *rows]) + more


def problem_html(what: str, problem: str) -> str:
    """Why something cannot be shown: a table that raises would hide the rest of the cell."""
    return f"<p><b>{escape(printable(what))}</b>: {escape(printable(problem))}</p>"


def _row(cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>"


def _table(rows: Iterable[str]) -> str:
    return "<table>" + "".join(rows) + "</table>"
