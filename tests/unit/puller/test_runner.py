from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from puller.errors import SchedulerUnavailable
from puller.schedulers.runner import CommandMissing, run_command

ENVIRONMENT = {"PATH": os.defpath}


def shell(commands: str) -> list[str]:
    return ["/bin/sh", "-c", commands]


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_output_code_and_locale_come_back() -> None:
    done = run_command(shell("echo $LC_ALL; echo oops >&2; exit 3"), environment=ENVIRONMENT)
    assert (done.code, done.stdout, done.stderr, done.timed_out) == (3, "C\n", "oops\n", False)
    assert done.says == "oops"


def test_a_command_that_hands_its_environment_on_keeps_its_locale() -> None:
    done = run_command(
        shell("echo $LC_ALL"), environment={**ENVIRONMENT, "LC_ALL": "ja_JP"}, own_locale=True
    )
    assert done.stdout == "ja_JP\n"


def test_nothing_else_of_the_environment_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    done = run_command(["env"], environment=ENVIRONMENT)
    assert "AWS" not in done.stdout


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    done = run_command(
        shell(f"sleep 300 & echo $! >'{tmp_path}/child'; echo said; wait"),
        environment=ENVIRONMENT,
        timeout=0.5,
    )
    assert time.monotonic() - began < 60
    assert (done.timed_out, done.code, done.stdout) == (True, None, "said\n")
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 60
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_command_that_closes_its_outputs_and_hangs_is_killed() -> None:
    done = run_command(shell("exec >&- 2>&-; exec sleep 300"), environment=ENVIRONMENT, timeout=0.5)
    assert done.timed_out


def test_a_descendant_that_keeps_the_output_open_holds_nobody_up() -> None:
    began = time.monotonic()
    done = run_command(shell("echo id; sleep 300 & exit 0"), environment=ENVIRONMENT)
    assert time.monotonic() - began < 60
    assert (done.code, done.stdout, done.timed_out) == (0, "id\n", False)


def test_what_is_beyond_the_bound_is_dropped_and_told() -> None:
    done = run_command(
        shell("head -c 300000 /dev/zero; echo end >&2"), environment=ENVIRONMENT, max_output=1000
    )
    assert (len(done.stdout), done.cut, done.code, done.stderr) == (1000, True, 0, "end\n")


def test_exactly_the_bound_is_not_cut() -> None:
    done = run_command(["printf", "12345"], environment=ENVIRONMENT, max_output=5)
    assert (done.stdout, done.cut) == ("12345", False)


def test_bytes_that_are_no_text_come_back() -> None:
    done = run_command(shell(r"printf '\223\372'"), environment=ENVIRONMENT)
    assert done.stdout.encode(errors="surrogateescape") == b"\x93\xfa"


def test_words_to_give_up_at_end_it_at_once() -> None:
    began = time.monotonic()
    done = run_command(
        shell("echo sleeping and retrying >&2; sleep 300"),
        environment=ENVIRONMENT,
        give_up_at="and retrying",
    )
    assert time.monotonic() - began < 60
    assert (done.code, done.timed_out) == (None, False)
    assert done.gave_up_after is not None
    assert 0 <= done.gave_up_after < 60


def test_time_before_the_words_does_not_count() -> None:
    done = run_command(
        shell("sleep 1.5; echo retrying >&2; sleep 300"),
        environment=ENVIRONMENT,
        give_up_at="retrying",
    )
    assert done.gave_up_after is not None
    assert done.gave_up_after < 1.5


def test_arguments_are_no_shell_string() -> None:
    done = run_command(["printf", "%s|", "a b", "$(id)", ";"], environment=ENVIRONMENT)
    assert done.stdout == "a b|$(id)|;|"


def test_a_descriptor_is_inherited_only_if_asked(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        look = [*shell('readlink "/proc/self/fd/$0"'), str(lock.fileno())]
        passed = run_command(look, environment=ENVIRONMENT, pass_fds=(lock.fileno(),))
        kept = run_command(look, environment=ENVIRONMENT)
    assert (passed.stdout.strip(), kept.stdout) == (str(tmp_path / "lock"), "")


def test_a_program_that_is_missing_says_what_to_do() -> None:
    with pytest.raises(CommandMissing, match="`path` in the puller's settings"):
        run_command(["sbatch-of-nobody"], environment=ENVIRONMENT)


def test_a_directory_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(SchedulerUnavailable, match="none"):
        run_command(["true"], environment=ENVIRONMENT, directory=tmp_path / "none")


def test_the_program_is_found_on_the_search_path(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho $PATH\n")
    program.chmod(0o755)
    done = run_command(["program"], environment={"PATH": "/bin"}, search_path=str(tmp_path))
    assert done.stdout == "/bin\n"
