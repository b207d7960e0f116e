"""Lambda: called once a minute; launches the periodic jobs that are due."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.children import Children
from lambdas.errors import LimitReached
from lambdas.launching import Launching
from lambdas.ports.clients import client
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.site_directory import SiteDirectory
from lambdas.ports.specifications import Specifications
from lambdas.ports.submitted_files import SubmittedFiles
from lambdas.ports.templates import Templates
from lambdas.runs import Runs
from lambdas.submitting import Submitting

logger = Logger()

_SPARE_SECONDS = 15.0
"""What is left of the time limit when no further job is begun; the next trigger goes on."""


@cache
def _directory() -> SiteDirectory:
    return SiteDirectory(SSMProvider(boto3_client=client("ssm")), os.environ["SITES_PARAMETER"])


@logger.inject_lambda_context
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Launch whatever is due; a job that fails never keeps the others."""
    until = time.time() + context.get_remaining_time_in_millis() / 1000 - _SPARE_SECONDS
    due = Templates(client("dynamodb"), os.environ["TABLE_NAME"]).due(int(time.time()))
    return launch_all(due, _launch, more=lambda: time.time() < until)


def launch_all(
    due: Iterable[tuple[str, str]],
    launch: Callable[[str, str], list[str]],
    *,
    more: Callable[[], bool],
) -> dict[str, int]:
    """Launch what is due of each job.

    A launch for which a limit of the site leaves no room stays due.

    Args:
        due: sites and ids of the jobs, the longest waiting first.
        launch: launches what is due of one job, and returns the children.
        more: whether there is time for a further job.
    """
    counts = {"launched": 0, "failed": 0}
    for site, job_id in due:
        if not more():
            break
        try:
            children = launch(site, job_id)
        except LimitReached as limit:
            logger.warning(
                "a launch waits", extra={"site": site, "job": job_id, "reason": str(limit)}
            )
            continue
        except Exception:
            logger.exception("a launch failed", extra={"site": site, "job": job_id})
            counts["failed"] += 1
            continue
        for child in children:
            logger.info("launched", extra={"site": site, "job": child})
        counts["launched"] += len(children)
    return counts


def _launch(site: str, job_id: str) -> list[str]:
    found = _directory().of_names([site])[site]
    s3, dynamodb, table = client("s3"), client("dynamodb"), os.environ["TABLE_NAME"]
    runs = Runs(
        JobTable(dynamodb, table), SiteBucket(s3, found.bucket), found, lambda: int(time.time())
    )
    children = Children(
        Submitting(runs, SubmittedFiles(s3, found.bucket)),
        Specifications(s3, site, found.bucket),
        Templates(dynamodb, table),
    )
    return Launching(children, lambda: int(time.time()), _tell).launch(job_id)


def _tell(job_id: str, reason: str) -> None:
    logger.error("a launch was skipped", extra={"job": job_id, "reason": reason})
