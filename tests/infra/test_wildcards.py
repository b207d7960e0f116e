"""No wildcard in a right without a reason that is written here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.synthesized import Synthesized, as_list, rendered, synthesized

REASONS = {
    ("IntakeRole", "*/*"): "users choose the keys of their inputs",
    ("IntakeRole", "*/_jobferry/manifests/*"): "a manifest is named after its allocation",
    ("IntakeRole", "*:parameter/jobferry/jobferry/buckets/*"): "one parameter for each bucket",
    ("PublisherRole", "*/*aws-job-stat.json"): "every job has one under its own id",
    ("PublisherRole", "*/*aws-job-stat.txt"): "every job has one under its own id",
    ("PublisherRole", "*"): "ListStreams and answers to task tokens know no resources",
    ("PurgerRole", "*/*"): "users choose the keys of their jobs",
    ("LauncherRole", "*/*"): "users choose the ids of their jobs",
    ("LauncherRole", "*/_jobferry/specs/*"): "every registered job has its versions here",
    ("LauncherRole", "*:parameter/jobferry/jobferry/sites/*"): "one parameter for each site",
    ("ApiRole", "*/*"): "users choose the keys of inputs and results",
    ("ApiRole", "*:parameter/jobferry/jobferry/sites/*"): "one parameter for each site",
    ("SiteDc1PullerPolicy", "*/*"): "users choose the keys of inputs and results",
}
"""Why a resource of a role or policy may have a wildcard; what lies before `/` or `:` is fixed."""


@pytest.fixture(scope="module")
def everything() -> Synthesized:
    return synthesized(api={"tokens": True})


def allowing(template: Synthesized) -> Iterator[tuple[str, dict[str, Any]]]:
    """The statements that allow something, by who has them; a refusal may be wide."""
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role"):
        for name, resource in template.of_type(kind).items():
            properties = rendered(resource["Properties"])
            documents = [
                properties.get("PolicyDocument"),
                *(policy["PolicyDocument"] for policy in properties.get("Policies", [])),
            ]
            for document in filter(None, documents):
                for statement in document["Statement"]:
                    if statement["Effect"] == "Allow":
                        yield re.sub(r"(DefaultPolicy)?[0-9A-F]{8}$", "", name), statement


def pattern_of(resource: str) -> str:
    """The part of a resource with wildcards, without the bucket or the account before it."""
    if resource == "*":
        return resource
    separator = ":parameter/" if ":parameter/" in resource else "/"
    return f"*{separator}{resource.partition(separator)[2]}"


def test_every_wildcard_in_a_resource_has_its_reason(everything: Synthesized) -> None:
    found = {
        (who, pattern_of(resource))
        for who, statement in allowing(everything)
        for resource in as_list(statement["Resource"])
        if "*" in resource
    }
    assert found == set(REASONS)


def test_no_wildcard_stands_before_the_name_of_a_resource(everything: Synthesized) -> None:
    for _, statement in allowing(everything):
        for resource in as_list(statement["Resource"]):
            if resource != "*":
                assert "*" not in resource.partition("/")[0]


def test_no_right_names_actions_by_a_wildcard(everything: Synthesized) -> None:
    for who, statement in allowing(everything):
        assert not [action for action in as_list(statement["Action"]) if "*" in action], who


def test_no_right_says_everything_but(everything: Synthesized) -> None:
    for who, statement in allowing(everything):
        assert not {"NotAction", "NotResource"} & set(statement), who


def test_resource_policies_allow_named_principals_alone(everything: Synthesized) -> None:
    for kind in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"):
        for name, resource in everything.of_type(kind).items():
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    assert "*" not in str(statement["Principal"]), name
