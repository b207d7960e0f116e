"""Findings of cdk-nag that stand, each with the reason why it does."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from constructs import IConstruct

_PACK = "AwsSolutions"
_AS_REPORTED = {
    cdk.Aws.ACCOUNT_ID: "<AWS::AccountId>",
    cdk.Aws.PARTITION: "<AWS::Partition>",
    cdk.Aws.REGION: "<AWS::Region>",
}


def acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    """Let a finding of one rule stand for a construct and what is in it.

    Args:
        construct: what it is about.
        rule: the rule's name, such as `S1`.
        reason: why the finding stands, a sentence.
    """
    cdk.Validations.of(construct).acknowledge(
        cdk.Acknowledgment(id=f"{_PACK}::{_PACK}-{rule}", reason=reason)
    )


def acknowledge_wildcards(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Let wildcards in the resources of IAM statements stand; any other is still reported.

    Args:
        construct: the role or policy.
        reasons: why each may be there, by the resource as the statement has it.
    """
    for resource, reason in reasons.items():
        reported = resource
        for token, name in _AS_REPORTED.items():
            reported = reported.replace(token, name)
        acknowledge(construct, f"IAM5[Resource::{reported}]", reason)
