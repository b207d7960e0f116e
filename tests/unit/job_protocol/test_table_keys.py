"""Keys of the job table."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from job_protocol import table_keys
from tests.unit.job_protocol.strategies import text

priorities = st.integers(1, 100)
seconds = st.integers(0, 10**12 - 1)
waiting = st.tuples(priorities, seconds, st.none() | seconds)
sites = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)


def _order(row: tuple[int, int, int | None]) -> tuple[int, int, int]:
    priority, created, not_before = row
    return (1, not_before, 0) if not_before is not None else (0, -priority, created)


@given(waiting, waiting)
def test_the_queue_goes_by_priority_then_age_and_what_is_deferred_comes_last(
    one: tuple[int, int, int | None], other: tuple[int, int, int | None]
) -> None:
    keys = [table_keys.queue_pending(*row) for row in (one, other)]
    assert (keys[0] < keys[1]) == (_order(one) < _order(other))


@given(seconds, seconds, waiting)
def test_the_control_row_comes_first_then_stops_by_age_then_what_waits(
    earlier: int, later: int, row: tuple[int, int, int | None]
) -> None:
    earlier, later = sorted((earlier, later))
    keys = [
        table_keys.queue_control(),
        table_keys.queue_stop(earlier),
        table_keys.queue_stop(later),
        table_keys.queue_pending(*row),
    ]
    assert keys == sorted(keys)


@given(waiting)
def test_a_queue_key_tells_what_it_is(row: tuple[int, int, int | None]) -> None:
    key = table_keys.queue_pending(*row)
    assert table_keys.deferred_until(key) == row[2]
    assert not table_keys.is_stop(key)
    assert not table_keys.is_control(key)
    assert table_keys.is_stop(table_keys.queue_stop(row[1]))
    assert table_keys.deferred_until(table_keys.queue_stop(row[1])) is None
    assert table_keys.is_control(table_keys.queue_control())


@given(sites, text, st.uuids().map(str))
def test_a_partition_key_gives_its_site_and_its_kind(site: str, job_id: str, ident: str) -> None:
    job = table_keys.job(site, job_id)
    allocation = table_keys.allocation(site, ident)
    heartbeat = table_keys.heartbeat(site, ident)
    for key in (job, allocation, heartbeat, table_keys.control(site)):
        assert table_keys.site_of(key.pk) == site
    kinds = (table_keys.is_job, table_keys.is_allocation, table_keys.is_heartbeat)
    for key, expected in ((job, 0), (allocation, 1), (heartbeat, 2)):
        assert [kind(key.pk) for kind in kinds] == [n == expected for n in range(3)]


@given(sites, st.uuids().map(str))
def test_an_allocation_lies_in_one_of_the_partitions_that_its_puller_may_touch(
    site: str, ident: str
) -> None:
    assert table_keys.allocation(site, ident).pk in table_keys.allocation_partitions(site)
    assert len(set(table_keys.allocation_partitions(site))) == 16


@given(st.tuples(seconds, text), st.tuples(seconds, text))
def test_the_list_goes_by_time_of_submission(one: tuple[int, str], other: tuple[int, str]) -> None:
    if one[0] != other[0]:
        assert (table_keys.listed(*one) < table_keys.listed(*other)) == (one[0] < other[0])


@given(seconds, seconds)
def test_purges_come_behind_stops_and_before_what_waits(stop: int, purge: int) -> None:
    keys = [
        table_keys.queue_control(),
        table_keys.queue_stop(stop),
        table_keys.queue_purge(purge),
        table_keys.queue_pending(100, 0),
    ]
    assert sorted(keys) == keys
    assert [table_keys.is_stop(key) for key in keys] == [False, True, False, False]
    assert [table_keys.is_purge(key) for key in keys] == [False, False, True, False]
