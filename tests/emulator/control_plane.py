"""A site's user, with the real admission rule on plain emulated parts: no Lambda runs by itself."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from job_protocol import dynamodb_json, object_keys
from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.manifest import Manifest
from job_protocol.states import Word
from lambdas.admission import Admission
from lambdas.dependents import Dependents
from lambdas.ports.dependency_table import DependencyTable
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_bucket import RESULT_METADATA, SiteBucket
from lambdas.ports.site_directory import Site
from lambdas.publication import Publication
from lambdas.rules.mark import Decision, Mark
from lambdas.rules.site_limits import NO_LIMITS, SiteLimits
from lambdas.rules.upload import Limits

SCRIPT = b"#!/bin/sh\necho hello\n"


class Nobody:
    """Listens to no event and waits for no job."""

    def put(self, *_: object) -> None:
        """Forget the event."""

    def succeed(self, *_: object) -> None:
        """Forget that the job is complete."""

    def fail(self, *_: object) -> None:
        """Forget that the job ended otherwise."""


@dataclass
class UserOfASite:
    """What a user does with a bucket, and what the intake then does with the table.

    Attributes:
        dynamodb, s3: clients of the emulator.
        table, bucket: the parts.
        site: the site's name.
        now: the control plane's clock, in seconds since the epoch.
    """

    dynamodb: Any
    s3: Any
    table: str
    bucket: str
    site: str = "dc1"
    limits: Limits = field(default_factory=lambda: Limits(files=50, size=1_000_000))
    now: int = field(default_factory=lambda: int(time.time()))
    quotas: SiteLimits = NO_LIMITS
    sequencers: Any = field(default_factory=lambda: (f"{n:016X}" for n in count(1)))

    @property
    def jobs(self) -> JobTable:
        return JobTable(self.dynamodb, self.table)

    @property
    def admission(self) -> Admission:
        site = Site(self.site, self.bucket, self.limits, keep_days=7)
        return Admission(
            JobTable(self.dynamodb, self.table),
            SiteBucket(self.s3, self.bucket),
            site,
            lambda: self.now,
        )

    def put(self, key: str, body: bytes = b"x", **metadata: str) -> str:
        """Put an object; its version."""
        answer = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata)
        return str(answer["VersionId"])

    def put_result(self, job_id: str, path: str, mark: str) -> str:
        """Put an object as the puller does."""
        return self.put(f"{job_id}/{path}", b"result", **{RESULT_METADATA: mark})

    def put_mark(self, job_id: str, word: Word | bytes, key: str | None = None) -> Mark:
        """Put a mark; what S3's event would say of it."""
        body = word.body if isinstance(word, Word) else word
        key = key or object_keys.status_word_key(job_id)
        version = self.put(key, body)
        return self.mark_of(key, version, body)

    def mark_of(self, key: str, version: str, body: bytes) -> Mark:
        return Mark(
            bucket=self.bucket,
            key=key,
            version=version,
            etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),
            sequencer=next(self.sequencers),
            time=int(time.time()),
            size=len(body),
        )

    def says(self, job_id: str, word: Word | bytes) -> Decision:
        """Put a mark, and have its event delivered."""
        return self.admission.handle(self.put_mark(job_id, word))

    def uploads(self, job_id: str, **inputs: bytes) -> Decision:
        """Upload a script, the inputs, and at last the mark."""
        self.put(f"{job_id}/aws-job-run.sh", SCRIPT)
        for name, body in inputs.items():
            self.put(f"{job_id}/{name}", body)
        return self.says(job_id, Word.FILE_UPLOAD)

    def job(self, job_id: str) -> Job:
        job = self.jobs.job(self.site, job_id)
        assert job is not None, f"the table knows no job {job_id!r}"
        return job

    def allocation(self, job_id: str) -> Allocation:
        current = self.job(job_id).current
        assert current is not None
        allocation = self.jobs.allocation(self.site, current)
        assert allocation is not None
        return allocation

    def inputs(self, job_id: str) -> dict[str, str]:
        """Version by path of what the current allocation runs."""
        allocation = self.allocation(job_id)
        if allocation.manifest is not None:
            manifest = Manifest.unpack(allocation.manifest)
        else:
            assert allocation.manifest_of is not None
            key = object_keys.input_manifest_key(allocation.manifest_of)
            answer = self.s3.get_object(Bucket=self.bucket, Key=key)
            manifest = Manifest.from_json(answer["Body"].read())
        return {entry.path: entry.version for entry in manifest.entries}

    def reasons(self, job_id: str) -> dict[str, str]:
        """Problem by key of a rejected upload."""
        return {reason.key: reason.problem for reason in self.job(job_id).reasons}

    def publish(
        self, job_id: str, purge: Callable[[str, str], None] = lambda _site, _job: None
    ) -> None:
        """What the publisher does when the stream names a job; `purge` takes what is purged."""
        nobody: Any = Nobody()
        Publication(
            table=self.jobs,
            bucket_of=lambda bucket: SiteBucket(self.s3, bucket),
            events=nobody,
            workflows=nobody,
            every_transition=False,
            clock=lambda: self.now,
            new_lease=lambda: "lease",
            purge=purge,
            tell_dependents=self.dependents(purge).tell,
        ).publish(self.site, job_id)

    def dependents(self, purge: Callable[[str, str], None]) -> Dependents:
        """The jobs that wait for others; `purge` takes templates that wait to be purged."""
        edges = DependencyTable(self.dynamodb, self.table)
        return Dependents(self.jobs, edges, lambda: self.now, purge)

    def item(self, pk: str, sk: str) -> dict[str, Any]:
        """An item as it lies in the table, with its index keys."""
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        answer = self.dynamodb.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        return dynamodb_json.decode(answer.get("Item", {}))

    def set_allocation(self, job_id: str, **attributes: object) -> None:
        """Change the current allocation as its puller would."""
        allocation = self.allocation(job_id)
        names = {f"#{name}": name for name in attributes}
        self.dynamodb.update_item(
            TableName=self.table,
            Key={"pk": {"S": f"A#{self.site}#{allocation.id[0]}"}, "sk": {"S": allocation.id}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=dynamodb_json.encode(
                {f":{name}": value for name, value in attributes.items()}
            ),
        )

    def status_word(self, job_id: str) -> bytes:
        key = object_keys.status_word_key(job_id)
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def status_document(self, job_id: str) -> dict[str, Any]:
        key = object_keys.status_details_key(job_id)
        document = json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        assert isinstance(document, dict)
        return document
