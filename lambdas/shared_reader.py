"""Finds what a job shares with others: the object versions of its `inputs`, for intake and API."""

from __future__ import annotations

from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Entry
from job_protocol.object_keys import Problem
from lambdas.ports.site_bucket import SiteBucket
from lambdas.rules.shared_inputs import entries_of, requests_of
from lambdas.rules.upload import Limits

_VERSIONS_PER_FILE = 5
"""How many versions a prefix may hold per admissible file."""


def read_shared(
    bucket: SiteBucket, limits: Limits, job_id: str, settings: JobSettings
) -> tuple[list[Entry], list[Problem]]:
    """The versions of what comes from elsewhere in the bucket, as they are now.

    Args:
        bucket: the site's bucket.
        limits: the site's limits.
        job_id: the job.
        settings: what the user stated.

    Returns:
        The manifest's entries, and every problem found.
    """
    requests, problems = requests_of(job_id, settings.inputs, bucket.name)
    most = most_versions(limits)
    entries: list[Entry] = []
    objects = bucket.find_all(
        (r.shared.source, r.shared.version) for r in requests if not r.is_folder
    )
    for request in requests:
        if not request.is_folder:
            version = objects[request.shared.source, request.shared.version]
            found = [] if version is None else [version]
        else:
            found = bucket.versions_under(request.shared.source, most)
            if len(found) > most:
                remedy = "name what the job needs, or pack it into an archive"
                many = f"more than {most} object versions lie below it"
                problems.append(request.problem("from", many, remedy))
                continue
        brought, wrong = entries_of(request, found)
        entries += brought
        problems += wrong
    return entries, problems


def most_versions(limits: Limits) -> int:
    """How many object versions a prefix may hold before it is not read on."""
    return limits.files * _VERSIONS_PER_FILE + 1000
