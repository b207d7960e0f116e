"""A task's artifacts as the puller fetches them: with the run's facts, in the job directory."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from job_protocol.artifact_plan import read_artifact
from job_protocol.artifact_source import ArtifactProblem
from job_protocol.element_files import SHARED_ARTIFACTS
from job_protocol.job_settings import Artifact
from nomad_jobs.run_script.run_facts import FactsRefused, RunFacts
from nomad_jobs.run_script.specification import (
    Group,
    GroupArtifact,
    JobSpecification,
    Task,
)

_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_.-]+)\}")
_ONLY_ON_THE_NODE = re.compile(
    r"\$\{((?:node|attr|meta)\.[^}]*|env[.\[][^}]*|NOMAD_[A-Z_]*ALLOC_(?!DIR)[A-Z]+)\}"
)


def staged_artifacts(job: JobSpecification, facts: RunFacts) -> tuple[Artifact, ...]:
    """All artifacts of a run; destinations are relative to the job directory.

    Raises:
        FactsRefused: with these facts, a destination leads out of the allocation.
    """
    found: dict[tuple[str, str], Artifact] = {}
    for group, task, artifact in _all(job):
        values = _values(job, group, task, facts)
        options = _interpolated(artifact.options, values)
        staged = Artifact(
            source=_interpolate(artifact.source, values),
            destination=_destination(job, group, task, artifact, values),
            mode=artifact.mode,
            checksum=options.pop("checksum", None),
            options=options,
            headers=_interpolated(artifact.headers, values),
        )
        found[(staged.source, staged.destination)] = staged
    return tuple(found.values())


def has_artifacts(job: JobSpecification) -> bool:
    """Whether any task has an artifact."""
    return any(True for _ in _all(job))


def note_artifact_problems(job: JobSpecification) -> None:
    """Note what is wrong with artifacts, whatever the run."""
    facts = RunFacts(site="", job_id=job.id, allocation_id="")
    for group, task, artifact in _all(job):
        texts = (artifact.source, artifact.destination, *artifact.options.values())
        for text in (*texts, *artifact.headers.values()):
            if (reference := _ONLY_ON_THE_NODE.search(text)) is not None:
                task.raw.refuse(
                    f"an artifact uses {reference[0]}, which only the node knows",
                    "fetch it in the task itself, or use what the job or the dispatch says",
                )
        if not artifact.source:
            task.raw.refuse("an artifact has no source", "state where it comes from")
        if artifact.mode not in ("any", "file", "dir"):
            task.raw.refuse(f"the artifact's mode {artifact.mode!r}", "use any, file or dir")
        place = _place(task, _interpolate(artifact.destination, _values(job, group, task, facts)))
        if place is None:
            task.raw.refuse(
                f"the artifact's destination {artifact.destination!r} leads out of the allocation",
                "name a place in the task's directory or in the alloc directory",
            )
        elif (wrong := _never_fetched(artifact, place)) is not None:
            task.raw.refuse(f"an artifact can never be fetched: {wrong}", "see docs/protocol.md")


def _never_fetched(artifact: GroupArtifact, place: str) -> str | None:
    """Why a site can never fetch an artifact; None if it may, or if a run's facts decide."""
    options = dict(artifact.options)
    texts = (artifact.source, *options.values(), *artifact.headers.values())
    if not artifact.source or any("${" in text for text in texts):
        return None
    stated = Artifact(
        source=artifact.source,
        destination=place if artifact.mode == "file" else f"{place}/",
        mode=artifact.mode,
        checksum=options.pop("checksum", None),
        options=options,
        headers=artifact.headers,
    )
    try:
        read_artifact(stated)
    except ArtifactProblem as error:
        return str(error)
    return None


def _all(job: JobSpecification) -> Iterator[tuple[Group, Task, GroupArtifact]]:
    for group in job.groups:
        for task in group.tasks:
            for artifact in task.artifacts:
                yield group, task, artifact


def _destination(
    job: JobSpecification,
    group: Group,
    task: Task,
    artifact: GroupArtifact,
    values: Mapping[str, str],
) -> str:
    stated = _interpolate(artifact.destination, values)
    if (place := _place(task, stated)) is None:
        raise FactsRefused(
            f"with this run's facts, the artifact's destination {stated!r} leads out"
        )
    if job.elements > 1:
        place = f"{SHARED_ARTIFACTS}/{group.name}/{place}"
    return place if artifact.mode == "file" else f"{place}/"


def _place(task: Task, destination: str) -> str | None:
    place = posixpath.normpath(posixpath.join(task.name, destination))
    inside = place.split("/")[0] in (task.name, "alloc")
    return place if inside and not destination.startswith("/") else None


def _values(job: JobSpecification, group: Group, task: Task, facts: RunFacts) -> dict[str, str]:
    values = {
        "NOMAD_TASK_DIR": "local",
        "NOMAD_SECRETS_DIR": "secrets",
        "NOMAD_ALLOC_DIR": "../alloc",
        "NOMAD_TASK_NAME": task.name,
        "NOMAD_GROUP_NAME": group.name,
        "NOMAD_JOB_ID": facts.job_id,
        "NOMAD_JOB_NAME": facts.name or facts.job_id,
        "NOMAD_JOB_PARENT_ID": facts.parent_id or "",
        "NOMAD_DC": facts.site,
        "NOMAD_REGION": facts.region,
        "NOMAD_NAMESPACE": facts.namespace,
    }
    optional = dict.fromkeys(job.meta_optional, "")
    for key, value in (optional | {**job.meta, **facts.meta, **group.meta, **task.meta}).items():
        text = _interpolate(value, values)
        values |= {f"NOMAD_META_{key.upper()}": text, f"NOMAD_META_{key}": text}
    for key, value in task.env.items():
        values[key] = _interpolate(value, values)
    return values


def _interpolated(pairs: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    return {name: _interpolate(value, values) for name, value in pairs.items()}


def _interpolate(text: str, values: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda found: values.get(found[1], found[0]), text)
