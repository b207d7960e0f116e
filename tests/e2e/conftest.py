"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DeployedStack
from tests.e2e.site import Site


@pytest.fixture
def site(deployed: DeployedStack, tmp_path: Path) -> Iterator[Site]:
    """Site `dc1` with the `local` scheduler."""
    yield Site(
        home=tmp_path / "home",
        bucket=deployed.buckets["dc1"],
        table=deployed.table,
        endpoint_url=deployed.emulator.endpoint_url,
        region=deployed.emulator.region,
        s3=deployed.client("s3"),
    )
