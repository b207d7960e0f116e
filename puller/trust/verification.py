"""Whether a staged job is signed, by whom, for here and now, and what its signed settings are."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from job_protocol.dispatch_file import DISPATCH_PATH, PAYLOAD_PATH
from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import SETTINGS, SIGNATURE, SIGNED
from job_protocol.settings_document import SettingsDocumentError, read_settings
from job_protocol.signed_manifest import MAX_BYTES, Covered, SignedManifest, SignedManifestError
from job_protocol.signed_runs import Run as NomadRun
from job_protocol.signed_runs import Runs as NomadRuns
from job_protocol.signed_runs import problem_of, read_settings_text
from job_protocol.sweep import SweepError
from puller.errors import Refused
from puller.job_directory import JobDirectory, control_directory
from puller.journal import Record
from puller.settings import Settings
from puller.staging import note_modes
from puller.sweep_values import sweep_in
from puller.trust.policy import Policy
from puller.trust.run_counts import Run, RunCounts
from puller.trust.session_keys import SessionKey, SessionKeys, narrowed, signers_lines
from puller.trust.signature import (
    SignatureTool,
    SignersFile,
    chosen_signer,
    openssh_environment,
)
from puller.trust.staged_bytes import check_staged

_SIGNATURE_BYTES = 64 * 1024
_SETTINGS_BYTES = 1024 * 1024
_DISPATCH_BYTES = 16 * 1024 * 1024
_OF_ONE_RUN = frozenset({DISPATCH_PATH, PAYLOAD_PATH})


@dataclass(frozen=True, slots=True)
class SignedJob:
    """A job that is what a listed person signed.

    Attributes:
        signer: the person.
        settings: what the signed `aws-job.json` states.
        session: the session key with which it was signed, if it was one.
    """

    signer: str
    settings: JobSettings
    session: SessionKey | None = None

    @property
    def max_nodes(self) -> int | None:
        """How many nodes it may ask for, if the session key says so."""
        return None if self.session is None else self.session.max_nodes


class Verification:
    """The verification of one installation's jobs."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        """Verify jobs.

        Args:
            settings: the puller's settings.
            clock: the time in seconds since the epoch.
        """
        self._settings = settings
        self._clock = clock
        self._runs = RunCounts(settings.state)
        self._tool = SignatureTool(openssh_environment(settings.path))

    def verified(self, record: Record, staged: JobDirectory, policy: Policy) -> SignedJob:
        """Verify a staged job, and give its files the signed modes.

        Raises:
            Refused: it is not what a listed person signed for this job, here and now.
            NotNow: it cannot be found out.
            OSError: it cannot be read.
        """
        document = _read(staged, SIGNED, MAX_BYTES + 1)
        signature = _read(staged, SIGNATURE, _SIGNATURE_BYTES)
        signer, session = self._signer(document, signature, policy)
        covered, _ = self._covered(record, document)
        umask = int(self._settings.umask, 8)
        nomad = covered.jobs.nomad
        differing = frozenset() if nomad is None else _OF_ONE_RUN
        changed = check_staged(staged.tree, covered.jobs.inputs, umask, differing=differing)
        if changed:
            note_modes(control_directory(self._settings.jobs_dir, record.id), changed)
        if nomad is not None:
            self._check_run(record, staged, nomad, covered.template)
            return SignedJob(signer, read_settings_text(nomad.settings), session)
        if SETTINGS not in {one.path for one in covered.jobs.inputs}:
            return SignedJob(signer, JobSettings(), session)
        try:
            settings = read_settings(staged.tree.read(SETTINGS, _SETTINGS_BYTES))
            return SignedJob(signer, _with_elements(settings, staged), session)
        except (SettingsDocumentError, SweepError) as error:
            raise Refused(f"{SETTINGS}: {error}") from error

    def _check_run(
        self, record: Record, staged: JobDirectory, signed: NomadRuns, template: str | None
    ) -> None:
        """Whether what differs between the runs of a Nomad job is within what was signed."""
        try:
            dispatch = staged.tree.read(DISPATCH_PATH, _DISPATCH_BYTES)
        except FileNotFoundError as error:
            raise Refused(f"input {DISPATCH_PATH!r} is not there") from error
        try:
            payload = staged.tree.lstat(PAYLOAD_PATH).st_size
        except FileNotFoundError:
            payload = None
        run = NomadRun(
            site=self._settings.site,
            job=record.allocation.job,
            template=template,
            dispatch=dispatch,
            payload=payload,
        )
        if (problem := problem_of(signed, run)) is not None:
            raise Refused(problem)

    def count(self, record: Record, staged: JobDirectory, signed: SignedJob) -> tuple[int, int]:
        """Count a run of a verified job: which one it is, of how many.

        Raises:
            Refused: they are used up.
            NotNow: the disk does not take it.
        """
        covered, run = self._covered(record, _read(staged, SIGNED, MAX_BYTES + 1))
        key = signed.session
        if key is not None:
            of_key = _run_of_key(key, record)
            self._runs.check_left(run, covered.jobs.runs)
            self._runs.count(of_key, key.max_jobs, f"jobs of session key {key.name!r}")
        return self._runs.count(run, covered.jobs.runs), covered.jobs.runs

    def take_back(self, record: Record, directory: JobDirectory, policy: Policy) -> None:
        """Take back the run of a job for which the scheduler surely had no room."""
        document = _read(directory, SIGNED, MAX_BYTES + 1)
        signature = _read(directory, SIGNATURE, _SIGNATURE_BYTES)
        _, run = self._covered(record, document)
        self._runs.take_back(run)
        _, session = self._signer(document, signature, policy)
        if session is not None:
            self._runs.take_back(_run_of_key(session, record))

    def _signer(
        self, document: bytes, signature: bytes, policy: Policy
    ) -> tuple[str, SessionKey | None]:
        if policy.allowed_signers is None:
            raise AssertionError("a policy that requires signatures names the signers")
        file = SignersFile(path=policy.allowed_signers, revoked=policy.revoked_keys)
        found = self._tool.signers_of(document, signature, file)
        if not found and (key := self._session_key(document, signature, policy)) is not None:
            return f"session key {key.name!r} ({key.fingerprint})", key
        return chosen_signer(found, policy.signers, file.path), None

    def _session_key(self, document: bytes, signature: bytes, policy: Policy) -> SessionKey | None:
        """The session key that has signed, if it is one.

        Raises:
            Refused: it does not count any more.
        """
        if policy.session_keys is None:
            return None
        bounds = policy.session_keys
        keys = {key.digest: key for key in SessionKeys(self._settings.state, bounds).all()}
        if not keys:
            return None
        with tempfile.NamedTemporaryFile("w", prefix="jobferry-signers-") as file:
            file.write(signers_lines(keys.values()))
            file.flush()
            signers = SignersFile(path=Path(file.name), revoked=policy.revoked_keys)
            found = self._tool.signers_of(document, signature, signers)
        if not found:
            return None
        key = narrowed(keys[found[0]], bounds)
        if self._clock() >= key.until:
            raise Refused(
                f"session key {key.name!r} counted until {_utc(key.until)}; "
                "ask for a new one (jobferry trust request)"
            )
        return key

    def _covered(self, record: Record, document: bytes) -> tuple[Covered, Run]:
        """What the document says of this job, here and now."""
        try:
            manifest = SignedManifest.parse(document)
        except SignedManifestError as error:
            raise Refused(f"{SIGNED}: {error}") from error
        job, site = record.allocation.job, self._settings.site
        if manifest.site != site:
            raise Refused(f"it was signed for site {manifest.site!r}, and this is {site!r}")
        covered = manifest.covering(job)
        if covered is None:
            raise Refused(f"it was signed for other jobs, not for {job!r}; sign it for this one")
        now = int(self._clock())
        if now >= manifest.expires:
            raise Refused(f"the signature expired at {_utc(manifest.expires)}; sign it again")
        since = self._runs.since(now)
        if manifest.signed < since:
            raise Refused(
                f"it was signed at {_utc(manifest.signed)}, before this site began to count runs "
                f"({_utc(since)}); sign it again"
            )
        run = Run(
            document=hashlib.sha256(document).hexdigest(),
            selector=covered.selector,
            token=record.token,
            job=job,
        )
        return covered, run


def _with_elements(settings: JobSettings, staged: JobDirectory) -> JobSettings:
    """The settings with as many elements as the signed table of a sweep has rows."""
    if settings.sweep is None or settings.count is not None:
        return settings
    return replace(settings, count=len(sweep_in(staged.tree, settings.sweep).rows))


def _run_of_key(key: SessionKey, record: Record) -> Run:
    return Run(
        document=key.digest, selector="session key", token=record.token, job=record.allocation.job
    )


def _read(directory: JobDirectory, name: str, most: int) -> bytes:
    try:
        return directory.tree.read(name, most)
    except FileNotFoundError as error:
        raise Refused(f"it is not signed: there is no {name}; see docs/signing.md") from error


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
