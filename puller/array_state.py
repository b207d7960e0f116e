"""What the puller knows of an array: one state for each element, and what follows for all of them.

Pure: each element is judged by the rule of `observation` like a job of its own, and an element that
has ended stays as it is. The whole array's end follows from its elements' alone, never from what a
scheduler shows as the state of the array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from job_protocol.allocation import Allocation
from job_protocol.elements import Element, Elements, ElementsError, ElementState
from job_protocol.elements import indexes_of as _indexes_of
from job_protocol.elements import ranges as _ranges
from job_protocol.states import ClientStatus
from puller.journal import End, Record
from puller.observation import AskDetail, Live, Over, Verdict, Wait
from puller.schedulers.array_tasks import ArrayTasks, TaskNumbers

MOST_WORDS = 20
"""Of how many elements the scheduler's words are remembered."""

_MOST_NAMED = 20
"""How many elements a reason names."""

_STATE_OF_END = {
    ClientStatus.COMPLETE: ElementState.COMPLETE,
    ClientStatus.FAILED: ElementState.FAILED,
    ClientStatus.STOPPED: ElementState.STOPPED,
    ClientStatus.LOST: ElementState.LOST,
}
_STATE_OF_LIVE = {
    ClientStatus.QUEUED: ElementState.QUEUED,
    ClientStatus.RUNNING: ElementState.RUNNING,
}
_SAID_OF = {
    ElementState.FAILED: "failed",
    ElementState.LOST: "lost",
    ElementState.STOPPED: "stopped",
}


@dataclass(frozen=True, slots=True)
class ArrayState:
    """What is known of an array's elements.

    Attributes:
        elements: state and exit code of each.
        missing: by index: since when neither the scheduler nor an exit file has known it.
        words: by index: why it ended, in the scheduler's words, of the first `MOST_WORDS`.
    """

    elements: Elements
    missing: Mapping[int, float]
    words: Mapping[int, str]


def tasks_of(allocation: Allocation, numbers: TaskNumbers) -> ArrayTasks | None:
    """The elements that a submission of the allocation runs; None if it is no array.

    Raises:
        ElementsError: the allocation contradicts itself; the message says how.
    """
    count, elements = allocation.settings.array, allocation.known_elements
    if count is None or elements is None:
        return None
    if len(elements.all) != count:
        raise ElementsError(f"{count} elements are stated, and {len(elements.all)} described")
    if not elements.to_run:
        raise ElementsError("every element is complete already")
    return ArrayTasks(
        count=count,
        indexes=elements.to_run,
        max_running=allocation.settings.max_running,
        numbers=numbers,
    )


def state_of(record: Record) -> ArrayState:
    """What the journal says of an array.

    Raises:
        ElementsError: it cannot be read.
    """
    packed = record.elements or record.allocation.elements
    elements = replace(record.allocation, elements=packed).known_elements
    if elements is None:
        raise ElementsError("it is no array")
    return ArrayState(
        elements=elements,
        missing={i: since for text, since in record.missing.items() for i in _indexes_of(text)},
        words={int(index): words for index, words in record.element_words.items()},
    )


def with_state(record: Record, state: ArrayState) -> Record:
    """The record with this state; the same one if nothing has changed."""
    packed = state.elements.pack()
    if packed == (record.elements or record.allocation.elements):
        packed = record.elements or packed
    by_time: dict[float, list[int]] = {}
    for index, since in state.missing.items():
        by_time.setdefault(since, []).append(index)
    changed = replace(
        record,
        elements=packed,
        missing={_ranges(indexes): since for since, indexes in by_time.items()},
        element_words={str(index): words for index, words in state.words.items()},
    )
    if changed == record:
        return record
    return changed if packed == record.elements else replace(changed, elements_told=False)


def follow(state: ArrayState, verdicts: Mapping[int, Verdict]) -> ArrayState:
    """The state after a look at some elements that had not ended.

    Args:
        state: the state before.
        verdicts: by index: what the evidence says.
    """
    new: dict[int, Element] = {}
    missing, words = dict(state.missing), dict(state.words)
    for index, verdict in verdicts.items():
        match verdict:
            case Live(status=status):
                missing.pop(index, None)
                if status is not None:
                    new[index] = Element(_STATE_OF_LIVE[status])
            case Wait(since=since):
                missing.setdefault(index, since)
            case Over(end=end):
                missing.pop(index, None)
                new[index] = Element(_STATE_OF_END[end.status], end.exit_code)
                if end.reason and end.status is not ClientStatus.COMPLETE:
                    words[index] = end.reason
            case AskDetail():
                continue
    kept_words = dict(sorted(words.items())[:MOST_WORDS])
    return ArrayState(state.elements.changed(new), missing, kept_words)


def conclude(state: ArrayState, *, stop_asked: bool, now: float) -> Live | Over:
    """What the elements mean for the array: it runs as soon as one of them has begun.

    Args:
        state: the state of the elements.
        stop_asked: whether this puller has asked the scheduler to cancel the array.
        now: seconds since the epoch, the time of an end.
    """
    elements = state.elements
    if elements.open:
        begun = [e for e in elements.all if e.state not in (ElementState.QUEUED, ElementState.KEPT)]
        return Live(ClientStatus.RUNNING if begun else ClientStatus.QUEUED, "")
    end = End(
        status=_status(elements, stop_asked=stop_asked),
        exit_code=elements.highest_code,
        reason=reason_of(state),
        time=int(now),
    )
    return Over(end)


def _status(elements: Elements, *, stop_asked: bool) -> ClientStatus:
    there = {element.state for element in elements.all}
    if stop_asked and ElementState.STOPPED in there:
        return ClientStatus.STOPPED
    ends = (ClientStatus.FAILED, ClientStatus.LOST, ClientStatus.STOPPED)
    return next((end for end in ends if _STATE_OF_END[end] in there), ClientStatus.COMPLETE)


def reason_of(state: ArrayState) -> str | None:
    """Which elements did not complete, and why as far as the scheduler says; None if all did."""
    count = len(state.elements.all)
    found = {said: state.elements.of(which) for which, said in _SAID_OF.items()}
    parts = [
        f"{len(indexes)} of {count} elements {said}: {_named(indexes)}"
        for said, indexes in found.items()
        if indexes
    ]
    by_words: dict[str, list[int]] = {}
    for index, words in state.words.items():
        by_words.setdefault(words, []).append(index)
    parts += [f"{words}: {_named(indexes)}" for words, indexes in list(by_words.items())[:3]]
    return "; ".join(parts) or None


def _named(indexes: Iterable[int]) -> str:
    every = list(indexes)
    more = ", ..." if len(every) > _MOST_NAMED else ""
    return ", ".join(map(str, every[:_MOST_NAMED])) + more
