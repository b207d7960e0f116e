"""An emulated cloud and a site for it in one folder of the checkout, with its puller's settings."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from local_cloud.deployment import Deployment, deploy
from local_cloud.emulator import ACCOUNT, CHECKOUT, Emulator
from local_cloud.errors import LocalCloudError
from local_cloud.isolation import without_aws
from local_cloud.synthesis import read_assembly, synthesize

SITE = "dc1"
ROOT = CHECKOUT / ".jobferry"
BINARIES = Path(sys.executable).parent
"""Where the virtual environment has `aws` and `jobferry-puller`."""


@dataclass(frozen=True, slots=True)
class Playground:
    """The folder and what lies in it.

    Attributes:
        root: the folder.
        emulator: the emulated cloud.
    """

    root: Path
    emulator: Emulator

    @staticmethod
    def at(root: Path) -> Playground:
        """The playground in a folder, running or not."""
        return Playground(root, Emulator(root / "emulator"))

    @property
    def jobs_dir(self) -> Path:
        """The site's job directories; `~/aws-job` on a real site."""
        return self.root / "aws-job"

    @property
    def settings_file(self) -> Path:
        """The puller's settings."""
        return self.root / "puller.toml"

    @property
    def puller_state(self) -> Path:
        """The puller's journal. It belongs to one emulator, whose table forgets everything."""
        return self.root / "puller-state"

    @property
    def puller(self) -> list[str]:
        """The puller's command line, up to the subcommand."""
        return [str(BINARIES / "jobferry-puller"), "--settings", str(self.settings_file)]

    def start(self) -> None:
        """Start the emulator where it does not run yet.

        Raises:
            EmulatorFailed: it did not start.
        """
        if not self.emulator.running():
            shutil.rmtree(self.puller_state, ignore_errors=True)
        self.emulator.start()

    def deploy(self) -> Deployment:
        """Deploy the real stack, and write the settings of the site's puller.

        Raises:
            SynthesisFailed: the CDK app failed.
            DeploymentFailed: the emulator refused the stack.
        """
        assembly = synthesize(
            self.root / "cdk.out",
            region=self.emulator.region,
            account=ACCOUNT,
            sites={SITE: {}},
        )
        deployment = deploy(self.emulator, assembly)
        self._write_settings(deployment)
        return deployment

    def bucket(self) -> str:
        """The site's bucket, as the puller's settings name it.

        Raises:
            LocalCloudError: nothing has been deployed.
        """
        try:
            return str(tomllib.loads(self.settings_file.read_text(encoding="utf-8"))["bucket"])
        except FileNotFoundError:
            raise LocalCloudError("the stack is not deployed; run `make up`") from None

    def stack(self) -> str:
        """The name of the deployed stack."""
        return read_assembly(self.root / "cdk.out").stack

    def environment(self) -> dict[str, str]:
        """The environment for commands on both sides: `aws` and `jobferry-puller`."""
        environment = without_aws(os.environ) | self.emulator.environment()
        environment["PATH"] = f"{BINARIES}{os.pathsep}{environment.get('PATH', os.defpath)}"
        return environment

    def _write_settings(self, deployment: Deployment) -> None:
        settings = {
            "site": SITE,
            "bucket": deployment.buckets[SITE],
            "table": deployment.table,
            "region": self.emulator.region,
            "endpoint_url": self.emulator.endpoint_url,
            "scheduler": "local",
            "jobs_dir": str(self.jobs_dir),
            "state_dir": str(self.puller_state),
            "lock_dir": str(self.root / "locks"),
        }
        # A JSON string is a TOML string.
        lines = [
            f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in settings.items()
        ]
        self.settings_file.write_text("\n".join([*lines, ""]), encoding="utf-8")
