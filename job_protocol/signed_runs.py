"""What a signature says of a Nomad job, whose runs differ: settings, facts, bounds of data.

The script's bytes are signed as those of any job. What a dispatch varies is data: meta values and a
payload, each within bounds. `docs/signing.md` gives the lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from job_protocol.dispatch_file import META_PREFIX, DispatchFileError, read_records
from job_protocol.items import from_attributes, to_attributes
from job_protocol.job_settings import JobSettings

MAX_META_BYTES = 64 * 1024
MAX_PAYLOAD = 5 * 1024**3
NAME_FACT = "job_name"
FACTS = ("namespace", "region")
"""The records that are the same in all runs; of a job that is no template also `job_name`."""

DEFAULT_LENGTH = 128
DEFAULT_PATTERN = r"|[A-Za-z0-9_][A-Za-z0-9_.,:@+=-]*"
"""Of a meta value for which nothing is said: a word that is no path and no option."""

_META_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LAUNCH = {
    "parameterized": re.compile(r"dispatch-(?:[A-Za-z0-9_.-]*-)?[0-9]{1,12}-[0-9a-f]{8}"),
    "periodic": re.compile(r"periodic-[0-9]{1,12}"),
}


class SignedRunsError(ValueError):
    """Bounds that say what none can say."""


@dataclass(frozen=True, slots=True)
class MetaBound:
    """What one meta value may be.

    Attributes:
        name: its key.
        required: whether each dispatch must give it.
        length: bytes at most, in UTF-8.
        pattern: a regular expression (Python's `re`) that the whole value must match.
    """

    name: str
    required: bool
    length: int
    pattern: str


@dataclass(frozen=True, slots=True)
class PayloadBound:
    """What the payload may be.

    Attributes:
        required: whether each dispatch must bring one.
        size: bytes at most.
    """

    required: bool
    size: int


@dataclass(frozen=True, slots=True)
class Runs:
    """What all runs of a Nomad job have in common beside the script, and in what they may differ.

    Attributes:
        settings: `settings_text` of what the puller is told.
        facts: records of `.nomad/dispatch` that are fixed, by name.
        meta: meta that a dispatch may give, by name; no other.
        payload: what a dispatch may bring; None is nothing.
    """

    settings: str
    facts: tuple[tuple[str, str], ...]
    meta: tuple[MetaBound, ...] = ()
    payload: PayloadBound | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as it lies on the site.

    Attributes:
        site: the site.
        job: the job id.
        template: the template that it is a child of; None of a job that is none.
        dispatch: the content of `.nomad/dispatch`.
        payload: bytes of the payload; None if there is none.
    """

    site: str
    job: str
    template: str | None
    dispatch: bytes
    payload: int | None


def is_child(kind: str, template: str, job_id: str) -> bool:
    """Whether a job id is that of a template's child, in the one form that there is.

    Args:
        kind: `parameterized` or `periodic`.
        template: the template's id.
        job_id: the job id.
    """
    parent, _, last = job_id.rpartition("/")
    return parent == template and _LAUNCH[kind].fullmatch(last) is not None


# ---- settings ----


def settings_text(settings: JobSettings) -> str:
    """Settings as they are signed: one line, one way to write it."""
    return json.dumps(to_attributes(settings), sort_keys=True, separators=(",", ":"))


def read_settings_text(text: str) -> JobSettings:
    """The settings of a signed line.

    Raises:
        SignedRunsError: it is none, or states what this program does not know.
    """
    try:
        settings = from_attributes(JobSettings, json.loads(text))
        if settings_text(settings) == text:
            return settings
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SignedRunsError(f"its settings cannot be read ({error})") from error
    raise SignedRunsError("its settings are not known here, or not written in the one way there is")


# ---- the lines ----


def lines_of(runs: Runs) -> Iterator[str]:
    """The lines of a document."""
    yield f"settings {runs.settings}"
    yield from (f"fact {name} {value}" for name, value in runs.facts)
    for one in runs.meta:
        yield f"meta {_word(one.required)} {one.length} {one.name} {one.pattern}"
    if runs.payload is not None:
        yield f"payload {_word(runs.payload.required)} {runs.payload.size}"


def _word(required: bool) -> str:
    return "required" if required else "optional"


def fact_of(text: str) -> tuple[str, str]:
    """The fact of a line, without its first word."""
    name, _, value = text.partition(" ")
    return name, value


def meta_of(text: str) -> MetaBound:
    """The bound of a line, without its first word.

    Raises:
        SignedRunsError: it is none.
    """
    word, length, name, pattern = (*text.split(" ", 3), "", "", "")[:4]
    return MetaBound(name, word == "required", _number(length), pattern)


def payload_of(text: str) -> PayloadBound:
    """The bound of a line, without its first word.

    Raises:
        SignedRunsError: it is none.
    """
    word, _, size = text.partition(" ")
    return PayloadBound(word == "required", _number(size))


def _number(text: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,11}", text):
        raise SignedRunsError(f"{text[:20]!r} is no number")
    return int(text)


def check(runs: Runs, *, template: bool) -> None:
    """Whether a document can say this.

    Args:
        runs: what it says.
        template: whether it says it of a template's children.

    Raises:
        SignedRunsError: it cannot.
    """
    read_settings_text(runs.settings)
    names = FACTS if template else (NAME_FACT, *FACTS)
    if tuple(name for name, _ in runs.facts) != tuple(sorted(names)):
        raise SignedRunsError(f"its facts are not {', '.join(sorted(names))}")
    texts = (*(value for _, value in runs.facts), *(one.pattern for one in runs.meta))
    if any(not text.isprintable() for text in texts):
        raise SignedRunsError("a fact or a pattern has a character that cannot be printed")
    if not template and (runs.meta or runs.payload is not None):
        raise SignedRunsError("only a template's children are dispatched with meta or a payload")
    if any(one.name >= other.name for one, other in pairwise(runs.meta)):
        raise SignedRunsError("its meta are not in order, each once")
    for one in runs.meta:
        _check_meta(one)
    if runs.payload is not None and not 1 <= runs.payload.size <= MAX_PAYLOAD:
        raise SignedRunsError(f"a payload of {runs.payload.size} bytes: from 1 to {MAX_PAYLOAD}")


def _check_meta(one: MetaBound) -> None:
    if not _META_NAME.fullmatch(one.name):
        raise SignedRunsError(f"{one.name!r} is no key of meta that can be signed")
    if not 0 <= one.length <= MAX_META_BYTES:
        raise SignedRunsError(f"meta {one.name!r} of {one.length} bytes: up to {MAX_META_BYTES}")
    try:
        re.compile(one.pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise SignedRunsError(
            f"the pattern {one.pattern!r} of meta {one.name!r} cannot be read ({error})"
        ) from error


# ---- one run ----


def problem_of(runs: Runs, run: Run) -> str | None:
    """Why a run is not within what was signed, a clause; None if it is."""
    try:
        records = read_records(run.dispatch)
    except DispatchFileError as error:
        return f"'.nomad/dispatch': {error}"
    expected = {
        "job_id": run.job,
        NAME_FACT: run.job,
        "parent_id": run.template or "",
        "datacenter": run.site,
        **dict(runs.facts),
    }
    if not _UUID.fullmatch(records.pop("allocation_id", "")):
        return "'.nomad/dispatch' has no allocation_id"
    meta = {name: value for name, value in records.items() if name.startswith(META_PREFIX)}
    facts = {name: value for name, value in records.items() if name not in meta}
    for name in sorted(expected.keys() | facts.keys()):
        if facts.get(name) != expected.get(name):
            return (
                f"the fact {name!r} is {facts.get(name)!r}, and {expected.get(name)!r} was signed"
            )
    given = {name.removeprefix(META_PREFIX): value for name, value in meta.items()}
    return _meta_problem(runs.meta, given) or _payload_problem(runs.payload, run.payload)


def _meta_problem(bounds: tuple[MetaBound, ...], given: dict[str, str]) -> str | None:
    if unsigned := sorted(given.keys() - {one.name for one in bounds}):
        return f"meta {unsigned[0]!r} was not signed"
    for one in bounds:
        value = given.get(one.name)
        if value is None:
            if one.required:
                return f"meta {one.name!r} is missing, and was signed as required"
        elif (size := len(value.encode("utf-8", "surrogatepass"))) > one.length:
            return f"meta {one.name!r} has {size} bytes, and {one.length} were signed"
        elif not re.fullmatch(one.pattern, value):
            return f"meta {one.name!r} does not match {one.pattern!r}, which was signed"
    return None


def _payload_problem(bound: PayloadBound | None, size: int | None) -> str | None:
    if bound is None:
        return None if size is None else "a payload was not signed"
    if not size:
        return "the payload is missing, and was signed as required" if bound.required else None
    if size > bound.size:
        return f"the payload has {size} bytes, and {bound.size} were signed"
    return None
