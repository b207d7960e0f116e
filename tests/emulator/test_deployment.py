"""The real synthesized stack, deployed to the emulator over boto3."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest

from job_protocol import table_keys
from local_cloud.deployment import archive, deploy, undeploy
from local_cloud.emulator import Emulator
from local_cloud.errors import DeploymentFailed, SynthesisFailed
from local_cloud.synthesis import Assembly, read_assembly

pytestmark = pytest.mark.emulator


def _assembly_of(template: dict[str, Any], directory: Path) -> Assembly:
    (directory / "broken.template.json").write_text(json.dumps(template))
    template_asset = {
        "source": {"path": "broken.template.json", "packaging": "file"},
        "destinations": {"here": {"bucketName": "assets", "objectKey": "template.json"}},
    }
    (directory / "broken.assets.json").write_text(json.dumps({"files": {"t": template_asset}}))
    return Assembly(directory, f"broken-{uuid.uuid4().hex}", directory / "broken.template.json")


def test_each_site_has_its_bucket_and_all_share_the_table(deployed: Any) -> None:
    assert set(deployed.buckets) == {"dc1", "osaka"}
    names = {row["Name"] for row in deployed.client("s3").list_buckets()["Buckets"]}
    assert set(deployed.buckets.values()) <= names
    assert deployed.table in deployed.client("dynamodb").list_tables()["TableNames"]


def test_deploying_again_keeps_what_is_there(deployed: Any, assembly: Assembly) -> None:
    again = deploy(deployed.emulator, assembly)
    assert again == deployed.deployment


def test_undeploying_removes_buckets_with_their_objects(tmp_path: Path, assembly: Assembly) -> None:
    with Emulator(tmp_path / "emulator") as emulator:
        deployment = deploy(emulator, assembly)
        s3 = emulator.client("s3")
        for bucket in deployment.buckets.values():
            s3.put_object(Bucket=bucket, Key="job0001/input", Body=b"1")
            s3.delete_object(Bucket=bucket, Key="job0001/input")
        undeploy(emulator, deployment)
        names = {row["Name"] for row in s3.list_buckets()["Buckets"]}
        assert names.isdisjoint(deployment.buckets.values())


def test_a_resource_that_fails_is_named_with_its_reason(emulator: Emulator, tmp_path: Path) -> None:
    orphan = {"Type": "AWS::Logs::LogStream", "Properties": {}}
    with pytest.raises(DeploymentFailed, match=r"Orphan \(AWS::Logs::LogStream\): .*LogGroupName"):
        deploy(emulator, _assembly_of({"Resources": {"Orphan": orphan}}, tmp_path))


def test_a_refused_template_is_an_error_with_its_reason(emulator: Emulator, tmp_path: Path) -> None:
    refused = {"Resources": {"Crowd": {"Type": "AWS::IAM::Group", "Properties": {}}}}
    with pytest.raises(DeploymentFailed, match="AWS::IAM::Group"):
        deploy(emulator, _assembly_of(refused, tmp_path))


def test_an_output_folder_without_one_stack_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": {}}))
    with pytest.raises(SynthesisFailed, match="holds 0 stacks"):
        read_assembly(tmp_path)


def test_an_archive_of_the_same_files_has_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = tmp_path / name / "package"
        folder.mkdir(parents=True)
        (folder / "module.py").write_text("x = 1\n")
    first, second = archive(tmp_path / "one"), archive(tmp_path / "two")
    assert first == second
    assert zipfile.ZipFile(io.BytesIO(first)).namelist() == ["package/module.py"]


def test_the_plain_table_has_the_queue_index_of_the_real_one(
    emulator: Emulator, plain_table: str
) -> None:
    table = emulator.client("dynamodb").describe_table(TableName=plain_table)["Table"]
    indexes = {index["IndexName"] for index in table["GlobalSecondaryIndexes"]}
    assert indexes == {table_keys.QUEUE_INDEX, table_keys.LIST_INDEX, table_keys.DUE_INDEX}
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]


def test_the_plain_bucket_keeps_versions(emulator: Emulator, plain_bucket: str) -> None:
    s3 = emulator.client("s3")
    versions = {
        s3.put_object(Bucket=plain_bucket, Key="k", Body=body)["VersionId"] for body in (b"1", b"2")
    }
    assert len(versions) == 2
