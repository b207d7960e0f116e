"""Question: where do the time and the requests of a pass and of a call go?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from benchmarks.bench import Bench
from benchmarks.exchange import Exchange
from benchmarks.profiled import IDLE
from benchmarks.result import Result, Table
from job_protocol import identifiers
from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import ClientStatus, JobStatus, Outcome
from lambdas.ports.job_items import allocation_item, job_item
from local_cloud.emulator import CHECKOUT
from tests.e2e.site import DEAD, Site

WAITING_JOBS = 10
_SCRIPT = "#!/bin/sh\necho result > result.txt\n"

CHANGED = (
    (
        "a pass with nothing to do is imports for the most part",
        "steps, transfers and the cache of shared inputs are imported when there is work; "
        "the gate in CI counts modules",
    ),
    (
        "a pass with jobs: threads wait for each other's synced writes of the journal",
        "the records of different allocations are synced at the same time",
    ),
    (
        "a short job: status objects of states that nobody sees are most of its price",
        "a lingering puller tells a passing state after 3 s, and the stream gathers such records "
        "for 5 s; the end is told at once",
    ),
    (
        "the publisher's call for passing states finds jobs that have ended: two reads of each",
        "what is dead and published is left after the first",
    ),
    (
        "the publisher of all sites, at one call of a shard at a time, ends some ten jobs a second",
        "a shard has up to ten calls at a time",
    ),
    (
        "a burst: a puller took a program that it was starting for another host, and left",
        "the journal's lock goes with its holder",
    ),
    (
        "a burst of 1,000: what had ended first was told when the last was submitted, 37 s later",
        "a pass claims for 5 s, then what has ended meanwhile comes first",
    ),
    (
        "100 uploads: the emulator started 78 processes of the intake, and results took 50 s",
        "calls wait for one of four processes for each CPU: 12 s",
    ),
)
"""What profiles and these measurements showed, and what was changed because of that."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What was seen of a pass or of calls.

    Attributes:
        main, workers: samples by area, of the main thread and of all others.
        seconds, cpu: of one pass or call.
        requests: of one pass or call, by what they are.
    """

    main: Counter[str]
    workers: Counter[str]
    seconds: float
    cpu: float
    requests: Counter[str]


def run(bench: Bench) -> Result:
    """Look at a pass, at the publisher and at the API."""
    site = bench.rig.site("profile")
    calls = 5 if bench.quick else 40
    first = _waiting_jobs(bench, site)
    busy = _pass(bench, site)
    _let_them_end(site, first)
    idle = _pass(bench, site)
    read = {"action": "read", "job": first[0]}
    profiles = {
        f"a pass with {WAITING_JOBS} waiting jobs": busy,
        "a pass with nothing to do": idle,
        "the publisher tells an end": _calls(
            bench, "publisher", [_record(one) for one in _to_be_told(bench, site, calls + 1)]
        ),
        "the API reads a job": _calls(bench, "api", [read] * (calls + 1)),
        "the API takes a job": _calls(
            bench, "api", [_submission(site, number) for number in range(calls + 1)]
        ),
    }
    return _answer(profiles)


def _waiting_jobs(bench: Bench, site: Site) -> list[str]:
    names = [f"waiting{number}" for number in range(WAITING_JOBS)]
    site.pull()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: site.upload(name, _SCRIPT), names))
    for name in names:
        site.wait_for(name, "JOB_QUEUED", seconds=120)
    bench.rig.settle()
    return names


def _let_them_end(site: Site, names: list[str]) -> None:
    for name in names:
        site.wait_for(name, *DEAD, seconds=120, between=site.pull)


def _pass(bench: Bench, site: Site) -> Profile:
    first = len(bench.rig.proxy.exchanges)
    seen = _looked_at(
        bench, ["pass", "--settings", str(site.settings_file)], site.cron_environment(), ""
    )
    return _profile(seen, "puller", bench.rig.proxy.exchanges[first:])


def _calls(bench: Bench, actor: str, events: list[dict[str, Any]]) -> Profile:
    client = bench.rig.client("lambda")
    name = bench.rig.functions()[actor]
    variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(CHECKOUT),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": bench.rig.emulator.region,
        **variables,
    }
    first = len(bench.rig.proxy.exchanges)
    given = json.dumps(events)
    seen = _looked_at(bench, ["calls", f"lambdas.{actor}"], environment, given)
    return _profile(seen, actor, bench.rig.proxy.exchanges[first:], warmed=1)


def _looked_at(
    bench: Bench, what: list[str], environment: dict[str, str], given: str
) -> dict[str, Any]:
    file = bench.directory / "profile.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.profiled", str(file), *what],
        env=environment,
        cwd="/",
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(what)}: {done.returncode}\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def _profile(
    seen: dict[str, Any], actor: str, exchanges: list[Exchange], warmed: int = 0
) -> Profile:
    times = seen["times"]
    mine = [e for e in exchanges if e.actor == actor]
    # The call that warmed up made as many requests as the others.
    mine = mine[round(len(mine) * warmed / (times + warmed)) :]
    return Profile(
        main=Counter(seen["main"]),
        workers=Counter({name: n for name, n in seen["workers"].items() if name != IDLE}),
        seconds=seen["seconds"] / times,
        cpu=seen["cpu"] / times,
        requests=Counter(
            {
                what: round(number / times, 1)
                for what, number in Counter(_named(e) for e in mine).items()
            }
        ),
    )


def _named(exchange: Exchange) -> str:
    name = exchange.key.rpartition("/")[2] if exchange.service == "s3" else exchange.key
    return f"{exchange.operation} {name}".strip()


def _to_be_told(bench: Bench, site: Site, jobs: int) -> list[Allocation]:
    """Jobs that have ended; their lease, long over, keeps the emulator's own publisher away."""
    dynamodb = bench.rig.client("dynamodb")
    made = []
    for number in range(jobs):
        job_id = f"ended{number}"
        allocation = Allocation(
            site=site.name,
            job=job_id,
            id=identifiers.first_allocation(site.name, job_id, "v"),
            client_status=ClientStatus.COMPLETE,
            created=1,
        )
        job = Job(
            site=site.name,
            id=job_id,
            bucket=site.bucket,
            status=JobStatus.DEAD,
            outcome=Outcome.COMPLETE,
            run=1,
            current=allocation.id,
            client_status=ClientStatus.COMPLETE,
            created=1,
            submitted=1,
            unpublished=True,
            announce=True,
            lease="gone",
            lease_until=1,
        )
        for item in (job_item(job), allocation_item(allocation)):
            dynamodb.put_item(TableName=site.table, Item=item)
        made.append(allocation)
    return made


def _record(allocation: Allocation) -> dict[str, Any]:
    """What the stream says of an allocation that has ended."""
    item = allocation_item(allocation)
    keys = {name: item[name] for name in ("pk", "sk")}
    image = {"Keys": keys, "NewImage": item}
    return {"Records": [{"eventName": "MODIFY", "dynamodb": image}]}


def _submission(site: Site, number: int) -> dict[str, Any]:
    document = {"ID": f"by-api{number}", "Site": site.name, "Script": _SCRIPT}
    return {"action": "submit", "document": document}


def _answer(profiles: dict[str, Profile]) -> Result:
    result = Result(
        question="profiles",
        title="Where time and requests go",
        method=(
            "A pass is a process as cron starts it, a call the function's handler in a warm "
            "process of this machine; a thread looks every 1 or 2 ms at where the others are, "
            "and the innermost place that has a name counts. It slows down what it looks at. The "
            "emulator answers more slowly than AWS when it has much to do."
        ),
        tables=[
            Table(
                "One pass, one call",
                ("what", "wall s", "CPU s", "requests"),
                [(n, p.seconds, p.cpu, _told(p.requests)) for n, p in profiles.items()],
            )
        ],
    )
    for name, profile in profiles.items():
        result.tables.append(
            Table(f"Time: {name}", ("where", "main thread", "other threads"), _shares(profile))
        )
    result.tables.append(Table("Changed because of that", ("seen", "changed"), CHANGED))
    return result


def _told(requests: Counter[str]) -> str:
    return ", ".join(f"{number:g} {what}" for what, number in requests.most_common())


def _shares(profile: Profile) -> list[tuple[str, str, str]]:
    """Percent of the samples of the main thread, and of all other threads that had work."""
    rows = []
    for area in sorted(
        {*profile.main, *profile.workers}, key=lambda a: -profile.main[a] - profile.workers[a]
    ):
        shares = [
            100 * samples[area] / max(1, samples.total())
            for samples in (profile.main, profile.workers)
        ]
        if max(shares) >= 1:
            rows.append((area, *(f"{share:.0f} %" if share else "" for share in shares)))
    return [(area, main, workers) for area, main, workers in rows]
