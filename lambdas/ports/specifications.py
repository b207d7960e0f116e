"""The versions of registered jobs in a site's bucket: what was stated, and what templates run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from job_protocol import identifiers, object_keys
from job_protocol.job import Job, Kept, Registration
from nomad_jobs.swept_job import swept_job


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A registered version of a job.

    Attributes:
        version: its number, from 0.
        index: Nomad's `JobModifyIndex` when it was registered.
        time: when it was registered, in seconds since the epoch.
        submitter: who registered it.
        job: the `Job` object of Nomad's API, as it was stated.
    """

    version: int
    index: int
    time: int
    submitter: str | None
    job: dict[str, Any]

    def swept(self, rows: int | None) -> Version:
        """As a child has it that was dispatched with a sweep; None for one without."""
        return self if rows is None else replace(self, job=swept_job(self.job, rows))


class Specifications:
    """The registered versions of one site's jobs. An object, once written, never changes."""

    def __init__(self, client: Any, site: str, bucket: str) -> None:
        """Use the bucket.

        Args:
            client: a boto3 S3 client.
            site: the site's name.
            bucket: its bucket.
        """
        self._client = client
        self._site = site
        self._bucket = bucket

    def put(
        self, job_id: str, version: Version, inputs: Mapping[str, bytes] | None
    ) -> Registration:
        """Write a version, and of a template's what all its children have.

        Args:
            job_id: the job.
            version: the version.
            inputs: the script that all children of this version run, and beside it the signed
                document and its signature if there are any, by path.
        """
        text = json.dumps(
            {
                "Version": version.version,
                "JobModifyIndex": version.index,
                "SubmitTime": version.time,
                "Submitter": version.submitter,
                "Job": version.job,
            },
            ensure_ascii=False,
        ).encode()
        registered = identifiers.registered(self._site, job_id)
        # Two that register the same number at once write different objects; one of them wins.
        name = f"{version.version:06d}-{hashlib.sha256(text).hexdigest()[:16]}"
        key = object_keys.specification_key(registered, name)
        self._client.put_object(
            Bucket=self._bucket, Key=key, Body=text, ContentType="application/json"
        )
        kept = Registration(
            version=version.version, name=name, index=version.index, time=version.time
        )
        if not inputs:
            return kept
        put = {
            path: self._input(object_keys.template_input_key(registered, name, path), body)
            for path, body in inputs.items()
        }
        script = put[object_keys.SCRIPT]
        return replace(
            kept,
            script=script.version,
            script_size=script.size,
            signed=put.get(object_keys.SIGNED),
            signature=put.get(object_keys.SIGNATURE),
        )

    def _input(self, key: str, body: bytes) -> Kept:
        answer = self._client.put_object(Bucket=self._bucket, Key=key, Body=body)
        return Kept(version=answer["VersionId"], size=len(body))

    def of(self, job: Job) -> Version | None:
        """The version that a job has; of a child, the template's. None if it is gone, or none."""
        return self._at(job, job.registration)

    def running(self, job: Job) -> Version | None:
        """The version that the current run is of, as `of`."""
        return self._at(job, job.running_version)

    def _at(self, job: Job, of: Registration | None) -> Version | None:
        found = self.read(job.parent or job.id, of.name) if of is not None else None
        return found.swept(of.rows) if found is not None and of is not None else None

    def read(self, job_id: str, name: str) -> Version | None:
        """A version by the job that registered it and its own name; None if it is gone."""
        key = object_keys.specification_key(identifiers.registered(self._site, job_id), name)
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        except self._client.exceptions.NoSuchKey:
            return None
        with answer["Body"] as body:
            document = json.loads(body.read())
        return Version(
            version=document["Version"],
            index=document["JobModifyIndex"],
            time=document["SubmitTime"],
            submitter=document["Submitter"],
            job=document["Job"],
        )
