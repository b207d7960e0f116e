"""Nothing that is done through a confined tree reaches outside of it."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puller.confined_tree import ConfinedTree, segments_of
from puller.durable_file import write_durably
from puller.errors import UnsafePath


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@given(
    st.lists(st.sampled_from(["a", "b", "..", ".", "", "link", "up", "\0", "é", " "]), max_size=6)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_path_makes_it_write_or_read_outside(
    tmp_path_factory: pytest.TempPathFactory, segments: list[str]
) -> None:
    top = tmp_path_factory.mktemp("top")
    outside, inside = top / "outside", top / "jobs" / "job"
    (outside / "a").mkdir(parents=True)
    (outside / "a" / "b").write_text("secret")
    (inside / "a").mkdir(parents=True)
    (inside / "link").symlink_to(outside)
    (inside / "a" / "up").symlink_to("../..")
    path = "/".join(segments)
    tree = ConfinedTree(top / "jobs", "job")
    for attempt in (
        lambda: tree.write(path, b"written"),
        lambda: tree.folder(path, create=True).__enter__(),
        lambda: tree.rename("a", tree, path),
    ):
        with suppress(UnsafePath, OSError):
            attempt()
    with suppress(UnsafePath, OSError):
        assert tree.read(path, 100) != b"secret"
    assert sorted(p.relative_to(top).as_posix() for p in top.glob("*")) == ["jobs", "outside"]
    assert names(top / "jobs") == ["job"]
    assert names(outside) == ["a"]
    assert (outside / "a" / "b").read_text() == "secret"


@pytest.mark.parametrize("path", ["/etc/passwd", "..", "a/../b", "a//b", "a/", ".", "a\0b"])
def test_what_is_no_plain_relative_path_is_refused(path: str) -> None:
    with pytest.raises(UnsafePath):
        segments_of(path)


def test_a_folder_that_is_swapped_for_a_link_again_and_again_never_leads_out(
    tmp_path: Path,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret")
    jobs = tmp_path / "jobs"
    (jobs / "real").mkdir(parents=True)
    (jobs / "real/file").write_text("ours")
    tree = ConfinedTree(jobs)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (jobs / "real").rename(jobs / "aside")
            (jobs / "real").symlink_to(outside)
            (jobs / "real").unlink()
            (jobs / "aside").rename(jobs / "real")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(500):
            try:
                assert tree.read("real/file", 100) == b"ours"
                tree.write("real/new", b"x")
            except (UnsafePath, OSError):
                continue
    finally:
        stop.set()
        swapper.join()
    assert names(outside) == ["file"]


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        ConfinedTree(tmp_path).read("pipe", 1)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    tree = ConfinedTree(tmp_path)
    before = len(names(Path("/proc/self/fd")))
    for path in ("a", "link/x", "pipe", "none/x", "a/none"):
        with pytest.raises((UnsafePath, OSError)):
            tree.read(path, 1)
    assert len(names(Path("/proc/self/fd"))) == before


def test_a_durable_write_replaces_a_link_and_the_leftover_of_a_crash(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("other")
    (tmp_path / "file").symlink_to("other")
    (tmp_path / ".file.tmp").symlink_to("other")
    write_durably(tmp_path / "file", b"new", mode=0o640)
    assert (tmp_path / "other").read_text() == "other"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "file").lstat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["file", "other"]
