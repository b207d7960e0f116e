from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import (
    SchedulerError,
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionRefused,
    SubmissionUnknown,
)
from puller.schedulers.interface import EndReason, ListedJob, SchedulerState
from puller.schedulers.tcs_answers import (
    denies,
    nothing_to_cancel,
    parse_listing,
    parse_submission,
    parse_submission_error,
)
from tests.unit.puller.transcripts import transcript

NOW = 1795300400.0
HEADER = "H,JOB_ID,ST,EC,PC,SN,ACCEPT,START_DATE,USER,REASON,JOB_NAME\n"


def live() -> dict[str, ListedJob]:
    return parse_listing(transcript("tcs", "pjstat-live.csv"), NOW)


def ended() -> dict[str, ListedJob]:
    return parse_listing(transcript("tcs", "pjstat-ended.csv"), NOW)


def one(state: str, *, ec: str = "0", pc: str = "0", sn: str = "0", reason: str = "-") -> ListedJob:
    return parse_listing(f"{HEADER},17,{state},{ec},{pc},{sn},-,-,u1,{reason},jf-x\n", NOW)["17"]


def test_a_listing_shows_state_words_and_identity() -> None:
    assert set(live()) == {"101", "102", "103", "104", "105", "106"}
    assert live()["102"].words == "QUE (INSUFF NODE)"
    assert live()["103"].identity == "jf-5f2c8f3e-0000-5000-8000-000000000103"
    assert live()["103"].user == "u01234"
    assert live()["103"].submitted_at is not None
    assert live()["103"].submitted_at <= NOW
    assert (live()["103"].exit_code, live()["103"].end) == (None, None)


def test_an_expected_start_stands_in_parentheses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    expected = {job_id: job.expected_start for job_id, job in live().items()}
    assert expected == dict.fromkeys(expected) | {"102": 1795428000}
    monkeypatch.undo()
    time.tzset()


def test_a_comma_in_a_foreign_name_shifts_nothing() -> None:
    assert live()["106"].identity == "someone's job,with a comma"
    assert live()["106"].state is SchedulerState.RUNNING


def test_fields_are_found_by_their_names() -> None:
    text = "H,ST,JOB_NAME,JOB_ID\n,RUN,jf-x,17\n"
    assert parse_listing(text, NOW)["17"].identity == "jf-x"


@pytest.mark.parametrize(
    ("word", "state", "end"),
    [
        ("ACC", SchedulerState.QUEUED, None),
        ("QUE", SchedulerState.QUEUED, None),
        ("RNA", SchedulerState.QUEUED, None),
        ("HLD", SchedulerState.QUEUED, None),
        ("RNP", SchedulerState.RUNNING, None),
        ("RUN", SchedulerState.RUNNING, None),
        ("RNE", SchedulerState.RUNNING, None),
        ("RNO", SchedulerState.RUNNING, None),
        ("SPP", SchedulerState.RUNNING, None),
        ("SPD", SchedulerState.RUNNING, None),
        ("RSM", SchedulerState.RUNNING, None),
        ("EXT", SchedulerState.ENDED, None),
        ("CCL", SchedulerState.ENDED, EndReason.CANCELLED),
        ("RJT", SchedulerState.ENDED, EndReason.REFUSED),
        ("ERR", SchedulerState.ENDED, EndReason.REFUSED),
        ("NEW", SchedulerState.UNKNOWN, None),
    ],
)
def test_every_state_has_a_meaning(word: str, state: SchedulerState, end: EndReason | None) -> None:
    assert (one(word).state, one(word).end) == (state, end)


@pytest.mark.parametrize(
    ("pc", "end"),
    [
        ("0", None),
        ("1", EndReason.CANCELLED),
        ("2", EndReason.REFUSED),
        ("3", EndReason.REFUSED),
        ("4", None),
        ("6", EndReason.REFUSED),
        ("7", EndReason.TIMEOUT),
        ("8", EndReason.REFUSED),
        ("9", EndReason.NODE_FAILURE),
        ("11", EndReason.TIMEOUT),
        ("12", EndReason.OUT_OF_MEMORY),
        ("13", EndReason.KILLED),
        ("16", EndReason.REFUSED),
        ("18", EndReason.NODE_FAILURE),
        ("20", EndReason.NODE_FAILURE),
        ("21", EndReason.REFUSED),
        ("22", EndReason.NODE_FAILURE),
        ("23", EndReason.OUT_OF_MEMORY),
        ("25", EndReason.NODE_FAILURE),
        ("26", EndReason.KILLED),
        ("27", EndReason.KILLED),
        ("99", EndReason.KILLED),
        ("-", None),
    ],
)
def test_every_pjm_code_has_a_meaning(pc: str, end: EndReason | None) -> None:
    assert one("EXT", pc=pc).end is end


def test_the_reason_is_told_as_tcs_writes_it_or_as_the_manual_says() -> None:
    assert ended()["204"].words == "EXT, PJM code 11: ELAPSE LIMIT EXCEEDED"
    assert ended()["207"].words == "EXT, PJM code 20: node down"
    assert ended()["201"].words == "EXT"
    assert one("EXT", pc="99").words == "EXT, PJM code 99"
    assert live()["105"].words == "ERR (INTERNAL ERROR)"


def test_the_code_is_the_scripts_only_where_the_script_ended_by_itself() -> None:
    codes = {job_id: job.exit_code for job_id, job in ended().items()}
    assert codes["201"] == 0
    assert codes["202"] == 3
    assert codes["203"] == 137
    assert codes["204"] == 152
    assert codes["205"] is None
    assert codes["207"] is None
    assert codes["208"] is None


def test_no_jobs_is_an_answer() -> None:
    assert parse_listing(transcript("tcs", "pjstat-none.csv"), NOW) == {}
    assert parse_listing("", NOW) == {}


@pytest.mark.parametrize(
    "text", [",17,RUN\n", "H,A,B\n,17,RUN\n", "[WARN] trouble\n", "H,JOB_ID,ST\n,17,RUN"]
)
def test_an_answer_that_is_no_listing_is_no_evidence(text: str) -> None:
    with pytest.raises(SchedulerUnavailable):
        parse_listing(text, NOW)


@given(st.integers(min_value=0, max_value=len(transcript("tcs", "pjstat-live.csv"))))
def test_a_listing_that_was_cut_short_never_ends_a_live_job(length: int) -> None:
    with contextlib.suppress(SchedulerUnavailable):
        for job in parse_listing(transcript("tcs", "pjstat-live.csv")[:length], NOW).values():
            assert job.state is not SchedulerState.ENDED or job.id == "105"


def test_a_denial_is_told_from_an_error() -> None:
    assert denies(transcript("tcs", "pjstat-denied.txt"))
    assert not denies(transcript("tcs", "pjstat-bad-id.txt"))
    assert nothing_to_cancel(transcript("tcs", "pjdel-denied.txt"))
    assert not nothing_to_cancel(transcript("tcs", "pjstat-bad-id.txt"))


def test_only_the_submission_line_tells_an_id() -> None:
    assert parse_submission(transcript("tcs", "pjsub.txt")) == "9714"
    assert parse_submission("Job 5 submitted.\n") is None
    assert parse_submission(transcript("tcs", "pjsub-staging.txt")) is None


@pytest.mark.parametrize(
    ("name", "code", "error"),
    [
        ("pjsub-node-limit.txt", 1, SubmissionRefused),
        ("pjsub-group.txt", 1, SubmissionRefused),
        ("pjsub-directory.txt", 1, SubmissionRefused),
        ("pjsub-staging.txt", 0, SubmissionRefused),
        ("pjsub-too-many.txt", 1, SubmissionDeferred),
    ],
)
def test_a_failed_submission_is_told_by_its_text(
    name: str, code: int, error: type[SchedulerError]
) -> None:
    assert type(parse_submission_error(transcript("tcs", name), code)) is error


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", 0),
        ("accepted, it seems", 0),
        ("killed", None),
        ("killed", -9),
        ("[ERR.] PJM 0090 pjsub Failed to communicate with the job manager.", 1),
        ("[ERR.] PJM 0090 pjsub Connection timed out.", 0),
    ],
)
def test_a_submission_without_a_clear_answer_is_unknown(message: str, code: int | None) -> None:
    assert type(parse_submission_error(message, code)) is SubmissionUnknown


FIELD = st.text(st.characters(exclude_characters="\n"), max_size=12)
LINE = st.lists(
    FIELD | st.sampled_from(["H", "", "JOB_ID", "ST", "17", "EXT", "11"]), max_size=12
).map(",".join)


@given(st.lists(LINE).map(lambda some: "\n".join([*some, ""])), st.sampled_from(["", HEADER]))
def test_no_listing_breaks_the_parser(text: str, header: str) -> None:
    with contextlib.suppress(SchedulerUnavailable):
        assert all(job.id == job_id for job_id, job in parse_listing(header + text, NOW).items())


@given(st.text(), st.none() | st.integers(-15, 255))
def test_no_message_breaks_the_reading_of_a_submission(text: str, code: int | None) -> None:
    assert parse_submission(text) is None or "submitted" in text
    assert isinstance(parse_submission_error(text, code), SchedulerError)
