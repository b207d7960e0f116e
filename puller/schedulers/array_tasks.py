"""How the elements of an array are numbered at a scheduler, whose own numbers its scripts read.

A first submission numbers its tasks as the scheduler counts. A further attempt runs some elements
only: where a scheduler takes any list of numbers, they keep theirs; where it takes a range alone,
its tasks are numbered anew and the wrapper gives each of them its element's index and number back.
"""

from __future__ import annotations

from dataclasses import dataclass

USE_COUNT = (
    "would number elements that the puller cannot follow: remove it, and state `count` in "
    "aws-job.json"
)
"""What is said of a script's own directive for an array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNumbers:
    """What numbers a scheduler gives to tasks.

    Attributes:
        first: the lowest one: the number of the element with index 0.
        any_list: whether it takes any list of numbers, or only a range.
    """

    first: int
    any_list: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayTasks:
    """The elements of an array that one submission runs.

    Attributes:
        count: how many elements the array has.
        indexes: the indexes of those that run, in order.
        max_running: how many may run at once; None is the scheduler's own rule.
        numbers: see `TaskNumbers`.
    """

    count: int
    indexes: tuple[int, ...]
    max_running: int | None
    numbers: TaskNumbers

    @property
    def renumbered(self) -> bool:
        """Whether tasks have other numbers than their elements had at first."""
        return not self.numbers.any_list and len(self.indexes) < self.count

    @property
    def tasks(self) -> tuple[int, ...]:
        """The numbers of the tasks, in the order of `indexes`."""
        first = self.numbers.first
        if self.renumbered:
            return tuple(range(first, first + len(self.indexes)))
        return tuple(first + index for index in self.indexes)
