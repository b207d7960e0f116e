"""`jobferry trust request`: makes a key for some hours, and says what to type on the site."""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from jobferry.errors import SigningFailed
from jobferry.options import examples, print_json, say
from jobferry.signing import SESSION_KEY
from jobferry.signing_commands import DURATION


@click.group(
    short_help="Keys that a site trusts for some hours.",
    help=examples("jobferry trust request", "jobferry trust request --for 3h --max-jobs 20")
    + """

Keys that a site trusts for some hours.""",
)
def trust() -> None:
    """See `help`."""


@trust.command(
    short_help="Make a key, and say what to type on the site.",
    help=examples("jobferry trust request", "jobferry trust request --for 3h --max-jobs 20")
    + """

Makes a key pair in ~/.config/jobferry, in place of an earlier one, and prints the public key and
what somebody with a login on the site has to type there. Then jobferry submit --sign signs with
it, until the time is up.""",
)
@click.option("--for", "seconds", type=DURATION, default="12h", show_default=True)
@click.option("--max-jobs", type=click.IntRange(1), default=100, show_default=True)
@click.option("--max-nodes", type=click.IntRange(1), metavar="N", help="Nodes of each job.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def request(seconds: int, max_jobs: int, max_nodes: int | None, as_json: bool) -> None:
    """Make a key."""
    path = Path.home() / SESSION_KEY
    public = make_key(path, f"session-{datetime.now(UTC):%Y%m%dT%H%M%SZ}@{socket.gethostname()}")
    words = ["jobferry-puller", "trust", "add", public, "--for", _time(seconds)]
    words += ["--max-jobs", str(max_jobs)]
    if max_nodes is not None:
        words += ["--max-nodes", str(max_nodes)]
    if as_json:
        print_json({"key": str(path), "public_key": public, "on_the_site": words})
        return
    say(f"the key is {path}; on the site, type:")
    click.echo(shlex.join(words))


def _time(seconds: int) -> str:
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def make_key(path: Path, comment: str) -> str:
    """Make an SSH key, readable by its owner alone, and return the public part.

    Args:
        path: where the private key goes, in place of an earlier one; the public one lies beside it.
        comment: the key's comment.

    Raises:
        SigningFailed: it cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            new = Path(folder) / "key"
            arguments = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment]
            subprocess.run(
                [*arguments, "-f", str(new)],
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )
            new.chmod(0o600)
            public = new.with_name("key.pub")
            text = public.read_text(encoding="utf-8").strip()
            public.replace(path.with_name(f"{path.name}.pub"))
            new.replace(path)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise SigningFailed(f"ssh-keygen made no key: {said}") from error
    except OSError as error:
        raise SigningFailed(f"no key could be made at {path}: {error}") from error
    return text
