"""What several pullers of one site say together."""

from __future__ import annotations

from job_protocol.site_records import Heartbeat
from lambdas.rules.site_health import SiteHealth, health_of
from tests.unit.lambdas.examples import NOW


def beat(installation: str, ago: int, problem: str | None = None) -> Heartbeat:
    at = NOW - ago
    return Heartbeat(
        site="dc1", installation=installation, host=installation, at=at, until=at, problem=problem
    )


def health(*beats: Heartbeat) -> SiteHealth:
    return health_of("dc1", beats, None, now=NOW, silent_after=600)


def test_a_site_takes_work_while_one_of_its_pullers_can_claim() -> None:
    told = health(beat("one", 60), beat("other", 5, "the disk is full"))
    assert (told.takes_work, told.problem, told.host) == (True, None, "other")


def test_the_newest_problem_is_told_where_no_puller_can_claim() -> None:
    told = health(beat("one", 60, "a stop file"), beat("other", 5, "the disk is full"))
    assert (told.takes_work, told.problem) == (False, "the disk is full")


def test_a_puller_that_fell_silent_takes_no_work() -> None:
    told = health(beat("one", 601), beat("other", 5, "the disk is full"))
    assert (told.takes_work, told.problem) == (False, "the disk is full")
