"""Adoption: who may be taken for lost, and what evidence moves a claim."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.allocation import Allocation
from job_protocol.site_records import Heartbeat
from job_protocol.states import ClientStatus, Desired
from puller.adoption import (
    SILENT_AFTER,
    Holding,
    Plan,
    Refusal,
    Trace,
    Way,
    Word,
    begun,
    decide,
    objection,
)
from puller.journal import Phase, Record
from puller.schedulers.interface import ListedJob, SchedulerState

NOW = 1_700_000_000.0
IDENTITY = "/jobs/.jobferry/alloc/A/wrapper.sh"
STARTING = Allocation(
    site="dc1",
    job="job 1",
    id="5f0b7c1e-0000-5000-8000-000000000001",
    client_status=ClientStatus.STARTING,
    token="theirs",
    installation="lost",
)
SUBMITTING = replace(STARTING, submitting=True)
RUNNING = replace(
    SUBMITTING, client_status=ClientStatus.RUNNING, scheduler="slurm", scheduler_id="17"
)
NO_TRACE = Trace(scheduler="slurm", identity=IDENTITY)
UNSURE = Word()
NEVER = Word(not_submitted=True)


def job(id_: str = "17", identity: str | None = IDENTITY) -> ListedJob:
    return ListedJob(
        id=id_, state=SchedulerState.RUNNING, words="RUNNING", identity=identity, submitted_at=5
    )


def holding(allocation: Allocation, silent: float = SILENT_AFTER, **more: Any) -> Holding:
    at = int(NOW - silent)
    beat = Heartbeat(site="dc1", installation="lost", host="old", at=at, until=at + 900)
    base = Holding(
        allocation=allocation, heartbeat=beat, journalled=None, installation="mine", now=NOW
    )
    return replace(base, **more)


def journalled(token: str, phase: Phase) -> Record:
    return Record(allocation=STARTING, token=token, phase=phase)


def refused(outcome: Plan | Refusal | None) -> str:
    assert isinstance(outcome, Refusal)
    return outcome.problem


# ---- who may be taken for lost ----


@pytest.mark.parametrize("allocation", [STARTING, SUBMITTING, RUNNING])
def test_an_hour_of_silence_makes_an_installation_lost(allocation: Allocation) -> None:
    assert objection(holding(allocation, SILENT_AFTER)) is None
    told = refused(objection(holding(allocation, SILENT_AFTER - 1)))
    assert "installation lost on host old" in told
    assert "60 minutes" in told


def test_a_sign_of_life_from_the_future_is_one() -> None:
    assert "0 s ago" in refused(objection(holding(RUNNING, -500)))


def test_an_installation_without_any_sign_of_life_is_lost() -> None:
    assert objection(holding(RUNNING, heartbeat=None)) is None


def test_what_has_ended_or_waits_is_not_adopted() -> None:
    ended = replace(RUNNING, client_status=ClientStatus.FAILED)
    assert "it has ended (failed)" in refused(objection(holding(ended)))
    waits = replace(STARTING, client_status=ClientStatus.PENDING, token=None, installation=None)
    assert "waits in the queue" in refused(objection(holding(waits)))


def test_what_the_journal_holds_is_left_to_passes() -> None:
    held = journalled("theirs", Phase.SUBMITTED)
    assert "holds it already" in refused(objection(holding(RUNNING, journalled=held)))


@pytest.mark.parametrize(
    "record", [journalled("mine", Phase.FENCED), journalled("old", Phase.SUBMITTED), None]
)
def test_a_claim_that_the_journal_has_lost_can_be_adopted_at_once(record: Record | None) -> None:
    ours = replace(RUNNING, installation="mine")
    assert objection(holding(ours, 0, journalled=record)) is None


def test_a_fenced_allocation_is_the_living_holders() -> None:
    fenced = journalled("mine", Phase.FENCED)
    assert "leave it to that one" in refused(objection(holding(RUNNING, 5, journalled=fenced)))
    assert objection(holding(RUNNING, journalled=fenced)) is None


# ---- how it goes on ----


def test_before_the_submission_it_is_simply_taken_over() -> None:
    assert not begun(STARTING)
    for word in (UNSURE, NEVER):
        plan = decide(STARTING, None, word)
        assert isinstance(plan, Plan)
        assert plan.way is Way.STAGE
    assert "leave --scheduler-id out" in refused(decide(STARTING, None, Word(scheduler_id="17")))


def test_a_stop_does_not_keep_it_from_being_taken_over() -> None:
    stopped = replace(STARTING, desired=Desired.STOP)
    assert objection(holding(stopped)) is None
    assert isinstance(decide(stopped, None, UNSURE), Plan)


@pytest.mark.parametrize("allocation", [SUBMITTING, RUNNING])
@pytest.mark.parametrize(
    "trace", [replace(NO_TRACE, owner="17"), replace(NO_TRACE, listed=job("17"))]
)
def test_a_trace_of_the_submission_is_followed(allocation: Allocation, trace: Trace) -> None:
    assert begun(allocation)
    for word in (UNSURE, Word(scheduler_id="17")):
        plan = decide(allocation, trace, word)
        assert isinstance(plan, Plan)
        assert (plan.way, plan.scheduler_id) == (Way.OBSERVE, "17")
    assert "it was submitted" in refused(decide(allocation, trace, NEVER))
    assert "and not 18" in refused(decide(allocation, trace, Word(scheduler_id="18")))


def test_of_two_submissions_the_one_that_runs_counts() -> None:
    plan = decide(RUNNING, replace(NO_TRACE, owner="18", listed=job("17")), UNSURE)
    assert isinstance(plan, Plan)
    assert plan.scheduler_id == "18"


@pytest.mark.parametrize("known", [job("17"), job("17", identity=None)])
def test_what_the_scheduler_knows_under_the_tables_id_is_followed(known: ListedJob) -> None:
    plan = decide(RUNNING, replace(NO_TRACE, asked="17", known=known), UNSURE)
    assert isinstance(plan, Plan)
    assert (plan.way, plan.scheduler_id) == (Way.OBSERVE, "17")


@pytest.mark.parametrize("known", [None, job("17", identity="/somebody/else.sh")])
def test_what_is_known_to_nobody_any_more_needs_the_operators_word(known: ListedJob | None) -> None:
    trace = replace(NO_TRACE, asked="17", known=known)
    assert "--scheduler-id 17" in refused(decide(RUNNING, trace, UNSURE))
    assert "the table says that it is 17" in refused(decide(RUNNING, trace, NEVER))
    assert "and not 18" in refused(decide(RUNNING, trace, Word(scheduler_id="18")))
    plan = decide(RUNNING, trace, Word(scheduler_id="17"))
    assert isinstance(plan, Plan)
    assert plan.way is Way.OBSERVE


def test_without_a_trace_of_an_unseen_submission_the_operator_decides() -> None:
    told = refused(decide(SUBMITTING, NO_TRACE, UNSURE))
    assert "--not-submitted" in told
    assert IDENTITY in told
    again = decide(SUBMITTING, NO_TRACE, NEVER)
    assert isinstance(again, Plan)
    assert again.way is Way.SUBMIT
    named = decide(SUBMITTING, replace(NO_TRACE, asked="17"), Word(scheduler_id="17"))
    assert isinstance(named, Plan)
    assert (named.way, named.scheduler_id) == (Way.OBSERVE, "17")


def test_the_operator_cannot_name_somebody_elses_job() -> None:
    trace = replace(NO_TRACE, asked="17", known=job("17", identity="/somebody/else.sh"))
    assert "another one" in refused(decide(SUBMITTING, trace, Word(scheduler_id="17")))


def test_another_scheduler_is_not_asked_in_its_place() -> None:
    trace = replace(NO_TRACE, scheduler="local", owner="17")
    assert "submitted to slurm" in refused(decide(RUNNING, trace, UNSURE))


jobs = st.none() | st.builds(
    job, st.sampled_from(["17", "18"]), st.sampled_from([IDENTITY, "/other", None])
)


@given(
    allocation=st.sampled_from([SUBMITTING, RUNNING]),
    owner=st.sampled_from([None, "17", "18"]),
    listed=jobs,
    known=jobs,
    word=st.sampled_from([UNSURE, NEVER, Word(scheduler_id="17"), Word(scheduler_id="18")]),
)
def test_nothing_is_submitted_again_unless_no_trace_is_left_and_the_operator_says_so(
    allocation: Allocation,
    owner: str | None,
    listed: ListedJob | None,
    known: ListedJob | None,
    word: Word,
) -> None:
    trace = replace(NO_TRACE, owner=owner, listed=listed, known=known)
    decided = decide(allocation, trace, word)
    if isinstance(decided, Refusal):
        return
    assert decided.way is not Way.STAGE
    if decided.way is Way.SUBMIT:
        assert word is NEVER
        assert owner is listed is allocation.scheduler_id is None
    else:
        assert decided.scheduler_id is not None
        assert decided.scheduler_id in (owner, listed and listed.id, "17", word.scheduler_id)


def test_an_array_is_adopted_under_its_own_id_whichever_element_is_listed() -> None:
    element = replace(job("17_3"), array="17")
    plan = decide(SUBMITTING, replace(NO_TRACE, listed=element), UNSURE)
    assert isinstance(plan, Plan)
    assert (plan.way, plan.scheduler_id) == (Way.OBSERVE, "17")
