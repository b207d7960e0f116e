"""Starting, restarting, stopping and the end: what Nomad's client does, done by the script."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.nomad_jobs.run_script.rendered import Run, hooked, job, place, shell

SECOND = 10**9
FOREVER = "echo $$ >pid; exec sleep 1000"


def alive(run: Run, path: str) -> bool:
    """Whether the process whose id lies in a file runs; a zombie does not."""
    try:
        status = Path("/proc", (run.root / path).read_text().strip(), "stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def made(tmp_path: Path) -> Any:
    def make(*tasks: dict[str, Any], **group: Any) -> Run:
        return place(tmp_path / "job", job(*tasks, **group))

    return make


@pytest.mark.parametrize("code", [0, 1, 3, 127, 143, 255])
def test_the_exit_code_is_the_tasks(made: Any, code: int) -> None:
    assert made(shell(f"exit {code}")).run() == (code, "")


def test_a_task_that_a_signal_ended_has_128_and_the_signal(made: Any) -> None:
    assert made(shell("kill -KILL $$")).run() == (137, "")


def test_stdout_and_stderr_go_to_the_tasks_logs_and_stdin_is_empty(made: Any) -> None:
    run = made(shell("cat; echo out; echo err >&2; ls /proc/$$/fd"))
    assert run.run() == (0, "")
    assert run.log() == "out\n0\n1\n2\n"
    assert run.log(kind="stderr") == "err\n"


@pytest.mark.parametrize("off", [{"Disabled": True}, {"Enabled": False}])
def test_logs_can_be_off(made: Any, off: dict[str, bool]) -> None:
    run = made(shell("echo out", LogConfig=off))
    assert run.run() == (0, "")
    assert list((run.root / "alloc/logs").iterdir()) == []


def test_the_folders_are_nomads(made: Any) -> None:
    folders = ("data", "logs", "tmp", "../main/local", "../main/secrets", "../main/tmp")
    run = made(shell(f"pwd; cd ../alloc && ls -d {' '.join(folders)}"))
    assert run.run() == (0, "")
    assert run.log().splitlines() == [f"{run.root}/main", *sorted(folders)]
    assert (run.root / "main/secrets").stat().st_mode & 0o777 == 0o700


def test_folders_in_which_no_task_left_anything_are_gone_at_the_end(made: Any) -> None:
    empty = made(shell("true"))
    assert empty.run() == (0, "")
    assert not (empty.root / "alloc/data").exists()
    assert not (empty.root / "main/local").exists()


def test_folders_in_which_a_task_left_something_stay(made: Any) -> None:
    run = made(shell("mkdir local/empty; : >../alloc/data/x"), shell("true", "other"))
    assert run.run() == (0, "")
    assert (run.root / "alloc/data/x").exists()
    assert (run.root / "main/local/empty").is_dir()
    assert not (run.root / "other/local").exists()


def test_nothing_of_the_scripts_own_is_left(made: Any) -> None:
    run = made(shell("exit 4"))
    run.run()
    assert list(run.root.parent.joinpath("job.scratch").iterdir()) == []
    assert [entry.name for entry in (run.root / ".nomad").iterdir()] == ["dispatch"]


def policy(**members: Any) -> dict[str, Any]:
    return {"Attempts": 2, "Interval": 3600 * SECOND, "Delay": 0, "Mode": "fail", **members}


def test_a_failing_task_restarts_as_often_as_its_policy_says(made: Any) -> None:
    run = made(shell("echo run; exit 5"), RestartPolicy=policy())
    assert run.run() == (5, "")
    assert run.log() == "run\n" * 3
    once = ["Started", "Terminated"]
    assert run.events() == [
        *("Received", *once, "Restarting", *once, "Restarting", *once, "Not Restarting", "Dead")
    ]


def test_a_task_that_works_at_last_has_not_failed(made: Any) -> None:
    run = made(
        shell("[ -e seen ] || { touch seen; exit 1; }", RestartPolicy=policy(Attempts=1)),
        RestartPolicy=policy(Attempts=0),
    )
    assert run.run() == (0, "")


def test_mode_delay_goes_on_in_the_next_interval(made: Any) -> None:
    ends_well = "echo x >>tries; [ $(wc -l <tries) -ge 3 ]"
    run = made(
        shell(ends_well), RestartPolicy=policy(Attempts=1, Interval=2 * SECOND, Mode="delay")
    )
    assert run.run() == (0, "")
    states = (run.root / "alloc/task-states").read_text()
    assert run.events().count("Restarting") == 2
    assert "delay=0\n" in states
    assert any(f"delay={n}\n" in states for n in (1, 2, 3))


def test_tasks_of_a_group_run_at_once(made: Any) -> None:
    meet = (
        "echo x >$NOMAD_ALLOC_DIR/{me}; while ! [ -e $NOMAD_ALLOC_DIR/{you} ]; do sleep 0.02; done"
    )
    run = made(shell(meet.format(me="a", you="b"), "a"), shell(meet.format(me="b", you="a"), "b"))
    assert run.run() == (0, "")


def test_the_first_failure_ends_the_others_and_gives_the_code(made: Any) -> None:
    run = made(
        shell("while ! [ -e ../other/pid ]; do sleep 0.02; done; exit 7", "bad"),
        shell(FOREVER, "other"),
    )
    assert run.run() == (7, "")
    assert "Sibling Task Failed" in run.events("other")
    assert "Killed" in run.events("other")
    assert not alive(run, "other/pid")


def test_the_end_of_the_leader_ends_the_others(made: Any) -> None:
    wait = "while ! [ -e ../other/pid ]; do sleep 0.02; done"
    run = made(shell(wait, "lead", Leader=True), shell(FOREVER, "other"))
    assert run.run() == (0, "")
    assert "Leader Task Dead" in run.events("other")


def test_hooks_run_in_their_order(made: Any) -> None:
    note = "echo {0} >>$NOMAD_ALLOC_DIR/order"
    wait = "; while ! grep -q after $NOMAD_ALLOC_DIR/order; do sleep 0.02; done"
    run = made(
        shell(note.format("main") + wait),
        hooked(note.format("last"), "last", "poststop"),
        hooked(note.format("before"), "before", "prestart"),
        hooked(
            "while ! grep -q main $NOMAD_ALLOC_DIR/order; do sleep 0.02; done; "
            + note.format("after"),
            "after",
            "poststart",
        ),
        hooked(FOREVER, "beside", "prestart", sidecar=True),
    )
    assert run.run() == (0, "")
    assert (run.root / "alloc/order").read_text().split() == ["before", "main", "after", "last"]
    assert "Main Tasks Dead" in run.events("beside")
    assert not alive(run, "beside/pid")


def test_a_failed_prestart_keeps_the_main_task_from_starting(made: Any) -> None:
    run = made(
        shell("true"),
        hooked("exit 9", "before", "prestart"),
        hooked("echo swept", "last", "poststop"),
    )
    assert run.run() == (9, "")
    assert run.events("main") == ["Received", "Dead"]
    assert run.log("last") == "swept\n"


def test_a_sidecar_that_ends_well_starts_again(made: Any) -> None:
    wait = "while [ $(cat ../beside/tries | wc -l) -lt 2 ]; do sleep 0.02; done 2>/dev/null"
    again = policy(Attempts=50)
    run = made(
        shell(wait),
        hooked("echo x >>tries", "beside", "prestart", sidecar=True, RestartPolicy=again),
    )
    assert run.run() == (0, "")


def test_poststop_runs_after_a_failure(made: Any) -> None:
    run = made(shell("exit 3"), hooked("echo swept", "last", "poststop"))
    assert run.run() == (3, "")
    assert run.log("last") == "swept\n"


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_by_the_scheduler_reaches_the_task_as_its_kill_signal(
    made: Any, stop: signal.Signals, code: int
) -> None:
    text = "trap 'echo told; exit 0' USR1; echo $$ >pid; while :; do sleep 0.05; done"
    run = made(shell(text, KillSignal="SIGUSR1"), hooked("echo swept", "last", "poststop"))
    process = run.start()
    run.wait_for_text("main/pid")
    process.send_signal(stop)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert run.log() == "told\n"
    assert run.log("last") == "swept\n"
    assert "Stopped by the scheduler" in run.events("main")


def test_a_stop_of_the_whole_process_group_ends_everything(made: Any) -> None:
    run = made(shell(FOREVER), RestartPolicy=policy(Attempts=3, Delay=60 * SECOND))
    process = run.start()
    run.wait_for_text("main/pid")
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert not alive(run, "main/pid")


def test_a_task_that_ignores_its_kill_signal_is_killed_with_its_children(made: Any) -> None:
    text = "trap '' INT TERM; sleep 1000 & echo $! >child; echo $$ >pid; while :; do wait; done"
    run = made(shell(text, KillTimeout=SECOND))
    process = run.start()
    run.wait_for_text("main/pid")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert not alive(run, "main/child")
    assert not alive(run, "main/pid")


def test_a_killed_task_leaves_no_children_behind(made: Any) -> None:
    run = made(shell("sleep 1000 & echo $! >child; echo $$ >pid; wait"))
    process = run.start()
    run.wait_for_text("main/pid")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    run.wait_for(lambda: not alive(run, "main/child"))


def test_user_signals_reach_the_task(made: Any) -> None:
    text = "trap 'echo saved; exit 0' USR1; echo $$ >pid; while :; do sleep 0.05; done"
    run = made(shell(text))
    process = run.start()
    run.wait_for_text("main/pid")
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=60)
    assert (process.returncode, run.log()) == (0, "saved\n")


def test_max_run_duration_ends_the_group(made: Any) -> None:
    run = made(shell(FOREVER), hooked("echo swept", "last", "poststop"), MaxRunDuration=SECOND)
    assert run.run() == (124, "")
    assert "Exceeded max_run_duration" in run.events("main")
    assert run.log("last") == "swept\n"


def test_a_command_that_is_not_there_is_told_and_not_tried_again(made: Any) -> None:
    one = {"Name": "main", "Driver": "exec", "Config": {"command": "no-such-program"}}
    run = made(one, RestartPolicy=policy())
    code, said = run.run()
    assert code == 127
    assert "no-such-program is neither in the task's directory nor in PATH" in said
    assert run.log(kind="stderr") == said
    assert run.events() == ["Received", "Driver Failure", "Dead"]


def test_a_task_whose_shell_was_killed_does_not_live_on(made: Any) -> None:
    run = made(shell("echo $PPID >shell; echo $$ >pid; exec sleep 1000"))
    process = run.start()
    run.wait_for_text("main/pid")
    os.kill(int((run.root / "main/shell").read_text()), signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == 137
    run.wait_for(lambda: not alive(run, "main/pid"))
