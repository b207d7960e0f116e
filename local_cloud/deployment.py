"""Deploys the synthesized stack to the emulator over boto3: publishes assets, creates the stack."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.emulator import ACCOUNT, Emulator
from local_cloud.errors import DeploymentFailed
from local_cloud.synthesis import Assembly, Asset

_BOOTSTRAP_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
_BOOTSTRAP_VERSION = "30"
_DEPLOY_SECONDS = 300.0
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
# An API's own host name leads nowhere here; the emulator serves it under a path.
_API_URL = re.compile(r"Api(\w*)Url https?://(\w+)\..*")
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack.

    Attributes:
        stack: its name.
        outputs: its CloudFormation outputs by key.
        table: the name of the job table.
        buckets: the name of each site's bucket, by site.
        api_urls: the URL of each HTTP API by who it is for: "" for IAM, "Tokens", "Jwt".
    """

    stack: str
    outputs: Mapping[str, str]
    table: str
    buckets: Mapping[str, str]
    api_urls: Mapping[str, str]


def deploy(emulator: Emulator, assembly: Assembly) -> Deployment:
    """Publish the assets and create the stack, or update it where it is there already.

    Raises:
        DeploymentFailed: naming each resource that failed, with the reason.
    """
    # The parameter by which a template makes sure that the account is bootstrapped.
    emulator.client("ssm").put_parameter(
        Name=_BOOTSTRAP_PARAMETER, Value=_BOOTSTRAP_VERSION, Type="String", Overwrite=True
    )
    published = _publish(emulator, assembly.assets())
    cloudformation = emulator.client("cloudformation")
    request = {
        "StackName": assembly.stack,
        "TemplateURL": published[assembly.template_file],
        "Capabilities": _CAPABILITIES,
    }
    _create_or_update(cloudformation, request)
    stack = _settled(cloudformation, assembly.stack)
    status = stack["StackStatus"]
    if not status.endswith("COMPLETE") or "ROLLBACK" in status:
        raise DeploymentFailed(_failure(cloudformation, stack, emulator.log_file))
    deployment = _deployment(emulator, stack)
    _name_urls_that_resolve(emulator, deployment)
    _say_that_it_has_changed(emulator, deployment, stack)
    return deployment


def _name_urls_that_resolve(emulator: Emulator, deployment: Deployment) -> None:
    """Let clients find the API as in AWS: the emulator's host names do not resolve everywhere."""
    ssm = emulator.client("ssm")
    for door, url in deployment.api_urls.items():
        name = f"/jobferry/{deployment.stack}/api/{f'url-{door.lower()}' if door else 'url'}"
        ssm.put_parameter(Name=name, Value=url, Type="String", Overwrite=True)


def _say_that_it_has_changed(
    emulator: Emulator, deployment: Deployment, stack: Mapping[str, Any]
) -> None:
    """Call the distributor as EventBridge does in AWS: the emulator has no events of stacks."""
    event = {
        "source": "aws.cloudformation",
        "detail-type": "CloudFormation Stack Status Change",
        "detail": {
            "stack-id": stack["StackId"],
            "status-details": {"status": stack["StackStatus"]},
        },
    }
    answer = emulator.client("lambda").invoke(
        FunctionName=deployment.outputs["DistributorFunction"], Payload=json.dumps(event)
    )
    if "FunctionError" in answer:
        raise DeploymentFailed(f"the distributor failed: {answer['Payload'].read().decode()[:500]}")


def undeploy(emulator: Emulator, deployment: Deployment) -> None:
    """Empty the sites' buckets and delete the stack.

    Raises:
        DeploymentFailed: naming each resource that could not be deleted.
    """
    s3 = emulator.client("s3")
    for bucket in deployment.buckets.values():
        _empty(s3, bucket)
    cloudformation = emulator.client("cloudformation")
    stack_id = cloudformation.describe_stacks(StackName=deployment.stack)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=deployment.stack)
    try:
        stack = _settled(cloudformation, stack_id)
    except ClientError as error:
        if "does not exist" in str(error):
            return
        raise
    if stack["StackStatus"] != "DELETE_COMPLETE":
        raise DeploymentFailed(_failure(cloudformation, stack, emulator.log_file))


def archive(folder: Path) -> bytes:
    """The zip archive of a folder; the same content gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if file.stat().st_mode & 0o100 else 0o100644) << 16
            target.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def _publish(emulator: Emulator, assets: list[Asset]) -> dict[Path, str]:
    """Returns the URL of each asset by its source."""
    s3 = emulator.client("s3")
    urls: dict[Path, str] = {}
    for asset in assets:
        bucket, key = (_resolved(name, emulator.region) for name in (asset.bucket, asset.key))
        _make_bucket(s3, bucket, emulator.region)
        body = archive(asset.source) if asset.zipped else asset.source.read_bytes()
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        urls[asset.source] = f"{emulator.endpoint_url}/{bucket}/{key}"
    return urls


def _resolved(name: str, region: str) -> str:
    values = {"Partition": "aws", "AccountId": ACCOUNT, "Region": region}
    for variable, value in values.items():
        name = name.replace(f"${{AWS::{variable}}}", value)
    return name


def _make_bucket(s3: Any, bucket: str, region: str) -> None:
    place = {} if region == "us-east-1" else {"LocationConstraint": region}
    try:
        s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": place} if place else {}))
    except s3.exceptions.BucketAlreadyOwnedByYou:
        return


def _empty(s3: Any, bucket: str) -> None:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        objects = [
            {"Key": row["Key"], "VersionId": row["VersionId"]}
            for row in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        if objects:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})


def _create_or_update(cloudformation: Any, request: Mapping[str, Any]) -> None:
    try:
        try:
            cloudformation.create_stack(**request, OnFailure="DO_NOTHING")
        except cloudformation.exceptions.AlreadyExistsException:
            cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates" not in str(error):
            raise DeploymentFailed(
                f"the emulator refused the template of stack {request['StackName']}: {error}"
            ) from error


def _settled(cloudformation: Any, stack: str) -> dict[str, Any]:
    deadline = time.monotonic() + _DEPLOY_SECONDS
    while True:
        description: dict[str, Any] = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        if not description["StackStatus"].endswith("IN_PROGRESS"):
            return description
        if time.monotonic() > deadline:
            raise DeploymentFailed(
                f"stack {stack} is still {description['StackStatus']} "
                f"after {_DEPLOY_SECONDS:.0f} s; look into the emulator's log"
            )
        time.sleep(0.1)


def _failure(cloudformation: Any, stack: Mapping[str, Any], log: Path) -> str:
    events = cloudformation.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    failed = [
        f"  {event['LogicalResourceId']} ({event['ResourceType']}): "
        f"{event.get('ResourceStatusReason', event['ResourceStatus'])}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("FAILED")
    ]
    reason = stack.get("StackStatusReason", "")
    return "\n".join(
        [
            f"stack {stack['StackName']} is {stack['StackStatus']} {reason}".rstrip(),
            *failed,
            f"the emulator's log: {log}",
        ]
    )


def _deployment(emulator: Emulator, stack: Mapping[str, Any]) -> Deployment:
    # Where every client finds the deployment: see infra/directory.py.
    root = f"/jobferry/{stack['StackName']}/"
    pages = emulator.client("ssm").get_paginator("get_parameters_by_path")
    parameters: dict[str, str] = {
        row["Name"].removeprefix(root): row["Value"]
        for page in pages.paginate(Path=root, Recursive=True)
        for row in page["Parameters"]
    }
    if "table" not in parameters:
        raise DeploymentFailed(
            f"stack {stack['StackName']} was deployed, but there is no parameter {root}table"
        )
    return Deployment(
        stack=stack["StackName"],
        outputs={row["OutputKey"]: row["OutputValue"] for row in stack.get("Outputs", [])},
        table=parameters["table"],
        buckets={
            name.removeprefix("sites/"): json.loads(value)["bucket"]
            for name, value in parameters.items()
            if name.startswith("sites/")
        },
        api_urls={
            found[1]: f"{emulator.endpoint_url}/_aws/execute-api/{found[2]}/$default"
            for row in stack.get("Outputs", [])
            if (found := _API_URL.fullmatch(f"{row['OutputKey']} {row['OutputValue']}"))
        },
    )
