"""Question: does a large table cost more, and where does the design end?"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from benchmarks.bench import Bench
from benchmarks.dynamodb_units import STORED_OVERHEAD, item_size
from benchmarks.item_images import ItemImages
from benchmarks.partitions import SITE_METRIC_DOLLARS, WRITE_LIMIT, busiest_second, loads
from benchmarks.prices import STORAGE_DOLLARS
from benchmarks.result import Result, Table, Verdict
from infra.publisher import CALLS_OF_A_SHARD
from infra.settings import MOST_SITES
from job_protocol import identifiers
from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import ClientStatus, JobStatus
from lambdas.ports.event_bus import EventBus
from lambdas.ports.job_items import allocation_item, job_item
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.workflows import Workflows
from lambdas.publication import Publication
from puller.cloud.queue import CloudQueue
from tests.e2e.site import Site

_BATCH = 12
_ACTOR = "publisher"
_ASK = "ask the queue"
_STATES = 2
_PUBLICATION = 0.2
"""Seconds of one publication at 256 MB: what `functions` computes, rounded up."""

MOST_QUESTIONS = 2
SITES = 1_000


def run(bench: Bench) -> Result:
    """Compare a site with ten active jobs and one with thousands; then compute."""
    small, large = bench.rig.site("h0"), bench.rig.site("h100k")
    many = 200 if bench.quick else 10_000
    counts = {"10 active jobs": _counted(bench, small, 10)}
    counts[f"{many:,} active jobs"] = _counted(bench, large, many)
    first, second = counts.values()
    rows = [
        (step, *(f"{c[step][0]} requests, {c[step][1]:g} units" for c in counts.values()))
        for step in first
    ]
    same = all(first[step] == second[step] for step in first if step != _ASK)
    asked = max(count[_ASK][0] for count in counts.values())
    bounds = loads(states=_STATES, publication=_PUBLICATION, at_once=CALLS_OF_A_SHARD)
    first_bound = min(bounds, key=lambda load: load.most)
    of_a_site = min((b for b in bounds if "all sites" not in b.key), key=lambda load: load.most)
    return Result(
        question="scale",
        title="Scale, and where the design ends",
        method=(
            "The same steps at a site with 10 active jobs and at one with many (and, after the "
            "question of idle passes, 100,000 finished ones), requests and units counted on the "
            "wire. Partitions are computed, since the emulator has none: "
            f"DynamoDB gives one partition {WRITE_LIMIT:,} write units a second. It can split a "
            "key's items between partitions, which does not help where all writes go to one end. "
            f"Units are those of a job of which {_STATES} states are shown. A deployment has room "
            f"for {MOST_SITES} sites (a stack has at most 500 resources); what is computed for "
            f"{SITES:,} sites in one table is spread over {-(-SITES // MOST_SITES)} of them."
        ),
        tables=[
            Table("Requests and units of one step", ("step", *counts), rows),
            Table(
                "The first limit of each key, computed",
                ("key", "what a job does to it", "units or seconds", "jobs a second", "why"),
                [(load.key, load.what, load.units, load.most, load.why) for load in bounds],
            ),
            Table("A million jobs, computed", ("what", "how much"), _million(large)),
            Table(f"{SITES:,} sites that poll", ("what", "a second", "a month"), _polling()),
            Table(
                "Signs of life when every cron starts at the same second, simulated",
                ("sites", "starts within", "busiest partition, write units in a second", "of it"),
                _busiest(),
            ),
        ],
        verdicts=[
            Verdict(
                f"list, status, claim and publish cost the same with 10 and {many:,} active jobs",
                "the same" if same else "not the same",
                same,
            ),
            Verdict(
                "the question to the queue: at most 2 requests",
                f"{asked} with {many:,} that wait",
                asked <= MOST_QUESTIONS,
                "the second only where more wait than a page holds: for what was deferred",
            ),
            Verdict(
                "where the first limit lies",
                f"{first_bound.most:,.0f} jobs a second: {first_bound.key}; of one site "
                f"{of_a_site.most:,.0f}: {of_a_site.key}",
                None,
                f"{first_bound.why}; {of_a_site.why}",
            ),
        ],
    )


def _counted(bench: Bench, site: Site, jobs: int) -> dict[str, tuple[int, float]]:
    allocations = _fill(bench, site, jobs)
    dynamodb = bench.rig.client("dynamodb", _ACTOR)
    proxy = bench.rig.proxy
    bench.rig.settle()
    proxy.images = ItemImages(bench.rig.client("dynamodb"), bench.rig.deployment.table)
    queue = CloudQueue(dynamodb, site.table, site.name)
    table = JobTable(dynamodb, site.table)
    now, first_id, installation = int(time.time()), allocations[0].id, "bench"
    told = allocations[-1].job
    publication = _publication(bench, table)
    steps: dict[str, Callable[[], Any]] = {
        _ASK: lambda: queue.waiting(now, 1),
        "claim": lambda: queue.claim(first_id, token=installation, installation="i", now=now),
        "status": lambda: table.job(site.name, f"active{jobs}-0"),
        "list, a page of 10": lambda: dynamodb.query(
            TableName=site.table,
            IndexName="list",
            KeyConditionExpression="lpk = :l",
            ExpressionAttributeValues={":l": {"S": f"L#{site.name}"}},
            ScanIndexForward=False,
            Limit=10,
        ),
        "publish": lambda: publication.publish(site.name, told),
    }
    found = {}
    for step, take in steps.items():
        first = len(proxy.exchanges)
        take()
        mine = [e for e in proxy.exchanges[first:] if e.actor == _ACTOR]
        units = sum(e.read_units + sum(w.total for w in e.writes) for e in mine)
        found[step] = (len(mine), units)
    proxy.images = None
    return found


def _publication(bench: Bench, table: JobTable) -> Publication:
    """The publisher's work, by the actor that is counted."""

    def nothing(*_: Any) -> None:
        """No job of this question is purged or waited for."""

    s3 = bench.rig.client("s3", _ACTOR)
    return Publication(
        table=table,
        bucket_of=lambda bucket: SiteBucket(s3, bucket),
        events=EventBus(bench.rig.client("events", _ACTOR)),
        workflows=Workflows(None),
        every_transition=False,
        clock=lambda: int(time.time()),
        new_lease=lambda: "bench",
        purge=nothing,
        tell_dependents=nothing,
    )


def _fill(bench: Bench, site: Site, jobs: int) -> list[Allocation]:
    dynamodb = bench.rig.client("dynamodb")
    made = []
    items = []
    for number in range(jobs):
        job, allocation = _active(site, f"active{jobs}-{number}")
        made.append(allocation)
        if number == jobs - 1:
            # To be told; its lease, long over, keeps the emulator's own publisher away.
            job = replace(job, unpublished=True, lease="gone", lease_until=1)
        items += [job_item(job), allocation_item(allocation)]

    def write(start: int) -> None:
        puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 2 * _BATCH]]
        dynamodb.batch_write_item(RequestItems={site.table: puts})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(0, len(items), 2 * _BATCH)))
    return made


def _active(site: Site, job_id: str) -> tuple[Job, Allocation]:
    allocation = Allocation(
        site=site.name,
        job=job_id,
        id=identifiers.first_allocation(site.name, job_id, "v"),
        created=1,
    )
    job = Job(
        site=site.name,
        id=job_id,
        bucket=site.bucket,
        status=JobStatus.PENDING,
        run=1,
        current=allocation.id,
        client_status=ClientStatus.PENDING,
        created=1,
        submitted=2_000_000_000,
    )
    return job, allocation


def _million(site: Site) -> list[tuple[str, str]]:
    """What a million jobs are to the table, computed from the items of one."""
    job, allocation = _active(site, "active-000000")
    items = (job_item(job), allocation_item(allocation))
    size = sum(item_size(item) + STORED_OVERHEAD for item in items)
    gigabytes = size * 1_000_000 / 1e9
    dollars = gigabytes * STORAGE_DOLLARS
    return [
        ("requests and units of each step above", "the same: each names a key, or reads one page"),
        ("items of a job and its allocation", f"{size:,} bytes, without indexes and manifest"),
        ("the table", f"{gigabytes:.1f} GB, ${dollars:.2f} a month"),
        ("on a site's partition of jobs", "the same, split by DynamoDB every 10 GB"),
    ]


def _polling() -> list[tuple[str, str, str]]:
    month = 30 * 24 * 3600
    rows = []
    for name, every in (("by cron, once a minute", 60.0), ("lingering, once a second", 1.0)):
        beats = SITES / 60
        asks = SITES / every
        dollars = month * (beats * 0.625 + asks * 0.5 * 0.125) / 1e6
        rows.append(
            (
                f"{name}: signs of life, questions",
                f"{beats:,.0f} write units, {asks * 0.5:,.0f} read units",
                f"${dollars:,.2f}",
            )
        )
    metrics = f"${SITES * SITE_METRIC_DOLLARS:,.2f}"
    rows.append(("their metric of signs of life, of each site", "", metrics))
    return rows


def _busiest() -> list[tuple[Any, ...]]:
    rows = []
    for sites, spread in ((1_000, 1.0), (1_000, 5.0), (10_000, 1.0), (10_000, 5.0)):
        units = busiest_second(sites, spread)
        rows.append((sites, f"{spread:g} s", units, f"{100 * units / WRITE_LIMIT:.0f} %"))
    return rows
