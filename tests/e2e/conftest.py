"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import DeployedStack
from tests.e2e.puller_file import libraries, puller_file
from tests.e2e.site import Site
from tests.schedulers.conftest import slurm_cluster

__all__ = ["libraries", "puller_file", "slurm_cluster"]


@pytest.fixture
def site(deployed: DeployedStack, tmp_path: Path) -> Site:
    """Site `dc1` with the `local` scheduler."""
    return Site.of(deployed, tmp_path / "home")
