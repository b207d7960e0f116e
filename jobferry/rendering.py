"""A job's state as text for people: aligned `Key = value` lines, as `nomad job status` prints."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobferry.interface import Listing
    from jobferry.report import Report

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def printable(text: object) -> str:
    """Text that cannot steer a terminal: control characters and stray bytes are written out."""
    plain = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(
        f"\\x{ord(char):02x}" if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") else char
        for char in plain
    )


def human_size(size: int) -> str:
    """Bytes in the largest fitting unit."""
    value, unit = float(size), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{size} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def local_time(text: object, zone: tzinfo | None = None) -> str | None:
    """An ISO 8601 time in the zone, with its offset.

    Args:
        text: the time; anything else gives None.
        zone: the zone; None is the computer's.
    """
    try:
        return datetime.fromisoformat(str(text)).astimezone(zone).isoformat(timespec="seconds")
    except ValueError:
        return None


def describe(report: Report, location: str, zone: tzinfo | None = None) -> str:
    """All that is known of a job.

    Args:
        report: its state.
        location: where its files lie.
        zone: see `local_time`.
    """
    details = report.details
    upload = details.get("upload")
    submitted = upload.get("time") if isinstance(upload, dict) else None
    blocks = [
        aligned(
            [
                ("ID", report.job),
                ("Site", details.get("site")),
                ("Location", location),
                ("Submit Date", local_time(submitted, zone)),
                ("Type", "batch"),
                ("Status", report.status),
                ("Outcome", report.outcome),
                ("Word", report.word),
                ("Run", details.get("run")),
                ("Finished", local_time(details.get("finished"), zone)),
                ("Message", details.get("message")),
                ("Note", details.get("note")),
                ("Site Last Seen", local_time(details.get("site_last_seen"), zone)),
            ]
        )
    ]
    if isinstance(waiting := details.get("waiting"), list):
        blocks.append(["Waiting", *(printable(reason) for reason in waiting)])
    if report.reasons:
        blocks.append(
            [
                "Reasons",
                *(
                    printable(f"{r.get('key')}: {r.get('problem')}; {r.get('remedy')}")
                    for r in report.reasons
                ),
            ]
        )
    if report.allocation:
        blocks.append(["Allocation", *_allocation(report, zone)])
    return "\n\n".join("\n".join(block) for block in blocks)


def _allocation(report: Report, zone: tzinfo | None) -> list[str]:
    allocation = report.allocation
    results = allocation.get("results")
    results = results if isinstance(results, dict) else {}
    left_out = results.get("left_out_first")
    listed = left_out if isinstance(left_out, list) else []
    files, size = results.get("files"), results.get("bytes")
    pairs = [
        ("ID", allocation.get("id")),
        ("Attempt", allocation.get("attempt")),
        ("Desired", allocation.get("desired")),
        ("Status", allocation.get("client_status")),
        ("Not Before", local_time(allocation.get("not_before"), zone)),
        ("Scheduler", allocation.get("scheduler")),
        ("Scheduler ID", allocation.get("scheduler_id")),
        ("Exit Code", allocation.get("exit_code")),
        ("Elements", _elements(allocation.get("array"))),
        ("Not Complete", _not_complete(allocation.get("array"))),
        ("Reason", allocation.get("reason")),
        ("Created", local_time(allocation.get("created"), zone)),
        ("Submitted", local_time(allocation.get("submitted"), zone)),
        ("Expected Start", local_time(allocation.get("expected_start"), zone)),
        ("Started", local_time(allocation.get("started"), zone)),
        ("Ended", local_time(allocation.get("ended"), zone)),
        ("Results", f"{files} files, {human_size(size)}" if isinstance(size, int) else None),
        ("Left Out", results.get("left_out") or None),
    ]
    return aligned(pairs) + [
        printable(f"  {entry.get('path')}: {entry.get('reason')}")
        for entry in listed
        if isinstance(entry, dict)
    ]


_COUNTS = ("queued", "running", "complete", "failed", "stopped", "lost", "not_run")
_NAMED = 20


def _elements(array: object) -> str | None:
    """How many elements of an array are in which state."""
    if not isinstance(array, dict):
        return None
    counts = (f"{array[name]} {name.replace('_', ' ')}" for name in _COUNTS if name in array)
    return f"{array.get('count')}: {', '.join(counts)}"


def _not_complete(array: object) -> str | None:
    """The first elements that did not complete, with their exit codes."""
    listed = array.get("failed_first") if isinstance(array, dict) else None
    if not isinstance(listed, list) or not listed:
        return None
    named = [
        f"{entry.get('index')} ({entry.get('exit_code', entry.get('state'))})"
        for entry in listed
        if isinstance(entry, dict)
    ]
    return ", ".join(named[:_NAMED]) + (", ..." if len(named) > _NAMED else "")


def aligned(pairs: Iterable[tuple[str, Any]]) -> list[str]:
    """Lines of keys and values, the values below one another; what is None is left out."""
    known = [(key, value) for key, value in pairs if value is not None]
    width = max(len(key) for key, _ in known)
    return [f"{key:<{width}} = {printable(value)}" for key, value in known]


def describe_all(listing: Listing, zone: tzinfo | None = None) -> str:
    """A table of jobs."""
    rows = [("ID", "Status", "Outcome", "Word", "Updated")] + [
        (
            printable(report.job),
            report.status.value,
            report.outcome.value if report.outcome else "-",
            report.word.value if report.word else "?",
            local_time(report.details.get("updated"), zone) or "-",
        )
        for report in listing.reports
    ]
    return "\n".join(table(rows))


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their columns below one another, the head first."""
    widths = [max(map(_columns, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - _columns(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes: most of Japanese takes two per character."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
