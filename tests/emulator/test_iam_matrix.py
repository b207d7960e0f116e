"""Every principal of a deployment tries everything, where IAM is enforced, on two sites.

The conditions on partition keys count here: `local_cloud/emulator_process.py` fills them in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.deployment import Deployment, deploy
from local_cloud.emulator import Emulator
from local_cloud.isolation import isolated_client
from local_cloud.synthesis import Assembly
from tests.conftest import SITES
from tests.emulator import iam_matrix
from tests.emulator.iam_matrix import Place, Row

pytestmark = pytest.mark.emulator

FUNCTIONS = {
    "intake": "IntakeRole",
    "publisher": "PublisherRole",
    "purger": "PurgerRole",
    "launcher": "LauncherRole",
    "distributor": "DistributionDistributorRole",
    "api": "ApiRole",
    "authorizer": "ApiAuthorizerRole",
}
"""The role of each function, by the begin of its logical id."""

_REFUSED = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")
_ASSUME = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}],
}


@dataclass
class Guarded:
    """The real stack where IAM is enforced, with the sessions of its principals."""

    emulator: Emulator
    deployment: Deployment
    place: Place
    clients: dict[str, Callable[[str], Any]]
    versions: dict[str, dict[str, str]]

    def on(self, principal: str, site: str) -> Place:
        """The place of a principal's attempts on a site."""
        return replace(
            self.place,
            client=self.clients[principal],
            site=site,
            bucket=self.deployment.buckets[site],
            versions=self.versions[site],
        )


def _put_everything(emulator: Emulator, bucket: str) -> dict[str, str]:
    s3 = emulator.client("s3")
    return {
        key: s3.put_object(Bucket=bucket, Key=key, Body=b"there")["VersionId"]
        for key in iam_matrix.OBJECTS.values()
    }


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, assembly: Assembly) -> Iterator[Guarded]:
    state: Path = tmp_path_factory.mktemp("matrix")
    with Emulator(state, authenticate=True) as emulator:
        deployment = deploy(emulator, assembly)
        resources = _physical_ids(emulator, deployment.stack)
        assume = _assuming(emulator)
        clients = {
            name: assume(_opened_role(emulator, _only(resources, logical)))
            for name, logical in FUNCTIONS.items()
        } | {
            f"puller of {site}": assume(deployment.outputs[f"PullerRoleArn{site.capitalize()}"])
            for site in SITES
        }
        s3 = emulator.client("s3")
        place = {"LocationConstraint": emulator.region}
        s3.create_bucket(Bucket="of-somebody-else", CreateBucketConfiguration=place)
        s3.put_object(Bucket="of-somebody-else", Key="it", Body=b"x")
        queues = {name: url for name, url in resources.items() if url.startswith("http")}
        yield Guarded(
            emulator,
            deployment,
            Place(
                client=emulator.client,
                site="",
                bucket="",
                table=deployment.table,
                stack=deployment.stack,
                versions={},
                queues={wanted: _only(queues, wanted) for wanted in iam_matrix.QUEUES.values()},
                function=deployment.outputs["DistributorFunction"],
                foreign_bucket="of-somebody-else",
            ),
            clients,
            {
                site: _put_everything(emulator, bucket)
                for site, bucket in deployment.buckets.items()
            },
        )


def _physical_ids(emulator: Emulator, stack: str) -> dict[str, str]:
    rows = emulator.client("cloudformation").describe_stack_resources(StackName=stack)
    return {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows["StackResources"]}


def _only(resources: dict[str, str], logical: str) -> str:
    """The physical id of the resource whose logical id is this and CDK's eight digits."""
    (found,) = (value for name, value in resources.items() if name[:-8] == logical)
    return found


def _opened_role(emulator: Emulator, role: str) -> str:
    """Let the account take a role that only Lambda may take; its rights stay as they are."""
    iam = emulator.client("iam")
    role = role.rpartition("/")[2]
    arn: str = iam.get_role(RoleName=role)["Role"]["Arn"]
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=document)
    return arn


def _assuming(emulator: Emulator) -> Callable[[str], Callable[[str], Any]]:
    """Takes a role, as an IAM user that may take any, and gives its clients by service."""
    iam = emulator.client("iam")
    iam.create_user(UserName="tester")
    iam.put_user_policy(UserName="tester", PolicyName="assume", PolicyDocument=json.dumps(_ASSUME))
    key = iam.create_access_key(UserName="tester")["AccessKey"]
    sts = emulator.client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    def assume(arn: str) -> Callable[[str], Any]:
        credentials = sts.assume_role(RoleArn=arn, RoleSessionName="matrix")["Credentials"]
        made: dict[str, Any] = {}

        def client(service: str) -> Any:
            if service not in made:
                made[service] = isolated_client(
                    service,
                    endpoint_url=emulator.endpoint_url,
                    region=emulator.region,
                    credentials=(credentials["AccessKeyId"], credentials["SecretAccessKey"]),
                    session_token=credentials["SessionToken"],
                    ca_bundle=emulator.ca_bundle,
                )
            return made[service]

        return client

    return assume


def cell(access: str, place: Place) -> str:
    """`yes` if the access is let through, whatever comes of it then; `-` if IAM refuses it."""
    try:
        iam_matrix.attempt(access, place)
    except ClientError as error:
        return "-" if error.response["Error"]["Code"] in _REFUSED else "yes"
    return "yes"


def attempts(principal: str, sites: Sequence[str]) -> list[tuple[str, str]]:
    """Who tries the cell of a principal on which of the sites."""
    if principal == "puller":
        return [(f"puller of {site}", site) for site in sites]
    if principal == "foreign":
        return [(f"puller of {own}", site) for own in sites for site in sites if site != own]
    return [(principal, site) for site in sites]


def _check(
    guarded: Guarded,
    row: Row,
    sites: Sequence[str],
    record_property: Callable[[str, object], None],
) -> None:
    found: dict[str, str] = {}
    for principal in row.cells:
        tried = attempts(principal, sites)
        cells = {cell(row.access, guarded.on(who, site)) for who, site in tried}
        found[principal] = "/".join(sorted(cells))
    record_property("IAM matrix", {"access": row.access, "cells": found})
    assert found == dict(row.cells)


@pytest.mark.parametrize("row", iam_matrix.rows(iam_matrix.OF_A_SITE), ids=lambda row: row.access)
def test_what_is_a_sites(
    guarded: Guarded, row: Row, record_property: Callable[[str, object], None]
) -> None:
    _check(guarded, row, SITES, record_property)


@pytest.mark.parametrize(
    "row", iam_matrix.rows(iam_matrix.OF_THE_DEPLOYMENT), ids=lambda row: row.access
)
def test_what_is_the_deployments(
    guarded: Guarded, row: Row, record_property: Callable[[str, object], None]
) -> None:
    _check(guarded, row, SITES[:1], record_property)


def test_nobody_is_missing_in_the_matrix(assembly: Assembly) -> None:
    roles = {
        name[:-8]
        for name, resource in assembly.template()["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
    }
    pullers = {f"Site{site.capitalize()}PullerRole" for site in SITES}
    assert roles == set(FUNCTIONS.values()) | pullers


def test_a_right_that_a_policy_lacks_is_noticed(guarded: Guarded) -> None:
    assert cell("job: get", guarded.on("puller of dc1", "dc1")) == "-"
    assert cell("job: get", guarded.on("intake", "dc1")) == "yes"
