"""Python calls on the real stack: packed into jobs, run by a lingering puller, fetched from S3."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import as_completed
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from jobferry import Client, Executor, ResultMissing, executor_worker
from jobferry.executor_results import RemoteTraceback
from local_cloud.isolation import without_aws
from tests.conftest import DeployedStack
from tests.e2e.site import CHECKOUT, Site
from tests.patience import PATIENCE
from tests.schedulers.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.emulator

HERE = f"python{sys.version_info.major}.{sys.version_info.minor}"
CALLS = 200
PATIENCE_OF_ALL = 3 * PATIENCE
_SCHEMA = json.loads((CHECKOUT / "docs/aws-job.schema.json").read_text())
arrays = pytest.mark.skipif(
    "count" not in _SCHEMA["properties"], reason="this control plane knows no arrays"
)


@contextmanager
def lingers(site: Site) -> Iterator[Site]:
    """The site while its puller lingers."""
    puller = subprocess.Popen(
        [*site.puller, "pass", "--linger", "900"], env=site.cron_environment(), cwd=site.home
    )
    yield site
    puller.terminate()
    assert puller.wait(PATIENCE) == 0, site.log


@pytest.fixture
def lingering(site: Site) -> Iterator[Site]:
    with lingers(site):
        yield site


@pytest.fixture
def client(deployed: DeployedStack, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client as a notebook has it."""
    for name, value in deployed.emulator.environment().items():
        monkeypatch.setenv(name, value)
    return Client(bucket=deployed.buckets["dc1"], session=boto3.Session())


def check_calls(
    client: Client, count: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> set[tuple[str, int]]:
    """Calls one by one, of which some raise, come back as one job; the processes that ran them."""
    monkeypatch.setattr(executor_worker, "GATHER", 600.0)  # however slow this computer is
    monkeypatch.setattr(executor_worker, "GATHER_AT_MOST", 600.0)

    class OddPlate(Exception):
        pass

    def plate(number: int) -> tuple[int, str, int]:
        if number % 25 == 7:
            raise OddPlate(number)
        return number, os.environ.get("SLURM_ARRAY_TASK_ID", ""), os.getpid()

    executor = Executor(client=client, python=sys.executable, chunk=chunk, time_limit="5m")
    with executor:
        futures = [executor.submit(plate, number) for number in range(count)]
        executor.shutdown(wait=False)
        ended = list(as_completed(futures, PATIENCE_OF_ALL))
    assert len(ended) == count
    raised = {n: f.exception() for n, f in enumerate(futures) if f.exception() is not None}
    assert set(raised) == set(range(7, count, 25))
    for number, error in raised.items():
        assert isinstance(error, OddPlate)
        assert error.args == (number,)
        assert isinstance(error.__cause__, RemoteTraceback)
    values = {n: f.result() for n, f in enumerate(futures) if n not in raised}
    assert [number for number, *_ in values.values()] == list(values)
    (job,) = executor.jobs
    assert job.status().outcome == "complete"
    return {(task, process) for _, task, process in values.values()}


@pytest.mark.parametrize("chunk", [CALLS, pytest.param(5, marks=arrays)])
def test_200_calls_of_which_some_raise(
    lingering: Site, client: Client, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = check_calls(client, CALLS, chunk, monkeypatch)
    assert len(processes) == CALLS // chunk
    assert os.getpid() not in {process for _, process in processes}


@arrays
def test_map_of_which_each_call_is_an_element(lingering: Site, client: Client) -> None:
    def inverse(number: int) -> float:
        return 1 / number

    with Executor(client=client, python=sys.executable, chunk=1) as executor:
        results = executor.map(inverse, [1, 2, 4, 0, 5], timeout=PATIENCE_OF_ALL)
        assert [next(results) for _ in range(3)] == [1.0, 0.5, 0.25]
        with pytest.raises(ZeroDivisionError) as raised:
            next(results)
    assert isinstance(raised.value.__cause__, RemoteTraceback)
    assert ", in inverse" in str(raised.value.__cause__)


@pytest.mark.slurm
@arrays
def test_40_calls_on_slurm_each_an_element(
    deployed: DeployedStack,
    slurm_cluster: SlurmCluster,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Site(
        home=tmp_path / "home",
        bucket=deployed.buckets["dc1"],
        table=deployed.table,
        endpoint_url=deployed.emulator.endpoint_url,
        region=deployed.emulator.region,
        s3=deployed.client("s3"),
        scheduler="slurm",
        environment=dict(slurm_cluster.environment),
    )
    with lingers(site):
        processes = check_calls(client, 40, 1, monkeypatch)
    raised = set(range(7, 40, 25))
    assert {int(task) for task, _ in processes} == set(range(40)) - raised


def test_jobs_outlive_the_notebook(site: Site, client: Client) -> None:
    executor = Executor(client=client, python=sys.executable, chunk=2)
    executor.map(lambda size: bytes(size), [3, 40 << 20])
    (job_id,) = executor.detach()
    assert site.run_to_end(job_id) == "JOB_COMPLETE"
    with Executor.attach([job_id], client=client) as again:
        small, large = again.futures
        assert small.result(PATIENCE) == bytes(3)
        assert len(large.result(PATIENCE)) == 40 << 20
    keys = {file.path for file in again.jobs[0].files(under="executor/results/")}
    assert keys == {"executor/results/000000"}
    assert list(again.jobs[0].files(under="executor/results/", after=max(keys))) == []
    assert job_id in again.jobs[0]._repr_html_()


def test_a_call_that_is_cancelled_before_it_ran_never_runs(site: Site, client: Client) -> None:
    with Executor(client=client, python=sys.executable) as executor:
        future = executor.submit(print, "never")
        executor.shutdown(wait=False)
        (job,) = executor.jobs
        site.wait_for(job.id, "JOB_QUEUED")
        assert future.cancel()
    assert site.run_to_end(job.id) == "JOB_STOPPED"
    assert not (site.jobs_dir / job.id).exists()


def test_a_python_that_the_site_does_not_have_is_said(lingering: Site, client: Client) -> None:
    with Executor(client=client, python="python-of-nobody") as executor:
        error = executor.submit(abs, 1).exception(PATIENCE)
    assert isinstance(error, ResultMissing)
    assert "exit code 127" in str(error)
    assert "there is no 'python-of-nobody'" in str(error)


@pytest.mark.skipif(
    shutil.which(HERE, path="/usr/bin:/bin") is None,
    reason=f"the computer has no {HERE}",
)
def test_the_example(lingering: Site, deployed: DeployedStack) -> None:
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "examples/executor/pi.py")],
        env={
            **without_aws(os.environ),
            **deployed.emulator.environment(),
            "JOBFERRY_STACK": deployed.deployment.stack,
            "PYTHONPATH": str(CHECKOUT),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert abs(float(done.stdout) - 3.1416) < 0.01
