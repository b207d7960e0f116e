"""An emulated cloud and its sites in one folder of the checkout, with their pullers' settings."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local_cloud.deployment import Deployment, deploy
from local_cloud.emulator import ACCOUNT, CHECKOUT, Emulator
from local_cloud.errors import LocalCloudError
from local_cloud.isolation import without_aws
from local_cloud.synthesis import read_assembly, synthesize

SITE = "dc1"
"""The site whose files have no suffix; without it, the first of the deployment is that."""

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
        """The job directories of the first site; `~/aws-job` on a real one."""
        return self.root / "aws-job"

    @property
    def settings_file(self) -> Path:
        """The settings of the first site's puller."""
        return self.root / "puller.toml"

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
            for state in self.root.glob("puller-state*"):  # this table knows nothing of it
                shutil.rmtree(state, ignore_errors=True)
        self.emulator.start()

    def deploy(self, sites: Mapping[str, Mapping[str, object]]) -> Deployment:
        """Deploy the real stack, and write the settings of each site's puller.

        Args:
            sites: the sites' settings by name, as in the context of `cdk.json`.

        Raises:
            SynthesisFailed: the CDK app failed.
            DeploymentFailed: the emulator refused the stack.
        """
        assembly = synthesize(
            self.root / "cdk.out",
            region=self.emulator.region,
            account=ACCOUNT,
            sites=sites,
        )
        deployment = deploy(self.emulator, assembly)
        for site in deployment.buckets:
            self._write_settings(deployment, site)
        return deployment

    def settings_of(self, deployment: Deployment, site: str) -> Path:
        """The settings of a site's puller."""
        return _of_site(self.settings_file, deployment, site)

    def bucket(self) -> str:
        """The bucket of the first site, as the puller's settings name it.

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

    def _write_settings(self, deployment: Deployment, site: str) -> None:
        settings = {
            "site": site,
            "bucket": deployment.buckets[site],
            "table": deployment.table,
            "region": self.emulator.region,
            "endpoint_url": self.emulator.endpoint_url,
            "scheduler": "local",
            "jobs_dir": str(_of_site(self.jobs_dir, deployment, site)),
            "state_dir": str(_of_site(self.root / "puller-state", deployment, site)),
            "lock_dir": str(self.root / "locks"),
        }
        # A JSON string is a TOML string.
        lines = [
            f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in settings.items()
        ]
        text = "\n".join([*lines, ""])
        self.settings_of(deployment, site).write_text(text, encoding="utf-8")


def first_site(deployment: Deployment) -> str:
    """The site that commands mean where none is stated."""
    return SITE if SITE in deployment.buckets else min(deployment.buckets)


def _of_site(path: Path, deployment: Deployment, site: str) -> Path:
    """What a further site has beside that of the first."""
    own = site == first_site(deployment)
    return path if own else path.with_name(f"{path.stem}-{site}{path.suffix}")
