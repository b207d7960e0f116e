"""Shared inputs: which objects from elsewhere in the bucket a job gets, and at which paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from job_protocol import object_keys
from job_protocol.job_settings import SharedInput
from job_protocol.manifest import Entry
from job_protocol.object_keys import Problem
from job_protocol.shared_places import key_of, place_of
from lambdas.rules.upload import ObjectVersion


@dataclass(frozen=True, slots=True)
class Request:
    """One row of `inputs`, with the place in which the user wrote it.

    Attributes:
        job_id: the job that wants it.
        number: the row, from 0.
        shared: what the row says.
    """

    job_id: str
    number: int
    shared: SharedInput

    @property
    def is_folder(self) -> bool:
        """Whether everything below a key is asked for."""
        return self.shared.source.endswith("/")

    def problem(self, field: str, problem: str, remedy: str) -> Problem:
        """What is wrong with a field of the row."""
        key = object_keys.input_key(self.job_id, object_keys.SETTINGS)
        return Problem(key, f"inputs.{self.number}.{field}: {problem}", remedy)


def requests_of(
    job_id: str, inputs: Iterable[SharedInput], bucket: str
) -> tuple[tuple[Request, ...], list[Problem]]:
    """The rows whose objects can be looked for, and what is wrong with the others.

    Args:
        job_id: the job.
        inputs: `inputs` of its `aws-job.json`.
        bucket: the site's bucket, which `from` may name.
    """
    good: list[Request] = []
    problems: list[Problem] = []
    for number, shared in enumerate(inputs):
        key = key_of(shared.source, bucket)
        request = Request(job_id, number, replace(shared, source=key or shared.source))
        if not key:
            problems.append(
                request.problem(
                    "from",
                    f"{shared.source!r} names no object of the site's bucket {bucket}",
                    "copy it into that bucket, and name it there",
                )
            )
            continue
        shared = request.shared
        wrong = object_keys.shared_key_problem(job_id, shared.source)
        if wrong is not None:
            problems.append(request.problem("from", *wrong))
        elif request.is_folder and shared.version is not None:
            problems.append(
                request.problem(
                    "version",
                    f"it pins one object, but {shared.source!r} is a folder",
                    "leave it out, or name the object",
                )
            )
        else:
            good.append(request)
    return tuple(good), problems


def entries_of(
    request: Request, found: Iterable[ObjectVersion]
) -> tuple[tuple[Entry, ...], list[Problem]]:
    """What a row brings into the job directory, or why it brings nothing.

    Args:
        request: the row.
        found: the object version, or those below the folder, newest first within a key.
    """
    source, to = request.shared.source, request.shared.to
    newest: dict[str, ObjectVersion] = {}
    for version in found:
        newest.setdefault(version.key, version)
    there = [version for version in newest.values() if not version.deleted]
    places = ((v, place_of(source, to, v.key)) for v in there)
    placed = [(v, path) for v, path in places if path is not None]
    if request.is_folder:
        missing = f"nothing lies below {source!r}"
    else:
        pinned = request.shared.version
        missing = f"there is no object {source!r}" + (f" of version {pinned!r}" if pinned else "")
    if not placed:
        return (), [request.problem("from", missing, "upload it first, or correct the key")]
    return tuple(Entry(path, v.version, v.size, v.key) for v, path in sorted(placed, key=_path)), []


def _path(placed: tuple[ObjectVersion, str]) -> str:
    return placed[1]


def clash_problems(
    job_id: str, uploaded: Collection[str], entries: Iterable[Entry]
) -> list[Problem]:
    """Paths that more than one input wants, and the script, which every job uploads itself.

    Whether a file lies where a folder does is judged with all other paths of the job.

    Args:
        job_id: the job.
        uploaded: the paths that were uploaded under its prefix.
        entries: what all rows bring.
    """
    wanted = Counter(entry.path for entry in entries)
    found: list[Problem] = []
    for path, times in sorted(wanted.items()):
        key = object_keys.input_key(job_id, path)
        if path == object_keys.SCRIPT:
            found.append(
                Problem(key, "`inputs` puts an object there", "upload the script with the job")
            )
        elif path in uploaded and not path.endswith("/"):
            found.append(
                Problem(
                    key,
                    "it was uploaded, and `inputs` puts another object there",
                    "delete one of them, or choose another `to`",
                )
            )
        elif times > 1 and not path.endswith("/"):
            found.append(
                Problem(key, f"`inputs` puts {times} objects there", "choose another `to`")
            )
    return found
