"""The Lambda functions: settings, triggers, dead letters, alarms, and where clients find them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.publisher import TIMEOUT_SECONDS, end_filters, passing_filters
from job_protocol.states import ClientStatus
from tests.infra.synthesized import Synthesized, rendered, synthesized


@pytest.fixture(scope="module")
def production() -> Synthesized:
    return synthesized()


@pytest.fixture(scope="module")
def intake(production: Synthesized) -> dict[str, Any]:
    return production.only("AWS::Lambda::Function", Handler="lambdas.intake.handler")


@pytest.fixture(scope="module")
def publisher(production: Synthesized) -> dict[str, Any]:
    return production.only("AWS::Lambda::Function", Handler="lambdas.publisher.handler")


@pytest.fixture(scope="module")
def streams(production: Synthesized) -> list[dict[str, Any]]:
    """The readers of the table's stream, the quicker one first."""
    mappings = [
        rendered(mapping["Properties"])
        for mapping in production.of_type("AWS::Lambda::EventSourceMapping").values()
    ]
    return sorted(
        (one for one in mappings if one["EventSourceArn"] == "<JobTable.StreamArn>"),
        key=lambda one: one["MaximumBatchingWindowInSeconds"],
    )


def patterns(mapping: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(row["Pattern"]) for row in mapping["FilterCriteria"]["Filters"]]


def test_intake_knows_the_table_and_where_the_buckets_settings_are(intake: dict[str, Any]) -> None:
    assert intake["Environment"]["Variables"] == {
        "TABLE_NAME": "<JobTable>",
        "BUCKETS_PARAMETER": "/jobferry/jobferry/buckets",
        "LOG_LEVEL": "INFO",
        "POWERTOOLS_METRICS_NAMESPACE": "jobferry",
        "POWERTOOLS_SERVICE_NAME": "intake",
    }
    assert (intake["Timeout"], intake["MemorySize"]) == (120, 512)


def test_publisher_knows_the_table_its_retry_queue_and_when_to_send_events() -> None:
    every = synthesized(event_transitions="all")
    publisher = every.only("AWS::Lambda::Function", Handler="lambdas.publisher.handler")
    variables = publisher["Environment"]["Variables"]
    retries = variables.pop("RETRY_QUEUE_URL").strip("<>")
    purges = variables.pop("PURGE_QUEUE_URL").strip("<>")
    assert {retries, purges} < set(every.of_type("AWS::SQS::Queue"))
    assert variables == {
        "TABLE_NAME": "<JobTable>",
        "EVENT_TRANSITIONS": "all",
        "LOG_LEVEL": "INFO",
        "POWERTOOLS_METRICS_NAMESPACE": "jobferry",
        "POWERTOOLS_SERVICE_NAME": "publisher",
    }


def test_functions_run_on_python_and_arm_in_aws(
    intake: dict[str, Any], publisher: dict[str, Any]
) -> None:
    for function in (intake, publisher):
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])


def test_each_function_logs_to_a_group_with_the_chosen_retention() -> None:
    template = synthesized(log_retention_days=7)
    groups = template.of_type("AWS::Logs::LogGroup")
    assert {group["Properties"]["RetentionInDays"] for group in groups.values()} == {7}
    used = {
        rendered(function["Properties"]["LoggingConfig"]["LogGroup"]).strip("<>")
        for function in template.of_type("AWS::Lambda::Function").values()
    }
    access_logs = {name for name in groups if "AccessLogs" in name}
    assert used == set(groups) - access_logs
    assert len(used) == len(template.of_type("AWS::Lambda::Function"))


def test_intake_is_tried_three_times_then_its_event_is_a_dead_letter(
    production: Synthesized, intake: dict[str, Any]
) -> None:
    configs = production.of_type("AWS::Lambda::EventInvokeConfig").values()
    assert {config["Properties"]["MaximumRetryAttempts"] for config in configs} == {2}
    assert intake["DeadLetterConfig"]["TargetArn"].startswith("<IntakeDeadLetters")


def test_the_stream_goes_on_after_a_poisonous_record(streams: list[dict[str, Any]]) -> None:
    for stream in streams:
        assert stream["BisectBatchOnFunctionError"] is True
        assert stream["MaximumRetryAttempts"] == 3
        assert stream["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        dead_letters = stream["DestinationConfig"]["OnFailure"]["Destination"]
        assert dead_letters.startswith("<PublisherStreamDeadLetters")


def test_the_stream_is_read_from_the_start_ten_calls_of_a_shard_at_a_time(
    streams: list[dict[str, Any]],
) -> None:
    for stream in streams:
        assert stream["StartingPosition"] == "TRIM_HORIZON"
        assert (stream["BatchSize"], stream["ParallelizationFactor"]) == (100, 10)


def test_ends_are_published_at_once_and_passing_states_after_five(
    streams: list[dict[str, Any]],
) -> None:
    ends, passing = streams
    assert (ends["MaximumBatchingWindowInSeconds"], patterns(ends)) == (
        0,
        [
            _allocation({"client_status": {"S": ["complete", "failed", "lost", "stopped"]}}),
            _job({"status": {"S": ["dead"]}}),
        ],
    )
    assert (passing["MaximumBatchingWindowInSeconds"], patterns(passing)) == (
        5,
        [
            _allocation({"client_status": {"S": ["pending", "publishing", "queued", "running"]}}),
            _allocation(
                {"client_status": {"S": ["starting"]}, "reason": {"S": [{"anything-but": [""]}]}}
            ),
            _job({"status": {"S": ["pending", "running"]}}),
            {
                "eventName": ["INSERT", "MODIFY"],
                "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "S#"}]}}},
            },
        ],
    )


def test_every_state_of_an_allocation_but_a_bare_claim_is_followed() -> None:
    followed = json.dumps([*end_filters("aws"), *passing_filters("aws")])
    assert all(f'"{status.value}"' in followed for status in ClientStatus)


def _allocation(image: dict[str, Any]) -> dict[str, Any]:
    return {
        "eventName": ["MODIFY"],
        "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "A#"}]}}, "NewImage": image},
    }


def _job(image: dict[str, Any]) -> dict[str, Any]:
    return {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {
            "Keys": {"pk": {"S": [{"prefix": "J#"}]}},
            "NewImage": {
                "unpublished": {"BOOL": [True]},
                "lease": {"S": [{"exists": False}]},
                **image,
            },
        },
    }


def test_what_failed_is_tried_again_from_a_queue_five_times(production: Synthesized) -> None:
    (retries,) = [
        rendered(queue["Properties"])
        for name, queue in production.of_type("AWS::SQS::Queue").items()
        if "RedrivePolicy" in queue["Properties"] and name.startswith("PublisherRetries")
    ]
    assert retries["VisibilityTimeout"] == 6 * TIMEOUT_SECONDS
    assert retries["RedrivePolicy"]["maxReceiveCount"] == 5
    assert retries["RedrivePolicy"]["deadLetterTargetArn"].startswith("<PublisherRetryDeadLetters")
    (mapping,) = [
        mapping["Properties"]
        for mapping in production.of_type("AWS::Lambda::EventSourceMapping").values()
        if "Retries" in rendered(mapping["Properties"]["EventSourceArn"])
    ]
    assert mapping["BatchSize"] == 10
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_every_queue_is_encrypted_and_refuses_requests_without_tls(
    production: Synthesized,
) -> None:
    queues = production.of_type("AWS::SQS::Queue")
    assert all(queue["Properties"]["SqsManagedSseEnabled"] for queue in queues.values())
    guarded = {
        row["Properties"]["Queues"][0]["Ref"]
        for row in production.of_type("AWS::SQS::QueuePolicy").values()
    }
    assert guarded == set(queues)
