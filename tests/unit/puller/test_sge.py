from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from job_protocol.job_settings import JobSettings, Resources
from puller.errors import SubmissionRefused, SubmissionUnknown
from puller.schedulers.interface import Submission
from puller.schedulers.runner import Completed
from puller.schedulers.sge import GridEngine, submit_arguments
from puller.schedulers.sge_directives import Directives, read_directives
from tests.unit.puller.transcripts import Replay, answered, transcript

NOTHING_STATED = Directives()


def sge(**answers: list[Completed | Exception]) -> GridEngine:
    return GridEngine({"PATH": "/usr/bin", "SGE_ROOT": "/g"}, user="root", run=Replay(**answers))


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    wrapper = tmp_path / "wrapper.sh"
    wrapper.write_text("#!/bin/bash\n")
    return Submission(
        name="job0001",
        job_dir=tmp_path / "job 日本",
        wrapper=wrapper,
        scheduler_output=Path("/control/scheduler.out"),
        settings=JobSettings(),
        environment={"PATH": "/home/bin", "SGE_TASK_ID": "9", "HOSTNAME": "login", "A": "b\nc"},
    )


def test_nothing_that_the_user_did_not_state_becomes_a_flag(submission: Submission) -> None:
    assert submit_arguments(submission, NOTHING_STATED) == [
        *("qsub", "-terse", "-N", "job0001", "-wd", str(submission.job_dir)),
        *("-o", ":/control/scheduler.out", "-e", ":/control/scheduler.out"),
        *("-S", "/bin/bash", str(submission.wrapper)),
    ]


def test_what_the_user_stated_becomes_flags_behind_the_sites(submission: Submission) -> None:
    stated = replace(
        submission,
        settings=JobSettings(
            name="run",
            time_limit=3600,
            resources=Resources(cpus=1, memory_mb=2000),
            account="proj",
            queue="long.q",
        ),
        site_arguments=("-l", "mem_req=2G"),
    )
    line = " ".join(submit_arguments(stated, NOTHING_STATED))
    assert line.startswith("qsub -terse -l mem_req=2G -N run ")
    assert " -q long.q -P proj -l h_rt=3600 -l h_vmem=2000M " in line


def test_a_time_limit_never_becomes_no_limit(submission: Submission) -> None:
    shortest = replace(submission, settings=JobSettings(time_limit=0))
    assert "h_rt=1" in submit_arguments(shortest, NOTHING_STATED)


def test_a_directive_that_says_nothing_is_passed_over() -> None:
    assert read_directives(["", " ", "-N mine"]) == read_directives(["-N mine"])


def test_the_scripts_own_directives_are_not_overridden(submission: Submission) -> None:
    stated = read_directives(["-N mine -o out -e err", "-wd /elsewhere"])
    assert submit_arguments(submission, stated) == [
        *("qsub", "-terse", "-S", "/bin/bash", str(submission.wrapper))
    ]


def test_an_output_that_grid_engine_would_misread_is_given_up(submission: Submission) -> None:
    odd = replace(submission, scheduler_output=Path("/a,b/$JOB_ID/scheduler.out"))
    assert "/dev/null" in submit_arguments(odd, NOTHING_STATED)


@pytest.mark.parametrize(
    ("resources", "directives", "message"),
    [
        (Resources(cpus=2), [], "2 CPUs"),
        (Resources(nodes=3), [], "3 nodes"),
        (Resources(gpus=1), ["-l gpu=1"], "1 GPUs"),
        (Resources(memory_mb=1), ["-pe smp 4"], "by slot"),
    ],
)
def test_what_has_no_common_meaning_is_refused(
    submission: Submission, resources: Resources, directives: list[str], message: str
) -> None:
    lines = "".join(f"#$ {directive}\n" for directive in directives)
    submission.wrapper.write_text(f"#!/bin/bash\n{lines}")
    with pytest.raises(SubmissionRefused, match=message):
        sge().submit(replace(submission, settings=JobSettings(resources=resources)))


def test_cpus_beside_a_parallel_environment_are_the_scripts_word(submission: Submission) -> None:
    submission.wrapper.write_text("#!/bin/bash\n#$ -pe smp 4\n")
    stated = replace(submission, settings=JobSettings(resources=Resources(cpus=4)))
    assert sge(qsub=[answered("17\n")]).submit(stated) == "17"


def test_the_environment_waits_in_a_private_file(submission: Submission) -> None:
    sge(qsub=[answered("17\n")]).submit(submission)
    file = submission.wrapper.parent / "environment"
    assert file.read_bytes() == b"PATH=/home/bin\0A=b\nc\0"
    assert file.stat().st_mode & 0o777 == 0o600


def test_variables_of_a_directive_win_over_the_login_shells(submission: Submission) -> None:
    submission.wrapper.write_text("#!/bin/bash\ntrue\n#$ -v A=1,B\n")
    sge(qsub=[answered("17\n")]).submit(submission)
    assert b"A=" not in (submission.wrapper.parent / "environment").read_bytes()


@pytest.mark.parametrize(
    "done", [answered(code=None, timed_out=True), answered(code=-9), answered("thank you\n")]
)
def test_a_submission_without_a_clear_answer_is_unknown(
    submission: Submission, done: Completed
) -> None:
    with pytest.raises(SubmissionUnknown):
        sge(qsub=[done]).submit(submission)


def test_an_id_is_the_end_of_a_submission_whatever_the_exit_code(submission: Submission) -> None:
    timed_out = answered("17\n", code=None, timed_out=True)
    assert sge(qsub=[timed_out]).submit(submission) == "17"


def test_a_job_that_ends_between_both_listings_is_in_none() -> None:
    states, gone = transcript("sge", "qstat.xml"), transcript("sge", "qstat-unknown.xml")
    assert sge(qstat=[answered(states), answered(gone, code=1)]).list_mine() == {}


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("#$ -sync y", "-sync"),
        ("#$-sync yes", "-sync"),
        ("true\n#$ -sync y", "-sync"),
        ("#$ -now y", "-now"),
        ("#$ -t 1-10", "-t"),
        ("#$ -verify", "-verify"),
        ("#$ -@ options", "-@"),
        ("#$ -N 日本", "-N"),
        ("#$ -N 1st", "-N"),
        ("#$ -N 'a b'", "-N"),
    ],
)
def test_directives_that_cannot_work_are_refused(line: str, word: str) -> None:
    problem = sge().script_problem(f"#!/bin/bash\n{line}\nexit 0\n")
    assert problem is not None
    assert word in problem


def test_windows_line_ends_are_refused() -> None:
    problem = sge().script_problem("#!/bin/bash\r\nexit 0\r\n")
    assert problem is not None
    assert "CRLF" in problem


@pytest.mark.parametrize(
    "line",
    [
        "#$ -sync n",
        "#$ -N x # -t 1-2",
        "# $ -sync y",
        "#$ -tc 4",
        "#$ -N 'unbalanced",
        "#$ -now no",
    ],
)
def test_what_only_looks_like_such_a_directive_is_not_refused(line: str) -> None:
    assert sge().script_problem(f"#!/bin/bash\n{line}\nexit 0\n") is None


@pytest.mark.parametrize(
    ("directives", "stdout", "stderr", "directory", "shell"),
    [
        ("", False, False, False, None),
        ("#$ -o all.txt", True, False, False, None),
        ("#$ -o all.txt -j y", True, True, False, None),
        ("#$ -j y", False, False, False, None),
        ("#$ -e only.txt", False, True, False, None),
        ("#$ -cwd", False, False, False, None),
        ("true\n#$ -wd /data -S /bin/csh", False, False, True, "/bin/csh"),
        ("#$ -S host:/bin/csh,/bin/sh", False, False, False, None),
    ],
)
def test_declared_places_are_known(
    directives: str, stdout: bool, stderr: bool, directory: bool, shell: str | None
) -> None:
    places = sge().declared_places(f"#!/bin/bash\n{directives}\nexit 0\n")
    assert (places.stdout, places.stderr, places.directory) == (stdout, stderr, directory)
    assert places.shell == shell
    assert places.anywhere
