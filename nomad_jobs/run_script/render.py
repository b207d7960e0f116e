"""A Nomad job and the facts of one run, as a job for a site: script, settings, input files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from job_protocol.dispatch_file import DISPATCH_PATH, PAYLOAD_PATH
from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import Problem
from nomad_jobs.run_script.feasibility import job_problems
from nomad_jobs.run_script.run_facts import FactsRefused, RunFacts, dispatch_file, row_files
from nomad_jobs.run_script.run_settings import run_settings
from nomad_jobs.run_script.script_text import script_text
from nomad_jobs.run_script.specification import read_job


class JobRefused(ValueError):
    """A job, or the facts of a run, that cannot be rendered.

    Attributes:
        problems: every reason.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.key}: {p.problem} ({p.remedy})" for p in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class RenderedRun:
    """One run of a job, in the shape of a job from the bucket.

    Attributes:
        script: `aws-job-run.sh`; the same for every run of one version of the job.
        settings: see `JobSettings`.
        files: further inputs, by path in the job directory.
    """

    script: bytes
    settings: JobSettings
    files: Mapping[str, bytes]


def render_script(job: Mapping[str, Any]) -> bytes:
    """The run script of a job version; store it once, every run of it has the same.

    Args:
        job: the `Job` object of Nomad's API.

    Raises:
        JobRefused: the job cannot run on a site.
    """
    if problems := job_problems(job):
        raise JobRefused(problems)
    return script_text(read_job(job)[0]).encode()


def render_run(job: Mapping[str, Any], facts: RunFacts) -> RenderedRun:
    """Everything that one run needs.

    Args:
        job: the `Job` object of Nomad's API as it was stated, defaults not filled in (a filled-in
            memory would be asked of the scheduler); of a child, its parent's as registered.
        facts: what is special about this run.

    Raises:
        JobRefused: the job cannot run on a site, or a fact cannot travel.
    """
    script = render_script(job)
    settings, files = render_facts(job, facts)
    return RenderedRun(script, settings, files)


def render_facts(
    job: Mapping[str, Any], facts: RunFacts
) -> tuple[JobSettings, Mapping[str, bytes]]:
    """What one run needs beside the script of its job version: settings, and files by path.

    Args:
        job: the `Job` object, which was rendered when it was registered.
        facts: what is special about this run.

    Raises:
        JobRefused: a fact cannot travel.
    """
    try:
        settings = run_settings(read_job(job)[0], facts)
        files = {DISPATCH_PATH: dispatch_file(facts), **row_files(facts)}
    except FactsRefused as refused:
        remedy = "correct the dispatch"
        raise JobRefused([Problem(facts.job_id, str(refused), remedy)]) from refused
    if facts.payload:
        files[PAYLOAD_PATH] = facts.payload
    return settings, files
