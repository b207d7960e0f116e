"""What the script tells of its tasks, as the API reads it."""

from __future__ import annotations

from pathlib import Path

from nomad_jobs.run_script.task_states import (
    TASK_STATES_PATH,
    TaskState,
    as_api,
    read_task_states,
)
from tests.unit.nomad_jobs.run_script.rendered import Run, hooked, job, place, shell


def states(run: Run) -> dict[str, TaskState]:
    return read_task_states((run.root / TASK_STATES_PATH).read_text())


def test_a_run_is_read_back(tmp_path: Path) -> None:
    policy = {"Attempts": 1, "Interval": 10**12, "Delay": 0, "Mode": "fail"}
    run = place(
        tmp_path / "job",
        job(
            shell("kill -KILL $$", "計算 a", RestartPolicy=policy),
            hooked("exec sleep 1000", "beside", "prestart", sidecar=True),
        ),
    )
    assert run.run() == (137, "")
    told = states(run)
    failed = told["計算 a"]
    assert (failed.state, failed.failed, failed.restarts) == ("dead", True, 1)
    ends = [event for event in failed.events if event.type == "Terminated"]
    assert [(event.exit_code, event.signal) for event in ends] == [(137, 9)] * 2
    assert failed.started_at is not None
    assert failed.finished_at is not None
    assert failed.started_at <= failed.finished_at
    beside = told["beside"]
    assert (beside.state, beside.failed, beside.restarts) == ("dead", False, 0)
    assert run.run() == (137, "")  # a requeue writes behind the first run
    assert states(run)["計算 a"].restarts == 1


def test_a_growing_or_strange_file_is_read_as_far_as_it_makes_sense() -> None:
    text = "1\tReceived\ta\t\n2\tStarted\ta\t\nnonsense\n3\tTerminated\ta\texit_code=1 x=y\n4\tDea"
    state = read_task_states(text)["a"]
    assert (state.state, state.failed, state.started_at) == ("running", False, 2)
    assert [event.details for event in state.events] == [{}, {}, {"exit_code": 1}]
    assert read_task_states("") == {}


def test_the_api_shows_nomads_words() -> None:
    text = (
        "0\tReceived\ta\t\n1\tStarted\ta\t\n2\tTerminated\ta\texit_code=137\n"
        "2\tRestarting\ta\tdelay=15\n3\tDead\ta\tfailed=1 exit_code=137\n4\tReceived\tb\t\n"
    )
    shown = as_api(read_task_states(text))
    assert shown["b"]["StartedAt"] is shown["b"]["FinishedAt"] is None
    events = shown["a"].pop("Events")
    assert shown["a"] == {
        "State": "dead",
        "Failed": True,
        "Restarts": 1,
        "StartedAt": "1970-01-01T00:00:01Z",
        "FinishedAt": "1970-01-01T00:00:03Z",
    }
    assert [event["DisplayMessage"] for event in events] == [
        "Task received by client",
        "Task started by client",
        "Exit Code: 137, Signal: 9",
        "Task restarting in 15s",
    ]
    assert events[2] == {
        "Type": "Terminated",
        "Time": 2 * 10**9,
        "DisplayMessage": "Exit Code: 137, Signal: 9",
        "Details": {"exit_code": "137"},
        "ExitCode": 137,
        "Signal": 9,
    }
