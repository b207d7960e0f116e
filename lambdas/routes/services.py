"""What the routes work with: the ports, the sites and the clock, and how a job or site is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from job_protocol.allocation import Allocation
from job_protocol.items import SCHEMA_VERSION
from job_protocol.job import Job
from job_protocol.states import ClientStatus, Desired, Role
from lambdas.errors import Refused
from lambdas.ports.api_tokens import ApiTokens
from lambdas.ports.job_files import JobFiles
from lambdas.ports.job_queue import JobQueue
from lambdas.ports.job_reader import JobReader
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_controls import SiteControls
from lambdas.ports.site_directory import Site
from lambdas.ports.specifications import Specifications
from lambdas.ports.templates import Templates
from lambdas.rules import waiting
from lambdas.rules.dependencies import waiting_sentence
from lambdas.rules.identity import Identity
from lambdas.rules.site_health import SiteHealth, health_of
from lambdas.turns import Turns

DEFAULT_SITE = "dc1"
DEFAULT_REGION = "global"
"""Nomad's clients may name it; every site is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the routes work with.

    Attributes:
        table: the job table, for writing.
        reader: the job table, for reading.
        tokens: the API tokens.
        controls: what operators want of the sites.
        s3: a boto3 S3 client for the ports of each site.
        sites: the deployment's sites, by name.
        clock: the time in seconds since the epoch.
        sleep: waits for some seconds.
        new_secret: makes a random text that nobody can guess.
        new_id: makes a random UUID.
        templates: what the job table says of templates.
        purge_queue: the queue of jobs that the purger has to work on.
    """

    table: JobTable
    reader: JobReader
    tokens: ApiTokens
    controls: SiteControls
    s3: Any
    sites: Mapping[str, Site]
    clock: Callable[[], int]
    sleep: Callable[[float], None]
    new_secret: Callable[[], str]
    new_id: Callable[[], str]
    templates: Templates
    purge_queue: JobQueue

    def files(self, site: str) -> JobFiles:
        """The files of a site's jobs."""
        return JobFiles(self.s3, self.sites[site].bucket)

    def specifications(self, site: str) -> Specifications:
        """The registered versions of a site's jobs."""
        return Specifications(self.s3, site, self.sites[site].bucket)

    # ---- sites ----

    def stated_site(self, query: Mapping[str, Any], identity: Identity) -> Site | None:
        """The site that a request names, if it names one.

        Raises:
            Refused: there is no such site, or the caller may not use it.
        """
        name = query.get("site") or query.get("region")
        if name in (None, DEFAULT_REGION):
            return None
        return self.site(str(name), identity)

    def site(self, name: str, identity: Identity) -> Site:
        """A site by its name.

        Raises:
            Refused: there is no such site, or the caller may not use it.
        """
        if name not in self.sites:
            known = ", ".join(self.usable_sites(identity))
            raise Refused(404, f"site {name!r} not found", f"your sites are: {known}")
        if not identity.may_use(name):
            raise Refused(403, "Permission denied", f"this token is not for site {name!r}")
        return self.sites[name]

    def one_site(self, query: Mapping[str, Any], identity: Identity) -> Site:
        """The site of a request: the one that it names, `dc1`, or the only one.

        Raises:
            Refused: there is no such site, the caller may not use it, or it is not clear.
        """
        stated = self.stated_site(query, identity)
        if stated is not None:
            return stated
        usable = self.usable_sites(identity)
        if len(usable) == 1:
            return self.sites[usable[0]]
        if DEFAULT_SITE in usable:
            return self.sites[DEFAULT_SITE]
        raise Refused(400, "several sites are there", f"name one by ?site=: {', '.join(usable)}")

    def usable_sites(self, identity: Identity) -> list[str]:
        """The names of the caller's sites, the default one first."""
        usable = [name for name in self.sites if identity.may_use(name)]
        return sorted(usable, key=lambda name: (name != DEFAULT_SITE, name))

    def searched_sites(self, query: Mapping[str, Any], identity: Identity) -> list[str]:
        """Where something is looked for: on the site that is named, else on all of the caller's."""
        stated = self.stated_site(query, identity)
        return self.usable_sites(identity) if stated is None else [stated.name]

    def health(self, site: str) -> SiteHealth:
        """The state of a site."""
        return health_of(
            site,
            self.reader.heartbeats(site),
            self.reader.control(site),
            now=self.clock(),
            silent_after=self.sites[site].silent_after_minutes * 60,
        )

    # ---- jobs ----

    def job(self, job_id: str, query: Mapping[str, Any], identity: Identity) -> Job:
        """A job by its id.

        Raises:
            Refused: there is none on the caller's sites.
        """
        for site in self.searched_sites(query, identity):
            job = self.table.job(site, job_id)
            if job is not None and job.role is not Role.FOLDER:
                if job.v > SCHEMA_VERSION:
                    raise Refused(409, "the job is newer than this API", "deploy the newer one")
                return job
        raise Refused(404, "job not found", "GET /v1/jobs lists the jobs of a site")

    def current(self, job: Job) -> Allocation | None:
        """The current allocation of a job."""
        found = self.reader.allocations(job.site, [job.current]) if job.current else []
        return found[0] if found else None

    @property
    def turns(self) -> Turns:
        """Whose turn it is among the children of a template."""
        return Turns(self.table, self.clock)

    def reasons(self, job: Job, allocation: Allocation | None) -> tuple[str, ...]:
        """Why a job waits, each a sentence; empty if it does not.

        Args:
            job: the job.
            allocation: its current allocation.
        """
        if allocation is None or allocation.client_status not in (
            ClientStatus.PENDING,
            ClientStatus.STARTING,
            ClientStatus.QUEUED,
        ):
            return ()
        turn = self.turns.sentence(job)
        if turn is not None and allocation.desired is not Desired.STOP:
            return (turn,)
        others = waiting_sentence(job)
        pending = allocation.client_status is ClientStatus.PENDING and allocation.token is None
        return waiting.reasons(
            allocation,
            self.health(allocation.site),
            ahead=self.reader.ahead(allocation) if pending and others is None else None,
            now=self.clock(),
            others=others,
        )
