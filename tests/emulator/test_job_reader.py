"""What the API asks the job table, each with one query."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from job_protocol.job import Job
from job_protocol.states import ClientStatus, JobStatus, Outcome
from lambdas.ports.api_tokens import ApiToken, ApiTokens
from lambdas.ports.job_items import job_item
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


def test_a_page_reads_its_own_rows_and_not_the_history(
    user: UserOfASite,
) -> None:
    rows = [
        job_item(
            Job(
                site="dc1",
                id=f"old{n:04}",
                bucket="b",
                status=JobStatus.DEAD,
                outcome=Outcome.FAILED if n % 100 == 0 else Outcome.COMPLETE,
                submitted=1_700_000_000 + n,
            )
        )
        for n in range(400)
    ]
    for start in range(0, len(rows), 25):
        puts = [{"PutRequest": {"Item": item}} for item in rows[start : start + 25]]
        answer = user.dynamodb.batch_write_item(RequestItems={user.table: puts})
        assert not answer["UnprocessedItems"]
    answers: list[dict[str, Any]] = []
    query = user.dynamodb.query

    def watched(**request: Any) -> dict[str, Any]:
        answers.append(query(**request))
        return answers[-1]

    reader = JobReader(SimpleNamespace(query=watched), user.table)
    jobs, after = reader.page_of_jobs("dc1", JobFilter(), limit=50, after=None)
    assert [job.id for job in jobs] == [f"old{n:04}" for n in range(399, 349, -1)]
    assert [answer["ScannedCount"] for answer in answers] == [50]
    _, after = reader.page_of_jobs("dc1", JobFilter(), limit=50, after=after)
    assert after is not None
    assert [answer["ScannedCount"] for answer in answers] == [50, 50]
    # With a filter it is still one query, which reads up to 1 MB of rows.
    failed, after = reader.page_of_jobs("dc1", JobFilter(outcome="failed"), limit=3, after=None)
    assert [job.id for job in failed] == ["old0300", "old0200", "old0100"]
    assert len(answers) == 3
    rest, after = reader.page_of_jobs("dc1", JobFilter(outcome="failed"), limit=3, after=after)
    assert ([job.id for job in rest], after) == (["old0000"], None)
    assert len(answers) == 4


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
