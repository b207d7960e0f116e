"""Finished jobs in table and bucket, as their lives would leave them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.rig import Rig
from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import ClientStatus, JobStatus, Outcome
from lambdas.ports.job_items import allocation_item, job_item
from tests.e2e.site import Site

_AT_ONCE = 4
_BATCH = 25


def finish_jobs(rig: Rig, site: Site, count: int) -> None:
    """Give a site so many finished jobs, each with a result in the bucket, past the proxy."""
    dynamodb, s3 = rig.client("dynamodb"), rig.client("s3")

    def write(start: int) -> None:
        numbers = range(start, min(start + _BATCH, count))
        items = [item for number in numbers for item in _items(site, number)]
        for half in (items[:_BATCH], items[_BATCH:]):
            if half:
                puts = [{"PutRequest": {"Item": item}} for item in half]
                answer = dynamodb.batch_write_item(RequestItems={site.table: puts})
                if answer.get("UnprocessedItems"):
                    raise AssertionError("the emulator left items unprocessed")
        for number in numbers:
            key = f"{job_id(number)}/result.txt"
            s3.put_object(Bucket=site.bucket, Key=key, Body=b"done\n")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(write, range(0, count, _BATCH)):
            pass


def job_id(number: int) -> str:
    """The id of a job of the history."""
    return f"old{number:06d}"


def _items(site: Site, number: int) -> list[dict[str, Any]]:
    allocation_id = f"{number % 16:x}{number:07x}-0000-5000-8000-{hash(site.name) % 16**12:012x}"
    job = Job(
        site=site.name,
        id=job_id(number),
        bucket=site.bucket,
        status=JobStatus.DEAD,
        outcome=Outcome.COMPLETE,
        run=1,
        current=allocation_id,
        client_status=ClientStatus.COMPLETE,
        created=1,
        submitted=1,
    )
    allocation = Allocation(
        site=site.name, job=job.id, id=allocation_id, client_status=ClientStatus.COMPLETE
    )
    return [job_item(job), allocation_item(allocation)]
