"""Registers Nomad jobs: a batch job runs, a template waits for dispatches or its next launch."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from job_protocol import identifiers, object_keys
from job_protocol.job import Job, Registration
from job_protocol.manifest import Manifest
from job_protocol.object_keys import Problem
from job_protocol.states import Desired, JobKind, JobStatus, Outcome, Role
from lambdas.children import Children
from lambdas.errors import Conflict, JobBusy, Refused
from lambdas.ports.specifications import Version
from lambdas.replacing import replace_run
from lambdas.rules import registration
from lambdas.rules.periodic import Periodic
from lambdas.rules.registration import Step
from lambdas.rules.signed_registration import NotSigned, Signed, check_signed
from lambdas.rules.submission import InlineFile
from lambdas.runs import Cause
from lambdas.submitting import Submitter
from nomad_jobs.run_script.render import render_run, render_script
from nomad_jobs.run_script.run_facts import RunFacts

_TRIES = 8
_CHILDREN_PAGES = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What became of a registration.

    Attributes:
        job: the job as it now is.
        ran: whether a run of it was created.
    """

    job: Job
    ran: bool


@dataclass(frozen=True, slots=True)
class Registering:
    """Takes Nomad jobs for one site.

    Attributes:
        children: the children of the site's templates, with all that they need.
    """

    children: Children

    def register(
        self,
        job: Mapping[str, Any],
        submitter: Submitter,
        *,
        enforced: int | None = None,
        signed: Signed | None = None,
    ) -> Registered:
        """Register a job.

        Args:
            job: the `Job` object, as `registration.examine` accepted it.
            submitter: who asks.
            enforced: the `JobModifyIndex` that it must have; 0 means that it must not exist.
            signed: what somebody signed of it.

        Raises:
            Refused: it cannot be registered as things stand.
            Conflict: the job kept changing.
        """
        site, job_id = self.children.runs.site.name, str(job["ID"])
        if signed is not None:
            try:
                check_signed(signed, job, site)
            except NotSigned as error:
                raise Refused(400, str(error), "sign it again: jobferry job run --sign") from error
        for _ in range(_TRIES):
            item = self.children.runs.table.job(site, job_id)
            upload = identifiers.request(site, job_id, submitter.key)
            if item is not None and item.registration is not None and _is_run(item, upload):
                return Registered(job=item, ran=True)
            try:
                return self._registered(job, item, submitter, upload, enforced, signed)
            except Conflict:
                continue
        raise Conflict(f"job {job_id!r} kept changing")

    def _registered(
        self,
        job: Mapping[str, Any],
        item: Job | None,
        submitter: Submitter,
        upload: str,
        enforced: int | None,
        signed: Signed | None,
    ) -> Registered:
        there = item if item is not None and item.registration is not None else None
        self._examine(job, item, there, enforced)
        old = self.children.specifications.of(there) if there is not None else None
        step = registration.step_of(there, old.job if old else None, job)
        template = registration.kind_of(job) is not JobKind.BATCH
        if there is not None and step is Step.NOTHING and self._stopping(there):
            step = Step.REVIVE
        if template and signed is not None:
            step = Step.CHANGE  # a signature is renewed, too
        if there is not None and step is Step.NOTHING:
            self._let_start(there)
            return Registered(job=there, ran=False)
        if template:
            kept = self._template(job, item, step, submitter, signed)
            self._let_start(kept)
            return Registered(job=kept, ran=False)
        return Registered(job=self._run(job, item, step, submitter, upload, signed), ran=True)

    def _examine(
        self, job: Mapping[str, Any], item: Job | None, there: Job | None, enforced: int | None
    ) -> None:
        job_id, template = job["ID"], registration.kind_of(job) is not JobKind.BATCH
        if message := registration.enforcement_refusal(there, enforced):
            raise Refused(409, message, "plan again, and register with its JobModifyIndex")
        if there is not None and (message := registration.update_refusal(there, job)):
            raise Refused(400, message, "choose another job id, or purge that job first")
        if there is None and item is not None and item.role is Role.LEAF:
            raise Refused(
                409, f"{job_id!r} is a script job, not a Nomad job", "choose another job id"
            )
        # A template may lie over a folder: it has no directory of its own.
        over_folder = template and item is not None and item.role in (Role.FOLDER, Role.TEMPLATE)
        known = None if over_folder and (item is None or item.purge is None) else item
        if problems := self.children.runs.places.problems(job_id, known):
            raise _wrong(problems)
        self.children.submitting.take_place(job_id)

    def _version(
        self,
        job: Mapping[str, Any],
        item: Job | None,
        step: Step,
        submitter: Submitter,
        inputs: Mapping[str, bytes] | None,
    ) -> tuple[Registration, tuple[str, ...]]:
        """The version that runs from now on, and the names of those before."""
        there = item.registration if item is not None else None
        index = (item.rev if item is not None else 0) + 1
        if item is not None and there is not None and step is Step.REVIVE:
            return replace(there, index=index), item.earlier
        version = Version(
            version=there.version + 1 if there is not None else 0,
            index=index,
            time=self.children.runs.clock(),
            submitter=submitter.name,
            job=dict(job),
        )
        kept = self.children.specifications.put(str(job["ID"]), version, inputs)
        earlier = (there.name, *item.earlier) if item is not None and there is not None else ()
        return kept, earlier[: registration.KEPT_VERSIONS - 1]

    # ---- templates ----

    def _let_start(self, template: Job) -> None:
        """Let children start that had to wait by the version before, or whose wake-up was cut off.

        What cannot be done now the next end of a child does.
        """
        if template.first_turn is not None:
            with suppress(JobBusy, Conflict):
                self.children.runs.turns.go_on(template.site, template.id)

    def _template(
        self,
        job: Mapping[str, Any],
        item: Job | None,
        step: Step,
        submitter: Submitter,
        signed: Signed | None,
    ) -> Job:
        runs, job_id = self.children.runs, str(job["ID"])
        inputs = None
        if step is Step.CHANGE:
            inputs = {object_keys.SCRIPT: render_script(job), **_inputs(signed)}
        kept, earlier = self._version(job, item, step, submitter, inputs)
        now = runs.clock()
        template = Job(
            site=runs.site.name,
            id=job_id,
            bucket=runs.site.bucket,
            role=Role.TEMPLATE,
            kind=registration.kind_of(job),
            status=JobStatus.RUNNING,
            rev=(item.rev if item else 0) + 1,
            created=(item.created if item else None) or now,
            submitted=now,
            submitter=submitter.name,
            priority=job.get("Priority"),
            registration=kept,
            earlier=earlier,
            next_due=self._next_due(job, now),
            **self._limits(job, item),
        )
        runs.table.replace_job(item, template)
        return template

    def _limits(self, job: Mapping[str, Any], item: Job | None) -> dict[str, Any]:
        """What a template's item says of the children that are active, if it has to."""
        site, job_id = self.children.runs.site.name, str(job["ID"])
        if (job.get("Periodic") or {}).get("ProhibitOverlap"):
            return {"launched": tuple(child.id for child in self._active(site, job_id))}
        first_turn = item.first_turn if item is not None else None
        most = (job.get("ParameterizedJob") or {}).get("MaxActive")
        if most is None:
            return {"first_turn": first_turn}
        if item is not None and item.max_active is not None:
            launched = item.launched
        else:
            # Its children did not count until now: their ends are to be told from now on.
            announce = self.children.runs.turns.places.announce_end
            active = [child for child in self._active(site, job_id) if child.turn is None]
            launched = tuple(child.id for child in active if announce(child))
        return {"max_active": most, "first_turn": first_turn or 0, "launched": launched}

    def _active(self, site: str, parent: str) -> list[Job]:
        children = self.children.templates.children(site, parent, pages=_CHILDREN_PAGES)
        return [child for child in children if child.active]

    def _next_due(self, job: Mapping[str, Any], now: int) -> int | None:
        block = job.get("Periodic")
        return Periodic.of_job(block).next_after(now) if block is not None else None

    def stop(self, template: Job) -> Job:
        """Stop a template; its children go on.

        Raises:
            Conflict: it changed meanwhile.
        """
        if not template.launches or template.registration is None:
            return template
        rev = template.rev + 1
        stopped = replace(
            template,
            rev=rev,
            status=JobStatus.DEAD,
            outcome=Outcome.STOPPED,
            finished=self.children.runs.clock(),
            next_due=None,
            registration=replace(template.registration, index=rev),
        )
        self.children.runs.table.replace_job(template, stopped)
        return stopped

    # ---- batch jobs ----

    def _stopping(self, job: Job) -> bool:
        """Whether the current run was told to stop, and nothing follows it."""
        if not job.active or job.replacement is not None or job.current is None:
            return False
        current = self.children.runs.table.allocation(job.site, job.current)
        return current is not None and current.desired is Desired.STOP

    def _run(
        self,
        job: Mapping[str, Any],
        item: Job | None,
        step: Step,
        submitter: Submitter,
        upload: str,
        signed: Signed | None,
    ) -> Job:
        runs, job_id = self.children.runs, str(job["ID"])
        facts = RunFacts(
            site=runs.site.name,
            job_id=job_id,
            allocation_id=identifiers.first_allocation(runs.site.name, job_id, upload),
            name=job.get("Name"),
            namespace=job.get("Namespace") or "default",
            region=job.get("Region") or "global",
        )
        follows = item is not None and (item.active or item.replacement is not None)
        wanted = registration.dependencies_of(job)
        if follows and wanted:
            raise Refused(
                409,
                f"a run of job {job_id!r} is active, and what follows it cannot wait for others",
                "stop it first, or wait for its end",
            )
        stands = self.children.submitting.standing(job_id, wanted, submitter.sites)
        rendered = render_run(job, facts)
        kept, earlier = self._version(job, item, step, submitter, None)
        inputs = {object_keys.SCRIPT: rendered.script, **rendered.files, **_inputs(signed)}
        entries = self.children.submitting.files.put(
            job_id, tuple(InlineFile(path=path, content=body) for path, body in inputs.items())
        )
        cause = Cause(
            upload=upload,
            sequencer=item.sequencer if item else None,
            time=runs.clock(),
            submitter=submitter.name,
            registration=kept,
            earlier=earlier,
        )
        manifest = Manifest(tuple(sorted(entries, key=lambda entry: entry.path)))
        if item is not None and follows:
            return replace_run(runs, item, cause, manifest=manifest, settings=rendered.settings)
        return runs.start(
            job_id, cause, item, manifest=manifest, settings=rendered.settings, stands=stands
        )


def _inputs(signed: Signed | None) -> Mapping[str, bytes]:
    return {} if signed is None else signed.inputs


def _is_run(job: Job, upload: str) -> bool:
    """Whether a request has made a job's run, or the one that follows."""
    follows = job.replacement
    return job.upload == upload or (follows is not None and follows.upload == upload)


def _wrong(problems: list[Problem]) -> Refused:
    return Refused(400, problems[0].problem, problems[0].remedy, tuple(problems))
