"""Reading `alloc/task-states`, which the run script writes, as Nomad's API shows `TaskStates`.

The file grows by lines of four fields between tabs: seconds since the epoch, the event's type in
Nomad's words, the task, and details as `name=value` words. `Dead` ends a task's run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

TASK_STATES_PATH = "alloc/task-states"
"""Inside an element's folder."""

_SIGNAL_BASE = 128
_MAX_SIGNAL = 64
_NANOSECONDS = 1_000_000_000
_MESSAGES = {
    "Received": "Task received by client",
    "Started": "Task started by client",
    "Terminated": "Exit Code: {exit_code}",
    "Restarting": "Task restarting in {delay}s",
    "Not Restarting": "Exceeded allowed attempts, or the policy allows no restarts",
    "Killing": "Sent interrupt. Waiting {timeout}s before force killing",
    "Killed": "Task successfully killed",
    "Sibling Task Failed": "Task's sibling failed",
    "Leader Task Dead": "Leader Task in Group dead",
    "Main Tasks Dead": "Main tasks in the group died",
    "Driver Failure": "The command could not be started; the task's stderr says why",
    "Setup Failure": "The task could not be set up; the task's stderr says why",
}
"""Nomad's texts where it has one."""


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


def as_api(states: Mapping[str, TaskState]) -> dict[str, dict[str, Any]]:
    """`TaskStates` of an allocation in Nomad's API."""
    return {
        task: {
            "State": state.state,
            "Failed": state.failed,
            "Restarts": state.restarts,
            "StartedAt": _time(state.started_at),
            "FinishedAt": _time(state.finished_at),
            "Events": [_event(event) for event in state.events],
        }
        for task, state in states.items()
    }


def _event(event: TaskEvent) -> dict[str, Any]:
    message = _MESSAGES.get(event.type, event.type)
    for name, value in event.details.items():
        message = message.replace(f"{{{name}}}", str(value))
    return {
        "Type": event.type,
        "Time": event.time * _NANOSECONDS,
        "DisplayMessage": message + (f", Signal: {event.signal}" if event.signal else ""),
        "Details": {name: str(value) for name, value in event.details.items()},
        "ExitCode": event.exit_code or 0,
        "Signal": event.signal,
    }


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


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
