"""The packed vector of an array's elements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.allocation import Allocation
from job_protocol.elements import (
    Element,
    Elements,
    ElementsError,
    ElementState,
    indexes_of,
    ranges,
)
from job_protocol.job_settings import JobSettings
from tests.unit.job_protocol.strategies import elements

COMPLETE = Element(ElementState.COMPLETE, 0)


@given(elements)
def test_elements_come_back_from_their_packed_form(vector: Elements) -> None:
    assert Elements.unpack(vector.pack()) == vector


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(packed: bytes) -> None:
    try:
        Elements.unpack(packed)
    except ElementsError:
        return
    assert packed[:1] == b"\x01"


@given(elements.filter(lambda vector: len(vector.all) > 0), st.data())
def test_a_cut_vector_is_an_error(vector: Elements, data: st.DataObject) -> None:
    packed = vector.pack()
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with pytest.raises(ElementsError):
        Elements.unpack(cut)


def test_a_vector_is_small() -> None:
    assert len(Elements((COMPLETE,) * 10_000).pack()) < 100
    scattered = [n * 2_654_435_761 % 2**32 // 2**24 for n in range(10_000)]
    mixed = [Element(ElementState.FAILED, 137) if n < 25 else COMPLETE for n in scattered[:1000]]
    assert len(Elements(tuple(mixed)).pack()) < 500
    worst = [Element(ElementState.FAILED, n) for n in scattered]
    assert len(Elements(tuple(worst)).pack()) < 11_000


def test_the_numbers_of_states_never_change_because_they_lie_in_tables() -> None:
    assert [state.name for state in ElementState] == [
        "QUEUED",
        "RUNNING",
        "COMPLETE",
        "FAILED",
        "STOPPED",
        "LOST",
        "KEPT",
    ]
    assert [state.value for state in ElementState] == list(range(7))


@given(elements)
def test_a_further_attempt_runs_what_is_not_complete_and_nothing_else(vector: Elements) -> None:
    again = vector.again()
    done = vector.of(ElementState.COMPLETE, ElementState.KEPT)
    assert again.of(ElementState.KEPT) == done
    assert set(again.to_run) == set(range(len(vector.all))) - set(done)
    assert again.open == again.to_run
    assert again.again() == again


@given(st.sets(st.integers(0, 300)))
def test_indexes_come_back_from_their_ranges(indexes: set[int]) -> None:
    assert indexes_of(ranges(indexes)) == tuple(sorted(indexes))


def test_ranges_are_what_slurm_takes() -> None:
    assert ranges([12, 3, 7, 10, 11]) == "3,7,10-12"


def test_an_allocation_that_was_told_nothing_has_all_its_elements_waiting() -> None:
    array = Allocation(site="dc1", job="j", id="a", settings=JobSettings(count=3))
    assert array.known_elements == Elements.queued(3)
    for count in (None, 1):
        single = Allocation(site="dc1", job="j", id="a", settings=JobSettings(count=count))
        assert single.known_elements is None
