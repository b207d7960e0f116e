"""The audit log: chained, appended to by many, and whole after a crash."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.audit import BEGIN, FILE, AuditLog, digest_of, verify
from puller.command import main


def _log(state: Path, told: list[str] | None = None) -> AuditLog:
    lines = told if told is not None else []
    return AuditLog(state, "dc1", lambda: 1_700_000_000.0, lines.append)


def test_entries_are_chained_and_told_to_the_system_s_log(tmp_path: Path) -> None:
    told: list[str] = []
    log = _log(tmp_path, told)
    log.write("submitted", job="a\nb", allocation="1", signer=None)
    log.write("pushed", job="a", allocation="1", objects=3, bytes=10)
    first, second = (tmp_path / FILE).read_bytes().splitlines()
    assert json.loads(first) == {
        "at": "2023-11-14T22:13:20Z",
        "site": "dc1",
        "event": "submitted",
        "job": "a\nb",
        "allocation": "1",
        "previous": BEGIN,
    }
    assert json.loads(second)["previous"] == digest_of(first)
    assert all("\n" not in line for line in told)
    assert told[1].endswith(f"entry={digest_of(second)}")
    found = verify(tmp_path, digest_of(first))
    assert (found.entries, found.last, found.problems) == (2, digest_of(second), ())
    assert found.has_wanted
    assert not verify(tmp_path, "0" * 64).has_wanted
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


@given(st.data())
def test_whatever_is_changed_in_the_middle_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    state = tmp_path_factory.mktemp("audit")
    log = _log(state)
    for number in range(4):
        log.write("pushed", job=f"job {number}", objects=number)
    lines = (state / FILE).read_bytes().splitlines(keepends=True)
    last = digest_of(lines[-1])
    at = data.draw(st.integers(0, len(lines) - 1))
    kind = data.draw(st.sampled_from(["change", "drop", "double", "swap", "put in"]))
    if kind == "change":
        lines[at] = lines[at].replace(b"job ", b"JOB ")
    elif kind == "drop":
        del lines[at]
    elif kind == "double":
        lines.insert(at, lines[at])
    elif kind == "swap":
        lines[at - 1], lines[at] = lines[at], lines[at - 1]
    else:
        lines.insert(at, b'{"event": "pushed"}\n')
    (state / FILE).write_bytes(b"".join(lines))
    found = verify(state, last)
    assert found.problems or not found.has_wanted


@given(st.lists(st.integers(0, 400), min_size=1, max_size=5))
def test_a_crash_in_the_middle_of_a_line_leaves_a_sound_chain(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    state = tmp_path_factory.mktemp("audit")
    log = _log(state)
    for number, cut in enumerate(cuts):
        log.write("submitted", job=f"job {number}")
        size = (state / FILE).stat().st_size
        log.write("refused", job=f"job {number}", reason="x")
        grown = (state / FILE).stat().st_size - size
        os.truncate(state / FILE, size + min(cut, grown))  # all but `cut` bytes never came
    log.write("submitted", job="last")
    assert verify(state).problems == ()


def test_a_last_line_that_is_cut_is_told(tmp_path: Path) -> None:
    log = _log(tmp_path)
    log.write("submitted", job="a")
    log.write("submitted", job="b")
    os.truncate(tmp_path / FILE, (tmp_path / FILE).stat().st_size - 3)
    assert verify(tmp_path).problems == ("the last line is no whole entry",)


def test_a_line_that_nobody_accounts_for_is_told(tmp_path: Path) -> None:
    log = _log(tmp_path)
    log.write("submitted", job="a")
    rubbish = b"rubbish\n"
    with (tmp_path / FILE).open("ab") as file:
        file.write(rubbish)
        entry = {"event": "x", "previous": digest_of(rubbish)}
        file.write(json.dumps(entry).encode() + b"\n")
    assert verify(tmp_path).problems == ("line 2 is no entry",)


def test_many_threads_write_one_chain(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: _log(tmp_path).write("pushed", job=f"{n}"), range(60)))
    found = verify(tmp_path)
    assert (found.entries, found.problems) == (60, ())


def test_a_full_disk_stops_no_job(tmp_path: Path) -> None:
    told: list[str] = []
    _log(tmp_path / "missing", told).write("submitted", job="a")
    assert told[0].endswith("entry=none")


def test_a_line_longer_than_a_block(tmp_path: Path) -> None:
    log = _log(tmp_path)
    log.write("refused", reason="x" * 200_000)
    log.write("submitted", job="a")
    assert verify(tmp_path).problems == ()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "puller.toml"
    settings.write_text(
        'site = "dc1"\nbucket = "b"\ntable = "t"\nregion = "r"\nscheduler = "local"\n'
        f'state_dir = "{tmp_path}"\n'
    )

    def audit(*words: str) -> tuple[int, str]:
        code = main(["--settings", str(settings), "audit", "verify", *words])
        return code, capsys.readouterr().out

    assert audit()[0] == 1
    log = _log(tmp_path)
    log.write("submitted", job="a")
    log.write("submitted", job="b")
    assert audit()[0] == 0
    found = json.loads(audit("--json")[1])
    assert (found["ok"], found["entries"]) == (True, 2)
    assert audit("--entry", found["last"])[0] == 0
    assert audit("--entry", "0" * 64)[0] == 1
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(lines[1])
    code, out = audit()
    assert code == 1
    assert "line 1 does not follow" in out
