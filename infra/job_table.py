"""The job table: one DynamoDB table for all sites, its indexes and its stream."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.logical_ids import freeze
from job_protocol import table_keys

QUEUE_ATTRIBUTES = ("drain", "least_puller_version")
"""What the queue index carries beside keys: the control row's contents."""

LIST_ATTRIBUTES = (
    *("role", "kind", "status", "outcome", "client_status", "run", "finished", "parent"),
    *("priority", "registration"),
)
"""What the list index carries beside keys: a row of a list, but not a publisher's lease, which so
costs no write of the index."""


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def _number(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.NUMBER)


class JobTable(Construct):
    """The job table. ARCHITECTURE.md names its items and access patterns.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        keeps_data: whether the table outlives the stack and refuses to be deleted.
    """

    def __init__(self, scope: Construct, construct_id: str, *, keeps_data: bool) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="ttl",
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            deletion_protection=keeps_data,
            removal_policy=cdk.RemovalPolicy.RETAIN if keeps_data else cdk.RemovalPolicy.DESTROY,
        )
        freeze(self.table, "JobTable")
        self.table.add_global_secondary_index(
            index_name=table_keys.QUEUE_INDEX,
            partition_key=_text("qpk"),
            sort_key=_text("qsk"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=list(QUEUE_ATTRIBUTES),
        )
        self.table.add_global_secondary_index(
            index_name=table_keys.LIST_INDEX,
            partition_key=_text("lpk"),
            sort_key=_text("lsk"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=list(LIST_ATTRIBUTES),
        )
        self.table.add_global_secondary_index(
            index_name=table_keys.DUE_INDEX,
            partition_key=_text("dpk"),
            sort_key=_number("next_due"),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )

    @property
    def queue_index_arn(self) -> str:
        """The ARN of the index that pullers ask."""
        return f"{self.table.table_arn}/index/{table_keys.QUEUE_INDEX}"
