"""The parts of a composed log stay within S3's limits, whatever its size."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from puller.bucket import MIN_BASE
from puller.cloud.multipart import copy_ranges, sent_part_size

MIB = 1024 * 1024
TIB = 1024 * 1024 * MIB


@given(st.integers(MIN_BASE, 5 * TIB))
def test_the_copied_parts_cover_the_base_exactly_and_each_is_allowed(size: int) -> None:
    ranges = list(copy_ranges(size))
    assert (ranges[0][0], ranges[-1][1]) == (0, size - 1)
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(ranges))
    assert all(5 * MIB <= last - first + 1 <= 5 * 1024 * MIB for first, last in ranges)


@given(st.integers(1, 5 * TIB), st.integers(MIN_BASE, 5 * TIB))
def test_there_are_never_too_many_parts(tail: int, base: int) -> None:
    part = sent_part_size(tail)
    assert 5 * MIB <= part <= 5 * 1024 * MIB
    assert -(-tail // part) + len(list(copy_ranges(base))) <= 10_000
