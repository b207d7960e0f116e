"""What a site's puller may do in AWS: a policy, and the roles that have it."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledgements import acknowledge_wildcards
from infra.job_table import JobTable
from infra.names import MANIFEST_OBJECTS, REGISTERED_OBJECTS, BucketName
from infra.roles_anywhere import RolesAnywhere
from infra.settings import SiteSettings
from job_protocol import object_keys, table_keys

STATUS_OBJECTS = ("aws-job-stat.*", "*/aws-job-stat.*")
_NOT_THE_PULLERS = (
    *STATUS_OBJECTS,
    MANIFEST_OBJECTS,
    *REGISTERED_OBJECTS,
    object_keys.PULLER_FILE,
)


class PullerAccess(Construct):
    """The managed policy of a site's puller, and a role with it.

    A puller reads and writes its own bucket, save what the control plane alone writes there, and
    its own site's partitions of the table.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        site: the site.
        bucket: the site's bucket.
        job_table: the job table.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: SiteSettings,
        bucket: BucketName,
        job_table: JobTable,
    ) -> None:
        super().__init__(scope, construct_id)
        own_partitions = [
            *table_keys.allocation_partitions(site.name),
            table_keys.heartbeat_partition(site.name),
        ]
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            description=f"What jobferry's puller of site {site.name} may do",
            statements=[
                iam.PolicyStatement(
                    sid="Inputs",
                    actions=["s3:GetObject", "s3:GetObjectVersion"],
                    resources=[bucket.objects()],
                ),
                iam.PolicyStatement(
                    # Without it S3 answers 403, not 404, for an input that is not there any more.
                    sid="WhatIsThere",
                    actions=["s3:ListBucket"],
                    resources=[bucket.arn],
                ),
                iam.PolicyStatement(
                    sid="Results",
                    actions=["s3:AbortMultipartUpload", "s3:PutObject"],
                    resources=[bucket.objects()],
                ),
                iam.PolicyStatement(
                    sid="NotWhatTheControlPlaneWrites",
                    effect=iam.Effect.DENY,
                    actions=["s3:PutObject"],
                    resources=[bucket.objects(key) for key in _NOT_THE_PULLERS],
                ),
                iam.PolicyStatement(
                    sid="OwnAllocationsAndHeartbeat",
                    actions=["dynamodb:GetItem", "dynamodb:UpdateItem"],
                    resources=[job_table.table.table_arn],
                    conditions=_leading_keys(own_partitions),
                ),
                iam.PolicyStatement(
                    sid="OwnQueue",
                    actions=["dynamodb:Query"],
                    resources=[job_table.queue_index_arn],
                    conditions=_leading_keys([table_keys.queue_partition(site.name)]),
                ),
            ],
        )
        acknowledge_wildcards(
            self.policy,
            {bucket.objects(): "Users choose the keys of their inputs and results."},
        )
        self.role = iam.Role(
            self,
            "Role",
            description=f"For jobferry's puller of site {site.name}",
            assumed_by=_trusted(site),
            managed_policies=[self.policy],
        )
        self.anywhere: RolesAnywhere | None = None
        if site.roles_anywhere is not None:
            self.anywhere = RolesAnywhere(
                self,
                "Anywhere",
                site=site.name,
                policy=self.policy,
                settings=site.roles_anywhere,
            )


def _leading_keys(partitions: list[str]) -> dict[str, object]:
    """Only these partition keys; `Null` refuses a request that shows none at all."""
    return {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": partitions},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def _trusted(site: SiteSettings) -> iam.IPrincipal:
    if not site.puller_principals:
        return iam.AccountRootPrincipal()
    return iam.CompositePrincipal(*(iam.ArnPrincipal(arn) for arn in site.puller_principals))
