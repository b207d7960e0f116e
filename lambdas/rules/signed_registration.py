"""The signature that comes with the registration of a Nomad job: whether it can be of this job.

Who signed is judged on the site alone; here it is only seen to that a job which the site would
refuse is refused at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from job_protocol import object_keys
from job_protocol.signed_manifest import SignedJobs, SignedManifest, SignedManifestError
from nomad_jobs.run_script.render import JobRefused
from nomad_jobs.run_script.signed_run import jobs_to_sign

MAX_DOCUMENT = 1024 * 1024
"""Characters of a document in a request, and of a signature."""


class NotSigned(ValueError):
    """A signature that is not of this job; the message says why."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed document.

    Attributes:
        document: the document.
        signature: its signature, as `ssh-keygen -Y sign` writes it.
    """

    document: bytes
    signature: bytes

    @property
    def inputs(self) -> dict[str, bytes]:
        """Both as inputs, by path."""
        return {object_keys.SIGNED: self.document, object_keys.SIGNATURE: self.signature}


def read_signed(stated: object) -> Signed | None:
    """The signed document of a request; None if there is none.

    Raises:
        NotSigned: it is not of the form.
    """
    if stated is None:
        return None
    texts = [stated.get(name) for name in _NAMES] if isinstance(stated, Mapping) else []
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise NotSigned("Signed must be an object with the texts Document and Signature")
    if any(len(str(text)) > MAX_DOCUMENT for text in texts):
        raise NotSigned(f"Document and Signature have at most {MAX_DOCUMENT} characters")
    document, signature = (str(text).encode("utf-8", "replace") for text in texts)
    return Signed(document, signature)


_NAMES = ("Document", "Signature")


def check_signed(signed: Signed, job: Mapping[str, Any], site: str) -> None:
    """Whether a document says of a job what will run.

    Args:
        signed: the document.
        job: the accepted `Job` object.
        site: the site on which it is registered.

    Raises:
        NotSigned: it does not.
    """
    try:
        manifest = SignedManifest.parse(signed.document)
    except SignedManifestError as error:
        raise NotSigned(f"the signed document cannot be read: {error}") from error
    if manifest.site != site:
        raise NotSigned(f"it was signed for site {manifest.site!r}, and not for {site!r}")
    job_id = str(job["ID"])
    stated = next((one for one in manifest.jobs if _names(one, job_id)), None)
    if stated is None:
        raise NotSigned(f"it was signed for other jobs, and not for {job_id!r}")
    try:
        wanted = jobs_to_sign(job, site, stated.runs)
    except JobRefused as error:
        raise NotSigned(str(error)) from error
    if _without_bounds(stated) != wanted:
        raise NotSigned(
            f"what was signed is not what job {job_id!r} would run here; is the client of another "
            "version than the deployment?"
        )


def _names(jobs: SignedJobs, job_id: str) -> bool:
    return job_id in (*jobs.ids, *jobs.parameterized, *jobs.periodic)


def _without_bounds(jobs: SignedJobs) -> SignedJobs:
    if jobs.nomad is None:
        return jobs
    return replace(jobs, nomad=replace(jobs.nomad, meta=(), payload=None))
