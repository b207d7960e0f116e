"""The states of allocations and jobs."""

from __future__ import annotations

import pytest

from job_protocol.states import (
    JOBFERRY_WORDS,
    TRANSITIONS,
    USER_WORDS,
    ClientStatus,
    JobStatus,
    Outcome,
    Word,
    job_status_of,
    may_become,
    outcome_of,
    word_of,
)

TERMINAL = {"complete", "failed", "stopped", "lost"}


def test_every_status_has_its_transitions_and_they_lead_nowhere_else() -> None:
    assert set(TRANSITIONS) == set(ClientStatus)
    assert set().union(*TRANSITIONS.values()) <= set(ClientStatus)


def test_exactly_the_four_ends_are_terminal() -> None:
    assert {status.value for status in ClientStatus if status.terminal} == TERMINAL


@pytest.mark.parametrize("old", ClientStatus)
@pytest.mark.parametrize("new", ClientStatus)
def test_nothing_leaves_a_terminal_status(old: ClientStatus, new: ClientStatus) -> None:
    assert not (old.terminal and may_become(old, new))


def test_every_status_can_be_reached_and_every_live_one_can_end() -> None:
    reached = {ClientStatus.PENDING}
    while further := set().union(*(TRANSITIONS[status] for status in reached)) - reached:
        reached |= further
    assert reached == set(ClientStatus)
    for status in ClientStatus:
        assert status.terminal or may_become(status, ClientStatus.STOPPED)


def test_a_requeued_job_goes_back_to_queued_but_a_publishing_one_never() -> None:
    assert may_become(ClientStatus.RUNNING, ClientStatus.QUEUED)
    assert not may_become(ClientStatus.PUBLISHING, ClientStatus.RUNNING)


def test_a_pending_allocation_does_not_run_without_a_claim() -> None:
    assert TRANSITIONS[ClientStatus.PENDING] == {ClientStatus.STARTING, ClientStatus.STOPPED}


@pytest.mark.parametrize("status", ClientStatus)
def test_a_job_is_dead_with_an_outcome_exactly_when_its_allocation_has_ended(
    status: ClientStatus,
) -> None:
    assert (job_status_of(status) is JobStatus.DEAD) == status.terminal
    assert (outcome_of(status) is not None) == status.terminal


@pytest.mark.parametrize("outcome", Outcome)
def test_the_outcome_decides_the_word_whatever_the_allocation_says(outcome: Outcome) -> None:
    words = {word_of(outcome, client) for client in (None, *ClientStatus)}
    assert len(words) == 1
    assert words <= JOBFERRY_WORDS


@pytest.mark.parametrize(
    ("client", "word"),
    [
        (None, Word.JOB_QUEUED),
        (ClientStatus.PENDING, Word.JOB_QUEUED),
        (ClientStatus.STARTING, Word.JOB_QUEUED),
        (ClientStatus.QUEUED, Word.JOB_SUBMITTED),
        (ClientStatus.RUNNING, Word.JOB_RUNNING),
        (ClientStatus.PUBLISHING, Word.JOB_RUNNING),
    ],
)
def test_the_word_of_a_live_job(client: ClientStatus | None, word: Word) -> None:
    assert word_of(None, client) is word


def test_a_word_belongs_to_the_user_or_to_jobferry_never_to_both() -> None:
    assert {"FILE_UPLOAD", "JOB_STOP", "JOB_RETRY"} == USER_WORDS
    assert set(Word) == USER_WORDS | JOBFERRY_WORDS
    assert not USER_WORDS & JOBFERRY_WORDS


def test_a_word_is_one_line_that_a_shell_script_can_compare() -> None:
    assert Word.JOB_COMPLETE.body == b"JOB_COMPLETE\n"
