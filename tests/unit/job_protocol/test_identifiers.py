"""Derived identifiers."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from job_protocol import identifiers

FROZEN_ALLOCATION = "62caaf4d-e19b-595a-89ef-ea77da4829b3"
FROZEN_NEXT = "f558f7dc-8160-516a-86db-b06d150b119e"
FROZEN_MARK = "8e45dd56-4517-56a0-812c-e5556cbf6b41"

causes = st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))


@given(causes, causes)
def test_the_same_cause_gives_the_same_id_and_another_cause_another(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    for derive in (identifiers.first_allocation, identifiers.result_mark):
        assert (derive(*one) == derive(*other)) == (one == other)
        assert str(uuid.UUID(derive(*one))) == derive(*one)


def test_parts_do_not_run_into_each_other() -> None:
    assert identifiers.first_allocation("a", "b\n1:c", "d") != identifiers.first_allocation(
        "a", "b", "c\n1:d"
    )


def test_an_allocation_and_a_result_of_the_same_cause_differ() -> None:
    cause = ("dc1", "job", "x")
    assert identifiers.first_allocation(*cause) != identifiers.result_mark(*cause)


def test_attempts_follow_each_other_without_a_circle() -> None:
    seen = [identifiers.first_allocation("dc1", "job", "v1")]
    for _ in range(50):
        seen.append(identifiers.next_allocation(seen[-1]))
    assert len(set(seen)) == len(seen)


def test_ids_never_change_because_they_lie_in_tables_and_buckets() -> None:
    assert identifiers.first_allocation("dc1", "job0001", "v1") == FROZEN_ALLOCATION
    assert identifiers.next_allocation(FROZEN_ALLOCATION) == FROZEN_NEXT
    assert identifiers.result_mark("dc1", "job0001", "out/a.txt") == FROZEN_MARK


@given(st.uuids().map(str), st.integers(0, 2**24 - 1))
def test_an_element_s_id_leads_back_to_its_allocation_and_index(array: str, index: int) -> None:
    element = identifiers.element_allocation(array, index)
    assert str(uuid.UUID(element)) == element
    assert identifiers.element_index(array, element) == index
    assert array.startswith(identifiers.element_prefix(element))
    assert identifiers.element_allocation(array, 0) == array


def test_the_id_of_another_allocation_is_no_element() -> None:
    assert identifiers.element_index(FROZEN_ALLOCATION, FROZEN_NEXT) is None
    assert identifiers.element_allocation(FROZEN_ALLOCATION, 1)[-6:] == "4829b4"
