"""Which bucket: named as such, or found by the site's and the deployment's name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from jobferry.errors import ConfigurationError, UsageError

DEFAULT_SITE = "dc1"
DEFAULT_STACK = "jobferry"


def site_of(site: str | None, environment: Mapping[str, str]) -> str:
    """The site's name, as it is signed: stated, else `JOBFERRY_SITE`, else the default."""
    return site or environment.get("JOBFERRY_SITE") or DEFAULT_SITE


def bucket_of(
    *,
    bucket: str | None,
    site: str | None,
    stack: str | None,
    environment: Mapping[str, str],
    parameter: Callable[[str], str | None],
) -> str:
    """The bucket's name. What is stated goes before the environment, a bucket before a site.

    Args:
        bucket: the bucket, if stated.
        site: the site, if stated.
        stack: the deployment, if stated.
        environment: may have `JOBFERRY_BUCKET`, or `JOBFERRY_SITE` and `JOBFERRY_STACK`.
        parameter: reads a parameter of the parameter store; None if there is none.

    Raises:
        UsageError: a bucket and a site are both stated.
        ConfigurationError: there is no such site in such a deployment.
    """
    if bucket and (site or stack):
        raise UsageError("state either the bucket or the site (and its stack), not both")
    if not site and not stack:
        bucket = bucket or environment.get("JOBFERRY_BUCKET")
    if bucket:
        return bucket
    site = site or environment.get("JOBFERRY_SITE") or DEFAULT_SITE
    stack = stack or environment.get("JOBFERRY_STACK") or DEFAULT_STACK
    name = f"/jobferry/{stack}/sites/{site}"
    remedy = "name the bucket (--bucket, JOBFERRY_BUCKET), or check site, stack and region"
    facts = parameter(name)
    if facts is None:
        raise ConfigurationError(f"there is no site {site!r} in stack {stack!r} ({name}); {remedy}")
    try:
        return str(json.loads(facts)["bucket"])
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"parameter {name} names no bucket; {remedy}") from error
