"""What varies between the runs of one job version: facts that travel as data beside the script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from job_protocol.dispatch_file import META_PREFIX, DispatchFileError, write_records

_ROWS_PATH = ".nomad/sweep"
_ROWS_IN_A_FILE = 1000
"""An element reads no more than these to find its own; `nomad_row` knows the number, too."""


class FactsRefused(ValueError):
    """Facts that cannot travel; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """One run of a job.

    Attributes:
        site: the site, Nomad's datacenter.
        job_id: the job that runs, for a child its own id.
        allocation_id: of the first allocation. On the site the mark of the job directory goes over
            it, so that a further allocation has its own.
        name: the job's name; None for its id.
        parent_id: the template that it is a child of.
        meta: what a dispatch gave.
        payload: what a dispatch gave; empty is none.
        rows: of a sweep, what each element has of metadata besides.
        namespace, region: Nomad's.
    """

    site: str
    job_id: str
    allocation_id: str
    name: str | None = None
    parent_id: str | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    payload: bytes = b""
    rows: Sequence[Mapping[str, str]] = ()
    namespace: str = "default"
    region: str = "global"


def dispatch_file(facts: RunFacts) -> bytes:
    """The content of `.nomad/dispatch` (see `job_protocol.dispatch_file`).

    Raises:
        FactsRefused: a fact cannot be a record.
    """
    records = {
        "job_id": facts.job_id,
        "job_name": facts.name or facts.job_id,
        "parent_id": facts.parent_id or "",
        "allocation_id": facts.allocation_id,
        "datacenter": facts.site,
        "region": facts.region,
        "namespace": facts.namespace,
        **{f"{META_PREFIX}{key}": value for key, value in sorted(facts.meta.items())},
    }
    return _records(facts, records)


def _records(facts: RunFacts, records: Mapping[str, str]) -> bytes:
    try:
        return write_records(records)
    except DispatchFileError as error:
        raise FactsRefused(f"job {facts.job_id!r}: {error}") from error


def row_files(facts: RunFacts) -> dict[str, bytes]:
    """The rows of a sweep: of each element its records, ended by an empty one.

    Raises:
        FactsRefused: as `dispatch_file`.
    """
    rows = [_records(facts, row) + b"\0" for row in facts.rows]
    starts = range(0, len(rows), _ROWS_IN_A_FILE)
    return {
        f"{_ROWS_PATH}.{start // _ROWS_IN_A_FILE}": b"".join(rows[start : start + _ROWS_IN_A_FILE])
        for start in starts
    }


def read_meta(content: bytes) -> dict[str, str]:
    """What a dispatch gave, of the content of `.nomad/dispatch`."""
    pairs = (record.decode(errors="replace").partition("=") for record in content.split(b"\0"))
    return {
        name.removeprefix(META_PREFIX): value
        for name, _, value in pairs
        if name.startswith(META_PREFIX)
    }
