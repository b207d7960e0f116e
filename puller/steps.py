"""The steps of an allocation's life, put together."""

from __future__ import annotations

from dataclasses import dataclass

from puller.bringing import Bringing
from puller.lifecycle import Lifecycle
from puller.publishing import Publishing
from puller.purging import Purging
from puller.submitting import Submitting
from puller.watching import Watching
from puller.workplace import Workplace


@dataclass(frozen=True, slots=True)
class Steps:
    """What a pass does with allocations.

    Attributes:
        lifecycle: claim, report, end.
        bringing: fetch inputs and artifacts.
        submitting: hand to the scheduler.
        watching: observe and cancel.
        publishing: push logs and results.
        purging: remove the directories of purged jobs.
    """

    lifecycle: Lifecycle
    bringing: Bringing
    submitting: Submitting
    watching: Watching
    publishing: Publishing
    purging: Purging


def steps_of(place: Workplace) -> Steps:
    """The steps with these tools."""
    lifecycle = Lifecycle(place)
    bringing = Bringing(lifecycle)
    return Steps(
        lifecycle,
        bringing,
        Submitting(lifecycle, bringing),
        Watching(lifecycle),
        Publishing(lifecycle, bringing),
        Purging(place),
    )
