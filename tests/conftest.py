"""Fixtures for all suites: the emulator, the real stack on it, and plain parts without Lambdas.

Session fixtures are per xdist worker: each worker has an emulator and a stack of its own; only
the synthesized assembly is shared.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from local_cloud.deployment import Deployment, deploy
from local_cloud.emulator import ACCOUNT, DEFAULT_REGION, PYTHON, Emulator
from local_cloud.synthesis import Assembly, read_assembly, synthesize
from puller.inherited_signals import let_programs_react

SITES = ("dc1", "osaka")

# No example is timed: machines are noisy. `HYPOTHESIS_PROFILE=long` tries new ones at every run.
settings.register_profile("short", max_examples=60, derandomize=True, deadline=None, database=None)
settings.register_profile("long", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

# Tests that a shell starts in the background meet the same signals as any others.
let_programs_react()


@dataclass(frozen=True)
class DeployedStack:
    """The real stack on an emulator, with sites `dc1` and `osaka`."""

    emulator: Emulator
    deployment: Deployment

    @property
    def table(self) -> str:
        return self.deployment.table

    @property
    def buckets(self) -> dict[str, str]:
        return dict(self.deployment.buckets)

    def client(self, service: str) -> Any:
        return self.emulator.client(service)


@pytest.fixture(scope="session", autouse=True)
def _no_real_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reaches an AWS account that the environment of the developer leads to."""
    with pytest.MonkeyPatch.context() as patch:
        ours = ("AWS_", "JOBFERRY_", "NOMAD_")
        for name in [name for name in os.environ if name.startswith(ours)]:
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):  # nor are the developer's settings read
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """A command that a test calls in this process sets the site's umask: the next has its own."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An AWS emulator of this test session."""
    if not PYTHON.exists():
        pytest.fail(f"the emulator is not installed ({PYTHON}); run `make install`")
    with Emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The synthesized app, made once for all xdist workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return _synthesized_once(shared / "cdk.out")


def _synthesized_once(output: Path) -> Assembly:
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = output.with_suffix(".done")
        if not done.exists():
            synthesize(
                output,
                region=DEFAULT_REGION,
                account=ACCOUNT,
                sites={site: {} for site in SITES},
            )
            done.touch()
        return read_assembly(output)


@pytest.fixture(scope="session")
def deployed(emulator: Emulator, assembly: Assembly) -> DeployedStack:
    """The real stack: buckets, table, stream, events and Lambdas really running."""
    return DeployedStack(emulator, deploy(emulator, assembly))


@pytest.fixture
def plain_table(emulator: Emulator, assembly: Assembly) -> Iterator[str]:
    """The name of a table with the keys and indexes of the real one, and nothing attached to it."""
    properties = _table_properties(assembly.template())
    dynamodb = emulator.client("dynamodb")
    name = f"plain-{uuid.uuid4().hex[:12]}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=properties["KeySchema"],
        AttributeDefinitions=properties["AttributeDefinitions"],
        GlobalSecondaryIndexes=[
            {part: index[part] for part in ("IndexName", "KeySchema", "Projection")}
            for index in properties["GlobalSecondaryIndexes"]
        ],
    )
    yield name
    dynamodb.delete_table(TableName=name)


def _table_properties(template: dict[str, Any]) -> dict[str, Any]:
    tables = [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] in ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable")
    ]
    assert len(tables) == 1, "the stack should have one table, the job table"
    return dict(tables[0])


@pytest.fixture
def plain_bucket(emulator: Emulator) -> str:
    """The name of a versioned bucket that calls nobody."""
    s3 = emulator.client("s3")
    name = f"plain-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": emulator.region})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name
