"""Logical ids that may never change: CloudFormation would replace what they name."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct


def freeze(construct: Construct, logical_id: str) -> None:
    """Give the resource of a construct a fixed logical id, wherever it lies in the tree."""
    resource = construct.node.default_child
    if not isinstance(resource, cdk.CfnElement):
        raise TypeError(f"{construct.node.path} has no resource of its own")
    resource.override_logical_id(logical_id)
