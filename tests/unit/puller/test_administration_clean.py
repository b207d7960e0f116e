"""`clean`: only what is known to be published goes, whatever lies around it."""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.allocation import Allocation
from puller.administration.clean import duration
from puller.command import main
from puller.errors import PullerError
from puller.finished import FinishedAllocations
from puller.journal import Journal, Record
from puller.lock import exclusive_lock, prepare_lock_dir
from puller.pass_lock import pass_lock
from puller.removal import REMOVING, Removal
from puller.settings import Settings
from puller.shared_cache import CACHE

A = "11111111-1111-4111-8111-111111111111"
B = "22222222-2222-4222-8222-222222222222"
DAY = 86400
NOW = 1_800_000_000
LONG_AGO = NOW - 40 * DAY


@dataclass
class Place:
    settings: Settings

    @property
    def jobs(self) -> Path:
        return self.settings.jobs_dir

    def lay(self, path: str, allocation: str, job: str | None = None) -> Path:
        folder = self.jobs / path
        folder.mkdir(parents=True)
        mark = {"allocation": allocation, "job": job or path}
        (folder / "aws-job-allocation.json").write_text(json.dumps(mark))
        (folder / "out").mkdir()
        (folder / "out/result.txt").write_text("result")
        return folder

    def hold(self, allocation: str, job: str) -> None:
        Journal(self.settings.state).write(
            Record(allocation=Allocation(site="dc1", job=job, id=allocation), token="t")
        )

    def removal(self, finished: dict[str, int]) -> Removal:
        return Removal(self.settings, finished)

    def clean(self, finished: dict[str, int], wait: float = 0) -> set[str]:
        removal = self.removal(finished)
        moved = removal.put_aside(removal.plan(NOW - 30 * DAY), wait=wait)
        assert removal.delete_put_aside() == []
        return {directory.path for directory, _ in moved}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "jobs").mkdir()
    return Place(
        Settings(
            site="dc1",
            bucket="b",
            table="t",
            region="r",
            scheduler="local",
            jobs_dir=tmp_path / "jobs",
            state_dir=tmp_path / "state",
            lock_dir=tmp_path / "locks",
        )
    )


def test_a_published_directory_goes(place: Place) -> None:
    folder = place.lay("projA/job 1", A)
    assert place.clean({A: LONG_AGO}) == {"projA/job 1"}
    assert not folder.exists()


def test_a_directory_of_an_earlier_run_goes_with_its_empty_parents(place: Place) -> None:
    earlier = place.lay(".jobferry/earlier/projA/job1/20250101T000000Z-11111111", A, "projA/job1")
    place.lay("projA/job1", B)
    assert place.clean({A: LONG_AGO}) == {".jobferry/earlier/projA/job1/20250101T000000Z-11111111"}
    assert not earlier.parent.parent.exists()
    assert (place.jobs / "projA/job1/out/result.txt").exists()


@pytest.mark.parametrize(
    ("finished", "why"),
    [({}, "not known as published"), ({A: NOW - DAY}, "too young"), ({B: LONG_AGO}, "another's")],
)
def test_what_is_not_known_as_long_published_stays(
    place: Place, finished: dict[str, int], why: str
) -> None:
    folder = place.lay("job1", A)
    assert place.clean(finished) == set(), why
    assert (folder / "out/result.txt").exists()


def test_what_the_journal_holds_stays(place: Place) -> None:
    place.lay("job1", A)
    place.hold(A, "job1")
    assert place.clean({A: LONG_AGO}) == set()


def test_the_directory_of_a_job_that_is_about_to_run_again_stays(place: Place) -> None:
    place.lay("job1", A)
    place.hold(B, "job1")
    assert place.clean({A: LONG_AGO}) == set()


def test_a_journal_entry_that_cannot_be_read_protects_its_directory(place: Place) -> None:
    place.lay("job1", A)
    Journal(place.settings.state)
    (place.settings.state / f"journal/{A}.json").write_text("{cut")
    assert place.clean({A: LONG_AGO}) == set()


def test_a_copy_that_somebody_made_stays(place: Place) -> None:
    copy = place.lay("my-copy-of-job1", A, "job1")
    assert place.clean({A: LONG_AGO}) == set()
    assert copy.exists()


@pytest.mark.parametrize(
    "mark", ["{", "[]", '{"allocation": 1, "job": "job1"}', "", '{"allocation": "x"}']
)
def test_a_directory_with_a_broken_mark_stays(place: Place, mark: str) -> None:
    folder = place.lay("job1", A)
    (folder / "aws-job-allocation.json").write_text(mark)
    place.lay("job1/out/inner", A)
    assert place.clean({A: LONG_AGO}) == set()
    assert (folder / "out/inner").exists()


def test_links_are_not_followed(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "aws-job-allocation.json").write_text(json.dumps({"allocation": A, "job": "link"}))
    (place.jobs / "link").symlink_to(outside)
    folder = place.lay("job1", B)
    (folder / "to-outside").symlink_to(outside)
    (folder / "out/to-file").symlink_to(outside / "aws-job-allocation.json")
    assert place.clean({A: LONG_AGO, B: LONG_AGO}) == {"job1"}
    assert (outside / "aws-job-allocation.json").exists()
    assert outside.stat().st_mode & 0o777 == 0o755


def test_folders_without_write_permission_go_too(place: Place) -> None:
    folder = place.lay("job1", A)
    (folder / "out").chmod(0o500)
    folder.chmod(0o500)
    place.clean({A: LONG_AGO})
    assert list((place.jobs / REMOVING).iterdir()) == []


def test_a_removal_that_was_interrupted_is_gone_on_with(place: Place) -> None:
    place.lay("job1", A)
    removal = place.removal({A: LONG_AGO})
    removal.put_aside(removal.plan(NOW), wait=0)
    assert not (place.jobs / "job1").exists()
    assert place.clean({}) == set()
    assert list((place.jobs / REMOVING).iterdir()) == []


def test_a_control_directory_that_a_crash_left_goes_along(place: Place) -> None:
    place.lay("job1", A)
    control = place.jobs / f".jobferry/alloc/{A}"
    control.mkdir(parents=True)
    place.clean({A: LONG_AGO})
    assert not control.exists()


def test_while_a_pass_is_at_work_nothing_is_moved(place: Place) -> None:
    place.lay("job1", A)
    prepare_lock_dir(place.settings.locks)
    with (
        exclusive_lock(pass_lock(place.settings)),
        pytest.raises(PullerError, match="nothing was changed"),
    ):
        place.clean({A: LONG_AGO})
    assert (place.jobs / "job1").exists()


def test_it_waits_for_the_pass_to_end(place: Place) -> None:
    place.lay("job1", A)
    prepare_lock_dir(place.settings.locks)
    locked = threading.Event()

    def one_pass() -> None:
        with exclusive_lock(pass_lock(place.settings)):
            locked.set()
            time.sleep(0.2)

    with ThreadPoolExecutor() as pool:
        pool.submit(one_pass)
        assert locked.wait(10)
        assert place.clean({A: LONG_AGO}, wait=10) == {"job1"}


def test_what_was_claimed_again_meanwhile_stays(place: Place) -> None:
    place.lay("job1", A)
    removal = place.removal({A: LONG_AGO})
    wanted = removal.plan(NOW)
    place.hold(B, "job1")
    assert removal.put_aside(wanted, wait=0) == []
    assert (place.jobs / "job1").exists()


def test_the_command_says_what_it_would_do_and_does_it(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place.lay("job1", A)
    place.settings.state.mkdir()
    FinishedAllocations(place.settings.state).add(A, int(time.time()) - 40 * DAY)
    file = tmp_path / "s.toml"
    file.write_text(
        'site = "dc1"\nbucket = "b"\ntable = "t"\nregion = "r"\nscheduler = "local"\n'
        f'jobs_dir = "{place.jobs}"\nstate_dir = "{place.settings.state}"\n'
        f'lock_dir = "{place.settings.locks}"\n'
    )
    command = ["--settings", str(file), "clean", "--published", "--older-than", "30d", "--json"]
    assert main([*command, "--dry-run"]) == 0
    assert [row["job"] for row in json.loads(capsys.readouterr().out)["removed"]] == ["job1"]
    assert (place.jobs / "job1").exists()
    assert main(command) == 0
    assert not (place.jobs / "job1").exists()


def _keep(jobs: Path, name: str, used: float, linked_as: str | None = None) -> Path:
    """A file of the cache of shared inputs, which a job directory may have too."""
    folder = jobs / CACHE / name
    folder.mkdir(parents=True)
    (folder / "content").write_bytes(b"x" * 1000)
    (folder / "facts.json").write_text("{}")
    os.utime(folder / "facts.json", (used, used))
    if linked_as is not None:
        (jobs / linked_as).parent.mkdir(parents=True, exist_ok=True)
        os.link(folder / "content", jobs / linked_as)
    return folder


@pytest.fixture
def puller(place: Place, tmp_path: Path) -> list[str]:
    """The command line up to the subcommand."""
    file = tmp_path / "s.toml"
    file.write_text(
        'site = "dc1"\nbucket = "b"\ntable = "t"\nregion = "r"\nscheduler = "local"\n'
        f'jobs_dir = "{place.jobs}"\nstate_dir = "{place.settings.state}"\n'
        f'lock_dir = "{place.settings.locks}"\n'
    )
    return ["--settings", str(file)]


def test_the_cache_is_emptied_and_a_job_directory_keeps_its_own(
    place: Place, puller: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    job = place.lay("job1", A)
    kept = [
        _keep(place.jobs, "a" * 64, time.time() - 9 * DAY),
        _keep(place.jobs, "b" * 64, time.time() - 1, linked_as="job1/mesh.h5"),
    ]
    clean = [*puller, "clean", "--cache"]
    assert main([*clean, "--dry-run"]) == 0
    assert "2 shared inputs to remove, 1000 bytes" in capsys.readouterr().out
    assert all(folder.exists() for folder in kept)
    assert main([*clean, "--older-than", "1w", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == 1
    assert [folder.exists() for folder in kept] == [False, True]
    assert main(clean) == 0
    assert not kept[1].exists()
    assert (job / "mesh.h5").read_bytes() == b"x" * 1000
    assert (job / "out/result.txt").exists()


def test_the_cache_waits_for_a_pass_at_work(
    place: Place, puller: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _keep(place.jobs, "a" * 64, 0)
    monkeypatch.setattr("puller.administration.clean._WAIT_SECONDS", 0.0)
    prepare_lock_dir(place.settings.locks)
    with exclusive_lock(pass_lock(place.settings)):
        assert main([*puller, "clean", "--cache"]) == 1
    assert folder.exists()


def test_status_counts_a_shared_input_once_however_many_jobs_have_it(
    place: Place, puller: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for number, allocation in enumerate((A, B)):
        place.lay(f"job{number}", allocation)
    assert main([*puller, "status", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)["job_directories"]["bytes"]
    folder = _keep(place.jobs, "a" * 64, time.time(), linked_as="job0/mesh.h5")
    os.link(folder / "content", place.jobs / "job1/mesh.h5")
    _keep(place.jobs, "b" * 64, time.time())
    assert main([*puller, "status", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    cache = report["cache"]
    assert (cache["files"], cache["bytes"], cache["linked_bytes"]) == (2, 2000, 1000)
    on_disk = (folder / "content").stat().st_blocks * 512
    assert report["job_directories"]["bytes"] == before + on_disk
    assert main([*puller, "status"]) == 0
    assert "shared inputs: 2 in" in capsys.readouterr().out


def test_without_a_word_for_what_nothing_is_removed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["clean", "--older-than", "30d"])
    assert left.value.code == 2


@pytest.mark.parametrize(("text", "seconds"), [("12h", 43200), ("30d", 30 * DAY), ("2w", 14 * DAY)])
def test_ages(text: str, seconds: int) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["30", "d", "-1d", "1m", "1.5d", ""])
def test_an_age_that_is_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)


# ---- the record of what is published ----


def test_what_was_added_is_read(tmp_path: Path) -> None:
    record = FinishedAllocations(tmp_path)
    record.add(A, LONG_AGO)
    record.add(B, NOW)
    assert FinishedAllocations(tmp_path).read() == {A: LONG_AGO, B: NOW}


@given(cut=st.integers(0, 48))
def test_a_line_that_was_cut_says_nothing_and_spoils_none(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    state = tmp_path_factory.mktemp("state")
    FinishedAllocations(state).add(A, LONG_AGO)
    file = state / "finished"
    os.truncate(file, cut)
    expected = {A: LONG_AGO} if cut >= 48 else {}
    assert FinishedAllocations(state).read() == expected
    FinishedAllocations(state).add(B, NOW)
    assert FinishedAllocations(state).read() == {**expected, B: NOW}


def test_the_record_is_bounded_and_forgets_the_oldest(tmp_path: Path) -> None:
    record = FinishedAllocations(tmp_path, max_bytes=200)
    for number in range(100):
        record.add(f"{number:08d}", NOW)
    kept = record.read()
    assert "00000099" in kept
    assert "00000000" not in kept
    assert len(list(tmp_path.iterdir())) == 4
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 1000


def test_threads_share_the_record(tmp_path: Path) -> None:
    record = FinishedAllocations(tmp_path, max_bytes=10_000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: record.add(f"{number:08d}", NOW), range(200)))
    assert len(record.read()) == 200
