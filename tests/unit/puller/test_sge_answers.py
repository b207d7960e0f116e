from __future__ import annotations

import contextlib

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
from puller.schedulers.sge_answers import (
    Submitted,
    listed_job,
    parse_accounting,
    parse_states,
    parse_submission,
    parse_submission_error,
    parse_submitted,
    shown_path,
)
from tests.unit.puller.transcripts import transcript

NOTHING = Submitted(identity="/w.sh", user="root", submitted_at=1, error="")


def accounted(name: str, job_id: str, user: str = "root") -> ListedJob | None:
    return parse_accounting(transcript("sge", f"qacct-{name}.txt"), job_id, user)


def test_a_listing_shows_the_states() -> None:
    assert parse_states(transcript("sge", "qstat.xml")) == {"5": "r", "6": "hqw", "7": "Eqw"}


def test_a_detail_shows_script_owner_time_and_error() -> None:
    jobs = parse_submitted(transcript("sge", "qstat-j.xml"))
    assert set(jobs) == {"5", "6", "7"}
    assert jobs["5"].identity.startswith("/srv/aws-job/.jobferry/alloc/")
    assert jobs["5"].identity.endswith("/wrapper.sh")
    assert jobs["5"].user == "root"
    assert jobs["5"].submitted_at is not None
    assert "can't chdir to /nonexistent" in jobs["7"].error


def test_unknown_jobs_are_an_answer() -> None:
    assert parse_submitted(transcript("sge", "qstat-unknown.xml")) == {}


@pytest.mark.parametrize("parse", [parse_states, parse_submitted])
@pytest.mark.parametrize("name", ["qstat-j-down.xml", "qstat-down-stderr.txt"])
def test_a_qmaster_that_is_down_is_no_listing(parse: object, name: str) -> None:
    assert callable(parse)
    with pytest.raises(SchedulerUnavailable, match=r"qmaster|whole answer"):
        parse(transcript("sge", name))


def test_any_cut_listing_is_none() -> None:
    whole = transcript("sge", "qstat.xml").rstrip()
    for length in range(len(whole)):
        with pytest.raises(SchedulerUnavailable):
            parse_states(whole[:length])


@pytest.mark.parametrize(
    ("letters", "state"),
    [
        ("qw", SchedulerState.QUEUED),
        ("hqw", SchedulerState.QUEUED),
        ("hRqw", SchedulerState.QUEUED),
        ("Rq", SchedulerState.QUEUED),
        ("dqw", SchedulerState.QUEUED),
        ("t", SchedulerState.RUNNING),
        ("r", SchedulerState.RUNNING),
        ("hr", SchedulerState.RUNNING),
        ("Rr", SchedulerState.RUNNING),
        ("dr", SchedulerState.RUNNING),
        ("dRt", SchedulerState.RUNNING),
        ("s", SchedulerState.RUNNING),
        ("tS", SchedulerState.RUNNING),
        ("RtT", SchedulerState.RUNNING),
        ("Eqw", SchedulerState.ENDED),
        ("Ehqw", SchedulerState.ENDED),
        ("EhRqw", SchedulerState.ENDED),
        ("", SchedulerState.UNKNOWN),
        ("z", SchedulerState.UNKNOWN),
        ("x", SchedulerState.UNKNOWN),
    ],
)
def test_state_letters(letters: str, state: SchedulerState) -> None:
    job = listed_job("7", letters, NOTHING)
    assert job.state is state
    assert (job.end is EndReason.REFUSED) == (state is SchedulerState.ENDED)


@pytest.mark.parametrize(
    ("name", "job_id", "end", "code", "words"),
    [
        ("success", "1", None, 0, "exit status 0"),
        ("exit3", "2", None, 3, "exit status 3"),
        (
            "limit",
            "3",
            EndReason.TIMEOUT,
            137,
            "failed 37: qmaster enforced h_rt, h_cpu, or h_vmem limit",
        ),
        ("killed", "4", None, 137, "exit status 137"),
        ("error", "7", EndReason.REFUSED, None, "failed 28: changing into working directory"),
    ],
)
def test_recorded_ends(
    name: str, job_id: str, end: EndReason | None, code: int | None, words: str
) -> None:
    job = accounted(name, job_id)
    assert job is not None
    assert (job.state, job.end, job.exit_code) == (SchedulerState.ENDED, end, code)
    assert job.words == words
    assert job.submitted_at is not None


def test_a_record_of_another_user_or_id_is_not_ours() -> None:
    assert accounted("success", "1", user="hanako") is None
    assert accounted("success", "11") is None


def test_the_last_record_of_a_recycled_id_counts() -> None:
    text = transcript("sge", "qacct-success.txt") + transcript("sge", "qacct-exit3.txt").replace(
        "jobnumber    2 ", "jobnumber    1 "
    )
    job = parse_accounting(text, "1", "root")
    assert job is not None
    assert job.exit_code == 3


def test_a_rescheduled_job_has_not_ended() -> None:
    text = transcript("sge", "qacct-success.txt").replace("failed       0 ", "failed       25 ")
    assert parse_accounting(text, "1", "root") is None


def test_half_a_record_is_no_evidence() -> None:
    half = transcript("sge", "qacct-success.txt").partition("exit_status")[0]
    with pytest.raises(SchedulerUnavailable, match="half a record"):
        parse_accounting(half, "1", "root")


@pytest.mark.parametrize("failed", [1, 3, 7, 8, 10, 11, 26, 27, 28, 33, 38])
def test_what_never_ran_was_refused(failed: int) -> None:
    text = transcript("sge", "qacct-success.txt").replace(
        "failed       0 ", f"failed       {failed} "
    )
    job = parse_accounting(text, "1", "root")
    assert job is not None
    assert (job.end, job.exit_code) == (EndReason.REFUSED, None)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("qsub-down-stderr.txt", SchedulerUnavailable),
        ("qsub-limit-stderr.txt", SubmissionDeferred),
        ("qsub-name-stderr.txt", SubmissionUnknown),
        ("qsub-option-stderr.txt", SubmissionRefused),
        ("qsub-queue-stderr.txt", SubmissionRefused),
    ],
)
def test_refused_submissions(name: str, error: type[Exception]) -> None:
    assert type(parse_submission_error(transcript("sge", name))) is error


def test_a_lost_answer_leaves_a_submission_unknown() -> None:
    message = "Unable to run job: failed receiving gdi request response for mid=1 (got timeout)"
    assert type(parse_submission_error(message)) is SubmissionUnknown


def test_the_id_of_a_submission() -> None:
    assert parse_submission("17\n") == "17"
    assert parse_submission("Welcome\n17\nBye 5\n") == "17"
    assert parse_submission("Your job 17 has been submitted\n") is None


def test_paths_compare_as_qstat_shows_them() -> None:
    shown = "<detailed_job_info><djob_info><element><JB_job_number>1</JB_job_number>" + (
        "<JB_script_file>/a %lt;&amp;&gt;日/w.sh</JB_script_file></element></djob_info>"
        "</detailed_job_info>"
    )
    assert parse_submitted(shown)["1"].identity == shown_path("/a <&>日/w.sh")


@given(text=st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_no_text_makes_a_parser_fail_otherwise(text: str) -> None:
    for parse in (
        lambda: parse_states(text),
        lambda: parse_submitted(text),
        lambda: parse_submitted(f"<detailed_job_info>{text}</detailed_job_info>"),
        lambda: parse_accounting(f"{'=' * 30}\njobnumber 1\nowner root\n{text}", "1", "root"),
        lambda: parse_submission(text),
        lambda: parse_submission_error(text),
    ):
        with contextlib.suppress(SchedulerUnavailable):
            parse()
