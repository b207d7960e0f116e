"""Jobs as real processes of this machine."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import STDERR, STDOUT
from puller.errors import SchedulerUnavailable
from puller.schedulers import local as local_module
from puller.schedulers.interface import EndReason, SchedulerState
from puller.schedulers.local import Local
from puller.schedulers.local_supervisor import KILL_GRACE
from tests.schedulers.prepared_job import PATH, PreparedJob, eventually, prepare

IGNORES_TERM = "#!/bin/bash\ntrap '' TERM\n: >up\nwhile :; do sleep 0.1; done\n"
WAITS = "#!/bin/bash\n: >up\nexec sleep 60\n"


@pytest.fixture
def local(tmp_path: Path) -> Local:
    return Local(tmp_path / ".jobferry/alloc")


@pytest.fixture
def quick_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_module, "KILL_GRACE", 1)


def gone(job: PreparedJob) -> None:
    eventually(lambda: job.id not in job.scheduler.list_mine() or None)


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("code", [0, 3])
def test_a_job_runs_and_its_code_is_known(local: Local, tmp_path: Path, code: int) -> None:
    job = prepare(local, tmp_path, f"#!/bin/sh\npwd\necho oops >&2\nexit {code}\n")
    job.submit()
    record = job.exit()
    assert (record.scheduler_id, record.code) == (job.id, code)
    assert (job.job_dir / STDOUT).read_text() == f"{job.job_dir}\n"
    assert (job.job_dir / STDERR).read_text() == "oops\n"
    ended = job.ended()
    assert (ended.end, ended.exit_code) == (None, code)
    assert job.submission.scheduler_output.read_text() == ""


@pytest.mark.parametrize("name", ["projA/job 7", "計算/シミュレーション", 'it\'s "$HOME" %j \\'])
def test_any_job_id_works(local: Local, tmp_path: Path, name: str) -> None:
    job = prepare(local, tmp_path, '#!/bin/sh\npwd\n[ "$0" = "$PWD/aws-job-run.sh" ]\n', job=name)
    job.submit()
    assert job.exit().code == 0
    assert (job.job_dir / STDOUT).read_text() == f"{job.job_dir}\n"


def test_a_live_job_is_listed_with_its_identity(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, WAITS)
    before = int(time.time()) - 2
    job.submit()
    job.has_file("up")
    listed = local.list_mine()  # other tests' jobs may be among them
    assert listed[job.id].state is SchedulerState.RUNNING
    assert listed[job.id].identity == str(job.submission.wrapper)
    submitted_at = listed[job.id].submitted_at
    assert submitted_at is not None
    assert before <= submitted_at <= time.time() + 2
    start = job.records().start
    assert start is not None
    assert start.scheduler_id == job.id
    local.cancel(job.id)
    gone(job)


def test_a_script_that_is_killed_is_137(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, "#!/bin/sh\nkill -KILL $$\n")
    job.submit()
    assert job.exit().code == 137
    assert (job.ended().end, job.ended().exit_code) == (None, 137)


def test_a_job_may_use_every_signal(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, "#!/bin/bash\ntrap 'exit 5' INT\nkill -INT $$\nexit 1\n")
    job.submit()
    assert job.exit().code == 5


def test_a_cancelled_job_ends_and_nobody_waits_for_it(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, WAITS)
    job.submit()
    job.has_file("up")
    began = time.monotonic()
    local.cancel(job.id)
    assert time.monotonic() - began < KILL_GRACE
    assert job.ended().end is EndReason.CANCELLED
    assert job.exit().code == 128 + signal.SIGTERM


@pytest.mark.usefixtures("quick_kill")
def test_a_job_that_ignores_its_cancellation_is_killed(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, IGNORES_TERM)
    job.submit()
    job.has_file("up")
    local.cancel(job.id)
    local.cancel(job.id)
    assert job.ended().end is EndReason.CANCELLED
    assert job.records().exit is None
    assert job.submission.scheduler_output.read_text() == ""  # bash tells nothing of its own
    gone(job)


def test_a_time_limit_is_kept_without_a_puller(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, WAITS, settings=JobSettings(time_limit=1))
    job.submit()
    assert job.ended().end is EndReason.TIMEOUT
    assert job.exit().code == 128 + signal.SIGTERM


@pytest.mark.usefixtures("quick_kill")
def test_a_job_that_ignores_its_time_limit_is_killed(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, IGNORES_TERM, settings=JobSettings(time_limit=1))
    job.submit()
    assert job.ended().end is EndReason.TIMEOUT


def test_the_codes_of_a_time_limit_are_not_taken_for_one(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, "#!/bin/sh\nexit 124\n", settings=JobSettings(time_limit=3600))
    job.submit()
    assert (job.ended().end, job.ended().exit_code) == (None, 124)


def test_a_double_submission_runs_once(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, "#!/bin/sh\necho ran\nsleep 0.3\nexit 3\n")
    first, second = job.submit(), job.submit()
    assert first != second
    for scheduler_id in (first, second):
        eventually(lambda i=scheduler_id: i not in local.list_mine() or None)
    assert (job.job_dir / STDOUT).read_text() == "ran\n"
    assert job.exit().code == 3
    assert job.exit().scheduler_id in (first, second)


def test_what_a_job_leaves_running_is_ended(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, "#!/bin/sh\nsleep 60 &\necho $! >left\nexit 0\n")
    job.submit()
    assert job.ended().exit_code == 0
    left = int((job.job_dir / "left").read_text())
    eventually(lambda: not is_running(left) or None)


def test_a_job_outlives_the_process_that_submitted_it(local: Local, tmp_path: Path) -> None:
    job = prepare(
        local, tmp_path, "#!/bin/sh\n: >up\nuntil [ -e go ]; do sleep 0.05; done\nexit 6\n"
    )
    source = f"""
import os
from pathlib import Path
from job_protocol.job_settings import JobSettings
from puller.schedulers.interface import Submission
from puller.schedulers.local import Local
from puller.schedulers.local_supervisor import KILL_GRACE
print(Local(Path({str(tmp_path / ".jobferry/alloc")!r})).submit(Submission(
    name="j", job_dir=Path({str(job.job_dir)!r}), wrapper=Path({str(job.submission.wrapper)!r}),
    scheduler_output=Path({str(job.submission.scheduler_output)!r}), settings=JobSettings(),
    environment={{"PATH": {PATH!r}}})), flush=True)
os.kill(0, 9)
"""
    puller = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
        check=False,
    )
    assert puller.returncode == -signal.SIGKILL
    job.ids.append(puller.stdout.strip())
    job.has_file("up")
    assert job.id in local.list_mine()
    (job.job_dir / "go").touch()
    assert job.exit().code == 6


def test_an_id_of_another_boot_or_of_a_recycled_pid_is_unknown(
    local: Local, tmp_path: Path
) -> None:
    job = prepare(local, tmp_path, WAITS)
    pid, ticks, boot = job.submit().split(".")
    job.has_file("up")
    for other in (f"{pid}.{int(ticks) + 1}.{boot}", f"{pid}.{ticks}.00000000", "1.1.1", "nonsense"):
        assert local.detail(other) is None
        local.cancel(other)
    time.sleep(0.2)
    assert job.id in local.list_mine()
    local.cancel(job.id)
    gone(job)


@pytest.mark.usefixtures("quick_kill")
def test_a_job_whose_supervisor_was_killed_is_still_known_and_ends(
    local: Local, tmp_path: Path
) -> None:
    job = prepare(local, tmp_path, WAITS)
    job.submit()
    job.has_file("up")
    os.kill(int(job.id.split(".")[0]), signal.SIGKILL)
    time.sleep(0.2)
    listed = local.list_mine()  # other tests' jobs may be among them
    assert listed[job.id].identity == str(job.submission.wrapper)
    local.cancel(job.id)
    gone(job)
    assert job.exit().code == 128 + signal.SIGTERM


def test_a_running_job_holds_no_lock_of_its_submission(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, WAITS)
    lock = tmp_path / "lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with_lock = replace(job.submission, keep_open=(held.fileno(),))
        job.ids.append(local.submit(with_lock))
    job.has_file("up")
    with lock.open("w") as again:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    local.cancel(job.id)
    gone(job)


def test_the_job_gets_the_login_environment_and_nothing_else(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    noisy = tmp_path / "bash_env"
    noisy.write_text("echo noise of BASH_ENV\n")
    job = prepare(
        local,
        tmp_path,
        "#!/bin/bash\nmodule load gcc\nenv -0 | tr '\\0' '\\n'\n",
        environment={
            "PATH": PATH,
            "LC_ALL": "C.UTF-8",
            "BASH_ENV": str(noisy),
            "SHELLOPTS": "braceexpand:hashall:nounset",
            "BASH_FUNC_module%%": "() { echo loaded $2; }",
        },
    )
    job.submit()
    assert job.exit().code == 0
    lines = (job.job_dir / STDOUT).read_text().splitlines()
    assert lines[:2] == ["noise of BASH_ENV", "loaded gcc"]
    names = {line.partition("=")[0] for line in lines if "=" in line}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {
        "PATH",
        "LC_ALL",
        "BASH_ENV",
        "SHELLOPTS",
        "BASH_FUNC_module%%",
        "JOBFERRY_LOCAL_ID",
    }


def test_a_job_reads_an_empty_input(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, "#!/bin/sh\ncat >copy\n")
    job.submit()
    assert job.exit().code == 0
    assert (job.job_dir / "copy").read_text() == ""


def test_a_job_without_its_directory_is_not_started(local: Local, tmp_path: Path) -> None:
    job = prepare(local, tmp_path, WAITS)
    nowhere = replace(job.submission, job_dir=tmp_path / "none")
    with pytest.raises(SchedulerUnavailable, match="none"):
        local.submit(nowhere)
    own = str(nowhere.wrapper)
    assert own not in {listed.identity for listed in local.list_mine().values()}
