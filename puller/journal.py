"""The puller's memory on disk: one document per allocation that it holds.

Every write is atomic and synced before the step that it announces is taken, so that whatever
instruction the puller dies at, the next pass knows what may have happened. A write replaces only
what this process itself has read or written: a pass that stood still, while one on another host
took over, finds that out before it does any harm.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from job_protocol.allocation import Allocation
from job_protocol.identifiers import is_allocation_id
from job_protocol.items import from_attributes, to_attributes
from job_protocol.states import ClientStatus
from puller.durable_file import write_durably
from puller.errors import HeldElsewhere, PullerError
from puller.live_logs import PushedLog
from puller.lock import lock_of_all_hosts

_LOG = logging.getLogger(__name__)


class JournalError(PullerError):
    """The disk did not take a record, so the step that it announces must not be taken."""


class TakenOver(HeldElsewhere):
    """Another host has gone on with what this process was at."""


class Phase(StrEnum):
    """How far an allocation has come on this site. Each is journalled before the step it names."""

    CLAIMING = "claiming"
    """The token is known here; the claim may or may not have reached the table."""
    STAGING = "staging"
    """The claim is ours; nothing was submitted."""
    SUBMITTING = "submitting"
    """The scheduler may have been called."""
    DEFERRED = "deferred"
    """The scheduler had no room and took nothing; the claim is being given back."""
    SUBMITTED = "submitted"
    """The scheduler has it, under the id in the record."""
    ENDED = "ended"
    """It has ended; its results are being pushed."""
    FENCED = "fenced"
    """The table names another token: hands off, the directory stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an allocation ended, by positive evidence (or lost, for want of any).

    Attributes:
        status: the terminal client status.
        exit_code: see `Allocation.exit_code`.
        reason: the scheduler's or the puller's words.
        time: seconds since the epoch.
        refused: whether the site's policy refused it, so that a further attempt were refused, too.
    """

    status: ClientStatus
    exit_code: int | None
    reason: str | None
    time: int
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the puller knows of one allocation that it holds. Times: seconds since the epoch.

    Attributes:
        allocation: the allocation as its claim returned it; before that, only its ids.
        token: the claim's token.
        phase: see `Phase`.
        obs: the highest observation number used towards the table.
        reported: the client status that the table is known to hold.
        reported_reason: the reason that the table is known to hold.
        submitting_at: when the scheduler was first called.
        submitted_at: when the scheduler's id became known.
        scheduler_id: the scheduler's id.
        started_at: when the script started, as far as known.
        deferred: why the scheduler had no room.
        missing_since: since when neither the scheduler nor an exit file has known it.
        stop_asked_at: when the scheduler was last asked to cancel it.
        elements: the packed states of an array's elements; None while they are as claimed.
        elements_told: whether the table knows them.
        elements_told_at: when it was last told.
        missing: since when nobody has known some elements, by their indexes (`3,7-9`).
        element_words: why elements ended, by their index; of the first ones only.
        logs: what was pushed of each growing log.
        logs_pushed_at: when the logs were last looked at.
        end: how it ended.
        signer: who signed it, where the site's policy asks for that.
        created_head: how the job's event log stood when it was claimed (see `audit_chain`).
    """

    allocation: Allocation
    token: str
    phase: Phase = Phase.CLAIMING
    obs: int = 0
    reported: ClientStatus = ClientStatus.STARTING
    reported_reason: str | None = None
    submitting_at: float | None = None
    submitted_at: float | None = None
    scheduler_id: str | None = None
    started_at: float | None = None
    deferred: str | None = None
    missing_since: float | None = None
    stop_asked_at: float | None = None
    elements: bytes | None = None
    elements_told: bool = True
    elements_told_at: float = 0.0
    missing: dict[str, float] = field(default_factory=dict)
    element_words: dict[str, str] = field(default_factory=dict)
    logs: dict[str, PushedLog] = field(default_factory=dict)
    logs_pushed_at: float = 0.0
    end: End | None = None
    signer: str | None = None
    created_head: str | None = None

    @property
    def id(self) -> str:
        """The allocation's id."""
        return self.allocation.id


_OF_ARRAYS = frozenset(
    {"elements", "elements_told", "elements_told_at", "missing", "element_words"}
)
_NO_RECORD = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


def told(record: Record) -> str:
    """How messages name an allocation."""
    job = record.allocation.job
    return f"job {job!r} (allocation {record.id})" if job else f"allocation {record.id}"


def _encode_bytes(value: object) -> Any:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    raise TypeError(f"cannot journal a {type(value).__name__}")


def to_document(record: Record) -> bytes:
    """The record as it lies on disk."""
    document = {
        one.name: getattr(record, one.name)
        for one in fields(record)
        if record.elements is not None or one.name not in _OF_ARRAYS
    }
    document |= {
        "allocation": to_attributes(record.allocation),
        "logs": {name: asdict(pushed) for name, pushed in record.logs.items()},
        "end": asdict(record.end) if record.end else None,
    }
    return json.dumps(document, ensure_ascii=False, default=_encode_bytes).encode()


def from_document(text: bytes) -> Record:
    """The record that lies on disk.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, RecursionError: it is no such record.
    """
    document = json.loads(text)
    attributes = document.pop("allocation")
    for named, name in ((attributes, "manifest"), (attributes, "elements"), (document, "elements")):
        if isinstance(named.get(name), dict):
            named[name] = bytes.fromhex(named[name]["hex"])
    end = document.pop("end")
    return Record(
        **{
            **document,
            "allocation": from_attributes(Allocation, attributes),
            "phase": Phase(document["phase"]),
            "reported": ClientStatus(document["reported"]),
            "logs": {name: PushedLog(**pushed) for name, pushed in document["logs"].items()},
            "end": End(**{**end, "status": ClientStatus(end["status"])}) if end else None,
        }
    )


class Journal:
    """The journal of one installation."""

    def __init__(self, state_dir: Path) -> None:
        """Open the journal, making its folders where they do not exist.

        Args:
            state_dir: the installation's state directory.
        """
        self._folder = state_dir / "journal"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._installation = state_dir / "installation"
        self._seen: dict[str, bytes] = {}
        self._mutex = threading.Lock()
        self._writers = 0
        self._lock = ExitStack()

    def installation(self) -> str:
        """The id of this installation, made at its first pass."""
        try:
            text = self._installation.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            text = ""
        if not text:
            text = str(uuid.uuid4())
            write_durably(self._installation, f"{text}\n".encode())
        return text

    def write(self, record: Record) -> Record:
        """Write a record, and return it.

        Raises:
            JournalError: the disk did not take it; the step must not be taken.
            TakenOver: the record on disk is not the one that this process knows.
        """
        document = to_document(record)
        path = self._path(record.id)
        try:
            with self._unchanged(path):
                write_durably(path, document)
        except OSError as error:
            raise JournalError(f"cannot write the journal in {self._folder}: {error}") from error
        self._seen[path.name] = document
        return record

    def forget(self, record: Record) -> None:
        """Remove the record of an allocation with which this site is done.

        Raises:
            TakenOver: the record on disk is not the one that this process knows.
        """
        path = self._path(record.id)
        with self._unchanged(path):
            path.unlink(missing_ok=True)
        self._seen.pop(path.name, None)

    def records(self, but: Collection[str] = ()) -> list[Record]:
        """All records. One that cannot be read is logged and left as it is.

        Args:
            but: allocations of which other threads have the records.
        """
        files = (path for path in self._folder.glob("*.json") if path.stem not in but)
        return [record for record in map(self._read, sorted(files)) if record is not None]

    def glance(self) -> list[Record]:
        """The readable records as they stand, for a thread that looks at those of other threads.

        What it sees does not count as known to this process.
        """
        found = []
        for path in self._folder.glob("*.json"):
            with suppress(OSError, *_NO_RECORD):
                found.append(from_document(path.read_bytes()))
        return found

    def find(self, allocation_id: str) -> Record | None:
        """The record of an allocation as it stands on disk; None without a readable one."""
        path = self._path(allocation_id)
        return self._read(path) if path.exists() else None

    def _read(self, path: Path) -> Record | None:
        try:
            document = path.read_bytes()
            record = from_document(document)
        except (OSError, *_NO_RECORD) as error:
            _LOG.error("journal %s cannot be read (%r); it is left as it is", path, error)
            return None
        self._seen[path.name] = document
        return record

    @contextmanager
    def _unchanged(self, path: Path) -> Iterator[None]:
        """Keep other processes from the journal, in which `path` is as this process knows it."""
        with self._locked_for_this_process():
            try:
                on_disk = path.read_bytes()
            except FileNotFoundError:
                on_disk = None
            if on_disk != self._seen.get(path.name):
                raise TakenOver(
                    f"{path} was changed by another process: this puller has stood still for so "
                    "long that another host took over; it leaves everything to that one"
                )
            yield

    @contextmanager
    def _locked_for_this_process(self) -> Iterator[None]:
        """Hold the journal's lock as long as any thread writes.

        Each record has one thread, and the syncs of different records take place at the same time.
        """
        with self._mutex:
            if self._writers == 0:
                try:
                    self._lock.enter_context(lock_of_all_hosts(self._folder.with_suffix(".lock")))
                except HeldElsewhere as error:
                    raise TakenOver(f"another process is writing the journal: {error}") from error
            self._writers += 1
        try:
            yield
        finally:
            with self._mutex:
                self._writers -= 1
                if self._writers == 0:
                    self._lock.close()

    def _path(self, allocation_id: str) -> Path:
        """The record's file. An id has one way to be written: no other names the same file."""
        if not is_allocation_id(allocation_id):
            raise JournalError(f"{allocation_id!r} is not an allocation's id as jobferry writes it")
        return self._folder / f"{allocation_id}.json"
