"""Reads what lies under a job's prefix and says which object versions would run, or why none."""

from __future__ import annotations

from dataclasses import dataclass, replace

from job_protocol import identifiers, object_keys
from job_protocol.job import Job
from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Manifest
from job_protocol.object_keys import Problem
from job_protocol.path_patterns import matcher
from job_protocol.script_rules import script_problems
from job_protocol.script_size import MAX_SCRIPT_BYTES
from job_protocol.sweep import MAX_SWEEP_BYTES
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.site_directory import Site
from lambdas.rules.mark import Mark
from lambdas.rules.shared_inputs import clash_problems
from lambdas.rules.sweep import swept
from lambdas.rules.upload import (
    Chain,
    Limits,
    ObjectVersion,
    array_problems,
    chains_by_path,
    manifest_entries,
    newest_input,
    ran_before,
    upload_problems,
)
from lambdas.shared_reader import most_versions, read_shared


@dataclass(frozen=True, slots=True)
class Upload:
    """A validated upload.

    Attributes:
        manifest: the object versions that run.
        settings: what `aws-job.json` states.
        problems: why it is rejected, if it is.
    """

    manifest: Manifest
    settings: JobSettings
    problems: tuple[Problem, ...]


def read_upload(bucket: SiteBucket, site: Site, job_id: str, mark: Mark, job: Job | None) -> Upload:
    """Validate everything that lies under a job's prefix.

    Args:
        bucket: the site's bucket.
        site: the site, for its limits.
        job_id: the job.
        mark: the `FILE_UPLOAD` that asked for it.
        job: the job's item, if there is one.
    """
    limits = site.limits
    most = most_versions(limits)
    versions = bucket.versions(job_id, most)
    if len(versions) > most:
        return Upload(Manifest(()), JobSettings(), (_too_many(job_id, most, limits),))
    chains = chains_by_path(job_id, versions)
    rerun_since = _rerun_since(job_id, job, versions)
    results = _results(bucket, site, job_id, chains, rerun_since)
    settings, problems = _read_settings(bucket, job_id, chains, results)
    reused = matcher(settings.reuse)
    inputs = {
        path: version
        for path, chain in chains.items()
        if (version := _input_of(chain, results, reuse=reused(path))) is not None
    }
    mark_time = next(
        (v.modified for v in versions if (v.key, v.version) == (mark.key, mark.version)),
        mark.time,
    )
    settings, wrong = swept(job_id, settings, _sweep_of(bucket, settings, inputs))
    problems += wrong + array_problems(job_id, settings, limits)
    shared, shared_problems = read_shared(bucket, limits, job_id, settings)
    problems += shared_problems
    problems += upload_problems(job_id, inputs, mark_time, limits, shared)
    problems += clash_problems(job_id, inputs.keys(), shared)
    problems += _script_problems(bucket, inputs)
    # The manifest says from now on what is shared: an item is charged by its size.
    settings = replace(settings, inputs=())
    return Upload(Manifest(manifest_entries(inputs, shared)), settings, tuple(problems))


def _rerun_since(job_id: str, job: Job | None, versions: list[ObjectVersion]) -> int | None:
    """Since when jobs have written results here (seconds since the epoch), None if never."""
    if job is not None and job.run:
        return job.created or 0
    return 0 if ran_before(job_id, versions) else None


def _results(
    bucket: SiteBucket, site: Site, job_id: str, chains: dict[str, Chain], since: int | None
) -> set[ObjectVersion]:
    """The versions that pullers wrote, as far as they hide an input."""
    if since is None:
        return set()
    results: set[ObjectVersion] = set()
    open_chains = {path: chain for path, chain in chains.items() if path != object_keys.SCRIPT}
    while open_chains:
        candidates = [
            (version, identifiers.result_mark(site.name, job_id, path))
            for path, chain in open_chains.items()
            if (version := newest_input(chain, results.__contains__)) is not None
            and version.modified >= since
        ]
        found = bucket.written_by_puller(candidates)
        results |= found
        hidden = {object_keys.relative_path(job_id, version.key) for version in found}
        open_chains = {path: open_chains[path] for path in hidden}
    return results


def _read_settings(
    bucket: SiteBucket, job_id: str, chains: dict[str, Chain], results: set[ObjectVersion]
) -> tuple[JobSettings, list[Problem]]:
    chain = chains.get(object_keys.SETTINGS, ())
    version = newest_input(chain, results.__contains__)
    if version is None:
        return JobSettings(), []
    # pydantic is imported only by uploads that have settings: it costs a cold start 0.1 s.
    from lambdas.rules.settings_form import MAX_SETTINGS_BYTES, parse_settings

    key = object_keys.input_key(job_id, object_keys.SETTINGS)
    body = bucket.read(key, version.version, MAX_SETTINGS_BYTES + 1)
    if body is None:
        return JobSettings(), [_gone(key)]
    return parse_settings(key, body)


def _sweep_of(
    bucket: SiteBucket, settings: JobSettings, inputs: dict[str, ObjectVersion]
) -> bytes | None:
    version = inputs.get(settings.sweep) if settings.sweep is not None else None
    if version is None:
        return None
    return bucket.read(version.key, version.version, MAX_SWEEP_BYTES + 1)


def _script_problems(bucket: SiteBucket, inputs: dict[str, ObjectVersion]) -> list[Problem]:
    script = inputs.get(object_keys.SCRIPT)
    if script is None or not 0 < script.size <= MAX_SCRIPT_BYTES:
        return []
    body = bucket.read(script.key, script.version, MAX_SCRIPT_BYTES + 1)
    return [_gone(script.key)] if body is None else script_problems(script.key, body)


def _input_of(chain: Chain, results: set[ObjectVersion], *, reuse: bool) -> ObjectVersion | None:
    return newest_input(chain, (lambda _version: False) if reuse else results.__contains__)


def _gone(key: str) -> Problem:
    return Problem(key, "the object was deleted while it was examined", "upload it again")


def _too_many(job_id: str, most: int, limits: Limits) -> Problem:
    return Problem(
        f"{job_id}/",
        f"more than {most} object versions lie under the prefix; "
        f"this site takes at most {limits.files} files",
        "use a new job id, or delete what is not needed",
    )
