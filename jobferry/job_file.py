"""Job files on this side: the API reads HCL; JSON, and what is to be signed, is read here."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobferry.api_client import ApiClient
from jobferry.errors import CloudRefused, SigningFailed, UsageError

_PLACE_IN_FILE = "job.nomad:"
"""How the API begins to say where in a job file something is wrong."""


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A job file that was read.

    Attributes:
        job: Nomad's `Job`, as a registration sends it.
        source: the file and its variables, which a registration sends along.
        warnings: what the file states in vain, and is not in the job.
    """

    job: dict[str, Any]
    source: dict[str, Any]
    warnings: tuple[str, ...] = ()


def read_job(
    api: ApiClient | None, file: str, variables: Sequence[str], variable_files: Sequence[str]
) -> ReadJob:
    """Read a job file.

    Args:
        api: reads HCL; None reads it here, where nobody in between can change it.
        file: its path; `-` is the standard input.
        variables: `KEY=VALUE` each; they win over files.
        variable_files: paths of files of variables; later ones win.

    Raises:
        UsageError: a file cannot be read.
        CloudRefused: the job file is wrong.
        SigningFailed: it is wrong, and was read here.
    """
    text = _text(file)
    if text.lstrip().startswith("{"):
        if variables or variable_files:
            raise UsageError("a job file in JSON has no variables; leave out -var and -var-file")
        return ReadJob(job_of_json(text, file), {"Source": text, "Format": "json"})
    flags, files = flags_of(variables), [(path, _text(path)) for path in variable_files]
    source = {
        "Source": text,
        "Format": "hcl2",
        "VariableFlags": flags,
        "Variables": "".join(f"{one.rstrip()}\n" for _, one in files),
    }
    if api is None:
        return _job_of_hcl(text, file, flags, files, source)
    body = {
        "JobHCL": text,
        "VariableFiles": [{"Name": name, "Text": one} for name, one in files],
        "VariableFlags": flags,
        "Canonicalize": False,
    }
    try:
        job = api.write("POST", "/v1/jobs/parse", f"read {file}", body)
    except CloudRefused as error:
        raise CloudRefused(
            _with_place(str(error), file), [_with_place(one, file) for one in error.problems]
        ) from error
    warnings = job.pop("Warnings", [])
    return ReadJob(job, source, tuple(_with_place(one, file) for one in warnings))


def _with_place(sentence: str, file: str) -> str:
    return sentence.replace(_PLACE_IN_FILE, f"{file}:")


def _job_of_hcl(
    text: str,
    file: str,
    flags: Mapping[str, str],
    files: Sequence[tuple[str, str]],
    source: dict[str, Any],
) -> ReadJob:
    from nomad_jobs.job_file.reading import read_job_file  # only who signs needs it here
    from nomad_jobs.job_file.variables import VariableFile

    found = read_job_file(
        text,
        file=file,
        variables=flags,
        variable_files=[VariableFile(name, one) for name, one in files],
    )
    if found.job is None:
        raise SigningFailed("\n".join(map(str, found.problems)))
    return ReadJob(found.job, source, tuple(map(str, found.warnings)))


def job_of_json(text: str, file: str) -> dict[str, Any]:
    """The job of a file in JSON: `{"Job": {...}}`, or the job itself.

    Raises:
        UsageError: it is none.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{file} is no valid JSON: {error}") from error
    job = document.get("Job", document) if isinstance(document, dict) else None
    if not isinstance(job, dict):
        raise UsageError(f'{file} is no job; write {{"Job": {{"ID": ...}}}}')
    return job


def flags_of(stated: Sequence[str]) -> dict[str, str]:
    """Single values of variables by name; of one name the last counts, as in Nomad.

    Raises:
        UsageError: one is not of the form `KEY=VALUE`.
    """
    flags: dict[str, str] = {}
    for one in stated:
        name, equals, value = one.partition("=")
        if not (equals and name.strip()):
            raise UsageError(f"-var {one!r}: write -var KEY=VALUE")
        flags[name.strip()] = value
    return flags


def _text(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read()
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
