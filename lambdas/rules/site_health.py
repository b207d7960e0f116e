"""What a site's heartbeats and the operator's word say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from job_protocol.site_records import Heartbeat, SiteControl


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteHealth:
    """The state of a site.

    Attributes:
        site: its name.
        last_seen: its newest heartbeat, in seconds since the epoch; None if there never was one.
        silent: whether that is longer ago than the site's settings allow.
        drain: whether an operator has told it to claim nothing new.
        lingering: whether a puller keeps passing between cron's ticks.
        version: the version of the puller that was seen last.
        host: its host.
        active: how many allocations the site's pullers hold.
        problem: why none of its pullers that are alive can claim anything, a sentence.
    """

    site: str
    last_seen: int | None
    silent: bool
    drain: bool
    lingering: bool
    version: str
    host: str
    active: int
    problem: str | None = None

    @property
    def takes_work(self) -> bool:
        """Whether a job that is submitted now is soon claimed."""
        return not self.silent and not self.drain and self.problem is None


def health_of(
    site: str,
    heartbeats: Iterable[Heartbeat],
    control: SiteControl | None,
    *,
    now: int,
    silent_after: int,
) -> SiteHealth:
    """The state of a site.

    Args:
        site: its name.
        heartbeats: the newest of each installation of the puller.
        control: what the operator wants, if anything.
        now: seconds since the epoch.
        silent_after: seconds without a heartbeat after which it is called silent.
    """
    newest_first = sorted(heartbeats, key=lambda beat: -beat.at)
    alive = [beat for beat in newest_first if now - beat.at <= silent_after]
    newest = newest_first[0] if newest_first else None
    return SiteHealth(
        site=site,
        last_seen=newest.at if newest else None,
        silent=not alive,
        drain=control is not None and control.drain,
        lingering=any(beat.lingering for beat in alive),
        version=newest.version if newest else "",
        host=newest.host if newest else "",
        active=sum(beat.active for beat in alive),
        problem=_common_problem(alive),
    )


def _common_problem(alive: Sequence[Heartbeat]) -> str | None:
    """What the newest says, unless another puller of the site can claim."""
    problems = [beat.problem for beat in alive]
    return problems[0] if problems and None not in problems else None


def attributes_of(heartbeats: Iterable[Heartbeat]) -> Mapping[str, str] | None:
    """What a site tells of itself: the newest heartbeat counts. None if it has told nothing."""
    newest = max(heartbeats, key=lambda beat: beat.at, default=None)
    return newest.attributes or None if newest is not None else None


def first_with_room(waiting: Iterable[tuple[SiteHealth, int]]) -> SiteHealth | None:
    """The first site that takes work, of those the one where the fewest jobs wait.

    Args:
        waiting: each candidate in the user's order, with how many jobs wait for it.

    Returns:
        The site: one where nothing waits wins by the user's order; None if none takes work.
    """
    alive = [(count, order, health) for order, (health, count) in enumerate(waiting)]
    able = [row for row in alive if row[2].takes_work]
    return min(able, key=lambda row: (row[0], row[1]))[2] if able else None
