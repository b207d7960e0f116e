"""Which files of a running job are pushed, by patterns."""

from __future__ import annotations

from pathlib import Path

import pytest

from puller.confined_tree import ConfinedTree
from puller.growing_files import MOST_FILES, growing_files


@pytest.fixture
def job(tmp_path: Path) -> Path:
    for element in ("", "group.0/", "group.1/"):
        logs = tmp_path / f"{element}alloc/logs"
        logs.mkdir(parents=True)
        (logs / "task.stdout.0").write_text("log\n")
        (tmp_path / f"{element}alloc/task-states").write_text("state\n")
    return tmp_path


def test_patterns_name_files_segment_by_segment(job: Path) -> None:
    tree = ConfinedTree(job)
    assert growing_files(tree, ("alloc/logs/*", "alloc/task-states")) == [
        "alloc/logs/task.stdout.0",
        "alloc/task-states",
    ]
    assert growing_files(tree, ("group.?/alloc/logs/*.stdout.*",)) == [
        "group.0/alloc/logs/task.stdout.0",
        "group.1/alloc/logs/task.stdout.0",
    ]


def test_what_is_not_there_matches_nothing(job: Path) -> None:
    assert growing_files(ConfinedTree(job), ("nothing/*/here", "alloc/logs/*.err")) == []


def test_a_link_that_leads_out_is_not_followed(job: Path) -> None:
    outside = job.parent / f"{job.name}-outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    (job / "alloc" / "out").symlink_to(outside)
    assert growing_files(ConfinedTree(job), ("alloc/out/*",)) == []


def test_there_is_a_bound(job: Path) -> None:
    for number in range(MOST_FILES + 5):
        (job / "alloc/logs" / f"{number:03}").write_text("x")
    assert len(growing_files(ConfinedTree(job), ("alloc/logs/*", "alloc/logs/*"))) == MOST_FILES
