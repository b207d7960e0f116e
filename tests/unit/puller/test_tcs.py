from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.job_settings import JobSettings, Resources
from job_protocol.object_keys import STDOUT
from puller.errors import (
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.schedulers.interface import EndReason, Submission
from puller.schedulers.runner import Completed
from puller.schedulers.tcs import Tcs, submit_arguments
from puller.schedulers.tcs_directives import Directives, directives_of
from tests.schedulers.prepared_job import prepare
from tests.unit.puller.transcripts import Replay, answered, transcript

NOTHING_STATED = Directives(options=frozenset())
LIVE = answered(transcript("tcs", "pjstat-live.csv"))
ENDED = answered(transcript("tcs", "pjstat-ended.csv"))
NONE = answered(transcript("tcs", "pjstat-none.csv"))
DENIED = answered(code=1, stderr=transcript("tcs", "pjstat-denied.txt"))
DOWN = answered(code=1, stderr="[ERR.] PJM 0090 pjstat Failed to communicate.\n")


def tcs(**answers: list[Completed | Exception]) -> Tcs:
    return Tcs({"PATH": "/usr/bin"}, run=Replay(**answers), clock=lambda: 1795300400.0)


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    wrapper = tmp_path / "wrapper.sh"
    wrapper.write_text("#!/bin/bash\n#PJM -L node=1\n")
    return Submission(
        name="job0001",
        job_dir=tmp_path / "job 日本",
        wrapper=wrapper,
        scheduler_output=tmp_path / "scheduler.out",
        settings=JobSettings(),
        environment={"PATH": "/home/bin"},
    )


def arguments(submission: Submission, stated: Directives = NOTHING_STATED) -> list[str]:
    return submit_arguments(submission, stated, "jf-1")


def test_nothing_that_the_user_did_not_state_becomes_a_flag(submission: Submission) -> None:
    assert arguments(submission) == [
        *("pjsub", "--name", "jf-1", "-o", str(submission.scheduler_output), "-j"),
        str(submission.wrapper),
    ]


def test_what_the_user_stated_becomes_flags_behind_the_sites(submission: Submission) -> None:
    settings = JobSettings(
        time_limit=3661,
        account="hp000000",
        queue="small",
        resources=Resources(nodes=12, memory_mb=28000),
    )
    stated = replace(submission, settings=settings, site_arguments=("--no-check-directory",))
    assert arguments(stated)[1] == "--no-check-directory"
    assert arguments(stated)[-5:] == [
        *("-L", "node=12,node-mem=28000Mi,rscgrp=small,elapse=1:01:01"),
        *("-g", "hp000000"),
        str(submission.wrapper),
    ]


def test_the_name_is_the_pullers_even_where_the_user_stated_one(submission: Submission) -> None:
    named = replace(submission, settings=JobSettings(name="mine"))
    assert arguments(named)[2] == "jf-1"


def test_the_scripts_own_outputs_are_not_overridden(submission: Submission) -> None:
    assert "-o" not in arguments(submission, directives_of("#PJM -o out.txt\n"))
    only_stderr = arguments(submission, directives_of("#PJM -e err.txt\n"))
    assert "-o" in only_stderr
    assert "-j" not in only_stderr


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (JobSettings(resources=Resources(cpus=4)), "cpus = 4"),
        (JobSettings(resources=Resources(gpus=1)), "gpus = 1"),
        (JobSettings(queue="small,elapse=9999:00:00"), "resource group"),
    ],
)
def test_what_tcs_has_no_words_for_is_refused(
    submission: Submission, settings: JobSettings, word: str
) -> None:
    with pytest.raises(SubmissionRefused, match=word):
        arguments(replace(submission, settings=settings))


def test_a_time_limit_never_becomes_no_limit(submission: Submission) -> None:
    shortest = replace(submission, settings=JobSettings(time_limit=0))
    assert "elapse=0:00:01" in arguments(shortest)


def test_the_identity_is_a_name_that_tcs_takes_whole() -> None:
    allocation = str(uuid.uuid4())
    identity = tcs().identity_of(Path("/jobs/.jobferry/alloc", allocation, "wrapper.sh"))
    assert identity == f"jf-{allocation}"
    assert len(identity.encode()) <= 63


def test_a_submission_runs_in_the_job_directory_and_gives_the_id(submission: Submission) -> None:
    run = Replay(pjsub=[answered(transcript("tcs", "pjsub.txt"))])
    assert Tcs({"PATH": "/usr/bin"}, run=run).submit(submission) == "9714"
    assert run.directories == [submission.job_dir]
    assert run.asked[0][2] == f"jf-{submission.wrapper.parent.name}"


def test_an_error_with_exit_code_0_is_no_submission(submission: Submission) -> None:
    failed = answered(code=0, stderr=transcript("tcs", "pjsub-staging.txt"))
    with pytest.raises(SubmissionRefused, match="Staging option error"):
        tcs(pjsub=[failed]).submit(submission)


def test_a_limit_on_the_number_of_jobs_defers(submission: Submission) -> None:
    full = answered(code=1, stderr=transcript("tcs", "pjsub-too-many.txt"))
    with pytest.raises(SubmissionDeferred, match="ru-accept"):
        tcs(pjsub=[full]).submit(submission)


def test_a_submission_that_timed_out_is_unknown(submission: Submission) -> None:
    with pytest.raises(SubmissionUnknown):
        tcs(pjsub=[answered(code=None, timed_out=True)]).submit(submission)


def test_a_wrapper_that_is_gone_is_not_submitted(submission: Submission) -> None:
    submission.wrapper.unlink()
    with pytest.raises(SchedulerUnavailable, match=r"wrapper\.sh"):
        tcs().submit(submission)


def test_a_listing_has_live_jobs_and_those_that_ended_just_now() -> None:
    run = Replay(pjstat=[LIVE, ENDED])
    jobs = Tcs({"PATH": "/usr/bin"}, run=run).list_mine()
    assert {"101", "204"} <= set(jobs)
    assert run.asked[1][-3:] == ["-H", "day=1", "-E"]


def test_a_job_that_ends_between_the_two_questions_has_ended() -> None:
    before = "H,JOB_ID,ST,JOB_NAME\n,17,RUN,jf-x\n"
    jobs = tcs(pjstat=[answered(before), answered(before.replace("RUN", "EXT"))]).list_mine()
    assert jobs["17"].words == "EXT"


@pytest.mark.parametrize(
    "answers",
    [[DOWN], [LIVE, DOWN], [answered(code=None, timed_out=True)], [answered("x", cut=True)]],
)
def test_a_listing_that_fails_is_no_evidence(answers: list[Completed | Exception]) -> None:
    with pytest.raises(SchedulerUnavailable):
        tcs(pjstat=answers).list_mine()


def test_a_live_job_is_not_looked_for_in_the_history() -> None:
    run = Replay(pjstat=[LIVE])
    job = Tcs({"PATH": "/usr/bin"}, run=run).detail("103")
    assert job is not None
    assert job.words == "RUN"
    assert len(run.asked) == 1


@pytest.mark.parametrize("denial", [NONE, DENIED])
def test_an_ended_job_is_found_in_the_history(denial: Completed) -> None:
    job = tcs(pjstat=[denial, ENDED]).detail("204")
    assert job is not None
    assert job.end is EndReason.TIMEOUT


def test_a_job_that_nobody_knows_is_unknown_to_all() -> None:
    assert tcs(pjstat=[DENIED]).detail("9") is None
    assert tcs(pjstat=[NONE]).detail("9") is None


@pytest.mark.parametrize("answers", [[DOWN], [DENIED, DOWN]])
def test_a_detail_that_fails_is_no_evidence(answers: list[Completed | Exception]) -> None:
    with pytest.raises(SchedulerUnavailable):
        tcs(pjstat=answers).detail("9")


def test_cancelling_works_and_what_has_ended_is_no_error() -> None:
    tcs(pjdel=[answered(transcript("tcs", "pjdel.txt"))]).cancel("6291500")
    tcs(pjdel=[answered(code=1, stderr=transcript("tcs", "pjdel-denied.txt"))]).cancel("9")


def test_a_cancellation_that_did_not_get_through_is_told() -> None:
    with pytest.raises(SchedulerUnavailable, match="communicate"):
        tcs(pjdel=[DOWN]).cancel("17")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("#PJM --step", "--step"),
        ('#PJM --step --sparam "sn=1"', "--step"),
        ("#PJM --interact", "interactive"),
        ("#PJM --mswk", "master-worker"),
        ("#PJM --bulk --sparam 0-199", "state `count` in aws-job.json"),
        ("#PJM -z jid", "hide"),
        ("#PJM --help", "never submit"),
    ],
)
def test_directives_that_cannot_work_are_refused(line: str, word: str) -> None:
    problem = tcs().script_problem(f"#!/bin/bash\n{line}\nexit 0\n")
    assert problem is not None
    assert word in problem


@pytest.mark.parametrize(
    "line",
    ['#PJM -L "node=1" # --bulk', "# PJM --bulk", "true\n#PJM --bulk", "#PJM --mpi proc=4 -j"],
)
def test_what_only_looks_like_such_a_directive_is_not_refused(line: str) -> None:
    assert tcs().script_problem(f"#!/bin/bash\n{line}\nexit 0\n") is None


def test_windows_line_ends_are_refused() -> None:
    assert "CRLF" in (tcs().script_problem("#!/bin/bash\r\nexit 0\r\n") or "")


@pytest.mark.parametrize(
    ("directives", "stdout", "stderr"),
    [
        ("", False, False),
        ("#PJM -o out.txt", True, False),
        ("#PJM -o out.txt -j", True, True),
        ("#PJM -oout.txt -eerr.txt", True, True),
        ("#PJM --out=out.txt", True, False),
        ("#PJM -j", False, False),
        ("#PJM -L elapse=1:00 --mpi proc=4 -m e", False, False),
    ],
)
def test_declared_outputs_are_known(directives: str, stdout: bool, stderr: bool) -> None:
    places = tcs().declared_places(f"#!/bin/bash\n{directives}\nexit 0\n")
    assert (places.stdout, places.stderr, places.directory) == (stdout, stderr, False)


@given(st.text() | st.text().map(lambda rest: f"#PJM {rest}\n#PJM -o{rest}\n"))
def test_no_script_breaks_the_reading_of_directives(script: str) -> None:
    assert not tcs().declared_places(script).directory
    assert tcs().script_problem(script) != ""


PJSUB_THAT_RUNS_THE_JOB = """#!/bin/bash
for script; do :; done
env -i PATH=/usr/bin:/bin NODE=a64fx PJM_JOBID=9714 bash "$script" >/dev/null 2>&1
echo "[INFO] PJM 0000 pjsub Job 9714 submitted."
"""


def test_a_job_goes_from_the_wrapper_to_its_exit_file(tmp_path: Path) -> None:
    program = tmp_path / "pjsub"
    program.write_text(PJSUB_THAT_RUNS_THE_JOB)
    program.chmod(0o755)
    job = prepare(
        Tcs({"PATH": f"{tmp_path}:/usr/bin:/bin"}),
        tmp_path / "jobs",
        "#!/bin/bash\n#PJM -L node=1\necho $NODE $LD_LIBRARY_PATH\npwd\nexit 3\n",
        environment={"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": "/lib/of/the/login/node"},
    )
    assert job.submit() == "9714"
    record = job.exit()
    assert (record.scheduler_id, record.code) == ("9714", 3)
    assert (job.job_dir / STDOUT).read_text() == f"a64fx\n{job.job_dir}\n"
