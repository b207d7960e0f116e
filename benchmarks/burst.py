"""Question: how long do many short jobs take on a real Slurm, until all results are there?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.bench import Bench
from benchmarks.contestants import LOOP, OURS, PEER_SECONDS, Contest, Ran, cloudq_name
from benchmarks.peers import cloudq
from benchmarks.result import Chart, Result, Table, Verdict, undecided
from tests.schedulers.slurm_cluster import SlurmCluster, missing

TIMES_CLOUDQ = 5.0
OF_SBATCH = 1.3

_ALL = 0.85
"""The share of a CPU, or of all, from which on there was no more to be had."""

_MIB_PER_CPU: Final = 512


@dataclass(frozen=True, slots=True)
class Burst:
    """One size.

    Attributes:
        cpus: what Slurm's node says that it has.
        jobs: how many.
        turns: how often those that are compared take turns.
        slow: whether those that are only shown run, too, once.
    """

    cpus: int
    jobs: int
    turns: int
    slow: bool

    def __str__(self) -> str:
        return f"{self.jobs:,} jobs, node of {self.cpus} CPUs"


_BURSTS = (
    Burst(64, 100, 3, slow=False),
    Burst(64, 1000, 1, slow=False),
    Burst(8, 100, 3, slow=True),
)
_QUICK_BURSTS = (Burst(8, 12, 1, slow=False),)

Measured = dict[str, list[Ran]]
"""What the contestants did in their turns, by name."""


def run(bench: Bench) -> Result:
    """One contestant after another, on one Slurm for each size of the node."""
    if (reason := missing()) is not None:
        raise AssertionError(f"no Slurm: {reason}")
    bursts = _QUICK_BURSTS if bench.quick else _BURSTS
    skipped = cloudq.missing()
    measured: dict[Burst, Measured] = {}
    for cpus in dict.fromkeys(burst.cpus for burst in bursts):
        directory = bench.directory / f"slurm{cpus}"
        directory.mkdir()
        with SlurmCluster(directory, cpus=cpus, memory=cpus * _MIB_PER_CPU) as cluster:
            contest = Contest(bench, cluster, f"burst{cpus}")
            for burst in bursts:
                if burst.cpus == cpus:
                    print(f" {burst}", flush=True)
                    measured[burst] = _one(contest, burst, peers=skipped is None)
    return _answer(measured, skipped, quick=bench.quick)


def _one(contest: Contest, burst: Burst, *, peers: bool) -> Measured:
    measured: Measured = {}

    def note(ran: Ran) -> Ran:
        print(f"  {ran}", flush=True)
        measured.setdefault(ran.name, []).append(ran)
        return ran

    for turn in range(burst.turns):
        label = f"{burst.cpus}-{burst.jobs}-{turn}"
        note(contest.sbatch_loop(burst.jobs, label))
        ours = note(contest.jobferry_site(burst.jobs, label))
        if peers:
            at_most = max(PEER_SECONDS, 1.1 * TIMES_CLOUDQ * ours.seconds)
            note(contest.cloudq(burst.jobs, label, 1, at_most))
    if burst.slow:
        label = f"{burst.cpus}-{burst.jobs}-slow"
        note(contest.jobferry_from_upload(burst.jobs, label))
        note(contest.sync_scheme(burst.jobs, label))
        if peers:
            note(contest.cloudq(burst.jobs, label, 8, PEER_SECONDS))
    return measured


def _answer(measured: dict[Burst, Measured], skipped: str | None, *, quick: bool) -> Result:
    rows = [
        (
            burst.cpus,
            burst.jobs,
            name,
            len(turns),
            _seconds(turns),
            _rate(turns),
            f"{min(ran.right for ran in turns)} of {burst.jobs}",
            *(median(values) for values in _busy(turns)),
        )
        for burst, of_burst in measured.items()
        for name, turns in of_burst.items()
    ]
    result = Result(
        question="burst",
        title="Bursts of short jobs on a real Slurm",
        method=(
            "Each job sleeps 0.1 s and writes one result. Slurm of one node that says it has as "
            "many CPUs as the table says. Slurm looks once a second at what has become free, and "
            "at each submission: with 8 CPUs it starts eight of these jobs a second once all are "
            "submitted, so that 1,000 would measure that alone; with 64 it is not Slurm that "
            "limits. jobferry with `max_active = 1000`, everything else by default. "
            "The clock runs from the start of the site's program, with all jobs in the bucket "
            "(and admitted), until the last result is in the bucket; then every result is "
            "compared. Who has run more than once took turns with the others, and medians are "
            "shown. How many CPUs the emulator's one process used meanwhile tells whether it was "
            "the limit: near 1.0 it could do no more; and so for all CPUs of the machine, which "
            "emulator, functions, Slurm, jobs, puller and this program share. What emulator and "
            "functions used runs elsewhere when it is AWS. A peer is stopped after "
            f"{PEER_SECONDS:.0f} s, CloudQ with one thread not before {TIMES_CLOUDQ:.0f} times "
            "jobferry's time has passed; its rate is what it had done by then."
            + (f" CloudQ was not run: {skipped}." if skipped else "")
        ),
        tables=[
            Table(
                "Bursts",
                (
                    "CPUs of the node",
                    "jobs",
                    "who",
                    "times",
                    "seconds",
                    "jobs/s",
                    "right",
                    "emulator CPUs",
                    "and functions",
                    "all CPUs",
                ),
                rows,
            )
        ],
        charts=[
            Chart(
                "burst",
                "Bursts",
                "jobs a second",
                [
                    (f"{name}, {burst.jobs} on {burst.cpus}", round(_rate(turns), 2))
                    for burst, of_burst in measured.items()
                    for name, turns in of_burst.items()
                ],
            )
        ],
    )
    for burst, of_burst in measured.items():
        exact, *ratios = _verdicts(burst, of_burst)
        # A few jobs measure the start of the programs.
        result.verdicts += [exact, *(map(undecided, ratios) if quick else ratios)]
    return result


def _seconds(turns: Sequence[Ran]) -> float:
    return median(ran.seconds for ran in turns)


def _rate(turns: Sequence[Ran]) -> float:
    return median(ran.rate for ran in turns)


def _busy(turns: Sequence[Ran]) -> Iterator[list[float]]:
    yield [ran.busy.emulator for ran in turns]
    yield [ran.busy.cloud for ran in turns]
    yield [ran.busy.machine for ran in turns]


def _verdicts(burst: Burst, measured: Measured) -> Iterator[Verdict]:
    ours, loop, peer = measured[OURS], measured[LOOP], measured.get(cloudq_name(1))
    right = min(ran.right for ran in ours)
    yield Verdict(f"{burst}: all results right", f"{right} of {burst.jobs}", right == burst.jobs)
    if peer is not None:
        yield _beside_cloudq(burst, ours, peer, loop)
    slower = _seconds(ours) / _seconds(loop)
    emulator, cloud, machine = (median(values) for values in _busy(ours))
    cpus = os.cpu_count() or 1
    own = f"and {machine - cloud:.2f} of it is the site's own (Slurm, jobs, the puller's Python)"
    limited = emulator > _ALL or machine > _ALL * cpus
    yield Verdict(
        f"{burst}: within {OF_SBATCH} of sbatch in a loop with no cloud",
        f"{slower:.2f} times as long",
        slower <= OF_SBATCH,
        f"the emulator used {emulator:.2f} CPUs, with its functions {cloud:.2f}, "
        f"the machine {machine:.2f} of {cpus}"
        + (f": that was the limit, {own}" if limited and slower > OF_SBATCH else ""),
    )


def _beside_cloudq(
    burst: Burst, ours: Sequence[Ran], peer: Sequence[Ran], loop: Sequence[Ran]
) -> Verdict:
    claim = f"{burst}: at least {TIMES_CLOUDQ:.0f} times CloudQ's rate"
    name = peer[0].name
    if min(ran.right for ran in peer):
        ratio = _rate(ours) / _rate(peer)
        most = _rate(loop) / _rate(peer)
        why = f"sbatch in a loop, with no cloud, does {most:.1f} times what {name} does"
        if most < TIMES_CLOUDQ:
            why += ": Slurm itself is the limit"
        return Verdict(
            claim,
            f"{ratio:.1f} times",
            ratio >= TIMES_CLOUDQ,
            why if ratio < TIMES_CLOUDQ else name,
        )
    waited, took = min(ran.seconds for ran in peer), max(ran.seconds for ran in ours)
    told = waited >= TIMES_CLOUDQ * took
    return Verdict(
        claim,
        f"all in {took:.0f} s; none of CloudQ's after {waited:.0f} s",
        True if told else None,
        "" if told else f"{name} was stopped before the answer was known",
    )
