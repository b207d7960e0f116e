"""How many requests a pass makes: exact numbers, counted at the client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.client
import botocore.session
import pytest

from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import ClientStatus, JobStatus, Outcome
from lambdas.ports.job_items import allocation_item, job_item
from puller.settings import load_settings
from tests.conftest import DeployedStack
from tests.e2e.site import Site

pytestmark = pytest.mark.emulator


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all requests that this process makes to AWS."""
    made: list[str] = []
    original = botocore.client.BaseClient._make_request  # type: ignore[attr-defined]

    def counted(self: Any, operation: Any, *arguments: Any) -> Any:
        made.append(operation.name)
        return original(self, operation, *arguments)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_request", counted)
    return made


def _idle_pass(site: Site, monkeypatch: pytest.MonkeyPatch, requests: list[str]) -> list[str]:
    from puller.site_pass import SitePass
    from puller.start import open_workplace

    for name, value in site.cron_environment().items():
        monkeypatch.setenv(name, value)
    settings = load_settings(site.settings_file, {}, {})
    settings.state.mkdir(parents=True, exist_ok=True)
    one = SitePass(open_workplace(settings), "a-host")
    requests.clear()
    outcome = one.run()
    assert not outcome.unreachable
    assert not outcome.refused
    return list(requests)


def _finish_jobs(site: Site, count: int, prefix: str) -> None:
    """Finished jobs in the table and in the bucket, as their lives would leave them."""
    items = []
    for number in range(count):
        job_id, allocation_id = (
            f"{prefix}{number:05d}",
            f"{number:08x}-0000-5000-8000-{prefix:0>12}",
        )
        job = Job(
            site=site.name,
            id=job_id,
            bucket=site.bucket,
            status=JobStatus.DEAD,
            outcome=Outcome.COMPLETE,
            run=1,
            current=allocation_id,
            client_status=ClientStatus.COMPLETE,
            created=1,
            submitted=1,
        )
        allocation = Allocation(
            site=site.name, job=job_id, id=allocation_id, client_status=ClientStatus.COMPLETE
        )
        items += [job_item(job), allocation_item(allocation)]
    client = botocore.session.get_session().create_client(
        "dynamodb",
        endpoint_url=site.endpoint_url,
        region_name=site.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )

    def write(start: int) -> None:
        puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        answer = client.batch_write_item(RequestItems={site.table: puts})
        assert not answer.get("UnprocessedItems")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(0, len(items), 25)))
        list(
            pool.map(
                lambda number: site.put(f"{prefix}{number:05d}/result.txt", b"done\n"),
                range(count),
            )
        )


def test_an_idle_pass_makes_two_requests_with_0_and_with_10000_finished_jobs(
    deployed: DeployedStack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    requests: list[str],
) -> None:
    site = Site.of(
        deployed,
        tmp_path / "home",
        name="osaka",
    )
    assert _idle_pass(site, monkeypatch, requests) == ["UpdateItem", "Query"]
    _finish_jobs(site, 10_000, "f")
    assert _idle_pass(site, monkeypatch, requests) == ["UpdateItem", "Query"]
