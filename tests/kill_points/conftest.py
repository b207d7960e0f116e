"""Sites on real schedulers for the kill points, and the tally at the end of the test run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from job_protocol import table_keys
from tests.conftest import DeployedStack
from tests.e2e.site import Site
from tests.schedulers import grid_engine
from tests.schedulers.conftest import slurm_cluster

__all__ = ["slurm_cluster"]

MakeSite = Callable[[str], Site]


@pytest.fixture(scope="module")
def engine() -> Iterator[dict[str, str]]:
    """The environment of a real Grid Engine."""
    if (reason := grid_engine.missing()) is not None:
        pytest.skip(f"no Grid Engine: {reason}")
    directory = Path(tempfile.mkdtemp(prefix="sge-"))
    try:
        with grid_engine.GridEngineCluster(directory) as cluster:
            yield dict(cluster.environment)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module", params=["local", "slurm", "sge"])
def make_site(
    request: pytest.FixtureRequest,
    deployed: DeployedStack,
    tmp_path_factory: pytest.TempPathFactory,
) -> MakeSite:
    """Makes a site with this scheduler; each call gives a home of its own."""
    scheduler: str = request.param
    environment: dict[str, str] = {}
    if scheduler == "slurm":
        environment = dict(request.getfixturevalue("slurm_cluster").environment)
    elif scheduler == "sge":
        environment = request.getfixturevalue("engine")

    def make(name: str) -> Site:
        empty_queue(deployed, name)
        home = tmp_path_factory.mktemp(f"{scheduler}-{name}")
        return Site(
            home=home,
            bucket=deployed.buckets[name],
            table=deployed.table,
            endpoint_url=deployed.emulator.endpoint_url,
            region=deployed.emulator.region,
            s3=deployed.client("s3"),
            scheduler=scheduler,
            name=name,
            extra_settings={"resubmit_after": 1},
            environment=environment,
        )

    return make


def empty_queue(deployed: DeployedStack, site: str) -> None:
    """Take out of a site's queue what other tests have left there: it would be claimed here."""
    dynamodb = deployed.client("dynamodb")
    rows = dynamodb.query(
        TableName=deployed.table,
        IndexName=table_keys.QUEUE_INDEX,
        KeyConditionExpression="qpk = :qpk",
        ExpressionAttributeValues={":qpk": {"S": table_keys.queue_partition(site)}},
    )["Items"]
    for row in rows:
        dynamodb.update_item(
            TableName=deployed.table,
            Key={"pk": row["pk"], "sk": row["sk"]},
            UpdateExpression="REMOVE qpk, qsk",
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        value
        for kind in ("passed", "failed")
        for report in terminalreporter.stats.get(kind, [])
        for name, value in report.user_properties
        if name == "kill points"
    ]
    if not rows:
        return
    terminalreporter.section("kill points")
    for row in rows:
        terminalreporter.write_line(
            f"{row['scheduler']:>6}  {row['scenario']:<24} {row['killed']:>4} kills at "
            f"{row['boundaries']} boundaries, {row['wrong']} wrong"
        )
    kills = sum(row["killed"] for row in rows)
    wrong = sum(row["wrong"] for row in rows)
    terminalreporter.write_line(f"{kills} kill points: {wrong} duplicates, losses or other faults")
