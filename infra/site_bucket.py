"""The bucket of a site: private, versioned, encrypted, and it tells intake about every mark."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.logical_ids import freeze
from infra.names import BucketName
from infra.settings import SiteSettings
from job_protocol import object_keys

ABORT_MULTIPART_AFTER_DAYS = 7


class SiteBucket(Construct):
    """A site's bucket and its notification.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        site: the site.
        name: the bucket's name.
        intake: the function that every new `aws-job-stat.txt` is reported to.
        keeps_data: whether the bucket outlives the stack.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: SiteSettings,
        name: BucketName,
        intake: lambda_.IFunction,
        keeps_data: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=name.value,
            versioned=True,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="cut-uploads",
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(
                        ABORT_MULTIPART_AFTER_DAYS
                    ),
                ),
                s3.LifecycleRule(
                    id="earlier-versions",
                    noncurrent_version_expiration=cdk.Duration.days(site.noncurrent_days),
                    expired_object_delete_marker=True,
                ),
            ],
            # Not plain RETAIN: a first deployment that fails must not leave its bucket behind,
            # or the next one finds the name taken.
            removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
            if keeps_data
            else cdk.RemovalPolicy.DESTROY,
        )
        freeze(self.bucket, f"SiteBucket{site.logical_name}")
        acknowledge(
            self.bucket,
            "S1",
            "Access logs would need one more bucket, with its own life; an account that must know "
            "who read what records S3 data events in CloudTrail, for all buckets in one place.",
        )
        self._notify(name, intake)

    def _notify(self, name: BucketName, intake: lambda_.IFunction) -> None:
        """Report marks to intake by the bucket's own property.

        `add_event_notification` would need a custom resource, a function that changes buckets.
        """
        permission = lambda_.CfnPermission(
            self,
            "MayCallIntake",
            action="lambda:InvokeFunction",
            function_name=intake.function_arn,
            principal="s3.amazonaws.com",
            source_account=cdk.Aws.ACCOUNT_ID,
            source_arn=name.arn,
        )
        resource = self.bucket.node.default_child
        if not isinstance(resource, s3.CfnBucket):
            raise TypeError(f"{self.bucket.node.path} is no bucket")
        mark = s3.CfnBucket.FilterRuleProperty(name="suffix", value=object_keys.STATUS_WORD)
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            lambda_configurations=[
                s3.CfnBucket.LambdaConfigurationProperty(
                    event="s3:ObjectCreated:*",
                    function=intake.function_arn,
                    filter=s3.CfnBucket.NotificationFilterProperty(
                        s3_key=s3.CfnBucket.S3KeyFilterProperty(rules=[mark])
                    ),
                )
            ]
        )
        # S3 asks the function whether it may call it when the bucket is made.
        resource.add_resource_dependency(permission)
