"""The route that reads a job file: the only one that needs the readers of HCL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.errors import Refused
from lambdas.routes.registration import body_of, refused
from lambdas.routes.route import Answer, Call
from lambdas.rules import registration
from nomad_jobs.job_file.defaults import canonical
from nomad_jobs.job_file.reading import read_job_file
from nomad_jobs.job_file.variables import VariableFile

_FILE = "job.nomad"
_VARIABLES = "variables"


def parse(call: Call) -> Answer:
    """Read a job file: HCL, or Nomad's JSON; refuse what may not be registered, with its line."""
    body = body_of(call)
    text = body.get("JobHCL")
    if not isinstance(text, str) or not text:
        raise Refused(400, "Job spec is empty", "state the job file's text in JobHCL")
    found = read_job_file(
        text, file=_FILE, variables=_flags(body), variable_files=tuple(_files(body))
    )
    if found.job is None:
        raise refused(tuple(map(registration.as_problem, found.problems)))
    examined = registration.examine(found.job, places=found.places)
    if examined.job is None:
        raise refused(examined.problems)
    job = canonical(examined.job) if body.get("Canonicalize") is True else found.job
    # A job has no place for what the file states in vain and is left out of it.
    told = {"Warnings": list(map(str, found.warnings))} if found.warnings else {}
    return Answer(body={**job, **told})


def _files(body: Mapping[str, Any]) -> list[VariableFile]:
    text, files = body.get("Variables") or "", body.get("VariableFiles") or []
    if not isinstance(text, str):
        raise Refused(400, "Variables must be a text", "state the text of a variable file")
    if not isinstance(files, list) or not all(map(_is_file, files)):
        raise Refused(
            400,
            "VariableFiles must be a list of objects with Name and Text",
            "state the name and the text of each variable file",
        )
    stated = [VariableFile(_VARIABLES, text)] if text else []
    return stated + [VariableFile(file["Name"], file["Text"]) for file in files]


def _is_file(file: object) -> bool:
    return isinstance(file, Mapping) and all(
        isinstance(file.get(key), str) for key in ("Name", "Text")
    )


def _flags(body: Mapping[str, Any]) -> Mapping[str, str]:
    flags = body.get("VariableFlags") or {}
    if not isinstance(flags, Mapping) or not all(isinstance(text, str) for text in flags.values()):
        raise Refused(
            400, "VariableFlags must have texts as values", 'send {"VariableFlags": {"NAME": "x"}}'
        )
    return flags
