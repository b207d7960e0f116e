"""The form of `aws-job.json`: what a user may write, and the messages for what is wrong.

`docs/aws-job.schema.json` is generated from this form:
`python -m lambdas.rules.settings_form > docs/aws-job.schema.json`.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.json_schema import WithJsonSchema

from job_protocol.items import from_attributes
from job_protocol.job_settings import DEFAULT_RETRY_DELAY, JobSettings
from job_protocol.object_keys import Problem
from job_protocol.path_patterns import problem_of
from job_protocol.settings_document import CLOCK, DURATION, MEMORY, mebibytes_of, seconds_of

MAX_SETTINGS_BYTES = 256 * 1024
_YEAR = 366 * 24 * 3600
_MAX_COUNT = 1_000_000
_MAX_MEMORY = 1024**3
"""One pebibyte in MiB; the job table cannot hold numbers of more than 38 digits."""


def _pattern(value: str) -> str:
    if (problem := problem_of(value)) is not None:
        raise ValueError(problem)
    return value


Seconds = Annotated[
    int,
    BeforeValidator(seconds_of),
    Field(ge=1, le=_YEAR),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": _YEAR},
                {"type": "string", "pattern": f"^({CLOCK.pattern}|{DURATION.pattern})$"},
            ]
        }
    ),
]
Memory = Annotated[
    int,
    BeforeValidator(mebibytes_of),
    Field(ge=1, le=_MAX_MEMORY),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": _MAX_MEMORY},
                {"type": "string", "pattern": f"^{MEMORY.pattern}$"},
            ]
        }
    ),
]
Count = Annotated[int, Field(ge=1, le=_MAX_COUNT)]
Pattern = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_pattern)]
Patterns = Annotated[list[Pattern], Field(max_length=100)]
SchedulerWord = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.,:/@+=-]{0,127}$")]
"""A word that becomes a scheduler's argument: it cannot look like an option."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ResourcesForm(_Form):
    """What the job asks of the scheduler. What is not stated is the script's or the site's word."""

    nodes: Count | None = Field(None, description="Number of nodes.")
    cpus: Count | None = Field(None, description="CPUs (cores) for the task.")
    memory: Memory | None = Field(
        None, description='Memory per node: MiB as a number, or a size such as "4G".'
    )
    gpus: Count | None = Field(None, description="Number of GPUs.")


class RetriesForm(_Form):
    """Further runs of the script after one that failed or was lost."""

    attempts: Annotated[int, Field(ge=0, le=100)] = Field(
        description="How many further attempts at most."
    )
    delay: Seconds = Field(DEFAULT_RETRY_DELAY, description="Time before each further attempt.")


class SettingsForm(_Form):
    """Settings of a job that a script cannot carry. Every field is optional."""

    model_config = ConfigDict(title="aws-job.json")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$")] | None = Field(
        None, description="The job's name at the scheduler."
    )
    priority: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="1 to 100 among the jobs that wait for the site; a higher one first."
    )
    time_limit: Seconds | None = Field(
        None, description='Wall time: seconds, "HH:MM:SS", "D-HH:MM:SS" or such as "1h30m".'
    )
    resources: ResourcesForm | None = None
    account: SchedulerWord | None = Field(
        None, description="Account, group or project that the scheduler charges."
    )
    queue: SchedulerWord | None = Field(
        None, description="The scheduler's queue or partition; `partition` is the same."
    )
    partition: SchedulerWord | None = Field(None, description="The same as `queue`.")
    retries: RetriesForm | None = None
    results: Patterns | None = Field(
        None, description="Patterns of the files to push; without it, everything."
    )
    exclude: Patterns | None = Field(None, description="Patterns of the files not to push.")
    reuse: Patterns | None = Field(
        None, description="Patterns of earlier results that are inputs when the job runs again."
    )


_NESTED: dict[str, type[_Form]] = {"resources": ResourcesForm, "retries": RetriesForm}


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of `aws-job.json`."""
    schema = SettingsForm.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def parse_settings(key: str, body: bytes) -> tuple[JobSettings, list[Problem]]:
    """Read `aws-job.json`.

    Args:
        key: its key, for the messages.
        body: its content.

    Returns:
        The settings (defaults where something is wrong) and every problem found.
    """
    try:
        form = SettingsForm.model_validate_json(body)
    except ValidationError as error:
        return JobSettings(), [_problem(key, detail) for detail in error.errors(include_url=False)]
    if form.queue and form.partition and form.queue != form.partition:
        return JobSettings(), [
            Problem(key, "queue and partition name different queues", "state one of them")
        ]
    stated = form.model_dump(exclude_none=True)
    if (partition := stated.pop("partition", None)) is not None:
        stated["queue"] = partition
    resources = stated.get("resources", {})
    if (memory := resources.pop("memory", None)) is not None:
        resources["memory_mb"] = memory
    return from_attributes(JobSettings, stated), []


def _problem(key: str, detail: Any) -> Problem:
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "json_invalid":
        return Problem(key, f"not valid JSON: {detail['msg']}", "correct the file (try: jq . FILE)")
    if detail["type"] == "extra_forbidden":
        form = _NESTED.get(str(detail["loc"][0]), SettingsForm)
        known = ", ".join(form.model_fields)
        return Problem(key, f"unknown setting {place!r}", f"known settings are: {known}")
    message = detail["msg"].removeprefix("Value error, ")
    return Problem(
        key, f"{place or 'the document'}: {message}", "correct it; see docs/aws-job.schema.json"
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
