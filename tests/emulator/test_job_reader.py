"""What the API asks the job table, each with one query."""

from __future__ import annotations

from typing import Any

import pytest

from job_protocol.states import ClientStatus, Outcome
from lambdas.ports.api_tokens import ApiToken, ApiTokens
from lambdas.ports.job_reader import JobFilter, JobReader
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import UserOfASite

pytestmark = pytest.mark.emulator


@pytest.fixture
def user(emulator: Emulator, plain_table: str, plain_bucket: str) -> UserOfASite:
    return UserOfASite(
        emulator.client("dynamodb"), emulator.client("s3"), plain_table, plain_bucket
    )


@pytest.fixture
def reader(user: UserOfASite) -> JobReader:
    return JobReader(user.dynamodb, user.table)


def all_pages(reader: JobReader, wanted: JobFilter, limit: int) -> list[list[str]]:
    pages: list[list[str]] = []
    after: Any = None
    while after is not None or not pages:
        jobs, after = reader.page_of_jobs("dc1", wanted, limit=limit, after=after)
        assert len(jobs) <= limit
        pages.append([job.id for job in jobs])
    return pages


def test_pages_of_a_list_meet_every_job_once_the_newest_first(
    user: UserOfASite, reader: JobReader
) -> None:
    names = [f"run{n}" for n in range(5)] + ["other/a", "other/b"]
    for name in names:
        user.uploads(name)
    pages = all_pages(reader, JobFilter(), 2)
    assert sorted(job for page in pages for job in page) == sorted(names)
    narrowed = all_pages(reader, JobFilter(prefix="other/", status="pending"), 1)
    assert sorted(job for page in narrowed for job in page) == ["other/a", "other/b"]
    (job,), _ = reader.page_of_jobs("dc1", JobFilter(prefix="run3"), limit=9, after=None)
    assert (job.site, job.run, job.client_status) == ("dc1", 1, ClientStatus.PENDING)
    submitted = job.submitted or 0
    assert all_pages(reader, JobFilter(after=submitted + 60), 9) == [[]]
    assert all_pages(reader, JobFilter(before=submitted - 60), 9) == [[]]
    assert all_pages(reader, JobFilter(outcome=Outcome.FAILED), 9) == [[]]


def test_the_queue_tells_how_many_are_ahead(user: UserOfASite, reader: JobReader) -> None:
    for name, priority in (("low", 10), ("high", 90), ("middle", 50)):
        user.put(f"{name}/aws-job.json", f'{{"priority": {priority}}}'.encode())
        user.uploads(name)
    ahead = {name: reader.ahead(user.allocation(name)) for name in ("low", "middle", "high")}
    assert ahead == {"high": 0, "middle": 1, "low": 2}
    assert reader.waiting("dc1") == 3
    assert reader.waiting("osaka") == 0


def test_an_allocation_is_found_by_the_begin_of_its_id_and_its_site_is_the_keys(
    user: UserOfASite, reader: JobReader
) -> None:
    user.uploads("job0001")
    user.set_allocation("job0001", site="osaka")
    alloc = user.allocation("job0001").id
    (found,) = reader.allocations_by_prefix("dc1", alloc[:8], 2)
    assert (found.id, found.site) == (alloc, "dc1")
    assert reader.allocations("dc1", [alloc, alloc, "ffffffff"])[0].site == "dc1"
    assert reader.allocations_by_prefix("osaka", alloc[:8], 2) == []


def test_tokens_lie_under_their_hash_alone(user: UserOfASite) -> None:
    tokens = ApiTokens(user.dynamodb, user.table)
    made = [
        ApiToken(accessor=f"a{n}", name="ci", scopes=("read",), created=n, creator="me")
        for n in range(3)
    ]
    for token in made:
        tokens.put(token, f"secret-{token.accessor}")
    assert tokens.page(None) == (made, None)
    assert tokens.of_secret("secret-a1") == made[1]
    assert "secret-a1" not in str(user.dynamodb.scan(TableName=user.table)["Items"])
    assert tokens.revoke("a1")
    assert not tokens.revoke("a1")
    assert tokens.of_secret("secret-a1") is None
