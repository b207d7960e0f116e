"""`jobferry-puller uninstall`: removes what starts the puller; settings and state stay."""

from __future__ import annotations

import argparse

from puller.administration.invocation import Invocation
from puller.errors import SettingsError

_EXAMPLES = """examples:
  jobferry-puller uninstall                  take the lines out of crontab, systemd and scrontab
  jobferry-puller uninstall --with-settings  remove the settings file as well

Job directories, the journal and the log stay in any case. Jobs that the scheduler has go on; to
bring their results to the cloud, install again, here or on another host.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `uninstall`."""
    parser = commands.add_parser(
        "uninstall",
        help="remove the crontab line",
        description="Removes what `install` made to start the puller, and nothing else.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--with-settings", action="store_true", help="remove the settings file as well"
    )


def run(invocation: Invocation) -> int:
    """Uninstall."""
    from puller.administration.cron_table import NoTable, NotInstalled
    from puller.administration.program import remove_pin
    from puller.administration.starters import all_starters
    from puller.journal import Journal

    try:
        settings = invocation.settings()
    except SettingsError as error:
        settings = None
        invocation.tell(f"The settings cannot be read, so systemd is not looked at: {error}")
    removed, unseen = False, False
    site = settings.site if settings else None
    for starter in all_starters(invocation.settings_file, site, invocation.environment).values():
        try:
            if starter.remove():
                removed = True
                invocation.tell(f"Removed from {starter.name}.")
        except NotInstalled:
            continue
        except NoTable as error:
            unseen = True
            invocation.tell(f"Could not look into {starter.name}: {error}")
    if not removed:
        invocation.tell(f"Nothing starts the puller of {invocation.settings_file}.")
    if settings is not None:
        remove_pin(settings.state)
        held = len(Journal(settings.state).records()) if settings.state.exists() else 0
        if held:
            invocation.tell(
                f"This site still holds {held} allocation(s), see `jobferry-puller status`: their "
                "results are not pushed until the puller runs again."
            )
    if invocation.given.with_settings:
        invocation.settings_file.unlink(missing_ok=True)
        invocation.tell(f"Removed {invocation.settings_file}.")
    return 1 if unseen and not removed else 0
