"""A further attempt at an array in the directory of the one before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Entry, Manifest
from job_protocol.object_keys import OWNER_MARK
from puller.confined_tree import ConfinedTree
from puller.continuing import go_on, known_files, missing_of
from puller.job_directory import JobDirectory, control_directory
from puller.results import plan_results

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST, SECOND = "0" * 8 + "-first", "1" * 8 + "-second"
MANIFEST = Manifest(
    (Entry("aws-job-run.sh", "v", 1), Entry("in.txt", "v", 1), Entry("gone.txt", "v", 1))
)


@pytest.fixture
def directory(tmp_path: Path) -> JobDirectory:
    made = JobDirectory(tmp_path, "job")
    made.prepare(FIRST, NOW)
    for name in ("aws-job-run.sh", "in.txt", "out.0.txt"):
        (made.path / name).write_text(name)
    (made.path / "kept/empty").mkdir(parents=True)
    (made.path / "link").symlink_to("in.txt")
    return made


def test_it_keeps_what_is_there_and_only_what_changes_is_a_result(
    directory: JobDirectory, tmp_path: Path
) -> None:
    control = control_directory(tmp_path, SECOND)
    go_on(directory, FIRST, SECOND, control)
    assert directory.owner() == SECOND
    assert directory.prepare(SECOND, NOW).resumed
    (directory.path / "out.1.txt").write_text("new")
    with (directory.path / "in.txt").open("a") as file:
        file.write("changed")
    (directory.path / "link").unlink()
    plan = plan_results(directory, known_files(control), JobSettings())
    assert [file.path for file in plan.files] == ["in.txt", "out.1.txt"]
    assert plan.folders == ()


def test_only_the_script_and_what_is_missing_is_staged(
    directory: JobDirectory, tmp_path: Path
) -> None:
    control = control_directory(tmp_path, SECOND)
    assert missing_of(MANIFEST, control) == MANIFEST
    go_on(directory, FIRST, SECOND, control)
    assert [entry.path for entry in missing_of(MANIFEST, control).entries] == [
        "aws-job-run.sh",
        "gone.txt",
    ]


def test_a_crash_before_the_mark_is_made_good(
    directory: JobDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = control_directory(tmp_path, SECOND)

    write = ConfinedTree.write

    def dies(tree: ConfinedTree, path: str, content: bytes, *, mode: int = 0o600) -> None:
        if path == OWNER_MARK:
            raise KeyboardInterrupt
        write(tree, path, content, mode=mode)

    with monkeypatch.context() as patched:
        patched.setattr(ConfinedTree, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            go_on(directory, FIRST, SECOND, control)
    assert directory.owner() == FIRST
    go_on(directory, FIRST, SECOND, control)
    assert directory.owner() == SECOND
    (directory.path / "link").unlink()
    assert plan_results(directory, known_files(control), JobSettings()).files == ()


def test_a_third_attempt_finds_the_directory_whether_or_not_the_second_had_it(
    directory: JobDirectory, tmp_path: Path
) -> None:
    third = "2" * 8 + "-third"
    assert directory.origin() == FIRST
    go_on(directory, FIRST, SECOND, control_directory(tmp_path, SECOND))
    assert (directory.owner(), directory.origin()) == (SECOND, FIRST)
    go_on(directory, FIRST, third, control_directory(tmp_path, third))
    assert (directory.owner(), directory.origin()) == (third, FIRST)


def test_a_new_directory_of_a_further_attempt_is_known_as_such(tmp_path: Path) -> None:
    made = JobDirectory(tmp_path, "job")
    made.prepare(SECOND, NOW, origin=FIRST)
    assert (made.owner(), made.origin()) == (SECOND, FIRST)
