"""SSH keys for tests."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_key(path: Path) -> Path:
    """A new key without a passphrase; its public part lies beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)],
        check=True,
    )
    return path


def public_part(key: Path) -> str:
    """Type and key, without the comment."""
    return " ".join(key.with_name(f"{key.name}.pub").read_text().split()[:2])


def verified(document: bytes, signature: bytes, key: Path) -> bool:
    """Whether OpenSSH takes it for a signature with this key."""
    signers = key.with_suffix(".signers")
    signers.write_text(f'me namespaces="jobferry" {public_part(key)}\n')
    written = key.with_suffix(".sig")
    written.write_bytes(signature)
    done = subprocess.run(
        [
            *("ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "me"),
            *("-n", "jobferry", "-s", str(written)),
        ],
        input=document,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0
