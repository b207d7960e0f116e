"""Logs of an array while it runs: of a few elements, and remembered for those alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from job_protocol.elements import Element, Elements, ElementState
from job_protocol.object_keys import STDOUT, element_log
from job_protocol.states import ClientStatus
from puller.array_wrapper import element_dir
from puller.bringing import Bringing
from puller.lifecycle import Lifecycle
from puller.publishing import LIVE_ELEMENTS, LOG_INTERVAL, Publishing
from tests.unit.puller.memory_bucket import MemoryBucket
from tests.unit.puller.test_watching_arrays import COUNT, Rig

RUNS, DONE = Element(ElementState.RUNNING), Element(ElementState.COMPLETE, 0)


def starts(rig: Rig, index: int) -> None:
    job_dir = rig.root / "jobs/j"
    job_dir.mkdir(parents=True, exist_ok=True)
    log = job_dir / element_log(STDOUT, index)
    log.write_text(f"{index}\n")
    folder = element_dir(rig.control, index)
    folder.mkdir(parents=True)
    (folder / "start").write_text(f"id=17\nrestart=0\nhost=n\ntime=1\nstdout={log}\nend\n")


def test_logs_of_a_few_running_elements_are_pushed(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    for index in range(10):
        starts(rig, index)
    bucket = MemoryBucket()
    lifecycle = Lifecycle(replace(rig.place, bucket=bucket))
    publishing = Publishing(lifecycle, Bringing(lifecycle))
    vector = Elements.queued(COUNT).changed(dict.fromkeys(range(10), RUNS))
    rig.record = rig.place.journal.write(
        replace(rig.record, elements=vector.pack(), reported=ClientStatus.RUNNING)
    )
    pushed = publishing.push_growing_logs(rig.record)
    first = {element_log(STDOUT, index) for index in range(LIVE_ELEMENTS)}
    assert set(pushed.logs) == first
    assert set(bucket.latest) == {f"j/{name}" for name in first}
    rig.now += LOG_INTERVAL
    later = vector.changed(dict.fromkeys(range(LIVE_ELEMENTS), DONE))
    pushed = publishing.push_growing_logs(replace(pushed, elements=later.pack()))
    assert set(pushed.logs) == {
        element_log(STDOUT, index) for index in range(LIVE_ELEMENTS, 2 * LIVE_ELEMENTS)
    }
