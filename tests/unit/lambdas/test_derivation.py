"""What follows for a job from its current allocation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.allocation import Allocation
from job_protocol.audit_chain import head_of
from job_protocol.elements import Element, Elements, ElementState
from job_protocol.identifiers import next_allocation
from job_protocol.job import Job
from job_protocol.job_settings import JobSettings, Retries
from job_protocol.states import ClientStatus, Desired, JobStatus, Outcome, Role
from lambdas.rules.derivation import derive, next_attempt
from tests.unit.job_protocol.strategies import allocations, jobs, times
from tests.unit.lambdas.examples import NOW, a_dead_job, a_job, an_allocation

RETRIES = JobSettings(retries=Retries(attempts=2, delay=60))


@pytest.mark.parametrize(
    ("client", "status", "outcome"),
    [
        (ClientStatus.STARTING, JobStatus.PENDING, None),
        (ClientStatus.QUEUED, JobStatus.PENDING, None),
        (ClientStatus.RUNNING, JobStatus.RUNNING, None),
        (ClientStatus.PUBLISHING, JobStatus.RUNNING, None),
        (ClientStatus.COMPLETE, JobStatus.DEAD, Outcome.COMPLETE),
        (ClientStatus.FAILED, JobStatus.DEAD, Outcome.FAILED),
        (ClientStatus.STOPPED, JobStatus.DEAD, Outcome.STOPPED),
        (ClientStatus.LOST, JobStatus.DEAD, Outcome.LOST),
    ],
)
def test_every_client_status_gives_a_status_and_an_outcome(
    client: ClientStatus, status: JobStatus, outcome: Outcome | None
) -> None:
    derived = derive(a_job(), an_allocation(client_status=client), NOW).job
    assert (derived.status, derived.outcome, derived.client_status) == (status, outcome, client)
    assert (derived.rev, derived.unpublished, derived.announce) == (2, True, True)


def test_a_pending_allocation_of_a_pending_job_changes_nothing() -> None:
    job = a_job()
    assert derive(job, an_allocation(), NOW).job is job


def test_a_dead_job_knows_when_it_ended_and_when_it_may_go() -> None:
    ended = an_allocation(client_status=ClientStatus.FAILED, ended_at=NOW - 7, keep_days=2)
    job = derive(a_job(), ended, NOW).job
    assert (job.finished, job.ttl) == (NOW - 7, NOW + 2 * 86400)


@pytest.mark.parametrize(
    ("allocation", "message"),
    [
        (an_allocation(client_status=ClientStatus.PENDING, reason="QOSMax"), "waits for the site"),
        (
            an_allocation(
                client_status=ClientStatus.QUEUED,
                scheduler="slurm",
                scheduler_id="4711",
                reason="Resources",
            ),
            "slurm job 4711 waits (Resources)",
        ),
        (
            an_allocation(client_status=ClientStatus.FAILED, exit_code=3),
            "failed with exit code 3",
        ),
        (an_allocation(client_status=ClientStatus.FAILED, exit_code=0), "failed with exit code 0"),
        (an_allocation(client_status=ClientStatus.FAILED, reason="TIMEOUT"), "failed (TIMEOUT)"),
        (an_allocation(client_status=ClientStatus.LOST, reason="gone"), "lost (gone)"),
        (an_allocation(client_status=ClientStatus.STOPPED), "stopped"),
    ],
)
def test_the_message_has_the_schedulers_own_words(allocation: Allocation, message: str) -> None:
    assert message in (derive(a_job(), allocation, NOW).job.message or "")


def test_a_new_reason_is_a_change() -> None:
    waiting = derive(a_job(), an_allocation(client_status=ClientStatus.QUEUED), NOW).job
    held = an_allocation(client_status=ClientStatus.QUEUED, reason="JobHeldUser")
    assert derive(waiting, held, NOW).job.rev == waiting.rev + 1


# ---- further attempts ----


@pytest.mark.parametrize("client", ClientStatus)
def test_only_what_failed_or_was_lost_is_tried_again(client: ClientStatus) -> None:
    derived = derive(a_job(), an_allocation(client_status=client, settings=RETRIES), NOW)
    tried_again = client in (ClientStatus.FAILED, ClientStatus.LOST)
    assert (derived.successor is not None) == tried_again
    if derived.successor is not None:
        assert derived.job.current == derived.successor.id == next_allocation("a1")
        assert derived.job.status is JobStatus.PENDING
        assert derived.job.finished is None
        assert "attempt 2 may start in 60 s" in (derived.job.message or "")


def test_attempts_end_with_the_number_that_was_asked_for() -> None:
    allocation: Allocation | None = an_allocation(settings=RETRIES)
    ids = []
    while allocation is not None:
        ids.append(allocation.id)
        allocation = next_attempt(replace(allocation, client_status=ClientStatus.FAILED), NOW)
    assert len(ids) == len(set(ids)) == 3


def test_the_next_attempt_runs_the_same_inputs_and_starts_clean() -> None:
    failed = an_allocation(
        client_status=ClientStatus.FAILED,
        settings=RETRIES,
        run=4,
        manifest_of="a0",
        keep_days=3,
        token="t",
        submitting=True,
        scheduler_id="1",
        exit_code=1,
        ttl=1,
        obs=9,
    )
    following = next_attempt(failed, NOW)
    assert following == Allocation(
        principal="control plane",
        before=failed.id,
        previous=head_of(failed),
        site="dc1",
        job="job0001",
        id=next_allocation("a1"),
        run=4,
        attempt=1,
        created=NOW,
        not_before=NOW + 60,
        settings=RETRIES,
        manifest_of="a0",
        keep_days=3,
    )


def test_what_the_user_stopped_is_not_tried_again() -> None:
    failed = an_allocation(
        client_status=ClientStatus.FAILED, settings=RETRIES, desired=Desired.STOP
    )
    derived = derive(a_job(), failed, NOW)
    assert derived.successor is None
    assert derived.job.outcome is Outcome.FAILED


def test_what_the_sites_policy_refused_is_not_tried_again() -> None:
    failed = an_allocation(client_status=ClientStatus.FAILED, settings=RETRIES, refused=True)
    derived = derive(a_job(), failed, NOW)
    assert derived.successor is None
    assert derived.job.outcome is Outcome.FAILED


# ---- properties ----


@given(jobs, st.none() | allocations, times, st.booleans())
def test_the_revision_rises_exactly_with_a_change_and_a_dead_job_never_changes(
    job: Job, allocation: Allocation | None, now: int, current: bool
) -> None:
    if current and allocation is not None:
        job = replace(job, current=allocation.id)
    derived = derive(job, allocation, now)
    assert derived.job.rev in (job.rev, job.rev + 1)
    assert (derived.job.rev == job.rev) == (derived.job is job)
    if job.status is JobStatus.DEAD or not job.active or not current or allocation is None:
        assert derived.job is job
        assert derived.successor is None
    if derived.job is not job:
        assert derived.job.unpublished
        assert derived.job.announce
        assert (
            replace(derived.job, rev=job.rev, unpublished=job.unpublished, announce=job.announce)
            != job
        )


active_jobs = jobs.map(
    lambda job: replace(job, role=Role.LEAF, status=JobStatus.PENDING, outcome=None, ttl=None)
)
retried = st.builds(
    lambda allocation, status, attempt: replace(
        allocation, client_status=status, attempt=attempt, desired=Desired.RUN, settings=RETRIES
    ),
    allocations,
    st.sampled_from([ClientStatus.FAILED, ClientStatus.LOST]),
    st.integers(0, 3),
)


@given(active_jobs, allocations | retried, times)
def test_deriving_twice_is_deriving_once(job: Job, allocation: Allocation, now: int) -> None:
    once = derive(replace(job, current=allocation.id), allocation, now)
    current = once.successor or allocation
    assert derive(once.job, current, now + 5).job is once.job


@given(active_jobs, allocations | retried, times)
def test_a_derived_job_has_a_word(job: Job, allocation: Allocation, now: int) -> None:
    derived = derive(replace(job, current=allocation.id), allocation, now)
    assert (derived.job.status is JobStatus.DEAD) == (derived.job.outcome is not None)
    assert derived.job.word
    assert derived.successor is None or derived.job.current == derived.successor.id


def test_why_there_is_a_further_attempt_is_told_until_it_is_queued() -> None:
    failed = an_allocation(client_status=ClientStatus.FAILED, exit_code=9, settings=RETRIES)
    retry = derive(a_job(), failed, NOW)
    assert retry.successor is not None
    claimed = derive(retry.job, replace(retry.successor, client_status=ClientStatus.STARTING), NOW)
    assert "exit code 9" in (claimed.job.message or "")
    queued = replace(retry.successor, client_status=ClientStatus.QUEUED, scheduler="slurm")
    assert "exit code 9" not in (derive(claimed.job, queued, NOW).job.message or "")


def test_an_allocation_that_is_not_the_current_one_says_nothing() -> None:
    job = a_job(current="a2")
    assert derive(job, an_allocation(client_status=ClientStatus.COMPLETE), NOW).job is job


def test_a_dead_job_stays_dead() -> None:
    job = a_dead_job()
    assert derive(job, an_allocation(client_status=ClientStatus.RUNNING), NOW).job is job


def test_the_next_attempt_at_an_array_keeps_what_is_complete_and_its_directory() -> None:
    states = (ElementState.COMPLETE, ElementState.FAILED, ElementState.KEPT, ElementState.LOST)
    vector = Elements(tuple(Element(state) for state in states))
    failed = an_allocation(
        client_status=ClientStatus.FAILED,
        settings=replace(RETRIES, count=4),
        elements=vector.pack(),
        scheduler_id="17",
        exit_code=3,
    )
    successor = next_attempt(failed, NOW)
    assert successor is not None
    assert (successor.continues, successor.attempt) == (failed.id, 1)
    elements = successor.known_elements
    assert elements is not None
    assert elements.to_run == (1, 3)
    assert elements.of(ElementState.KEPT) == (0, 2)
    assert successor.exit_code is None


def test_the_next_attempt_at_a_single_job_begins_anew() -> None:
    failed = an_allocation(client_status=ClientStatus.FAILED, settings=RETRIES)
    successor = next_attempt(failed, NOW)
    assert successor is not None
    assert (successor.continues, successor.elements) == (None, None)


def test_an_array_of_which_nothing_can_be_read_runs_as_a_whole() -> None:
    settings = replace(RETRIES, count=4)
    failed = an_allocation(client_status=ClientStatus.FAILED, settings=settings, elements=b"?")
    successor = next_attempt(failed, NOW)
    assert successor is not None
    assert successor.elements is None


def test_each_step_of_an_array_is_published() -> None:
    states = [ElementState.COMPLETE, ElementState.RUNNING, ElementState.QUEUED]
    running = an_allocation(
        client_status=ClientStatus.RUNNING,
        settings=JobSettings(count=3),
        scheduler="slurm",
        scheduler_id="17",
        elements=Elements(tuple(Element(state) for state in states)).pack(),
    )
    job = derive(a_job(), running, NOW).job
    assert job.message == "slurm job 17 runs; of 3 elements 1 have ended, 1 run"
    published = replace(job, unpublished=False)
    assert derive(published, running, NOW).job is published
    further = Elements((Element(ElementState.COMPLETE),) * 2 + (Element(),)).pack()
    assert derive(published, replace(running, elements=further), NOW).job.unpublished
