"""Keeps the functions that have no business with API tokens away from them."""

from __future__ import annotations

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam

from job_protocol import table_keys


def not_the_tokens(table: dynamodb.Table) -> iam.PolicyStatement:
    """Refuses API tokens and the records of repeated requests, whatever else is allowed.

    Whoever writes a token's item can act for anybody through the API, and these items lie in the
    table that intake, publisher and purger write to. `ForAnyValue` is not true for a request that
    names no partition key; none of those functions may make such a one.
    """
    return iam.PolicyStatement(
        sid="NotTheTokens",
        effect=iam.Effect.DENY,
        actions=["dynamodb:*"],
        resources=[table.table_arn],
        conditions={
            "ForAnyValue:StringLike": {
                "dynamodb:LeadingKeys": [
                    table_keys.api_token("*").pk,
                    table_keys.idempotency_partition("*"),
                ]
            }
        },
    )
