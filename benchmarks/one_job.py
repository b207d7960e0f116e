"""Question: what does one short job cost, and where does the money go?"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from benchmarks.bench import Bench
from benchmarks.exchange import Exchange
from benchmarks.lambda_calls import Calls, calls_of, cpu_seconds, gb_seconds, waited, warm_cpu
from benchmarks.lingering_puller import lingering
from benchmarks.prices import PRICES, Item, total
from benchmarks.result import Chart, Result, Table, Verdict
from benchmarks.rig import Rig
from infra.publisher import PASSING_STATES_WAIT
from tests.e2e.site import DEAD, Site

_ONE = "one result file"
_STREAM = "one result file, two jobs a second"
_JOBS = 6
_STREAM_JOBS = 30
_STREAM_GAP = 0.5
_WINDOW_SECONDS = PASSING_STATES_WAIT.to_seconds()
TARGET = 35.0
"""Dollars per million short jobs with one result file."""

CLOUDQ_S3 = 77.0
"""Dollars per million jobs that CloudQ 1.2.0 pays to S3 alone (its requests, same prices)."""

_OF_A_JOB = ("intake", "publisher")
"""The functions on a job's way through the bucket."""

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
    jobs = 1 if bench.quick else _JOBS
    by_cron = _Cron(site)
    bills: dict[str, list[Item]] = {}
    with lingering(site):
        for number in range(2 if bench.quick else 3):
            _one(site, rig, f"warm{number}", RESULT_SCRIPT, by_cron.wait)
        bills[_ONE] = bill(measure(rig, site, "result", RESULT_SCRIPT, by_cron.wait, jobs))
        if not bench.quick:
            bills["result and stdout"] = bill(
                measure(rig, site, "stdout", STDOUT_SCRIPT, by_cron.wait, jobs)
            )
            bills[_STREAM] = bill(_stream(rig, site, by_cron, _STREAM_JOBS))
    bills["one result file, by cron"] = bill(
        measure(rig, site, "cron", RESULT_SCRIPT, by_cron.two_passes, min(jobs, 4))
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


def _stream(rig: Rig, site: Site, carrier: _Cron, jobs: int) -> Measured:
    """Jobs that come one every half second: there is always a window that is about to close."""

    def upload_all(_first: str) -> None:
        for number in range(1, jobs):
            time.sleep(_STREAM_GAP)
            site.upload(f"stream-{number}", RESULT_SCRIPT)
        for number in range(1, jobs):
            carrier.wait(f"stream-{number}")

    together = measure(rig, site, "stream", RESULT_SCRIPT, upload_all, 1)
    return replace(
        together,
        jobs=jobs,
        cpu={actor: seconds / jobs for actor, seconds in together.cpu.items()},
    )


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
    rig.settle(quiet=_WINDOW_SECONDS + 0.5)
    calls = {actor: calls_of(logs, groups[actor]) for actor in _OF_A_JOB}
    cpu: dict[str, list[float]] = {actor: [] for actor in _OF_A_JOB}
    first = len(rig.proxy.exchanges)
    for number in range(jobs):
        # Each job comes alone: no window is open when it comes.
        rig.settle(quiet=_WINDOW_SECONDS + 0.5)
        spent = {actor: cpu_seconds(functions[actor]) for actor in _OF_A_JOB}
        _one(site, rig, f"{name}{number}", script, carry)
        for actor in _OF_A_JOB:
            cpu[actor].append(warm_cpu(spent[actor], cpu_seconds(functions[actor])))
    rig.settle(quiet=_WINDOW_SECONDS + 0.5)
    return Measured(
        jobs=jobs,
        exchanges=[e for e in rig.proxy.exchanges[first:] if e.actor != "user"],
        calls={a: calls_of(logs, groups[a]).since(calls[a]) for a in _OF_A_JOB},
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
            "user's own uploads are not counted. The emulator gathers the stream's records of "
            f"passing states for {_WINDOW_SECONDS} s, as AWS does by the mapping's window; left to "
            "itself it does not (`local_cloud/emulator_process.py`). A job that comes alone and "
            "ends within its window is shown once, as ended; where jobs keep coming, a window "
            "closes in the midst of some, which are then shown as queued, too."
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
    result.tables.append(
        Table("The floor, and its price for the user", _FLOOR_HEADER, list(_floor(bills[_ONE])))
    )
    result.charts.append(
        Chart("one-job", "One short job, by kind", "$ per million", _by_kind(bills))
    )
    reached = totals[_ONE]
    result.verdicts.append(
        Verdict(
            f"at most ${TARGET:.0f} per million jobs with one result file",
            "; ".join(f"{name}: ${dollars:.2f}" for name, dollars in totals.items())
            + f" (CloudQ: ${CLOUDQ_S3:.0f} for S3 alone)",
            reached <= TARGET,
            "a lingering puller and jobs of a second; each state that lasts longer is $13 more",
        )
    )
    return result


_FLOOR_HEADER = ("without", "$ per million", "what is left", "what the user gives up")
_ELEMENTS = 1_000


def _floor(items: Sequence[Item]) -> Iterator[tuple[str, float, float, str]]:
    """What is left of the price when one thing after the other is given up; computed."""
    left = total(items)
    for what, part, words, given_up in (
        ("an event", "publisher", "PutEvents", "rules and workflows that start at a job's end"),
        ("details", "publisher", "aws-job-stat.json", "reasons, times, exit code with S3 alone"),
        ("a list of inputs", "intake", "ListObjectVersions", "inputs beside the script"),
        ("a result", "puller", "PutObject", "what the job is run for, but for the word"),
    ):
        saved = total(i for i in items if i.part == part and words in i.what)
        left -= saved
        yield what, saved, left, given_up
    array = (total(items) - PRICES["s3-put"].dollars) / _ELEMENTS + PRICES["s3-put"].dollars
    yield (
        f"a job of its own: an array of {_ELEMENTS:,}",
        total(items) - array,
        array,
        "nothing, where the elements are one script: one result file each",
    )


def _by_kind(bills: dict[str, list[Item]]) -> Sequence[tuple[str, float]]:
    sums: defaultdict[str, float] = defaultdict(float)
    for item in bills[_ONE]:
        sums[item.kind] += item.dollars
    dearest = sorted(sums.items(), key=lambda pair: -pair[1])
    return [(kind, round(dollars, 2)) for kind, dollars in dearest if dollars >= 0.01]
