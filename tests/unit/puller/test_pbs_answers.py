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
from puller.schedulers.pbs_answers import (
    identity_in,
    parse_ids,
    parse_jobs,
    parse_submission,
    parse_submission_error,
)
from tests.unit.puller.transcripts import transcript


def live() -> dict[str, ListedJob]:
    return parse_jobs(transcript("pbs", "qstat-live.txt"))


def ended() -> dict[str, ListedJob]:
    return parse_jobs(transcript("pbs", "qstat-ended.txt"))


def test_states_of_live_jobs() -> None:
    shown = {job_id: job.state for job_id, job in live().items()}
    queued, running = SchedulerState.QUEUED, SchedulerState.RUNNING
    assert shown == {
        "11.pbs": queued,
        "12.pbs": running,
        "13.pbs": queued,
        "14.pbs": queued,
        "15.pbs": running,
        "16.pbs": running,
    }


def test_the_estimate_of_the_start_is_read_of_a_job_that_waits() -> None:
    expected = {job_id: job.expected_start for job_id, job in live().items()}
    assert expected == dict.fromkeys(expected) | {"11.pbs": 1795320000}
    kept_as_number = transcript("pbs", "qstat-live.txt").replace(
        "Sun Nov 22 04:00:00 2026", "1795320000"
    )
    assert parse_jobs(kept_as_number)["11.pbs"].expected_start == 1795320000


def test_the_reason_why_a_job_waits_is_told_verbatim() -> None:
    words = live()["14.pbs"].words
    assert words == "Q (Can Never Run: Insufficient amount of resource: ncpus (R: 400 A: 64 T: 64))"


def test_a_job_is_known_by_its_folder_owner_and_time() -> None:
    job = live()["12.pbs"]
    assert job.identity == "0f8fad5b-d9cb-469f-a165-708677289512/wrapper.sh"
    assert job.user == "hanako"
    assert job.submitted_at == 1795300400


@pytest.mark.parametrize(
    ("number", "end", "code"),
    [
        (21, None, 0),
        (22, None, 3),
        (23, None, 137),
        (24, EndReason.TIMEOUT, None),
        (25, EndReason.CANCELLED, None),
        (26, EndReason.CANCELLED, None),
        (27, None, 127),
        (28, None, 137),
        (29, EndReason.REFUSED, None),
        (30, EndReason.OUT_OF_MEMORY, None),
        (31, EndReason.REFUSED, None),
        (32, EndReason.NODE_FAILURE, None),
        (33, EndReason.KILLED, None),
    ],
)
def test_ends(number: int, end: EndReason | None, code: int | None) -> None:
    job = ended()[f"{number}.pbs"]
    assert (job.state, job.end, job.exit_code) == (SchedulerState.ENDED, end, code)


def test_any_cut_answer_is_none() -> None:
    whole = transcript("pbs", "qstat-live.txt")
    records = {whole.find("Job Id: ", n) for n in range(len(whole))} | {0}
    for length in range(1, len(whole)):
        if length not in records:
            with pytest.raises(SchedulerUnavailable):
                parse_jobs(whole[:length])


def test_a_variable_with_line_breaks_changes_nothing() -> None:
    text = transcript("pbs", "qstat-live.txt").replace(
        "PBS_O_SYSTEM=Linux", "EVIL=x\n    job_state = F\n    Exit_status = 0", 2
    )
    assert parse_jobs(text)["12.pbs"].state is SchedulerState.RUNNING


@pytest.mark.parametrize(
    ("arguments", "identity"),
    [
        ("-N x /srv/alloc/1-2/wrapper.sh", "1-2/wrapper.sh"),
        ('-N x "/srv/my jobs,x/alloc/1-2/wrapper.sh"', "1-2/wrapper.sh"),
        ("job.sh", "job.sh"),
    ],
)
def test_the_identity_survives_what_pbs_does_to_paths(arguments: str, identity: str) -> None:
    assert identity_in(arguments) == identity


def test_ids_of_a_selection() -> None:
    ids = parse_ids("1.pbs\n2[].pbs\n2[7].pbs\n3.pbs.example.org\n")
    assert ids == ["1.pbs", "2[].pbs", "3.pbs.example.org"]
    with pytest.raises(SchedulerUnavailable):
        parse_ids("Good morning\n")


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("qsub: would exceed queue generic's per-user limit", SubmissionDeferred),
        ("qsub: would exceed group g's limit on resource njobs-g", SubmissionDeferred),
        ("qsub: Maximum number of jobs already in queue workq", SubmissionDeferred),
        ("qsub: Maximum number of jobs in 'Q' state for user u in queue", SubmissionDeferred),
        ("qsub: Queue is not enabled", SubmissionDeferred),
        ("qsub: cannot connect to server pbs (errno=111)", SchedulerUnavailable),
        ("qsub: Premature end of message", SubmissionUnknown),
        ("qsub: Unknown queue", SubmissionRefused),
        ("qsub: Job violates queue and/or server resource limits", SubmissionRefused),
        ("qsub: invalid option -- 'Y'", SubmissionRefused),
        ("qsub: script contains cr, lf: DOS format", SubmissionRefused),
    ],
)
def test_refused_submissions(message: str, error: type[Exception]) -> None:
    assert type(parse_submission_error(message)) is error


def test_the_id_of_a_submission() -> None:
    assert parse_submission("17.pbs\n") == "17.pbs"
    assert parse_submission("budget: 5 left\n17.pbs-01.example.org\n") == "17.pbs-01.example.org"
    assert parse_submission("thank you\n") is None


@given(text=st.text())
def test_no_text_makes_a_parser_fail_otherwise(text: str) -> None:
    for parse in (
        lambda: parse_ids(text),
        lambda: parse_jobs(text),
        lambda: parse_jobs(f"Job Id: 1.pbs\n    job_state = F\n{text}\n\n"),
        lambda: parse_submission(text),
        lambda: parse_submission_error(text),
    ):
        with contextlib.suppress(SchedulerUnavailable):
            parse()
