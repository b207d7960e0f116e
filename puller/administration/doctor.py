"""`jobferry-puller doctor`: examines the installation and says what to mend."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

from puller.administration.finding import Check, Finding, Level, examined, fail, ok
from puller.administration.invocation import Invocation
from puller.errors import SettingsError
from puller.settings import Settings

_EXAMPLES = """examples:
  jobferry-puller doctor           examine everything; changes nothing, here or in the cloud
  jobferry-puller doctor --probe   also submit a one-minute job to the scheduler and wait for it
  jobferry-puller doctor --json    for programs

Exit code 0: nothing fails (there may be warnings); 1: something does. docs/operations.md says more
about each finding.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="examine the installation",
        description="Examines program, settings, AWS, scheduler, disks and cron.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="tell it as JSON")
    parser.add_argument("--probe", action="store_true", help="also run a job on a compute node")
    parser.add_argument(
        "--probe-seconds",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long to wait for the probe's job; default: 300",
    )


def run(invocation: Invocation) -> int:
    """Examine and tell."""
    found: list[Finding] = []
    for finding in _findings(invocation):
        found.append(finding)
        if not invocation.given.json:
            for line in finding.lines():
                invocation.tell(line)
            sys.stdout.flush()
    failed = sum(finding.level is Level.FAIL for finding in found)
    warned = sum(finding.level is Level.WARN for finding in found)
    if invocation.given.json:
        invocation.tell_json({"ok": not failed, "findings": [asdict(f) for f in found]})
    else:
        invocation.tell(f"{len(found)} checks: {failed} failed, {warned} warnings")
    return 1 if failed else 0


def _findings(invocation: Invocation) -> Iterator[Finding]:
    yield python_version()
    try:
        settings = invocation.settings()
    except SettingsError as error:
        yield fail("settings", str(error), "correct it, or run `jobferry-puller install`")
        return
    yield ok("settings", f"{invocation.settings_file}: site {settings.site}")
    yield from examined(_checks(invocation, settings))


def python_version(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """The interpreter. The single file says so itself where it is too old."""
    return ok("python", f"{'.'.join(map(str, version))} ({sys.executable})")


def _checks(invocation: Invocation, settings: Settings) -> Iterator[tuple[str, Check]]:
    from puller.administration.cloud_examination import CloudExamination
    from puller.administration.cron_examination import CronExamination
    from puller.administration.policy_examination import PolicyExamination
    from puller.administration.probe import probe
    from puller.administration.site_examination import SiteExamination
    from puller.start import scheduler_environment

    environment = dict(invocation.environment)
    site = SiteExamination(settings, scheduler_environment(settings, environment), environment)
    yield "program", site.program
    yield "umask", site.umask
    yield "directories", site.directories
    yield "disk", site.disks
    yield "kill switch", site.kill_switch
    yield "policy", PolicyExamination(settings).findings
    yield "scheduler", site.scheduler
    yield "login shell", site.login_shell
    yield "artifacts", site.artifacts
    cron = CronExamination(settings, invocation.settings_file, environment, time.time)
    yield "start", cron.start
    yield "cron's PATH", cron.path
    yield "last pass", cron.last_pass
    yield "cloud", CloudExamination(settings, time.time).findings
    if invocation.given.probe:
        seconds = invocation.given.probe_seconds
        yield "probe", partial(probe, settings, environment, seconds)
