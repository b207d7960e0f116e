"""The versions of a job's `aws-job-stat.json`, and what they tell of its allocations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from job_protocol.object_keys import status_details_key
from jobferry.aws_errors import typed_errors
from jobferry.s3_upload import TRANSFERS


def documents_of(client: Any, bucket: str, job_id: str, *, most: int) -> list[bytes]:
    """What the newest versions of the object are, the newest first; empty if there are none.

    Args:
        client: a boto3 S3 client.
        bucket: the site's bucket.
        job_id: the job.
        most: how many versions are read.

    Raises:
        JobferryError: the bucket cannot be read.
    """
    key = status_details_key(job_id)

    def read(version: str) -> bytes:
        with client.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"] as body:
            content: bytes = body.read()
        return content

    with typed_errors(f"read the versions of s3://{bucket}/{key}"):
        pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
        rows = (row for page in pages for row in page.get("Versions", ()) if row["Key"] == key)
        versions = [row["VersionId"] for row in islice(rows, most)]
        with ThreadPoolExecutor(TRANSFERS) as pool:
            return list(pool.map(read, versions))


def chains_of(documents: Iterable[bytes]) -> tuple[dict[str, Any], ...]:
    """The newest chain of each allocation that some version tells, oldest allocation first.

    Args:
        documents: the versions, the newest first.
    """
    found: dict[str, dict[str, Any]] = {}
    for link in filter(None, map(_link, documents)):
        found.setdefault(str(link["allocation"]), link)
    return tuple(reversed(found.values()))


def _link(content: bytes) -> dict[str, Any] | None:
    try:
        link = json.loads(content).get("audit")
    except (ValueError, AttributeError):
        return None
    known = isinstance(link, dict) and {"allocation", "previous", "events"} <= link.keys()
    return link if known else None
