"""Question: does a large table cost more, and where does the design end?"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.bench import Bench
from benchmarks.item_images import ItemImages
from benchmarks.partitions import WRITE_LIMIT, loads
from benchmarks.result import Result, Table, Verdict
from job_protocol import identifiers
from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import ClientStatus, JobStatus
from lambdas.ports.job_items import allocation_item, job_item
from lambdas.ports.job_table import JobTable
from puller.cloud.queue import CloudQueue
from tests.e2e.site import Site

_BATCH = 12
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
    same = all(first[step] == second[step] for step in first)
    bounds = loads(states=3, publication=0.1, at_once=1)
    first_bound = min(bounds, key=lambda load: load.most)
    return Result(
        question="scale",
        title="Scale, and where the design ends",
        method=(
            "The same steps at a site with 10 active jobs and at one with many (and, after the "
            "question of idle passes, 100,000 finished ones), requests and units counted on the "
            "wire. Partitions are computed, since the emulator has none: "
            f"DynamoDB gives one partition {WRITE_LIMIT:,} write units a second. It can split a "
            "key's items between partitions, which does not help where all writes go to one end. "
            "Units are those of a job of which three states are shown."
        ),
        tables=[
            Table("Requests and units of one step", ("step", *counts), rows),
            Table(
                "The first limit of each key, computed",
                ("key", "what a job does to it", "units or seconds", "jobs a second", "why"),
                [(load.key, load.what, load.units, load.most, load.why) for load in bounds],
            ),
            Table("1,000 sites that poll", ("what", "a second", "a month"), _polling()),
        ],
        verdicts=[
            Verdict(
                f"queue, claim, status and list cost the same with 10 and {many:,} active jobs",
                "the same" if same else "not the same",
                same,
                "publishing reads and writes single items: see the requests of one job",
            ),
            Verdict(
                "where the first limit lies",
                f"{first_bound.most:,.0f} jobs a second: {first_bound.key}",
                None,
                first_bound.why,
            ),
        ],
    )


def _counted(bench: Bench, site: Site, jobs: int) -> dict[str, tuple[int, float]]:
    allocations = _fill(bench, site, jobs)
    dynamodb = bench.rig.client("dynamodb", "puller")
    proxy = bench.rig.proxy
    bench.rig.settle()
    proxy.images = ItemImages(bench.rig.client("dynamodb"), bench.rig.deployment.table)
    queue = CloudQueue(dynamodb, site.table, site.name)
    table = JobTable(dynamodb, site.table)
    now, first_id, installation = int(time.time()), allocations[0].id, "bench"
    steps: dict[str, Callable[[], Any]] = {
        "ask the queue": lambda: queue.waiting(now, 1),
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
    }
    found = {}
    for step, take in steps.items():
        first = len(proxy.exchanges)
        take()
        mine = [e for e in proxy.exchanges[first:] if e.actor == "puller"]
        units = sum(e.read_units + sum(w.total for w in e.writes) for e in mine)
        found[step] = (len(mine), units)
    proxy.images = None
    return found


def _fill(bench: Bench, site: Site, jobs: int) -> list[Allocation]:
    dynamodb = bench.rig.client("dynamodb")
    made = []
    items = []
    for number in range(jobs):
        job_id = f"active{jobs}-{number}"
        allocation = Allocation(
            site=site.name,
            job=job_id,
            id=identifiers.first_allocation(site.name, job_id, "v"),
            created=1,
        )
        made.append(allocation)
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
        items += [job_item(job), allocation_item(allocation)]

    def write(start: int) -> None:
        puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 2 * _BATCH]]
        dynamodb.batch_write_item(RequestItems={site.table: puts})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(0, len(items), 2 * _BATCH)))
    return made


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
    return rows
