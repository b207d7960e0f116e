"""Who may do what: every action of every role, in full."""

from __future__ import annotations

import json
import re

import pytest

from tests.infra.synthesized import Synthesized, as_list, rendered, synthesized

OBJECTS = "arn:<AWS::Partition>:s3:::jobferry-prod-dc1-<AWS::AccountId>-<AWS::Region>"
HERE = "<AWS::Region>:<AWS::AccountId>"
HEX_DIGITS = "0123456789abcdef"
NOT_THE_TOKENS = ("Deny", ["dynamodb:*"], ["<JobTable.Arn>"])
CDK_HASH = re.compile(r"(?<=\w)[0-9A-F]{8}(?=\.\w+>)")


@pytest.fixture(scope="module")
def production() -> Synthesized:
    return synthesized()


def rights(template: Synthesized, role: str) -> dict[str, tuple[str, list[str], list[str]]]:
    """Effect, actions and resources of each statement; without the digits of CDK's logical ids."""
    return {
        name: (
            row["Effect"],
            as_list(row["Action"]),
            [CDK_HASH.sub("", resource) for resource in as_list(row["Resource"])],
        )
        for name, row in template.statements(role).items()
    }


def test_intake_may_do_this_and_nothing_else(production: Synthesized) -> None:
    assert rights(production, "IntakeRole") == {
        "logs:CreateLogStream": (
            "Allow",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            ["<IntakeLogs.Arn>"],
        ),
        "Jobs": (
            "Allow",
            [
                "dynamodb:BatchGetItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ],
            ["<JobTable.Arn>"],
        ),
        "NotTheTokens": NOT_THE_TOKENS,
        "WhatWasUploaded": ("Allow", ["s3:ListBucket", "s3:ListBucketVersions"], [OBJECTS]),
        "Uploads": ("Allow", ["s3:GetObject", "s3:GetObjectVersion"], [f"{OBJECTS}/*"]),
        "Manifests": ("Allow", ["s3:PutObject"], [f"{OBJECTS}/_jobferry/manifests/*"]),
        "SiteSettings": (
            "Allow",
            ["ssm:GetParameter"],
            [f"arn:<AWS::Partition>:ssm:{HERE}:parameter/jobferry/jobferry/buckets/*"],
        ),
        "sqs:SendMessage": ("Allow", ["sqs:SendMessage"], ["<IntakeDeadLetters.Arn>"]),
    }


def test_publisher_may_do_this_and_nothing_else(production: Synthesized) -> None:
    assert rights(production, "PublisherRole") == {
        "logs:CreateLogStream": (
            "Allow",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            ["<PublisherLogs.Arn>"],
        ),
        "Jobs": (
            "Allow",
            [
                "dynamodb:BatchGetItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ],
            ["<JobTable.Arn>"],
        ),
        "NotTheTokens": NOT_THE_TOKENS,
        "StatusObjects": (
            "Allow",
            ["s3:PutObject"],
            [f"{OBJECTS}/*aws-job-stat.json", f"{OBJECTS}/*aws-job-stat.txt"],
        ),
        "Events": (
            "Allow",
            ["events:PutEvents"],
            [f"arn:<AWS::Partition>:events:{HERE}:event-bus/default"],
        ),
        "LaterTries": ("Allow", ["sqs:SendMessage"], ["<PublisherRetries.Arn>"]),
        "Purges": ("Allow", ["sqs:SendMessage"], ["<PurgerQueue.Arn>"]),
        "WaitingWorkflows": (
            "Allow",
            ["states:SendTaskFailure", "states:SendTaskSuccess"],
            ["*"],
        ),
        "sqs:GetQueueAttributes": (
            "Allow",
            ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"],
            ["<PublisherStreamDeadLetters.Arn>"],
        ),
        "dynamodb:ListStreams": ("Allow", ["dynamodb:ListStreams"], ["*"]),
        "dynamodb:DescribeStream": (
            "Allow",
            ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
            ["<JobTable.StreamArn>"],
        ),
        "sqs:ChangeMessageVisibility": (
            "Allow",
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
            ],
            ["<PublisherRetries.Arn>"],
        ),
    }


def test_the_launcher_may_do_this_and_nothing_else(production: Synthesized) -> None:
    sites = f"arn:<AWS::Partition>:ssm:{HERE}:parameter/jobferry/jobferry/sites"
    assert rights(production, "LauncherRole") == {
        "logs:CreateLogStream": (
            "Allow",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            ["<LauncherLogs.Arn>"],
        ),
        "Jobs": (
            "Allow",
            [
                "dynamodb:BatchGetItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:UpdateItem",
            ],
            ["<JobTable.Arn>"],
        ),
        "NotTheTokens": NOT_THE_TOKENS,
        "WhatIsDue": ("Allow", ["dynamodb:Query"], ["<JobTable.Arn>/index/due"]),
        "Specifications": ("Allow", ["s3:GetObject"], [f"{OBJECTS}/_jobferry/specs/*"]),
        "WhatIsThere": ("Allow", ["s3:ListBucket"], [OBJECTS]),
        "InputsOfChildren": ("Allow", ["s3:PutObject"], [f"{OBJECTS}/*"]),
        "NotWhatOthersWrite": (
            "Deny",
            ["s3:PutObject"],
            [
                f"{OBJECTS}/*aws-job-stat.json",
                f"{OBJECTS}/*aws-job-stat.txt",
                f"{OBJECTS}/_jobferry/puller/jobferry-puller",
            ],
        ),
        "SiteSettings": ("Allow", ["ssm:GetParameter"], [f"{sites}/*"]),
    }


def test_purger_may_do_this_and_nothing_else(production: Synthesized) -> None:
    assert rights(production, "PurgerRole") == {
        "logs:CreateLogStream": (
            "Allow",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            ["<PurgerLogs.Arn>"],
        ),
        "PurgedJobs": (
            "Allow",
            [
                "dynamodb:ConditionCheckItem",
                "dynamodb:DeleteItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ],
            ["<JobTable.Arn>"],
        ),
        "NotTheTokens": NOT_THE_TOKENS,
        "WhatTheyHave": ("Allow", ["s3:ListBucketVersions"], [OBJECTS]),
        "Deletion": ("Allow", ["s3:DeleteObject", "s3:DeleteObjectVersion"], [f"{OBJECTS}/*"]),
        "FurtherCalls": ("Allow", ["sqs:SendMessage"], ["<PurgerQueue.Arn>"]),
        "sqs:ChangeMessageVisibility": (
            "Allow",
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
            ],
            ["<PurgerQueue.Arn>"],
        ),
    }


def test_distributor_may_do_this_and_nothing_else(production: Synthesized) -> None:
    copies = f"{OBJECTS}/_jobferry/puller/jobferry-puller"
    found = rights(production, "DistributionDistributorRole")
    source = found.pop("Source")
    assert source[:2] == ("Allow", ["s3:GetObject"])
    assert re.fullmatch(r"arn:.*:s3:::.*cdk-[^*]*/[0-9a-f]{64}[^*]*", source[2][0])
    assert found == {
        "logs:CreateLogStream": (
            "Allow",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            ["<DistributionDistributorLogs.Arn>"],
        ),
        "WhatIsThere": ("Allow", ["s3:ListBucket"], [OBJECTS]),
        "Copies": ("Allow", ["s3:GetObject", "s3:PutObject"], [copies]),
        "sqs:SendMessage": ("Allow", ["sqs:SendMessage"], ["<DistributionDeadLetters.Arn>"]),
    }


def test_the_api_may_do_this_and_nothing_else(production: Synthesized) -> None:
    sites = f"arn:<AWS::Partition>:ssm:{HERE}:parameter/jobferry/jobferry/sites"
    assert rights(production, "ApiRole") == {
        "logs:CreateLogStream": (
            "Allow",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            ["<ApiLogs.Arn>"],
        ),
        "Jobs": (
            "Allow",
            [
                "dynamodb:BatchGetItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ],
            ["<JobTable.Arn>"],
        ),
        "WhatEnds": (
            "Allow",
            ["dynamodb:DeleteItem"],
            ["<JobTable.Arn>"],
        ),
        "ListsAndQueues": (
            "Allow",
            ["dynamodb:Query"],
            ["<JobTable.Arn>/index/list", "<JobTable.Arn>/index/queue"],
        ),
        "WhatIsThere": ("Allow", ["s3:ListBucket", "s3:ListBucketVersions"], [OBJECTS]),
        "ResultsAndInputs": (
            "Allow",
            [
                "s3:AbortMultipartUpload",
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
            ],
            [f"{OBJECTS}/*"],
        ),
        "NotWhatOthersWrite": (
            "Deny",
            ["s3:PutObject"],
            [
                f"{OBJECTS}/*aws-job-stat.json",
                f"{OBJECTS}/*aws-job-stat.txt",
                f"{OBJECTS}/_jobferry/puller/jobferry-puller",
            ],
        ),
        "Purges": ("Allow", ["sqs:SendMessage"], ["<PurgerQueue.Arn>"]),
        "SiteSettings": ("Allow", ["ssm:GetParameter"], [f"{sites}/*"]),
    }


@pytest.mark.parametrize("role", ["IntakeRole", "LauncherRole", "PublisherRole", "PurgerRole"])
def test_what_is_refused_of_the_tokens(production: Synthesized, role: str) -> None:
    assert production.statements(role)["NotTheTokens"]["Condition"] == {
        "ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["K#*", "I#*"]}
    }


def test_the_api_deletes_tokens_drains_and_records_of_requests_alone(
    production: Synthesized,
) -> None:
    statement = production.statements("ApiRole")["WhatEnds"]
    assert statement["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["K#*", "C#*", "I#*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def test_the_authorizer_reads_tokens_and_nothing_else() -> None:
    template = synthesized(api={"tokens": True})
    assert rights(template, "ApiAuthorizerRole") == {
        "logs:CreateLogStream": (
            "Allow",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            ["<ApiAuthorizerLogs.Arn>"],
        ),
        "Tokens": ("Allow", ["dynamodb:GetItem"], ["<JobTable.Arn>"]),
    }
    assert template.statements("ApiAuthorizerRole")["Tokens"]["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["K#*"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def test_no_function_but_the_purger_may_delete(production: Synthesized) -> None:
    deleting = {
        name
        for name in production.of_type("AWS::IAM::Policy")
        | production.of_type("AWS::IAM::ManagedPolicy")
        if "s3:DeleteObject" in json.dumps(production.template["Resources"][name])
    }
    assert {re.sub(r"[0-9A-F]{8}$", "", name) for name in deleting} == {"PurgerRoleDefaultPolicy"}


def test_the_puller_may_do_this_and_nothing_else(production: Synthesized) -> None:
    assert rights(production, "SiteDc1PullerPolicy") == {
        "Inputs": ("Allow", ["s3:GetObject", "s3:GetObjectVersion"], [f"{OBJECTS}/*"]),
        "WhatIsThere": ("Allow", ["s3:ListBucket"], [OBJECTS]),
        "Results": ("Allow", ["s3:AbortMultipartUpload", "s3:PutObject"], [f"{OBJECTS}/*"]),
        "NotWhatTheControlPlaneWrites": (
            "Deny",
            ["s3:PutObject"],
            [
                f"{OBJECTS}/*/aws-job-stat.*",
                f"{OBJECTS}/_jobferry/manifests/*",
                f"{OBJECTS}/_jobferry/puller/jobferry-puller",
                f"{OBJECTS}/_jobferry/scripts/*",
                f"{OBJECTS}/_jobferry/specs/*",
                f"{OBJECTS}/aws-job-stat.*",
            ],
        ),
        "OwnAllocationsAndHeartbeat": (
            "Allow",
            ["dynamodb:GetItem", "dynamodb:UpdateItem"],
            ["<JobTable.Arn>"],
        ),
        "OwnQueue": ("Allow", ["dynamodb:Query"], ["<JobTable.Arn>/index/queue"]),
    }


def test_the_puller_sees_its_own_partitions_alone(production: Synthesized) -> None:
    statements = production.statements("SiteDc1PullerPolicy")
    own = [*(f"A#dc1#{digit}" for digit in HEX_DIGITS), "S#dc1"]
    for name, partitions in (("OwnAllocationsAndHeartbeat", own), ("OwnQueue", ["Q#dc1"])):
        assert statements[name]["Condition"] == {
            "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": partitions},
            "Null": {"dynamodb:LeadingKeys": "false"},
        }


def test_a_pullers_role_has_its_policy_and_trusts_the_account(production: Synthesized) -> None:
    role = production.only("AWS::IAM::Role", Description="For jobferry's puller of site dc1")
    (policy,) = role["ManagedPolicyArns"]
    assert policy.strip("<>") in production.of_type("AWS::IAM::ManagedPolicy")
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"AWS": "arn:<AWS::Partition>:iam::<AWS::AccountId>:root"}


def test_a_pullers_role_trusts_only_the_principals_that_are_named() -> None:
    arns = ["arn:aws:iam::123456789012:user/a", "arn:aws:iam::123456789012:role/path/b"]
    template = synthesized(sites={"dc1": {"puller_principals": arns}})
    role = template.only("AWS::IAM::Role", Description="For jobferry's puller of site dc1")
    principals = {
        arn
        for statement in role["AssumeRolePolicyDocument"]["Statement"]
        for arn in as_list(statement["Principal"]["AWS"])
    }
    assert principals == set(arns)


def test_each_function_has_a_role_of_its_own_that_only_lambda_takes(
    production: Synthesized,
) -> None:
    functions = production.of_type("AWS::Lambda::Function").values()
    roles = {rendered(function["Properties"]["Role"]) for function in functions}
    assert len(roles) == len(functions)
    for role in roles:
        resource = production.template["Resources"][role.strip("<>").partition(".")[0]]
        assert "ManagedPolicyArns" not in resource["Properties"]
        (statement,) = resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
