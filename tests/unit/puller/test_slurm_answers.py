from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import (
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.schedulers.interface import EndReason, SchedulerState
from puller.schedulers.slurm_answers import (
    LISTING_FORMAT,
    SEPARATOR,
    parse_accounting,
    parse_detail,
    parse_listing,
    parse_submission,
    parse_submission_error,
)
from tests.unit.puller import slurm_transcripts as recorded


def listing(state: str, reason: str = "None", script: str = "/x/wrapper.sh") -> str:
    return (
        SEPARATOR.join(("17", state, "1795300143", "1795303743", "hanako", reason, script)) + "\n"
    )


def test_a_listing_shows_state_words_and_identity() -> None:
    jobs = parse_listing(recorded.LISTING)
    assert set(jobs) == {"7", "9", "1", "2", "4", "11", "12", "5"}
    assert jobs["2"].identity == "/srv/aws-job/job 日本|x/w.sh"
    assert (jobs["5"].state, jobs["5"].words) == (SchedulerState.RUNNING, "RUNNING")
    assert jobs["11"].words == "PENDING (DependencyNeverSatisfied)"
    assert (jobs["7"].state, jobs["7"].end) == (SchedulerState.ENDED, EndReason.CANCELLED)
    assert (jobs["1"].user, jobs["1"].submitted_at) == ("root", 1795300143)


def test_the_expected_start_is_that_of_a_job_that_waits() -> None:
    jobs = parse_listing(recorded.LISTING)
    expected = {job_id: job.expected_start for job_id, job in jobs.items()}
    assert expected == dict.fromkeys(expected) | {"12": 1795303743}
    waits = parse_detail(recorded.detail(state="PENDING", reason="Resources"), "2")
    assert waits is not None
    assert waits.expected_start == 1795300144
    ended = parse_detail(recorded.detail(), "2")
    assert ended is not None
    assert ended.expected_start is None


def test_no_jobs_is_an_answer() -> None:
    assert parse_listing("") == {}


def test_an_answer_that_is_no_listing_is_no_evidence() -> None:
    with pytest.raises(SchedulerUnavailable, match="no list"):
        parse_listing("slurm_load_jobs error: Unexpected message received\n")


def test_a_foreign_script_with_a_line_break_in_its_name_hides_no_other_job() -> None:
    foreign = listing("RUNNING", script="/x/odd\nname.sh")
    assert set(parse_listing(foreign + recorded.LISTING)) >= {"17", "2"}


@pytest.mark.parametrize(
    ("word", "state", "end"),
    [
        ("PENDING", SchedulerState.QUEUED, None),
        ("CONFIGURING", SchedulerState.QUEUED, None),
        ("REQUEUED", SchedulerState.QUEUED, None),
        ("REQUEUE_HOLD", SchedulerState.QUEUED, None),
        ("SPECIAL_EXIT", SchedulerState.QUEUED, None),
        ("RUNNING", SchedulerState.RUNNING, None),
        ("COMPLETING", SchedulerState.RUNNING, None),
        ("SUSPENDED", SchedulerState.RUNNING, None),
        ("STAGE_OUT", SchedulerState.RUNNING, None),
        ("COMPLETED", SchedulerState.ENDED, None),
        ("FAILED", SchedulerState.ENDED, None),
        ("TIMEOUT", SchedulerState.ENDED, EndReason.TIMEOUT),
        ("DEADLINE", SchedulerState.ENDED, EndReason.TIMEOUT),
        ("OUT_OF_MEMORY", SchedulerState.ENDED, EndReason.OUT_OF_MEMORY),
        ("NODE_FAIL", SchedulerState.ENDED, EndReason.NODE_FAILURE),
        ("BOOT_FAIL", SchedulerState.ENDED, EndReason.NODE_FAILURE),
        ("PREEMPTED", SchedulerState.ENDED, EndReason.NODE_FAILURE),
        ("REVOKED", SchedulerState.UNKNOWN, None),
        ("SOMETHING_NEW", SchedulerState.UNKNOWN, None),
    ],
)
def test_every_state_has_a_meaning(word: str, state: SchedulerState, end: EndReason | None) -> None:
    job = parse_listing(listing(word))["17"]
    assert (job.state, job.end) == (state, end)


def test_the_leader_of_a_heterogeneous_job_has_the_id_that_sbatch_gave() -> None:
    assert set(parse_listing(listing("RUNNING").replace("17", "17+0", 1))) == {"17"}


@pytest.mark.parametrize(
    ("state", "exit_code", "end", "code"),
    [
        ("COMPLETED", "0:0", None, 0),
        ("FAILED", "3:0", None, 3),
        ("FAILED", "0:9", None, 137),
        ("FAILED", "137:0", None, 137),
        ("FAILED", "0:53", EndReason.REFUSED, None),
        ("TIMEOUT", "0:15", EndReason.TIMEOUT, 143),
        ("TIMEOUT", "0:0", EndReason.TIMEOUT, None),
        ("CANCELLED", "0:15", EndReason.CANCELLED, 143),
        ("CANCELLED", "0:0", EndReason.CANCELLED, None),
        ("OUT_OF_MEMORY", "0:125", EndReason.OUT_OF_MEMORY, 253),
        ("RUNNING", "0:0", None, None),
    ],
)
def test_a_detail_tells_why_a_job_ended_and_its_code(
    state: str, exit_code: str, end: EndReason | None, code: int | None
) -> None:
    job = parse_detail(recorded.detail(state=state, exit_code=exit_code), "2")
    assert job is not None
    assert (job.end, job.exit_code) == (end, code)


def test_a_detail_shows_identity_user_and_time() -> None:
    job = parse_detail(recorded.detail(), "2")
    assert job is not None
    assert job.identity == "/srv/aws-job/job 日本|x/w.sh"
    assert (job.user, job.submitted_at) == ("root", 1795300143)
    assert job.words == "FAILED (NonZeroExitCode)"


def test_a_job_cannot_forge_its_state_by_its_name() -> None:
    job = parse_detail(recorded.detail(name="x JobState=COMPLETED ExitCode=0:0"), "2")
    assert job is not None
    assert (job.words, job.exit_code) == ("FAILED (NonZeroExitCode)", 3)


def test_the_right_one_of_several_records_is_read() -> None:
    text = recorded.detail(job_id="1", state="COMPLETED") + recorded.detail(job_id="2")
    job = parse_detail(text, "2")
    assert job is not None
    assert job.words.startswith("FAILED")
    assert parse_detail(text, "3") is None


def test_accounting_is_matched_on_the_id() -> None:
    text = "16|COMPLETED|0:0|1795300100|root\n17|CANCELLED by 1000|0:15|1795300143|hanako\n"
    job = parse_accounting(text, "17")
    assert job is not None
    assert (job.end, job.exit_code, job.user) == (EndReason.CANCELLED, 143, "hanako")
    assert job.words == "CANCELLED by 1000"
    assert parse_accounting(text, "1") is None


def test_a_live_job_in_the_accounting_alone_is_no_evidence_of_life_or_end() -> None:
    job = parse_accounting("17|RUNNING|0:0|1795300143|hanako\n", "17")
    assert job is not None
    assert job.state is SchedulerState.UNKNOWN


@pytest.mark.parametrize(
    ("answer", "job_id"),
    [
        ("4711\n", "4711"),
        ("4711;west\n", "4711"),
        ("Welcome to the cluster\n4711\n", "4711"),
        ("", None),
        ("Submitted batch job 12\n", None),
    ],
)
def test_the_id_of_a_submission_is_found(answer: str, job_id: str | None) -> None:
    assert parse_submission(answer) == job_id


@pytest.mark.parametrize(
    ("message", "error"),
    [(message, SchedulerUnavailable) for message in recorded.NOT_SENT]
    + [(message, SubmissionUnknown) for message in recorded.LOST]
    + [(message, SubmissionDeferred) for message in recorded.DEFERRED]
    + [(message, SubmissionRefused) for message in recorded.REFUSED],
)
def test_a_failed_submission_is_told_by_its_text(message: str, error: type[Exception]) -> None:
    assert type(parse_submission_error(message)) is error


@given(st.text(alphabet=st.characters() | st.sampled_from("\x1f\n|=: ()JobId17")))
def test_no_answer_breaks_a_parser(text: str) -> None:
    parse_detail(text, "17")
    parse_accounting(text, "17")
    parse_submission(text)
    parse_submission_error(text)
    try:
        parse_listing(text)
    except SchedulerUnavailable:
        assert text


@given(
    st.lists(st.text(alphabet=st.characters(exclude_characters="\x1f\n")), min_size=7, max_size=7)
)
def test_any_fields_are_read_as_they_stand(fields: list[str]) -> None:
    (job,) = parse_listing(SEPARATOR.join(fields) + "\n").values()
    assert job.id == fields[0].removesuffix("+0")
    assert job.identity == (fields[6] or None)
    assert LISTING_FORMAT.count(SEPARATOR) == 6
