"""Question: how long do many short jobs take on a real Slurm, until all results are there?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from benchmarks.bench import Bench
from benchmarks.contestants import PEER_SECONDS, Contest, Ran
from benchmarks.peers import cloudq
from benchmarks.result import Chart, Result, Table, Verdict, undecided
from tests.schedulers.slurm_cluster import SlurmCluster, missing

TIMES_CLOUDQ = 5.0
OF_SBATCH = 1.3
OURS = "jobferry, jobs admitted"

_BURSTS = (100, 1000)
_QUICK_BURSTS = (12,)

_ALL = 0.85
"""The share of a CPU, or of all, from which on there was no more to be had."""

_PATIENCE = 100
"""Jobs above which the slowest do not run: the scheme of `aws s3 sync` takes seconds for each,
CloudQ with 8 threads loses most, and of what is uploaded the emulator's functions are the limit."""


def run(bench: Bench) -> Result:
    """One contestant after another on one Slurm."""
    if (reason := missing()) is not None:
        raise AssertionError(f"no Slurm: {reason}")
    bursts = _QUICK_BURSTS if bench.quick else _BURSTS
    ran: list[Ran] = []
    skipped = cloudq.missing()
    directory = bench.directory / "slurm"
    directory.mkdir()
    with SlurmCluster(directory, cpus=8) as cluster:
        contest = Contest(bench, cluster)
        for jobs in bursts:
            contestants = [contest.sbatch_loop, contest.jobferry_site]
            if jobs <= _PATIENCE:
                contestants.append(contest.jobferry_from_upload)
            if not bench.quick and jobs <= _PATIENCE:
                contestants.append(contest.sync_scheme)
            if skipped is None:
                for threads in (1,) if bench.quick or jobs > _PATIENCE else (8, 1):
                    contestants.append(partial(_cloudq, contest, threads, ran))
            for contestant in contestants:
                ran.append(contestant(jobs))
                print(f"  {ran[-1]}", flush=True)
    return _answer(ran, skipped, quick=bench.quick)


def _cloudq(contest: Contest, threads: int, ran: Sequence[Ran], jobs: int) -> Ran:
    """CloudQ, until it is done, or so late that the answer is known."""
    ours = next(r for r in ran if r.jobs == jobs and r.name == OURS)
    return contest.cloudq(jobs, threads, max(PEER_SECONDS, 1.1 * TIMES_CLOUDQ * ours.seconds))


def _answer(ran: list[Ran], skipped: str | None, *, quick: bool) -> Result:
    rows = [
        (r.jobs, r.name, r.seconds, r.rate, f"{r.right} of {r.jobs}", r.emulator, r.machine)
        for r in ran
    ]
    result = Result(
        question="burst",
        title="Bursts of short jobs on a real Slurm",
        method=(
            "Each job sleeps 0.1 s and writes one result. Slurm of one node that says it has 8 "
            "CPUs. jobferry with `max_active = 1000`, everything else by default. The clock runs "
            "from the start of the site's program, with all jobs in the bucket (and admitted), "
            "until the last result is in the bucket; then every result is compared. How many CPUs "
            "the emulator's one process used meanwhile tells whether it was the limit: near 1.0 "
            "it could do no more; and so for all CPUs of the machine, which emulator, functions, "
            "Slurm, puller and this program share. A peer is stopped after "
            f"{PEER_SECONDS:.0f} s, CloudQ not before {TIMES_CLOUDQ:.0f} times jobferry's time has "
            "passed; its rate is what it had done by then."
            + (f" CloudQ was not run: {skipped}." if skipped else "")
        ),
        tables=[
            Table(
                "Bursts",
                ("jobs", "who", "seconds", "jobs/s", "right", "emulator CPUs", "all CPUs"),
                rows,
            )
        ],
        charts=[
            Chart(
                "burst",
                "Bursts",
                "jobs a second",
                [(f"{r.name}, {r.jobs}", round(r.rate, 2)) for r in ran],
            )
        ],
    )
    for jobs in dict.fromkeys(r.jobs for r in ran):
        verdicts = _verdicts(jobs, {r.name: r for r in ran if r.jobs == jobs})
        # A few jobs measure the start of the programs.
        exact, *ratios = verdicts
        result.verdicts += [exact, *(map(undecided, ratios) if quick else ratios)]
    return result


def _verdicts(jobs: int, by_name: Mapping[str, Ran]) -> Iterator[Verdict]:
    ours, loop = by_name[OURS], by_name["sbatch in a loop, no cloud"]
    peers = [r for name, r in by_name.items() if name.startswith("CloudQ")]
    yield Verdict(f"{jobs} jobs: all results right", f"{ours.right} of {jobs}", ours.right == jobs)
    if peers:
        yield _beside_cloudq(jobs, ours, max(peers, key=lambda peer: peer.rate), loop)
    slower = ours.seconds / loop.seconds
    cpus = os.cpu_count() or 1
    limited = ours.emulator > _ALL or ours.machine > _ALL * cpus
    yield Verdict(
        f"{jobs} jobs: within {OF_SBATCH} of sbatch in a loop with no cloud",
        f"{slower:.2f} times as long",
        slower <= OF_SBATCH,
        f"the emulator used {ours.emulator:.2f} CPUs, the machine {ours.machine:.2f} of {cpus}"
        + (": that was the limit" if limited and slower > OF_SBATCH else ""),
    )


def _beside_cloudq(jobs: int, ours: Ran, peer: Ran, loop: Ran) -> Verdict:
    claim = f"{jobs} jobs: at least {TIMES_CLOUDQ:.0f} times CloudQ's rate"
    if peer.right:
        ratio = ours.rate / peer.rate
        most = loop.rate / peer.rate
        why = f"sbatch in a loop, with no cloud, does {most:.1f} times what {peer.name} does"
        return Verdict(
            claim,
            f"{ratio:.1f} times",
            ratio >= TIMES_CLOUDQ,
            why if ratio < TIMES_CLOUDQ else peer.name,
        )
    told = peer.seconds >= TIMES_CLOUDQ * ours.seconds
    return Verdict(
        claim,
        f"all in {ours.seconds:.0f} s; none of CloudQ's after {peer.seconds:.0f} s",
        True if told else None,
        "" if told else f"{peer.name} was stopped before the answer was known",
    )
