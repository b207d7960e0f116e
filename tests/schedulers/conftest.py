"""Real schedulers: a Slurm for the session, and jobs as the puller prepares them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schedulers.slurm_cluster import SlurmCluster, missing


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[SlurmCluster]:
    """A real Slurm, started once."""
    if (reason := missing()) is not None:
        pytest.skip(f"no Slurm: {reason}")
    directory = Path(tempfile.mkdtemp(prefix="slurm-"))
    try:
        with SlurmCluster(directory) as cluster:
            yield cluster
    finally:
        shutil.rmtree(directory, ignore_errors=True)
