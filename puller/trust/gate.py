"""The gate between staging and submission: what the site's policy does not allow stays outside.

Where there is a policy, inputs are staged apart, in the allocation's control directory, and come to
the job's own path only when all of them are known to be what was signed. So nothing unsigned ever
lies where a job that runs could read it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from dataclasses import replace
from datetime import UTC, datetime

from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import SCRIPT, SETTINGS, SIGNATURE, SIGNED
from job_protocol.settings_document import SettingsDocumentError, read_settings
from job_protocol.signed_manifest import MAX_BYTES, Covered, SignedManifest, SignedManifestError
from puller.errors import NotNow, Refused
from puller.job_directory import JobDirectory, control_directory
from puller.journal import Phase, Record, told
from puller.staging import note_modes
from puller.trust.policy import Policy, load_policy
from puller.trust.run_counts import Run, RunCounts
from puller.trust.signature import SignatureTool, SignersFile, chosen_signer
from puller.trust.staged_bytes import check_staged, sha256_of
from puller.workplace import Workplace

_LOG = logging.getLogger(__name__)

_APART = "unverified"
_PLACED = "placed"
_SIGNATURE_BYTES = 64 * 1024
_SETTINGS_BYTES = 1024 * 1024
_UNSUBMITTED = (Phase.CLAIMING, Phase.STAGING)


class Gate:
    """The gate of one installation. Its threads share it."""

    def __init__(self, place: Workplace) -> None:
        """Guard the submissions of a workplace whose settings name a policy."""
        self._place = place
        self._runs = RunCounts(place.settings.state)
        self._tool = SignatureTool({"PATH": place.settings.path or os.defpath})
        self._lock = threading.Lock()
        self._taken: dict[str, str] = {}

    def policy(self) -> Policy:
        """The policy as it stands now.

        Raises:
            PolicyBroken: it cannot be used.
        """
        path = self._place.settings.policy
        return Policy() if path is None else load_policy(path)

    def staging_directory(self, record: Record) -> JobDirectory:
        """Where the inputs of an allocation are staged.

        Raises:
            OSError, UnsafePath: it cannot be made ready.
        """
        self._place.settings.jobs_dir.mkdir(parents=True, exist_ok=True)
        apart = self._apart(record)
        real = self._real(record)
        if self._was_placed(record) and real.owner() == record.id != apart.owner():
            # It was never submitted: a pass died before that, or the scheduler had no room.
            apart.take_place(real, self._now())
        return apart

    def admit(self, record: Record) -> Record:
        """Let a staged allocation pass, with the settings that count; its files go to their place.

        Raises:
            Refused: it may never be submitted.
            NotNow: not in this pass.
            OSError, UnsafePath: the disk does not give or take what is needed.
        """
        policy = self.policy()
        site = self._place.settings.site
        apart = self._apart(record)
        if apart.owner() != record.id:
            raise NotNow(
                "the site's policy came while it was staged; the next pass stages it again"
            )
        try:
            allocation = replace(record.allocation, settings=self._settings(record, apart, policy))
            record = replace(record, allocation=allocation)
            if policy.signatures_required:
                self._count(record, apart)
        except Refused as refusal:
            raise Refused(f"refused by the policy of site {site}: {refusal}") from refusal
        self._bring_to_its_place(record, apart)
        return self._place.journal.write(record)

    def take_back(self, record: Record) -> None:
        """Do not count the run of an allocation for which the scheduler surely had no room."""
        directory = self._real(record)
        if directory.owner() != record.id or not self.policy().signatures_required:
            return
        _, run = self._covered(record, directory)
        self._runs.take_back(run)

    # ---- signatures ----

    def _settings(self, record: Record, apart: JobDirectory, policy: Policy) -> JobSettings:
        """What the job asks of the scheduler, from where the policy takes it."""
        settings = record.allocation.settings
        if policy.signatures_required:
            settings = self._verified(record, apart, policy)
        if policy.scripts is not None and sha256_of(apart.tree, SCRIPT) not in policy.scripts:
            raise Refused(f"the script's SHA-256 is not among those that may run ({SCRIPT})")
        return settings

    def _verified(self, record: Record, apart: JobDirectory, policy: Policy) -> JobSettings:
        document = _read_signed(apart)
        signature = _read(apart, SIGNATURE, _SIGNATURE_BYTES)
        signer = self._signer(document, signature, policy)
        covered, _ = self._covered(record, apart)
        umask = int(self._place.settings.umask, 8)
        changed = check_staged(apart.tree, covered.jobs.inputs, umask)
        if changed:
            note_modes(control_directory(self._place.settings.jobs_dir, record.id), changed)
        _LOG.info("%s: signed by %s", told(record), signer)
        if SETTINGS not in {one.path for one in covered.jobs.inputs}:
            return JobSettings()
        try:
            return read_settings(apart.tree.read(SETTINGS, _SETTINGS_BYTES))
        except SettingsDocumentError as error:
            raise Refused(f"{SETTINGS}: {error}") from error

    def _signer(self, document: bytes, signature: bytes, policy: Policy) -> str:
        if policy.allowed_signers is None:
            raise AssertionError("a policy that requires signatures names the signers")
        file = SignersFile(path=policy.allowed_signers, revoked=policy.revoked_keys)
        found = self._tool.signers_of(document, signature, file)
        return chosen_signer(found, policy.signers, file.path)

    def _covered(self, record: Record, directory: JobDirectory) -> tuple[Covered, Run]:
        """What the document says of this job, here and now."""
        document = _read_signed(directory)
        try:
            manifest = SignedManifest.parse(document)
        except SignedManifestError as error:
            raise Refused(f"{SIGNED}: {error}") from error
        job, site = record.allocation.job, self._place.settings.site
        if manifest.site != site:
            raise Refused(f"it was signed for site {manifest.site!r}")
        covered = manifest.covering(job)
        if covered is None:
            raise Refused(f"it was signed for other jobs, not for {job!r}")
        now = int(self._place.clock())
        if now >= manifest.expires:
            raise Refused(f"the signature expired at {_utc(manifest.expires)}")
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

    def _count(self, record: Record, apart: JobDirectory) -> None:
        covered, run = self._covered(record, apart)
        number = self._runs.count(run, covered.jobs.runs)
        _LOG.info("%s: run %d of %d that were signed", told(record), number, covered.jobs.runs)

    # ---- places ----

    def _bring_to_its_place(self, record: Record, apart: JobDirectory) -> None:
        """Move the verified directory to the job's path, unless a job that may run is there.

        The cloud names the job: it could offer a further allocation of one that waits in the
        scheduler's queue, or one whose id lies inside another's, and so exchange its files.
        """
        job = record.allocation.job
        with self._lock:
            others = {
                held.id: held.allocation.job
                for held in self._place.journal.glance()
                if held.phase not in _UNSUBMITTED or held.id in self._taken
            }
            for other, its_job in others.items():
                if other != record.id and overlap(job, its_job):
                    raise NotNow(
                        f"job {its_job!r} (allocation {other}) is still held at this site, and its "
                        f"directory is, contains or lies in that of {job!r}"
                    )
            control_directory(self._place.settings.jobs_dir, record.id).write(_PLACED, b"")
            moved_to = self._real(record).take_place(apart, self._now())
            self._taken[record.id] = job
        if moved_to is not None:
            _LOG.info("%s: put what lay there aside as %s", told(record), moved_to)

    def _real(self, record: Record) -> JobDirectory:
        return JobDirectory(self._place.settings.jobs_dir, record.allocation.job)

    def _apart(self, record: Record) -> JobDirectory:
        control = control_directory(self._place.settings.jobs_dir, record.id)
        with control.folder(_APART, create=True):
            return JobDirectory(control.path / _APART, record.allocation.job)

    def _was_placed(self, record: Record) -> bool:
        """Whether its files came to their place; what has ended has no control directory any more.

        Else the directory there holds results, even if the cloud offers the same allocation again.
        """
        try:
            control_directory(self._place.settings.jobs_dir, record.id).lstat(_PLACED)
        except FileNotFoundError:
            return False
        return True

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._place.clock(), UTC)


def overlap(job: str, other: str) -> bool:
    """Whether the directory of one job is, contains or lies in that of the other."""
    return f"{job}/".startswith(f"{other}/") or f"{other}/".startswith(f"{job}/")


def _read_signed(directory: JobDirectory) -> bytes:
    return _read(directory, SIGNED, MAX_BYTES + 1)


def _read(directory: JobDirectory, name: str, most: int) -> bytes:
    try:
        return directory.tree.read(name, most)
    except FileNotFoundError as error:
        raise Refused(f"it is not signed: there is no {name}; see docs/signing.md") from error


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
