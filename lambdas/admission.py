"""From a user's word in the bucket to a run of the job, a stop, or a rejection with its reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from job_protocol import object_keys
from job_protocol.items import SCHEMA_VERSION
from job_protocol.job import Job
from job_protocol.object_keys import Problem
from job_protocol.states import JOBFERRY_WORDS, JobStatus, Outcome, Role, Word
from lambdas.dependents import look_up
from lambdas.errors import Conflict, ControlPlaneError, LimitReached
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.site_directory import Site
from lambdas.rules import dependencies
from lambdas.rules import mark as marks
from lambdas.rules.mark import Action, Decision, Mark
from lambdas.rules.upload import listable
from lambdas.runs import Cause, Runs, must_be_told
from lambdas.upload_reader import read_upload

_TRIES = 8


class Admission:
    """Acts on the marks in the bucket of one site."""

    def __init__(self, table: JobTable, bucket: SiteBucket, site: Site, clock: Callable[[], int]):
        """Admit uploads of one site.

        Args:
            table: the job table.
            bucket: the site's bucket.
            site: the site.
            clock: the time in seconds since the epoch.
        """
        self._table = table
        self._bucket = bucket
        self._site = site
        self._clock = clock
        self._runs = Runs(table, bucket, site, clock)

    def handle(self, mark: Mark) -> Decision:
        """Act on one version of an `aws-job-stat.txt`.

        Raises:
            Conflict: the job kept changing; S3's event will be delivered again.
            ControlPlaneError: a newer deployment wrote the job's item.
        """
        job_id = object_keys.job_of_mark(mark.key)
        if job_id is None:
            return Decision(Action.IGNORE)
        word = marks.word_of_etag(mark.etag)
        if word is None:
            body = self._bucket.read_word(mark.key, mark.version) if mark.size else b""
            if body is None:
                return Decision(Action.IGNORE)
            word = marks.word_of_body(body)
        if word in JOBFERRY_WORDS:  # the publisher's own writes: three of four events
            return Decision(Action.IGNORE)
        return self._decide_and_act(job_id, word, mark)

    def _decide_and_act(self, job_id: str, word: Word | None, mark: Mark) -> Decision:
        for _ in range(_TRIES):
            job = self._table.job(self._site.name, job_id)
            if job is not None and job.v > SCHEMA_VERSION:
                raise ControlPlaneError(
                    f"the item of job {job_id!r} in {mark.bucket} has version {job.v}; this "
                    f"deployment knows up to {SCHEMA_VERSION}: deploy the newer one again"
                )
            if job is not None and job.role is Role.TEMPLATE:
                # It has no status objects that could answer, and a mark must not end it.
                return Decision(Action.IGNORE)
            decision = marks.decide(word, mark, job)
            try:
                self._act(job_id, decision, mark, job)
            except Conflict:
                continue
            return decision
        raise Conflict(f"job {job_id!r} in {mark.bucket} kept changing; the event will come again")

    def _act(self, job_id: str, decision: Decision, mark: Mark, job: Job | None) -> None:
        match decision.action:
            case Action.IGNORE:
                return
            case Action.EXAMINE:
                self._examine(job_id, mark, job)
            case Action.REJECT:
                problems = (decision.problem,) if decision.problem else ()
                self._reject(job_id, mark, job, problems)
            case Action.REMEMBER_STOP:
                self._remember_stop(job_id, decision, mark, job)
            case Action.STOP if job is not None:
                self._runs.stop(
                    job, sequencer=mark.sequencer, asked_by=Word.JOB_STOP, by=mark.principal
                )
            case Action.RETRY if job is not None:
                self._retry(job, mark)
            case Action.REASSERT if job is not None:
                self._reassert(job, mark, decision.note)

    def _reassert(self, job: Job, mark: Mark, note: str | None) -> None:
        self._table.replace_job(
            job, replace(self._runs.touched(job), note=note, sequencer=mark.sequencer)
        )

    def _retry(self, job: Job, mark: Mark) -> None:
        cause = _cause(mark)
        if not marks.is_newer(mark.sequencer, job.stop_sequencer):
            stopped = replace(self._runs.stopped_at_once(job, cause), current=job.current)
            self._table.replace_job(job, stopped)
            return
        try:
            if self._runs.start_again(job, cause) is None:
                self._reassert(job, mark, marks.NOTHING_RECORDED)
        except LimitReached as limit:
            note = f"{Word.JOB_RETRY} changed nothing: {limit}; {limit.remedy}."
            self._reassert(job, mark, note)

    def _remember_stop(self, job_id: str, decision: Decision, mark: Mark, job: Job | None) -> None:
        if decision.problem is None and job is not None:
            stopped = replace(
                self._runs.touched(job), note=decision.note, stop_sequencer=mark.sequencer
            )
        else:
            problems = (decision.problem,) if decision.problem else ()
            stopped = replace(
                self._rejected(job_id, mark, job, problems),
                sequencer=job.sequencer if job else None,
                stop_sequencer=mark.sequencer,
            )
        self._table.replace_job(job, stopped)

    def _reject(
        self, job_id: str, mark: Mark, job: Job | None, problems: tuple[Problem, ...]
    ) -> None:
        self._table.replace_job(job, self._rejected(job_id, mark, job, problems))

    def _rejected(
        self, job_id: str, mark: Mark, job: Job | None, problems: tuple[Problem, ...]
    ) -> Job:
        if job is not None:
            must_be_told(job)
        base = self._runs.touched(
            job
            or Job(site=self._site.name, id=job_id, bucket=mark.bucket, role=Role.REJECTED, rev=0)
        )
        return replace(
            base,
            status=JobStatus.DEAD,
            outcome=Outcome.REJECTED,
            announce=True,
            upload=mark.version,
            sequencer=mark.sequencer,
            submitted=mark.time,
            created=base.created or mark.time,
            finished=self._clock(),
            message="the upload was rejected; see the reasons",
            note=None,
            reasons=listable(job_id, problems),
            # A folder item guards the jobs below it and stays.
            ttl=None if base.role is Role.FOLDER else self._runs.expiry(),
        )

    # ---- FILE_UPLOAD ----

    def _examine(self, job_id: str, mark: Mark, job: Job | None) -> None:
        problems = self._runs.places.problems(job_id, job)
        if problems:
            self._reject(job_id, mark, job, tuple(problems))
            return
        if job is not None and not marks.is_newer(mark.sequencer, job.stop_sequencer):
            if problems := self._runs.places.take(job_id):
                self._reject(job_id, mark, job, tuple(problems))
            else:
                self._table.replace_job(job, self._runs.stopped_at_once(job, _cause(mark)))
            return
        upload = read_upload(self._bucket, self._site, job_id, mark, job)
        site, wanted = self._site.name, upload.settings.depends_on
        named = look_up(self._table, site, wanted)
        problems = [*upload.problems, *dependencies.problems(site, job_id, wanted, named)]
        if problems := problems or self._runs.places.take(job_id):
            self._reject(job_id, mark, job, tuple(problems))
            return
        try:
            self._runs.start(
                job_id,
                _cause(mark),
                job,
                manifest=upload.manifest,
                settings=upload.settings,
                stands=dependencies.standing(site, wanted, named),
            )
        except LimitReached as limit:
            self._reject(job_id, mark, job, limit.problems)


def _cause(mark: Mark) -> Cause:
    return Cause(
        upload=mark.version, sequencer=mark.sequencer, time=mark.time, principal=mark.principal
    )
