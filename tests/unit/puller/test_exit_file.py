from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.exit_file import (
    Broken,
    ExitRecord,
    StartRecord,
    parse_exit,
    parse_start,
    read_records,
)

START = (
    b"id=4711\nrestart=0\nhost=node01\ntime=1700000000\n"
    b"stdout=/home/u/job 1/a=b.txt\nstderr=/dev/null\nend\n"
)
EXIT = b"id=4711\nrestart=1\nhost=node01\nstarted=1700000000\nended=1700000060\ncode=3\nend\n"


def test_whole_records_are_read(tmp_path: Path) -> None:
    (tmp_path / "start").write_bytes(START)
    (tmp_path / "exit").write_bytes(EXIT)
    records = read_records(tmp_path)
    assert records.start == StartRecord(
        scheduler_id="4711",
        restart=0,
        host="node01",
        time=1700000000,
        stdout=Path("/home/u/job 1/a=b.txt"),
    )
    assert records.exit == ExitRecord(
        scheduler_id="4711",
        restart=1,
        host="node01",
        started=1700000000,
        ended=1700000060,
        code=3,
    )
    assert records.problems == ()


def test_records_that_are_not_there_are_no_problem(tmp_path: Path) -> None:
    records = read_records(tmp_path / "nowhere")
    assert (records.start, records.exit, records.problems) == (None, None, ())


@pytest.mark.parametrize("whole", [START, EXIT])
def test_a_record_that_is_cut_anywhere_says_nothing(whole: bytes) -> None:
    for length in range(len(whole)):
        assert isinstance(parse_start(whole[:length]), Broken)
        assert isinstance(parse_exit(whole[:length]), Broken)


@given(st.binary())
def test_no_content_raises(content: bytes) -> None:
    assert isinstance(parse_start(content), Broken | StartRecord)
    assert isinstance(parse_exit(content + b"\nend\n"), Broken | ExitRecord)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"code=3", b"code=-1", "-1"),
        (b"code=3", b"code=256", "256"),
        (b"code=3", b"code=\xef\xbc\x93", "number"),
        (b"restart=1", b"restart=", "number"),
        (b"id=4711", b"id=", "id is empty"),
        (b"id=4711", b"id=4711\nid=4712", "twice"),
        (b"code=3\n", b"", "code"),
    ],
)
def test_nonsense_is_named(old: bytes, new: bytes, problem: str) -> None:
    found = parse_exit(EXIT.replace(old, new))
    assert isinstance(found, Broken)
    assert problem in found.problem


def test_keys_of_a_newer_wrapper_are_ignored() -> None:
    assert isinstance(parse_exit(b"colour=blue\n" + EXIT), ExitRecord)


def test_what_a_job_puts_in_place_of_a_record_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "start")
    (tmp_path / "exit").symlink_to("/dev/zero")
    records = read_records(tmp_path)
    assert (records.start, records.exit) == (None, None)
    assert len(records.problems) == 2
    assert str(tmp_path / "start") in records.problems[0]
