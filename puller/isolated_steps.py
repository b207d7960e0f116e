"""Takes the steps of a pass, each for itself: one that fails never keeps the others from theirs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from puller.at_work import AtWork
from puller.errors import (
    CloudRefused,
    CloudUnreachable,
    HeldElsewhere,
    PullerError,
    SchedulerUnavailable,
)
from puller.journal import Journal, Record, TakenOver, told
from puller.pass_outcome import Outcome

if TYPE_CHECKING:
    from puller.lifecycle import Lifecycle

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

_AT_ONCE = 8


class IsolatedSteps:
    """The steps of one installation's allocations; each allocation has one at a time."""

    def __init__(self, journal: Journal, lifecycle: Callable[[], Lifecycle]) -> None:
        """Take steps.

        Args:
            journal: what the installation holds.
            lifecycle: gives what tells users of problems; called when there is something to do.
        """
        self._journal = journal
        self._lifecycle = lifecycle
        self._at_work: AtWork[Record | None] = AtWork()
        self.under_way = self._at_work.under_way
        self.crowded = self._at_work.crowded
        self.finish = self._at_work.finish
        self.prepare(Outcome(), tell_after=0.0, to_the_end=True)

    def prepare(self, outcome: Outcome, *, tell_after: float, to_the_end: bool) -> None:
        """A pass begins.

        Args:
            outcome: notes what becomes of it.
            tell_after: seconds that a passing state must have lasted before it is told.
            to_the_end: whether it waits for steps that take long.
        """
        self._outcome = outcome
        self._tell_after = tell_after
        self._to_the_end = to_the_end

    def take(
        self,
        step: Callable[[T], Record | None],
        items: Iterable[T],
        *,
        at_once: int | None = None,
        to_the_end: bool = False,
    ) -> list[Record]:
        """Take a step with each item, a record or the id of an allocation.

        Args:
            step: the step.
            items: those whose steps are under way are left out.
            at_once: how many steps, without those that take long; None for as many as usual.
            to_the_end: whether to wait for all, whatever the pass does.

        Returns:
            What is held of them, without those whose steps go on.

        Raises:
            HeldElsewhere: another host has taken over.
        """
        outcome = self._outcome
        named = [(item.id if isinstance(item, Record) else str(item), item) for item in items]
        if not named:
            return []
        self._lifecycle().tell_after = self._tell_after
        held = self._at_work.take(
            lambda item: self._guarded(step, item, outcome),
            named,
            at_once=at_once or _AT_ONCE,
            to_the_end=to_the_end or self._to_the_end,
        )
        return [record for record in held if record is not None]

    def _guarded(
        self, step: Callable[[T], Record | None], item: T, outcome: Outcome
    ) -> Record | None:
        name = told(item) if isinstance(item, Record) else f"allocation {item}"
        problem: Exception | None = None
        try:
            return step(item)
        except (CloudUnreachable, CloudRefused) as error:
            outcome.note(error, name)
            problem = error if isinstance(error, CloudRefused) else None
        except TakenOver:
            raise
        except (HeldElsewhere, SchedulerUnavailable) as error:
            _LOG.warning("%s: %s", name, error)
        except (PullerError, OSError) as error:
            _LOG.error("%s: %s", name, error)
            problem = error
        except Exception:
            _LOG.exception("%s: unexpected error; the next pass tries again", name)
        return self._as_it_stands(item, problem)

    def _as_it_stands(self, item: object, problem: Exception | None) -> Record | None:
        """What the journal says after a step that failed half-way; its user is told why."""
        try:
            held = self._journal.find(item.id if isinstance(item, Record) else str(item))
            if held is not None and problem is not None:
                self._lifecycle().show_problem(held, str(problem))
        except (CloudUnreachable, CloudRefused):
            return held
        except Exception:
            _LOG.exception("%s: unexpected error", item)
            return item if isinstance(item, Record) else None
        return held
