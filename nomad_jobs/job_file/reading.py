"""Reads a job file: HCL or JSON text to Nomad's job in JSON, or every reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nomad_jobs.job_file.bodies import parse_file
from nomad_jobs.job_file.budget import Budget
from nomad_jobs.job_file.decoding import Decoder
from nomad_jobs.job_file.evaluation import Evaluation
from nomad_jobs.job_file.json_text import parsed_json
from nomad_jobs.job_file.nearest import did_you_mean
from nomad_jobs.job_file.problems import Finding, HclError, Places, TooMuchWork
from nomad_jobs.job_file.syntax import Block, Body
from nomad_jobs.job_file.variables import Names, VariableFile

_TOP = ("job", "variable", "variables", "locals")


@dataclass(frozen=True, slots=True)
class JobFile:
    """What a job file says.

    Attributes:
        job: Nomad's `Job` in JSON with what the file states and nothing else (see `defaults`);
            None if there are problems.
        problems: why it cannot be read.
        warnings: what it states in vain.
        places: the lines of its parts, for the messages of the validation.
    """

    job: dict[str, Any] | None
    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    places: Places


def read_job_file(
    text: str,
    *,
    file: str,
    variables: Mapping[str, str] | None = None,
    variable_files: Sequence[VariableFile] = (),
) -> JobFile:
    """Read a job file as `nomad job run` does.

    Args:
        text: HCL, or Nomad's JSON if it begins with a brace.
        file: its name, for the messages.
        variables: values by name, as `-var` gives them.
        variable_files: files as `-var-file` names them, later ones win.
    """
    budget = Budget()
    decoder = Decoder(file, Evaluation(budget), budget)
    job: dict[str, Any] | None = None
    try:
        if text.lstrip("\ufeff \t\r\n").startswith("{"):
            job = _from_json(text)
        else:
            body = parse_file(text, budget)
            names = Names(file, Evaluation(budget), budget, decoder.problems)
            block = _job_block(body, file, decoder.problems)
            values = names.of(body, variables or {}, variable_files)
            job = decoder.job(block, values) if block is not None else None
    except (HclError, TooMuchWork) as error:
        decoder.problems.append(Finding(str(error), file=file, line=error.line))
    except RecursionError:
        # Operators nest without brackets: 1+1+1+...; the interpreter's stack is their bound.
        message = "an expression has too many operators, or the text is nested too deeply"
        decoder.problems.append(Finding(message, file=file, line=budget.line))
    return JobFile(
        job if not decoder.problems else None,
        tuple(decoder.problems),
        tuple(decoder.warnings),
        Places(file, decoder.lines),
    )


def _from_json(text: str) -> dict[str, Any]:
    document = parsed_json(text)
    if "job" in document and "Job" not in document:
        raise HclError(
            "JSON job files have the form of Nomad's API ({'Job': {'ID': ...}}), "
            "as `nomad job run -output` prints it; HCL in JSON is not read",
            line=1,
        )
    job = document.get("Job", document)
    if not isinstance(job, dict):
        raise HclError("'Job' must be an object", line=1)
    return job


def _job_block(body: Body, file: str, problems: list[Finding]) -> Block | None:
    for attribute in body.attributes:
        message = f"{attribute.name!r} stands outside of every block"
        problems.append(Finding(message, file=file, line=attribute.line))
    for block in body.blocks:
        if block.type not in _TOP:
            message = f"unknown block {block.type!r}{did_you_mean(block.type, _TOP)}"
            problems.append(Finding(message, file=file, line=block.line))
    jobs = [block for block in body.blocks if block.type == "job"]
    for block in jobs[1:]:
        message = f"a file has one job; the first is on line {jobs[0].line}"
        problems.append(Finding(message, file=file, line=block.line))
    if not jobs:
        problems.append(Finding('there is no job: job "name" { ... }', file=file, line=1))
        return None
    if len(jobs[0].labels) != 1:
        message = 'a job has one label, its id: job "name" { ... }'
        problems.append(Finding(message, file=file, line=jobs[0].line))
        return None
    return jobs[0]
