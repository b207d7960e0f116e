"""Entry point of the CDK app: `cdk.json` runs it, and so does `python -m infra.app`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.settings import CONTEXT_KEYS, SettingsError, settings_from_context
from infra.stack import JobferryStack

CHECKOUT = Path(__file__).resolve().parent.parent


def build(app: cdk.App) -> JobferryStack:
    """Add the stack that the app's context describes, and the security checks.

    Raises:
        SettingsError: the context is not valid.
    """
    refuse_unknown_context(app)
    settings = settings_from_context(app.node.try_get_context)
    stack = JobferryStack(app, settings, checkout=CHECKOUT)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return stack


def refuse_unknown_context(app: cdk.App) -> None:
    """Refuse misspelt settings.

    CDK's own context keys contain `:`, `/`, `@` or `-`; the project's are plain words.

    Raises:
        SettingsError: a plain word in the context is none of the project's settings.
    """
    for key in app.node.get_all_context():
        if key.replace("_", "").isalnum() and key not in CONTEXT_KEYS:
            raise SettingsError(
                f"the context has the unknown key {key!r}; known are: {', '.join(CONTEXT_KEYS)}"
            )


def context_of_checkout() -> dict[str, object]:
    """The context in `cdk.json`; what the CDK command line says wins over it."""
    text = (CHECKOUT / "cdk.json").read_text(encoding="utf-8")
    return dict(json.loads(text)["context"])


def main() -> int:
    """Synthesize into `CDK_OUTDIR` (default `cdk.out`); return the exit code."""
    app = cdk.App(context=context_of_checkout())
    try:
        build(app)
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 3
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
