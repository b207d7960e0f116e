"""`jobferry-puller install`: settings, and what starts the puller every minute."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from puller.administration.invocation import Invocation
from puller.administration.schedule import EVERY, Schedule
from puller.errors import SettingsError
from puller.settings import DEFAULT_FILE

_EXAMPLES = f"""examples:
  jobferry-puller install --from dc1.txt              the lines that the deployment printed
  jobferry-puller install --from - <dc1.txt           the same from stdin
  jobferry-puller install --site dc1 --bucket BUCKET --table TABLE --region eu-west-1 \\
      --scheduler slurm
  jobferry-puller install --print                     what would be done
  jobferry-puller install --every 5 --linger 0        one pass every five minutes
  jobferry-puller --settings ~/osaka.toml install --from osaka.txt --jobs-dir ~/osaka-jobs

Settings go to {DEFAULT_FILE}, or to the file after --settings. What stands there and is not
given stays. Installing again changes only what differs; so does an upgrade.
"""

_FLAGS = (
    *("site", "bucket", "table", "region", "scheduler"),
    *("profile", "proxy", "jobs-dir", "state-dir", "lock-dir", "path"),
)
_MAIN_COMMANDS = {"slurm": "sbatch", "sge": "qsub", "pbs": "qsub", "lsf": "bsub", "tcs": "pjsub"}
_CRON_PATH = ("/usr/bin", "/bin")
_SCHEDULER_VARIABLES = (
    *("SLURM_CONF", "SGE_ROOT", "SGE_CELL", "SGE_CLUSTER_NAME"),
    *("PBS_CONF_FILE", "PBS_EXEC", "LSF_ENVDIR", "LSF_SERVERDIR", "LSF_LIBDIR", "LSF_BINDIR"),
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `install`."""
    parser = commands.add_parser(
        "install",
        help="write the settings and the crontab line",
        description="Writes the settings file and what starts the puller.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    settings = parser.add_argument_group("settings")
    settings.add_argument(
        "--from",
        dest="source",
        metavar="FILE",
        help="settings as lines of TOML, as the deployment prints them; - for stdin",
    )
    for name in _FLAGS:
        settings.add_argument(f"--{name}", metavar="VALUE", default=argparse.SUPPRESS)
    starts = parser.add_argument_group("what starts it")
    ways = starts.add_mutually_exclusive_group()
    ways.add_argument(
        "--systemd",
        dest="starter",
        action="store_const",
        const="systemd",
        default="crontab",
        help="a user timer of systemd instead of a crontab line",
    )
    ways.add_argument(
        "--scrontab",
        dest="starter",
        action="store_const",
        const="scrontab",
        help="an entry of Slurm's scrontab",
    )
    ways.add_argument(
        "--settings-only", dest="starter", action="store_const", const=None, help="nothing"
    )
    starts.add_argument(
        "--every", type=int, choices=EVERY, default=1, metavar="MINUTES", help="default: 1"
    )
    starts.add_argument(
        "--linger",
        type=int,
        metavar="SECONDS",
        help="how long each start keeps passing; default: 55 with --every 1, else 0",
    )
    starts.add_argument(
        "--scron-option",
        action="append",
        default=[],
        metavar="OPTION",
        help="an option of sbatch for the scrontab entry, e.g. --scron-option=--partition=cron",
    )
    parser.add_argument("--sha256", metavar="HEX", help="stop unless this program has this SHA-256")
    parser.add_argument("--print", action="store_true", help="only say what would be done")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that an installation does.

    Attributes:
        what: for people.
        do: does it.
    """

    what: str
    do: Callable[[], object]


def run(invocation: Invocation) -> int:
    """Install, or say what would be done."""
    only_print = invocation.given.print
    steps = _plan(invocation)
    if not steps:
        invocation.tell("Everything is installed as asked for; nothing to do.")
    for step in steps:
        invocation.tell(f"{'would ' if only_print else ''}{step.what}")
        if not only_print:
            step.do()
    if not only_print:
        invocation.tell("Next: jobferry-puller doctor")
    return 0


def _plan(invocation: Invocation) -> list[Step]:
    from puller.administration.jobs_dir_owner import has_owner, refuse_foreign, take_jobs_dir
    from puller.administration.program import pin_of, read_pin, this_program, write_pin
    from puller.administration.settings_file import judged

    given = invocation.given
    program = this_program()
    if given.sha256 is not None and program.sha256 != given.sha256.strip().lower():
        raise SettingsError(
            f"this program has the SHA-256 {program.sha256 or '(none: it is no single file)'} and "
            f"not {given.sha256}: fetch it again, and do not use this one"
        )
    file = invocation.settings_file
    before, text = _settings_text(invocation, file)
    settings = judged(text, file)
    schedule = Schedule(
        words=program.words,
        settings_file=file,
        every=given.every,
        linger=_linger(given.every, given.linger),
    )
    steps = []
    if text != before:
        steps.append(Step(_told(file, before, text), lambda: _write(file, text)))
    refuse_foreign(settings)
    if not has_owner(settings):
        what = f"make the jobs directory {settings.jobs_dir} this site's"
        steps.append(Step(what, lambda: take_jobs_dir(settings)))
    if read_pin(settings.state) != pin_of(program):
        told = program.sha256 or "none, it is installed as a package"
        steps.append(
            Step(
                f"pin the program's SHA-256: {told}",
                lambda: write_pin(settings.state, pin_of(program)),
            )
        )
    return steps + _starting(invocation, schedule, settings.site)


def _starting(invocation: Invocation, schedule: Schedule, site: str) -> list[Step]:
    from puller.administration.cron_table import NoTable
    from puller.administration.starters import SystemdStarter, all_starters

    given = invocation.given
    starters = all_starters(
        schedule.settings_file, site, invocation.environment, given.scron_option
    )
    steps = []
    for name, starter in starters.items():
        try:
            present = starter.lines() is not None
        except NoTable:
            if name == given.starter:
                raise
            continue
        if present and name != given.starter and given.starter is not None:
            steps.append(Step(f"remove the earlier lines from {name}", starter.remove))
    if given.starter is None:
        return steps
    chosen = starters[given.starter]
    if (chosen.lines() or []) == chosen.rendered(schedule):
        return steps
    what = f"write to {chosen.name}:\n{_indented(chosen.text(schedule))}"
    steps.append(Step(what, lambda: chosen.put(schedule)))
    if isinstance(chosen, SystemdStarter) and chosen.stays_after_logout() is not True:
        steps.append(
            Step(
                "ask you to let it run while you are logged out: `loginctl enable-linger`",
                lambda: None,
            )
        )
    return steps


def _linger(every: int, linger: int | None) -> int:
    if linger is None:
        return 55 if every == 1 else 0
    if not 0 <= linger < 24 * 3600:
        raise SettingsError(f"--linger {linger}: between 0 and 86399 seconds")
    return linger


def _settings_text(invocation: Invocation, file: Path) -> tuple[str | None, str]:
    """The settings file as it is (None if there is none) and as it shall be."""
    from puller.administration.settings_file import edited, new_file, parsed
    from puller.schedulers.detect import detect_scheduler

    try:
        before = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        before = None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {file} cannot be read: {error}") from error
    text = new_file() if before is None else before
    values = _given_values(invocation.given)
    known = {**parsed(text, str(file)), **values}
    return before, edited(
        text, {**suggested(invocation.environment, known, detect_scheduler), **values}, str(file)
    )


def _given_values(given: argparse.Namespace) -> dict[str, Any]:
    from puller.administration.settings_file import parsed

    values: dict[str, Any] = {}
    if given.source is not None:
        try:
            text = (
                sys.stdin.read() if given.source == "-" else Path(given.source).read_text("utf-8")
            )
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"--from {given.source}: {error}") from error
        values = parsed(text, f"--from {given.source}")
    names = [flag.replace("-", "_") for flag in _FLAGS]
    stated = {name: getattr(given, name, None) for name in names}
    return values | {name: value for name, value in stated.items() if value is not None}


def suggested(
    environment: Mapping[str, str],
    known: Mapping[str, Any],
    detect: Callable[[Mapping[str, str]], str],
) -> dict[str, Any]:
    """Settings that the installing user's environment gives and cron's does not.

    Args:
        environment: the environment of the shell that installs.
        known: what is set already, and stays.
        detect: finds the scheduler; cron's environment may hide what this one shows.

    Raises:
        SettingsError: no scheduler is named, and not exactly one is found.
    """
    found: dict[str, Any] = {}
    scheduler = known.get("scheduler")
    if scheduler in (None, "auto"):
        scheduler = found["scheduler"] = detect(environment)
    command = _MAIN_COMMANDS.get(str(scheduler))
    where = shutil.which(command, path=environment.get("PATH")) if command else None
    folder = str(Path(where).absolute().parent) if where else None
    if folder is not None and folder not in _CRON_PATH:
        found["path"] = ":".join(dict.fromkeys((folder, "/usr/local/bin", *_CRON_PATH)))
    variables = {n: environment[n] for n in _SCHEDULER_VARIABLES if environment.get(n)}
    if command is not None and variables:
        found["scheduler_environment"] = variables
    if proxy := environment.get("HTTPS_PROXY") or environment.get("https_proxy"):
        found["proxy"] = proxy
    if profile := environment.get("AWS_PROFILE"):
        found["profile"] = profile
    return {name: value for name, value in found.items() if name not in known}


def _told(file: Path, before: str | None, text: str) -> str:
    old = set((before or "").splitlines())
    changed = [
        line
        for line in text.splitlines()
        if line not in old and line.strip() and (before is not None or not line.startswith("#"))
    ]
    return f"write {file}:\n{_indented(chr(10).join(changed))}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _write(file: Path, text: str) -> None:
    from puller.durable_file import write_durably

    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(file, text.encode())
