"""The form of `aws-job.json`: what a user may write, and the messages for what is wrong.

`docs/aws-job.schema.json` is generated from this form:
`python -m lambdas.rules.settings_form > docs/aws-job.schema.json`.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.json_schema import WithJsonSchema

from job_protocol.artifact_plan import read_artifact
from job_protocol.artifact_source import ArtifactProblem
from job_protocol.dependency import MOST_DEPENDENCIES
from job_protocol.elements import MAX_ARRAY
from job_protocol.items import from_attributes, to_attributes
from job_protocol.job_settings import DEFAULT_DESTINATION, DEFAULT_RETRY_DELAY, JobSettings
from job_protocol.object_keys import MAX_JOB_ID_BYTES, Problem
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


class SharedInputForm(_Form):
    """An object elsewhere in the site's bucket, which the site fetches once for all jobs."""

    source: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        alias="from",
        description="Its key; one that ends in a slash is a folder: everything below it.",
    )
    to: Annotated[str, Field(max_length=1024)] = Field(
        description="Its path in the job directory; one that ends in a slash is a folder for it."
    )
    version: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        None, description="Its S3 version id; without it, the newest when the job is admitted."
    )


Text = Annotated[str, Field(max_length=2048)]
Texts = Annotated[dict[Annotated[str, Field(min_length=1, max_length=100)], Text], Field()]
_MAX_ARTIFACTS = 100
_MAX_ARTIFACT_BYTES = 32 * 1024
"""Together: they travel in the allocation's item, and its size is what each write costs."""


class ArtifactForm(_Form):
    """What the site fetches before the job starts, from where its administrator allows it."""

    source: Annotated[str, Field(min_length=1, max_length=2048)] = Field(
        description="https://..., s3://BUCKET/KEY or git::https://..., in go-getter's form."
    )
    destination: Annotated[str, Field(max_length=1024)] = Field(
        DEFAULT_DESTINATION,
        description="A folder (with mode file, a file), relative to the job directory.",
    )
    mode: Literal["any", "file", "dir"] = Field(
        "any", description="What it becomes: any leaves it to the source."
    )
    checksum: Annotated[str, Field(max_length=200)] | None = Field(
        None, description='Of the file that is fetched, such as "sha256:HEX".'
    )
    options: Texts = Field({}, description="Further parameters of the source.")
    headers: Texts = Field({}, description="Further headers of a request by HTTP.")


class DependencyForm(_Form):
    """Another job, which has to end before this one may start."""

    job: Annotated[str, Field(min_length=1, max_length=MAX_JOB_ID_BYTES)] = Field(
        description="Its id; there must be such a job."
    )
    on: Literal["afterok", "afterany", "afternotok"] = Field(
        "afterok",
        description="Which end: afterok, it is complete; afterany, whatever it is; afternotok, it "
        "is not complete.",
    )
    site: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="Its site; without it, the site of this job."
    )


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
    count: Annotated[int, Field(ge=1, le=MAX_ARRAY)] | None = Field(
        None,
        description="Runs the script as an array of so many elements; each finds its own number, "
        "from 0, in JOBFERRY_ARRAY_INDEX.",
    )
    sweep: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        None,
        description="Path of an input, a CSV table: its first row names variables, and each "
        "further row is an element of an array, which finds the row's values in them.",
    )
    max_running: Count | None = Field(
        None, description="How many elements of an array may run at once; not for TCS."
    )
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
    inputs: Annotated[list[SharedInputForm], Field(max_length=100)] | None = Field(
        None, description="Objects elsewhere in the bucket that are inputs too."
    )
    artifacts: Annotated[list[ArtifactForm], Field(max_length=_MAX_ARTIFACTS)] | None = Field(
        None, description="What the site fetches before the job starts."
    )
    depends_on: Annotated[list[DependencyForm], Field(max_length=MOST_DEPENDENCIES)] | None = Field(
        None, description="Jobs that have to end before this one may start."
    )


_NESTED: dict[str, type[_Form]] = {
    "artifacts": ArtifactForm,
    "depends_on": DependencyForm,
    "inputs": SharedInputForm,
    "resources": ResourcesForm,
    "retries": RetriesForm,
}


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
    if len(body) > MAX_SETTINGS_BYTES:
        return JobSettings(), [
            Problem(key, f"it has more than {MAX_SETTINGS_BYTES} bytes", "make it smaller")
        ]
    try:
        form = SettingsForm.model_validate_json(body)
    except ValidationError as error:
        return JobSettings(), [_problem(key, detail) for detail in error.errors(include_url=False)]
    if form.queue and form.partition and form.queue != form.partition:
        return JobSettings(), [
            Problem(key, "queue and partition name different queues", "state one of them")
        ]
    if form.max_running is not None and form.count is None and form.sweep is None:
        return JobSettings(), [
            Problem(key, "max_running is stated without count", "state how many elements there are")
        ]
    stated = form.model_dump(exclude_none=True)
    if (partition := stated.pop("partition", None)) is not None:
        stated["queue"] = partition
    resources = stated.get("resources", {})
    if (memory := resources.pop("memory", None)) is not None:
        resources["memory_mb"] = memory
    settings = from_attributes(JobSettings, stated)
    problems = _artifact_problems(key, settings)
    return (JobSettings(), problems) if problems else (settings, [])


def _artifact_problems(key: str, settings: JobSettings) -> list[Problem]:
    found: list[Problem] = []
    for number, artifact in enumerate(settings.artifacts):
        try:
            read_artifact(artifact)
        except ArtifactProblem as error:
            problem = f"artifacts.{number}: {error}"
            found.append(Problem(key, problem, "correct it; see docs/protocol.md"))
    size = len(json.dumps([to_attributes(artifact) for artifact in settings.artifacts]).encode())
    if size > _MAX_ARTIFACT_BYTES:
        found.append(
            Problem(
                key,
                f"artifacts: {size} bytes together; at most {_MAX_ARTIFACT_BYTES} are taken",
                "fetch fewer, or pack them into one archive",
            )
        )
    return found


def _problem(key: str, detail: Any) -> Problem:
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "json_invalid":
        return Problem(key, f"not valid JSON: {detail['msg']}", "correct the file (try: jq . FILE)")
    if detail["type"] == "extra_forbidden":
        form = _NESTED.get(str(detail["loc"][0]), SettingsForm)
        known = ", ".join(field.alias or name for name, field in form.model_fields.items())
        return Problem(key, f"unknown setting {place!r}", f"known settings are: {known}")
    message = detail["msg"].removeprefix("Value error, ")
    return Problem(
        key, f"{place or 'the document'}: {message}", "correct it; see docs/aws-job.schema.json"
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
