"""Jobs that are admitted and wait for their puller, as the intake would leave them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from benchmarks.rig import Rig
from job_protocol import identifiers, object_keys
from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.manifest import Entry, Manifest
from job_protocol.states import ClientStatus, JobStatus
from lambdas.ports.job_items import allocation_item, job_item
from tests.e2e.site import Site

_AT_ONCE = 4
_BATCH = 12


def admit(rig: Rig, site: Site, scripts: Mapping[str, str]) -> None:
    """Put scripts and items past the intake, whose calls take the emulator's time.

    Args:
        rig: what it runs on.
        site: the site.
        scripts: the script of each job, by its id.
    """
    dynamodb = rig.client("dynamodb")

    def put(pair: tuple[str, str]) -> list[dict[str, object]]:
        job_id, script = pair
        version = site.put(object_keys.input_key(job_id, object_keys.SCRIPT), script)
        allocation = Allocation(
            site=site.name,
            job=job_id,
            id=identifiers.first_allocation(site.name, job_id, version),
            created=1,
            manifest=Manifest((Entry(object_keys.SCRIPT, version, len(script)),)).pack(),
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
            submitted=1,
        )
        return [job_item(job), allocation_item(allocation)]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        items = [item for pair in pool.map(put, scripts.items()) for item in pair]
    for start in range(0, len(items), 2 * _BATCH):
        puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 2 * _BATCH]]
        dynamodb.batch_write_item(RequestItems={site.table: puts})
