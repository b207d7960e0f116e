"""Question: how long does a job wait, before the scheduler has it and after it has ended?"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from benchmarks.bench import Bench
from benchmarks.child import run_command
from benchmarks.lingering_puller import lingering
from benchmarks.result import Chart, Result, Table, Verdict
from tests.e2e.site import DEAD, Site

MEDIAN_TARGET = 1.5
"""Seconds, with `--linger`, for each of the two waits."""

PASS_TARGET = 2.0
"""Seconds for a plain pass that finds 10 waiting jobs."""

ROUND_TRIPS = (0.0, 0.020)
WAITING_JOBS = 10
_SCRIPT = "#!/bin/sh\ndate +%s.%N > started.txt\nsleep 0.2\ndate +%s.%N > ended.txt\n"


def run(bench: Bench) -> Result:
    """Jobs one after another under a lingering puller, then ten at once for a plain pass."""
    site = bench.rig.site("wait")
    jobs = 4 if bench.quick else 12
    rows: list[tuple[float, ...]] = []
    for round_trip in ROUND_TRIPS[:1] if bench.quick else ROUND_TRIPS:
        bench.rig.proxy.round_trip = round_trip
        with lingering(site):
            _one(site, f"warm-{round_trip}")
            waits = [_one(site, f"rtt-{round_trip}/{number}") for number in range(jobs)]
        before, after = zip(*waits, strict=True)
        rows.append((round_trip * 1000, median(before), max(before), median(after), max(after)))
    bench.rig.proxy.round_trip = 0.0
    passes = [_pass(site, bench, number) for number in range(1 if bench.quick else 5)]
    return _answer(jobs, rows, passes)


def _one(site: Site, job_id: str) -> tuple[float, float]:
    """Seconds from `FILE_UPLOAD` to the job's start, and from its end to `JOB_COMPLETE`.

    The `local` scheduler starts a job at once, so its start is the scheduler's acceptance.
    """
    # At any moment of the puller's second, not always at the same one.
    time.sleep(0.37 * (sum(job_id.encode()) % 7) / 2)
    site.put(f"{job_id}/aws-job-run.sh", _SCRIPT)
    uploaded = time.time()
    site.mark(job_id, "FILE_UPLOAD")
    deadline = time.monotonic() + 60
    while site.word(job_id) not in DEAD:
        if time.monotonic() > deadline:
            raise AssertionError(f"{job_id} is {site.word(job_id)} after 60 s\n{site.log[-2000:]}")
        time.sleep(0.02)
    complete = time.time()
    directory = site.jobs_dir / job_id
    started = float((directory / "started.txt").read_text())
    ended = float((directory / "ended.txt").read_text())
    # The word was looked for over the wire, half a round trip ago at least.
    return started - uploaded, complete - ended


def _pass(site: Site, bench: Bench, number: int) -> float:
    """Wall seconds of a plain pass that finds ten waiting jobs, up to its exit."""
    ids = [f"ten{number}-{job}" for job in range(WAITING_JOBS)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda job_id: site.upload(job_id, _SCRIPT), ids))
    for job_id in ids:
        site.wait_for(job_id, "JOB_QUEUED", seconds=60)
    bench.rig.settle()
    took = run_command(
        [*site.puller, "pass"],
        environment=site.cron_environment(),
        directory=site.home,
        log=bench.directory / "waiting.log",
    )
    for job_id in ids:
        site.wait_for(job_id, *DEAD, seconds=60, between=site.pull)
    return took.wall


def _answer(jobs: int, rows: list[tuple[float, ...]], passes: list[float]) -> Result:
    load = os.getloadavg()[0]
    result = Result(
        question="waiting",
        title="How long a job waits",
        method=(
            f"{jobs} jobs one after another, begun at different moments of the puller's second, "
            "by a puller that lingers, `local` scheduler. Each request of user and puller takes "
            "the simulated round trip longer, each new connection two; the functions are in AWS, "
            "near its services. The emulator's calls of functions take their time, some 60 ms "
            "warm."
        ),
    )
    header = ("round trip ms", "to the start: median", "max", "to JOB_COMPLETE: median", "max")
    result.tables = [
        Table("Lingering, seconds", header, rows),
        Table(f"A plain pass with {WAITING_JOBS} waiting jobs", ("median s",), [(median(passes),)]),
    ]
    for name, column in (
        ("from FILE_UPLOAD to the scheduler's acceptance", 1),
        ("from the job's end to JOB_COMPLETE", 3),
    ):
        worst = max(row[column] for row in rows)
        result.verdicts.append(
            Verdict(
                f"{name}, lingering: median at most {MEDIAN_TARGET} s",
                ", ".join(f"{row[column]:.2f} s at {row[0]:.0f} ms" for row in rows),
                worst <= MEDIAN_TARGET,
            )
        )
    result.verdicts.append(
        Verdict(
            f"a plain pass with {WAITING_JOBS} waiting jobs: at most {PASS_TARGET} s",
            f"{median(passes):.2f} s",
            median(passes) <= PASS_TARGET,
            "" if median(passes) <= PASS_TARGET else f"load of the machine: {load:.1f}",
        )
    )
    result.charts.append(
        Chart(
            "waiting",
            "Lingering: median waits",
            "s",
            [
                pair
                for row in rows
                for pair in (
                    (f"to the start, {row[0]:.0f} ms", round(row[1], 3)),
                    (f"to JOB_COMPLETE, {row[0]:.0f} ms", round(row[3], 3)),
                )
            ],
        )
    )
    return result
