"""Fixtures for the tests of a site's policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.jobferry.signers import make_key
from tests.unit.puller.trust.signed_site import SignedSite


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key of `alice`."""
    return make_key(tmp_path_factory.mktemp("keys") / "alice")


@pytest.fixture
def site(tmp_path: Path, key: Path) -> SignedSite:
    """A site that runs nothing that `alice` has not signed."""
    return SignedSite(tmp_path / "site", key)
