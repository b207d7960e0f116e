"""The wrapper as bash runs it, with a scheduler's variables and no scheduler."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from job_protocol.object_keys import SCRIPT, STDERR, STDOUT
from puller.array_wrapper import element_dir
from puller.exit_file import ExitRecord, Records, read_records
from puller.schedulers.array_tasks import ArrayTasks, TaskNumbers
from puller.wrapper import render_wrapper, split_script

NAMES = ["job0001", "a b", "it's", '"x" $HOME `id`', "計算 ジョブ", "-n", "back\\slash", "@run@"]


@dataclass(frozen=True)
class Site:
    root: Path
    name: str = "job0001"

    @property
    def job_dir(self) -> Path:
        return self.root / self.name

    @property
    def control_dir(self) -> Path:
        return self.root / f"control {self.name}"

    def prepare(self, script: str, **options: Any) -> None:
        self.job_dir.mkdir()
        self.control_dir.mkdir()
        (self.job_dir / SCRIPT).write_text(script)
        (self.control_dir / "wrapper.sh").write_text(
            render_wrapper(
                split_script(script, ("#SBATCH",)),
                scheduler="slurm",
                job_dir=self.job_dir,
                control_dir=self.control_dir,
                **options,
            )
        )

    def start(self, *arguments: str, job_id: str = "17", **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/bash", str(self.control_dir / "wrapper.sh"), *arguments],
            cwd="/",
            env={"PATH": os.defpath, "SLURM_JOB_ID": job_id, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **options: str) -> tuple[int, str]:
        process = self.start(*arguments, **options)
        said, _ = process.communicate(timeout=240)
        return process.returncode, said

    def records(self) -> Records:
        return read_records(self.control_dir)

    def exit(self) -> ExitRecord:
        found = self.records().exit
        assert found is not None
        return found

    def stdout(self) -> str:
        return (self.job_dir / STDOUT).read_text()

    def wait_for(self, name: str) -> None:
        deadline = time.monotonic() + 240
        while not (self.job_dir / name).exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_any_job_directory_works(tmp_path: Path, name: str) -> None:
    site = Site(tmp_path, name)
    site.prepare("#!/bin/sh\npwd; echo oops >&2; exit 3\n")
    assert site.run() == (3, "")
    assert site.stdout() == f"{site.job_dir}\n"
    assert (site.job_dir / STDERR).read_text() == "oops\n"
    record = site.exit()
    assert (record.scheduler_id, record.restart, record.code) == ("17", 0, 3)
    assert 0 <= record.ended - record.started < 30
    assert record.host == os.uname().nodename


def test_the_start_record_says_where_the_logs_grow(site: Site) -> None:
    site.prepare("#!/bin/sh\n", redirect_stderr=False)
    with (site.root / "declared.err").open("w") as declared:
        subprocess.run(
            ["/bin/bash", site.control_dir / "wrapper.sh"],
            env={"SLURM_JOB_ID": "17"},
            stderr=declared,
            check=True,
        )
    start = site.records().start
    assert start is not None
    assert (start.stdout, start.stderr) == (site.job_dir / STDOUT, site.root / "declared.err")


def test_outputs_that_the_script_declares_are_left_alone(site: Site) -> None:
    site.prepare("#!/bin/sh\necho mine\n", redirect_stdout=False, redirect_stderr=False)
    assert site.run() == (0, "mine\n")
    assert not (site.job_dir / STDOUT).exists()


def test_a_declared_directory_is_not_left(site: Site) -> None:
    site.prepare("#!/bin/sh\npwd\n", enter_job_dir=False)
    site.run()
    assert site.stdout() == "/\n"


def test_the_scripts_interpreter_and_arguments_are_its_own(site: Site) -> None:
    site.prepare("#!/bin/bash -eu\n[[ $- == *e*u* ]]; printf '%s|' \"$@\"; false; exit 9\n")
    assert site.run("a b", "$c")[0] == 1
    assert site.stdout() == "a b|$c|"


def test_an_interpreter_that_is_missing_is_code_127(site: Site) -> None:
    site.prepare("#!/opt/none/python\n")
    assert site.run()[0] in (126, 127)
    assert site.exit().code in (126, 127)
    assert "none/python" in (site.job_dir / STDERR).read_text()


def test_the_job_sees_nothing_of_the_wrappers(site: Site) -> None:
    site.prepare("#!/bin/sh\nenv -0 | tr '\\0' '\\n'\n")
    site.run(LANG="ja_JP.UTF-8")
    names = {line.partition("=")[0] for line in site.stdout().splitlines()}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "SLURM_JOB_ID", "LANG"}


def test_functions_of_the_user_do_not_disturb_the_wrapper(site: Site) -> None:
    site.prepare("#!/bin/bash\nmodule load x\npwd\n")
    functions = {
        "BASH_FUNC_module%%": "() { echo module $*; }",
        "BASH_FUNC_cd%%": "() { echo no; return 1; }",
        "BASH_FUNC_rm%%": "() { echo no; return 1; }",
        "BASH_FUNC_mv%%": "() { echo no; return 1; }",
    }
    assert site.run(**functions) == (0, "")
    assert site.stdout() == f"module load x\n{site.job_dir}\n"


def test_a_second_submission_leaves_without_a_trace(site: Site) -> None:
    site.prepare("#!/bin/sh\necho ran\nexit 3\n")
    assert site.run(job_id="17")[0] == 3
    code, said = site.run(job_id="18")
    assert code == 0
    assert "17 already runs" in said
    assert site.stdout() == "ran\n"
    assert (site.exit().scheduler_id, site.exit().code) == ("17", 3)


def test_of_two_submissions_at_once_one_runs(site: Site) -> None:
    site.prepare("#!/bin/sh\necho ran\n")
    processes = [site.start(job_id=str(17 + n)) for n in range(8)]
    for process in processes:
        process.communicate(timeout=240)
    assert site.stdout() == "ran\n"


def test_a_requeue_replaces_the_exit_file_of_the_first_start(site: Site) -> None:
    site.prepare('#!/bin/sh\necho ran\n[ "$SLURM_RESTART_COUNT" = 1 ] && exit 5\nexit 3\n')
    site.run()
    assert site.run(SLURM_RESTART_COUNT="1")[0] == 5
    assert site.stdout() == "ran\nran\n"
    assert (site.exit().restart, site.exit().code) == (1, 5)


def test_a_stale_exit_file_is_gone_while_a_requeued_job_runs(site: Site) -> None:
    site.prepare('#!/bin/sh\n[ -n "$SLURM_RESTART_COUNT" ] || exit 3\n: >up\nexec sleep 30\n')
    site.run()
    process = site.start(SLURM_RESTART_COUNT="1")
    site.wait_for("up")
    assert site.records().exit is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "XCPU"])
def test_a_signal_to_the_whole_group_gives_the_scripts_code(site: Site, name: str) -> None:
    number = signal.Signals[f"SIG{name}"]
    site.prepare("#!/bin/bash\nulimit -c 0\n: >up\nexec sleep 30\n")
    process = site.start()
    site.wait_for("up")
    time.sleep(0.05)
    os.killpg(process.pid, number)
    process.communicate(timeout=240)
    assert (process.returncode, site.exit().code) == (128 + number, 128 + number)


def test_signals_that_keep_coming_do_not_cost_the_record(site: Site) -> None:
    site.prepare("#!/bin/bash\n: >up\nexec sleep 30\n")
    process = site.start()
    site.wait_for("up")
    while process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        time.sleep(0.001)
    process.communicate(timeout=240)
    assert (process.returncode, site.exit().code) == (143, 143)


def test_a_script_that_handles_the_signal_ends_as_it_says(site: Site) -> None:
    site.prepare("#!/bin/bash\ntrap 'exit 7' TERM\n: >up\nwhile :; do sleep 0.05; done\n")
    process = site.start()
    site.wait_for("up")
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=240)
    assert (process.returncode, site.exit().code) == (7, 7)


def test_a_signal_to_the_wrapper_alone_reaches_the_script(site: Site) -> None:
    site.prepare(
        "#!/bin/bash\ntrap 'echo saved >checkpoint' USR1\n: >up\n"
        "until [ -e checkpoint ]; do sleep 0.05; done\nexit 4\n"
    )
    process = site.start()
    site.wait_for("up")
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=240)
    assert (process.returncode, site.exit().code) == (4, 4)


def test_a_script_that_is_killed_is_137(site: Site) -> None:
    site.prepare("#!/bin/sh\nkill -KILL $$\n")
    assert site.run()[0] == 137
    assert site.exit().code == 137


def test_without_a_scheduler_nothing_runs(site: Site) -> None:
    site.prepare("#!/bin/sh\necho ran\n")
    code, said = site.run(job_id="")
    assert code == 71
    assert "not started by the scheduler" in said
    assert not (site.job_dir / STDOUT).exists()


def test_without_its_control_directory_nothing_runs(site: Site) -> None:
    site.prepare("#!/bin/sh\necho ran\n")
    wrapper = (site.control_dir / "wrapper.sh").read_text()
    (site.control_dir / "wrapper.sh").unlink()
    site.control_dir.rmdir()
    done = subprocess.run(
        ["/bin/bash"], input=wrapper, text=True, env={"SLURM_JOB_ID": "17"}, check=False
    )
    assert done.returncode == 71
    assert not (site.job_dir / STDOUT).exists()


def test_without_its_job_directory_the_script_has_failed(site: Site) -> None:
    site.prepare("#!/bin/sh\necho ran\n")
    (site.job_dir / SCRIPT).unlink()
    site.job_dir.rmdir()
    code, said = site.run()
    assert code == 126
    assert "No such file" in said
    assert site.exit().code == 126


def element(site: Site, task: int, **variables: str) -> tuple[int, str]:
    array_id = variables.pop("array_id", "40")
    return site.run(
        job_id=str(100 + task),
        SLURM_ARRAY_JOB_ID=array_id,
        SLURM_ARRAY_TASK_ID=str(task),
        **variables,
    )


def array(
    count: int, indexes: tuple[int, ...] | None = None, *, any_list: bool = True
) -> ArrayTasks:
    return ArrayTasks(
        count=count,
        indexes=indexes or tuple(range(count)),
        max_running=None,
        numbers=TaskNumbers(first=0, any_list=any_list),
    )


ARRAY_SCRIPT = (
    '#!/bin/sh\necho "$JOBFERRY_ARRAY_INDEX/$JOBFERRY_ARRAY_COUNT $SLURM_ARRAY_TASK_ID"\n'
    "echo oops >&2; exit $JOBFERRY_ARRAY_INDEX\n"
)


@pytest.mark.parametrize("name", NAMES)
def test_each_element_has_records_and_logs_of_its_own(tmp_path: Path, name: str) -> None:
    site = Site(tmp_path, name)
    site.prepare(ARRAY_SCRIPT, array=array(3))
    for task in (2, 0):
        assert element(site, task) == (task, "")
        records = read_records(element_dir(site.control_dir, task))
        assert records.exit is not None
        assert records.start is not None
        assert (records.exit.scheduler_id, records.exit.code) == ("40", task)
        log = site.job_dir / f"aws-job-stdout.{task}.txt"
        assert log.read_text() == f"{task}/3 {task}\n"
        assert (site.job_dir / f"aws-job-stderr.{task}.txt").read_text() == "oops\n"
        assert records.start.stdout == log
    assert site.records().owner == "40"
    assert site.records().exit is None


def test_tasks_that_were_numbered_anew_compute_their_elements(site: Site) -> None:
    site.prepare(ARRAY_SCRIPT, array=array(9, (3, 7), any_list=False))
    assert element(site, 1) == (7, "")
    assert (site.job_dir / "aws-job-stdout.7.txt").read_text() == "7/9 7\n"


def test_an_element_of_a_second_submission_leaves(site: Site) -> None:
    site.prepare(ARRAY_SCRIPT, array=array(3))
    assert element(site, 1)[0] == 1
    code, said = element(site, 2, array_id="41")
    assert code == 0
    assert "job 40 already runs" in said
    assert not (site.job_dir / "aws-job-stdout.2.txt").exists()


def test_a_requeued_element_removes_its_stale_exit_file_and_no_other(site: Site) -> None:
    site.prepare("#!/bin/sh\n[ -e again ] && : >up && exec sleep 30\nexit 3\n", array=array(2))
    assert [element(site, task)[0] for task in (0, 1)] == [3, 3]
    (site.job_dir / "again").touch()
    variables = {"SLURM_ARRAY_JOB_ID": "40", "SLURM_ARRAY_TASK_ID": "1"}
    process = site.start(job_id="101", SLURM_RESTART_COUNT="1", **variables)
    site.wait_for("up")
    assert read_records(element_dir(site.control_dir, 1)).exit is None
    assert read_records(element_dir(site.control_dir, 0)).exit is not None
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(240)
    again = read_records(element_dir(site.control_dir, 1)).exit
    assert again is not None
    assert (again.restart, again.code) == (1, 143)


def test_many_elements_that_start_at_once_agree_on_the_submission(site: Site) -> None:
    site.prepare("#!/bin/sh\n", array=array(30))
    running = [
        site.start(job_id=str(task), SLURM_ARRAY_JOB_ID="40", SLURM_ARRAY_TASK_ID=str(task))
        for task in range(30)
    ]
    assert [process.wait(60) for process in running] == [0] * 30
    assert all(read_records(element_dir(site.control_dir, n)).exit for n in range(30))
    assert {path.name for path in site.control_dir.iterdir()} == {"elements", "once", "wrapper.sh"}


def test_a_wrapper_of_an_array_that_is_no_task_says_so(site: Site) -> None:
    site.prepare(ARRAY_SCRIPT, array=array(3))
    code, said = site.run()
    assert code == 71
    assert "SLURM_ARRAY_TASK_ID" in said


@pytest.mark.parametrize(
    ("scheduler", "first", "variables", "array_id"),
    [
        ("slurm", 0, {"SLURM_ARRAY_JOB_ID": "40", "SLURM_ARRAY_TASK_ID": "4"}, "40"),
        ("local", 0, {"JOBFERRY_LOCAL_ARRAY": "7.8.abc", "JOBFERRY_LOCAL_TASK": "4"}, "7.8.abc"),
        ("sge", 1, {"JOB_ID": "40", "SGE_TASK_ID": "5"}, "40"),
        (
            "pbs",
            0,
            {"PBS_JOBID": "40[4].pbs.example.org", "PBS_ARRAY_INDEX": "4"},
            "40[].pbs.example.org",
        ),
        ("lsf", 1, {"LSB_JOBID": "40", "LSB_JOBINDEX": "5"}, "40"),
        ("tcs", 0, {"PJM_JOBID": "40", "PJM_BULKNUM": "4"}, "40"),
        ("tcs", 0, {"PJM_JOBID": "40[4]", "PJM_BULKNUM": "4"}, "40"),
    ],
)
def test_an_element_finds_its_number_in_every_scheduler_s_variables(
    site: Site, scheduler: str, first: int, variables: dict[str, str], array_id: str
) -> None:
    site.job_dir.mkdir()
    site.control_dir.mkdir()
    (site.job_dir / SCRIPT).write_text("#!/bin/sh\necho $JOBFERRY_ARRAY_INDEX $MINE\n")
    (site.control_dir / "environment").write_bytes(b"MINE=login\0")
    numbers = TaskNumbers(first=first, any_list=False)
    tasks = ArrayTasks(count=9, indexes=tuple(range(9)), max_running=None, numbers=numbers)
    wrapper = render_wrapper(
        split_script("#!/bin/sh\n", ()),
        scheduler=scheduler,
        job_dir=site.job_dir,
        control_dir=site.control_dir,
        array=tasks,
    )
    (site.control_dir / "wrapper.sh").write_text(wrapper)
    assert site.run(MINE="login", **variables) == (0, "")
    found = read_records(element_dir(site.control_dir, 4))
    assert found.exit is not None
    assert found.exit.scheduler_id == array_id
    assert site.records().owner == array_id
    assert (site.job_dir / "aws-job-stdout.4.txt").read_text() == "4 login\n"
