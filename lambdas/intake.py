"""Lambda: S3 calls it for every new `aws-job-stat.txt`."""

from __future__ import annotations

import os
import time
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.admission import Admission
from lambdas.errors import UnknownBucket
from lambdas.ports.clients import client
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.site_directory import SiteDirectory
from lambdas.rules.mark import Action, Mark

logger = Logger()


@cache
def _directory() -> SiteDirectory:
    return SiteDirectory(SSMProvider(boto3_client=client("ssm")), os.environ["BUCKETS_PARAMETER"])


def mark_of(record: dict[str, Any]) -> Mark:
    """The mark that a record of an S3 event notification names."""
    bucket, s3_object = record["s3"]["bucket"]["name"], record["s3"]["object"]
    time_of_event = datetime.fromisoformat(record["eventTime"].replace("Z", "+00:00"))
    return Mark(
        bucket=bucket,
        key=unquote_plus(s3_object["key"]),
        version=s3_object.get("versionId", "null"),
        etag=s3_object.get("eTag", "").strip('"'),
        sequencer=s3_object["sequencer"],
        time=int(time_of_event.timestamp()),
        size=int(s3_object.get("size", 0)),
        principal=record.get("userIdentity", {}).get("principalId"),
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Act on every mark of an S3 event; what raises is delivered again, then dead-lettered."""
    for record in event.get("Records", []):
        if not record.get("eventName", "").startswith("ObjectCreated"):
            continue
        mark = mark_of(record)
        try:
            site = _directory().of_bucket(mark.bucket)
        except UnknownBucket as error:
            logger.error(str(error), extra={"key": mark.key})
            continue
        admission = Admission(
            JobTable(client("dynamodb"), os.environ["TABLE_NAME"]),
            SiteBucket(client("s3"), mark.bucket),
            site,
            lambda: int(time.time()),
        )
        decision = admission.handle(mark)
        tell = logger.debug if decision.action is Action.IGNORE else logger.info
        tell(
            decision.action.name.lower(),
            extra={"bucket": mark.bucket, "key": mark.key, "version": mark.version},
        )
