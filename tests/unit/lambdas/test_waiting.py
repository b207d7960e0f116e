"""Why a job waits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.site_records import Heartbeat, SiteControl
from job_protocol.states import ClientStatus, Desired
from lambdas.rules.site_health import SiteHealth, first_with_room, health_of
from lambdas.rules.status_document import details
from lambdas.rules.waiting import MEANINGS, meaning_of, reasons
from tests.unit.lambdas.examples import NOW, a_job, an_allocation

SILENT_AFTER = 600


def beat(at: int, *, version: str = "", active: int = 0) -> Heartbeat:
    return Heartbeat(
        site="dc1",
        installation=f"i{at}",
        host="h",
        at=at,
        until=at,
        version=version,
        active=active,
    )


def health(*beats: Heartbeat, drain: bool = False) -> SiteHealth:
    control = SiteControl(site="dc1", drain=drain)
    return health_of("dc1", beats, control, now=NOW, silent_after=SILENT_AFTER)


ALIVE = health(beat(NOW - 10))


def test_a_site_is_as_alive_as_its_newest_heartbeat() -> None:
    found = health(beat(NOW - 5000, version="1"), beat(NOW - 20, version="2", active=3))
    assert (found.silent, found.last_seen, found.version, found.active) == (
        False,
        NOW - 20,
        "2",
        3,
    )
    assert health(beat(NOW - SILENT_AFTER - 1)).silent
    assert health().last_seen is None


def test_the_scheduler_s_estimate_is_told_while_it_lies_ahead() -> None:
    waits = an_allocation(
        client_status=ClientStatus.QUEUED,
        scheduler="slurm",
        reason="PENDING (Resources)",
        expected_start=NOW + 3600,
    )
    told = "slurm expects to start it at 2023-11-14T23:13:20Z"
    assert reasons(waits, ALIVE, ahead=None, now=NOW)[-1] == told
    assert len(reasons(waits, ALIVE, ahead=None, now=NOW + 3600)) == 1
    document = details(a_job(), waits, now=NOW, site_last_seen=None)
    assert document["allocation"]["expected_start"] == "2023-11-14T23:13:20Z"
    runs = replace(waits, client_status=ClientStatus.RUNNING)
    assert reasons(runs, ALIVE, ahead=None, now=NOW) == ()
    assert "expected_start" not in details(a_job(), runs, now=NOW, site_last_seen=None)


def test_a_silent_site_is_the_first_reason() -> None:
    found = reasons(an_allocation(), health(beat(NOW - 5000)), ahead=2, now=NOW)
    assert found == (
        "site dc1 is silent since 2023-11-14T20:50:00Z",
        "2 jobs are ahead of it at the site",
    )
    assert "never been seen" in reasons(an_allocation(), health(), ahead=0, now=NOW)[0]


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("PENDING (Priority)", "higher priority"),
        ("PENDING (Resources)", "nodes to become free"),
        ("PENDING (QOSMaxJobsPerUserLimit)", "as many jobs as one user may run"),
        ("PENDING (DependencyNeverSatisfied)", "never start"),
        ("qw", "free slot"),
    ],
)
def test_the_schedulers_words_come_with_their_meaning(words: str, meaning: str) -> None:
    queued = an_allocation(
        client_status=ClientStatus.QUEUED, scheduler="slurm", scheduler_id="7", reason=words
    )
    (found,) = reasons(queued, ALIVE, ahead=None, now=NOW)
    assert found.startswith(f"slurm says: {words} (")
    assert meaning in found


def test_a_job_that_waits_for_others_says_so_and_nothing_of_the_queue() -> None:
    others = "waits for mesh (afterok)"
    found = reasons(an_allocation(), health(), ahead=None, now=NOW, others=others)
    assert found == ("it waits for mesh (afterok)",)


def test_unknown_words_stand_alone() -> None:
    queued = an_allocation(client_status=ClientStatus.QUEUED, scheduler="slurm", reason="Zzz")
    assert reasons(queued, ALIVE, ahead=None, now=NOW) == ("slurm says: Zzz",)


def test_a_drained_site_a_delay_and_a_stop_are_told() -> None:
    drained = reasons(an_allocation(), health(beat(NOW), drain=True), ahead=0, now=NOW)
    assert "drained" in drained[0]
    later = reasons(an_allocation(not_before=NOW + 60), ALIVE, ahead=0, now=NOW)
    assert later == ("it may not start before 2023-11-14T22:14:20Z",)
    stopped = an_allocation(client_status=ClientStatus.QUEUED, desired=Desired.STOP)
    assert "told to stop" in reasons(stopped, ALIVE, ahead=None, now=NOW)[0]


@pytest.mark.parametrize("status", list(ClientStatus))
def test_what_waits_always_has_a_reason_and_nothing_else_has_one(status: ClientStatus) -> None:
    waits = status in (ClientStatus.PENDING, ClientStatus.STARTING, ClientStatus.QUEUED)
    found = reasons(an_allocation(client_status=status), ALIVE, ahead=0, now=NOW)
    assert bool(found) is waits


@given(st.text(max_size=60))
def test_a_meaning_is_one_of_those_that_are_written_down(words: str) -> None:
    assert meaning_of(words) in {None, *MEANINGS.values()}


def test_of_several_sites_the_emptiest_that_takes_work_wins_by_the_users_order() -> None:
    first, second = replace(ALIVE, site="a"), replace(ALIVE, site="b")
    drained = replace(ALIVE, site="c", drain=True)
    assert first_with_room([(first, 0), (second, 0)]) == first
    assert first_with_room([(first, 3), (second, 1), (drained, 0)]) == second
    assert first_with_room([(drained, 0)]) is None
