"""Finished jobs in table and bucket, as their lives would leave them."""

from __future__ import annotations

from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

from benchmarks.rig import Rig
from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import ClientStatus, JobStatus, Outcome
from lambdas.ports.job_items import allocation_item, job_item
from local_cloud.isolation import LOOPBACK
from tests.e2e.site import Site

_BATCH = 25


def finish_jobs(rig: Rig, site: Site, count: int, *, results: bool) -> None:
    """Give a site so many finished jobs, past the proxy.

    Args:
        rig: what it runs on.
        site: the site.
        count: how many.
        results: whether each has a result in the bucket, where only a peer looks at it.
    """
    dynamodb = rig.client("dynamodb")

    def write(start: int) -> None:
        numbers = range(start, min(start + _BATCH, count))
        items = [item for number in numbers for item in _items(site, number)]
        for half in (items[:_BATCH], items[_BATCH:]):
            if half:
                puts = [{"PutRequest": {"Item": item}} for item in half]
                written = dynamodb.batch_write_item(RequestItems={site.table: puts})
                if written.get("UnprocessedItems"):
                    raise AssertionError("the emulator left items unprocessed")
        if results:
            put_results(numbers)

    def put_results(numbers: range) -> None:
        # Plain HTTP: a client of boto3 would take minutes to sign so many.
        connection = HTTPConnection(LOOPBACK, rig.emulator.port, timeout=60)
        for number in numbers:
            connection.request("PUT", f"/{site.bucket}/{job_id(number)}/result.txt", b"done\n")
            answer = connection.getresponse()
            answer.read()
            if answer.status != HTTPStatus.OK:
                raise AssertionError(f"the emulator answers {answer.status} to an object")
        connection.close()

    for start in range(0, count, _BATCH):  # several at once only take the emulator's one CPU
        write(start)


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
