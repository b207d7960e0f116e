"""The command line of the embedded default: up, down, env and demo."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from local_cloud.demo import Demo
from local_cloud.emulator import CHECKOUT
from local_cloud.errors import LocalCloudError
from local_cloud.playground import BINARIES, ROOT, Playground, first_site
from local_cloud.synthesis import sites_of_checkout

_EXAMPLES = """examples:
  python -m local_cloud demo             one job from the bucket to the site and back
  python -m local_cloud up               an emulated cloud to play with
  eval "$(python -m local_cloud env)"    lead this shell's aws commands to it
  python -m local_cloud down             stop it
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0 done, 1 failed, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m local_cloud",
        description="jobferry with an emulated AWS on this machine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = {"up": up, "down": down, "env": env, "demo": demo}
    parser.add_argument("command", choices=commands)
    chosen = parser.parse_args(arguments).command
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        commands[chosen]()
    except LocalCloudError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def up() -> None:
    """Start the emulator, deploy the stack, and say what to do with it."""
    playground = Playground.at(ROOT)
    running = playground.emulator.running()
    playground.start()
    try:
        deployment = playground.deploy(sites_of_checkout())
    except BaseException:
        if not running:
            playground.emulator.stop()
        raise
    first = first_site(deployment)
    sites = sorted(deployment.buckets, key=lambda site: (site != first, site))
    buckets = "\n".join(
        f"  {f'bucket of site {site}':<22} {deployment.buckets[site]}" for site in sites
    )
    pullers = "\n".join(
        f"  {f'puller settings, {site}':<22} {playground.settings_of(deployment, site)}"
        for site in sites
    )
    here = "is still up" if running else "is up"
    puller = shlex.join(["jobferry-puller", *playground.puller[1:]])
    print(f"""\
The emulated AWS {here} at {playground.emulator.endpoint_url}, the stack is deployed.

{buckets}
  HTTP API, signed       {shlex.quote(deployment.api_urls[""])}
  HTTP API, with tokens  {shlex.quote(deployment.api_urls["Tokens"])}
  job directories        {playground.jobs_dir}
{pullers}
  log of the emulator    {playground.emulator.log_file}

Lead this shell to it (in the checkout):

  eval "$({_python()} -m local_cloud env)"

Submit a job, let the puller fetch it, and look:

  aws s3 cp examples/heat/aws-job-run.sh s3://$BUCKET/job0001/aws-job-run.sh
  aws s3 cp examples/heat/input s3://$BUCKET/job0001/ --recursive
  echo FILE_UPLOAD > .jobferry/aws-job-stat.txt
  aws s3 cp .jobferry/aws-job-stat.txt s3://$BUCKET/job0001/aws-job-stat.txt
  {puller} pass --linger 20
  aws s3 cp s3://$BUCKET/job0001/aws-job-stat.txt -
  aws s3 ls s3://$BUCKET/job0001/ --recursive

Stop it with `make down`.""")


def env() -> None:
    """Print the variables that lead a shell to the running emulator."""
    playground = _running()
    variables = {
        **playground.emulator.environment(),
        "BUCKET": playground.bucket(),
        "JOBFERRY_STACK": playground.stack(),  # for the `jobferry` command
    }
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    print(f'export PATH={shlex.quote(str(BINARIES))}:"$PATH"')


def down() -> None:
    """Stop the emulator; what it holds is gone, the job directories of the site stay."""
    playground = Playground.at(ROOT)
    running = playground.emulator.running()
    playground.emulator.stop()
    print("The emulated AWS is stopped." if running else "The emulated AWS was not running.")
    if playground.jobs_dir.exists():
        print(f"The site's job directories are still in {playground.jobs_dir}")


def demo() -> None:
    """Carry one job from the bucket to the site and back."""
    Demo(Playground.at(ROOT / "demo"), sys.stdout).run()


def _running() -> Playground:
    playground = Playground.at(ROOT)
    if not playground.emulator.running():
        raise LocalCloudError("the emulated AWS does not run; start it with `make up`")
    return playground


def _python() -> str:
    python = Path(sys.executable)
    inside = python.is_relative_to(CHECKOUT)
    return shlex.quote(str(python.relative_to(CHECKOUT) if inside else python))
