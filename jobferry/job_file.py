"""Job files on this side: the API reads HCL; JSON, and what is to be signed, is read here."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobferry.api_client import ApiClient
from jobferry.errors import CloudRefused, SigningFailed, UsageError

_PLACE_IN_FILE = "job.nomad:"
"""How the API begins to say where in a job file something is wrong."""


def read_job(
    api: ApiClient | None, file: str, variables: Sequence[str], variable_files: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job and its source, as a registration sends them.

    Args:
        api: reads HCL; None reads it here, where nobody in between can change it.
        file: its path; `-` is the standard input.
        variables: `KEY=VALUE` each.
        variable_files: paths of files of variables.

    Raises:
        UsageError: a file cannot be read.
        CloudRefused: the job file is wrong.
        SigningFailed: it is wrong, and was read here.
    """
    text = _text(file)
    if text.lstrip().startswith("{"):
        if variables or variable_files:
            raise UsageError("a job file in JSON has no variables; leave out -var and -var-file")
        return job_of_json(text, file), {"Source": text, "Format": "json"}
    values = variables_text(variables, [_text(path) for path in variable_files])
    source = {"Source": text, "Format": "hcl2", "Variables": values}
    if api is None:
        return _job_of_hcl(text, file, values), source
    body = {"JobHCL": text, "Variables": values, "Canonicalize": False}
    try:
        job = api.write("POST", "/v1/jobs/parse", f"read {file}", body)
    except CloudRefused as error:
        raise CloudRefused(str(error).replace(_PLACE_IN_FILE, f"{file}:")) from error
    return job, source


def _job_of_hcl(text: str, file: str, values: str) -> dict[str, Any]:
    from nomad_jobs.job_file.reading import read_job_file  # only who signs needs it here
    from nomad_jobs.job_file.variables import VariableFile

    files = (VariableFile("variables", values),) if values else ()
    found = read_job_file(text, file=file, variable_files=files)
    if found.job is None:
        raise SigningFailed("\n".join(map(str, found.problems)))
    return found.job


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


def variables_text(stated: Sequence[str], files: Sequence[str]) -> str:
    """One file of variables from files and `KEY=VALUE`; what comes later counts, as in Nomad.

    A value is a text, unless it begins as a list or an object does.

    Raises:
        UsageError: one is not of this form.
    """
    lines = [text.rstrip("\n") for text in files]
    for one in stated:
        name, equals, value = one.partition("=")
        if not (equals and name.strip()):
            raise UsageError(f"-var {one!r}: write -var KEY=VALUE")
        lines.append(f"{name.strip()} = {_hcl(value)}")
    return "".join(f"{line}\n" for line in lines)


def _hcl(value: str) -> str:
    if value.lstrip().startswith(("[", "{")):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return quoted.replace("${", "$${").replace("%{", "%%{")


def _text(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read()
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
