"""Which site a bucket belongs to, and the site's limits, as the deployment recorded them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lambdas.errors import UnknownBucket
from lambdas.rules.site_limits import NO_LIMITS, SiteLimits, read_limits
from lambdas.rules.upload import DEFAULT_ARRAY_LIMIT, Limits

_CACHE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Site:
    """One site of the deployment.

    Attributes:
        name: the site's name.
        bucket: its bucket.
        limits: what one upload may have.
        keep_days: days that the items of a dead job stay in the table.
        silent_after_minutes: minutes without a heartbeat after which it is called silent.
        quotas: what the site takes of everybody and of one submitter.
    """

    name: str
    bucket: str
    limits: Limits
    keep_days: int
    silent_after_minutes: int = 180
    quotas: SiteLimits = NO_LIMITS


class SiteDirectory:
    """Reads the SSM parameters that the deployment wrote, one per bucket or site."""

    def __init__(self, parameters: Any, prefix: str) -> None:
        """Use the parameters.

        Args:
            parameters: a Powertools `SSMProvider`, which caches.
            prefix: the parameters' common path.
        """
        self._parameters = parameters
        self._prefix = prefix

    def of_bucket(self, bucket: str) -> Site:
        """The site whose bucket this is.

        Raises:
            UnknownBucket: the deployment knows no such bucket.
        """
        try:
            text = self._parameters.get(f"{self._prefix}/{bucket}", max_age=_CACHE_SECONDS)
        except Exception as error:
            if "ParameterNotFound" not in f"{error!r}{error.__cause__!r}":
                raise
            raise UnknownBucket(
                f"bucket {bucket} belongs to no site of this deployment: deploy again"
            ) from error
        return _site(json.loads(text))

    def of_names(self, names: Sequence[str]) -> dict[str, Site]:
        """Sites by their names; `prefix` is that of the sites' parameters."""
        return {
            name: _site(
                json.loads(self._parameters.get(f"{self._prefix}/{name}", max_age=_CACHE_SECONDS))
            )
            for name in names
        }


def _site(record: dict[str, Any]) -> Site:
    return Site(
        name=record["site"],
        bucket=record["bucket"],
        limits=Limits(
            files=record["max_upload_files"],
            size=record["max_upload_bytes"],
            array=record.get("max_array_size", DEFAULT_ARRAY_LIMIT),
        ),
        keep_days=record["keep_days"],
        silent_after_minutes=record["silent_after_minutes"],
        quotas=read_limits(record),
    )
