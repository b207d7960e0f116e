"""The template of as many sites as a deployment may have keeps within AWS's quotas.

The emulator knows none of these quotas. Sources: CloudFormation user guide, "Understand
CloudFormation quotas"; IAM user guide, "IAM and AWS STS quotas"; Lambda developer guide,
"Lambda quotas" (the resource-based policy of a function).
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from infra.settings import MOST_SITES, SettingsError, settings_from_context
from tests.infra.synthesized import Synthesized, rendered, synthesized

CERTIFICATE = "-----BEGIN CERTIFICATE-----\n" + "MIIB" * 300 + "\n-----END CERTIFICATE-----\n"
# The longest names, and the longest region.
STAGE = "stage"
VALUES = {
    "<AWS::AccountId>": "123456789012",
    "<AWS::Partition>": "aws",
    "<AWS::Region>": "ap-southeast-2",
}
SITES = [f"site-with-a-name-{n:03}" for n in range(MOST_SITES + 1)]


@pytest.fixture(scope="module")
def full() -> Synthesized:
    """Every setting that adds resources, at every site that there may be."""
    site = {"roles_anywhere": {"ca_certificate": CERTIFICATE, "subject": {"CN": "puller"}}}
    return synthesized(
        stage=STAGE,
        sites=dict.fromkeys(SITES[:MOST_SITES], site),
        alarm_email="operator@example.org",
        api={"tokens": True, "jwt": {"issuer": "https://issuer.example.org", "audience": ["a"]}},
    )


def characters(document: Any) -> int:
    """How long a policy is; white space does not count."""
    text = json.dumps(rendered(document), separators=(",", ":"))
    for name, value in VALUES.items():
        text = text.replace(name, value)
    assert "<AWS::" not in text
    return len(text)


def test_one_site_more_is_refused_with_the_remedy() -> None:
    sites = {site: {} for site in SITES}
    with pytest.raises(SettingsError, match=f"names {MOST_SITES + 1} sites.*-c stage=prod2"):
        settings_from_context({"sites": sites}.get)


def test_the_template_is_within_the_quotas_of_cloudformation(full: Synthesized) -> None:
    assert len(full.template["Resources"]) <= 500
    assert len(full.template["Outputs"]) <= 200
    assert len(json.dumps(full.template)) <= 1_000_000


def test_every_policy_is_within_the_quotas_of_iam(full: Synthesized) -> None:
    managed = full.of_type("AWS::IAM::ManagedPolicy")
    too_long = {
        name: length
        for name, policy in managed.items()
        if (length := characters(policy["Properties"]["PolicyDocument"])) > 6_144
    }
    assert not too_long
    of_roles: Counter[str] = Counter()
    for policy in full.of_type("AWS::IAM::Policy").values():
        for role in rendered(policy["Properties"]["Roles"]):
            of_roles[role] += characters(policy["Properties"]["PolicyDocument"])
    assert max(of_roles.values()) <= 10_240
    attached = Counter(
        role
        for policy in managed.values()
        for role in rendered(policy["Properties"].get("Roles", []))
    )
    assert max(attached.values()) <= 10


def test_the_functions_that_buckets_call_take_all_their_permissions(full: Synthesized) -> None:
    lengths: Counter[str] = Counter()
    for name, permission in full.of_type("AWS::Lambda::Permission").items():
        properties = rendered(permission["Properties"])
        function = f"arn:aws:lambda:ap-southeast-2:123456789012:function:{'f' * 64}"
        statement = {
            "Sid": f"jobferry-{STAGE}-{name}-{'R' * 12}",
            "Effect": "Allow",
            "Principal": {"Service": properties["Principal"]},
            "Action": properties["Action"],
            "Resource": function,
            "Condition": {
                "StringEquals": {"AWS:SourceAccount": properties.get("SourceAccount", "")},
                "ArnLike": {"AWS:SourceArn": properties.get("SourceArn", "")},
            },
        }
        lengths[properties["FunctionName"]] += characters(statement) + 1
    assert max(lengths.values()) <= 20 * 1024


def test_no_right_is_lost_where_a_statement_is_written_in_parts(full: Synthesized) -> None:
    buckets = {f"jobferry-{STAGE}-{site}-" for site in SITES[:MOST_SITES]}
    for function, action in (
        ("Intake", "s3:GetObjectVersion"),
        ("Publisher", "s3:PutObject"),
        ("Launcher", "s3:ListBucket"),
        ("Purger", "s3:DeleteObjectVersion"),
    ):
        resources = " ".join(
            json.dumps(rendered(statement["Resource"]))
            for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
            for name, policy in full.of_type(kind).items()
            if name.startswith(function)
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Allow" and action in statement["Action"]
        )
        assert all(bucket in resources for bucket in buckets), function
