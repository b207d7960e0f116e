"""Files of a job into a directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.states import Word
from jobferry.download import plan_download
from jobferry.errors import (
    CloudUnreachable,
    JobNotFound,
    LocalFilesDiffer,
    TransferFailed,
    UsageError,
)
from jobferry.interface import RemoteFile
from jobferry.job import Job
from jobferry.report import Report
from tests.unit.jobferry.memory_access import MemoryAccess

THEN = 1_700_000_000


def _access(**files: bytes) -> MemoryAccess:
    return MemoryAccess({name: (body, THEN, None) for name, body in files.items()})


def _job(access: MemoryAccess) -> Job:
    return Job(access, "projA/job7")


def test_files_arrive_with_mode_time_and_empty_folders(tmp_path: Path) -> None:
    access = MemoryAccess(
        {
            "out/tool.sh": (b"#!/bin/sh\n", THEN, 0o750),
            "empty/": (b"", THEN, None),
            "aws-job-stdout.txt": (b"hello\n", THEN, None),
            "aws-job-stat.txt": (b"JOB_COMPLETE\n", THEN, None),
            "aws-job-stat.json": (b"{}", THEN, None),
        }
    )
    got = _job(access).get(tmp_path / "results")
    tool = tmp_path / "results/out/tool.sh"
    assert (tool.stat().st_mode & 0o7777, tool.stat().st_mtime) == (0o750, THEN)
    assert (tmp_path / "results/empty").is_dir()
    assert (got.files, got.size) == (2, 16)
    assert sorted(p.name for p in (tmp_path / "results").iterdir()) == [
        "aws-job-stdout.txt",
        "empty",
        "out",
    ]


def test_the_directory_is_named_as_the_last_part_of_the_job_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _job(_access(a=b"1")).get()
    assert (tmp_path / "job7/a").read_bytes() == b"1"


def test_a_second_download_fetches_only_what_is_new(tmp_path: Path) -> None:
    access = _access(same=b"1", grown=b"1")
    _job(access).get(tmp_path)
    access.contents["grown"] = (b"123", THEN + 60, None)
    access.contents["rewritten"] = (b"9", THEN + 60, None)
    access.fetched.clear()
    got = _job(access).get(tmp_path)
    assert sorted(access.fetched) == ["grown", "rewritten"]
    assert got.present == 1
    assert (tmp_path / "grown").read_bytes() == b"123"


def test_what_was_changed_here_is_kept_unless_forced(tmp_path: Path) -> None:
    access = _access(notes=b"1", other=b"2")
    (tmp_path / "notes").write_text("mine, and longer")
    with pytest.raises(LocalFilesDiffer, match=r"notes.*--force"):
        _job(access).get(tmp_path)
    assert access.fetched == []
    _job(access).get(tmp_path, force=True)
    assert (tmp_path / "notes").read_text() == "1"


def test_only_takes_what_its_patterns_name(tmp_path: Path) -> None:
    access = MemoryAccess(dict.fromkeys(("out/a.png", "out/b.dat", "c"), (b"1", THEN, None)))
    _job(access).get(tmp_path, only=["*.png"])
    assert access.fetched == ["out/a.png"]


def test_a_faulty_pattern_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.\."):
        _job(_access(a=b"1")).get(tmp_path, only=["../*"])


def test_an_interrupted_file_leaves_nothing_half_and_counts_nothing_twice(tmp_path: Path) -> None:
    access = _access(a=b"12345")
    access.failures = [TransferFailed("cut")]
    seen: list[int] = []

    with pytest.raises(TransferFailed, match="cut"):
        _job(access).get(tmp_path, progress=lambda _total: seen.append)
    assert list(tmp_path.iterdir()) == []
    assert sum(seen) == 0
    _job(access).get(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"12345"


def test_a_passing_fault_is_tried_again(tmp_path: Path) -> None:
    access = _access(a=b"12345")
    access.failures = [CloudUnreachable("x"), CloudUnreachable("x")]
    _job(access).get(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"12345"


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil", "a//b", "x\ny", "."])
def test_a_key_never_leads_out_of_the_directory(tmp_path: Path, path: str) -> None:
    access = MemoryAccess({path: (b"1", THEN, None), "good": (b"1", THEN, None)})
    got = _job(access).get(tmp_path / "in")
    assert got.unsafe == (path,)
    assert [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()] == [
        Path("in/good")
    ]


def test_a_link_in_the_directory_does_not_lead_out_either(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (inside / "out").symlink_to(outside)
    (outside / "target").write_text("precious")
    (inside / "file").symlink_to(outside / "target")
    access = MemoryAccess({"out/new/evil": (b"1", THEN, None)})
    with pytest.raises(TransferFailed, match="leads out"):
        _job(access).get(inside)
    assert sorted(p.name for p in outside.iterdir()) == ["target"]
    _job(_access(file=b"1")).get(inside)
    assert (outside / "target").read_text() == "precious"
    assert (inside / "file").read_text() == "1"


def test_a_file_where_a_folder_must_be_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(TransferFailed, match="out/x cannot be written"):
        _job(MemoryAccess({"out/x": (b"1", THEN, None)})).get(tmp_path)


def test_a_job_without_files_is_not_found_unless_it_exists(tmp_path: Path) -> None:
    access = MemoryAccess()
    with pytest.raises(JobNotFound, match="projA/job7"):
        _job(access).get(tmp_path)
    access.states = [Report("projA/job7", Word.JOB_RUNNING)]
    assert _job(access).get(tmp_path).files == 0


def test_an_ended_job_is_not_stopped() -> None:
    access = MemoryAccess()
    access.states = [Report("projA/job7", Word.JOB_COMPLETE)]
    _job(access).stop()
    assert access.stopped == []
    access.states = [Report("projA/job7", Word.JOB_RUNNING)]
    _job(access).stop()
    assert access.stopped == ["projA/job7"]


@given(st.lists(st.text(max_size=20), max_size=10))
def test_no_planned_path_leads_out(paths: list[str]) -> None:
    remote = [RemoteFile(path, 1, THEN) for path in paths]
    plan = plan_download("job0001", remote, lambda _path: None)
    for path in [file.path for file in plan.fetch] + list(plan.folders):
        normal = os.path.normpath(f"/root/dir/{path}")
        assert normal.startswith("/root/dir/")
