"""Signs jobs with an SSH key: renders what is signed from the files here, calls `ssh-keygen`."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from job_protocol.object_keys import SETTINGS, SIGNATURE_NAMES, Problem
from job_protocol.settings_document import SettingsDocumentError, read_settings
from job_protocol.signed_manifest import (
    NAMESPACE,
    SignedInput,
    SignedJobs,
    SignedManifest,
    SignedManifestError,
)
from jobferry.errors import SigningFailed, UploadRefused
from jobferry.upload_plan import Signed, Upload

DEFAULT_EXPIRES = 7 * 24 * 3600
"""Seconds for which a signature counts if nothing else is said."""

KEY_VARIABLE = "JOBFERRY_SIGNING_KEY"
SESSION_KEY = Path(".config/jobferry/session_key")
"""Below the home directory: the key that `jobferry trust request` makes."""

_OWN_KEYS = tuple(Path(".ssh") / name for name in ("id_ed25519", "id_ecdsa", "id_rsa"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """How a submission is signed.

    Attributes:
        key: the private key, or the public one of a key that an agent holds; None takes
            `JOBFERRY_SIGNING_KEY`, else the session key, else the first of one's own SSH keys.
        expires: seconds for which the signature counts.
        runs: how often the job may run; None is once, and once more for each retry.
    """

    key: Path | None = None
    expires: int = DEFAULT_EXPIRES
    runs: int | None = None

    def applied_to(
        self, upload: Upload, site: str, now: datetime, also: Iterable[SignedInput] = ()
    ) -> Upload:
        """The upload with its signature.

        Args:
            upload: what is uploaded.
            site: the site on which it may run.
            now: the time.
            also: inputs that are not uploaded with it.

        Raises:
            SigningFailed: it could not be signed.
            UploadRefused: its settings cannot be read, or a file has a name that cannot be signed.
        """
        upload = without_signature(upload)
        jobs = signed_jobs(upload, (upload.job_id,), (), self.runs, also)
        document = self.document((jobs,), site, now)
        return replace(upload, signed=Signed(site, document, self.signature(document)))

    def document(self, jobs: Iterable[SignedJobs], site: str, now: datetime) -> bytes:
        """What is signed.

        Raises:
            SigningFailed: it cannot be said in a document.
        """
        signed = int(now.timestamp())
        try:
            return SignedManifest(site, signed, signed + self.expires, tuple(jobs)).render()
        except SignedManifestError as error:
            raise SigningFailed(f"this cannot be signed: {error}") from error

    def signature(self, document: bytes) -> bytes:
        """The signature of a document. A passphrase is asked for on the terminal.

        Raises:
            SigningFailed: there is no key, or `ssh-keygen` refused.
        """
        key = self.key or default_key(Path.home(), os.environ)
        arguments = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", NAMESPACE]
        try:
            done = subprocess.run(arguments, input=document, capture_output=True, check=False)
        except OSError as error:
            raise SigningFailed(
                f"ssh-keygen cannot be started ({error}); install OpenSSH 8.2 or newer"
            ) from error
        if done.returncode != 0 or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
            said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            raise SigningFailed(f"ssh-keygen did not sign with {key}: {said}")
        return done.stdout


def default_key(home: Path, environment: Mapping[str, str]) -> Path:
    """The key to sign with where none is stated.

    Args:
        home: the user's home directory.
        environment: may have `JOBFERRY_SIGNING_KEY`.

    Raises:
        SigningFailed: there is none.
    """
    if stated := environment.get(KEY_VARIABLE):
        return Path(stated).expanduser()
    for key in (SESSION_KEY, *_OWN_KEYS):
        if (home / key).exists():
            return home / key
    raise SigningFailed(
        f"there is no key to sign with; name one (--sign KEY, {KEY_VARIABLE}), "
        "or make one: ssh-keygen -t ed25519"
    )


def without_signature(upload: Upload) -> Upload:
    """The upload without what an earlier signature left in the directory."""
    files = tuple(file for file in upload.files if file.path not in SIGNATURE_NAMES)
    return replace(upload, files=files)


def signed_jobs(
    upload: Upload,
    ids: tuple[str, ...],
    patterns: tuple[str, ...],
    runs: int | None,
    also: Iterable[SignedInput] = (),
) -> SignedJobs:
    """The jobs that run with what is uploaded, as they are signed.

    Args:
        upload: the files, without an earlier signature.
        ids: the job ids.
        patterns: patterns of job ids.
        runs: how often; None is once, and once more for each retry.
        also: inputs that are not uploaded with it.

    Raises:
        SigningFailed: a file cannot be read.
        UploadRefused: the settings cannot be read.
    """
    found = {folder: SignedInput(folder) for folder in upload.folders}
    for file in upload.files:
        found[file.path] = SignedInput(file.path, _sha256(file.source), file.mode)
    if upload.settings is not None:
        found[SETTINGS] = SignedInput(SETTINGS, hashlib.sha256(upload.settings).hexdigest())
    found |= {one.path: one for one in also if one.path not in found}
    inputs = tuple(found[path] for path in sorted(found, key=_bytes))
    return SignedJobs(ids, patterns, runs or 1 + _retries(upload), inputs)


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogatepass")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SigningFailed(f"{path} cannot be read ({error}); nothing was signed") from error


def _retries(upload: Upload) -> int:
    body = upload.settings
    if body is None:
        source = next((file.source for file in upload.files if file.path == SETTINGS), None)
        if source is None:
            return 0
        body = source.read_bytes()
    try:
        retries = read_settings(body).retries
    except SettingsDocumentError as error:
        raise UploadRefused([Problem(SETTINGS, str(error), "correct it")]) from error
    return retries.attempts if retries is not None else 0
