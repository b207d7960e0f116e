"""What a question's measurement gives: tables, charts and verdicts, and on what it was measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from local_cloud.emulator import CHECKOUT, PYTHON

_PACKAGES = ("boto3", "botocore", "awscli")


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        title: what it shows.
        header: the columns.
        rows: numbers and words.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of horizontal bars.

    Attributes:
        name: the file's name, without its ending.
        title: what it shows.
        unit: of the values.
        bars: label and value.
    """

    name: str
    title: str
    unit: str
    bars: Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure that is to be reached.

    Attributes:
        claim: what was to be reached, with its figure.
        measured: what was measured.
        reached: whether; None where this run could not tell.
        why: why not, or what has to be known.
    """

    claim: str
    measured: str
    reached: bool | None
    why: str = ""


def undecided(verdict: Verdict) -> Verdict:
    """A verdict that the short form is too small to give."""
    return replace(verdict, reached=None, why="the short form is too small to tell")


@dataclass(slots=True)
class Result:
    """The answer to one question.

    Attributes:
        question: its name, as on the command line.
        title: the question.
        method: how it was measured, in a few sentences.
        tables, charts, verdicts: the answer.
        quick: whether the short form ran.
        machine: on what.
        versions: of what took part.
        date: when, in UTC.
    """

    question: str
    title: str
    method: str
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    quick: bool = False
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""

    def save(self, folder: Path) -> Path:
        """Write it as JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.question}.json"
        file.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n")
        return file

    @staticmethod
    def load(file: Path) -> Result:
        """Read what `save` wrote."""
        raw = json.loads(file.read_text())
        raw["tables"] = [Table(**row) for row in raw["tables"]]
        raw["charts"] = [Chart(**row) for row in raw["charts"]]
        raw["verdicts"] = [Verdict(**row) for row in raw["verdicts"]]
        return Result(**raw)


def stamped(result: Result, *, quick: bool) -> Result:
    """The result with machine, versions and date."""
    result.quick = quick
    result.machine = machine()
    result.versions = versions()
    result.date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return result


def machine() -> dict[str, Any]:
    """What the measurement runs on."""
    return {
        "cpus": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """The versions of what takes part."""
    found = {"python": platform.python_version()}
    found |= {name: metadata.version(name) for name in _PACKAGES}
    emulator = subprocess.run(
        [str(PYTHON), "-c", "from importlib.metadata import version as v; print(v('ministack'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    found["ministack"] = emulator.stdout.strip()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    found["jobferry"] = commit.stdout.strip() or metadata.version("jobferry")
    return found


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
