from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from job_protocol.job_settings import JobSettings, Resources
from puller.errors import SchedulerUnavailable, SubmissionUnknown
from puller.schedulers.interface import Submission
from puller.schedulers.pbs import Pbs, submit_arguments
from puller.schedulers.pbs_directives import Directives, read_directives
from puller.schedulers.runner import Completed
from tests.unit.puller.transcripts import Replay, answered, transcript

NOTHING_STATED = Directives()
LIVE = transcript("pbs", "qstat-live.txt")
LIVE_IDS = "".join(f"{n}.pbs\n" for n in range(11, 17))


def pbs(**answers: list[Completed | Exception]) -> Pbs:
    return Pbs({"PATH": "/usr/bin"}, user="hanako", run=Replay(**answers))


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    wrapper = tmp_path / "wrapper.sh"
    wrapper.write_text("#!/bin/bash\n")
    return Submission(
        name="projA_job0001_long",
        job_dir=tmp_path / "job 日本",
        wrapper=wrapper,
        scheduler_output=Path("/control/scheduler.out"),
        settings=JobSettings(),
        environment={"PATH": "/home/bin", "PBS_O_HOME": "/x", "A": "b\nc"},
    )


def test_nothing_that_the_user_did_not_state_becomes_a_flag(submission: Submission) -> None:
    assert submit_arguments(submission, NOTHING_STATED) == [
        *("qsub", "-N", "projA_job0001_l", "-j", "oe", "-o", "/control/scheduler.out"),
        *("-S", "/bin/bash", str(submission.wrapper)),
    ]


def test_what_the_user_stated_becomes_flags_behind_the_sites(submission: Submission) -> None:
    stated = replace(
        submission,
        settings=JobSettings(
            name="run",
            time_limit=3600,
            resources=Resources(nodes=2, cpus=4, memory_mb=2000, gpus=1),
            account="proj",
            queue="rt_HF",
        ),
        site_arguments=("-P", "group"),
    )
    line = " ".join(submit_arguments(stated, NOTHING_STATED))
    assert line.startswith("qsub -P group -N run ")
    assert " -q rt_HF -A proj -l walltime=3600 " in line
    assert " -l select=2:ncpus=4:mem=2000mb:ngpus=1 " in line


def test_the_scripts_own_directives_are_not_overridden(submission: Submission) -> None:
    stated = read_directives(["-N mine -o out", "-j oe"])
    assert submit_arguments(submission, stated) == [
        *("qsub", "-S", "/bin/bash", str(submission.wrapper))
    ]


def test_the_environment_waits_in_a_private_file(submission: Submission) -> None:
    assert pbs(qsub=[answered("17.pbs\n")]).submit(submission) == "17.pbs"
    file = submission.wrapper.parent / "environment"
    assert file.read_bytes() == b"PATH=/home/bin\0A=b\nc\0"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "done", [answered(code=None, timed_out=True), answered(code=-9), answered("thank you\n")]
)
def test_a_submission_without_a_clear_answer_is_unknown(
    submission: Submission, done: Completed
) -> None:
    with pytest.raises(SubmissionUnknown):
        pbs(qsub=[done]).submit(submission)


def test_without_jobs_nothing_more_is_asked() -> None:
    assert pbs(qselect=[answered()]).list_mine() == {}


def test_a_job_that_ends_between_both_listings_is_in_none() -> None:
    denied = answered(LIVE, code=35, stderr="qstat: 10.pbs Job has finished, use -x or -H\n")
    listed = pbs(qselect=[answered(f"10.pbs\n{LIVE_IDS}")], qstat=[denied]).list_mine()
    assert set(listed) == set(LIVE_IDS.split())


@pytest.mark.parametrize(
    "qstat",
    [
        answered(),
        answered(LIVE.partition("Job Id: 16.pbs")[0]),
        answered(LIVE, code=1, stderr="qstat: End of File\n"),
        answered(LIVE, cut=True),
    ],
)
def test_a_listing_that_is_not_whole_is_no_evidence(qstat: Completed) -> None:
    with pytest.raises(SchedulerUnavailable):
        pbs(qselect=[answered(LIVE_IDS)], qstat=[qstat]).list_mine()


def test_cancelling_what_has_ended_is_no_error() -> None:
    pbs(qdel=[answered(code=153, stderr="qdel: Unknown Job Id 17.pbs\n")]).cancel("17.pbs")
    pbs(qdel=[answered(code=35, stderr="qdel: Job has finished 17.pbs\n")]).cancel("17.pbs")


def test_a_cancellation_that_did_not_get_through_is_told() -> None:
    down = answered(code=111, stderr="qdel: cannot connect to server pbs (errno=111)\n")
    with pytest.raises(SchedulerUnavailable, match="cannot connect"):
        pbs(qdel=[down]).cancel("17.pbs")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("#PBS -W block=true", "block"),
        ("#PBS -Wdepend=afterok:1.pbs,block=true", "block"),
        ("#PBS -I", "-I"),
        ("#PBS -VI", "-I"),
        ("#PBS -z", "-z"),
        ("#PBS -J 0-9", "-J"),
        ("#PBS -J0-9", "-J"),
    ],
)
def test_directives_that_cannot_work_are_refused(line: str, word: str) -> None:
    problem = pbs().script_problem(f"#!/bin/bash\n{line}\nexit 0\n")
    assert problem is not None
    assert word in problem


def test_windows_line_ends_are_refused() -> None:
    problem = pbs().script_problem("#!/bin/bash\r\nexit 0\r\n")
    assert problem is not None
    assert "CRLF" in problem


@pytest.mark.parametrize(
    "line",
    ["#PBS -W block=false", "#PBS -N I -V", "true\n#PBS -I", "#PBS -NIz", "#PBS -l select=1 # -I"],
)
def test_what_only_looks_like_such_a_directive_is_not_refused(line: str) -> None:
    assert pbs().script_problem(f"#!/bin/bash\n{line}\nexit 0\n") is None


@pytest.mark.parametrize(
    ("directives", "stdout", "stderr", "shell"),
    [
        ("", False, False, None),
        ("#PBS -o out", True, False, None),
        ("#PBS -oout -joe", True, True, None),
        ("#PBS -j oe", False, False, None),
        ("#PBS -e err -j eo", True, True, None),
        ("#PBS -k oed -S /bin/csh", False, False, "/bin/csh"),
    ],
)
def test_declared_places_are_known(
    directives: str, stdout: bool, stderr: bool, shell: str | None
) -> None:
    places = pbs().declared_places(f"#!/bin/bash\n{directives}\nexit 0\n")
    assert (places.stdout, places.stderr, places.shell) == (stdout, stderr, shell)
