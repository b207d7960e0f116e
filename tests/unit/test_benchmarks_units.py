"""DynamoDB's request units, as its developer guide counts them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.dynamodb_units import Index, item_size, read_units, write_units

KEYS = ("pk", "sk")
QUEUE = Index("queue", ("qpk", "qsk"), frozenset({"drain"}))
LIST = Index("list", ("lpk", "lsk"), None)


def text(**attributes: str) -> dict[str, Any]:
    return {name: {"S": value} for name, value in attributes.items()}


PLAIN = text(pk="A#dc1#0", sk="0")
WAITING = PLAIN | text(qpk="Q#dc1", qsk="2#050")


def units(before: Any, after: Any, *, transactional: bool = False) -> tuple[int, dict[str, int]]:
    found = write_units(
        before, after, table_keys=KEYS, indexes=(QUEUE, LIST), transactional=transactional
    )
    return found.table, dict(found.indexes)


def test_a_size_is_that_of_names_and_values() -> None:
    assert item_size(text(pk="ab")) == 4
    assert item_size({"flag": {"BOOL": True}}) == 5
    assert item_size({"n": {"N": "1700000000"}}) == 1 + 2
    assert item_size({"b": {"B": b"123"}}) == 4
    assert item_size({"m": {"M": {"k": {"S": "v"}}}}) == 1 + 3 + 1 + 1 + 1
    assert item_size({"l": {"L": [{"S": "v"}, {"NULL": True}]}}) == 1 + 3 + 2 + 2
    assert item_size(None) == 0


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, PLAIN, (1, {})),
        (None, WAITING, (1, {"queue": 1})),
        (WAITING, PLAIN, (1, {"queue": 1})),
        (WAITING, WAITING | text(qsk="3#1"), (1, {"queue": 2})),
        (WAITING, WAITING | text(other="x"), (1, {})),
        (WAITING, WAITING | text(drain="yes"), (1, {"queue": 1})),
        (PLAIN, PLAIN, (1, {})),
        (PLAIN, PLAIN | text(big="x" * 1100), (2, {})),
        (PLAIN | text(big="x" * 1100), PLAIN, (2, {})),
    ],
    ids=[
        "put",
        "put with an index entry",
        "the entry goes",
        "the entry's key changes",
        "nothing that the index carries changes",
        "what the index carries changes",
        "a failed condition",
        "it grows over a kilobyte",
        "it shrinks",
    ],
)
def test_units_of_a_write(before: Any, after: Any, expected: tuple[int, dict[str, int]]) -> None:
    assert units(before, after) == expected


def test_an_index_of_everything_is_written_with_every_change() -> None:
    job = PLAIN | text(lpk="L#dc1", lsk="1")
    assert units(job, job | text(rev="2")) == (1, {"list": 1})


def test_a_transaction_costs_twice_in_the_table_and_once_in_its_indexes() -> None:
    assert units(None, WAITING, transactional=True) == (2, {"queue": 1})


@given(st.integers(min_value=0, max_value=9000))
def test_a_write_costs_a_unit_for_each_kilobyte_begun(size: int) -> None:
    item = {"a": {"S": "x" * size}}
    assert units(None, item)[0] == max(1, -(-(size + 1) // 1024))


def test_units_of_a_read() -> None:
    assert read_units([PLAIN], consistent=True, each=True) == 1
    assert read_units([None], consistent=False, each=True) == 0.5
    assert read_units([PLAIN, None, PLAIN], consistent=True, each=True) == 3
    assert read_units([PLAIN] * 20, consistent=False, each=False) == 0.5
    big = PLAIN | text(big="x" * 5000)
    assert read_units([big], consistent=True, each=True) == 2
    assert read_units([big, big], consistent=False, each=False) == 1.5


def test_an_index_as_describe_table_tells_it() -> None:
    described = {
        "IndexName": "queue",
        "KeySchema": [{"AttributeName": "qpk"}, {"AttributeName": "qsk"}],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["drain"]},
    }
    assert Index.of(described) == QUEUE
    everything = Index.of({**described, "Projection": {"ProjectionType": "ALL"}})
    assert everything.entry(WAITING | text(other="x"), KEYS) == WAITING | text(other="x")
    assert QUEUE.entry(WAITING | text(other="x"), KEYS) == WAITING
    assert QUEUE.entry(PLAIN, KEYS) is None
