"""The outputs that the reference document shows, character by character, from Nomad's JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobferry import nomad_tables
from jobferry.nomad_tables import JobAnswers
from jobferry.nomad_times import View, duration, time_difference

JST = timezone(timedelta(hours=9))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def ns(text: str) -> int:
    return int(at(text).timestamp()) * 10**9


def job(job_id: str, submitted: str, **more: Any) -> dict[str, Any]:
    return {
        "ID": job_id,
        "Name": job_id,
        "ParentID": "",
        "Type": "batch",
        "Priority": 50,
        "Datacenters": ["dc1"],
        "Status": "dead",
        "Stop": False,
        "Periodic": None,
        "ParameterizedJob": None,
        "SubmitTime": ns(submitted),
        **more,
    }


def test_a_batch_job() -> None:
    allocation = {
        "ID": "3d04b6fc-1f1b-9bd8-2a9e-70d6ba1c9c4e",
        "NodeID": "4b635091-f444-34d6-5b33-a8aedcc49664",
        "TaskGroup": "java-batch",
        "JobVersion": 0,
        "DesiredStatus": "run",
        "ClientStatus": "complete",
        "CreateTime": ns("2020-02-01T22:34:49+09:00"),
        "ModifyTime": ns("2020-02-01T22:34:52+09:00"),
    }
    answers = JobAnswers(
        job("hello-java-batch", "2020-02-01T22:34:49+09:00"),
        summary={"Summary": {"java-batch": {"Complete": 1, "Queued": 0}}},
        allocations=[allocation],
    )
    assert nomad_tables.job_status(answers, View(at("2020-02-01T22:39:52+09:00"), JST)) == (
        """\
ID            = hello-java-batch
Name          = hello-java-batch
Submit Date   = 2020-02-01T22:34:49+09:00
Type          = batch
Priority      = 50
Datacenters   = dc1
Status        = dead
Periodic      = false
Parameterized = false

Summary
Task Group  Queued  Starting  Running  Failed  Complete  Lost
java-batch  0       0         0        0       1         0

Allocations
ID        Node ID   Task Group  Version  Desired  Status    Created   Modified
3d04b6fc  4b635091  java-batch  0        run      complete  5m3s ago  5m ago"""
    )


ENCRYPTER = """\
ID            = parameterized-encrypter
Name          = parameterized-encrypter
Submit Date   = 2020-02-02T12:03:31+09:00
Type          = batch
Priority      = 50
Datacenters   = dc1
Status        = running
Periodic      = false
Parameterized = true

Parameterized Job
Payload           = required
Required Metadata = <none>
Optional Metadata = <none>

Parameterized Job Summary
Pending  Running  Dead
0        0        {dead}

Dispatched Jobs"""


@pytest.mark.parametrize("dispatched", [False, True])
def test_a_parameterized_job(dispatched: bool) -> None:
    child = "parameterized-encrypter/dispatch-1580613031-6b384981"
    answers = JobAnswers(
        job(
            "parameterized-encrypter",
            "2020-02-02T12:03:31+09:00",
            Status="running",
            ParameterizedJob={"Payload": "required", "MetaRequired": None, "MetaOptional": None},
        ),
        summary={"Children": {"Pending": 0, "Running": 0, "Dead": int(dispatched)}},
        children=[job(child, "2020-02-02T12:10:31+09:00")] if dispatched else [],
    )
    rows = f"\nID{' ' * 52}Status\n{child}  dead" if dispatched else ""
    assert nomad_tables.job_status(answers, View(at("2020-02-02T12:30:00+09:00"), JST)) == (
        ENCRYPTER.format(dead=int(dispatched)) + rows
    )


def test_a_periodic_job() -> None:
    answers = JobAnswers(
        job(
            "periodic-echo",
            "2020-02-02T13:03:38+09:00",
            Status="running",
            Periodic={"Spec": "*/1 * * * * *", "TimeZone": "Asia/Tokyo", "Enabled": True},
        ),
        summary={"Children": {"Dead": 2}},
        children=[job("periodic-echo/periodic-1580615160", "2020-02-02T13:03:38+09:00")],
    )
    view = View(at("2020-02-02T12:56:38+09:00"), JST)
    assert nomad_tables.job_status(answers, view) == (
        """\
ID                   = periodic-echo
Name                 = periodic-echo
Submit Date          = 2020-02-02T13:03:38+09:00
Type                 = batch
Priority             = 50
Datacenters          = dc1
Status               = running
Periodic             = true
Parameterized        = false
Next Periodic Launch = 2020-02-02T12:57:00+09:00 (22s from now)

Children Job Summary
Pending  Running  Dead
0        0        2

Previously Launched Jobs
ID                                 Status
periodic-echo/periodic-1580615160  dead"""
    )
    stopped = {**answers.job, "Stop": True, "Status": "dead"}
    shown = nomad_tables.job_status(JobAnswers(stopped), view)
    assert "Status               = dead (stopped)" in shown
    assert "Next Periodic Launch = none (job stopped)" in shown


def test_a_child_in_detail() -> None:
    child = "periodic-echo/periodic-1580616420"
    evaluation = "027508eb-111f-92ab-65ec-ff432a546082"
    allocation = {
        "ID": "e91ce6b2-ab15-b490-c79a-f662e527dcb3",
        "EvalID": evaluation,
        "NodeID": "4b635091-f444-34d6-5b33-a8aedcc49664",
        "NodeName": "Takayukis-MBP",
        "TaskGroup": "periodic-echo",
        "JobVersion": 0,
        "DesiredStatus": "run",
        "ClientStatus": "complete",
        "CreateTime": ns("2020-02-02T13:07:00+09:00"),
        "ModifyTime": ns("2020-02-02T13:07:31+09:00"),
    }
    answers = JobAnswers(
        job(child, "2020-02-02T13:07:00+09:00", ParentID="periodic-echo"),
        summary={"Summary": {"periodic-echo": {"Complete": 1}}},
        allocations=[allocation],
        evaluations=[
            {
                "ID": evaluation,
                "Priority": 50,
                "TriggeredBy": "periodic-job",
                "Status": "complete",
                "FailedTGAllocs": None,
            }
        ],
    )
    view = View(at("2020-02-02T13:10:00+09:00"), JST, verbose=True)
    assert nomad_tables.job_status(answers, view) == (
        """\
ID            = periodic-echo/periodic-1580616420
Name          = periodic-echo/periodic-1580616420
Submit Date   = 2020-02-02T13:07:00+09:00
Type          = batch
Priority      = 50
Datacenters   = dc1
Status        = dead
Periodic      = false
Parameterized = false

Summary
Task Group     Queued  Starting  Running  Failed  Complete  Lost
periodic-echo  0       0         0        0       1         0

Evaluations
ID                                    Priority  Triggered By  Status    Placement Failures
027508eb-111f-92ab-65ec-ff432a546082  50        periodic-job  complete  false

Allocations
"""
        "ID                                    Eval ID                               "
        "Node ID                               Node Name      Task Group     Version  Desired  "
        "Status    Created                    Modified\n"
        "e91ce6b2-ab15-b490-c79a-f662e527dcb3  027508eb-111f-92ab-65ec-ff432a546082  "
        "4b635091-f444-34d6-5b33-a8aedcc49664  Takayukis-MBP  periodic-echo  0        run      "
        "complete  2020-02-02T13:07:00+09:00  2020-02-02T13:07:31+09:00"
    )


def test_a_dispatch_and_its_monitoring() -> None:
    child = "parameterized-encrypter/dispatch-1580613031-6b384981"
    evaluation = {"ID": "f538cb71-0000", "JobID": child, "Status": "complete"}
    allocation = {"ID": "21ba8573-0", "NodeID": "4b635091-f", "TaskGroup": child.split("/")[0]}
    view = View(datetime.now(UTC))
    answer = {"DispatchedJobID": child, "EvalID": "f538cb71-0000"}
    lines = [*nomad_tables.dispatched_lines(answer, view), ""]
    lines += nomad_tables.monitor_lines(evaluation, [allocation], view)
    assert "\n".join(lines) == (
        """\
Dispatched Job ID = parameterized-encrypter/dispatch-1580613031-6b384981
Evaluation ID     = f538cb71

==> Monitoring evaluation "f538cb71"
    Evaluation triggered by job "parameterized-encrypter/dispatch-1580613031-6b384981"
    Allocation "21ba8573" created: node "4b635091", group "parameterized-encrypter"
    Evaluation status changed: "pending" -> "complete"
==> Evaluation "f538cb71" finished with status "complete\""""
    )


def test_what_nomad_has_no_word_for_stands_beside() -> None:
    shown = nomad_tables.job_status(
        JobAnswers(
            job(
                "a",
                "2020-02-02T13:07:00+09:00",
                Status="pending",
                Outcome=None,
                Waiting=["site dc1 is silent since 2020-02-02T04:00:00Z"],
            )
        ),
        View(at("2020-02-02T13:10:00+09:00"), JST),
    )
    assert "\n\nWaiting\nsite dc1 is silent since 2020-02-02T04:00:00Z\n\n" in shown
    assert "No allocations placed" in shown
    listed = nomad_tables.job_list(
        [
            job("a", "2020-02-02T13:07:00+09:00", Outcome="failed"),
            job("b\x1b[31m", "2020-02-02T13:07:00+09:00", Periodic=True),
            job("c", "2020-02-02T13:07:00+09:00", ParameterizedJob=True, Status="running"),
        ],
        View(at("2020-02-02T13:10:00+09:00"), JST),
    )
    assert listed.splitlines()[1:] == [
        "a          batch                50        dead (failed)  2020-02-02T13:07:00+09:00",
        "b\\x1b[31m  batch/periodic       50        dead           2020-02-02T13:07:00+09:00",
        "c          batch/parameterized  50        running        2020-02-02T13:07:00+09:00",
    ]
    assert nomad_tables.job_list([], View(datetime.now(UTC))) == "No running jobs"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s ago"),
        (303, "5m3s ago"),
        (300, "5m ago"),
        (-22, "22s from now"),
        (90_061, "1d1h ago"),
        (86_400 * 400, "1y1mo ago"),
    ],
)
def test_times_as_nomad_tells_them(seconds: int, text: str) -> None:
    assert time_difference(seconds) == text


@given(st.integers(0, 10**6))
def test_durations_as_go_writes_them(seconds: int) -> None:
    text = duration(seconds)
    total = 0
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        if unit in text:
            count, text = text.split(unit, 1)
            total += int(count) * size
    assert (total, text) == (seconds, "")


def test_ids_that_begin_alike_are_shown_whole() -> None:
    elements = ["0e7e95ae-0000-5000-8000-000000000001", "0e7e95ae-0000-5000-8000-000000000002"]
    alone = "3d04b6fc-1f1b-9bd8-2a9e-70d6ba1c9c4e"
    rows = nomad_tables.allocation_rows(
        [{"ID": one} for one in (*elements, alone)], View(datetime.now(UTC))
    )
    assert [row.split()[0] for row in rows[1:]] == [*elements, "3d04b6fc"]


def test_a_later_element_that_is_listed_alone_is_shown_whole() -> None:
    array = "0e7e95ae-0000-5000-8000-000000000001"
    later = "0e7e95ae-0000-5000-8000-000000000002"
    for one, shown in ((array, "0e7e95ae"), (later, later)):
        rows = nomad_tables.allocation_rows([{"ID": one, "EvalID": array}], View(datetime.now(UTC)))
        assert rows[1].split()[0] == shown


def test_many_allocations_are_told_apart_and_not_all_named() -> None:
    common = "e91ce6b2-ab15-b490-c79a-f662e5"
    placed = [{"ID": f"{common}{n:06x}", "NodeID": "4b635091", "TaskGroup": "g"} for n in range(25)]
    evaluation = {"ID": "f538cb71", "JobID": "many"}
    lines = nomad_tables.monitor_lines(evaluation, placed, View(datetime.now(UTC)))
    assert f'    Allocation "{common}000003" created: node "4b635091", group "g"' in lines
    assert lines[-3] == "    ... and 5 further allocations"
    verbose = nomad_tables.monitor_lines(evaluation, placed, View(datetime.now(UTC), verbose=True))
    assert len(verbose) == 25 + 4


def test_how_many_children_may_be_active_is_told_where_it_is_stated() -> None:
    stated = {"Payload": "optional", "MaxActive": 4}
    template = job("a", "2020-02-02T12:03:31+09:00", Status="running", ParameterizedJob=stated)
    shown = nomad_tables.job_status(JobAnswers(template), View(datetime.now(UTC)))
    assert "Optional Metadata = <none>\nMax Active        = 4\n" in shown
