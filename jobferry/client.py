"""The Python client: jobs of one site as objects."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

import boto3

from job_protocol.object_keys import job_id_problems
from jobferry import upload_plan
from jobferry.connect import connect
from jobferry.errors import (
    JobActive,
    UsageError,
)
from jobferry.interface import JobAccess, Listing
from jobferry.job import Job, SizedProgress, silent
from jobferry.place import site_of
from jobferry.shared_inputs import Wish, as_own, plan_shared
from jobferry.signed_shared import signed_shared
from jobferry.signing import Signing
from jobferry.stated_settings import Settings
from jobferry.sweep import place_of, with_sweep


class Client:
    """The jobs of one site, over the HTTP API or its bucket.

    Profile, region and endpoint follow AWS's own conventions (`AWS_PROFILE`, `AWS_REGION`,
    `AWS_ENDPOINT_URL`, ...).
    """

    def __init__(
        self,
        *,
        bucket: str | None = None,
        site: str | None = None,
        stack: str | None = None,
        address: str | None = None,
        via: str | None = None,
        session: boto3.Session | None = None,
    ) -> None:
        """Find the way to the jobs.

        What is not stated comes from the environment, then from the user's own settings
        (`user_settings`).

        Args:
            bucket: the bucket; else `JOBFERRY_BUCKET`.
            site: the site whose bucket it is; else `JOBFERRY_SITE`, else `dc1`.
            stack: the deployment that the site belongs to; else `JOBFERRY_STACK`, else `jobferry`.
            address: the URL of the API; else `JOBFERRY_ADDRESS`, `NOMAD_ADDR`, or what the
                deployment states.
            via: `api`, `s3`, or `auto`: the API where there is one that the caller may use.
            session: a boto3 session of your own.

        Raises:
            ConfigurationError: there is no such site, or credentials are missing.
        """
        self._access: JobAccess = connect(
            bucket=bucket, site=site, stack=stack, address=address, via=via, session=session
        )
        self._site = site_of(site, os.environ)

    def job(self, job_id: str) -> Job:
        """A job by its id.

        Raises:
            UsageError: no job can have this id.
        """
        if problems := job_id_problems(job_id):
            raise UsageError(f"{problems[0].problem}; {problems[0].remedy}")
        return Job(self._access, job_id)

    def jobs(self, prefix: str = "", limit: int = 50) -> Listing:
        """The jobs that changed last.

        Args:
            prefix: what their ids begin with.
            limit: how many at most.
        """
        return self._access.reports(prefix, limit)

    def submit(
        self,
        path: str | Path,
        *,
        job: str | None = None,
        inputs: Sequence[Wish] = (),
        values: str | Path | None = None,
        sites: Sequence[str] = (),
        progress: SizedProgress = silent,
        sign: Signing | None = None,
        **settings: Unpack[Settings],
    ) -> Job:
        """Upload a directory with `aws-job-run.sh` in it, or a script alone, as a job.

        Args:
            path: the directory or the script.
            job: the job id; by default made from the directory's name and the time.
            inputs: inputs that many jobs share, as pairs of `FROM` and `TO`. `FROM` is an object of
                the bucket (`s3://BUCKET/KEY` or its key), or a file or directory here, which is
                uploaded once for all jobs; `TO` is a path in the job directory.
            values: a CSV table here, which makes the job a sweep: its first row names variables,
                and each further row is an element of an array, with these values.
            sites: several sites: the first that is alive and has room takes it. Needs the API.
            progress: sees the transfer.
            sign: signs the job, for sites that run nothing else.
            settings: `name`, `priority`, `time_limit`, `count`, `sweep`, `max_running`, `account`,
                `queue`, `retries`, `results`, `exclude` and `depends_on`, as in `aws-job.json`.

        Raises:
            UsageError: it is to be signed for several sites.
            UploadRefused: it cannot become a job as it stands; nothing was uploaded.
            SigningFailed: it could not be signed; nothing was uploaded.
            JobActive: the job has not ended.
            TransferFailed: a file cannot be read; the job was not submitted.
        """
        if sign is not None and sites:
            raise UsageError(f"a job is signed for one site: state one of {', '.join(sites)}")
        source = Path(path).absolute()
        job_id = job or upload_plan.new_job_id(source, datetime.now(UTC), secrets.token_hex(2))
        own: tuple[upload_plan.LocalFile, ...] = ()
        folders: tuple[str, ...] = ()
        if self._access.bucket is None:
            inputs, own, folders = as_own(inputs)
        shared = plan_shared(inputs, self._access.bucket)
        table = None if values is None else Path(values).absolute()
        if table is not None:
            settings["sweep"] = place_of(source, table)
        upload = upload_plan.plan_upload(job_id, source, settings, shared.inputs)
        if table is not None:
            upload = with_sweep(upload, table, place_of(source, table))
        upload = upload_plan.joined(upload, own, folders, chosen=job is not None)
        before = None if job is None else self._access.report(job_id)  # a new id is nobody's yet
        if before is not None and before.active and not sites:  # it may be another site's
            raise JobActive(
                f"job {job_id!r} is still active ({before.word}); wait for its end "
                f"(jobferry wait), stop it (jobferry stop), or choose another id (--job)"
            )
        if before is not None:
            upload = upload_plan.without_earlier_settings(upload)
        if sign is not None:
            also = signed_shared(
                upload, shared.uploads, self._access.shared_objects, self._access.bucket
            )
            upload = sign.applied_to(upload, self._site, datetime.now(UTC), also)
        told = progress(upload.size + sum(one.size for one in shared.uploads))
        for one in shared.uploads:
            self._access.share(one, told)
        submitted = self._access.submit(upload, told, sites)
        ended = before.identity if before and before.dead else None
        return Job(self._access, submitted, before=ended)
