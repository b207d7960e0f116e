"""Lambda: called by the queue of jobs that are being purged."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.ports.bucket_remover import BucketRemover
from lambdas.ports.clients import client
from lambdas.ports.job_queue import JobQueue
from lambdas.ports.job_table import JobTable
from lambdas.ports.templates import Templates
from lambdas.ports.turn_table import TurnTable
from lambdas.purging import Purging

logger = Logger()

_SPARE_SECONDS = 15.0
"""What is left of the time limit when the rest goes to a further call."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take the next step with every job that the messages name; one that fails comes again."""
    table = JobTable(client("dynamodb"), os.environ["TABLE_NAME"])
    purging = Purging(
        table=table,
        remover_of=lambda bucket: BucketRemover(client("s3"), bucket),
        queue=JobQueue(client("sqs"), os.environ["PURGE_QUEUE_URL"]),
        clock=time.time,
        templates=Templates(client("dynamodb"), os.environ["TABLE_NAME"]),
        ends=TurnTable(table),
    )
    until = time.time() + context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS
    failures = []
    for record in event.get("Records", []):
        try:
            message = json.loads(record["body"])
            purging.advance(message["site"], message["job"], until=until)
        except Exception:
            logger.exception("a purge failed", extra={"message_body": record.get("body")})
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}
