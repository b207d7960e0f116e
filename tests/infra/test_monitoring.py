from __future__ import annotations

import json
from typing import Any

import pytest

from lambdas import publisher
from lambdas.ports.job_queue import JobQueue
from tests.infra.synthesized import Synthesized, rendered, synthesized


@pytest.fixture(scope="module")
def production() -> Synthesized:
    return synthesized()


def alarms(template: Synthesized) -> list[dict[str, Any]]:
    return [
        rendered(row["Properties"]) for row in template.of_type("AWS::CloudWatch::Alarm").values()
    ]


def dimensions_of(alarm: dict[str, Any]) -> dict[str, str]:
    return {row["Name"]: row["Value"] for row in alarm["Dimensions"]}


def heartbeat_alarms(template: Synthesized) -> dict[str, dict[str, Any]]:
    """The alarms for silent sites, by site."""
    return {
        dimensions_of(alarm)["site"]: alarm
        for alarm in alarms(template)
        if alarm["MetricName"] == "Heartbeat"
    }


def watched(template: Synthesized, metric: str) -> set[str]:
    """The functions or queues (without CDK's hash) with an alarm on a metric."""
    return {
        dimension["Value"].strip("<>").partition(".")[0][:-8]
        for alarm in alarms(template)
        if alarm["MetricName"] == metric
        for dimension in alarm["Dimensions"]
    }


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_has_an_alarm(production: Synthesized, metric: str) -> None:
    functions = {name[:-8] for name in production.of_type("AWS::Lambda::Function")}
    assert watched(production, metric) == functions


def test_every_door_of_the_api_has_an_alarm_for_its_failures() -> None:
    template = synthesized(api={"tokens": True})
    doors = template.of_type("AWS::ApiGatewayV2::Api")
    watched_doors = {
        dimensions_of(alarm)["ApiId"].strip("<>")
        for alarm in alarms(template)
        if alarm["MetricName"] == "5xx"
    }
    assert watched_doors == set(doors)
    assert "ApiAuthorizerFunction" in watched(template, "Errors")


def test_a_late_stream_has_an_alarm(production: Synthesized) -> None:
    assert watched(production, "IteratorAge") == {"PublisherFunction"}
    (alarm,) = [row for row in alarms(production) if row["MetricName"] == "IteratorAge"]
    assert (alarm["Threshold"], alarm["Statistic"]) == (300_000, "Maximum")


def test_one_message_in_any_dead_letter_queue_is_an_alarm(production: Synthesized) -> None:
    assert watched(production, "ApproximateNumberOfMessagesVisible") == {
        name[:-8]
        for name, queue in production.of_type("AWS::SQS::Queue").items()
        if "RedrivePolicy" not in queue["Properties"]
    }
    for alarm in alarms(production):
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible":
            assert alarm["Threshold"] == 1
            assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_a_silent_site_is_an_alarm_after_the_minutes_of_its_settings() -> None:
    template = synthesized(sites={"dc1": {}, "osaka": {"silent_after_minutes": 61}})
    silent = heartbeat_alarms(template)
    assert {
        site: row["Period"] * row["EvaluationPeriods"] / 60 for site, row in silent.items()
    } == {
        "dc1": 180,
        "osaka": 65,
    }
    for alarm in silent.values():
        assert alarm["Statistic"] == "SampleCount"
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
        assert alarm["TreatMissingData"] == "breaching"


def test_the_alarm_watches_the_metric_that_the_publisher_emits(
    production: Synthesized, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    function = production.only("AWS::Lambda::Function", Handler="lambdas.publisher.handler")
    for name, value in function["Environment"]["Variables"].items():
        monkeypatch.setenv(name, value)
    keys = {"pk": {"S": "S#dc1"}, "sk": {"S": "installation"}}
    image = {**keys, "site": {"S": "dc1"}}
    record = {"eventName": "MODIFY", "dynamodb": {"Keys": keys, "NewImage": image}}
    publisher.follow([record], lambda site, job: None, JobQueue(None, "unused"))

    emitted = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    (metric,) = emitted["_aws"]["CloudWatchMetrics"]
    (dimensions,) = metric["Dimensions"]
    alarm = heartbeat_alarms(production)["dc1"]
    assert alarm["Namespace"] == metric["Namespace"]
    assert [row["Name"] for row in metric["Metrics"]] == [alarm["MetricName"]]
    assert dimensions_of(alarm) == {name: emitted[name] for name in dimensions}


def test_without_a_mail_address_there_is_no_topic(production: Synthesized) -> None:
    assert not production.of_type("AWS::SNS::Topic")
    assert all("AlarmActions" not in alarm for alarm in alarms(production))


def test_every_alarm_and_its_end_go_to_the_mail_address() -> None:
    template = synthesized(alarm_email="ops@example.com")
    (topic,) = template.of_type("AWS::SNS::Topic")
    subscription = template.only("AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.com")
    assert subscription["TopicArn"] == f"<{topic}>"
    for alarm in alarms(template):
        assert alarm["AlarmActions"] == alarm["OKActions"] == [f"<{topic}>"]


def test_the_dashboard_shows_every_alarm(production: Synthesized) -> None:
    body = production.only("AWS::CloudWatch::Dashboard")["DashboardBody"]
    for name in production.of_type("AWS::CloudWatch::Alarm"):
        assert f"<{name}.Arn>" in body
