"""From a user's word in the bucket to a run of the job, a stop, or a rejection with its reasons."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from job_protocol import identifiers, object_keys
from job_protocol.allocation import Allocation
from job_protocol.items import SCHEMA_VERSION
from job_protocol.job import Job
from job_protocol.manifest import INLINE_LIMIT
from job_protocol.object_keys import Problem
from job_protocol.states import (
    JOBFERRY_WORDS,
    ClientStatus,
    Desired,
    JobStatus,
    Outcome,
    Role,
    Word,
)
from lambdas.errors import Conflict, ControlPlaneError
from lambdas.ports.job_table import JobTable, as_folder
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.site_directory import Site
from lambdas.rules import mark as marks
from lambdas.rules.again import again
from lambdas.rules.mark import Action, Decision, Mark
from lambdas.rules.upload import listable
from lambdas.upload_reader import Upload, read_upload

_TRIES = 8
STOPPED_AT_ONCE = "stopped by the user before it had begun"


class Admission:
    """The admission rule of one deployment: the same for a mark in the bucket and for the API."""

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
                self._stop(job, mark)
            case Action.RETRY if job is not None:
                self._retry(job, mark)
            case Action.REASSERT if job is not None:
                self._reassert(job, mark, decision.note)

    def _touched(self, job: Job) -> Job:
        """The job with a further revision, which is to be published.

        A lease that has run out goes: the stream passes over the jobs of a publisher at work.
        """
        touched = replace(job, rev=job.rev + 1, unpublished=True)
        if (job.lease_until or 0) > self._clock():
            return touched
        return replace(touched, lease=None, lease_until=None)

    def _expiry(self) -> int:
        return self._clock() + self._site.keep_days * 24 * 3600

    def _reassert(self, job: Job, mark: Mark, note: str | None) -> None:
        self._table.replace_job(
            job, replace(self._touched(job), note=note, sequencer=mark.sequencer)
        )

    def _stop(self, job: Job, mark: Mark) -> None:
        asked = replace(self._touched(job), note=None, sequencer=mark.sequencer)
        allocation = self._table.allocation(job.site, job.current) if job.current else None
        if allocation is None:
            self._reassert(job, mark, "JOB_STOP changed nothing: nothing of the job runs.")
        elif allocation.client_status.terminal:
            asked = replace(asked, note="JOB_STOP came at the end of the run; no other follows.")
            self._table.stop_attempts(job, asked)
        elif allocation.token is None and allocation.client_status is ClientStatus.PENDING:
            self._table.stop_unclaimed(job, asked, now=self._clock(), ttl=self._expiry())
        else:
            asked = replace(asked, note="JOB_STOP: the site's puller has been asked to stop it.")
            self._table.ask_to_stop(job, asked, now=self._clock())

    def _retry(self, job: Job, mark: Mark) -> None:
        if not marks.is_newer(mark.sequencer, job.stop_sequencer):
            stopped = replace(self._stopped_at_once(job, mark), current=job.current)
            self._table.replace_job(job, stopped)
            return
        ended = self._table.allocation(job.site, job.current) if job.current else None
        if ended is None or (ended.manifest is None and ended.manifest_of is None):
            self._reassert(job, mark, marks.NOTHING_RECORDED)
            return
        allocation = again(
            ended,
            id_=identifiers.first_allocation(job.site, job.id, mark.version),
            run=job.run + 1,
            attempt=0,
            now=self._clock(),
        )
        new = replace(
            self._new_run(job.id, mark, job),
            current=allocation.id,
            client_status=ClientStatus.PENDING,
        )
        self._table.create_allocation(job, new, allocation)

    def _remember_stop(self, job_id: str, decision: Decision, mark: Mark, job: Job | None) -> None:
        if decision.problem is None and job is not None:
            stopped = replace(self._touched(job), note=decision.note, stop_sequencer=mark.sequencer)
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
        base = self._touched(
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
            ttl=None if base.role is Role.FOLDER else self._expiry(),
        )

    # ---- FILE_UPLOAD ----

    def _examine(self, job_id: str, mark: Mark, job: Job | None) -> None:
        problems = self._place_problems(job_id, job)
        if problems:
            self._reject(job_id, mark, job, tuple(problems))
            return
        if job is not None and not marks.is_newer(mark.sequencer, job.stop_sequencer):
            if problems := self._take_place(job_id):
                self._reject(job_id, mark, job, tuple(problems))
            else:
                self._table.replace_job(job, self._stopped_at_once(job, mark))
            return
        upload = read_upload(self._bucket, self._site, job_id, mark, job)
        if not upload.problems:
            problems = self._take_place(job_id)
        if upload.problems or problems:
            self._reject(job_id, mark, job, upload.problems or tuple(problems))
            return
        self._run(job_id, mark, job, upload)

    def _place_problems(self, job_id: str, job: Job | None) -> list[Problem]:
        problems = object_keys.job_id_problems(job_id)
        if problems:
            return problems
        if job is not None and job.role is Role.FOLDER:
            return [
                Problem(
                    job_id,
                    f"{job_id!r} is a folder of other jobs ({job_id}/...)",
                    "choose a job id that is not a folder of others",
                )
            ]
        if job is not None and job.role is Role.TEMPLATE:
            return [
                Problem(
                    job_id,
                    f"{job_id!r} is a {job.kind.value} job",
                    "choose another job id, or dispatch that job",
                )
            ]
        above = self._table.jobs(self._site.name, object_keys.ancestors(job_id))
        return [
            _inside(job_id, folder)
            for folder, item in above.items()
            if item.role in (Role.LEAF, Role.TEMPLATE)
        ]

    def _take_place(self, job_id: str) -> list[Problem]:
        folders = object_keys.ancestors(job_id)
        there = self._table.jobs(self._site.name, folders)
        for folder in folders:
            item = there.get(folder) or self._new_folder(folder)
            if item.role is Role.REJECTED:
                # It keeps its revision: who read it as rejected must not take it for unchanged.
                self._table.replace_job(
                    item, replace(self._touched(item), role=Role.FOLDER, ttl=None)
                )
            elif item.role is not Role.FOLDER:
                return [_inside(job_id, folder)]
        return []

    def _new_folder(self, folder: str) -> Job:
        """The folder's item, or the item of whoever took the place first."""
        item = as_folder(self._site.name, folder, self._site.bucket)
        with suppress(Conflict):
            self._table.replace_job(None, item)
            return item
        winner = self._table.job(self._site.name, folder)
        if winner is None:
            raise Conflict(f"{folder!r} came and went")
        return winner

    def _stopped_at_once(self, job: Job, mark: Mark) -> Job:
        """The new run of a job whose later `JOB_STOP` has overtaken its `FILE_UPLOAD`."""
        return replace(
            self._new_run(job.id, mark, job),
            status=JobStatus.DEAD,
            outcome=Outcome.STOPPED,
            message=STOPPED_AT_ONCE,
            current=None,
            client_status=None,
            finished=self._clock(),
            ttl=self._expiry(),
        )

    def _new_run(self, job_id: str, mark: Mark, job: Job | None) -> Job:
        touched = self._touched(job) if job else None
        return Job(
            site=self._site.name,
            id=job_id,
            bucket=mark.bucket,
            rev=touched.rev if touched else 1,
            unpublished=True,
            announce=True,
            run=(job.run if job else 0) + 1,
            upload=mark.version,
            sequencer=mark.sequencer,
            stop_sequencer=job.stop_sequencer if job else None,
            created=(job.created if job and job.run else None) or mark.time,
            submitted=mark.time,
            lease=touched.lease if touched else None,
            lease_until=touched.lease_until if touched else None,
        )

    def _run(self, job_id: str, mark: Mark, job: Job | None, upload: Upload) -> None:
        now = self._clock()
        allocation = Allocation(
            site=self._site.name,
            job=job_id,
            id=identifiers.first_allocation(self._site.name, job_id, mark.version),
            run=(job.run if job else 0) + 1,
            created=now,
            desired=Desired.RUN,
            settings=upload.settings,
            keep_days=self._site.keep_days,
        )
        packed = upload.manifest.pack()
        if len(packed) <= INLINE_LIMIT:
            allocation = replace(allocation, manifest=packed)
        else:
            self._bucket.put_manifest(allocation.id, upload.manifest.to_json())
            allocation = replace(allocation, manifest_of=allocation.id)
        new = replace(
            self._new_run(job_id, mark, job),
            current=allocation.id,
            client_status=ClientStatus.PENDING,
        )
        self._table.create_allocation(job, new, allocation)


def _inside(job_id: str, other: str) -> Problem:
    return Problem(
        job_id,
        f"job id {job_id!r} lies inside the job {other!r}",
        "choose a job id that is not under another job's prefix",
    )
