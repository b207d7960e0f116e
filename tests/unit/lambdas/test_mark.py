"""What a new version of `aws-job-stat.txt` asks for."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.job import Job, Registration
from job_protocol.states import JOBFERRY_WORDS, JobKind, Outcome, Role, Word
from lambdas.rules.mark import Action, decide, is_newer, word_of_body, word_of_etag
from tests.unit.job_protocol.strategies import jobs
from tests.unit.lambdas.examples import a_dead_job, a_folder, a_job, a_mark, a_rejected_upload

JOBS: dict[str, Job | None] = {
    "none": None,
    "active": a_job(),
    "dead": a_dead_job(),
    "rejected": a_rejected_upload(),
    "registered": a_dead_job(registration=Registration(version=0, name="000000-0")),
    "child": a_dead_job(registration=Registration(version=0, name="000000-0"), parent="t"),
    "folder": a_folder(sequencer="10"),
    "template": a_job(role=Role.TEMPLATE, kind=JobKind.PARAMETERIZED, client_status=None),
}

TABLE = {
    (Word.FILE_UPLOAD, "none"): Action.EXAMINE,
    (Word.FILE_UPLOAD, "active"): Action.REASSERT,
    (Word.FILE_UPLOAD, "dead"): Action.EXAMINE,
    (Word.FILE_UPLOAD, "rejected"): Action.EXAMINE,
    (Word.FILE_UPLOAD, "folder"): Action.EXAMINE,
    (Word.FILE_UPLOAD, "template"): Action.EXAMINE,
    (Word.FILE_UPLOAD, "registered"): Action.REJECT,
    (Word.FILE_UPLOAD, "child"): Action.REJECT,
    (Word.JOB_STOP, "none"): Action.REMEMBER_STOP,
    (Word.JOB_STOP, "active"): Action.STOP,
    (Word.JOB_STOP, "dead"): Action.REMEMBER_STOP,
    (Word.JOB_STOP, "rejected"): Action.REMEMBER_STOP,
    (Word.JOB_STOP, "folder"): Action.REMEMBER_STOP,
    (Word.JOB_STOP, "template"): Action.REMEMBER_STOP,
    (Word.JOB_RETRY, "none"): Action.REJECT,
    (Word.JOB_RETRY, "active"): Action.REASSERT,
    (Word.JOB_RETRY, "dead"): Action.REASSERT,  # it is complete
    (Word.JOB_RETRY, "rejected"): Action.REJECT,
    (Word.JOB_RETRY, "folder"): Action.REJECT,
    (Word.JOB_RETRY, "template"): Action.REJECT,
    (None, "none"): Action.REJECT,
    (None, "active"): Action.REASSERT,
    (None, "dead"): Action.REASSERT,
    (None, "rejected"): Action.REJECT,
    (None, "folder"): Action.REJECT,
    (None, "template"): Action.REJECT,
}


@pytest.mark.parametrize(("word", "state"), TABLE)
def test_a_newer_word_of_the_user_is_acted_on(word: Word | None, state: str) -> None:
    decision = decide(word, a_mark(sequencer="11"), JOBS[state])
    assert decision.action is TABLE[word, state]


def test_a_mark_at_a_nomad_job_names_the_command_that_runs_it() -> None:
    problem = decide(Word.FILE_UPLOAD, a_mark(sequencer="11"), JOBS["registered"]).problem
    assert problem is not None
    assert problem.problem == "FILE_UPLOAD: 'job0001' is a Nomad job, not an upload"
    assert problem.remedy.startswith("run it by `jobferry job run FILE`; ")
    problem = decide(Word.FILE_UPLOAD, a_mark(sequencer="11"), JOBS["child"]).problem
    assert problem is not None
    assert "is a child of the Nomad job 't'" in problem.problem
    assert "`jobferry job dispatch t`" in problem.remedy


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.STOPPED, Outcome.LOST])
def test_a_job_that_did_not_complete_is_retried(outcome: Outcome) -> None:
    newer = a_mark(sequencer="11")
    assert decide(Word.JOB_RETRY, newer, a_dead_job(outcome)).action is Action.RETRY
    older = a_mark(sequencer="0f")
    assert decide(Word.JOB_RETRY, older, a_dead_job(outcome)).action is Action.IGNORE
    nothing = a_dead_job(outcome, current=None)
    assert decide(Word.JOB_RETRY, newer, nothing).action is Action.REASSERT


def test_a_retry_after_a_rejected_upload_says_what_to_do() -> None:
    decision = decide(Word.JOB_RETRY, a_mark(sequencer="11"), a_dead_job(Outcome.REJECTED))
    assert decision.action is Action.REASSERT
    assert "FILE_UPLOAD" in (decision.note or "")


@pytest.mark.parametrize("sequencer", ["10", "0f", "100", "1"])
@pytest.mark.parametrize(("word", "state"), [case for case in TABLE if case[1] != "none"])
def test_a_word_that_is_not_newer_is_dropped(word: Word | None, state: str, sequencer: str) -> None:
    assert decide(word, a_mark(sequencer=sequencer), JOBS[state]).action is Action.IGNORE


@pytest.mark.parametrize("word", sorted(JOBFERRY_WORDS))
@pytest.mark.parametrize("state", JOBS)
def test_jobferrys_own_words_ask_for_nothing(word: Word, state: str) -> None:
    assert decide(word, a_mark(sequencer="99"), JOBS[state]).action is Action.IGNORE


@pytest.mark.parametrize("state", ["dead", "rejected", "none"])
def test_a_stop_that_was_remembered_is_remembered_once(state: str) -> None:
    job = a_rejected_upload(sequencer=None, stop_sequencer="20") if state == "none" else JOBS[state]
    assert job is not None
    remembered = a_dead_job(stop_sequencer="20") if state == "dead" else job
    if state == "rejected":
        remembered = a_rejected_upload(stop_sequencer="20")
    assert decide(Word.JOB_STOP, a_mark(sequencer="20"), remembered).action is Action.IGNORE
    assert decide(Word.JOB_STOP, a_mark(sequencer="21"), remembered).action is Action.REMEMBER_STOP


def test_a_file_upload_that_a_stop_has_overtaken_is_still_examined() -> None:
    waiting = a_rejected_upload(sequencer=None, stop_sequencer="20")
    assert decide(Word.FILE_UPLOAD, a_mark(sequencer="19"), waiting).action is Action.EXAMINE


def test_the_note_for_an_active_job_says_what_to_do() -> None:
    note = decide(Word.FILE_UPLOAD, a_mark(), a_job(run=3)).note
    assert note is not None
    assert "run 3" in note
    assert "JOB_STOP first" in note


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_an_unknown_word_takes_no_outcome_from_a_run(outcome: Outcome | None) -> None:
    job = a_job() if outcome is None else a_dead_job(outcome=outcome)
    decision = decide(None, a_mark(sequencer="11"), job)
    if outcome is Outcome.REJECTED:
        assert decision.action is Action.REJECT
    else:
        assert decision.action is Action.REASSERT
        assert "neither FILE_UPLOAD nor JOB_STOP nor JOB_RETRY" in (decision.note or "")


def test_a_stop_without_a_job_names_its_key() -> None:
    problem = decide(Word.JOB_STOP, a_mark(), None).problem
    assert problem is not None
    assert problem.key == "job0001/aws-job-stat.txt"


@given(st.none() | st.sampled_from(Word), st.text("0123456789ABCDEF", min_size=1), st.none() | jobs)
def test_whatever_was_acted_on_is_not_acted_on_again(
    word: Word | None, sequencer: str, job: Job | None
) -> None:
    decision = decide(word, a_mark(sequencer=sequencer), job)
    assert (decision.note is None) or (decision.problem is None)
    if job is not None and job.sequencer is not None and not is_newer(sequencer, job.sequencer):
        assert decision.action is Action.IGNORE


# ---- sequencers ----


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        ("0055AED6DCD90281E5", None, True),
        ("0055AED6DCD90281E6", "0055AED6DCD90281E5", True),
        ("0055AED6DCD90281E5", "0055AED6DCD90281E5", False),
        ("0055aed6dcd90281e5", "0055AED6DCD90281E5", False),
        ("1", "10", False),
        ("11", "1", True),
        ("2", "19", True),
        ("19", "2", False),
    ],
)
def test_sequencers_are_compared_padded_on_the_right(
    one: str, other: str | None, newer: bool
) -> None:
    assert is_newer(one, other) is newer


hexadecimal = st.text("0123456789abcdefABCDEF", min_size=1, max_size=20)


@given(hexadecimal, hexadecimal)
def test_of_two_sequencers_at_most_one_is_newer(one: str, other: str) -> None:
    def value(text: str) -> int:
        return int(text.ljust(20, "0"), 16)

    assert is_newer(one, other) == (value(one) > value(other))


# ---- words ----


@pytest.mark.parametrize("word", Word)
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_word_is_known_by_its_etag(word: Word, ending: str) -> None:
    body = f"{word}{ending}".encode()
    assert word_of_etag(hashlib.md5(body, usedforsecurity=False).hexdigest()) is word


def test_an_unknown_etag_is_no_word() -> None:
    assert word_of_etag("d41d8cd98f00b204e9800998ecf8427e-2") is None


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"FILE_UPLOAD", Word.FILE_UPLOAD),
        (b"  JOB_STOP \r\n\n", Word.JOB_STOP),
        (b"\xef\xbb\xbfFILE_UPLOAD\n", Word.FILE_UPLOAD),
        (b"file_upload", None),
        (b"", None),
        (b"\xff\xfeF\x00I\x00", None),
        (b"FILE_UPLOAD JOB_STOP", None),
        (b"FILE_UPLOAD" + b" " * 54, None),
    ],
)
def test_a_body_is_exactly_one_word_or_none(body: bytes, word: Word | None) -> None:
    assert word_of_body(body) is word


@given(st.binary(max_size=80))
def test_any_body_is_a_word_or_none(body: bytes) -> None:
    assert word_of_body(body) in (None, *Word)
