"""What a pass under cron may expect of the credentials that are found now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from puller.administration.finding import Finding, fail, ok, warn


def credential_findings(credentials: Any, now: float) -> Iterator[Finding]:
    """What botocore's credentials are, and when they end.

    Args:
        credentials: botocore's `Credentials`.
        now: seconds since the epoch.
    """
    method = str(credentials.method)
    if method == "env":
        yield warn(
            "credentials",
            "they come from the environment of this shell, which cron does not have",
            "write them to a profile in ~/.aws and name it as `profile` in the settings",
        )
        return
    expiry = getattr(credentials, "_expiry_time", None)
    if isinstance(expiry, datetime):
        left = expiry.timestamp() - now
        told = f"from {method}, good for {left / 60:.0f} min"
        if method == "sso":
            yield warn(
                "credentials",
                f"{told}; they end with the SSO session, and cron cannot log in again",
                "use a role or a user of the puller's own (docs/deploy.md)",
            )
        elif left <= 0:
            yield fail("credentials", f"from {method}, expired", "renew them")
        else:
            yield ok("credentials", f"{told}, and renewed by themselves")
    elif getattr(credentials, "token", None):
        yield warn(
            "credentials",
            f"from {method}: a session's, which ends within hours; nobody says when",
            "use a role or a user of the puller's own (docs/deploy.md)",
        )
    else:
        yield ok("credentials", f"from {method}; they do not expire")
