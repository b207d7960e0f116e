"""What a registration does to what is there, and which element of a job belongs where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.elements import Element, Elements, ElementState
from job_protocol.job import Job, Registration
from job_protocol.job_settings import JobSettings
from job_protocol.states import ClientStatus, JobKind, JobStatus, Outcome, Role
from lambdas.rules.nomad_views import job_stub, job_view
from lambdas.rules.registered_views import registered_view
from lambdas.rules.registration import (
    Step,
    enforcement_refusal,
    examine,
    kind_of,
    step_of,
    update_refusal,
)
from lambdas.rules.registration_views import plan_view
from lambdas.rules.task_groups import own_elements, place_of, status_of
from nomad_jobs.job_file.plan import unchanged
from tests.emulator.registry import a_job as nomad_job
from tests.unit.lambdas.examples import a_job, an_allocation

REGISTERED = Registration(version=2, name="000002-x", index=7)
TEMPLATE = a_job(
    role=Role.TEMPLATE,
    kind=JobKind.PARAMETERIZED,
    status=JobStatus.RUNNING,
    registration=REGISTERED,
    current=None,
    client_status=None,
)


def stopped(**more: Any) -> Any:
    facts = {"status": JobStatus.DEAD, "outcome": Outcome.STOPPED, "registration": REGISTERED}
    return a_job(**(facts | more))


@pytest.mark.parametrize(
    ("item", "step"),
    [
        (None, Step.CHANGE),
        (a_job(registration=REGISTERED), Step.NOTHING),
        (stopped(), Step.REVIVE),
        (stopped(outcome=Outcome.LOST), Step.REVIVE),
        (stopped(outcome=Outcome.COMPLETE), Step.NOTHING),
        (stopped(outcome=Outcome.FAILED), Step.NOTHING),
        (TEMPLATE, Step.NOTHING),
        (stopped(role=Role.TEMPLATE), Step.REVIVE),
    ],
)
def test_an_unchanged_job_is_revived_or_left_alone(item: Any, step: Step) -> None:
    job = nomad_job("job0001")
    assert step_of(item, None if item is None else job, job) is step
    if item is not None:
        assert step_of(item, job, {**job, "Priority": 60}) is Step.CHANGE
        assert step_of(item, None, job) is Step.CHANGE  # what it was is not known any more


def test_an_index_is_enforced_only_if_it_is_stated() -> None:
    assert enforcement_refusal(TEMPLATE, None) is None
    assert enforcement_refusal(TEMPLATE, 7) is None
    assert enforcement_refusal(None, 0) is None
    for item, index in ((None, 7), (TEMPLATE, 0), (TEMPLATE, 8)):
        refusal = enforcement_refusal(item, index)
        assert refusal is not None
        assert refusal.startswith(f"Enforcing job modify index {index}: ")


def test_a_job_keeps_its_kind() -> None:
    parameterized = nomad_job("x", ParameterizedJob={})
    periodic = nomad_job("x", Periodic={"Spec": "@daily"})
    assert [kind_of(job) for job in (nomad_job("x"), parameterized, periodic)] == list(JobKind)
    assert update_refusal(TEMPLATE, parameterized) is None
    assert "non-parameterized" in str(update_refusal(TEMPLATE, nomad_job("x")))
    assert "non-periodic" in str(update_refusal(a_job(), periodic))
    assert "read-only" in str(update_refusal(a_job(parent="p"), nomad_job("x")))


def test_a_job_that_cannot_run_is_refused_with_every_reason() -> None:
    job = nomad_job("x", Periodic={"Spec": "nonsense"}, Priority=0)
    found = examine(job)
    assert found.job is None
    assert len(found.problems) == 2
    assert all(problem.remedy for problem in found.problems)
    many = nomad_job("x")
    many["TaskGroups"][0]["Count"] = 11
    assert examine(many, most_elements=11).job is not None
    (problem,) = examine(many, most_elements=10).problems
    assert problem.problem == "the job has 11 elements; this site takes at most 10"


# ---- views ----


def test_a_dispatched_child_keeps_parameterized_and_a_launched_one_has_no_periodic() -> None:
    view = {"ID": "p/c", "Name": "p/c", "ParentID": "p", "Stop": False, "Datacenters": ["dc1"]}
    child = a_job(id="p/c", parent="p", registration=REGISTERED)
    dispatched = registered_view(
        view,
        child,
        nomad_job("p", ParameterizedJob={}, Meta={"a": "1"}),
        version=2,
        index=7,
        meta={"b": "2"},
    )
    assert (dispatched["ID"], dispatched["ParentID"], dispatched["Dispatched"]) == (
        "p/c",
        "p",
        True,
    )
    assert dispatched["Meta"] == {"a": "1", "b": "2"}
    assert dispatched["ParameterizedJob"]["Payload"] == "optional"
    launched = registered_view(
        view, child, nomad_job("p", Periodic={"Spec": "@daily"}), version=2, index=7, meta={}
    )
    assert (launched["Periodic"], launched["Dispatched"]) == (None, False)
    assert launched["TaskGroups"][0]["Tasks"][0]["Resources"]["MemoryMB"] == 300


def test_a_plan_counts_what_would_be_placed() -> None:
    shown = plan_view(None, None, nomad_job("x"), diff=True, next_launch=None, warnings=("w",))
    assert shown["Annotations"]["DesiredTGUpdates"]["group"]["Place"] == 1
    assert (shown["Diff"]["Type"], shown["JobModifyIndex"], shown["Warnings"]) == ("Added", 0, "w")
    job = nomad_job("x", ParameterizedJob={})
    shown = plan_view(TEMPLATE, job, job, diff=False, next_launch=0, warnings=())
    assert (shown["Diff"], shown["JobModifyIndex"]) == (None, 7)
    assert shown["NextPeriodicLaunch"] == "1970-01-01T00:00:00Z"


# ---- elements ----


@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_every_element_has_one_place(counts: list[int]) -> None:
    task = {"Name": "t", "Driver": "raw_exec", "Config": {"command": "true"}}
    groups = [
        {"Name": f"g{number}", "Count": count, "Tasks": [task]}
        for number, count in enumerate(counts)
    ]
    job = nomad_job("x", TaskGroups=groups)
    places = [place_of(job, element) for element in range(sum(counts))]
    expected = [(f"g{n}", index) for n, count in enumerate(counts) for index in range(count)]
    assert [(place.group, place.index) for place in places] == expected
    assert len({place.folder for place in places}) == len(places)
    assert (places[0].folder == "") is (len(places) == 1)


def test_a_job_that_was_read_may_be_registered_again_as_it_is() -> None:
    stated = {**nomad_job("x"), "Priority": 60}
    item = a_job(id="x", message="failed", submitter="ann", finished=1, outcome=Outcome.FAILED)
    whole = job_view(item, an_allocation(exit_code=3, scheduler_id="7"), ["why"])
    view = registered_view(whole, item, stated, version=4, index=9, meta={})
    found = examine(view)
    assert found.problems == ()
    assert found.job is not None
    assert unchanged(stated, found.job)


def test_what_an_earlier_attempt_completed_is_not_this_ones() -> None:
    elements = Elements((Element(ElementState.KEPT, 0), Element(ElementState.RUNNING), Element()))
    again = an_allocation(
        settings=JobSettings(count=3),
        elements=elements.pack(),
        client_status=ClientStatus.RUNNING,
        attempt=1,
    )
    assert own_elements(again) == [1, 2]
    assert own_elements(replace(again, attempt=0)) == [0, 1, 2]  # a retry: of a run before
    assert own_elements(an_allocation()) == [0]
    told = [status_of(again, element) for element in elements.all]
    assert told == [ClientStatus.COMPLETE, ClientStatus.RUNNING, ClientStatus.QUEUED]


def test_an_element_that_never_started_ends_with_its_allocation() -> None:
    waits = Element()
    for status in (ClientStatus.PENDING, ClientStatus.STOPPED, ClientStatus.LOST):
        assert status_of(an_allocation(client_status=status), waits) is status


def test_a_row_of_a_list_has_priority_and_version() -> None:
    registered = Job(
        site="dc1",
        id="j",
        bucket="b",
        priority=70,
        registration=Registration(version=3, name="000003-0", index=9),
    )
    row = job_stub(registered)
    assert (row["Priority"], row["Version"], row["JobModifyIndex"]) == (70, 3, 9)
    row = job_stub(Job(site="dc1", id="script", bucket="b", run=2))
    assert (row["Priority"], row["Version"]) == (50, 1)
