"""Rules of Nomad's commands: one dash, job files and variables, plans, completion."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import Mock

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobferry import completion
from jobferry.command import cli, main
from jobferry.errors import CloudUnreachable, UsageError
from jobferry.job_file import flags_of, job_of_json
from jobferry.nomad_plan import plan_text
from jobferry.single_dash import long_options, with_two_dashes


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("job run -detach x", "job run --detach x"),
        ("job dispatch -meta a=b -", "job dispatch --meta a=b -"),
        ("job run -check-index=7 x", "job run --check-index=7 x"),
        ("logs -f --stderr j", "logs -f --stderr j"),
        ("get -o out j", "get -o out j"),
        ("get -oout j", "get -oout j"),
        ("job status -- -verbose", "job status -- -verbose"),
        ("wait -5", "wait -5"),
    ],
)
def test_one_dash_is_as_good_as_two(given: str, meant: str) -> None:
    assert with_two_dashes(given.split(), long_options(cli)) == meant.split()


@given(st.lists(st.text(max_size=8)))
def test_a_command_line_without_known_options_stays(arguments: list[str]) -> None:
    assert with_two_dashes(arguments, ["detach"]) == [
        "--detach" if one == "-detach" and "--" not in arguments[:index] else one
        for index, one in enumerate(arguments)
    ]


def test_help_begins_with_examples_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    def visit(command: click.Command, words: list[str]) -> None:
        if isinstance(command, click.Group):
            for name, below in command.commands.items():
                visit(below, [*words, name])
        assert main([*words, "--help"]) == 0
        assert capsys.readouterr().out.splitlines()[2] == "  Examples:", words

    visit(cli, [])


def test_of_a_variable_that_is_stated_twice_the_last_value_counts() -> None:
    assert flags_of(["a=1 ${x}", 'l=["b"]', "a=2=3"]) == {"a": "2=3", "l": '["b"]'}
    for wrong in ("a", "=b"):
        with pytest.raises(UsageError, match="-var KEY=VALUE"):
            flags_of([wrong])


def test_a_job_in_json_may_be_wrapped() -> None:
    assert job_of_json('{"Job": {"ID": "a"}}', "f") == {"ID": "a"}
    assert job_of_json('{"ID": "a"}', "f") == {"ID": "a"}
    for wrong in ("{", "[]", '{"Job": 1}'):
        with pytest.raises(UsageError):
            job_of_json(wrong, "f")


def test_a_plan_shows_the_difference_and_the_next_launches() -> None:
    plan = {
        "JobModifyIndex": 7,
        "Diff": {
            "Type": "Edited",
            "ID": "nightly",
            "Fields": [
                {"Type": "Edited", "Name": "Priority", "Old": "50", "New": "70"},
                {"Type": "None", "Name": "Type", "Old": "batch", "New": "batch"},
            ],
            "TaskGroups": [
                {
                    "Type": "Added",
                    "Name": "g",
                    "Updates": {"create": 2},
                    "Tasks": [
                        {
                            "Type": "Added",
                            "Name": "t",
                            "Annotations": ["forces create"],
                            "Objects": [
                                {
                                    "Type": "Added",
                                    "Name": "Config",
                                    "Fields": [{"Type": "Added", "Name": "command", "New": "x"}],
                                }
                            ],
                        }
                    ],
                }
            ],
        },
    }
    job = {"Periodic": {"Specs": ["0 9 * * *"], "TimeZone": "Asia/Tokyo"}}
    lines = plan_text(plan, job, "x.nomad", datetime(2026, 1, 2, 23, 0, tzinfo=UTC)).splitlines()
    assert lines[:13] == [
        '+/- Job: "nightly"',
        '+/- Priority: "50" => "70"',
        '+ Task Group: "g" (2 create)',
        '  + Task: "t" (forces create)',
        "    + Config {",
        '      + command: "x"',
        "        }",
        "",
        "Scheduler dry-run:",
        "- All tasks successfully allocated.",
        "- If submitted now, next periodic launch would be at 2026-01-03T09:00:00+09:00 "
        "(1h0m0s from now).",
        "  then at 2026-01-04T09:00:00+09:00",
        "  then at 2026-01-05T09:00:00+09:00",
    ]
    assert "jobferry job run -check-index 7 x.nomad" in lines


def test_completion_is_never_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    context = Mock(params={})
    monkeypatch.setattr(completion, "_access", Mock(side_effect=CloudUnreachable("no")))
    for complete in (completion.complete_jobs, completion.complete_sites):
        assert complete(context, Mock(), "a") == []
