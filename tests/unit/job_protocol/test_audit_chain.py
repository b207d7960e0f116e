"""The chain of a job's events: what it covers, and that both sides compute the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from job_protocol.allocation import Allocation, ResultSummary
from job_protocol.audit_chain import (
    BEGIN,
    chain_of,
    document_of,
    head_of,
    head_of_created,
    head_of_end,
)
from job_protocol.items import from_attributes, to_attributes
from job_protocol.job_settings import JobSettings
from job_protocol.states import ClientStatus, Desired

CREATED = Allocation(
    site="dc1",
    job="job0001",
    id="0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f",
    created=1_000,
    manifest=b"packed",
    principal="AWS:AIDAEXAMPLE",
    settings=JobSettings(queue="q"),
)
ENDED = replace(
    CREATED,
    client_status=ClientStatus.FAILED,
    claimed_at=1_010,
    installation="i",
    token="t",
    scheduler="slurm",
    scheduler_id="7",
    submitted_at=1_020,
    started_at=1_030,
    ended_at=1_040,
    exit_code=3,
    reason="NonZeroExitCode",
    results=ResultSummary(files=1, size=2),
)


def test_the_life_of_an_allocation() -> None:
    events = chain_of(ENDED)
    assert [(e["event"], e["at"], e["by"]) for e in events] == [
        ("created", 1_000, "AWS:AIDAEXAMPLE"),
        ("claimed", 1_010, "puller i"),
        ("submitted", 1_020, "puller i"),
        ("started", 1_030, "puller i"),
        ("ended", 1_040, "puller i"),
    ]
    assert document_of(ENDED)["previous"] == BEGIN
    never_claimed = replace(CREATED, client_status=ClientStatus.STOPPED, ended_at=9, stop_by="me")
    assert [e["by"] for e in chain_of(never_claimed)][1:] == ["control plane", "me"]


@pytest.mark.parametrize(
    "change",
    [
        {"principal": "AWS:AIDAOTHER"},
        {"job": "job0002"},
        {"created": 1_001},
        {"manifest": b"other"},
        {"settings": JobSettings(queue="other")},
        {"previous": "1" * 64},
        {"installation": "other"},
        {"scheduler_id": "8"},
        {"started_at": None},
        {"exit_code": 0},
        {"client_status": ClientStatus.COMPLETE},
        {"reason": None},
        {"results": ResultSummary(files=1, size=3)},
        {"stop_by": "me", "stop_at": 1_035},
    ],
)
def test_every_fact_is_covered(change: dict[str, Any]) -> None:
    assert head_of(replace(ENDED, **change)) != head_of(ENDED)


def test_what_comes_later_changes_nothing_that_was_anchored() -> None:
    created = head_of_created(CREATED)
    assert created == head_of_created(ENDED)
    later = replace(
        ENDED, desired=Desired.PURGE, ttl=5, purged_at=6, obs=7, stop_by="me", stop_at=1_050
    )
    # The site knows neither the settings of the table nor who asked to stop.
    seen = replace(ENDED, settings=JobSettings(), manifest=None)
    assert head_of_end(created, seen) == chain_of(later)[-2]["hash"] == head_of(ENDED)


def test_what_was_stored_has_the_same_chain() -> None:
    assert head_of(from_attributes(Allocation, to_attributes(ENDED))) == head_of(ENDED)
