"""Where the time of a program goes: looks at the stacks of its threads again and again."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Self

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Area:
    """A part of a program.

    Attributes:
        name: in words.
        places: endings of a file's path, or such an ending, a colon and a function's name.
    """

    name: str
    places: tuple[str, ...]

    def holds(self, file: str, function: str) -> bool:
        """Whether a frame lies here."""
        for place in self.places:
            ending, _, only = place.partition(":")
            if ending in file and (not only or function == only):
                return True
        return False


def area_of(stack: Sequence[tuple[str, str]], areas: Sequence[Area]) -> str:
    """The area in which a thread is: that of the innermost frame that lies in one.

    Args:
        stack: file and function of each frame, the innermost first.
        areas: the areas; of those that hold a frame the first counts.
    """
    for file, function in stack:
        for area in areas:
            if area.holds(file, function):
                return area.name
    return OTHER


class Sampler:
    """Looks at this process while it is entered.

    Attributes:
        main: how often the main thread was seen in each area.
        workers: the same for all other threads together.
        seconds: for how long it looked.
    """

    def __init__(self, areas: Sequence[Area], every: float = 0.002) -> None:
        """Prepare to look.

        Args:
            areas: the parts of the program.
            every: seconds between two looks.
        """
        self.main: Counter[str] = Counter()
        self.workers: Counter[str] = Counter()
        self.seconds = 0.0
        self._areas = areas
        self._every = every
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._look, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        self._begun = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._begun
        self._leave.set()
        self._thread.join()

    def _look(self) -> None:
        mine, first = threading.get_ident(), threading.main_thread().ident
        while not self._leave.wait(self._every):
            for thread, frame in sys._current_frames().items():
                if thread == mine:
                    continue
                seen = area_of(_stack(frame), self._areas)
                (self.main if thread == first else self.workers)[seen] += 1


def _stack(frame: FrameType | None) -> list[tuple[str, str]]:
    found = []
    while frame is not None:
        found.append((frame.f_code.co_filename, frame.f_code.co_name))
        frame = frame.f_back
    return found
