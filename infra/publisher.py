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
from infra.token_guard import not_the_tokens
from job_protocol import object_keys
from job_protocol.states import ClientStatus, JobStatus

TIMEOUT_SECONDS = 60
_VISIBILITY_FACTOR = 6
"""The queue hides a message for so many time limits (AWS's advice for queues before functions)."""
_RETRIES_BY_QUEUE = 5
CALLS_OF_A_SHARD = 10
"""How many calls of the publisher at most one shard of the stream has at the same time: the records
of one item stay in order, and a job's lease keeps its publishers apart."""

PASSING_STATES_WAIT = cdk.Duration.seconds(5)
"""How long records of passing states are gathered before the publisher is called: a job of a second
that a lingering puller claims has ended by then, and its earlier states cost nothing."""


def _of_partition(prefix: str) -> dict[str, object]:
    return {"pk": {"S": [{"prefix": prefix}]}}


def end_filters(lambda_platform: LambdaPlatform) -> list[Mapping[str, object]]:
    """The stream records that are published at once: ends of allocations and of jobs."""
    terminal = sorted(status.value for status in ClientStatus if status.terminal)
    return [
        _changed_allocation({"client_status": {"S": terminal}}),
        _unpublished_job(lambda_platform, {"status": {"S": [JobStatus.DEAD.value]}}),
    ]


def passing_filters(lambda_platform: LambdaPlatform) -> list[Mapping[str, object]]:
    """The stream records that may wait: passing states, and heartbeats.

    Not the claim, which shows nothing; but the reason why a claimed allocation waits.
    """
    passing = sorted(
        status.value
        for status in ClientStatus
        if not status.terminal and status is not ClientStatus.STARTING
    )
    return [
        _changed_allocation({"client_status": {"S": passing}}),
        _changed_allocation(
            {
                "client_status": {"S": [ClientStatus.STARTING.value]},
                "reason": {"S": [{"anything-but": [""]}]},
            }
        ),
        _unpublished_job(
            lambda_platform,
            {"status": {"S": [JobStatus.PENDING.value, JobStatus.RUNNING.value]}},
        ),
        {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"Keys": _of_partition("S#")}},
    ]


def _changed_allocation(image: Mapping[str, object]) -> Mapping[str, object]:
    return {
        "eventName": ["MODIFY"],
        "dynamodb": {"Keys": _of_partition("A#"), "NewImage": image},
    }


def _unpublished_job(
    lambda_platform: LambdaPlatform, image: Mapping[str, object]
) -> Mapping[str, object]:
    """A job that nobody publishes yet.

    AWS matches `exists` on leaves alone, here the attribute's type (Lambda guide, filtering with
    DynamoDB); the local emulator needs the attribute itself.
    """
    absent = [{"exists": False}]
    return {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {
            "Keys": _of_partition("J#"),
            "NewImage": {
                "unpublished": {"BOOL": [True]},
                "lease": {"S": absent} if lambda_platform == "aws" else absent,
                **image,
            },
        },
    }


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
        purges: the queue of jobs that the purger has to work on.
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
        purges: sqs.Queue,
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
                "PURGE_QUEUE_URL": purges.queue_url,
                "EVENT_TRANSITIONS": event_transitions,
            },
            timeout=cdk.Duration.seconds(TIMEOUT_SECONDS),
            rights=self._rights(table, buckets, purges),
        )
        # What lasts less than the window is never shown: each state costs two objects, and the
        # publisher finds the end published when the window closes.
        table.grant_stream_read(self.function.function)
        for name, window, filters in (
            ("Ends", cdk.Duration.seconds(0), end_filters(lambda_platform)),
            ("PassingStates", PASSING_STATES_WAIT, passing_filters(lambda_platform)),
        ):
            self._follow(name, table, window, filters)
        self.function.function.add_event_source(
            sources.SqsEventSource(self.retries, batch_size=10, report_batch_item_failures=True)
        )
        acknowledge_wildcards(
            self.function.role,
            {
                "*": "dynamodb:ListStreams, which Lambda needs to follow the stream, and answers "
                "to task tokens know no resources: the token itself is the right.",
                **dict.fromkeys(
                    _status_objects(buckets), "Every job has its status objects under its own id."
                ),
            },
        )

    def _follow(
        self,
        name: str,
        table: dynamodb.Table,
        window: cdk.Duration,
        filters: Sequence[Mapping[str, object]],
    ) -> None:
        lambda_.EventSourceMapping(
            self,
            name,
            target=self.function.function,
            event_source_arn=table.table_stream_arn,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=100,
            max_batching_window=window,
            bisect_batch_on_error=True,
            retry_attempts=3,
            parallelization_factor=CALLS_OF_A_SHARD,
            report_batch_item_failures=True,
            on_failure=sources.SqsDlq(self.stream_dead_letters),
            filters=[lambda_.FilterCriteria.filter(pattern) for pattern in filters],
        )

    def _rights(
        self, table: dynamodb.Table, buckets: Sequence[BucketName], purges: sqs.Queue
    ) -> list[iam.PolicyStatement]:
        default_event_bus = cdk.Stack.of(self).format_arn(
            service="events", resource="event-bus", resource_name="default"
        )
        return [
            iam.PolicyStatement(
                sid="Jobs",
                actions=[
                    "dynamodb:BatchGetItem",
                    "dynamodb:GetItem",
                    "dynamodb:PutItem",
                    "dynamodb:Query",
                    "dynamodb:UpdateItem",
                ],
                resources=[table.table_arn],
            ),
            not_the_tokens(table),
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
            iam.PolicyStatement(
                sid="Purges", actions=["sqs:SendMessage"], resources=[purges.queue_arn]
            ),
            iam.PolicyStatement(
                sid="WaitingWorkflows",
                actions=["states:SendTaskFailure", "states:SendTaskSuccess"],
                resources=["*"],
            ),
        ]
