"""Signs Nomad jobs: reads and renders them here, so that what is signed is what will run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from job_protocol.cron_expression import CronExpression, time_zone
from job_protocol.signed_manifest import SignedJobs
from job_protocol.signed_runs import (
    DEFAULT_LENGTH,
    DEFAULT_PATTERN,
    MAX_META_BYTES,
    MetaBound,
    PayloadBound,
    read_settings_text,
)
from jobferry.errors import SigningFailed, UploadRefused, UsageError
from jobferry.signing import Signing
from nomad_jobs.job_file.validation import Clock, admit
from nomad_jobs.run_script.render import JobRefused
from nomad_jobs.run_script.signed_run import jobs_to_sign, kind_of, meta_keys

DEFAULT_PAYLOAD = 16 * 1024
"""Bytes of a payload where nothing is said: what Nomad takes."""

_BOUND = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(?::(?P<length>[0-9]{1,6}))?=(?P<pattern>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """In what the runs of a template may differ.

    Attributes:
        meta: a bound for each key that is not to have the usual one.
        payload: bytes at most; 0 allows none, None is the usual.
    """

    meta: Mapping[str, MetaBound] = field(default_factory=dict)
    payload: int | None = None

    @staticmethod
    def stated(meta: Sequence[str], payload: int | None) -> Bounds:
        """The bounds that are typed, as `meta_bound` reads them.

        Raises:
            UsageError: one is none.
        """
        return Bounds(meta={one.name: one for one in map(meta_bound, meta)}, payload=payload)


def meta_bound(stated: str) -> MetaBound:
    """A bound as it is typed: `KEY=PATTERN`, or `KEY:BYTES=PATTERN`.

    Raises:
        UsageError: it is none.
    """
    found = _BOUND.fullmatch(stated)
    if found is None:
        raise UsageError(f"{stated!r}: write KEY=PATTERN or KEY:BYTES=PATTERN")
    length = int(found["length"] or DEFAULT_LENGTH)
    if length > MAX_META_BYTES:
        raise UsageError(f"{stated!r}: a value has at most {MAX_META_BYTES} bytes")
    return MetaBound(found["name"], required=False, length=length, pattern=found["pattern"])


def site_to_sign(stated: str | None, job: Mapping[str, Any]) -> str:
    """The site on which a job may run.

    Args:
        stated: the site that was named.
        job: the `Job` object.

    Raises:
        UsageError: nothing names one site.
    """
    if stated is not None:
        return stated
    names = job.get("Datacenters") or []
    if len(names) == 1 and "*" not in str(names[0]):
        return str(names[0])
    raise UsageError("a signature counts on one site: name it (--site)")


def nomad_document(
    job: Mapping[str, Any], site: str, signing: Signing, bounds: Bounds, now: datetime
) -> bytes:
    """What is signed of a job.

    Args:
        job: the `Job` object.
        site: the site on which it may run.
        signing: how it is signed.
        bounds: in what its runs may differ.
        now: the time.

    Raises:
        UploadRefused: the job is wrong, or cannot run on a site.
        UsageError: the bounds do not fit the job.
        SigningFailed: it cannot be said in a document.
    """
    admission = admit(job, Clock(CronExpression.parse, time_zone))
    if admission.job is None:
        raise SigningFailed("\n".join(map(str, admission.problems)))
    accepted = admission.job
    try:
        jobs = jobs_to_sign(
            accepted,
            site,
            _runs(accepted, signing),
            meta=_meta(accepted, bounds),
            payload=_payload(accepted, bounds),
        )
    except JobRefused as refused:
        raise UploadRefused(refused.problems) from refused
    return signing.document((_with_retries(jobs, signing),), site, now)


def _runs(job: Mapping[str, Any], signing: Signing) -> int:
    if signing.runs is None and kind_of(job) is not None:
        raise UsageError("say how many runs of this template you sign for: --sign-runs N")
    return signing.runs or 1


def _with_retries(jobs: SignedJobs, signing: Signing) -> SignedJobs:
    """Of a job that runs once: once more for each attempt that may follow."""
    if signing.runs is not None or jobs.nomad is None:
        return jobs
    retries = read_settings_text(jobs.nomad.settings).retries
    return replace(jobs, runs=1 + (retries.attempts if retries is not None else 0))


def _meta(job: Mapping[str, Any], bounds: Bounds) -> tuple[MetaBound, ...]:
    keys = meta_keys(job)
    if unknown := sorted(bounds.meta.keys() - keys.keys()):
        raise UsageError(f"the job takes no meta {unknown[0]!r}; it takes: {', '.join(keys)}")
    usual = MetaBound("", required=False, length=DEFAULT_LENGTH, pattern=DEFAULT_PATTERN)
    return tuple(
        replace(bounds.meta.get(name, usual), name=name, required=required)
        for name, required in keys.items()
    )


def _payload(job: Mapping[str, Any], bounds: Bounds) -> PayloadBound | None:
    of = job.get("ParameterizedJob")
    wanted = "forbidden" if of is None else of.get("Payload") or "optional"
    if wanted == "forbidden":
        if bounds.payload:
            raise UsageError("the job takes no payload; leave out --sign-payload")
        return None
    size = DEFAULT_PAYLOAD if bounds.payload is None else bounds.payload
    if not size and wanted == "required":
        raise UsageError("the job requires a payload; allow some bytes of it (--sign-payload)")
    return PayloadBound(required=wanted == "required", size=size) if size else None
