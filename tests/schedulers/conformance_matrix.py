"""Prints what the conformance suite concluded: scenarios down, schedulers across.

Tests tell by `record_property(PROPERTY, [scenario, column, conclusion])`, which survives xdist.
"""

from __future__ import annotations

from typing import Any

import pytest

PROPERTY = "conformance"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix, if conformance tests ran."""
    reports: list[Any] = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
    ]
    cells = [
        value for report in reports for name, value in report.user_properties if name == PROPERTY
    ]
    if cells:
        terminalreporter.section("what was concluded, by scenario and scheduler")
        for line in matrix(cells):
            terminalreporter.write_line(line)


def matrix(cells: list[list[str]]) -> list[str]:
    """The lines of the matrix."""
    scenarios = list(dict.fromkeys(scenario for scenario, _, _ in cells))
    columns = list(dict.fromkeys(column for _, column, _ in cells))
    told = {(scenario, column): conclusion for scenario, column, conclusion in cells}
    rows = [["", *columns]]
    rows += [
        [scenario, *(told.get((scenario, column), "") for column in columns)]
        for scenario in scenarios
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
