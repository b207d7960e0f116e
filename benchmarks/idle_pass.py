"""Question: what does a pass cost that finds nothing to do, however long the history is?"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from benchmarks.bench import Bench
from benchmarks.child import Took, run_command
from benchmarks.history import finish_jobs
from benchmarks.peers import SYNC_SCHEME, sync_environment
from benchmarks.result import Chart, Result, Table, Verdict
from tests.e2e.site import Site

MOST_REQUESTS = 2
_HISTORIES = {"h0": 0, "h1k": 1_000, "h10k": 10_000, "h100k": 100_000}
_PEER_HISTORIES = ("h0", "h1k", "h10k")
_NOISE = 1.15
"""Ratio of two medians that counts as the same."""


def run(bench: Bench) -> Result:
    """Alternate between sites with different histories, and take medians."""
    histories = {
        site: jobs for site, jobs in _HISTORIES.items() if not bench.quick or jobs <= 1_000
    }
    rounds = 3 if bench.quick else 11
    sites = {name: bench.rig.site(name) for name in histories}
    for name, jobs in histories.items():
        finish_jobs(bench.rig, sites[name], jobs, results=name in _PEER_HISTORIES)
    took: dict[str, list[Took]] = {name: [] for name in histories}
    requests: dict[str, list[int]] = {name: [] for name in histories}
    peer: dict[str, list[Took]] = {
        name: [] for name in histories if name in _PEER_HISTORIES and not bench.quick
    }
    peer_requests: dict[str, int] = {}
    for name, site in sites.items():
        site.pull()
        if name in peer:
            _peer_pass(site, bench)
    for number in range(rounds):
        for name, site in sites.items():
            first = len(bench.rig.proxy.exchanges)
            took[name].append(_timed(site, [*site.puller, "pass"], bench))
            made = [e for e in bench.rig.proxy.exchanges[first:] if e.actor == "puller"]
            requests[name].append(len(made))
            if name in peer and number < _peer_rounds(histories[name]):
                first = len(bench.rig.proxy.exchanges)
                peer[name].append(_peer_pass(site, bench))
                peer_requests[name] = sum(
                    e.actor == "puller" for e in bench.rig.proxy.exchanges[first:]
                )
    return _answer(histories, took, requests, peer, peer_requests)


def _peer_rounds(jobs: int) -> int:
    """How often the peer passes; where it takes longest, once says as much."""
    return 3 if jobs < max(_HISTORIES[name] for name in _PEER_HISTORIES) else 1


def _timed(site: Site, command: list[str], bench: Bench) -> Took:
    return run_command(
        command,
        environment=site.cron_environment(),
        directory=site.home,
        log=bench.directory / "idle.log",
    )


def _peer_pass(site: Site, bench: Bench) -> Took:
    return run_command(
        ["bash", str(SYNC_SCHEME)],
        environment=site.cron_environment() | sync_environment(site),
        directory=site.home,
        log=bench.directory / "idle-peer.log",
    )


def _answer(
    histories: dict[str, int],
    took: dict[str, list[Took]],
    requests: dict[str, list[int]],
    peer: dict[str, list[Took]],
    peer_requests: dict[str, int],
) -> Result:
    def middle(rows: list[Took], value: Callable[[Took], float]) -> float:
        return median(map(value, rows))

    rows = [
        (
            histories[name],
            max(requests[name]),
            middle(took[name], lambda t: t.wall),
            middle(took[name], lambda t: t.cpu),
            middle(took[name], lambda t: t.memory),
        )
        for name in histories
    ]
    peer_rows = [
        (histories[name], peer_requests[name], middle(peer[name], lambda t: t.wall))
        for name in peer
    ]
    ratio = max(row[2] for row in rows) / min(row[2] for row in rows)
    most = max(row[1] for row in rows)
    longest = max(histories.values())
    return Result(
        question="idle_pass",
        title="A pass that finds nothing to do",
        method=(
            "`jobferry-puller pass` as cron starts it, a new process each time, in turns on sites "
            f"with different histories, medians of {len(next(iter(took.values())))}. Beside it the "
            "reference document's scheme (`aws s3 sync` both ways, `benchmarks/peers/`) on the "
            "same sites with the same objects, its job directories already in step. The longest "
            "history is in the table alone: jobferry does not look at the bucket."
        ),
        tables=[
            Table(
                "jobferry",
                ("finished jobs", "requests", "wall s", "CPU s", "memory MiB"),
                rows,
            ),
            *(
                [Table("aws s3 sync scheme", ("finished jobs", "requests", "wall s"), peer_rows)]
                if peer_rows
                else []
            ),
        ],
        charts=[
            Chart(
                "idle-pass",
                "An idle pass",
                "s",
                [
                    *((f"jobferry, {row[0]:,} finished jobs", row[2]) for row in rows),
                    *((f"aws s3 sync scheme, {row[0]:,}", row[2]) for row in peer_rows),
                ],
            )
        ],
        verdicts=[
            Verdict(
                f"an idle pass makes at most {MOST_REQUESTS} requests",
                f"{most} with up to {longest:,} finished jobs",
                most <= MOST_REQUESTS,
            ),
            Verdict(
                f"the same time within noise with 0 and with {longest:,} finished jobs",
                f"slowest over fastest median: {ratio:.2f}",
                ratio <= _NOISE,
                "" if longest == max(_HISTORIES.values()) else "quick: shorter histories only",
            ),
        ],
    )
