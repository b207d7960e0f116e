from __future__ import annotations

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
from puller.schedulers.lsf import Lsf, submission_environment, submit_arguments
from puller.schedulers.lsf_directives import Directives, directives_of
from puller.schedulers.runner import CommandMissing, Completed, run_command
from puller.wrapper import ENVIRONMENT_NAME
from tests.schedulers.prepared_job import prepare
from tests.unit.puller.transcripts import Replay, answered, transcript

NOTHING_STATED = Directives(options=frozenset())
DENIED = answered(transcript("lsf", "bjobs-denied.json"), code=255)
DOWN = answered(code=255, stderr=transcript("lsf", "down.txt"))


def lsf(**answers: list[Completed | Exception]) -> Lsf:
    return Lsf({"PATH": "/usr/bin"}, run=Replay(**answers), clock=lambda: 1795300400.0)


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    control = tmp_path / "alloc-1"
    control.mkdir()
    (control / "wrapper.sh").write_text("#!/bin/bash\n#BSUB -n 1\n")
    return Submission(
        name="job0001",
        job_dir=tmp_path / "job 日本",
        wrapper=control / "wrapper.sh",
        scheduler_output=control / "scheduler.out",
        settings=JobSettings(),
        environment={"PATH": "/home/bin", "BSUB_QUIET": "1"},
    )


def arguments(submission: Submission, stated: Directives = NOTHING_STATED) -> list[str]:
    return submit_arguments(submission, stated, "jobferry alloc-1")


def flags(submission: Submission, **resources: int) -> list[str]:
    settings = JobSettings(resources=Resources(**resources))
    return arguments(replace(submission, settings=settings))[7:]


def test_nothing_that_the_user_did_not_state_becomes_a_flag(submission: Submission) -> None:
    assert arguments(submission) == [
        *("bsub", "-Jd", "jobferry alloc-1", "-J", "job0001"),
        *("-o", str(submission.scheduler_output)),
    ]


def test_what_the_user_stated_becomes_flags_behind_the_sites(submission: Submission) -> None:
    settings = JobSettings(name="run", time_limit=3601, account="proj", queue="long")
    stated = replace(submission, settings=settings, site_arguments=("-G", "staff"))
    assert arguments(stated)[:3] == ["bsub", "-G", "staff"]
    assert " ".join(arguments(stated)).endswith(" -q long -P proj -W 61")
    assert "run" in arguments(stated)


def test_the_scripts_own_directives_are_not_overridden(submission: Submission) -> None:
    stated = directives_of("#!/bin/sh\n#BSUB -J mine -o out/%J.log\n")
    assert arguments(submission, stated) == ["bsub", "-Jd", "jobferry alloc-1"]


def test_stderr_alone_in_a_directive_leaves_stdout_to_us(submission: Submission) -> None:
    assert "-o" in arguments(submission, directives_of("#BSUB -e only.txt\n"))


def test_a_name_does_not_become_an_array(submission: Submission) -> None:
    named = replace(submission, settings=JobSettings(name="a[1-1000]"))
    assert "a_1-1000_" in arguments(named)


def test_slots_are_counted_from_cpus_and_nodes(submission: Submission) -> None:
    assert flags(submission, cpus=4) == ["-n", "4", "-R", "span[hosts=1]"]
    assert flags(submission, nodes=1) == ["-R", "span[hosts=1]"]
    assert flags(submission, nodes=3, cpus=4) == ["-n", "12", "-R", "span[ptile=4]"]


def test_memory_is_reserved_and_limited(submission: Submission) -> None:
    assert flags(submission, memory_mb=2000) == ["-R", "rusage[mem=2000MB]", "-M", "2000MB"]


def test_gpus_are_counted_per_host(submission: Submission) -> None:
    assert flags(submission, gpus=2) == ["-gpu", "num=2"]
    assert flags(submission, gpus=4, nodes=2, cpus=1)[-2:] == ["-gpu", "num=2"]


@pytest.mark.parametrize(
    ("resources", "word"),
    [({"nodes": 2}, "cpus"), ({"nodes": 2, "cpus": 1, "gpus": 3}, "gpus = 3")],
)
def test_what_lsf_has_no_words_for_is_refused(
    submission: Submission, resources: dict[str, int], word: str
) -> None:
    with pytest.raises(SubmissionRefused, match=word):
        flags(submission, **resources)


def test_a_time_limit_never_becomes_no_limit(submission: Submission) -> None:
    assert arguments(replace(submission, settings=JobSettings(time_limit=0)))[-2:] == ["-W", "1"]


def test_the_wrapper_is_the_standard_input_and_the_environment_waits_beside_it(
    submission: Submission,
) -> None:
    run = Replay(bsub=[answered(transcript("lsf", "bsub.txt"))])
    adapter = Lsf({"PATH": "/usr/bin", "LSF_ENVDIR": "/lsf", "HOME": "/h"}, run=run)
    assert adapter.submit(submission) == "2701"
    assert run.inputs == [submission.wrapper.read_bytes()]
    assert run.directories == [submission.job_dir]
    assert run.environments == [{"PATH": "/home/bin", "LSF_ENVDIR": "/lsf"}]
    left = (submission.wrapper.parent / ENVIRONMENT_NAME).read_bytes()
    assert left == b"PATH=/home/bin\0"


def test_a_real_process_reads_the_wrapper(submission: Submission, tmp_path: Path) -> None:
    program = tmp_path / "bsub"
    program.write_text(
        '#!/bin/sh\n/bin/grep -q "^#BSUB -n 1" && echo "Job <7> is submitted to queue <normal>."\n'
    )
    program.chmod(0o755)
    submission.job_dir.mkdir()
    adapter = Lsf({"PATH": f"{tmp_path}:/usr/bin:/bin"}, run=run_command)
    assert adapter.submit(submission) == "7"


def test_variables_that_would_hide_the_id_do_not_reach_bsub() -> None:
    login = {"BSUB_BLOCK": "1", "BSUB_CHK_RESREQ": "1", "BSUB_STDERR": "y", "LANG": "C"}
    assert submission_environment(login, {}) == {"LANG": "C"}


def test_the_identity_follows_from_the_wrappers_path() -> None:
    assert lsf().identity_of(Path("/jobs/alloc/5f2c/wrapper.sh")) == "jobferry 5f2c"


def test_a_user_at_the_limit_of_pending_jobs_is_deferred(submission: Submission) -> None:
    says = transcript("lsf", "bsub-pending-limit.txt")
    quick = answered(code=None, stderr=says, gave_up_after=0.2)
    with pytest.raises(SubmissionDeferred, match="threshold"):
        lsf(bsub=[quick]).submit(submission)
    slow = answered(code=None, stderr=says, gave_up_after=45.0)
    with pytest.raises(SubmissionUnknown):
        lsf(bsub=[slow]).submit(submission)


@pytest.mark.parametrize(
    "done", [answered(code=None, timed_out=True), answered(code=-9), answered("thank you\n"), DOWN]
)
def test_a_submission_without_a_clear_answer_is_unknown(
    submission: Submission, done: Completed
) -> None:
    with pytest.raises(SubmissionUnknown):
        lsf(bsub=[done]).submit(submission)


def test_a_wrapper_that_is_gone_is_not_submitted(submission: Submission) -> None:
    submission.wrapper.unlink()
    with pytest.raises(SchedulerUnavailable, match=r"wrapper\.sh"):
        lsf().submit(submission)


def test_a_listing_may_be_empty_in_words_or_in_json() -> None:
    none = answered(code=255, stderr="No job found\n")
    assert lsf(bjobs=[none]).list_mine() == {}
    assert lsf(bjobs=[answered(transcript("lsf", "bjobs-none.json"))]).list_mine() == {}


@pytest.mark.parametrize(
    "done",
    [
        DOWN,
        answered(),
        answered(code=None, timed_out=True),
        answered(transcript("lsf", "bjobs.json"), cut=True),
    ],
)
def test_a_listing_that_fails_is_no_evidence(done: Completed) -> None:
    with pytest.raises(SchedulerUnavailable):
        lsf(bjobs=[done]).list_mine()


def test_what_lsf_forgot_is_asked_of_its_history() -> None:
    past = answered(transcript("lsf", "bhist-timeout.txt"))
    job = lsf(bjobs=[DENIED], bhist=[past]).detail("5")
    assert job is not None
    assert job.end is EndReason.TIMEOUT


@pytest.mark.parametrize(
    "history",
    [answered(transcript("lsf", "bhist-none.txt"), code=255), CommandMissing("no bhist")],
)
def test_a_job_that_nobody_knows_is_unknown_to_all(history: Completed | Exception) -> None:
    assert lsf(bjobs=[DENIED], bhist=[history]).detail("9") is None


@pytest.mark.parametrize("history", [DOWN, answered(), answered(code=None, timed_out=True)])
def test_a_history_that_is_down_is_no_evidence(history: Completed) -> None:
    with pytest.raises(SchedulerUnavailable):
        lsf(bjobs=[DENIED], bhist=[history]).detail("9")


def test_cancelling_what_has_ended_is_no_error() -> None:
    lsf(bkill=[answered(code=255, stderr=transcript("lsf", "bkill-finished.txt"))]).cancel("17")


def test_a_cancellation_that_did_not_get_through_is_told() -> None:
    with pytest.raises(SchedulerUnavailable, match="Please wait"):
        lsf(bkill=[DOWN]).cancel("17")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("#BSUB -K", "-K"),
        ("#BSUB -I", "interactive"),
        ("#BSUB -n 1 -Is", "interactive"),
        ("#BSUB -Ip", "interactive"),
        ("#BSUB -pack jobs.txt", "-pack"),
        ("#BSUB -V", "never submit"),
        ('#BSUB -J "a[1-10]%2"', "state `count` in aws-job.json"),
        ("true\n#BSUB -K", "-K"),
    ],
)
def test_directives_that_cannot_work_are_refused(line: str, word: str) -> None:
    problem = lsf().script_problem(f"#!/bin/bash\n{line}\nexit 0\n")
    assert problem is not None
    assert word in problem


@pytest.mark.parametrize(
    "line", ["#BSUB -n 1 # -K", "# BSUB -K", "#BSUB -J plain", "echo '#BSUB -K'", "#BSUB -Jd 'x"]
)
def test_what_only_looks_like_such_a_directive_is_not_refused(line: str) -> None:
    assert lsf().script_problem(f"#!/bin/bash\n{line}\nexit 0\n") is None


def test_windows_line_ends_are_refused() -> None:
    assert "CRLF" in (lsf().script_problem("#!/bin/bash\r\nexit 0\r\n") or "")


@pytest.mark.parametrize(
    ("directives", "stdout", "stderr", "directory"),
    [
        ("", False, False, False),
        ("#BSUB -o all.txt", True, True, False),
        ("#BSUB -oo all.txt", True, True, False),
        ("#BSUB -e only.txt", False, True, False),
        ("#BSUB -o a -eo b -cwd sub", True, True, True),
        ("true\n#BSUB -o late.txt", True, True, False),
        ("#BSUB -outdir x -ext y -env all", False, False, False),
    ],
)
def test_declared_outputs_and_directory_are_known(
    directives: str, stdout: bool, stderr: bool, directory: bool
) -> None:
    places = lsf().declared_places(f"#!/bin/bash\n{directives}\nexit 0\n")
    assert (places.stdout, places.stderr, places.directory) == (stdout, stderr, directory)
    assert places.anywhere


def test_variables_of_a_directive_are_left_to_it() -> None:
    assert directives_of('#BSUB -env "all, A=1, ~B"\n').variables == {"A", "B"}


@given(st.text() | st.text().map(lambda rest: f"#BSUB {rest}\n#BSUB -J {rest}\n"))
def test_no_script_breaks_the_reading_of_directives(script: str) -> None:
    assert lsf().declared_places(script).shell is None
    assert lsf().script_problem(script) != ""


BSUB_THAT_RUNS_THE_JOB = """#!/bin/bash
script=$(mktemp) && cat >"$script"
LSB_JOBID=7 LSB_JOBINDEX=0 bash "$script" >/dev/null 2>&1
rm "$script"
echo "Job <7> is submitted to default queue <normal>."
"""


def test_a_job_goes_from_the_wrapper_to_its_exit_file(tmp_path: Path) -> None:
    program = tmp_path / "bsub"
    program.write_text(BSUB_THAT_RUNS_THE_JOB)
    program.chmod(0o755)
    job = prepare(
        Lsf({"PATH": f"{tmp_path}:/usr/bin:/bin"}),
        tmp_path / "jobs",
        "#!/bin/bash\nmodule load x\npwd\nexit 3\n#BSUB -n 1\n",
        environment={"PATH": "/usr/bin:/bin", "BASH_FUNC_module%%": "() { echo loaded $2\n}"},
    )
    assert job.submit() == "7"
    record = job.exit()
    assert (record.scheduler_id, record.code) == ("7", 3)
    assert (job.job_dir / STDOUT).read_text() == f"loaded x\n{job.job_dir}\n"
    assert "#BSUB -n 1" in job.submission.wrapper.read_text()
