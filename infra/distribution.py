"""Distribution: the puller's single file, in every site's bucket after each deployment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.dead_letters import dead_letter_queue
from infra.function import ControlPlaneFunction, FunctionBasis
from infra.names import BucketName
from job_protocol import object_keys
from tools.puller_file.cached import puller_file


class Distribution(Construct):
    """Copies the puller's file to the sites when CloudFormation has changed the stack.

    A custom resource would do it within the deployment, and could hold that up; a site's puller is
    never updated by this, so nothing waits for it.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        basis: what it shares with the other functions.
        checkout: the folder that holds the puller's source.
        buckets: the buckets of all sites.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        basis: FunctionBasis,
        checkout: Path,
        buckets: Sequence[BucketName],
    ) -> None:
        super().__init__(scope, construct_id)
        built = puller_file(checkout)
        self.sha256 = built.sha256
        file = assets.Asset(self, "File", path=str(built.path))
        copies = [bucket.objects(object_keys.PULLER_FILE) for bucket in buckets]
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        self.function = ControlPlaneFunction(
            self,
            "Distributor",
            basis=basis,
            service="distributor",
            description="Copies the puller's single file to the buckets of all sites",
            environment={
                "SOURCE_BUCKET": file.s3_bucket_name,
                "SOURCE_KEY": file.s3_object_key,
                "SHA256": built.sha256,
                "BUCKETS": cdk.Stack.of(self).to_json_string([b.value for b in buckets]),
            },
            timeout=cdk.Duration.seconds(120),
            dead_letter_queue=self.dead_letters,
            rights=[
                iam.PolicyStatement(
                    sid="Source",
                    actions=["s3:GetObject"],
                    resources=[file.bucket.arn_for_objects(file.s3_object_key)],
                ),
                iam.PolicyStatement(
                    # Without s3:ListBucket S3 answers 403, not 404, for what is not there.
                    sid="WhatIsThere",
                    actions=["s3:ListBucket"],
                    resources=[bucket.arn for bucket in buckets],
                ),
                iam.PolicyStatement(
                    sid="Copies", actions=["s3:GetObject", "s3:PutObject"], resources=copies
                ),
            ],
        )
        events.Rule(
            self,
            "StackHasChanged",
            description="The stack of jobferry was created or updated",
            event_pattern=events.EventPattern(
                source=["aws.cloudformation"],
                detail_type=["CloudFormation Stack Status Change"],
                detail={
                    "stack-id": [cdk.Aws.STACK_ID],
                    "status-details": {"status": ["CREATE_COMPLETE", "UPDATE_COMPLETE"]},
                },
            ),
            targets=[targets.LambdaFunction(self.function.function)],
        )
