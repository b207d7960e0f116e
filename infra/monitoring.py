"""Alarms for what a person must look at, their mail, and a dashboard."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.function import METRICS_NAMESPACE
from infra.settings import SiteSettings

HEARTBEAT_METRIC = "Heartbeat"
HEARTBEAT_SERVICE = "publisher"
"""Powertools adds the service that emits a metric to its dimensions."""

_PERIOD_MINUTES = 5
_LATE_STREAM = cdk.Duration.minutes(5)


class Monitoring(Construct):
    """The deployment's alarms and its dashboard.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        alarm_email: who gets the alarms by mail, if anybody.
    """

    def __init__(self, scope: Construct, construct_id: str, *, alarm_email: str | None) -> None:
        super().__init__(scope, construct_id)
        self._alarms: list[cloudwatch.IAlarm] = []
        self._widgets: list[list[cloudwatch.IWidget]] = []
        self._topic: sns.Topic | None = None
        if alarm_email is not None:
            self._topic = sns.Topic(self, "Alarms", enforce_ssl=True)
            self._topic.add_subscription(subscriptions.EmailSubscription(alarm_email))

    def watch_functions(self, functions: dict[str, lambda_.Function]) -> None:
        """Alarms for errors and throttles of functions, by name."""
        for name, function in functions.items():
            errors = function.metric_errors(period=_period())
            throttles = function.metric_throttles(period=_period())
            self._alarm(
                f"{name}Errors",
                errors,
                f"jobferry's {name} failed. Its log group says why; what failed is retried, then "
                "goes to a dead-letter queue.",
            )
            self._alarm(
                f"{name}Throttles",
                throttles,
                f"AWS throttles jobferry's {name}: raise the account's limit of concurrent "
                "Lambda executions.",
            )
            self._widgets.append(
                [
                    _graph(f"{name}: calls", [function.metric_invocations(period=_period())]),
                    _graph(f"{name}: errors, throttles", [errors, throttles]),
                    _graph(f"{name}: duration", [function.metric_duration(period=_period())]),
                ]
            )

    def watch_doors(self, doors: dict[str, apigatewayv2.HttpApi]) -> None:
        """An alarm for answers with 5xx of each HTTP API, by the name of its door."""
        for name, api in doors.items():
            errors = api.metric_server_error(period=_period(), statistic="Sum")
            self._alarm(
                f"Api{name}Errors",
                errors,
                "jobferry's HTTP API answered with 5xx. The log group of its function says why; "
                "clients may repeat a request with the same Idempotency-Key.",
            )
            self._widgets.append(
                [
                    _graph(f"HTTP API {name}: requests", [api.metric_count(period=_period())]),
                    _graph(
                        f"HTTP API {name}: 5xx, 4xx",
                        [errors, api.metric_client_error(period=_period())],
                    ),
                    _graph(f"HTTP API {name}: latency", [api.metric_latency(period=_period())]),
                ]
            )

    def watch_stream(self, reader: lambda_.Function) -> None:
        """An alarm for a stream of the job table that is read too late."""
        age = reader.metric("IteratorAge", statistic="Maximum", period=_period())
        self._alarm(
            "StreamLate",
            age,
            "jobferry's publisher reads the job table's stream late, so status objects are old. "
            "Its log group says what it is busy with.",
            threshold=_LATE_STREAM.to_milliseconds(),
        )
        self._widgets.append([_graph("stream: age of the oldest record", [age])])

    def watch_dead_letters(self, queues: dict[str, sqs.Queue]) -> None:
        """An alarm for each dead-letter queue, by name, as soon as it holds anything."""
        metrics = []
        for name, queue in queues.items():
            waiting = queue.metric_approximate_number_of_messages_visible(
                period=_period(), statistic="Maximum"
            )
            metrics.append(waiting)
            self._alarm(
                name,
                waiting,
                f"Queue {queue.queue_name} holds work that failed for good. Read a message, "
                "remove the cause, then redrive the queue.",
            )
        self._widgets.append([_graph("dead letters", metrics)])

    def watch_site(self, site: SiteSettings) -> None:
        """An alarm for a site whose puller does not show any sign of life."""
        heartbeats = cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name=HEARTBEAT_METRIC,
            dimensions_map={"service": HEARTBEAT_SERVICE, "site": site.name},
            statistic="SampleCount",
            period=_period(),
        )
        self._alarm(
            f"Silent{site.logical_name}",
            heartbeats,
            f"The puller of site {site.name} has been silent for {site.silent_after_minutes} "
            "minutes: look at its crontab line, its log and its network.",
            operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            periods=-(-site.silent_after_minutes // _PERIOD_MINUTES),
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        self._widgets.append([_graph(f"site {site.name}: heartbeats", [heartbeats])])

    def add_dashboard(self) -> None:
        """The dashboard of everything that is watched."""
        overview = cloudwatch.AlarmStatusWidget(alarms=self._alarms, title="Alarms", width=24)
        cloudwatch.Dashboard(self, "Dashboard", widgets=[[overview], *self._widgets])

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.Metric,
        description: str,
        *,
        threshold: float = 1,
        operator: cloudwatch.ComparisonOperator = (
            cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
        ),
        periods: int = 1,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            comparison_operator=operator,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        if self._topic is not None:
            alarm.add_alarm_action(actions.SnsAction(self._topic))
            alarm.add_ok_action(actions.SnsAction(self._topic))
        self._alarms.append(alarm)


def _period() -> cdk.Duration:
    return cdk.Duration.minutes(_PERIOD_MINUTES)


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8)
