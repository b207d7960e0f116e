"""Purger: the function that deletes what was asked to be deleted, its queue and its rights."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.acknowledgements import acknowledge_wildcards
from infra.dead_letters import dead_letter_queue
from infra.function import ControlPlaneFunction, FunctionBasis
from infra.names import BucketName
from infra.token_guard import not_the_tokens

_TIMEOUT = cdk.Duration.minutes(5)
_VISIBILITY = cdk.Duration.minutes(30)
"""Six time limits: AWS's advice for queues before functions."""
_TRIES = 5


class Purger(Construct):
    """Deletes purged jobs. No other function may delete.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        basis: what it shares with the other functions.
        table: the job table.
        buckets: the buckets of all sites.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        basis: FunctionBasis,
        table: dynamodb.Table,
        buckets: Sequence[BucketName],
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            visibility_timeout=_VISIBILITY,
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=_TRIES
            ),
        )
        self.function = ControlPlaneFunction(
            self,
            "Purger",
            basis=basis,
            service="purger",
            description="Deletes the objects and items of purged jobs",
            environment={
                "TABLE_NAME": table.table_name,
                "PURGE_QUEUE_URL": self.queue.queue_url,
            },
            timeout=_TIMEOUT,
            rights=[
                iam.PolicyStatement(
                    sid="PurgedJobs",
                    actions=[
                        "dynamodb:ConditionCheckItem",
                        "dynamodb:DeleteItem",
                        "dynamodb:GetItem",
                        "dynamodb:PutItem",
                        "dynamodb:Query",
                        "dynamodb:UpdateItem",
                    ],
                    resources=[table.table_arn],
                ),
                not_the_tokens(table),
                iam.PolicyStatement(
                    sid="WhatTheyHave",
                    actions=["s3:ListBucketVersions"],
                    resources=[bucket.arn for bucket in buckets],
                ),
                iam.PolicyStatement(
                    sid="Deletion",
                    actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
                    resources=[bucket.objects() for bucket in buckets],
                ),
                iam.PolicyStatement(
                    sid="FurtherCalls",
                    actions=["sqs:SendMessage"],
                    resources=[self.queue.queue_arn],
                ),
            ],
        )
        self.function.function.add_event_source(
            sources.SqsEventSource(self.queue, batch_size=1, report_batch_item_failures=True)
        )
        acknowledge_wildcards(
            self.function.role,
            {bucket.objects(): "Users choose the keys of their jobs." for bucket in buckets},
        )
