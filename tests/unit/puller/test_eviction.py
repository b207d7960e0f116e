"""Which files of the cache go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from puller.eviction import Kept, to_evict

NOW = 1_000_000.0

files = st.builds(
    Kept,
    name=st.uuids().map(str),
    size=st.integers(0, 100),
    used=st.floats(0, NOW),
    linked=st.booleans(),
)
caches = st.lists(files, max_size=12, unique_by=lambda file: file.name)


@given(caches, st.integers(0, 500), st.integers(0, 200), st.floats(0, NOW))
def test_what_stays_is_young_fits_and_was_used_last(
    kept: list[Kept], most: int, incoming: int, keep: float
) -> None:
    gone = to_evict(kept, now=NOW, keep_seconds=keep, most_bytes=most, incoming=incoming)
    stays = [file for file in kept if file not in gone]
    free = [file for file in stays if not file.linked]
    assert not any(file.linked for file in gone)
    assert all(NOW - file.used <= keep for file in free)
    assert not free or sum(file.size for file in stays) + incoming <= most
    assert all(out.used <= file.used for out in gone for file in free)


@given(caches)
def test_nothing_goes_while_there_is_room(kept: list[Kept]) -> None:
    assert to_evict(kept, now=NOW, keep_seconds=NOW, most_bytes=12 * 100) == []


def test_no_more_goes_than_has_to() -> None:
    kept = [Kept("old", 10, 1.0), Kept("older", 10, 0.0), Kept("new", 10, 2.0)]
    gone = to_evict(kept, now=3.0, keep_seconds=99, most_bytes=20)
    assert [file.name for file in gone] == ["older"]


def test_a_rest_that_is_not_whole_goes() -> None:
    rest = Kept("rest", 0, NOW, whole=False)
    assert to_evict([rest], now=NOW, keep_seconds=NOW, most_bytes=1) == [rest]
