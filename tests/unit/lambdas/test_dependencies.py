"""What dependencies mean, as pure rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.dependency import Dependency, On
from job_protocol.items import from_attributes, to_attributes
from job_protocol.job import Job
from job_protocol.states import ClientStatus, JobStatus, Outcome, Role
from lambdas.rules.dependencies import (
    Standing,
    Verdict,
    after_end,
    problems,
    standing,
    verdict,
    waiting_sentence,
)
from lambdas.rules.nomad_views import job_view
from tests.unit.lambdas.examples import an_allocation

NOW = 1_700_000_000


def a_job(job_id: str, outcome: Outcome | None = None, *, site: str = "dc1", run: int = 1) -> Job:
    status = JobStatus.PENDING if outcome is None else JobStatus.DEAD
    return Job(site=site, id=job_id, bucket="b", run=run, status=status, outcome=outcome)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.REJECTED])
def test_of_an_end_each_kind_of_dependency_is_met_or_never(outcome: Outcome) -> None:
    job = a_job("first", outcome)
    complete = outcome is Outcome.COMPLETE
    found = {on: verdict(Dependency(job="first", on=on), job) for on in On}
    assert found == {
        On.AFTER_OK: Verdict.MET if complete else Verdict.NEVER,
        On.AFTER_NOT_OK: Verdict.NEVER if complete else Verdict.MET,
        On.AFTER_ANY: Verdict.MET,
    }


@pytest.mark.parametrize(
    "job",
    [
        None,
        a_job("first", Outcome.REJECTED),
        replace(a_job("first"), role=Role.FOLDER),
        replace(a_job("first"), role=Role.TEMPLATE),
    ],
)
def test_nobody_can_wait_for_what_never_runs(job: Job | None) -> None:
    wanted = [Dependency(job="first", on=On.AFTER_ANY)]
    jobs = {("dc1", "first"): job} if job is not None else {}
    assert verdict(wanted[0], job) is Verdict.NEVER
    (problem,) = problems("dc1", "second", wanted, jobs)
    assert problem.key == "second/aws-job.json"
    assert "depends_on.0: job 'first' of site dc1" in problem.problem


def test_a_job_depends_on_no_job_twice_and_never_on_itself() -> None:
    jobs = {("dc1", name): a_job(name) for name in ("first", "second")}
    wanted = [
        Dependency(job="first"),
        Dependency(job="first", on=On.AFTER_ANY, site="dc1"),
        Dependency(job="second"),
    ]
    found = [one.problem for one in problems("dc1", "second", wanted, jobs)]
    assert len(found) == 2
    assert "named twice" in found[0]
    assert "depend on itself" in found[1]


def test_a_caller_depends_on_jobs_of_the_sites_that_it_may_use() -> None:
    jobs = {("osaka", "first"): a_job("first", site="osaka")}
    wanted = [Dependency(job="first", site="osaka")]
    assert problems("dc1", "second", wanted, jobs) == []
    (problem,) = problems("dc1", "second", wanted, jobs, frozenset({"dc1"}))
    assert "may not use that site" in problem.problem
    unknown = problems("dc1", "second", wanted, {}, frozenset({"dc1"}))
    assert unknown == [problem], "it does not tell which jobs there are"


def test_a_run_that_can_never_start_has_ended_before_it_begins() -> None:
    jobs = {
        ("dc1", "bad"): a_job("bad", Outcome.FAILED, run=3),
        ("osaka", "long"): a_job("long", site="osaka"),
        ("dc1", "good"): a_job("good", Outcome.COMPLETE),
    }
    wanted = [
        Dependency(job="good"),
        Dependency(job="long", site="osaka"),
        Dependency(job="bad"),
    ]
    stands = standing("dc1", wanted, jobs)
    assert stands.never == "dependency bad never satisfied: afterok, but its outcome is failed"
    assert [one.job for one in stands.waiting_on] == ["bad", "long"]
    ended = stands.held_back(an_allocation(), NOW, NOW + 9)
    assert (ended.client_status, ended.ended_at) == (ClientStatus.STOPPED, NOW)
    free = standing("dc1", wanted[:1], jobs)
    assert free == Standing()
    assert free.held_back(an_allocation(), NOW, NOW + 9) == an_allocation()


def test_it_waits_for_the_run_that_it_saw() -> None:
    waiting = standing("dc1", [Dependency(job="first")], {("dc1", "first"): a_job("first", run=4)})
    second = replace(a_job("second"), waiting_on=waiting.waiting_on)
    assert waiting_sentence(second) == "waits for first (afterok)"
    assert after_end(second, a_job("first", Outcome.COMPLETE, run=3)) is None
    assert after_end(second, a_job("first", Outcome.COMPLETE, run=4, site="osaka")) is None
    released = after_end(second, a_job("first", Outcome.COMPLETE, run=4))
    assert released == (replace(second, waiting_on=()), None)
    never = after_end(second, a_job("first", Outcome.LOST, run=4))
    assert never is not None
    assert never[0].waiting_on == second.waiting_on, "a retry asks again"
    assert never[1] == "dependency first never satisfied: afterok, but its outcome is lost"
    dead = replace(second, status=JobStatus.DEAD, outcome=Outcome.STOPPED)
    assert after_end(dead, a_job("first", Outcome.COMPLETE, run=4)) is None
    assert waiting_sentence(dead) is None


_ENDS = st.sampled_from([o for o in Outcome if o is not Outcome.REJECTED])


@given(ends=st.lists(st.tuples(st.sampled_from(On), _ENDS), min_size=1, max_size=6), data=st.data())
def test_told_in_any_order_it_starts_when_all_are_met_and_ends_when_one_never_is(
    ends: list[tuple[On, Outcome]], data: st.DataObject
) -> None:
    jobs = {("dc1", f"job{n}"): a_job(f"job{n}") for n in range(len(ends))}
    wanted = [Dependency(job=f"job{n}", on=on) for n, (on, _) in enumerate(ends)]
    job: Job = replace(a_job("second"), waiting_on=standing("dc1", wanted, jobs).waiting_on)
    for number in data.draw(st.permutations(range(len(ends)))):
        ended = a_job(f"job{number}", ends[number][1])
        follows = after_end(job, ended)
        assert follows is not None
        job, never = follows
        if verdict(wanted[number], ended) is Verdict.NEVER:
            assert never
            return
        assert never is None
        assert after_end(job, ended) is None, "twice changes nothing"
    assert job.waiting_on == ()


@given(
    st.lists(
        st.builds(
            Dependency,
            job=st.text(min_size=1),
            on=st.sampled_from(On),
            site=st.none() | st.text(min_size=1),
            run=st.none() | st.integers(1),
        )
    )
)
def test_a_job_item_keeps_what_it_waits_for(rows: list[Dependency]) -> None:
    job = replace(a_job("second"), waiting_on=tuple(rows), dependents=True)
    assert from_attributes(Job, to_attributes(job)) == job


def test_the_api_shows_what_a_job_waits_for_as_long_as_it_does() -> None:
    waiting_on = (Dependency(job="first", site="osaka", run=2),)
    second = replace(a_job("second"), waiting_on=waiting_on)
    shown = job_view(second, an_allocation(), ["it waits"])
    assert shown["WaitingOn"] == [{"Job": "first", "Site": "osaka", "On": "afterok", "Run": 2}]
    dead = replace(second, status=JobStatus.DEAD, outcome=Outcome.STOPPED)
    assert job_view(dead, None, [])["WaitingOn"] == []
