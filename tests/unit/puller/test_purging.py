"""What a purge removes on the site, what it leaves, and what a pass that died on the way left."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from job_protocol.allocation import Allocation
from job_protocol.states import ClientStatus, Desired
from puller.journal import Record
from puller.purging import Purging

ALLOCATION = "0c6a1f0e-1111-5222-8333-444455556666"


class Queue:
    """Reads one allocation, and notes what was confirmed."""

    def __init__(self, allocation: Allocation | None) -> None:
        self.allocation = allocation
        self.confirmed: list[str] = []

    def read(self, allocation_id: str) -> Allocation | None:
        return self.allocation

    def confirm_purge(self, allocation_id: str, now: int) -> bool:
        self.confirmed.append(allocation_id)
        return True


@pytest.fixture
def jobs_dir(tmp_path: Path) -> Path:
    return tmp_path / "aws-job"


def make(jobs_dir: Path, path: str, job: str, allocation: str = ALLOCATION) -> Path:
    directory = jobs_dir / path
    directory.mkdir(parents=True)
    (directory / "result").write_text("x")
    mark = {"job": job, "allocation": allocation}
    (directory / "aws-job-allocation.json").write_text(json.dumps(mark))
    return directory


def allocation(job: str = "a/b", **more: Any) -> Allocation:
    facts = {"client_status": ClientStatus.COMPLETE, "desired": Desired.PURGE, **more}
    return Allocation(site="dc1", job=job, id=ALLOCATION, **facts)


def purge(jobs_dir: Path, wanted: Allocation | None, held: tuple[Record, ...] = ()) -> list[str]:
    queue = Queue(wanted)
    place: Any = SimpleNamespace(
        settings=SimpleNamespace(jobs_dir=jobs_dir),
        queue=queue,
        journal=SimpleNamespace(glance=lambda: list(held)),
        clock=lambda: 1000.0,
    )
    Purging(place).purge(ALLOCATION)
    return queue.confirmed


def test_the_directory_and_those_of_earlier_runs_go(jobs_dir: Path) -> None:
    gone = [
        make(jobs_dir, "a/b", "a/b"),
        make(jobs_dir, ".jobferry/earlier/a/b/20260101T000000Z-1", "a/b", "1"),
        make(jobs_dir, f".jobferry/alloc/{ALLOCATION}", "-"),
    ]
    stay = [
        make(jobs_dir, "a/c", "a/c", "2"),
        make(jobs_dir, ".jobferry/earlier/a/c/20260101T000000Z-2", "a/c", "2"),
        make(jobs_dir, ".jobferry/earlier/a/b/a-copy", "somebody else's", "3"),
    ]
    assert purge(jobs_dir, allocation()) == [ALLOCATION]
    assert [path for path in gone if path.exists()] == []
    assert [path for path in stay if not path.exists()] == []
    assert list((jobs_dir / ".jobferry/removing").iterdir()) == []


def test_what_an_earlier_pass_had_moved_aside_is_deleted_before_it_is_told(jobs_dir: Path) -> None:
    left = make(jobs_dir, ".jobferry/removing/some-uuid", "a/b")
    assert purge(jobs_dir, allocation()) == [ALLOCATION]
    assert not left.exists()


def test_a_site_that_has_nothing_of_it_says_so(jobs_dir: Path) -> None:
    assert purge(jobs_dir, allocation()) == [ALLOCATION]


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        allocation(desired=Desired.STOP),
        allocation(client_status=ClientStatus.RUNNING),
    ],
)
def test_nothing_goes_that_is_not_wanted_or_has_not_ended(
    jobs_dir: Path, wanted: Allocation | None
) -> None:
    directory = make(jobs_dir, "a/b", "a/b")
    assert purge(jobs_dir, wanted) == []
    assert directory.exists()


def test_nothing_goes_while_the_site_still_works_on_the_job(jobs_dir: Path) -> None:
    directory = make(jobs_dir, "a/b", "a/b")
    held = Record(allocation=Allocation(site="dc1", job="a/b", id="other"), token="t")
    assert purge(jobs_dir, allocation(), (held,)) == []
    assert directory.exists()


def test_a_directory_without_the_jobs_mark_stays(jobs_dir: Path) -> None:
    foreign = make(jobs_dir, "a/b", "something else")
    assert purge(jobs_dir, allocation()) == [ALLOCATION]
    assert foreign.exists()


@pytest.mark.parametrize("job", ["../outside", "/etc", ".jobferry/alloc"])
def test_no_job_id_leads_outside(jobs_dir: Path, job: str) -> None:
    outside = jobs_dir.parent / "outside"
    make(jobs_dir.parent, "outside", job)
    inside = make(jobs_dir, ".jobferry/alloc", job)
    purge(jobs_dir, allocation(job))
    assert outside.exists()
    assert inside.exists()
