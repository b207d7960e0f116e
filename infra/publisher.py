"""Publisher: the function that follows the job table's stream, its retry queue and its rights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.acknowledgements import acknowledge, acknowledge_wildcards
from infra.dead_letters import dead_letter_queue
from infra.function import ControlPlaneFunction, FunctionBasis
from infra.names import BucketName
from infra.settings import EventTransitions, LambdaPlatform
from job_protocol import object_keys
from job_protocol.states import ClientStatus

TIMEOUT_SECONDS = 60
_VISIBILITY_FACTOR = 6
"""The queue hides a message for so many time limits (AWS's advice for queues before functions)."""
_RETRIES_BY_QUEUE = 5


def _of_partition(prefix: str) -> dict[str, object]:
    return {"pk": {"S": [{"prefix": prefix}]}}


def stream_filters(lambda_platform: LambdaPlatform) -> list[Mapping[str, object]]:
    """The stream records that the publisher needs; all others cost no invocation.

    Allocations that a puller or a stop changed (not the claim, which shows nothing; but the reason
    why a claimed one waits), jobs that nobody publishes yet, and heartbeats. AWS matches `exists`
    on leaves alone, here the attribute's type (Lambda guide, filtering with DynamoDB); the local
    emulator needs the attribute itself.
    """
    absent = [{"exists": False}]
    return [
        {
            "eventName": ["MODIFY"],
            "dynamodb": {
                "Keys": _of_partition("A#"),
                "NewImage": {"client_status": {"S": [{"anything-but": [ClientStatus.STARTING]}]}},
            },
        },
        {
            "eventName": ["MODIFY"],
            "dynamodb": {
                "Keys": _of_partition("A#"),
                "NewImage": {
                    "client_status": {"S": [ClientStatus.STARTING]},
                    "reason": {"S": [{"anything-but": [""]}]},
                },
            },
        },
        {
            "eventName": ["INSERT", "MODIFY"],
            "dynamodb": {
                "Keys": _of_partition("J#"),
                "NewImage": {
                    "unpublished": {"BOOL": [True]},
                    "lease": {"S": absent} if lambda_platform == "aws" else absent,
                },
            },
        },
        {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"Keys": _of_partition("S#")}},
    ]


def _status_objects(buckets: Sequence[BucketName]) -> list[str]:
    names = sorted(object_keys.STATUS_NAMES)
    return [bucket.objects(f"*{name}") for bucket in buckets for name in names]


class Publisher(Construct):
    """Derives the states of jobs, writes the status objects and sends events.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        basis: what it shares with the other functions.
        table: the job table.
        buckets: the buckets of all sites.
        event_transitions: which changes of a job cause an event.
        lambda_platform: what the functions run on.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        basis: FunctionBasis,
        table: dynamodb.Table,
        buckets: Sequence[BucketName],
        event_transitions: EventTransitions,
        lambda_platform: LambdaPlatform,
    ) -> None:
        super().__init__(scope, construct_id)
        self.stream_dead_letters = dead_letter_queue(self, "StreamDeadLetters")
        acknowledge(
            self.stream_dead_letters,
            "SQS3",
            "This is itself the dead-letter queue, that of the stream; the rule knows only those "
            "of queues and functions.",
        )
        self.retry_dead_letters = dead_letter_queue(self, "RetryDeadLetters")
        self.retries = sqs.Queue(
            self,
            "Retries",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            visibility_timeout=cdk.Duration.seconds(TIMEOUT_SECONDS * _VISIBILITY_FACTOR),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.retry_dead_letters, max_receive_count=_RETRIES_BY_QUEUE
            ),
        )
        self.function = ControlPlaneFunction(
            self,
            "Publisher",
            basis=basis,
            service="publisher",
            description="Derives the states of jobs, writes their status objects, sends events",
            environment={
                "TABLE_NAME": table.table_name,
                "RETRY_QUEUE_URL": self.retries.queue_url,
                "EVENT_TRANSITIONS": event_transitions,
            },
            timeout=cdk.Duration.seconds(TIMEOUT_SECONDS),
            rights=self._rights(table, buckets),
        )
        self.function.function.add_event_source(
            sources.DynamoEventSource(
                table,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=100,
                max_batching_window=cdk.Duration.seconds(0),
                bisect_batch_on_error=True,
                retry_attempts=3,
                parallelization_factor=1,
                report_batch_item_failures=True,
                on_failure=sources.SqsDlq(self.stream_dead_letters),
                filters=[
                    lambda_.FilterCriteria.filter(pattern)
                    for pattern in stream_filters(lambda_platform)
                ],
            )
        )
        self.function.function.add_event_source(
            sources.SqsEventSource(self.retries, batch_size=10, report_batch_item_failures=True)
        )
        acknowledge_wildcards(
            self.function.role,
            {
                "*": "dynamodb:ListStreams, which Lambda needs to follow the stream, knows no "
                "resources.",
                **dict.fromkeys(
                    _status_objects(buckets), "Every job has its status objects under its own id."
                ),
            },
        )

    def _rights(
        self, table: dynamodb.Table, buckets: Sequence[BucketName]
    ) -> list[iam.PolicyStatement]:
        default_event_bus = cdk.Stack.of(self).format_arn(
            service="events", resource="event-bus", resource_name="default"
        )
        return [
            iam.PolicyStatement(
                sid="Jobs",
                actions=[
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                ],
                resources=[table.table_arn],
            ),
            iam.PolicyStatement(
                sid="StatusObjects",
                actions=["s3:PutObject"],
                resources=_status_objects(buckets),
            ),
            iam.PolicyStatement(
                sid="Events", actions=["events:PutEvents"], resources=[default_event_bus]
            ),
            iam.PolicyStatement(
                sid="LaterTries",
                actions=["sqs:SendMessage"],
                resources=[self.retries.queue_arn],
            ),
        ]
