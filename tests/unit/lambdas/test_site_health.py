"""What several pullers of one site say together."""

from __future__ import annotations

from dataclasses import replace

from job_protocol.site_records import Heartbeat
from lambdas.rules.site_health import SiteHealth, attributes_of, health_of
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


def test_the_newest_puller_tells_the_sites_attributes() -> None:
    old = replace(beat("one", 60), attributes={"attr.cpu.arch": "arm64"})
    new = replace(beat("other", 5), attributes={"attr.cpu.arch": "amd64"})
    assert attributes_of([new, old]) == {"attr.cpu.arch": "amd64"}


def test_a_puller_that_tells_none_leaves_them_unknown() -> None:
    assert attributes_of([beat("one", 5)]) is None
    assert attributes_of([]) is None
