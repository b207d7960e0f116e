"""Which object versions an upload consists of, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from job_protocol import object_keys
from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Entry
from job_protocol.object_keys import Problem
from job_protocol.script_rules import size_problem
from job_protocol.states import JOBFERRY_WORDS
from lambdas.rules.mark import word_of_etag

MAX_REASONS_BYTES = 200_000
"""Bytes of reasons that are kept: half of what an item of the job table may have."""

DEFAULT_ARRAY_LIMIT = 10_000
"""Elements of an array at a site that was deployed before there was a limit."""


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of one object, as S3 lists it.

    Attributes:
        key, version: the object version.
        size: bytes.
        modified: when it was put, in seconds since the epoch (S3 keeps whole seconds).
        deleted: whether it is a delete marker.
        etag: its ETag without quotes, where the versions were listed.
    """

    key: str
    version: str
    size: int
    modified: int
    deleted: bool = False
    etag: str = ""


Chain = tuple[ObjectVersion, ...]
"""All versions of one key, the newest first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """A site's limits for one upload.

    Attributes:
        files: most files and empty folders.
        size: most bytes together.
        array: most elements of an array.
    """

    files: int
    size: int
    array: int = DEFAULT_ARRAY_LIMIT


def chains_by_path(job_id: str, versions: Iterable[ObjectVersion]) -> dict[str, Chain]:
    """The versions of every possible input, by its path in the job directory.

    The protocol's own objects (status, logs) are left out, and so is the answer that jobferry gave
    to a mark in one of the job's folders.

    Args:
        job_id: the job whose prefix was listed.
        versions: what lies under the prefix, newest first within a key.
    """
    chains: dict[str, list[ObjectVersion]] = {}
    for version in versions:
        path = object_keys.relative_path(job_id, version.key)
        if path and path not in object_keys.STATUS_NAMES and not object_keys.is_log(path):
            chains.setdefault(path, []).append(version)
    answered = {
        path.removesuffix(object_keys.STATUS_WORD)
        for path, chain in chains.items()
        if path.endswith(f"/{object_keys.STATUS_WORD}") and _is_answer(chain)
    }
    answers = {f"{folder}{name}" for folder in answered for name in object_keys.STATUS_NAMES}
    return {path: tuple(chain) for path, chain in chains.items() if path not in answers}


def _is_answer(chain: Sequence[ObjectVersion]) -> bool:
    """Whether what stood last in a status word is one of jobferry's words."""
    last = next((version for version in chain if not version.deleted), None)
    return last is not None and word_of_etag(last.etag) in JOBFERRY_WORDS


def ran_before(job_id: str, versions: Iterable[ObjectVersion]) -> bool:
    """Whether the prefix shows that a job ran there, even if the table has forgotten it."""
    details = object_keys.status_details_key(job_id)
    return any(version.key == details for version in versions)


def newest_input(chain: Chain, is_result: Callable[[ObjectVersion], bool]) -> ObjectVersion | None:
    """The version of a key that is an input: the newest that no job wrote.

    A delete marker ends the search: what the user deleted is no input.
    """
    for version in chain:
        if version.deleted:
            return None
        if not is_result(version):
            return version
    return None


def upload_problems(
    job_id: str,
    inputs: dict[str, ObjectVersion],
    mark_time: int,
    limits: Limits,
    shared: Collection[Entry] = (),
) -> list[Problem]:
    """Everything that is wrong with an upload, short of the contents of its files.

    Args:
        job_id: the job.
        inputs: the chosen version of each path.
        mark_time: when the mark was put, in seconds since the epoch.
        limits: the site's limits.
        shared: what comes from elsewhere in the bucket, whenever that was put there.
    """
    prefix = f"{job_id}/"
    found = object_keys.input_path_problems(job_id, [*inputs, *(entry.path for entry in shared)])
    script = inputs.get(object_keys.SCRIPT)
    script_key = object_keys.input_key(job_id, object_keys.SCRIPT)
    if script is None:
        found.append(
            Problem(
                script_key,
                "the job script is missing",
                f"upload it as {script_key}, then {object_keys.STATUS_WORD} again",
            )
        )
    elif (wrong := size_problem(script_key, script.size)) is not None:
        found.append(wrong)
    found.extend(
        Problem(
            version.key,
            f"it was uploaded after {object_keys.STATUS_WORD}",
            f"upload {object_keys.STATUS_WORD} again, as the last object",
        )
        for version in inputs.values()
        if version.modified > mark_time
    )
    count = len(inputs) + len(shared)
    if count > limits.files:
        found.append(
            Problem(
                prefix,
                f"the upload has {count} files; this site takes at most {limits.files}",
                "pack them into an archive that the job script unpacks",
            )
        )
    total = sum(v.size for v in inputs.values()) + sum(entry.size for entry in shared)
    if total > limits.size:
        found.append(
            Problem(
                prefix,
                f"the upload has {total} bytes; this site takes at most {limits.size}",
                "upload less, or ask the site's administrator for a higher limit",
            )
        )
    return found


def array_problems(job_id: str, settings: JobSettings, limits: Limits) -> list[Problem]:
    """What is wrong with the size of an array.

    Args:
        job_id: the job.
        settings: what the user stated.
        limits: the site's limits.
    """
    if settings.count is None or settings.count <= limits.array:
        return []
    return [
        Problem(
            object_keys.input_key(job_id, object_keys.SETTINGS),
            f"count: the array has {settings.count} elements; this site takes at most "
            f"{limits.array}",
            "let each element do more, or ask the site's administrator for a higher limit",
        )
    ]


def listable(job_id: str, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """As many reasons as an item of the job table can hold, the last one says how many more.

    Args:
        job_id: the job, for the key of that last one.
        problems: every reason.
    """
    size = 0
    for index, problem in enumerate(problems):
        size += sum(len(text.encode()) for text in (problem.key, problem.problem, problem.remedy))
        if size > MAX_REASONS_BYTES:
            more = Problem(
                f"{job_id}/",
                f"{len(problems) - index} more problems are not listed here",
                "correct the listed ones first, then upload again",
            )
            return (*problems[:index], more)
    return problems


def manifest_entries(
    inputs: dict[str, ObjectVersion], shared: Iterable[Entry] = ()
) -> tuple[Entry, ...]:
    """The manifest's entries, by path; a folder that several inputs bring comes once."""
    uploaded = (Entry(path, found.version, found.size) for path, found in inputs.items())
    by_path = {entry.path: entry for entry in (*shared, *uploaded)}
    return tuple(by_path[path] for path in sorted(by_path))
