"""What the earlier versions of a job's `aws-job-stat.json` tell of its allocations."""

from __future__ import annotations

import json
from typing import Any

from job_protocol.object_keys import status_details_key
from jobferry.aws_errors import typed_errors

MOST_VERSIONS = 1000
"""Versions that are read, the newest first: some hundred runs."""


def chains_of(client: Any, bucket: str, job_id: str) -> tuple[dict[str, Any], ...]:
    """The newest chain of each allocation that some version tells, oldest allocation first.

    Args:
        client: a boto3 S3 client.
        bucket: the site's bucket.
        job_id: the job.

    Raises:
        JobferryError: the bucket cannot be read.
    """
    key = status_details_key(job_id)
    found: dict[str, dict[str, Any]] = {}
    with typed_errors(f"read the versions of s3://{bucket}/{key}"):
        pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
        rows = (row for page in pages for row in page.get("Versions", ()) if row["Key"] == key)
        for number, row in enumerate(rows):
            if number == MOST_VERSIONS:
                break
            answer = client.get_object(Bucket=bucket, Key=key, VersionId=row["VersionId"])
            with answer["Body"] as body:
                link = _link(body.read())
            if link is not None:
                found.setdefault(str(link["allocation"]), link)
    return tuple(reversed(found.values()))


def _link(content: bytes) -> dict[str, Any] | None:
    try:
        link = json.loads(content).get("audit")
    except (ValueError, AttributeError):
        return None
    known = isinstance(link, dict) and {"allocation", "previous", "events"} <= link.keys()
    return link if known else None
