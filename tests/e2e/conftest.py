"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import DeployedStack
from tests.e2e.puller_file import libraries, puller_file
from tests.e2e.site import Site
from tests.e2e.trust import Trust
from tests.schedulers.conftest import slurm_cluster
from tests.unit.jobferry.signers import make_key, public_part

__all__ = ["libraries", "puller_file", "slurm_cluster"]


@pytest.fixture
def site(deployed: DeployedStack, tmp_path: Path) -> Site:
    """Site `dc1` with the `local` scheduler."""
    return Site(
        home=tmp_path / "home",
        bucket=deployed.buckets["dc1"],
        table=deployed.table,
        endpoint_url=deployed.emulator.endpoint_url,
        region=deployed.emulator.region,
        s3=deployed.client("s3"),
    )


@pytest.fixture
def trust(deployed: DeployedStack, tmp_path: Path) -> Trust:
    home = tmp_path / "trust"
    keys = {name: make_key(home / "keys" / name) for name in ("alice", "mallory")}
    site = Site(
        home=tmp_path / "home",
        bucket=deployed.buckets["dc1"],
        table=deployed.table,
        endpoint_url=deployed.emulator.endpoint_url,
        region=deployed.emulator.region,
        s3=deployed.client("s3"),
        extra_settings={"policy_file": str(home / "policy.toml")},
    )
    made = Trust(site, home, deployed.client("dynamodb"), keys)
    (home / "signers").write_text(f'alice namespaces="jobferry" {public_part(keys["alice"])}\n')
    made.policy()
    site.pull()  # from here on runs are counted
    return made
