"""The journal: what is written comes back whole, and what is broken stops nobody."""

from __future__ import annotations

import errno
import json
import logging
import os
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.allocation import Allocation
from job_protocol.job_settings import JobSettings, Resources
from job_protocol.states import ClientStatus
from puller import journal as journal_module
from puller.journal import End, Journal, JournalError, Phase, Record, from_document, to_document
from puller.live_logs import PushedLog

ID = "11111111-2222-4333-8444-555555555555"

times = st.none() | st.floats(min_value=0, max_value=2**40, allow_nan=False)
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
allocations = st.builds(
    Allocation,
    site=st.just("dc1"),
    job=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    id=st.uuids().map(str),
    client_status=st.sampled_from(ClientStatus),
    settings=st.builds(
        JobSettings, name=texts.map(lambda t: t or None), resources=st.just(Resources(cpus=2))
    ),
    manifest=st.none() | st.binary(min_size=1, max_size=30),
    claimed_at=st.none() | st.integers(1, 2**40),
)
records = st.builds(
    Record,
    allocation=allocations,
    token=st.uuids().map(str),
    phase=st.sampled_from(Phase),
    obs=st.integers(0, 99),
    reported=st.sampled_from(ClientStatus),
    reported_reason=texts,
    submitting_at=times,
    submitted_at=times,
    scheduler_id=texts,
    deferred=texts,
    missing_since=times,
    stop_asked_at=times,
    end=st.none()
    | st.builds(
        End,
        status=st.sampled_from([s for s in ClientStatus if s.terminal]),
        exit_code=st.none() | st.integers(0, 255),
        reason=texts,
        time=st.integers(0, 2**40),
    ),
)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def record(**changes: object) -> Record:
    made = Record(allocation=Allocation(site="dc1", job="job0001", id=ID), token="t")
    return replace(made, **changes)  # type: ignore[arg-type]


@given(records)
def test_a_record_comes_back_as_it_was_written(written: Record) -> None:
    assert from_document(to_document(written)) == written


@given(records, st.data())
def test_a_record_that_was_cut_is_none(written: Record, data: st.DataObject) -> None:
    document = to_document(written)
    cut = data.draw(st.integers(0, len(document) - 1))
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        from_document(document[:cut])


def test_pushed_logs_come_back(journal: Journal) -> None:
    pushed = PushedLog(**dict.fromkeys(PushedLog.__dataclass_fields__, 1))
    journal.write(record(logs={"aws-job-stdout.txt": pushed}))
    assert journal.records()[0].logs == {"aws-job-stdout.txt": pushed}


def test_records_survive_the_process(journal: Journal, tmp_path: Path) -> None:
    journal.write(record(phase=Phase.SUBMITTED, scheduler_id="7"))
    assert Journal(tmp_path).records() == [record(phase=Phase.SUBMITTED, scheduler_id="7")]
    assert Journal(tmp_path).find(ID) == record(phase=Phase.SUBMITTED, scheduler_id="7")


def test_a_forgotten_record_is_gone_and_may_be_forgotten_again(journal: Journal) -> None:
    journal.forget(journal.write(record()))
    journal.forget(record())
    assert journal.records() == []
    assert journal.find(ID) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 200,
        b"null",
        b"5",
        b"[]",
        b'"x"',
        b"{}",
        b'{"allocation": "x", "end": null}',
        b'{"allocation": {"site": "dc1", "job": "j", "id": "i"}, "end": 5}',
        b"[" * 100_000,
    ],
    ids=lambda content: content[:12].decode(),
)
def test_a_broken_record_is_reported_and_left_alone_and_hides_no_other(
    journal: Journal, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "journal" / f"{uuid.uuid4()}.json"
    broken.write_bytes(content)
    journal.write(record())
    with caplog.at_level(logging.ERROR):
        assert journal.records() == [record()]
    assert str(broken) in caplog.text
    assert broken.read_bytes() == content


def test_a_record_of_a_newer_puller_is_left_alone(journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "journal" / f"{ID}.json"
    path.write_bytes(json.dumps({**json.loads(to_document(record())), "new": 1}).encode())
    assert journal.records() == []
    assert path.exists()


def test_what_a_crash_left_of_a_write_is_no_record(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "journal" / f".{ID}.json.tmp").write_bytes(b'{"alloc')
    assert journal.records() == []
    journal.write(record())
    assert journal.records() == [record()]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_and_the_old_record_stays(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    journal.write(record())

    def full(*_: object) -> None:
        raise OSError(code, "full")

    monkeypatch.setattr(journal_module, "write_durably", full)
    with pytest.raises(JournalError, match="cannot write the journal"):
        journal.write(record(phase=Phase.STAGING))
    assert journal.records() == [record()]


def test_a_process_that_starts_while_the_journal_is_written_does_not_keep_its_lock(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between fork and exec, a program that another thread starts has the lock's descriptor."""
    reading, writing = os.pipe()
    children: list[int] = []
    really = journal_module.write_durably

    def write_and_fork(path: Path, content: bytes) -> None:
        if not (child := os.fork()):
            os.close(writing)
            os.read(reading, 1)  # the end of the test
            os._exit(0)
        children.append(child)
        really(path, content)

    monkeypatch.setattr(journal_module, "write_durably", write_and_fork)
    try:
        journal.write(record())
        monkeypatch.setattr(journal_module, "write_durably", really)
        journal.write(record(phase=Phase.STAGING))
    finally:
        os.close(writing)
        for child in children:
            os.waitpid(child, 0)
        os.close(reading)
    assert journal.records() == [record(phase=Phase.STAGING)]


def test_the_installation_keeps_its_id(journal: Journal, tmp_path: Path) -> None:
    assert journal.installation() == journal.installation() == Journal(tmp_path).installation()


def test_an_installation_file_that_a_crash_left_empty_is_made_anew(
    journal: Journal, tmp_path: Path
) -> None:
    (tmp_path / "installation").touch()
    assert uuid.UUID(journal.installation())


@pytest.mark.parametrize("other", [ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}"])
def test_an_id_has_one_way_to_be_written(journal: Journal, other: str) -> None:
    journal.write(record())
    allocation = replace(record().allocation, id=other)
    with pytest.raises(JournalError, match="not an allocation's id"):
        journal.write(replace(record(), allocation=allocation))
    assert journal.records() == [record()]
