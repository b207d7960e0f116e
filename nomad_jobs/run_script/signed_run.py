"""What of a job version is signed; the signer's side and the control plane have to agree on it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import SCRIPT, Problem
from job_protocol.signed_manifest import SignedInput, SignedJobs
from job_protocol.signed_runs import (
    NAME_FACT,
    MetaBound,
    PayloadBound,
    Runs,
    is_child,
    settings_text,
)
from nomad_jobs.run_script.render import JobRefused, render_facts, render_script
from nomad_jobs.run_script.run_facts import RunFacts

_ALLOCATION = "00000000-0000-0000-0000-000000000000"
_LAST = {"parameterized": "dispatch-{0}-0000000{0}", "periodic": "periodic-{0}"}


def kind_of(job: Mapping[str, Any]) -> str | None:
    """`parameterized` or `periodic`; None of a job that is no template."""
    if job.get("Periodic") is not None:
        return "periodic"
    return "parameterized" if job.get("ParameterizedJob") is not None else None


def meta_keys(job: Mapping[str, Any]) -> dict[str, bool]:
    """The meta that a dispatch may give, by key: whether it must."""
    of = job.get("ParameterizedJob") or {}
    keys = dict.fromkeys(of.get("MetaOptional") or (), False)
    return dict(sorted((keys | dict.fromkeys(of.get("MetaRequired") or (), True)).items()))


def jobs_to_sign(
    job: Mapping[str, Any],
    site: str,
    runs: int,
    *,
    meta: tuple[MetaBound, ...] = (),
    payload: PayloadBound | None = None,
) -> SignedJobs:
    """What a document says of a job: its script, its settings, its facts, and the bounds.

    Args:
        job: the accepted `Job` object.
        site: the site on which it may run.
        runs: how often.
        meta: what a dispatch may give, by name.
        payload: what a dispatch may bring.

    Raises:
        JobRefused: it cannot be rendered, or its settings depend on the run.
    """
    kind, job_id = kind_of(job), str(job["ID"])
    script = SignedInput(SCRIPT, hashlib.sha256(render_script(job)).hexdigest())
    facts = {
        "namespace": job.get("Namespace") or "default",
        "region": job.get("Region") or "global",
    }
    if kind is None:
        facts[NAME_FACT] = job.get("Name") or job_id
    settings = settings_text(_settings(job, site))
    common = Runs(settings, tuple(sorted(facts.items())), meta, payload)
    own = (job_id,)
    return SignedJobs(
        ids=own if kind is None else (),
        patterns=(),
        runs=runs,
        inputs=(script,),
        parameterized=own if kind == "parameterized" else (),
        periodic=own if kind == "periodic" else (),
        nomad=common,
    )


def _settings(job: Mapping[str, Any], site: str) -> JobSettings:
    """The settings that all runs have.

    Raises:
        JobRefused: they depend on the run.
    """
    first, second = (render_facts(job, _example(job, site, digit))[0] for digit in "12")
    if first != second:
        raise JobRefused(
            [
                Problem(
                    str(job["ID"]),
                    "an artifact depends on the child's id or on meta, so what it brings differs "
                    "between runs and cannot be signed",
                    "name it without ${NOMAD_META_...} and ${NOMAD_JOB_ID}, or bring it as payload",
                )
            ]
        )
    return first


def _example(job: Mapping[str, Any], site: str, digit: str) -> RunFacts:
    """Facts of a run; those of two digits differ in all that differs between runs."""
    kind, job_id = kind_of(job), str(job["ID"])
    child = job_id
    if kind is not None:
        child = f"{job_id}/{_LAST[kind].format(digit)}"
        if not is_child(kind, job_id, child):
            raise AssertionError(f"{child!r} is no child's id")
    return RunFacts(
        site=site,
        job_id=child,
        allocation_id=_ALLOCATION,
        name=job.get("Name") if kind is None else None,
        parent_id=None if kind is None else job_id,
        meta=dict.fromkeys(meta_keys(job), digit),
        namespace=job.get("Namespace") or "default",
        region=job.get("Region") or "global",
    )
