"""Which step of a purge comes next, whatever the table says and whoever died before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from job_protocol.allocation import Allocation
from job_protocol.job import Job, Registration
from job_protocol.states import ClientStatus, Desired, JobStatus, Outcome, Role
from lambdas.purge_requests import NoSuchJob, PurgeRequests
from lambdas.purging import Purging
from tests.unit.lambdas.examples import NOW, a_folder, a_job, an_allocation
from tests.unit.lambdas.memory_cloud import MemoryTable


@dataclass
class Recorder:
    """The table, the bucket and the queue; what was done, in its order."""

    table: MemoryTable
    done: list[str] = field(default_factory=list)
    all_deleted: bool = True
    born: list[Job] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)

    def job(self, site: str, job_id: str) -> Job | None:
        return self.table.job(site, job_id)

    def allocation(self, site: str, allocation_id: str) -> Allocation | None:
        return self.table.allocation(site, allocation_id)

    def replace_job(self, read: Job | None, new: Job) -> None:
        self.table.replace_job(read, new)

    def ask_to_purge(self, job: Job, *, now: int) -> None:
        self.done.append("ask the site")

    def forget(self, job: Job) -> None:
        self.done.append("forget")

    def send(self, site: str, job_id: str, *, delay: int = 0) -> None:
        self.done.append(f"again in {delay} s")

    def delete_job(self, job_id: str, *, before: int, until: float) -> bool:
        self.done.append(f"delete objects up to {before - NOW}")
        return self.all_deleted

    def children(self, site: str, parent: str, *, pages: int) -> list[Job]:
        return self.born

    def any_below(self, site: str, folder: str) -> bool:
        return bool(self.born)

    def announce_end(self, child: Job) -> bool:
        self.done.append(f"announce the end of {child.id}")
        return child.id not in self.ended

    def delete_own(self, keys: tuple[str, ...]) -> None:
        self.done.append(f"delete {len(keys)} of jobferry's own")


def world(job: Job, *allocations: Allocation) -> tuple[Purging, Recorder]:
    recorder: Any = Recorder(MemoryTable({job.id: job}, {a.id: a for a in allocations}))
    purging = Purging(
        table=recorder,
        remover_of=lambda _bucket: recorder,
        queue=recorder,
        clock=lambda: NOW,
        templates=recorder,
        ends=recorder,
    )
    return purging, recorder


def dead(**more: Any) -> Job:
    return replace(a_job(), status=JobStatus.DEAD, outcome=Outcome.COMPLETE, purge=NOW, **more)


def ended(**more: Any) -> Allocation:
    return replace(an_allocation(), client_status=ClientStatus.COMPLETE, **more)


def steps(job: Job, *allocations: Allocation, all_deleted: bool = True) -> list[str]:
    purging, recorder = world(job, *allocations)
    recorder.all_deleted = all_deleted
    purging.advance("dc1", job.id, until=NOW + 60)
    return recorder.done


DELETED = ["delete objects up to 0", "delete 2 of jobferry's own"]


def test_objects_go_first_then_the_site_is_asked() -> None:
    assert steps(dead(), ended()) == [*DELETED, "ask the site"]


def test_a_registered_job_goes_with_its_versions_a_child_without_those_of_its_template() -> None:
    registered = {"registration": Registration(version=1, name="000001-b"), "earlier": ("0-a",)}
    assert steps(dead(**registered), ended())[1] == "delete 4 of jobferry's own"
    assert steps(dead(parent="t", **registered), ended())[1] == "delete 2 of jobferry's own"


def test_what_does_not_fit_into_one_call_goes_on_in_the_next() -> None:
    assert steps(dead(), ended(), all_deleted=False) == [DELETED[0], "again in 0 s"]


def test_nothing_happens_while_the_site_has_not_answered() -> None:
    assert steps(dead(), ended(desired=Desired.PURGE)) == []


def test_the_job_is_forgotten_when_its_directories_are_gone() -> None:
    gone = ended(desired=Desired.PURGE, purged_at=NOW)
    assert steps(dead(), gone) == [*DELETED, "forget"]


def test_a_job_without_an_allocation_has_nothing_on_the_site() -> None:
    assert steps(dead(current=None)) == [DELETED[0], "forget"]


@pytest.mark.parametrize("busy", [{"unpublished": True}, {"lease": "x", "lease_until": NOW + 1}])
def test_a_publisher_at_work_is_waited_for(busy: dict[str, Any]) -> None:
    gone = ended(desired=Desired.PURGE, purged_at=NOW)
    assert steps(dead(**busy), gone) == ["again in 10 s"]


def test_a_job_that_runs_or_was_never_to_be_purged_is_left_alone() -> None:
    running = replace(a_job(), status=JobStatus.RUNNING, purge=NOW)
    assert steps(running, an_allocation()) == []
    assert steps(dead(), replace(ended(), id="another")) != []
    assert steps(replace(dead(), purge=None), ended()) == []


def test_asking_twice_is_asking_once() -> None:
    job = replace(dead(), purge=None, ttl=NOW)
    purging, recorder = world(job, ended())
    requests = PurgeRequests(purging.table, purging.queue, purging.clock)
    first = requests.ask("dc1", job.id)
    assert (first.purge, first.ttl, first.unpublished, first.rev) == (NOW, None, True, job.rev + 1)
    assert requests.ask("dc1", job.id) == first
    assert recorder.table.writes == 1


@pytest.mark.parametrize("role", [Role.FOLDER, Role.REJECTED])
def test_only_a_job_of_its_own_prefix_can_be_purged(role: Role) -> None:
    purging, _ = world(replace(dead(), role=role))
    with pytest.raises(NoSuchJob, match="has no job 'job0001'"):
        PurgeRequests(purging.table, purging.queue, purging.clock).ask("dc1", "job0001")


# ---- templates ----


def a_template(**more: Any) -> Job:
    return a_job(
        role=Role.TEMPLATE,
        status=JobStatus.DEAD,
        outcome=Outcome.STOPPED,
        unpublished=False,
        current=None,
        purge=NOW,
        registration=Registration(version=1, name="000001-b", script="v", script_size=9),
        earlier=("000000-a",),
        **more,
    )


def test_a_template_goes_with_its_versions_scripts_and_signatures() -> None:
    purging, recorder = world(a_template())
    purging.advance("dc1", "job0001", until=NOW + 60)
    assert recorder.done == ["delete 8 of jobferry's own", "forget"]


CHILD = "job0001/dispatch-1-0"
HEARD = f"announce the end of {CHILD}"


def test_a_template_waits_for_the_ends_of_its_children() -> None:
    purging, recorder = world(a_template())
    recorder.born = [a_job(id=CHILD, parent="job0001")]
    purging.advance("dc1", "job0001", until=NOW + 60)
    assert recorder.done == [HEARD]
    assert recorder.job("dc1", "job0001") == a_template()
    # It had ended after all, though the query did not show it yet.
    recorder.ended.add(CHILD)
    purging.advance("dc1", "job0001", until=NOW + 60)
    assert recorder.done == [HEARD, HEARD, "delete 8 of jobferry's own"]


def test_many_children_are_gone_through_in_several_calls() -> None:
    purging, recorder = world(a_template())
    recorder.born = [a_job(id=CHILD, parent="job0001")]
    purging.advance("dc1", "job0001", until=NOW - 1)
    assert recorder.done == ["again in 0 s"]


def test_a_templates_place_stays_as_long_as_its_dead_children() -> None:
    purging, recorder = world(a_template())
    recorder.born = [replace(dead(), id=CHILD, parent="job0001", purge=None, ttl=NOW + 7)]
    purging.advance("dc1", "job0001", until=NOW + 60)
    assert recorder.done == ["delete 8 of jobferry's own"]
    left = recorder.job("dc1", "job0001")
    assert left is not None
    assert (left.role, left.purge, left.ttl) == (Role.FOLDER, None, NOW + 7)


@pytest.mark.parametrize(
    ("place", "more"),
    [
        (a_folder(id="job0001", ttl=NOW + 7), ["forget"]),
        (a_folder(id="job0001"), []),  # an ordinary folder stays
        (None, []),
    ],
)
def test_the_last_child_takes_the_place_along(place: Job | None, more: list[str]) -> None:
    child = replace(dead(), id=CHILD, parent="job0001")
    gone = ended(desired=Desired.PURGE, purged_at=NOW)
    purging, recorder = world(child, gone)
    if place is not None:
        recorder.table.jobs["job0001"] = place
    purging.advance("dc1", CHILD, until=NOW + 60)
    assert recorder.done == [*DELETED, "forget", *more]


def test_a_template_that_was_revived_is_not_purged() -> None:
    purging, recorder = world(replace(a_template(), status=JobStatus.RUNNING, outcome=None))
    purging.advance("dc1", "job0001", until=NOW + 60)
    assert recorder.done == []
