"""What the routes that change jobs work with, beside what all routes do."""

from __future__ import annotations

from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.submitted_files import SubmittedFiles
from lambdas.purge_requests import PurgeRequests
from lambdas.routes.services import Services
from lambdas.runs import Runs
from lambdas.submitting import Submitting


def runs(services: Services, site: str) -> Runs:
    """The runs of a site's jobs."""
    of = services.sites[site]
    return Runs(services.table, SiteBucket(services.s3, of.bucket), of, services.clock)


def submitting(services: Services, site: str) -> Submitting:
    """Takes script jobs for a site."""
    files = SubmittedFiles(services.s3, services.sites[site].bucket)
    return Submitting(runs(services, site), files)


def purging(services: Services) -> PurgeRequests:
    """Takes requests to purge."""
    return PurgeRequests(services.table, services.purge_queue, services.clock)
