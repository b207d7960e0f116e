"""Question: what does one short job cost, and where does the money go?"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.bench import Bench
from benchmarks.exchange import Exchange
from benchmarks.lambda_calls import Calls, calls_of, cpu_seconds, gb_seconds, waited, warm_cpu
from benchmarks.lingering_puller import lingering
from benchmarks.prices import Item, total
from benchmarks.result import Chart, Result, Table, Verdict
from benchmarks.rig import FUNCTIONS, Rig
from tests.e2e.site import DEAD, Site

_WINDOW = (
    "the emulator ignores the stream's window of 3 s, in which AWS gathers passing states: here "
    "JOB_QUEUED of a job of one second is shown, for about $14"
)
TARGET = 35.0
"""Dollars per million short jobs with one result file."""

CLOUDQ_S3 = 77.0
"""Dollars per million jobs that CloudQ 1.2.0 pays to S3 alone (its requests, same prices)."""

RESULT_SCRIPT = "#!/bin/sh\necho result > result.txt\n"
STDOUT_SCRIPT = "#!/bin/sh\necho hello\necho result > result.txt\n"


@dataclass(frozen=True, slots=True)
class Measured:
    """What some jobs, one after another, caused.

    Attributes:
        jobs: how many there were.
        exchanges: all requests but the users'.
        calls: invocations, by function.
        cpu: CPU seconds of the functions for one job, the median, by function.
    """

    jobs: int
    exchanges: list[Exchange]
    calls: dict[str, Calls]
    cpu: dict[str, float]


def run(bench: Bench) -> Result:
    """Measure, and price what was measured."""
    rig = bench.rig
    rig.look_up_units()
    site = rig.site("cost")
    jobs = 1 if bench.quick else 10
    by_cron = _Cron(site)
    bills: dict[str, list[Item]] = {}
    with lingering(site):
        for number in range(2 if bench.quick else 5):
            _one(site, rig, f"warm{number}", RESULT_SCRIPT, by_cron.wait)
        bills["one result file"] = bill(
            measure(rig, site, "result", RESULT_SCRIPT, by_cron.wait, jobs)
        )
        if not bench.quick:
            bills["result and stdout"] = bill(
                measure(rig, site, "stdout", STDOUT_SCRIPT, by_cron.wait, jobs)
            )
    bills["one result file, by cron"] = bill(
        measure(rig, site, "cron", RESULT_SCRIPT, by_cron.two_passes, jobs)
    )
    rig.proxy.images = None
    return _answer(bills)


class _Cron:
    """How a site's puller carries a job to its end."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def wait(self, job_id: str) -> None:
        """A lingering puller is at work."""
        self._site.wait_for(job_id, *DEAD, seconds=60)

    def two_passes(self, job_id: str) -> None:
        """A pass that submits, and later one that finds the end."""
        self._site.wait_for(job_id, "JOB_QUEUED", seconds=30)
        self._site.pull()
        self._site.wait_for(job_id, "JOB_SUBMITTED", "JOB_RUNNING", seconds=30)
        time.sleep(1.0)
        self._site.wait_for(job_id, *DEAD, seconds=60, between=self._site.pull)


def _one(site: Site, rig: Rig, job_id: str, script: str, carry: Callable[[str], None]) -> None:
    site.upload(job_id, script)
    carry(job_id)
    rig.settle()


def measure(
    rig: Rig, site: Site, name: str, script: str, carry: Callable[[str], None], jobs: int
) -> Measured:
    """Run jobs one after another, each from its upload to its end.

    Args:
        rig: what it runs on.
        site: the site.
        name: the beginning of the job ids.
        script: the jobs' script.
        carry: makes the site's puller carry a job, uploaded already, to its end.
        jobs: how many.
    """
    functions = rig.functions()
    groups = _log_groups(rig)
    logs = rig.client("logs")
    rig.settle()
    calls = {actor: calls_of(logs, groups[actor]) for actor in FUNCTIONS}
    cpu: dict[str, list[float]] = {actor: [] for actor in FUNCTIONS}
    first = len(rig.proxy.exchanges)
    for number in range(jobs):
        spent = {actor: cpu_seconds(functions[actor]) for actor in FUNCTIONS}
        _one(site, rig, f"{name}{number}", script, carry)
        for actor in FUNCTIONS:
            cpu[actor].append(warm_cpu(spent[actor], cpu_seconds(functions[actor])))
    return Measured(
        jobs=jobs,
        exchanges=[e for e in rig.proxy.exchanges[first:] if e.actor != "user"],
        calls={a: calls_of(logs, groups[a]).since(calls[a]) for a in FUNCTIONS},
        cpu={actor: median(values) for actor, values in cpu.items()},
    )


def _log_groups(rig: Rig) -> dict[str, str]:
    client = rig.client("lambda")
    return {
        actor: client.get_function_configuration(FunctionName=function)["LoggingConfig"]["LogGroup"]
        for actor, function in rig.functions().items()
    }


def bill(measured: Measured, memory: float | None = None) -> list[Item]:
    """What one job costs, item by item; what an idle site does as well is not the job's.

    Args:
        measured: what the jobs caused.
        memory: GB of the functions; None for what they have.
    """
    mine = [e for e in measured.exchanges if not e.of_the_site]
    counted: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    for exchange in mine:
        for what, kind, units in _lines(exchange):
            counted[exchange.actor, what, kind] += units
    items = [
        Item(actor, what, kind, units / measured.jobs)
        for (actor, what, kind), units in counted.items()
    ]
    for actor, calls in measured.calls.items():
        wait = waited(e for e in mine if e.actor == actor)
        wait /= measured.jobs
        seconds = gb_seconds(measured.cpu[actor], wait, memory or calls.memory)
        items += [
            Item(actor, "invocations", "lambda-request", calls.count / measured.jobs),
            Item(actor, "billed time", "lambda-gb-second", seconds),
            Item(actor, "logs", "log-kib", calls.log_bytes / 1024 / measured.jobs),
        ]
    return items


def _lines(exchange: Exchange) -> Iterator[tuple[str, str, float]]:
    if exchange.service == "s3":
        name = exchange.key.rpartition("/")[2]
        yield f"{exchange.operation} {name}".strip(), exchange.s3_kind, 1
    elif exchange.service != "dynamodb":
        kind = {"events": "event", "sqs": "sqs-request", "ssm": "ssm-request"}[exchange.service]
        yield exchange.operation, kind, 1
    elif not exchange.writes:
        yield exchange.operation, "read-unit", exchange.read_units
    else:
        what = f"{exchange.operation} {exchange.key}"
        for units in exchange.writes:
            yield what, "write-unit", units.table
            for index, more in units.indexes.items():
                yield f"{what}, index {index}", "write-unit", more


def _answer(bills: dict[str, list[Item]]) -> Result:
    totals = {name: total(items) for name, items in bills.items()}
    result = Result(
        question="one_job",
        title="What one short job costs",
        method=(
            "Jobs of `local`, one after another, of a script that writes one small file. Every "
            "request of puller and functions is counted on the wire; write units are computed "
            "from the items before and after each write, with all indexes, as DynamoDB's guide "
            "says. Billed time is computed from the functions' CPU time here and assumed "
            "latencies within a region (`benchmarks/lambda_calls.py`). The puller's sign of life "
            "and its question to the queue are the site's, not a job's: see the idle pass. The "
            "user's own uploads are not counted."
        ),
    )
    result.tables.append(Table("Dollars per million jobs", ("job", "$"), list(totals.items())))
    for name, items in bills.items():
        rows = [
            (i.part, i.what, i.kind, i.units, i.dollars)
            for i in sorted(items, key=lambda item: -item.dollars)
            if i.dollars >= 0.01
        ]
        header = ("who", "what", "unit", "units a job", "$ per million")
        result.tables.append(Table(f"A job with {name}", header, rows))
    result.charts.append(
        Chart("one-job", "One short job, by kind", "$ per million", _by_kind(bills))
    )
    reached = totals["one result file"]
    result.verdicts.append(
        Verdict(
            f"at most ${TARGET:.0f} per million jobs with one result file",
            "; ".join(f"{name}: ${dollars:.2f}" for name, dollars in totals.items())
            + f" (CloudQ: ${CLOUDQ_S3:.0f} for S3 alone)",
            reached <= TARGET,
            "" if reached <= TARGET else _WINDOW,
        )
    )
    return result


def _by_kind(bills: dict[str, list[Item]]) -> Sequence[tuple[str, float]]:
    sums: defaultdict[str, float] = defaultdict(float)
    for item in bills["one result file"]:
        sums[item.kind] += item.dollars
    dearest = sorted(sums.items(), key=lambda pair: -pair[1])
    return [(kind, round(dollars, 2)) for kind, dollars in dearest if dollars >= 0.01]
