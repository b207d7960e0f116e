"""Launcher: the function that launches periodic jobs, and the schedule that calls it."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledgements import acknowledge_wildcards
from infra.function import ControlPlaneFunction, FunctionBasis
from infra.names import REGISTERED_OBJECTS, BucketName
from infra.token_guard import not_the_tokens
from job_protocol import object_keys, table_keys

_TIMEOUT = cdk.Duration.seconds(60)
_EVERY = cdk.Duration.minutes(1)


class Launcher(Construct):
    """Launches what is due, once a minute.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        basis: what it shares with the other functions.
        table: the job table.
        buckets: the buckets of all sites.
        sites_parameter: the parameter path under which each site's settings lie.
        enabled: whether it is called.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        basis: FunctionBasis,
        table: dynamodb.Table,
        buckets: Sequence[BucketName],
        sites_parameter: str,
        enabled: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        parameters = cdk.Stack.of(self).format_arn(
            service="ssm", resource="parameter", resource_name=f"{sites_parameter[1:]}/*"
        )
        specifications, _ = REGISTERED_OBJECTS
        readable = [bucket.objects(specifications) for bucket in buckets]
        status_objects = [
            bucket.objects(f"*{name}")
            for bucket in buckets
            for name in sorted(object_keys.STATUS_NAMES)
        ]
        puller_files = [bucket.objects(object_keys.PULLER_FILE) for bucket in buckets]
        self.function = ControlPlaneFunction(
            self,
            "Launcher",
            basis=basis,
            service="launcher",
            description="Launches the periodic jobs that are due",
            environment={"TABLE_NAME": table.table_name, "SITES_PARAMETER": sites_parameter},
            timeout=_TIMEOUT,
            rights=[
                iam.PolicyStatement(
                    sid="Jobs",
                    actions=[
                        "dynamodb:BatchGetItem",
                        "dynamodb:GetItem",
                        "dynamodb:PutItem",
                        "dynamodb:UpdateItem",
                    ],
                    resources=[table.table_arn],
                ),
                not_the_tokens(table),
                iam.PolicyStatement(
                    sid="WhatIsDue",
                    actions=["dynamodb:Query"],
                    resources=[f"{table.table_arn}/index/{table_keys.DUE_INDEX}"],
                ),
                iam.PolicyStatement(
                    sid="Specifications", actions=["s3:GetObject"], resources=readable
                ),
                iam.PolicyStatement(
                    # Without it S3 answers 403, not 404, for a specification that is gone.
                    sid="WhatIsThere",
                    actions=["s3:ListBucket"],
                    resources=[bucket.arn for bucket in buckets],
                ),
                iam.PolicyStatement(
                    sid="InputsOfChildren",
                    actions=["s3:PutObject"],
                    resources=[bucket.objects() for bucket in buckets],
                ),
                iam.PolicyStatement(
                    sid="NotWhatOthersWrite",
                    effect=iam.Effect.DENY,
                    actions=["s3:PutObject"],
                    resources=[*status_objects, *puller_files],
                ),
                iam.PolicyStatement(
                    sid="SiteSettings", actions=["ssm:GetParameter"], resources=[parameters]
                ),
            ],
        )
        acknowledge_wildcards(
            self.function.role,
            {
                parameters: "Every site of this deployment has its parameter under this path.",
                **dict.fromkeys(readable, "Every registered job has its versions here."),
                **{bucket.objects(): "Users choose the ids of their jobs." for bucket in buckets},
                **dict.fromkeys(
                    status_objects, "Refused: every job has its status objects under its own id."
                ),
            },
        )
        # Whatever a call leaves undone, the next one does: there is nothing to repeat.
        events.Rule(
            self,
            "EveryMinute",
            description="Calls jobferry's launcher of periodic jobs",
            schedule=events.Schedule.rate(_EVERY),
            enabled=enabled,
            targets=[targets.LambdaFunction(self.function.function, retry_attempts=0)],
        )
