"""What a pass asks and writes for an array of a thousand elements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from job_protocol.allocation import Allocation
from job_protocol.elements import Elements, ElementState
from job_protocol.job_settings import JobSettings
from job_protocol.states import ClientStatus
from puller.array_wrapper import element_dir
from puller.cloud.written import Written
from puller.journal import Journal, Phase, Record, to_document
from puller.lifecycle import ELEMENTS_INTERVAL, Lifecycle
from puller.observation import Live, Over
from puller.schedulers.slurm import Slurm
from puller.settings import Settings
from puller.watching_arrays import ArrayWatching
from puller.workplace import Listing, Workplace
from tests.kill_points.world import no_artifacts
from tests.schedulers.conformance import Replayed, answered

COUNT = 1000
NOW = 1_700_000_000.0


@dataclass
class Queue:
    """The table as far as reports need it."""

    written: list[Mapping[str, Any]] = field(default_factory=list)

    def observe(
        self, _id: str, _token: str, *, obs: int, status: ClientStatus, facts: Mapping[str, Any]
    ) -> Written:
        self.written.append({**facts, "obs": obs, "status": status})
        return Written.DONE


@dataclass
class Rig:
    """A place with a Slurm that is replayed, and one array."""

    root: Path
    now: float = NOW
    queue: Queue = field(default_factory=Queue)
    states: dict[int, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.record = Record(
            allocation=Allocation(
                site="dc1",
                job="j",
                id="0" * 8 + "-0000-0000-0000-000000000000",
                settings=JobSettings(count=COUNT),
                claimed_at=int(NOW),
            ),
            token="t",
            phase=Phase.SUBMITTED,
            submitted_at=NOW,
            scheduler_id="17",
            reported=ClientStatus.QUEUED,
        )
        self.control = self.root / "jobs/.jobferry/alloc" / self.record.id
        unused: Any = None
        queue: Any = self.queue
        settings = Settings(
            site="dc1",
            bucket="b",
            table="t",
            region="r",
            scheduler="slurm",
            jobs_dir=self.root / "jobs",
            state_dir=self.root / "state",
            lock_dir=self.root,
        )
        self.place = Workplace(
            settings=settings,
            queue=queue,
            bucket=unused,
            scheduler=Slurm({"PATH": "/usr/bin"}, run=self._run),
            journal=Journal(self.root / "state"),
            installation="i",
            clock=lambda: self.now,
            login_environment=dict,
            artifact_sources=no_artifacts,
        )

    def _run(self, arguments: Any, **more: Any) -> Any:
        self.asked.append(arguments[0])
        wrapper = self.control / "wrapper.sh"
        lines = "".join(
            "\x1f".join((f"17_{index}", state, str(int(NOW)), "N/A", "u", "None", str(wrapper)))
            + "\n"
            for index, state in self.states.items()
        )
        gone = answered(code=1, stderr="Invalid job id specified\n")
        return Replayed({"squeue": answered(lines), "scontrol": gone, "sacct": answered()})(
            arguments, **more
        )

    def look(self) -> Live | Over:
        self.record, concluded = ArrayWatching(self.place).look(
            self.record, self.control, Listing(self.place.scheduler)
        )
        return concluded

    def ended(self, index: int, code: int) -> None:
        folder = element_dir(self.control, index)
        folder.mkdir(parents=True)
        head = "id=17\nrestart=0\nhost=n\n"
        (folder / "start").write_text(f"{head}time={int(NOW) + 1}\nend\n")
        (folder / "exit").write_text(f"{head}started=1\nended={int(NOW) + 9}\ncode={code}\nend\n")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_pass_over_a_thousand_elements_asks_a_bounded_number_of_questions(rig: Rig) -> None:
    for index in range(600):
        rig.ended(index, 3 if index % 2 else 0)
    rig.states = dict.fromkeys(range(600, 700), "RUNNING") | dict.fromkeys(
        range(700, 1000), "PENDING"
    )
    assert rig.look() == Live(ClientStatus.RUNNING, "RUNNING")
    assert rig.asked == ["squeue", "scontrol", "sacct"]
    elements = Elements.unpack(rig.record.elements or b"")
    assert len(elements.of(ElementState.COMPLETE)) == 300
    assert len(elements.of(ElementState.FAILED)) == 300
    assert len(elements.of(ElementState.RUNNING)) == 100
    assert len(to_document(rig.record)) < 4000


def test_the_files_of_elements_that_have_ended_or_are_live_are_not_read_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(990):
        rig.ended(index, 0)
    rig.states = dict.fromkeys(range(990, 1000), "RUNNING")
    rig.look()
    monkeypatch.setattr("puller.watching_arrays.read_records", lambda _: pytest.fail("it is read"))
    assert isinstance(rig.look(), Live)


def test_the_end_comes_with_the_last_element(rig: Rig) -> None:
    for index in range(COUNT - 1):
        rig.ended(index, 0)
    rig.states = {999: "RUNNING"}
    assert isinstance(rig.look(), Live)
    rig.states = {}
    assert isinstance(rig.look(), Live)  # nobody knows it: no evidence of an end
    rig.ended(999, 9)
    concluded = rig.look()
    assert isinstance(concluded, Over)
    end = concluded.end
    assert (end.status, end.exit_code, end.time) == (ClientStatus.FAILED, 9, int(NOW) + 9)
    assert end.reason == "1 of 1000 elements failed: 999"
    assert rig.record.started_at == NOW + 1


def test_elements_are_told_once_a_pass_and_by_a_lingering_puller_now_and_then(rig: Rig) -> None:
    lifecycle = Lifecycle(rig.place)
    lifecycle.tell_after = 3.0

    def one_pass(index: int) -> int:
        before = len(rig.queue.written)
        rig.ended(index, 0)
        rig.states = dict.fromkeys(range(index + 1, COUNT), "RUNNING")
        rig.look()
        told = lifecycle.report(rig.record, ClientStatus.RUNNING, None)
        assert told is not None
        rig.record = told
        return len(rig.queue.written) - before

    assert one_pass(0) == 1
    assert one_pass(1) == 0
    rig.now += ELEMENTS_INTERVAL
    assert one_pass(2) == 1
    told = Elements.unpack(rig.queue.written[-1]["elements"])
    assert told.of(ElementState.COMPLETE) == (0, 1, 2)
    assert one_pass(3) == 0
    lifecycle.tell_after = 0.0  # the last pass before a long pause
    assert one_pass(4) == 1
