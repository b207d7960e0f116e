"""A site's registered jobs on plain emulated parts: no Lambda runs by itself."""

from __future__ import annotations

import copy
from typing import Any

from lambdas.children import Children
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.site_directory import Site
from lambdas.ports.specifications import Specifications
from lambdas.ports.submitted_files import SubmittedFiles
from lambdas.ports.templates import Templates
from lambdas.registering import Registering
from lambdas.rules.registration import examine
from lambdas.runs import Runs
from lambdas.submitting import Submitter, Submitting
from tests.emulator.control_plane import UserOfASite

ME = Submitter(name="me", key="k1")


class Killed(BaseException):
    """The function was ended from outside."""


class Fragile:
    """A client after some calls of which the function is killed; the last call still happens."""

    def __init__(self, client: Any, budget: list[int]) -> None:
        self._client, self._budget = client, budget

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found) or name in ("exceptions", "get_paginator"):
            return found

        def call(**arguments: Any) -> Any:
            answer = found(**arguments)
            self._budget[0] -= 1
            if self._budget[0] < 0:
                raise Killed
            return answer

        return call


def a_job(job_id: str, **more: Any) -> dict[str, Any]:
    """The `Job` object of a small batch job."""
    task = {"Name": "main", "Driver": "raw_exec", "Config": {"command": "true"}}
    group = {"Name": "group", "Tasks": [task]}
    return {"ID": job_id, "Type": "batch", "TaskGroups": [copy.deepcopy(group)], **more}


def children(user: UserOfASite, dynamodb: Any = None, s3: Any = None) -> Children:
    """What makes children at the user's site; with other clients, if they are given."""
    dynamodb, s3 = dynamodb or user.dynamodb, s3 or user.s3
    runs = Runs(
        JobTable(dynamodb, user.table),
        SiteBucket(s3, user.bucket),
        Site(user.site, user.bucket, user.limits, keep_days=7, quotas=user.quotas),
        lambda: user.now,
    )
    return Children(
        Submitting(runs, SubmittedFiles(s3, user.bucket)),
        Specifications(s3, user.site, user.bucket),
        Templates(dynamodb, user.table),
    )


def register(user: UserOfASite, job: dict[str, Any], key: str = "k1", **more: Any) -> Any:
    """Register a job at the user's site."""
    examined = examine(job)
    assert examined.job is not None, examined.problems
    submitter = Submitter(name="me", key=key)
    return Registering(children(user)).register(examined.job, submitter, **more)
