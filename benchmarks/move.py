"""`python -m benchmarks.move`: the puller's own staging and pushing, as a command like its peers.

What a pass has around it (claim, scheduler) is left out; what intake does, listing the versions, is
in, since the peers list, too.
"""

from __future__ import annotations

import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import boto3

from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Entry, Manifest
from puller.cloud.client_config import client_config
from puller.cloud.s3_bucket import CONNECTIONS, S3Bucket
from puller.job_directory import JobDirectory, control_directory
from puller.push import ResultTarget, push_results
from puller.results import plan_results
from puller.staging import StagedIndex, stage


def main() -> int:
    """Move; the exit code is 0 if everything was moved."""
    bucket_name, endpoint_url, way, folder, prefix = sys.argv[1:]
    client = boto3.client(
        "s3", endpoint_url=endpoint_url, config=client_config(connections=CONNECTIONS)
    )
    bucket = S3Bucket(bucket_name, lambda: client)
    path = Path(folder)
    directory = JobDirectory(path.parent, path.name)
    allocation = str(uuid.uuid4())
    if way == "up":
        control = control_directory(path.parent, allocation)
        plan = plan_results(directory, StagedIndex.of({}), JobSettings())
        target = ResultTarget(
            site="bench",
            allocation_id=allocation,
            directory=directory,
            control=control,
            bucket=bucket,
        )
        return 0 if push_results(plan, target, now=time.time()).left_out == 0 else 1
    path.parent.mkdir(parents=True, exist_ok=True)
    control = control_directory(path.parent, allocation)
    entries = [
        Entry(row["Key"].removeprefix(f"{prefix}/"), row["VersionId"], row["Size"])
        for page in client.get_paginator("list_object_versions").paginate(
            Bucket=bucket_name, Prefix=f"{prefix}/"
        )
        for row in page.get("Versions", [])
    ]
    directory.prepare(allocation, datetime.now(UTC))
    stage(Manifest(tuple(entries)), directory, control, bucket)
    return 0


if __name__ == "__main__":
    sys.exit(main())
