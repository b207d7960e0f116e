"""`jobferry job periodic next`: the next launches of cron expressions, without any server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from jobferry.command import main

NEXT = ["job", "periodic", "next"]


def test_times_are_those_of_the_jobs_zone(capsys: pytest.CaptureFixture[str]) -> None:
    zone = ["--time-zone", "America/New_York", "--after", "2026-10-31", "--count", "4"]
    assert main([*NEXT, "30 1 * * *", *zone]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "2026-10-31T01:30:00-04:00",
        "2026-11-01T01:30:00-04:00",
        "2026-11-01T01:30:00-05:00",
        "2026-11-02T01:30:00-05:00",
    ]
    assert said.err == ""


def test_json_has_times_in_utc_of_all_expressions(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--time-zone", "Asia/Tokyo", "--after", "2026-01-01T00:00Z", "--count", "3", "--json"]
    assert main([*NEXT, "0 9 * * *", "0 */12 * * *", *given]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "time_zone": "Asia/Tokyo",
        "launches": ["2026-01-01T03:00:00Z", "2026-01-01T15:00:00Z", "2026-01-02T00:00:00Z"],
    }


def test_without_after_it_is_from_now_on(capsys: pytest.CaptureFixture[str]) -> None:
    before = datetime.now(UTC)
    assert main([*NEXT, "@hourly"]) == 0
    times = [datetime.fromisoformat(line) for line in capsys.readouterr().out.splitlines()]
    assert len(times) == 5
    assert before < times[0] <= datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_launch_at_all_is_exit_code_1(
    form: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*NEXT, "0 0 31 2 *", "--after", "2026-01-01", *form]) == 1
    said = capsys.readouterr()
    assert said.out == "" or json.loads(said.out)["launches"] == []
    assert "no launch after 2026-01-01T00:00:00+00:00" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "EXPR"),
        (["50-10 * * * *"], "minute field: '50-10'"),
        (["@daily", "--time-zone", "Mars"], "time zone 'Mars'"),
        (["@daily", "--after", "yesterday"], "--after 'yesterday' is not a time"),
        (["@daily", "--count", "0"], "count"),
    ],
)
def test_what_is_wrong_is_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*NEXT, *arguments]) == 2
    got = capsys.readouterr()
    assert got.out == ""
    assert said in got.err


@pytest.mark.parametrize("line", [["job"], ["job", "periodic"], NEXT], ids=" ".join)
def test_help_begins_with_examples(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*line, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "  Examples:"
    assert lines[3].startswith(f"    jobferry {' '.join(line)} ")
