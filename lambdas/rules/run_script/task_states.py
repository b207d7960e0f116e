"""Reading `alloc/task-states`, which the run script writes, as Nomad's API shows `TaskStates`.

The file grows by lines of four fields between tabs: seconds since the epoch, the event's type in
Nomad's words, the task, and details as `name=value` words. `Dead` ends a task's run.
"""

from __future__ import annotations

from dataclasses import dataclass

TASK_STATES_PATH = "alloc/task-states"
"""Inside an element's folder."""

_SIGNAL_BASE = 128
_MAX_SIGNAL = 64


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One event.

    Attributes:
        type: Nomad's word, e.g. `Terminated`.
        time: seconds since the epoch.
        details: e.g. `exit_code`, `delay` (seconds), `timeout` (seconds).
    """

    type: str
    time: int
    details: dict[str, int]

    @property
    def exit_code(self) -> int | None:
        """128 + n for signal n, as in POSIX shells and in Nomad."""
        return self.details.get("exit_code")

    @property
    def signal(self) -> int:
        """The signal that ended the process; 0 for none."""
        number = (self.exit_code or 0) - _SIGNAL_BASE
        return number if 0 < number <= _MAX_SIGNAL else 0


@dataclass(frozen=True, slots=True)
class TaskState:
    """What became of a task so far.

    Attributes:
        state: `pending`, `running` or `dead`.
        failed: whether it failed for good.
        restarts: how often it was started again.
        started_at: seconds since the epoch of its latest start.
        finished_at: seconds since the epoch of its end.
        events: the newest last.
    """

    state: str
    failed: bool
    restarts: int
    started_at: int | None
    finished_at: int | None
    events: tuple[TaskEvent, ...]


def read_task_states(text: str) -> dict[str, TaskState]:
    """The states by task. A line that is cut, as the last one of a growing file, does not count.

    A requeued run writes behind the first one: a task that is received again starts anew.
    """
    events: dict[str, list[TaskEvent]] = {}
    for line in text.split("\n")[:-1]:
        fields = line.split("\t")
        if len(fields) != 4 or not fields[0].isdecimal():
            continue
        event = TaskEvent(fields[1], int(fields[0]), _details(fields[3]))
        if event.type == "Received":
            events[fields[2]] = []
        events.setdefault(fields[2], []).append(event)
    return {task: _state(tuple(told)) for task, told in events.items()}


def _details(text: str) -> dict[str, int]:
    pairs = (word.partition("=") for word in text.split())
    return {name: int(value) for name, _, value in pairs if value.isdecimal()}


def _state(events: tuple[TaskEvent, ...]) -> TaskState:
    started = [event.time for event in events if event.type == "Started"]
    dead = next((event for event in events if event.type == "Dead"), None)
    state = "dead" if dead else "running" if started else "pending"
    return TaskState(
        state=state,
        failed=dead is not None and dead.details.get("failed") == 1,
        restarts=sum(event.type == "Restarting" for event in events),
        started_at=started[-1] if started else None,
        finished_at=dead.time if dead else None,
        events=tuple(event for event in events if event.type != "Dead"),
    )
