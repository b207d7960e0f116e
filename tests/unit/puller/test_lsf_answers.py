from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import (
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.schedulers.interface import EndReason, ListedJob, SchedulerState
from puller.schedulers.lsf_answers import (
    denies,
    parse_history,
    parse_jobs,
    parse_submission,
    parse_submission_error,
)
from tests.unit.puller.transcripts import transcript

NOW = 1795300400.0
DESCRIPTION = "jobferry 5f2c8f3e-0000-5000-8000-00000000000{}"


def jobs() -> dict[str, ListedJob]:
    return parse_jobs(transcript("lsf", "bjobs.json"), NOW)


def record(state: str, **fields: str) -> str:
    shown = {"JOBID": "17", "STAT": state, "USER": "hanako", **fields}
    return json.dumps({"COMMAND": "bjobs", "JOBS": 1, "RECORDS": [shown]})


def history(name: str, scheduler_id: str) -> ListedJob:
    job = parse_history(transcript("lsf", name), scheduler_id, NOW)
    assert job is not None
    return job


def test_a_listing_shows_state_words_and_identity() -> None:
    assert set(jobs()) == {"1", "2", "3", "4", "5", "6", "7", "8", "10"}
    assert jobs()["1"].words == "PEND (New job is waiting for scheduling)"
    assert jobs()["2"].identity == DESCRIPTION.format(2)
    assert jobs()["2"].user == "hanako"
    assert jobs()["2"].submitted_at is not None
    assert jobs()["2"].submitted_at <= NOW


def test_a_job_without_a_description_is_nobodys() -> None:
    assert jobs()["10"].identity == ""


def test_ends_have_their_reason_and_code() -> None:
    shown = {job_id: (job.end, job.exit_code) for job_id, job in jobs().items()}
    assert shown["2"] == (None, None)
    assert shown["3"] == (None, 0)
    assert shown["4"] == (None, 3)
    assert shown["5"] == (EndReason.TIMEOUT, 140)
    assert shown["6"] == (EndReason.CANCELLED, 130)
    assert shown["7"] == (EndReason.OUT_OF_MEMORY, 137)
    assert jobs()["5"].words == "EXIT (TERM_RUNLIMIT: job killed after reaching LSF run time limit)"


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("PEND", SchedulerState.QUEUED),
        ("PROV", SchedulerState.QUEUED),
        ("PSUSP", SchedulerState.QUEUED),
        ("WAIT", SchedulerState.QUEUED),
        ("RUN", SchedulerState.RUNNING),
        ("SSUSP", SchedulerState.RUNNING),
        ("USUSP", SchedulerState.RUNNING),
        ("DONE", SchedulerState.ENDED),
        ("EXIT", SchedulerState.ENDED),
        ("POST_DONE", SchedulerState.ENDED),
        ("POST_ERR", SchedulerState.ENDED),
        ("UNKWN", SchedulerState.UNKNOWN),
        ("ZOMBI", SchedulerState.UNKNOWN),
        ("SOMETHING_NEW", SchedulerState.UNKNOWN),
    ],
)
def test_every_state_has_a_meaning(word: str, state: SchedulerState) -> None:
    job = parse_jobs(record(word), NOW)["17"]
    assert (job.state, job.end) == (state, None)


@pytest.mark.parametrize(
    ("term", "end"),
    [
        ("TERM_ADMIN", EndReason.CANCELLED),
        ("TERM_BUCKET_KILL", EndReason.CANCELLED),
        ("TERM_CHKPNT", EndReason.KILLED),
        ("TERM_CPULIMIT", EndReason.TIMEOUT),
        ("TERM_CSM_ALLOC", EndReason.NODE_FAILURE),
        ("TERM_CWD_NOTEXIST", EndReason.REFUSED),
        ("TERM_DATA", EndReason.KILLED),
        ("TERM_DEADLINE", EndReason.TIMEOUT),
        ("TERM_EXTERNAL_SIGNAL", None),
        ("TERM_FORCE_ADMIN", EndReason.CANCELLED),
        ("TERM_FORCE_OWNER", EndReason.CANCELLED),
        ("TERM_KUBE", EndReason.NODE_FAILURE),
        ("TERM_LOAD", EndReason.NODE_FAILURE),
        ("TERM_MC_RECALL", EndReason.NODE_FAILURE),
        ("TERM_MEMLIMIT", EndReason.OUT_OF_MEMORY),
        ("TERM_ORPHAN_SYSTEM", EndReason.CANCELLED),
        ("TERM_OTHER", EndReason.KILLED),
        ("TERM_OWNER", EndReason.CANCELLED),
        ("TERM_PREEMPT", EndReason.NODE_FAILURE),
        ("TERM_PRE_EXEC_FAIL", EndReason.REFUSED),
        ("TERM_PROCESSLIMIT", EndReason.KILLED),
        ("TERM_REMOVE_HUNG_JOB", EndReason.NODE_FAILURE),
        ("TERM_REQUEUE_ADMIN", EndReason.KILLED),
        ("TERM_REQUEUE_OWNER", EndReason.KILLED),
        ("TERM_RMS", EndReason.NODE_FAILURE),
        ("TERM_RUNLIMIT", EndReason.TIMEOUT),
        ("TERM_SLURM", EndReason.NODE_FAILURE),
        ("TERM_SWAP", EndReason.OUT_OF_MEMORY),
        ("TERM_THREADLIMIT", EndReason.KILLED),
        ("TERM_UNKNOWN", None),
        ("TERM_WINDOW", EndReason.TIMEOUT),
        ("TERM_ZOMBIE", None),
        ("TERM_OF_A_LATER_VERSION", EndReason.KILLED),
    ],
)
def test_every_termination_has_a_meaning(term: str, end: EndReason | None) -> None:
    job = parse_jobs(record("EXIT", EXIT_REASON=f"{term}: so it says"), NOW)["17"]
    assert (job.end, job.words) == (end, f"EXIT ({term}: so it says)")


def test_a_termination_of_an_earlier_run_does_not_end_a_live_job() -> None:
    job = parse_jobs(record("RUN", EXIT_REASON="TERM_PREEMPT: preempted", EXIT_CODE="143"), NOW)
    assert (job["17"].end, job["17"].exit_code) == (None, None)


def test_no_jobs_is_an_answer() -> None:
    assert parse_jobs(transcript("lsf", "bjobs-none.json"), NOW) == {}


def test_other_lines_and_a_line_break_in_a_description_hide_no_job() -> None:
    text = record("RUN", JOB_DESCRIPTION="two-lines").replace("two-lines", "two\nlines")
    assert set(parse_jobs(f"LSF is busy.\n{text}\nbye\n", NOW)) == {"17"}


def test_a_job_that_is_denied_is_no_job() -> None:
    text = transcript("lsf", "bjobs-denied.json")
    assert parse_jobs(text, NOW) == {}
    assert denies(text)
    assert denies(transcript("lsf", "bjobs-denied.txt"))
    assert denies(transcript("lsf", "bhist-none.txt"))
    assert not denies(transcript("lsf", "down.txt"))


@given(st.integers(min_value=0, max_value=len(transcript("lsf", "bjobs.json").rstrip()) - 1))
def test_a_listing_that_was_cut_short_is_no_evidence(length: int) -> None:
    with pytest.raises(SchedulerUnavailable):
        parse_jobs(transcript("lsf", "bjobs.json")[:length], NOW)


def test_the_history_tells_how_a_forgotten_job_ended() -> None:
    done, failed = history("bhist-done.txt", "3"), history("bhist-exit.txt", "4")
    late = history("bhist-timeout.txt", "5")
    assert (done.end, done.exit_code) == (None, 0)
    assert (failed.end, failed.exit_code) == (None, 3)
    assert (late.end, late.exit_code) == (EndReason.TIMEOUT, None)
    assert late.words == "Exited; TERM_RUNLIMIT: job killed after reaching LSF run time limit"
    assert late.identity == DESCRIPTION.format(5)
    assert (late.user, late.state) == ("hanako", SchedulerState.ENDED)


def test_a_recycled_id_in_the_history_does_not_hide_the_own_job() -> None:
    job = history("bhist-recycled.txt", "4")
    assert (job.identity, job.exit_code) == (DESCRIPTION.format(4), 3)


def test_a_foreign_job_in_the_history_is_nobodys() -> None:
    text = transcript("lsf", "bhist-recycled.txt").replace("jobferry", "other")
    job = parse_history(text, "4", NOW)
    assert job is not None
    assert (job.user, job.identity) == ("taro", "")


def test_an_end_before_a_requeue_is_no_end() -> None:
    again = "Sat Nov 21 22:33:00: Requeued;\nSat Nov 21 22:33:10: Starting (Pid 5);\n\nSummary"
    text = transcript("lsf", "bhist-exit.txt").replace("\nSummary", again)
    job = parse_history(text, "4", NOW)
    assert job is not None
    assert job.state is SchedulerState.UNKNOWN


def test_a_history_without_the_job_knows_nothing() -> None:
    assert parse_history(transcript("lsf", "bhist-none.txt"), "4", NOW) is None
    assert parse_history(transcript("lsf", "bhist-exit.txt"), "44", NOW) is None


def test_an_accepted_submission_has_its_id() -> None:
    assert parse_submission(transcript("lsf", "bsub.txt")) == "2701"
    assert parse_submission("esub: Job <1> is old\nJob <2> is submitted to queue <q>.\n") == "2"
    assert parse_submission(transcript("lsf", "bsub-esub.txt")) is None


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("bsub-pending-limit.txt", SubmissionDeferred),
        ("bsub-closed-queue.txt", SubmissionDeferred),
        ("bsub-bad-queue.txt", SubmissionRefused),
        ("bsub-esub.txt", SubmissionRefused),
        ("bsub-rusage.txt", SubmissionRefused),
        ("down.txt", SubmissionUnknown),
    ],
)
def test_a_failed_submission_is_told_by_its_text(name: str, error: type[Exception]) -> None:
    assert type(parse_submission_error(transcript("lsf", name))) is error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("RECORDS"), inner),
)
RECORD = st.dictionaries(
    st.sampled_from(["JOBID", "STAT", "EXIT_CODE", "EXIT_REASON", "SUBMIT_TIME", "USER", "ERROR"]),
    JSON,
)


@given(
    st.text()
    | JSON.map(json.dumps)
    | st.lists(RECORD).map(lambda records: json.dumps({"RECORDS": records}))
)
def test_no_listing_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(SchedulerUnavailable):
        assert all(job.id == job_id for job_id, job in parse_jobs(text, NOW).items())


@given(st.text() | st.text().map(lambda rest: f"Job <4>, {rest}"))
def test_no_history_breaks_the_parser(text: str) -> None:
    job = parse_history(text, "4", NOW)
    assert job is None or job.id == "4"


@given(st.text())
def test_no_message_breaks_the_reading_of_a_submission(text: str) -> None:
    assert parse_submission(text) is None or "is submitted" in text
    assert str(parse_submission_error(text)) == text
