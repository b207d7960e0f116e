"""From a request to the API to a run: the files go under the job's prefix, exactly these run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from job_protocol import identifiers, object_keys
from job_protocol.dependency import Dependency
from job_protocol.items import from_attributes
from job_protocol.job import Job
from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Entry, Manifest
from job_protocol.object_keys import Problem
from job_protocol.path_patterns import matcher
from job_protocol.sweep import MAX_SWEEP_BYTES
from lambdas.announcing import Announced, Announcing
from lambdas.dependents import look_up
from lambdas.errors import Conflict, Refused
from lambdas.ports.submitted_files import SubmittedFiles
from lambdas.rules import dependencies
from lambdas.rules.shared_inputs import clash_problems
from lambdas.rules.submission import InlineFile, Submission, content_problems
from lambdas.rules.sweep import swept
from lambdas.rules.upload import array_problems, chains_by_path
from lambdas.runs import Cause, Runs
from lambdas.shared_reader import read_shared

_TRIES = 8
_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """Who asks, and by which request.

    Attributes:
        name: who, as `Job.submitter` keeps it.
        key: what tells this request from others: the same key is the same run.
        sites: the sites that the caller may use; None for any.
    """

    name: str
    key: str
    sites: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Submitting:
    """Takes script jobs for one site.

    Attributes:
        runs: the runs of the site's jobs.
        files: the inputs of the site's jobs.
    """

    runs: Runs
    files: SubmittedFiles

    @property
    def announcing(self) -> Announcing:
        """The files that clients put themselves."""
        return Announcing(self.files)

    def submit(self, submission: Submission, submitter: Submitter) -> Job | Announced:
        """Run a script, or tell how to put the files that are still to come.

        Raises:
            Refused: something is wrong with it, or a run of the job is active.
            Conflict: the job kept changing.
        """
        job_id = submission.job_id or self._new_id(submitter)
        upload = identifiers.request(self.runs.site.name, job_id, submitter.key)
        job = self.runs.table.job(self.runs.site.name, job_id)
        if job is not None and job.upload == upload:
            return job
        settings = self._examine(job_id, job, submission, submitter)
        files = (*submission.files, *_settings_file(submission))
        if submission.uploads:
            entries = self.files.put(job_id, files)
            self.announcing.announce(job_id, upload, entries, settings, submission.uploads)
            return Announced(job_id=job_id, upload=upload)
        self.take_place(job_id)
        entries = self.files.put(job_id, files)
        cause = Cause(
            upload=upload,
            sequencer=None,
            time=self.runs.clock(),
            submitter=submitter.name,
            task_token=submission.task_token,
        )
        return self._run(job_id, job, cause, entries, settings)

    def _new_id(self, submitter: Submitter) -> str:
        site = self.runs.site.name
        digits = identifiers.request(site, "", submitter.key).replace("-", "")[:16]
        return f"script-{digits}"

    def start(
        self, job_id: str, upload: str, *, submitter: Submitter, task_token: str | None
    ) -> Job:
        """Run a submission whose files have been put.

        Args:
            job_id: the job.
            upload: the id of the submission.
            submitter: who asks.
            task_token: the task token of the workflow that waits for the end.

        Raises:
            Refused: there is no such submission, or a file is not there as announced.
            Conflict: the job kept changing.
        """
        site = self.runs.site.name
        job = self.runs.table.job(site, job_id)
        if job is not None and job.upload == upload:
            return job
        document = self.announcing.announced(job_id, upload)
        self._examine_place(job_id, job)
        entries = self.announcing.uploaded(document)
        self.take_place(job_id)
        cause = Cause(
            upload=upload,
            sequencer=None,
            time=self.runs.clock(),
            submitter=submitter.name,
            task_token=task_token,
        )
        settings = from_attributes(JobSettings, document["settings"])
        return self._run(job_id, job, cause, entries, settings)

    # ---- what is asked for ----

    def _examine(
        self, job_id: str, job: Job | None, submission: Submission, submitter: Submitter
    ) -> JobSettings:
        self._examine_place(job_id, job)
        settings, problems = _read_settings(submission)
        problems += content_problems(job_id, submission, self.runs.site.limits)
        came = {file.path: file.content for file in submission.files}
        if settings.sweep in came:
            settings, wrong = swept(job_id, settings, came[settings.sweep])
            problems += wrong
        problems += array_problems(job_id, settings, self.runs.site.limits)
        _, wrong = read_shared(self.runs.bucket, self.runs.site.limits, job_id, settings)
        wrong += self._dependencies(job_id, settings.depends_on, submitter.sites)[0]
        if problems := problems + wrong:
            raise _wrong(problems)
        return settings

    def standing(
        self, job_id: str, wanted: tuple[Dependency, ...], usable: frozenset[str] | None
    ) -> dependencies.Standing:
        """How a job stands towards what it depends on.

        Raises:
            Refused: it cannot depend on that.
        """
        problems, stands = self._dependencies(job_id, wanted, usable)
        if problems:
            raise _wrong(problems)
        return stands

    def _dependencies(
        self, job_id: str, wanted: tuple[Dependency, ...], usable: frozenset[str] | None = None
    ) -> tuple[list[Problem], dependencies.Standing]:
        """What is wrong with the job's dependencies, and how it stands towards them now."""
        site = self.runs.site.name
        named = look_up(self.runs.table, site, wanted)
        problems = dependencies.problems(site, job_id, wanted, named, usable)
        return problems, dependencies.standing(site, wanted, named)

    def _examine_place(self, job_id: str, job: Job | None) -> None:
        if problems := self.runs.places.problems(job_id, job):
            raise _wrong(problems)
        if job is not None and job.registration is not None:
            raise Refused(
                409, f"{job_id!r} is a Nomad job, not a script job", "choose another job id"
            )
        _must_be_over(job_id, job)

    def take_place(self, job_id: str) -> None:
        """Make folders of everything above the job id.

        Raises:
            Refused: that cannot be.
            Conflict: they kept changing.
        """
        for attempt in range(_TRIES):
            try:
                problems = self.runs.places.take(job_id)
            except Conflict:
                if attempt == _TRIES - 1:
                    raise
                continue
            if problems:
                raise _wrong(problems)
            return

    # ---- the run ----

    def _run(
        self,
        job_id: str,
        job: Job | None,
        cause: Cause,
        entries: list[Entry],
        settings: JobSettings,
    ) -> Job:
        """Create the run; the job is as it was read before its files were put.

        That may be long ago. The run is created on the condition that the job is still so, else it
        is read again.
        """
        named = {entry.path: entry for entry in entries}
        inputs = {**self._reused(job_id, settings), **named}
        shared, problems = read_shared(self.runs.bucket, self.runs.site.limits, job_id, settings)
        problems += clash_problems(job_id, inputs.keys(), shared)
        settings, wrong = swept(job_id, settings, self._sweep_of(job_id, settings, inputs))
        problems += wrong + array_problems(job_id, settings, self.runs.site.limits)
        if problems:
            raise _wrong(problems)
        inputs |= {entry.path: entry for entry in shared}
        manifest = Manifest(tuple(inputs[path] for path in sorted(inputs)))
        # The manifest says from now on what is shared: an item is charged by its size.
        settings = replace(settings, inputs=())
        for attempt in range(_TRIES):
            if attempt:
                job = self.runs.table.job(self.runs.site.name, job_id)
                if job is not None and job.upload == cause.upload:
                    return job
                self._examine_place(job_id, job)
            stands = self.standing(job_id, settings.depends_on, None)
            read = replace(cause, sequencer=job.sequencer if job else None)
            try:
                return self.runs.start(
                    job_id, read, job, manifest=manifest, settings=settings, stands=stands
                )
            except Conflict:
                continue
        raise Conflict(f"job {job_id!r} kept changing")

    def _sweep_of(
        self, job_id: str, settings: JobSettings, inputs: Mapping[str, Entry]
    ) -> bytes | None:
        entry = inputs.get(settings.sweep) if settings.sweep is not None else None
        if entry is None:
            return None
        key = entry.key_for(job_id)
        return self.runs.bucket.read(key, entry.version, MAX_SWEEP_BYTES + 1)

    def _reused(self, job_id: str, settings: JobSettings) -> dict[str, Entry]:
        """What the settings' `reuse` takes over of what lies under the prefix already."""
        if not settings.reuse:
            return {}
        most = self.runs.site.limits.files
        versions = self.runs.bucket.versions(job_id, most)
        wanted = matcher(settings.reuse)
        newest = {path: chain[0] for path, chain in chains_by_path(job_id, versions).items()}
        return {
            path: Entry(path, version.version, version.size)
            for path, version in newest.items()
            if wanted(path) and not version.deleted and not object_keys.is_protocol_name(path)
        }


def _must_be_over(job_id: str, job: Job | None) -> None:
    if job is not None and job.active:
        raise Refused(
            409,
            f"run {job.run} of job {job_id!r} is still active",
            "wait for its end, or stop it first, or choose another ID",
        )


def _settings_file(submission: Submission) -> tuple[InlineFile, ...]:
    """The settings as a file, so that a mark in the bucket runs the job again with the same."""
    if not submission.settings:
        return ()
    text = json.dumps(submission.settings, ensure_ascii=False, indent=2)
    return (InlineFile(path=object_keys.SETTINGS, content=f"{text}\n".encode()),)


def _read_settings(submission: Submission) -> tuple[JobSettings, list[Problem]]:
    came = (file.content for file in submission.files if file.path == object_keys.SETTINGS)
    content = next(came, None)
    if content is None and not submission.settings:
        return JobSettings(), []
    # pydantic is imported only by submissions that have settings: it costs a cold start 0.1 s.
    from lambdas.rules.settings_form import parse_settings

    if content is None:
        return parse_settings("Settings", json.dumps(submission.settings).encode())
    return parse_settings(object_keys.SETTINGS, content)


def _wrong(problems: list[Problem]) -> Refused:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Refused(400, f"{first.problem}{more}", first.remedy, tuple(problems))
