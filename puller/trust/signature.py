"""Whose signature it is: `ssh-keygen -Y find-principals`, then `-Y verify`.

Needs OpenSSH 8.2 (`find-principals`); 8.0 and older know no signatures at all.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from job_protocol.signed_manifest import NAMESPACE
from puller.errors import NotNow, Refused, SchedulerUnavailable
from puller.schedulers.runner import Completed, Run, run_command

LEAST_OPENSSH = (8, 2)

_TIMEOUT = 30.0
_NOT_BY_ANYBODY = 255
"""What ssh-keygen exits with when it finds no principal, or the signature is not good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignersFile:
    """Who may sign.

    Attributes:
        path: the file, in the format of ssh-keygen(1), "ALLOWED SIGNERS".
        revoked: keys that do not count any more, or None.
    """

    path: Path
    revoked: Path | None = None


def openssh_environment(path: str | None) -> dict[str, str]:
    """The environment in which OpenSSH's programs are looked for, whoever starts the puller.

    Args:
        path: the setting `path`; without one, what the system's default PATH leads to.
    """
    return {"PATH": path or os.defpath}


class SignatureTool:
    """`ssh-keygen` as far as it verifies."""

    def __init__(self, environment: Mapping[str, str], run: Run = run_command) -> None:
        """Use the `ssh-keygen` that this environment's PATH leads to.

        Args:
            environment: of the commands.
            run: runs a command.
        """
        self._environment = environment
        self._run = run

    def signers_of(self, document: bytes, signature: bytes, signers: SignersFile) -> list[str]:
        """The principals of a signers file whose good signature this is; empty if of none.

        Args:
            document: what was signed.
            signature: the signature, as `ssh-keygen -Y sign` writes it.
            signers: who may sign.

        Raises:
            Refused: it would be one, but its key is revoked.
            NotNow: it cannot be found out: a file or the program is missing.
        """
        for file in filter(None, (signers.path, signers.revoked)):
            if not os.access(file, os.R_OK):
                raise NotNow(
                    f"signatures cannot be checked, so nothing is submitted: {file} cannot be "
                    "read; the site's administrator has to mend it"
                )
        with tempfile.TemporaryDirectory(prefix="jobferry-signature-") as folder:
            written = Path(folder) / "signature"
            written.write_bytes(signature)
            content = Path(folder) / "document"
            content.write_bytes(document)
            common = ["-s", str(written), "-f", str(signers.path)]
            found = self._ask(["ssh-keygen", "-Y", "find-principals", *common])
            if found.code != 0:
                return []
            listed = [one for one in dict.fromkeys(found.stdout.splitlines()) if one]
            good = [one for one in listed if self._verifies(one, common, content, signers.revoked)]
            if good or signers.revoked is None:
                return good
            if any(self._verifies(one, common, content, None) for one in listed):
                raise Refused(
                    "the key that has signed it is revoked (revoked_keys); sign with another one"
                )
            return []

    def _verifies(
        self, principal: str, common: Sequence[str], document: Path, revoked: Path | None
    ) -> bool:
        arguments = ["ssh-keygen", "-Y", "verify", *common, "-I", principal, "-n", NAMESPACE]
        if revoked is not None:
            arguments += ["-r", str(revoked)]
        with document.open("rb") as content:
            return self._ask(arguments, content.fileno()).code == 0

    def _ask(self, arguments: Sequence[str], stdin: int = subprocess.DEVNULL) -> Completed:
        try:
            done = self._run(
                arguments, environment=self._environment, timeout=_TIMEOUT, stdin=stdin
            )
        except SchedulerUnavailable as error:
            raise NotNow(
                f"signatures cannot be checked, so nothing is submitted: {error}"
            ) from error
        if done.code not in (0, _NOT_BY_ANYBODY):
            raise NotNow(
                "signatures cannot be checked, so nothing is submitted; OpenSSH 8.2 or newer is "
                f"needed: {' '.join(arguments[:3])}: {done.says}"
            )
        return done


def chosen_signer(found: Sequence[str], allowed: frozenset[str] | None, signers: Path) -> str:
    """The person whose signature counts.

    Args:
        found: the principals whose good signature it is.
        allowed: the principals that the policy allows; None means all.
        signers: the file in which they were looked for, for the message.

    Raises:
        Refused: it is nobody's, or of somebody who may not sign.
    """
    if not found:
        raise Refused(
            f"the signature is not a good one of anybody listed in {signers} (allowed_signers); "
            "sign with a key that the site knows, or ask its administrator to list yours"
        )
    for principal in found:
        if allowed is None or principal in allowed:
            return principal
    raise Refused(
        f"{found[0]!r} has signed it, who is not among those whose jobs may run here (signers)"
    )
