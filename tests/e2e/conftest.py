"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import DeployedStack
from tests.e2e.puller_file import libraries, puller_file
from tests.e2e.site import Site
from tests.e2e.trust import Trust
from tests.emulator.api_client import ApiClient
from tests.schedulers.conftest import slurm_cluster
from tests.unit.jobferry.signers import make_key, public_part

__all__ = ["libraries", "puller_file", "slurm_cluster"]


@pytest.fixture
def site(deployed: DeployedStack, tmp_path: Path) -> Site:
    """Site `dc1` with the `local` scheduler."""
    return Site.of(deployed, tmp_path / "home")


@pytest.fixture
def trust(deployed: DeployedStack, tmp_path: Path) -> Trust:
    home = tmp_path / "trust"
    keys = {name: make_key(home / "keys" / name) for name in ("alice", "mallory")}
    site = Site.of(
        deployed, tmp_path / "home", extra_settings={"policy_file": str(home / "policy.toml")}
    )
    made = Trust(site, home, deployed.client("dynamodb"), keys)
    (home / "signers").write_text(f'alice namespaces="jobferry" {public_part(keys["alice"])}\n')
    made.policy()
    site.pull()  # from here on runs are counted
    return made


@pytest.fixture(scope="module")
def api(deployed: DeployedStack) -> ApiClient:
    """The door of the API for callers that IAM knows."""
    return ApiClient(deployed.deployment.api_urls[""], deployed.emulator.region)
