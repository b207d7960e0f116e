"""What a site takes of everybody and of one submitter: active jobs, jobs a day, bytes a day.

Each limit is a counter in the job table that the creation of a run raises in its own transaction,
on the condition that the limit still holds. Without limits there is no counter, nothing to pay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from job_protocol import table_keys
from job_protocol.object_keys import Problem

_DAY = 24 * 3600
_KEPT_DAYS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Limits; None is none.

    Attributes:
        active_jobs: most jobs that have not ended.
        jobs_a_day: most runs that are created in a day of UTC.
        bytes_a_day: most bytes of inputs of these.
    """

    active_jobs: int | None = None
    jobs_a_day: int | None = None
    bytes_a_day: int | None = None


NO_QUOTA = Quota()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLimits:
    """The limits of a site.

    Attributes:
        site: what holds for all its jobs together.
        submitter: what holds for each submitter of the API. Who uploads into the bucket is not
            known: those jobs have the site's limits alone.
    """

    site: Quota = NO_QUOTA
    submitter: Quota = NO_QUOTA


NO_LIMITS = SiteLimits()


@dataclass(frozen=True, slots=True)
class Charge:
    """What a run adds to one counter.

    Attributes:
        key: the counter's item.
        whom: whose counter it is, for messages.
        adds: how much is added, by attribute.
        most: the limits, by attribute.
        ttl: when the item may be deleted, in seconds since the epoch; None: never.
    """

    key: table_keys.Key
    whom: str
    adds: Mapping[str, int]
    most: Mapping[str, int]
    ttl: int | None = None


_WORDS = {
    "active_jobs": ("jobs at a time", "wait until one has ended"),
    "jobs_a_day": ("jobs a day", "submit it again after midnight UTC"),
    "bytes_a_day": ("bytes of inputs a day", "submit it again after midnight UTC, or with less"),
}


def read_limits(record: Mapping[str, Any]) -> SiteLimits:
    """The limits in a site's settings as the deployment recorded them."""
    return SiteLimits(
        site=Quota(**record.get("limits", {})),
        submitter=Quota(**record.get("submitter_limits", {})),
    )


def charges(
    limits: SiteLimits, *, site: str, submitter: str | None, size: int, now: int
) -> tuple[Charge, ...]:
    """What a run that is created now adds to which counters.

    Args:
        limits: the site's limits.
        site: the site's name.
        submitter: who submitted it through the API, if anybody.
        size: bytes of its inputs.
        now: seconds since the epoch.
    """
    found = [*_charges(limits.site, site, None, size, now)]
    if submitter is not None:
        found += _charges(limits.submitter, site, submitter, size, now)
    return tuple(found)


def counted_by(found: tuple[Charge, ...]) -> tuple[str, ...]:
    """The sort keys of the counters that go down by one when the run has ended."""
    return tuple(charge.key.sk for charge in found if "active_jobs" in charge.adds)


def exceeded(job_id: str, charge: Charge, counted: Mapping[str, int]) -> list[Problem]:
    """Which limits a run would exceed.

    Args:
        job_id: the job.
        charge: what it adds.
        counted: what the counter holds, by attribute.
    """
    problems = []
    for name, most in charge.most.items():
        used = counted.get(name, 0)
        if used + charge.adds[name] > most:
            what, remedy = _WORDS[name]
            text = f"{charge.whom} has a limit of {most} {what} ({name}); {used} are used"
            if name == "bytes_a_day":
                text += f", and this job has {charge.adds[name]}"
            problems.append(Problem(f"{job_id}/", text, remedy))
    return problems


def _charges(
    quota: Quota, site: str, submitter: str | None, size: int, now: int
) -> Iterator[Charge]:
    whom = f"site {site}" if submitter is None else f"submitter {submitter} at site {site}"
    if quota.active_jobs is not None:
        key = table_keys.active_count(site, submitter)
        yield Charge(key, whom, {"active_jobs": 1}, {"active_jobs": quota.active_jobs})
    limited = {"jobs_a_day": quota.jobs_a_day, "bytes_a_day": quota.bytes_a_day}
    most = {name: value for name, value in limited.items() if value is not None}
    if most:
        day = datetime.fromtimestamp(now, UTC).date().isoformat()
        adds = {"jobs_a_day": 1, "bytes_a_day": size}
        key = table_keys.day_count(site, day, submitter)
        yield Charge(key, whom, adds, most, ttl=now + _KEPT_DAYS * _DAY)
