"""Real schedulers: a Slurm for the session, and jobs as the puller prepares them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schedulers import grid_engine
from tests.schedulers.conformance_matrix import pytest_terminal_summary
from tests.schedulers.slurm_cluster import SlurmCluster, missing

__all__ = ["pytest_terminal_summary"]


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


@pytest.fixture(scope="session")
def sge_cluster() -> Iterator[grid_engine.GridEngineCluster]:
    """A real Grid Engine, started once."""
    if (reason := grid_engine.missing()) is not None:
        pytest.skip(f"no Grid Engine: {reason}")
    directory = Path(tempfile.mkdtemp(prefix="sge-"))
    try:
        with grid_engine.GridEngineCluster(directory) as cluster:
            yield cluster
    finally:
        shutil.rmtree(directory, ignore_errors=True)
