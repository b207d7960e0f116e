"""What a user states for a job beside its script, and how it joins an `aws-job.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

from job_protocol.object_keys import SETTINGS, Problem
from jobferry.errors import UploadRefused


class Settings(TypedDict, total=False):
    """Settings of one submission; what is not stated is left to `aws-job.json` and the script."""

    name: str | None
    """The job's name at the scheduler."""
    priority: int | None
    """1 to 100 among the jobs that wait for the site; a higher one first."""
    time_limit: int | str | None
    """Wall time: seconds, or text such as `1h30m` or `01:30:00`."""
    count: int | None
    """How many elements the job's array has."""
    sweep: str | None
    """Path in the job of a table with one row of values for each element."""
    max_running: int | None
    """How many elements of an array may run at once."""
    account: str | None
    """The account, group or project that the scheduler charges."""
    queue: str | None
    """The scheduler's queue or partition."""
    retries: int | None
    """How many further attempts after a failed one."""
    results: Sequence[str]
    """Patterns of what comes back; empty means everything."""
    exclude: Sequence[str]
    """Patterns of what does not come back."""
    depends_on: Sequence[Mapping[str, str]]
    """Jobs that have to end before this one may start, as in `aws-job.json`."""


_JOINED = frozenset({"inputs", "depends_on"})
"""Lists of which those of the options come to those of the file."""


def _document(settings: Settings) -> dict[str, Any]:
    """The settings as `aws-job.json` writes them."""
    stated = {name: value for name, value in settings.items() if value not in (None, (), [])}
    for name in {"results", "exclude", "depends_on"} & stated.keys():
        stated[name] = list(cast("Sequence[object]", stated[name]))
    if "retries" in stated:
        stated["retries"] = {"attempts": stated["retries"]}
    limit = stated.get("time_limit")
    if isinstance(limit, str) and limit.isdecimal():
        stated["time_limit"] = int(limit)
    return stated


def merged(
    settings: Settings, body: bytes | None, inputs: Sequence[Mapping[str, str]] = ()
) -> bytes | None:
    """The `aws-job.json` to upload.

    Args:
        settings: the settings of this submission.
        body: the file in the directory, if there is one.
        inputs: rows of `inputs`; like those of `depends_on`, they come to those of the file.

    Returns:
        The new content; None if the file can stay as it is, or there is nothing to say.

    Raises:
        UploadRefused: the file is no JSON object, or states something else.
    """
    options = _document(settings)
    if inputs:
        options["inputs"] = [dict(row) for row in inputs]
    if not options:
        return None
    there = _read(body) if body is not None else {}
    for name in _JOINED & options.keys():
        if isinstance(there.get(name), list):
            options[name] = [*there.pop(name), *options[name]]
    if "queue" in options and "queue" not in there and "partition" in there:
        options["partition"] = options.pop("queue")  # two names of one setting
    problems = [
        Problem(
            SETTINGS,
            f"{name!r} is {json.dumps(there[name], ensure_ascii=False)} in the file and "
            f"{json.dumps(value, ensure_ascii=False)} in the option",
            "state it in one place",
        )
        for name, value in options.items()
        if there.get(name) is not None and not _agree(there[name], value)
    ]
    if problems:
        raise UploadRefused(problems)
    new = {name: value for name, value in options.items() if there.get(name) is None}
    return (json.dumps({**there, **new}, ensure_ascii=False, indent=2) + "\n").encode()


def _agree(there: object, option: object) -> bool:
    """Whether the file says the same; of an object, the option may state a part."""
    if isinstance(there, dict) and isinstance(option, dict):
        return all(there.get(name) == value for name, value in option.items())
    return there == option


def _read(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise UploadRefused(
            [Problem(SETTINGS, f"not valid JSON: {error}", "correct the file")]
        ) from error
    if not isinstance(document, dict):
        raise UploadRefused([Problem(SETTINGS, "not a JSON object", "begin it with {")])
    return document
