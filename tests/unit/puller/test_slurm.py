from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from job_protocol.job_settings import JobSettings, Resources
from puller.errors import (
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionUnknown,
)
from puller.schedulers.interface import Submission
from puller.schedulers.runner import CommandMissing, Completed
from puller.schedulers.slurm import (
    Slurm,
    escape_pattern,
    submission_environment,
    submit_arguments,
)
from puller.schedulers.slurm_directives import Directives, read_directives
from tests.unit.puller import slurm_transcripts as recorded

NOTHING_STATED = Directives(options=frozenset())


class Recorded:
    """Answers each program with what was recorded, and keeps what it was asked."""

    def __init__(self, **answers: Completed | Exception) -> None:
        self._answers = answers
        self.asked: list[Sequence[str]] = []
        self.environments: list[Mapping[str, str]] = []

    def __call__(self, arguments: Sequence[str], **options: Any) -> Completed:
        self.asked.append(arguments)
        self.environments.append(options["environment"])
        answer = self._answers[arguments[0]]
        if isinstance(answer, Exception):
            raise answer
        return answer


def answered(code: int | None = 0, **fields: Any) -> Completed:
    return Completed(arguments=("program",), code=code, **fields)


def slurm(**answers: Completed | Exception) -> Slurm:
    return Slurm({"PATH": "/usr/bin"}, run=Recorded(**answers))


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    wrapper = tmp_path / "wrapper.sh"
    wrapper.write_text("#!/bin/bash\n")
    return Submission(
        name="job0001",
        job_dir=tmp_path / "job 日本",
        wrapper=wrapper,
        scheduler_output=tmp_path / "scheduler.out",
        settings=JobSettings(),
        environment={"PATH": "/bin"},
    )


def test_nothing_that_the_user_did_not_state_becomes_a_flag(submission: Submission) -> None:
    assert submit_arguments(submission, NOTHING_STATED) == [
        "sbatch",
        "--parsable",
        "--job-name=job0001",
        f"--chdir={submission.job_dir}",
        f"--output={submission.scheduler_output}",
        str(submission.wrapper),
    ]


def test_what_the_user_stated_becomes_flags_behind_the_sites(submission: Submission) -> None:
    stated = replace(
        submission,
        settings=JobSettings(
            name="run",
            time_limit=3661,
            resources=Resources(nodes=2, cpus=4, memory_mb=2000, gpus=1),
            account="proj",
            queue="long",
        ),
        site_arguments=("--qos=normal",),
    )
    arguments = submit_arguments(stated, NOTHING_STATED)
    assert arguments[2] == "--qos=normal"
    assert set(arguments[3:]) >= {
        "--job-name=run",
        "--time=61:01",
        "--nodes=2",
        "--cpus-per-task=4",
        "--mem=2000M",
        "--gpus=1",
        "--account=proj",
        "--partition=long",
    }


def test_the_scripts_own_directives_are_not_overridden(submission: Submission) -> None:
    directives = read_directives(["-o out/%j.log", "-J mine", "--chdir=/elsewhere"])
    arguments = submit_arguments(submission, directives)
    assert arguments == ["sbatch", "--parsable", str(submission.wrapper)]


def test_a_stated_name_wins_over_the_directive(submission: Submission) -> None:
    named = replace(submission, settings=JobSettings(name="stated"))
    arguments = submit_arguments(named, read_directives(["-J mine"]))
    assert "--job-name=stated" in arguments


def test_a_time_limit_never_becomes_no_limit(submission: Submission) -> None:
    shortest = replace(submission, settings=JobSettings(time_limit=0))
    assert "--time=0:01" in submit_arguments(shortest, NOTHING_STATED)


def test_paths_are_escaped_as_slurm_reads_patterns() -> None:
    assert escape_pattern("/a/%j/out") == "/a/%%j/out"
    assert escape_pattern("/a\\b/%j/out") == "/a\\\\b/%j/out"


def test_the_job_gets_the_login_environment_and_the_way_to_the_cluster() -> None:
    login = {"PATH": "/home/bin", "SBATCH_WAIT": "1", "SBATCH_PARTITION": "long"}
    assert submission_environment(login, {"SLURM_CONF": "/etc/x"}) == {
        "PATH": "/home/bin",
        "SBATCH_PARTITION": "long",
        "SLURM_CONF": "/etc/x",
    }


def test_variables_that_filter_a_listing_do_not_reach_it() -> None:
    run = Recorded(squeue=answered())
    Slurm({"PATH": "/usr/bin", "SQUEUE_STATES": "RUNNING", "SLURM_CONF": "/c"}, run=run).list_mine()
    assert run.environments[0] == {
        "PATH": "/usr/bin",
        "SLURM_CONF": "/c",
        "SLURM_TIME_FORMAT": "%s",
    }


def test_an_id_is_the_end_of_a_submission_whatever_the_exit_code(submission: Submission) -> None:
    assert slurm(sbatch=answered(1, stdout="17\n")).submit(submission) == "17"
    assert slurm(sbatch=answered(None, stdout="17\n", timed_out=True)).submit(submission) == "17"


@pytest.mark.parametrize(
    "done",
    [
        answered(None, timed_out=True),
        answered(-9),
        answered(0, stdout="queued, thank you\n"),
        answered(1, stderr=recorded.LOST[0]),
    ],
)
def test_a_submission_without_a_clear_answer_is_unknown(
    submission: Submission, done: Completed
) -> None:
    with pytest.raises(SubmissionUnknown):
        slurm(sbatch=done).submit(submission)


def test_a_full_controller_defers_if_sbatch_died_in_its_first_sleep(
    submission: Submission,
) -> None:
    says = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"
    with pytest.raises(SubmissionDeferred, match="temporarily unable"):
        slurm(sbatch=answered(None, stderr=says, gave_up_after=0.1)).submit(submission)
    with pytest.raises(SubmissionUnknown):
        slurm(sbatch=answered(None, stderr=says, gave_up_after=1.2)).submit(submission)


@pytest.mark.parametrize(
    "done",
    [
        answered(1, stderr=recorded.CONTROLLER_DOWN),
        answered(None, timed_out=True),
        answered(0, stdout=recorded.LISTING, cut=True),
    ],
)
def test_a_listing_that_fails_is_no_evidence(done: Completed) -> None:
    with pytest.raises(SchedulerUnavailable):
        slurm(squeue=done).list_mine()


def test_a_job_that_controller_and_accounting_deny_is_unknown_to_all() -> None:
    denied = answered(1, stderr=recorded.UNKNOWN_JOB)
    assert slurm(scontrol=denied, sacct=answered(0)).detail("17") is None


@pytest.mark.parametrize(
    "accounting", [answered(1, stderr=recorded.NO_ACCOUNTING), CommandMissing("no sacct")]
)
def test_a_cluster_without_accounting_knows_nothing(accounting: Completed | Exception) -> None:
    denied = answered(1, stderr=recorded.UNKNOWN_JOB)
    assert slurm(scontrol=denied, sacct=accounting).detail("17") is None


@pytest.mark.parametrize(
    "accounting", [answered(1, stderr=recorded.ACCOUNTING_DOWN), answered(None, timed_out=True)]
)
def test_an_accounting_that_is_down_is_no_evidence(accounting: Completed) -> None:
    with pytest.raises(SchedulerUnavailable):
        slurm(scontrol=answered(1, stderr=recorded.UNKNOWN_JOB), sacct=accounting).detail("17")


@pytest.mark.parametrize(
    "controller",
    [answered(1, stderr=recorded.CONTROLLER_DOWN), answered(None, timed_out=True), answered(0)],
)
def test_a_controller_that_is_down_is_no_evidence(controller: Completed) -> None:
    with pytest.raises(SchedulerUnavailable):
        slurm(scontrol=controller).detail("17")


def test_cancelling_what_has_ended_is_no_error() -> None:
    slurm(scancel=answered(1, stderr="scancel: error: Invalid job id 17\n")).cancel("17")


def test_a_cancellation_that_did_not_get_through_is_told() -> None:
    down = "scancel: error: Kill job error on job id 12: Unable to contact slurm controller"
    with pytest.raises(SchedulerUnavailable, match="Unable to contact"):
        slurm(scancel=answered(8, stderr=down)).cancel("12")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("#SBATCH --test-only", "test-only"),
        ("#SBATCH -n 1 --wait", "wait"),
        ("#SBATCH -W", "wait"),
        ("#SBATCH -HW", "wait"),
        ("#SBATCH --array=0-9", "array"),
        ("#SBATCH -a0-9", "array"),
    ],
)
def test_directives_that_cannot_work_are_refused(line: str, word: str) -> None:
    problem = slurm().script_problem(f"#!/bin/bash\n{line}\nexit 0\n")
    assert problem is not None
    assert word in problem


def test_windows_line_ends_are_refused() -> None:
    problem = slurm().script_problem("#!/bin/bash\r\nexit 0\r\n")
    assert problem is not None
    assert "CRLF" in problem


@pytest.mark.parametrize(
    "line",
    [
        "#SBATCH --comment='please --wait'",
        "#SBATCH -n 1 # --wait",
        "#SBATCH --wait-all-nodes=1",
        "## SBATCH --test-only",
        "true\n#SBATCH --wait",
        "#SBATCH --comment='unbalanced",
    ],
)
def test_what_only_looks_like_such_a_directive_is_not_refused(line: str) -> None:
    assert slurm().script_problem(f"#!/bin/bash\n{line}\nexit 0\n") is None


@pytest.mark.parametrize(
    ("directives", "stdout", "stderr", "directory"),
    [
        ("", False, False, False),
        ("#SBATCH -o all.txt", True, True, False),
        ("#SBATCH --output=all.txt", True, True, False),
        ("#SBATCH --outp all.txt", True, True, False),
        ("#SBATCH -eonly.txt", False, True, False),
        ("#SBATCH -o a -e b -D sub", True, True, True),
        ("#SBATCH --open-mode=append --oversubscribe", False, False, False),
        ("#SBATCH --export=ALL --exclusive", False, False, False),
    ],
)
def test_declared_outputs_and_directory_are_known(
    directives: str, stdout: bool, stderr: bool, directory: bool
) -> None:
    places = slurm().declared_places(f"#!/bin/bash\n{directives}\nexit 0\n")
    assert (places.stdout, places.stderr, places.directory) == (stdout, stderr, directory)
