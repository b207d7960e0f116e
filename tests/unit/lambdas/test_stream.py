"""Which records of the table's stream ask for a publication."""

from __future__ import annotations

from typing import Any

import pytest

from job_protocol import table_keys
from job_protocol.job import Job
from job_protocol.states import ClientStatus
from lambdas.ports.job_items import allocation_item, job_item
from lambdas.rules.stream import Changed, changes_of
from tests.unit.lambdas.examples import NOW, a_job, an_allocation

ASKED = {Changed("dc1", "job0001")}


def _record(item: dict[str, Any], kind: str = "MODIFY") -> dict[str, Any]:
    keys = {name: item[name] for name in ("pk", "sk")}
    return {"eventName": kind, "dynamodb": {"Keys": keys, "NewImage": item}}


@pytest.mark.parametrize("kind", ["INSERT", "MODIFY"])
def test_an_unpublished_job_asks_for_it(kind: str) -> None:
    assert changes_of(_record(job_item(a_job(unpublished=True)), kind)) == ASKED


@pytest.mark.parametrize(
    "job", [a_job(), a_job(unpublished=True, lease="l", lease_until=NOW), a_job(lease="l")]
)
def test_what_a_publisher_wrote_or_holds_asks_for_nothing(job: Job) -> None:
    assert changes_of(_record(job_item(job))) == set()


@pytest.mark.parametrize("status", ClientStatus)
def test_a_changed_allocation_asks_for_its_job_but_a_claim_does_not(status: ClientStatus) -> None:
    asked = changes_of(_record(allocation_item(an_allocation(client_status=status))))
    assert asked == (set() if status is ClientStatus.STARTING else ASKED)


def test_a_new_allocation_comes_with_its_job() -> None:
    assert changes_of(_record(allocation_item(an_allocation()), "INSERT")) == set()


def test_the_site_comes_from_the_key_that_iam_guards() -> None:
    item = allocation_item(an_allocation(client_status=ClientStatus.RUNNING))
    item["site"] = {"S": "osaka"}
    assert changes_of(_record(item)) == ASKED


def test_a_deletion_asks_for_nothing() -> None:
    record = {"eventName": "REMOVE", "dynamodb": {"Keys": {"pk": {"S": "J#dc1"}}}}
    assert changes_of(record) == set()


def test_a_heartbeat_and_the_control_row_ask_for_nothing() -> None:
    for key in (table_keys.heartbeat("dc1", "i"), table_keys.control("dc1")):
        assert changes_of(_record({"pk": {"S": key.pk}, "sk": {"S": key.sk}})) == set()


def test_a_newer_item_is_left_alone() -> None:
    assert changes_of(_record(job_item(a_job(unpublished=True, v=99)))) == set()


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"eventName": "MODIFY"},
        {"eventName": "MODIFY", "dynamodb": {"Keys": {}, "NewImage": {}}},
        {"eventName": "MODIFY", "dynamodb": {"Keys": {"pk": {"S": "A#dc1#0"}}, "NewImage": {}}},
        {"eventName": "MODIFY", "dynamodb": {"Keys": {"pk": {"SS": ["a"]}}, "NewImage": {}}},
    ],
)
def test_a_record_of_another_form_is_an_error(record: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        changes_of(record)
