"""Synthesizes the real CDK app for the emulator, the way the CDK command line would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud.emulator import CHECKOUT
from local_cloud.errors import SynthesisFailed
from local_cloud.isolation import without_aws

_STACK_ARTIFACT = "aws:cloudformation:stack"
_FOR_THE_EMULATOR = {
    "stage": "dev",
    # Lambdas run under the emulator's interpreter on this machine.
    "lambda_platform": "host",
    "api": {"tokens": True},
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file or folder that a template refers to.

    Attributes:
        source: the file or folder.
        zipped: whether a folder is to be published as a zip archive.
        bucket, key: where; `${AWS::AccountId}` and the like still stand in them.
    """

    source: Path
    zipped: bool
    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Assembly:
    """What the CDK app synthesized: one stack.

    Attributes:
        directory: the CDK's output directory.
        stack: the stack's name.
        template_file: its CloudFormation template.
    """

    directory: Path
    stack: str
    template_file: Path

    def template(self) -> dict[str, Any]:
        """The template as JSON."""
        return dict(json.loads(self.template_file.read_text()))

    def assets(self) -> list[Asset]:
        """What has to be published before the stack is created."""
        manifest = self.template_file.name.replace(".template.json", ".assets.json")
        files = json.loads((self.directory / manifest).read_text())["files"]
        return [
            Asset(
                source=self.directory / file["source"]["path"],
                zipped=file["source"]["packaging"] == "zip",
                bucket=destination["bucketName"],
                key=destination["objectKey"],
            )
            for file in files.values()
            for destination in file["destinations"].values()
        ]


def synthesize(
    output: Path, *, region: str, account: str, sites: Mapping[str, Mapping[str, object]]
) -> Assembly:
    """Synthesize the app of `cdk.json` for the emulator.

    Args:
        output: the CDK's output directory; Lambda bundles in it are used again.
        region: the region to deploy to.
        account: the account to deploy to.
        sites: the sites' settings by name, as in the context of `cdk.json`.

    Raises:
        SynthesisFailed: the app ended with an error; the message holds its last words.
    """
    cdk_json = json.loads((CHECKOUT / "cdk.json").read_text())
    context = {**cdk_json.get("context", {}), **_FOR_THE_EMULATOR, "sites": sites}
    environment = without_aws(os.environ) | {
        "CDK_OUTDIR": str(output),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "CDK_DEFAULT_ACCOUNT": account,
        "CDK_DEFAULT_REGION": region,
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
    }
    output.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "infra.app"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SynthesisFailed(
            f"`python -m infra.app` ended with {done.returncode}; it says:\n"
            f"{(done.stderr or done.stdout).strip()[-4000:]}"
        )
    return read_assembly(output)


def sites_of_checkout() -> dict[str, dict[str, object]]:
    """The sites' settings by name, as the context of `cdk.json` states them."""
    context = json.loads((CHECKOUT / "cdk.json").read_text(encoding="utf-8")).get("context", {})
    return dict(context.get("sites") or {})


def read_assembly(directory: Path) -> Assembly:
    """The one stack in a CDK output directory.

    Raises:
        SynthesisFailed: there is none, or more than one.
    """
    artifacts = json.loads((directory / "manifest.json").read_text())["artifacts"]
    stacks = [
        (artifact["properties"].get("stackName", name), artifact["properties"]["templateFile"])
        for name, artifact in artifacts.items()
        if artifact["type"] == _STACK_ARTIFACT
    ]
    if len(stacks) != 1:
        raise SynthesisFailed(f"{directory} holds {len(stacks)} stacks; the app should give one")
    stack, template = stacks[0]
    return Assembly(directory, stack, directory / template)
