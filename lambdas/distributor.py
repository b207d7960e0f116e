"""Lambda: called when the stack has changed; copies the puller's single file to every site.

Nobody installs it from there unseen: the file's SHA-256 is an output of the deployment, and the
site's administrator hands it to `jobferry-puller install --sha256`.
"""

from __future__ import annotations

import json
import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from job_protocol import object_keys
from lambdas.ports.clients import client

logger = Logger()

_DIGEST = "sha256"
"""The object metadata that says what a copy is."""


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Copy the file to each bucket that has another one, or none; which ones got it."""
    copied = distribute(
        client("s3"),
        source={"Bucket": os.environ["SOURCE_BUCKET"], "Key": os.environ["SOURCE_KEY"]},
        sha256=os.environ["SHA256"],
        buckets=json.loads(os.environ["BUCKETS"]),
    )
    logger.info("distributed the puller", extra={"sha256": os.environ["SHA256"], "to": copied})
    return {"copied": copied}


def distribute(s3: Any, *, source: dict[str, str], sha256: str, buckets: list[str]) -> list[str]:
    """Copy the file to each bucket that does not have it.

    Args:
        s3: a boto3 S3 client.
        source: bucket and key of the file.
        sha256: its SHA-256, in hex.
        buckets: the sites' buckets.

    Returns:
        The buckets that got it.
    """
    behind = [bucket for bucket in buckets if _digest_in(s3, bucket) != sha256]
    for bucket in behind:
        s3.copy_object(
            Bucket=bucket,
            Key=object_keys.PULLER_FILE,
            CopySource=source,
            Metadata={_DIGEST: sha256},
            MetadataDirective="REPLACE",
            ContentType="application/octet-stream",
        )
    return behind


def _digest_in(s3: Any, bucket: str) -> str | None:
    try:
        answer = s3.head_object(Bucket=bucket, Key=object_keys.PULLER_FILE)
    except s3.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    digest: str | None = answer.get("Metadata", {}).get(_DIGEST)
    return digest
