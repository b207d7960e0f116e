"""The puller's policy where IAM is enforced: which keys it opens and which it keeps shut.

`tests/emulator/test_iam_matrix.py` compares it with everybody else's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.deployment import Deployment, deploy
from local_cloud.emulator import Emulator
from local_cloud.synthesis import Assembly

pytestmark = pytest.mark.emulator


@dataclass(frozen=True)
class Guarded:
    """The real stack where IAM is enforced, with the key of a puller of site `dc1`."""

    deployment: Deployment
    root: Any
    puller: Any
    puller_dynamodb: Any

    def bucket(self, site: str = "dc1") -> str:
        return self.deployment.buckets[site]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, assembly: Assembly) -> Iterator[Guarded]:
    state: Path = tmp_path_factory.mktemp("guarded")
    with Emulator(state, authenticate=True) as emulator:
        deployment = deploy(emulator, assembly)
        iam = emulator.client("iam")
        iam.create_user(UserName="puller")
        policy = deployment.outputs["PullerPolicyArnDc1"]
        iam.attach_user_policy(UserName="puller", PolicyArn=policy)
        key = iam.create_access_key(UserName="puller")["AccessKey"]
        own = {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
        yield Guarded(
            deployment,
            emulator.client("s3"),
            emulator.client("s3", **own),
            emulator.client("dynamodb", **own),
        )


@pytest.mark.parametrize(
    "key",
    [
        "job0001/result.txt",
        "proj/job 7/深い/place/result.txt",
        "job0001/my-aws-job-stat.txt",
        "job0001/aws-job-stdout.txt",
        "_jobferry/results/0123.json",
    ],
)
def test_a_puller_writes_and_reads_results(guarded: Guarded, key: str) -> None:
    guarded.puller.put_object(Bucket=guarded.bucket(), Key=key, Body=b"1")
    assert guarded.puller.get_object(Bucket=guarded.bucket(), Key=key)["Body"].read() == b"1"


def test_a_puller_reads_the_version_that_was_validated(guarded: Guarded) -> None:
    where = {"Bucket": guarded.bucket(), "Key": "job0001/input"}
    version = guarded.root.put_object(**where, Body=b"validated")["VersionId"]
    guarded.root.put_object(**where, Body=b"overwritten")
    answer = guarded.puller.get_object(**where, VersionId=version)
    assert answer["Body"].read() == b"validated"


@pytest.mark.parametrize(
    "key",
    [
        "job0001/aws-job-stat.txt",
        "job0001/aws-job-stat.json",
        "proj/job7/sub/aws-job-stat.txt",
        "aws-job-stat.txt",
        "_jobferry/manifests/0123.json",
        "_jobferry/specs/0123/000000-abc.json",
        "_jobferry/scripts/0123/000000-abc.sh",
    ],
)
def test_a_puller_does_not_write_what_the_control_plane_writes(guarded: Guarded, key: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        guarded.puller.put_object(Bucket=guarded.bucket(), Key=key, Body=b"JOB_COMPLETE\n")


def test_a_puller_sees_what_is_missing_but_deletes_nothing(guarded: Guarded) -> None:
    where = {"Bucket": guarded.bucket(), "Key": "job0001/kept"}
    guarded.root.put_object(**where, Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        guarded.puller.delete_object(**where)
    assert guarded.puller.list_objects_v2(Bucket=guarded.bucket())["KeyCount"] >= 1
    with pytest.raises(ClientError, match="NoSuchKey"):
        guarded.puller.get_object(Bucket=guarded.bucket(), Key="job0001/missing")


def test_a_puller_does_not_reach_another_sites_bucket(guarded: Guarded) -> None:
    where = {"Bucket": guarded.bucket("osaka"), "Key": "job0001/result.txt"}
    guarded.root.put_object(**where, Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        guarded.puller.get_object(**where)
    with pytest.raises(ClientError, match="AccessDenied"):
        guarded.puller.put_object(**where, Body=b"2")


def test_a_puller_does_not_read_the_whole_table(guarded: Guarded) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        guarded.puller_dynamodb.scan(TableName=guarded.deployment.table)
