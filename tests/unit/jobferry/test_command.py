"""The command line, as far as it needs no cloud."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from jobferry.command import main
from jobferry.help_pages import help_pages

HELP = Path(__file__).resolve().parents[3] / "docs/help/jobferry.txt"


def test_the_documented_help_is_the_help() -> None:
    assert HELP.read_text(encoding="utf-8") == help_pages(), (
        "write it again: .venv/bin/python -m jobferry.help_pages > docs/help/jobferry.txt"
    )


@pytest.mark.parametrize("command", ["submit", "status", "wait", "stop", "get", "logs"])
def test_help_begins_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "  Examples:"
    assert lines[3].startswith(f"    jobferry {command} ") or lines[3] == f"    jobferry {command}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["wait"],
        ["submit", "/no/such/directory"],
        ["submit", ".", "--priority", "101"],
        ["status", "--watch"],
        ["status", "job0001", "--prefix", "x"],
        ["status", "--bucket", "b", "--site", "dc1"],
        ["logs", "job0001", "--json", "-f", "--bucket", "b"],
        ["stop", "a//b", "--bucket", "b"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err


def test_a_purge_asks_before_anything_is_sent() -> None:
    command = [sys.executable, "-m", "jobferry", "job", "stop", "-purge", "old/job7"]
    piped = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert piped.returncode == 2
    assert "removes job old/job7 for good" in piped.stderr
    assert "say --yes" in piped.stderr
    ours, terminal = pty.openpty()
    os.write(ours, b"n\n")
    typed = subprocess.run(command, stdin=terminal, capture_output=True, text=True)
    os.close(ours)
    os.close(terminal)
    assert typed.returncode == 1
    assert "Purge it? [y/N]" in typed.stderr
    assert typed.stderr.endswith("nothing was purged\n")


def test_missing_credentials_are_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_REGION", "ap-northeast-1")
    assert main(["status", "job0001", "--bucket", "b"]) == 3
    assert "credentials" in capsys.readouterr().err


def test_an_unknown_profile_is_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    assert main(["status"]) == 3
    assert "no-such-profile" in capsys.readouterr().err


def test_a_cloud_out_of_reach_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr("jobferry.over_s3._CONFIG", None)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert main(["status", "job0001", "--bucket", "b"]) == 1
    assert "try again" in capsys.readouterr().err


def test_the_python_client_needs_no_click() -> None:
    code = "import sys; sys.modules['click'] = None; import jobferry; print(jobferry.Client)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Client" in done.stdout, done.stderr
