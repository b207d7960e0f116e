from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import SchedulerUnavailable, SettingsError
from puller.schedulers.choose import choose_scheduler
from puller.schedulers.interface import EndReason, SchedulerState
from puller.schedulers.local import Local, parse_end
from puller.schedulers.local_processes import parse_stat
from puller.schedulers.slurm import Slurm

RECORD = "id=71.12345.0d9f8e7a\nwhy={}\ncode={}\nend\n"
JOB_ID = "71.12345.0d9f8e7a"


@pytest.mark.parametrize(
    ("why", "code", "end", "exit_code"),
    [
        ("exited", "3", None, 3),
        ("exited", "", None, None),
        ("timeout", "124", EndReason.TIMEOUT, None),
        ("cancelled", "143", EndReason.CANCELLED, None),
    ],
)
def test_the_supervisors_record_tells_why_a_job_ended(
    why: str, code: str, end: EndReason | None, exit_code: int | None
) -> None:
    job = parse_end(RECORD.format(why, code), JOB_ID)
    assert job is not None
    assert job.state is SchedulerState.ENDED
    assert (job.end, job.exit_code, job.words) == (end, exit_code, why.upper())


def test_another_jobs_record_or_a_cut_one_tells_nothing() -> None:
    whole = RECORD.format("exited", "0")
    assert parse_end(whole, "71.12346.0d9f8e7a") is None
    for length in range(len(whole)):
        assert parse_end(whole[:length], JOB_ID) is None


@given(st.text())
def test_no_content_raises(text: str) -> None:
    parse_end(text, JOB_ID)
    parse_end(f"id={JOB_ID}\nwhy=exited\n{text}\nend\n", JOB_ID)
    parse_stat(text)


def test_a_command_name_cannot_forge_the_fields_of_a_process() -> None:
    fields = " ".join(["S", "1", "71", "71", *["0"] * 15, "12345", *["0"] * 30])
    stat = parse_stat(f"71 (evil) Z 1 2 3) {fields}\n")
    assert stat is not None
    assert (stat.state, stat.group, stat.session, stat.start_ticks) == ("S", 71, 71, 12345)


def test_without_proc_there_is_no_evidence(tmp_path: Path) -> None:
    local = Local(tmp_path, proc=tmp_path / "none")
    with pytest.raises(SchedulerUnavailable, match="none"):
        local.list_mine()


def test_windows_line_ends_are_refused_where_they_hide_the_interpreter(tmp_path: Path) -> None:
    local = Local(tmp_path)
    assert "CRLF" in (local.script_problem("#!/bin/bash\r\nexit\r\n") or "")
    assert local.script_problem("#!/bin/bash\necho '\r\n'\n") is None


def test_the_settings_name_the_scheduler(tmp_path: Path) -> None:
    made = {
        name: choose_scheduler(name, environment={}, control_root=tmp_path)
        for name in ("local", "slurm")
    }
    assert isinstance(made["local"], Local)
    assert isinstance(made["slurm"], Slurm)
    assert {name: scheduler.name for name, scheduler in made.items()} == {
        "local": "local",
        "slurm": "slurm",
    }


def test_an_unknown_scheduler_is_told_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'condor'.*auto, local, slurm"):
        choose_scheduler("condor", environment={}, control_root=tmp_path)
