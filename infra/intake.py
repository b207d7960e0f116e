"""Intake: the function that S3 calls for every `aws-job-stat.txt`, and its rights."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledgements import acknowledge_wildcards
from infra.dead_letters import dead_letter_queue
from infra.function import ControlPlaneFunction, FunctionBasis
from infra.names import MANIFEST_OBJECTS, BucketName
from infra.token_guard import not_the_tokens


class Intake(Construct):
    """Validates uploads and creates jobs.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        basis: what it shares with the other functions.
        table: the job table.
        buckets: the buckets of all sites.
        buckets_parameter: the parameter path under which each bucket's settings lie.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        basis: FunctionBasis,
        table: dynamodb.Table,
        buckets: Sequence[BucketName],
        buckets_parameter: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        parameters = cdk.Stack.of(self).format_arn(
            service="ssm", resource="parameter", resource_name=f"{buckets_parameter[1:]}/*"
        )
        self.function = ControlPlaneFunction(
            self,
            "Intake",
            basis=basis,
            service="intake",
            description="Validates the uploads of all sites and creates their jobs",
            environment={"TABLE_NAME": table.table_name, "BUCKETS_PARAMETER": buckets_parameter},
            timeout=cdk.Duration.seconds(120),
            dead_letter_queue=self.dead_letters,
            rights=[
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
                    sid="WhatWasUploaded",
                    # Without s3:ListBucket S3 answers 403, not 404, for what is not there.
                    actions=["s3:ListBucket", "s3:ListBucketVersions"],
                    resources=[bucket.arn for bucket in buckets],
                ),
                iam.PolicyStatement(
                    sid="Uploads",
                    actions=["s3:GetObject", "s3:GetObjectVersion"],
                    resources=[bucket.objects() for bucket in buckets],
                ),
                iam.PolicyStatement(
                    sid="Manifests",
                    actions=["s3:PutObject"],
                    resources=[bucket.objects(MANIFEST_OBJECTS) for bucket in buckets],
                ),
                iam.PolicyStatement(
                    sid="SiteSettings", actions=["ssm:GetParameter"], resources=[parameters]
                ),
            ],
        )
        acknowledge_wildcards(
            self.function.role,
            {
                parameters: "Every bucket of this deployment has its parameter under this path.",
                **{b.objects(): "Users choose the keys of their inputs." for b in buckets},
                **{
                    b.objects(MANIFEST_OBJECTS): "A manifest is named after its allocation."
                    for b in buckets
                },
            },
        )
