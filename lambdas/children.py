"""Makes children of templates: for dispatch, launcher and force alike."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from job_protocol import identifiers, object_keys
from job_protocol.items import from_attributes
from job_protocol.job import Job, Kept, Registration
from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Entry, Manifest
from lambdas.announcing import Announced
from lambdas.errors import Conflict, Refused
from lambdas.ports.job_items import Birth
from lambdas.ports.specifications import Specifications, Version
from lambdas.ports.templates import Templates
from lambdas.rules.submission import AnnouncedFile, InlineFile
from lambdas.runs import Cause, Runs
from lambdas.submitting import Submitting
from nomad_jobs.run_script.render import render_facts, render_script
from nomad_jobs.run_script.run_facts import RunFacts
from nomad_jobs.swept_job import swept_job

_TRIES = 12
_PAUSE = 0.02
"""Seconds; the tries of many dispatches at once spread over some seconds."""


def pause_at_random(attempt: int) -> None:
    """Wait up to twice as long as before, so that those that met do not meet again."""
    time.sleep(secrets.SystemRandom().uniform(0, _PAUSE * 2 ** min(attempt, 6)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A child that is wanted.

    Attributes:
        id: its id.
        cause: what tells this request from others: the same cause is the same child.
        meta: what the dispatch gave.
        payload: what the dispatch gave; empty is none.
        rows: of a dispatch with a sweep, the metadata of each element.
        max_running: how many of these run at once at most; None leaves it to the scheduler.
        priority: what the dispatch stated; None is the template's.
        submitter: who asked for it; None is the launcher.
        advanced: the template as it was read and as it shall be, if it changes in the same write.
        token: what tells this dispatch from others, hashed; None if nothing does.
    """

    id: str
    cause: str
    meta: Mapping[str, str] = field(default_factory=dict)
    payload: bytes = b""
    rows: tuple[Mapping[str, str], ...] = ()
    max_running: int | None = None
    priority: int | None = None
    submitter: str | None = None
    advanced: tuple[Job, Job] | None = None
    token: str | None = None


def token_hash(site: str, parent: str, token: str) -> str:
    """The key under which a dispatch's idempotency token is kept."""
    text = "\n".join(f"{len(part)}:{part}" for part in (site, parent, token))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Children:
    """The children of one site's templates.

    Attributes:
        submitting: takes jobs for the site.
        specifications: the registered versions of the site's jobs.
        templates: what the table says of templates.
        pause: waits before a further try, by how many there were.
    """

    submitting: Submitting
    specifications: Specifications
    templates: Templates
    pause: Callable[[int], None] = pause_at_random

    @property
    def runs(self) -> Runs:
        """The runs of the site's jobs."""
        return self.submitting.runs

    def specification(self, template: Job) -> Version:
        """What a template states.

        Raises:
            Refused: its specification is gone.
        """
        version = self.specifications.of(template)
        if version is None:
            raise Refused(
                409, f"the specification of {template.id!r} is gone", "register the job again"
            )
        return version

    def create(self, template: Job, version: Version, wanted: Wanted) -> Job:
        """Create a child and its run; one that is there already stays as it is.

        Raises:
            JobRefused: a fact cannot travel.
            Conflict: the template changed meanwhile, or another dispatch had the same token.
        """
        if (there := self._there(wanted)) is not None:
            return there
        settings, entries = self._inputs(template, version, wanted)
        return self._start(template, wanted, entries, settings, _registration(template, wanted))

    def _inputs(
        self, template: Job, version: Version, wanted: Wanted
    ) -> tuple[JobSettings, list[Entry]]:
        rows = len(wanted.rows) or None
        job = swept_job(version.job, rows)
        settings, facts = render_facts(job, self._facts(template, version, wanted))
        settings = replace(
            settings,
            priority=wanted.priority or settings.priority,
            max_running=wanted.max_running if (rows or 1) > 1 else None,
        )
        files, kept = dict(facts), self._kept(template)
        if rows is not None:
            # The elements have other folders than the one of the template's script.
            files = {object_keys.SCRIPT: render_script(job), **files}
            kept = [entry for entry in kept if entry.path != object_keys.SCRIPT]
        inline = tuple(InlineFile(path=path, content=body) for path, body in files.items())
        return settings, [*kept, *self.submitting.files.put(wanted.id, inline)]

    def _there(self, wanted: Wanted) -> Job | None:
        if wanted.token is not None:
            child = self.templates.dispatched(wanted.token)
            if child is None:
                return None
            job = self.runs.table.job(self.runs.site.name, child)
            if job is None:
                raise Refused(
                    409,
                    f"the dispatch with this idempotency token made {child!r}, which was purged",
                    "use another token to dispatch again",
                )
            return job
        there = self.runs.table.job(self.runs.site.name, wanted.id)
        if there is not None and there.upload != self._upload(wanted):
            raise Conflict(f"{wanted.id!r} is another dispatch's")
        return there

    def _facts(self, template: Job, version: Version, wanted: Wanted) -> RunFacts:
        site = self.runs.site.name
        return RunFacts(
            site=site,
            job_id=wanted.id,
            allocation_id=identifiers.first_allocation(site, wanted.id, self._upload(wanted)),
            name=None,
            parent_id=template.id,
            meta=wanted.meta,
            payload=wanted.payload,
            rows=wanted.rows,
            namespace=version.job.get("Namespace") or "default",
            region=version.job.get("Region") or "global",
        )

    def _upload(self, wanted: Wanted) -> str:
        return identifiers.request(self.runs.site.name, wanted.id, wanted.cause)

    def _kept(self, template: Job) -> list[Entry]:
        """What all children of a template have: the script, and the signature if there is one."""
        of = template.registration
        if of is None or of.script is None or of.script_size is None:
            raise Refused(409, f"{template.id!r} has no script", "register the job again")
        kept = {
            object_keys.SCRIPT: Kept(version=of.script, size=of.script_size),
            object_keys.SIGNED: of.signed,
            object_keys.SIGNATURE: of.signature,
        }
        registered = identifiers.registered(self.runs.site.name, template.id)
        return [
            Entry(
                path,
                one.version,
                one.size,
                object_keys.template_input_key(registered, of.name, path),
            )
            for path, one in kept.items()
            if one is not None
        ]

    def _start(
        self,
        template: Job,
        wanted: Wanted,
        entries: list[Entry],
        settings: JobSettings,
        registration: Registration,
    ) -> Job:
        cause = Cause(
            upload=self._upload(wanted),
            sequencer=None,
            time=self.runs.clock(),
            submitter=wanted.submitter,
            registration=registration,
        )
        manifest = Manifest(tuple(sorted(entries, key=lambda entry: entry.path)))
        for attempt in range(_TRIES):
            if attempt:
                # Each dispatch of such a template is a write of its item: they take turns.
                self.pause(attempt - 1)
                template = self._still_there(template)
            if template.max_active is None:
                birth = Birth(parent=template.id, advanced=wanted.advanced, token=wanted.token)
            else:
                birth = self.runs.turns.birth(template, wanted.id, wanted.token)
            try:
                return self.runs.start(
                    wanted.id, cause, None, manifest=manifest, settings=settings, birth=birth
                )
            except Conflict:
                if (there := self._there(wanted)) is not None:
                    return there
                if not birth.limited:
                    raise
        raise Conflict(f"job {template.id!r} kept changing")

    def _still_there(self, template: Job) -> Job:
        there = self.runs.table.job(template.site, template.id)
        if there is None or not there.launches:
            raise Refused(409, f'Specified job "{template.id}" is stopped', "register it again")
        return there

    # ---- a payload that the client puts itself ----

    def announce(
        self, template: Job, version: Version, wanted: Wanted, payload: AnnouncedFile
    ) -> Announced:
        """Keep a dispatch until its payload is there.

        Raises:
            JobRefused: a fact cannot travel.
        """
        settings, entries = self._inputs(template, version, wanted)
        upload = self._upload(wanted)
        of = _registration(template, wanted)
        dispatch = {
            "parent": template.id,
            "cause": wanted.cause,
            "token": wanted.token,
            "registration": asdict(of),
        }
        self.submitting.announcing.announce(
            wanted.id, upload, entries, settings, (payload,), dispatch
        )
        return Announced(job_id=wanted.id, upload=upload)

    def start(self, document: dict[str, Any], *, submitter: str) -> Job:
        """Run a dispatch whose payload has been put.

        Args:
            document: what was kept until then.
            submitter: who asks.

        Raises:
            Refused: its template was stopped, or the payload is not there as announced.
            Conflict: another dispatch had the same token.
        """
        dispatch = document["dispatch"]
        wanted = Wanted(
            id=document["job"],
            cause=dispatch["cause"],
            submitter=submitter,
            token=dispatch["token"],
        )
        if (there := self._there(wanted)) is not None:
            return there
        template = self.runs.table.job(self.runs.site.name, dispatch["parent"])
        if template is None or not template.launches:
            raise Refused(
                409, f'Specified job "{dispatch["parent"]}" is stopped', "register it again"
            )
        return self._start(
            template,
            wanted,
            self.submitting.announcing.uploaded(document),
            from_attributes(JobSettings, document["settings"]),
            from_attributes(Registration, dispatch["registration"]),
        )


def _registration(template: Job, wanted: Wanted) -> Registration:
    """Which version a child of a template runs, and of a sweep how many elements.

    Raises:
        Refused: the template has none.
    """
    of = template.registration
    if of is None:
        raise Refused(409, f"{template.id!r} is no registered job", "register it")
    return Registration(version=of.version, name=of.name, rows=len(wanted.rows) or None)
