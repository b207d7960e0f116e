"""`jobferry-puller status`: what this site holds, without asking the cloud or the scheduler."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from puller.administration.invocation import Invocation

_EXAMPLES = """examples:
  jobferry-puller status          for people
  jobferry-puller status --json   for programs; times in UTC

It reads the puller's own notes: neither AWS nor the scheduler is asked.
"""

_COUNT_SECONDS = 10.0
"""For how long job directories are measured; file servers are slow."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `status`."""
    parser = commands.add_parser(
        "status",
        help="show what this site holds",
        description="Shows allocations, the last pass, and the disk use of job directories.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="tell it as JSON")


def run(invocation: Invocation) -> int:
    """Show it."""
    report = _report(invocation)
    if invocation.given.json:
        invocation.tell_json(report)
    else:
        for line in _lines(report, time.time()):
            invocation.tell(line)
    return 0


def _report(invocation: Invocation) -> dict[str, Any]:
    from puller import __version__
    from puller.job_directories import marked_directories
    from puller.journal import Journal, Record
    from puller.last_pass import read_last_pass
    from puller.removal import REMOVING
    from puller.shared_cache import CACHE, cache_of
    from puller.workplace import KILL_SWITCH

    settings = invocation.settings()

    def held(record: Record) -> dict[str, Any]:
        since = record.submitted_at or record.submitting_at or record.allocation.claimed_at
        return {
            "job": record.allocation.job,
            "allocation": record.id,
            "phase": record.phase.value,
            "status": record.reported.value,
            "scheduler_id": record.scheduler_id,
            "claimed": _utc(record.allocation.claimed_at),
            "since": _utc(record.end.time if record.end else record.started_at or since),
            "reason": (record.end.reason if record.end else None) or record.reported_reason,
        }

    records = Journal(settings.state).records() if settings.state.exists() else []
    last = read_last_pass(settings.state)
    directories = list(marked_directories(settings.jobs_dir))
    paths = [settings.jobs_dir / d.path for d in directories] + [settings.jobs_dir / REMOVING]
    used, whole = _size(paths, _COUNT_SECONDS)
    cached = cache_of(settings, time.time).kept()
    return {
        "site": settings.site,
        "version": __version__,
        "settings": str(invocation.settings_file),
        "state_dir": str(settings.state),
        "stopped_submitting": (settings.state / KILL_SWITCH).exists(),
        "last_pass": last
        and {**asdict(last), "began": _utc(last.began), "ended": _utc(last.ended)},
        "allocations": [held(record) for record in records],
        "job_directories": {
            "path": str(settings.jobs_dir),
            "count": sum(not d.earlier for d in directories),
            "earlier": sum(d.earlier for d in directories),
            "bytes": used,
            "bytes_complete": whole,
            "free_bytes": _free(settings.jobs_dir),
        },
        "cache": {
            "path": str(settings.jobs_dir / CACHE),
            "files": len(cached),
            "bytes": sum(file.size for file in cached),
            "linked_bytes": sum(file.size for file in cached if file.linked),
        },
    }


def _lines(report: dict[str, Any], now: float) -> Iterator[str]:
    yield f"site {report['site']}, jobferry-puller {report['version']}"
    last = report["last_pass"]
    if last is None:
        yield "last pass: none yet"
    else:
        end = f"ended {_ago(last['ended'], now)}" if last["ended"] else "at work, or was killed"
        problem = f"; {last['problem']}" if last["problem"] else ""
        yield f"last pass: began {_ago(last['began'], now)} on {last['host']}, {end}{problem}"
    if report["stopped_submitting"]:
        yield f"submission is stopped: {report['state_dir']}/stop-submitting exists"
    used = report["job_directories"]
    free = "" if used["free_bytes"] is None else f", {_human(used['free_bytes'])} free"
    yield (
        f"job directories: {used['count']} and {used['earlier']} of earlier runs in "
        f"{used['path']}, {'' if used['bytes_complete'] else 'at least '}{_human(used['bytes'])}"
        f"{free}"
    )
    cache = report["cache"]
    if cache["files"]:
        yield (
            f"shared inputs: {cache['files']} in {cache['path']}, {_human(cache['bytes'])}, "
            f"{_human(cache['linked_bytes'])} of them in job directories too"
        )
    yield f"holds {len(report['allocations'])} allocation(s)"
    rows = [
        (row["phase"], row["scheduler_id"] or "-", _local(row["since"]), row["job"] or "?")
        for row in report["allocations"]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)] if rows else []
    for row, held in zip(rows, report["allocations"], strict=True):
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=False))
        yield f"  {'  '.join(cells)}  {row[3]}  {held['allocation']}"
        if held["reason"]:
            yield f"      {held['reason']}"


def _size(folders: list[Path], seconds: float) -> tuple[int, bool]:
    """Bytes on disk, and whether all was counted in time."""
    deadline = time.monotonic() + seconds
    total = 0
    linked: set[tuple[int, int]] = set()
    for top in folders:
        for folder, _, files in os.walk(top):
            for name in files:
                with suppress(OSError):
                    found = Path(folder, name).lstat()
                    if found.st_nlink > 1:  # a shared input: it counts once, however many have it
                        if (found.st_dev, found.st_ino) in linked:
                            continue
                        linked.add((found.st_dev, found.st_ino))
                    total += found.st_blocks * 512
            if time.monotonic() > deadline:
                return total, False
    return total, True


def _free(folder: Path) -> int | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _utc(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")


def _local(at: str | None) -> str:
    if at is None:
        return "-"
    return datetime.fromisoformat(at).astimezone().isoformat(" ", "seconds")


def _ago(at: str, now: float) -> str:
    seconds = max(0, int(now - datetime.fromisoformat(at).timestamp()))
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((n for n, (value, _) in enumerate(parts) if value), 3)
    return " ".join(f"{value} {unit}" for value, unit in parts[first : first + 2]) + " ago"


def _human(size: int) -> str:
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
