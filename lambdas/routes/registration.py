"""Routes that take Nomad jobs: validate, plan and register; and what was registered."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from job_protocol.job import Job
from job_protocol.object_keys import Problem
from job_protocol.states import Role
from lambdas.errors import Refused
from lambdas.ports.specifications import Version
from lambdas.routes import templating
from lambdas.routes.elements import specification
from lambdas.routes.route import Answer, Call
from lambdas.routes.services import DEFAULT_SITE
from lambdas.rules import registered_views, registration, registration_views
from lambdas.rules.periodic import Periodic
from lambdas.rules.registration import Examined
from lambdas.rules.signed_registration import NotSigned, Signed, read_signed
from lambdas.rules.site_constraints import Judgement, judge
from lambdas.rules.site_health import attributes_of, first_with_room
from lambdas.submitting import Submitter
from nomad_jobs.job_file.plan import unchanged
from nomad_jobs.run_script.constraints import has_constraints
from nomad_jobs.run_script.render import JobRefused


def body_of(call: Call) -> Mapping[str, Any]:
    """The JSON object of a request.

    Raises:
        Refused: there is none.
    """
    if not isinstance(call.body, Mapping):
        raise Refused(400, "the body must be a JSON object", "see docs/openapi.json")
    return call.body


def _job_of(call: Call) -> Mapping[str, Any]:
    """The `Job` object of a request.

    Raises:
        Refused: there is none, or its id is not that of the path.
    """
    job = body_of(call).get("Job")
    if not isinstance(job, Mapping):
        raise Refused(400, "Job must be specified", 'send {"Job": {"ID": ..., ...}}')
    if "job_id" in call.path and job.get("ID") != call.job_id:
        raise Refused(400, "Job ID does not match name", "state the job's own id in the path")
    return job


def validate(call: Call) -> Answer:
    """Whether a job may be registered."""
    return Answer(body=registration_views.validation_view(registration.examine(_job_of(call))))


def plan(call: Call) -> Answer:
    """What registering a job would change."""
    examined = registration.examine(_job_of(call))
    job = _accepted(examined)
    there = _registered(call, str(job["ID"]))
    placed = _placed(call, there.site if there is not None else _site(call, job), job)
    old = specification(call, there) if there is not None else None
    periodic = job.get("Periodic")
    now = call.services.clock()
    next_launch = Periodic.of_job(periodic).next_after(now) if periodic is not None else None
    warnings = examined.warnings + placed.warnings
    changes = there is None or old is None or not unchanged(old.job, job)
    if there is not None and there.registration is not None and changes:
        told = registration.replacement_sentence(there, there.registration.version + 1)
        warnings += (told,) if told is not None else ()
    shown = registration_views.plan_view(
        there,
        old.job if old is not None else None,
        job,
        diff=body_of(call).get("Diff") is True,
        next_launch=next_launch,
        warnings=warnings,
    )
    return Answer(body=shown)


def register(call: Call) -> Answer:
    """Register a job: a batch job runs, a template waits for dispatches or its next launch."""
    body, stated = body_of(call), _job_of(call)
    there = _registered(call, str(stated.get("ID", "")))
    site = there.site if there is not None else _site(call, stated)
    limit = call.services.sites[site].limits.array
    examined = registration.examine(stated, most_elements=limit)
    accepted = _accepted(examined)
    placed = _placed(call, site, accepted)
    found = templating.registering(call.services, site).register(
        accepted,
        Submitter(
            name=call.identity.name,
            key=call.key,
            sites=frozenset(call.services.usable_sites(call.identity)),
        ),
        enforced=_enforced(body),
        signed=_signed(body),
    )
    job = found.job
    index = job.registration.index if job.registration is not None else job.rev
    follows = job.replacement.allocation if job.replacement is not None else job.current
    told = registration.replacement_sentence(job)
    return Answer(
        body={
            "EvalID": (follows or "") if job.role is Role.LEAF else "",
            "EvalCreateIndex": index,
            "JobModifyIndex": index,
            "Warnings": "\n".join(
                [*examined.warnings, *placed.warnings, *([told] if told else [])]
            ),
            "Index": job.rev,
            "LastContact": 0,
            "KnownLeader": True,
            "ID": job.id,
            "Site": job.site,
            "Ran": found.ran,
        }
    )


def _signed(body: Mapping[str, Any]) -> Signed | None:
    try:
        return read_signed(body.get("Signed"))
    except NotSigned as error:
        raise Refused(400, str(error), "see docs/signing.md") from error


def _enforced(body: Mapping[str, Any]) -> int | None:
    if body.get("EnforceIndex") is not True:
        return None
    index = body.get("JobModifyIndex", 0)
    if isinstance(index, bool) or not isinstance(index, int):
        raise Refused(400, "JobModifyIndex must be a whole number", "state that of the plan")
    return index


def _registered(call: Call, job_id: str) -> Job | None:
    """The item of a job that is registered on one of the caller's sites."""
    for site in call.services.searched_sites(call.query, call.identity):
        job = call.services.table.job(site, job_id) if job_id else None
        if job is not None and job.registration is not None:
            return job
    return None


def _site(call: Call, job: Mapping[str, Any]) -> str:
    """The site of a new job: the one that is named, else one that its datacenters match."""
    services = call.services
    stated = services.stated_site(call.query, call.identity)
    if stated is not None:
        return stated.name
    usable = services.usable_sites(call.identity)
    datacenters = job.get("Datacenters") or ["*"]
    patterns = datacenters if isinstance(datacenters, list) else []
    fitting = [
        site
        for site in usable
        if any(isinstance(one, str) and fnmatchcase(site, one) for one in patterns)
    ]
    if not fitting:
        raise Refused(
            400,
            f"no site is named {', '.join(map(str, patterns))}",
            f"your sites are: {', '.join(usable)}; write them in datacenters",
        )
    if len(fitting) > 1:
        fitting = [site for site in fitting if not _judged(call, site, job).problems] or fitting
    if len(fitting) == 1 or "*" in patterns:
        return DEFAULT_SITE if DEFAULT_SITE in fitting else fitting[0]
    waiting = [(services.health(site), services.reader.waiting(site)) for site in fitting]
    chosen = first_with_room(waiting)
    return chosen.site if chosen is not None else fitting[0]


def _judged(call: Call, site: str, job: Mapping[str, Any]) -> Judgement:
    """Whether a site fulfils a job's constraints; only a job that has some costs a request."""
    if not has_constraints(job):
        return Judgement()
    return judge(job, site, attributes_of(call.services.reader.heartbeats(site)))


def _placed(call: Call, site: str, job: Mapping[str, Any]) -> Judgement:
    judgement = _judged(call, site, job)
    if judgement.problems:
        raise refused(judgement.problems)
    return judgement


def _accepted(examined: Examined) -> dict[str, Any]:
    if examined.job is None:
        raise refused(examined.problems)
    return examined.job


def refused(problems: tuple[Problem, ...] | list[Problem]) -> Refused:
    """The refusal of a job, with every reason."""
    count = f"{len(problems)} problems; the first is in " if len(problems) > 1 else ""
    first = problems[0]
    message = f"{count}{first.key}: {first.problem}"
    return Refused(400, message, first.remedy, tuple(problems))


def refused_run(error: JobRefused) -> Refused:
    """The refusal of a run that cannot be rendered."""
    return refused(error.problems)


def versions(call: Call) -> Answer:
    """The registered versions of a job, the newest first."""
    job = call.services.job(call.job_id, call.query, call.identity)
    if job.registration is None:
        raise Refused(404, "job versions not found", "a script has no versions, only runs")
    port, of = call.services.specifications(job.site), job.parent or job.id
    names = (job.registration.name, *(job.earlier if job.parent is None else ()))
    found = (port.read(of, name) for name in names)
    rows = [_version(job, version) for version in found if version is not None]
    return Answer(body={"Versions": rows, "Diffs": None})


def _version(job: Job, version: Version) -> dict[str, Any]:
    return registered_views.version_view(
        job.id,
        version.job,
        version=version.version,
        index=version.index,
        time=version.time,
        current=job,
    )
