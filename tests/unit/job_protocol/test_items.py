"""Dataclasses to and from items."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.allocation import Allocation
from job_protocol.dynamodb_json import decode, encode
from job_protocol.items import SCHEMA_VERSION, from_attributes, known_version, to_attributes
from job_protocol.job import Job
from job_protocol.site_records import Heartbeat, SiteControl
from tests.unit.job_protocol.strategies import allocations, jobs, text, times

records = st.one_of(
    jobs,
    allocations,
    st.builds(
        Heartbeat,
        site=text,
        installation=text,
        host=text,
        at=times,
        until=times,
        lingering=st.booleans(),
        version=text,
        active=st.integers(0, 99),
    ),
    st.builds(SiteControl, site=text, drain=st.booleans(), least_puller_version=st.none() | text),
)


@given(records)
def test_a_record_comes_back_from_the_table(record: object) -> None:
    stored = encode(to_attributes(record))
    assert from_attributes(type(record), decode(stored)) == record


@given(records)
def test_what_a_later_version_adds_is_ignored(record: object) -> None:
    stored = {**to_attributes(record), "of_the_future": 1}
    assert from_attributes(type(record), stored) == record


def test_nothing_unstated_is_stored() -> None:
    stored = to_attributes(Allocation(site="dc1", job="j", id="a"))
    assert {"token", "submitting", "settings", "exit_code", "manifest"}.isdisjoint(stored)
    assert stored["v"] == SCHEMA_VERSION


def test_zero_is_stored() -> None:
    assert to_attributes(Allocation(site="dc1", job="j", id="a", exit_code=0))["exit_code"] == 0


def test_an_item_without_a_required_attribute_is_an_error() -> None:
    with pytest.raises(TypeError, match="bucket"):
        from_attributes(Job, {"site": "dc1", "id": "j"})


def test_an_unknown_state_is_an_error() -> None:
    with pytest.raises(ValueError, match="dreaming"):
        from_attributes(Job, {"site": "dc1", "id": "j", "bucket": "b", "status": "dreaming"})


@pytest.mark.parametrize(("attributes", "known"), [({}, True), ({"v": 1}, True), ({"v": 2}, False)])
def test_a_newer_item_is_left_alone(attributes: dict[str, int], known: bool) -> None:
    assert known_version(attributes) is known
