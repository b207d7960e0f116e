"""Lambda: called by the job table's stream, and by the queue of what has to be tried again."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.typing import LambdaContext

from job_protocol import dynamodb_json, table_keys
from lambdas.dependents import Dependents
from lambdas.errors import JobBusy
from lambdas.ports.clients import client
from lambdas.ports.dependency_table import DependencyTable
from lambdas.ports.event_bus import EventBus
from lambdas.ports.job_queue import JobQueue
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.workflows import Workflows
from lambdas.publication import Publication
from lambdas.rules.stream import Changed, changes_of

logger = Logger()

_RETRY_DELAY = 10


def _publication() -> Publication:
    table = JobTable(client("dynamodb"), os.environ["TABLE_NAME"])
    edges = DependencyTable(client("dynamodb"), os.environ["TABLE_NAME"])
    purge = JobQueue(client("sqs"), os.environ["PURGE_QUEUE_URL"]).send
    return Publication(
        table=table,
        bucket_of=lambda bucket: SiteBucket(client("s3"), bucket),
        events=EventBus(client("events")),
        workflows=Workflows(client("stepfunctions")),
        every_transition=os.environ.get("EVENT_TRANSITIONS") == "all",
        clock=lambda: int(time.time()),
        new_lease=lambda: uuid.uuid4().hex,
        purge=purge,
        tell_dependents=Dependents(table, edges, lambda: int(time.time()), purge).tell,
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Publish every job that the records name; one that fails never stalls the others."""
    records = event.get("Records", [])
    queue = JobQueue(client("sqs"), os.environ["RETRY_QUEUE_URL"])
    if records and records[0].get("eventSource") == "aws:sqs":
        return retry(records, _publication().publish, queue)
    return follow(records, _publication().publish, queue)


def follow(
    records: list[dict[str, Any]], publish: Callable[[str, str], None], queue: JobQueue
) -> dict[str, Any]:
    """Publish the jobs of a batch of stream records, each once.

    A job whose publication fails goes to the retry queue, so that the stream goes on. Only if even
    that fails is the batch handed back to the stream.

    Args:
        records: records of the table's stream.
        publish: publishes one job, by site and id.
        queue: takes what has to be tried again.
    """
    changed: set[Changed] = set()
    for record in records:
        try:
            changed |= changes_of(record)
            _count_heartbeat(record)
        except Exception:
            logger.exception("a stream record cannot be read")
            queue.send_unreadable(record.get("dynamodb", {}).get("Keys"))
    for job in sorted(changed):
        try:
            _publish_or_wait(job.site, job.job_id, publish, queue)
        except Exception:
            logger.exception("publication failed", extra={"site": job.site, "job": job.job_id})
            queue.send(job.site, job.job_id, delay=_RETRY_DELAY)
    return {"batchItemFailures": []}


def retry(
    records: list[dict[str, Any]], publish: Callable[[str, str], None], queue: JobQueue
) -> dict[str, Any]:
    """Publish the jobs that messages of the retry queue name.

    Args:
        records: messages of the retry queue.
        publish: publishes one job, by site and id.
        queue: takes a job back whose publisher is still at work.

    Returns:
        The messages that failed; SQS delivers them again, then dead-letters them.
    """
    failures = []
    for record in records:
        try:
            message = json.loads(record["body"])
            _publish_or_wait(message["site"], message["job"], publish, queue)
        except Exception:
            logger.exception("publication failed again", extra={"message_body": record.get("body")})
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def _publish_or_wait(
    site: str, job_id: str, publish: Callable[[str, str], None], queue: JobQueue
) -> None:
    try:
        publish(site, job_id)
    except JobBusy as error:
        queue.send(site, job_id, delay=error.seconds + 1)


def _count_heartbeat(record: dict[str, Any]) -> None:
    keys = dynamodb_json.decode(record["dynamodb"]["Keys"])
    if table_keys.is_heartbeat(keys["pk"]):
        with single_metric(
            name="Heartbeat", unit=MetricUnit.Count, value=1, namespace="jobferry"
        ) as metric:
            metric.add_dimension(name="site", value=table_keys.site_of(keys["pk"]))
