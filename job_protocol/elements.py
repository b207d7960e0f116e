"""The elements of an array: state and exit code of each, as one small packed vector.

One allocation stands for all elements, so what is known of them travels in its item, whose every
write is charged by size: two bytes for each element, compressed. 10,000 elements that all ended
well take some 50 bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

MAX_ARRAY = 100_000
"""Elements that an array may have at most, whatever a site allows."""

_FORMAT = 1
_HAS_CODE = 0x80


class ElementState(IntEnum):
    """What is known of an element. The numbers lie in tables: they never change."""

    QUEUED = 0
    """It has not started, or was requeued."""
    RUNNING = 1
    COMPLETE = 2
    FAILED = 3
    STOPPED = 4
    LOST = 5
    KEPT = 6
    """Complete in an earlier allocation, and not run again in this one."""

    @property
    def ended(self) -> bool:
        """Whether nothing may change it any more."""
        return self >= ElementState.COMPLETE

    @property
    def done(self) -> bool:
        """Whether its result is there."""
        return self in (ElementState.COMPLETE, ElementState.KEPT)


class ElementsError(ValueError):
    """A vector of elements that cannot be read."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element.

    Attributes:
        state: see `ElementState`.
        exit_code: 0 to 255, 128 + n for signal n; None if it is not known.
    """

    state: ElementState = ElementState.QUEUED
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Elements:
    """All elements of an array, by index from 0."""

    all: tuple[Element, ...]

    @staticmethod
    def queued(count: int) -> Elements:
        """As many elements that have not started."""
        return Elements((Element(),) * count)

    @property
    def to_run(self) -> tuple[int, ...]:
        """The indexes that this allocation runs: all that no earlier one has completed."""
        return tuple(
            index
            for index, element in enumerate(self.all)
            if element.state is not ElementState.KEPT
        )

    @property
    def open(self) -> tuple[int, ...]:
        """The indexes that have not ended."""
        return tuple(index for index, element in enumerate(self.all) if not element.state.ended)

    @property
    def highest_code(self) -> int | None:
        """The highest exit code that is known."""
        return max((e.exit_code for e in self.all if e.exit_code is not None), default=None)

    def of(self, *states: ElementState) -> tuple[int, ...]:
        """The indexes of the elements in one of these states."""
        return tuple(index for index, element in enumerate(self.all) if element.state in states)

    def changed(self, new: Mapping[int, Element]) -> Elements:
        """These elements, some of them replaced."""
        return Elements(tuple(new.get(index, element) for index, element in enumerate(self.all)))

    def again(self) -> Elements:
        """What a further allocation begins with: what is complete is kept, the rest runs."""
        kept = Element(ElementState.KEPT, 0)
        return Elements(tuple(kept if e.state.done else Element() for e in self.all))

    def pack(self) -> bytes:
        """The compressed form for the item."""
        states = bytes(e.state | (_HAS_CODE if e.exit_code is not None else 0) for e in self.all)
        codes = bytes(e.exit_code or 0 for e in self.all)
        return bytes([_FORMAT]) + zlib.compress(states + codes, 9)

    @staticmethod
    def unpack(packed: bytes) -> Elements:
        """Read the elements from an item.

        Raises:
            ElementsError: it is no such vector.
        """
        if packed[:1] != bytes([_FORMAT]):
            raise ElementsError(f"not a vector of elements: it begins with {packed[:1]!r}")
        engine = zlib.decompressobj()
        try:
            raw = engine.decompress(packed[1:], 2 * MAX_ARRAY)
        except zlib.error as error:
            raise ElementsError(f"not a vector of elements: {error}") from error
        if not engine.eof or len(raw) % 2:
            raise ElementsError("the vector of elements is cut short or too large")
        half = len(raw) // 2
        try:
            return Elements(
                tuple(
                    Element(ElementState(state & ~_HAS_CODE), code if state & _HAS_CODE else None)
                    for state, code in zip(raw[:half], raw[half:], strict=True)
                )
            )
        except ValueError as error:
            raise ElementsError(f"not a vector of elements: {error}") from error


def ranges(indexes: Iterable[int]) -> str:
    """Indexes as schedulers and people write them: `3,7,10-12`."""
    parts: list[list[int]] = []
    for index in sorted(set(indexes)):
        if parts and parts[-1][-1] == index - 1:
            parts[-1][1:] = [index]
        else:
            parts.append([index])
    return ",".join("-".join(map(str, part)) for part in parts)


def indexes_of(text: str) -> tuple[int, ...]:
    """The indexes that `ranges` has written.

    Raises:
        ValueError: it has not.
    """
    found: list[int] = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)
