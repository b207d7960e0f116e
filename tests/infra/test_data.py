"""The job table and the buckets: what holds data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.job_table import LIST_ATTRIBUTES
from tests.infra.synthesized import Synthesized, rendered, synthesized

BUCKET = "jobferry-prod-dc1-<AWS::AccountId>-<AWS::Region>"


@pytest.fixture(scope="module")
def production() -> Synthesized:
    return synthesized()


@pytest.fixture(scope="module")
def development() -> Synthesized:
    return synthesized(stage="dev")


@pytest.fixture(scope="module")
def table(production: Synthesized) -> dict[str, Any]:
    return production.only("AWS::DynamoDB::Table")


@pytest.fixture(scope="module")
def bucket(production: Synthesized) -> dict[str, Any]:
    return production.only("AWS::S3::Bucket", BucketName=BUCKET)


def test_logical_ids_of_table_and_buckets_are_frozen() -> None:
    both = synthesized(sites={"dc1": {}, "site-2": {}})
    assert set(both.of_type("AWS::DynamoDB::Table")) == {"JobTable"}
    assert set(both.of_type("AWS::S3::Bucket")) == {"SiteBucketDc1", "SiteBucketSiteX2"}


def test_the_table_is_on_demand_with_recovery_expiry_and_both_images(table: dict[str, Any]) -> None:
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_the_keys_and_the_indexes_are_those_of_the_architecture(table: dict[str, Any]) -> None:
    def keys(schema: list[dict[str, str]]) -> list[tuple[str, str]]:
        return [(row["AttributeName"], row["KeyType"]) for row in schema]

    assert keys(table["KeySchema"]) == [("pk", "HASH"), ("sk", "RANGE")]
    indexes = {
        row["IndexName"]: (keys(row["KeySchema"]), row["Projection"])
        for row in table["GlobalSecondaryIndexes"]
    }
    assert indexes == {
        "queue": (
            [("qpk", "HASH"), ("qsk", "RANGE")],
            {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["drain", "least_puller_version"]},
        ),
        "list": (
            [("lpk", "HASH"), ("lsk", "RANGE")],
            {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(LIST_ATTRIBUTES)},
        ),
        "due": ([("dpk", "HASH"), ("next_due", "RANGE")], {"ProjectionType": "KEYS_ONLY"}),
    }
    types = {row["AttributeName"]: row["AttributeType"] for row in table["AttributeDefinitions"]}
    assert types.pop("next_due") == "N"
    assert set(types.values()) == {"S"}


def test_the_bucket_is_private_encrypted_and_versioned(bucket: dict[str, Any]) -> None:
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    rules = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rules == [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]


@pytest.mark.parametrize("platform", ["aws", "host"])
def test_the_bucket_refuses_requests_without_tls(platform: str) -> None:
    policy = synthesized(lambda_platform=platform).only("AWS::S3::BucketPolicy")
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Action": "s3:*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Resource": ["<SiteBucketDc1.Arn>", "<SiteBucketDc1.Arn>/*"],
        }
    ]


def test_cut_uploads_and_earlier_versions_go_away() -> None:
    bucket = synthesized(sites={"dc1": {"noncurrent_days": 12}}).only("AWS::S3::Bucket")
    assert bucket["LifecycleConfiguration"]["Rules"] == [
        {
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
            "Id": "cut-uploads",
            "Status": "Enabled",
        },
        {
            "ExpiredObjectDeleteMarker": True,
            "Id": "earlier-versions",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 12},
            "Status": "Enabled",
        },
    ]


def test_the_bucket_calls_intake_for_every_mark_and_nothing_else(bucket: dict[str, Any]) -> None:
    rule = {"Name": "suffix", "Value": "aws-job-stat.txt"}
    (function,) = bucket["NotificationConfiguration"]["LambdaConfigurations"]
    assert function.pop("Function").startswith("<IntakeFunction")
    assert function == {"Event": "s3:ObjectCreated:*", "Filter": {"S3Key": {"Rules": [rule]}}}
    assert set(bucket["NotificationConfiguration"]) == {"LambdaConfigurations"}


def test_only_this_bucket_of_this_account_may_call_intake_and_before_it_exists(
    production: Synthesized,
) -> None:
    ((name, permission),) = [
        (name, row)
        for name, row in production.of_type("AWS::Lambda::Permission").items()
        if row["Properties"]["Principal"] == "s3.amazonaws.com"
    ]
    assert name in production.of_type("AWS::S3::Bucket")["SiteBucketDc1"]["DependsOn"]
    properties = rendered(permission["Properties"])
    assert properties["SourceAccount"] == "<AWS::AccountId>"
    assert properties["SourceArn"] == f"arn:<AWS::Partition>:s3:::{BUCKET}"
    assert properties["Principal"] == "s3.amazonaws.com"


def test_production_keeps_table_and_bucket(production: Synthesized) -> None:
    def policies(resource: dict[str, Any]) -> tuple[str, str]:
        return resource["DeletionPolicy"], resource["UpdateReplacePolicy"]

    (table,) = production.of_type("AWS::DynamoDB::Table").values()
    (bucket,) = production.of_type("AWS::S3::Bucket").values()
    assert policies(table) == ("Retain", "Retain")
    assert policies(bucket) == ("RetainExceptOnCreate", "Retain")
    assert production.only("AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is True


def test_any_other_stage_can_be_removed(development: Synthesized) -> None:
    for resource in (
        *development.of_type("AWS::DynamoDB::Table").values(),
        *development.of_type("AWS::S3::Bucket").values(),
    ):
        assert resource["DeletionPolicy"] == "Delete"
    assert development.only("AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is False


@pytest.mark.parametrize("stage", ["prod", "dev"])
def test_there_are_no_custom_resources(stage: str) -> None:
    kinds = {row["Type"] for row in synthesized(stage=stage).template["Resources"].values()}
    assert not {kind for kind in kinds if kind.startswith(("Custom::", "AWS::CloudFormation::"))}


def test_two_sites_differ_by_their_names_alone() -> None:
    template = synthesized(sites={"dc1": {}, "osaka": {}})
    kinds = ("AWS::S3::Bucket", "AWS::IAM::ManagedPolicy", "AWS::SSM::Parameter")

    def of_site(name: str, logical_name: str) -> list[str]:
        return sorted(
            json.dumps(rendered(resource["Properties"]))
            .replace(logical_name, "SITE")
            .replace(name, "site")
            for kind in kinds
            for key, resource in template.of_type(kind).items()
            if logical_name in key
        )

    assert of_site("osaka", "Osaka") == of_site("dc1", "Dc1")
    assert len(of_site("dc1", "Dc1")) == 4
