from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3

from infra.app import CHECKOUT, build, context_of_checkout, refuse_unknown_context
from infra.settings import SettingsError, settings_from_context
from tests.infra.synthesized import app_of


def test_the_security_checks_refuse_what_has_no_written_reason(tmp_path: Path) -> None:
    app = app_of({}, str(tmp_path))
    stack = build(app)
    s3.Bucket(stack, "Open")
    with pytest.raises(RuntimeError, match=r"(?s)jobferry/Open/.*AwsSolutions-S10"):
        app.synth()


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"stage": "dev", "lambda_platform": "host"},
        {"alarm_email": "ops@example.com", "event_transitions": "all"},
        {"sites": {"dc1": {}, "osaka": {}}},
        {
            "sites": {
                "dc1": {
                    "roles_anywhere": {
                        "ca_certificate": "-----BEGIN CERTIFICATE-----\nMII=\n"
                        "-----END CERTIFICATE-----\n",
                        "subject": {"CN": "dc1-puller"},
                    }
                }
            }
        },
    ],
)
def test_the_security_checks_find_nothing_else(context: dict[str, object], tmp_path: Path) -> None:
    app = app_of(context, str(tmp_path))
    build(app)
    app.synth()  # raises if there is a finding


def test_a_misspelt_context_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="unknown key 'alarm_mail'; known are: stage, sites"):
        build(app_of({"alarm_mail": "ops@example.com"}, str(tmp_path)))


def test_what_cdk_json_says_is_valid() -> None:
    context = context_of_checkout()
    assert settings_from_context(context.get).sites
    refuse_unknown_context(cdk.App(context=context))


def test_a_wrong_setting_ends_the_program_with_a_sentence(tmp_path: Path) -> None:
    context = json.dumps({"stage": "Prod", "aws:cdk:bundling-stacks": []})
    environment = {**os.environ, "CDK_OUTDIR": str(tmp_path), "CDK_CONTEXT_JSON": context}
    done = subprocess.run(
        [sys.executable, "-m", "infra.app"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "error: stage is 'Prod', which does not match" in done.stderr
    assert "Traceback" not in done.stderr
