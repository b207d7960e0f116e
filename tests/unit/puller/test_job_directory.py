"""The job directory: whose it is, what lay there before, and that nothing leaves it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from puller.errors import StagingError, UnsafePath
from puller.job_directory import JobDirectory, control_directory

OURS = "0a1b2c3d-0000-5000-8000-000000000001"
THEIRS = "ffeeddcc-0000-5000-8000-000000000002"
NOW = datetime(2024, 2, 29, 12, 30, 59, tzinfo=UTC)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def prepared(jobs: Path, job_id: str = "job0001", allocation: str = OURS) -> JobDirectory:
    directory = JobDirectory(jobs, job_id)
    directory.prepare(allocation, NOW)
    return directory


def earlier(jobs: Path, job_id: str = "job0001") -> list[Path]:
    return sorted((jobs / ".jobferry/earlier" / job_id).iterdir())


def test_a_new_directory_is_made_and_marked(tmp_path: Path) -> None:
    directory = JobDirectory(tmp_path / "aws-job", "proj A/日本/job7")
    assert directory.prepare(OURS, NOW).resumed is False
    assert directory.owner() == OURS
    assert directory.path == tmp_path / "aws-job/proj A/日本/job7"


def test_its_own_directory_is_resumed_as_it_is(tmp_path: Path) -> None:
    directory = prepared(tmp_path)
    (directory.path / "half").write_text("way")
    assert directory.prepare(OURS, NOW).resumed is True
    assert (directory.path / "half").read_text() == "way"


def test_the_directory_of_another_run_is_put_aside_whole(tmp_path: Path) -> None:
    old = prepared(tmp_path, allocation=THEIRS)
    (old.path / "result").write_text("kept")
    moved = JobDirectory(tmp_path, "job0001").prepare(OURS, NOW).moved_to
    assert moved == tmp_path / ".jobferry/earlier/job0001/20240229T123059Z-ffeeddcc"
    assert (moved / "result").read_text() == "kept"
    assert names(old.path) == ["aws-job-allocation.json"]


def test_a_second_directory_put_aside_in_the_same_second_replaces_nothing(tmp_path: Path) -> None:
    for content in ("first", "second", "third"):
        (prepared(tmp_path).path / "result").write_text(content)
        prepared(tmp_path, allocation=THEIRS)
        prepared(tmp_path, allocation=OURS)
    kept = [(folder / "result") for folder in earlier(tmp_path)]
    assert {file.read_text() for file in kept if file.exists()} == {"first", "second", "third"}
    assert len(kept) == 6


@pytest.mark.parametrize(
    "mark",
    [
        "",
        "not json",
        "[]",
        '{"allocation": 7}',
        '{"allocation": "../../../../etc"}',
        '{"allocation": "0a1b2c3/"}',
        "[" * 50_000,
    ],
)
def test_an_unreadable_or_hostile_mark_is_no_owner(tmp_path: Path, mark: str) -> None:
    (tmp_path / "job0001").mkdir()
    (tmp_path / "job0001/aws-job-allocation.json").write_text(mark)
    prepared(tmp_path)
    assert [folder.name for folder in earlier(tmp_path)] == ["20240229T123059Z-unknown"]


def test_a_mark_that_is_a_link_or_a_pipe_is_no_owner(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    mark.write_text(json.dumps({"allocation": OURS}))
    for number, plant in enumerate((lambda at: at.symlink_to(mark), os.mkfifo), 1):
        directory = JobDirectory(tmp_path / str(number), "job0001")
        directory.path.mkdir(parents=True)
        plant(directory.path / "aws-job-allocation.json")
        assert directory.owner() is None
        assert directory.prepare(OURS, NOW).moved_to is not None


def test_an_empty_directory_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "job0001").mkdir()
    assert JobDirectory(tmp_path, "job0001").prepare(OURS, NOW).moved_to is None


def test_a_link_in_place_of_the_directory_is_put_aside_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "aws-job-allocation.json").write_text(json.dumps({"allocation": OURS}))
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    (jobs / "job0001").symlink_to(outside)
    directory = prepared(jobs)
    assert not directory.path.is_symlink()
    assert [path.is_symlink() for path in earlier(jobs)] == [True]
    assert names(outside) == ["aws-job-allocation.json"]


def test_a_file_in_place_of_the_directory_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "job0001").write_text("stray")
    assert prepared(tmp_path).path.is_dir()
    assert earlier(tmp_path)[0].read_text() == "stray"


@pytest.mark.parametrize("job_id", ["a/b", "a"])
def test_a_link_above_the_directory_is_refused_with_a_remedy(tmp_path: Path, job_id: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    place = jobs / ("a" if "/" in job_id else ".jobferry")
    place.symlink_to(outside)
    if job_id == "a":
        (jobs / "a").write_text("has to be put aside")
    with pytest.raises(StagingError, match="symbolic link") as caught:
        JobDirectory(jobs, job_id).prepare(OURS, NOW)
    assert caught.value.final is False
    assert names(outside) == []


def test_a_folder_of_other_jobs_is_left_alone(tmp_path: Path) -> None:
    first = prepared(tmp_path, "a/b")
    second = prepared(tmp_path, "a/c", THEIRS)
    assert (first.owner(), second.owner()) == (OURS, THEIRS)
    assert not (tmp_path / ".jobferry").exists()


def test_a_jobs_directory_that_is_a_link_is_the_sites_choice(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "aws-job").symlink_to(tmp_path / "scratch")
    prepared(tmp_path / "aws-job")
    assert (tmp_path / "scratch/job0001").is_dir()


@pytest.mark.parametrize("job_id", ["", "..", "a/../b", "/a", "a//b", ".jobferry/x", "a\nb"])
def test_a_job_id_that_is_no_path_below_the_jobs_directory_is_refused(
    tmp_path: Path, job_id: str
) -> None:
    with pytest.raises(UnsafePath):
        JobDirectory(tmp_path, job_id)


def test_a_directory_that_was_deleted_has_no_owner_and_is_made_again(tmp_path: Path) -> None:
    directory = prepared(tmp_path)
    (directory.path / "aws-job-allocation.json").unlink()
    directory.path.rmdir()
    assert directory.owner() is None
    assert directory.prepare(OURS, NOW).resumed is False
    assert directory.owner() == OURS


def test_the_control_directory_is_private_even_if_it_was_not(tmp_path: Path) -> None:
    control = control_directory(tmp_path, OURS)
    assert control.path == tmp_path / ".jobferry/alloc" / OURS
    control.path.chmod(0o755)
    control_directory(tmp_path, OURS)
    assert [p.stat().st_mode & 0o777 for p in (control.path, tmp_path / ".jobferry")] == [
        0o700,
        0o700,
    ]


@pytest.mark.parametrize("allocation", ["", "..", "a/b", "x" * 65])
def test_what_is_no_allocation_id_gets_no_control_directory(
    tmp_path: Path, allocation: str
) -> None:
    with pytest.raises(UnsafePath):
        control_directory(tmp_path, allocation)
