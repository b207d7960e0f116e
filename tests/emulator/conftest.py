"""The tally of the IAM matrix at the end of the test run."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        value
        for kind in ("passed", "failed")
        for report in terminalreporter.stats.get(kind, [])
        for name, value in report.user_properties
        if name == "IAM matrix"
    ]
    if not rows:
        return
    terminalreporter.section("IAM matrix")
    width = max(len(row["access"]) for row in rows)
    heading: list[str] | None = None
    for row in rows:
        if list(row["cells"]) != heading:
            heading = list(row["cells"])
            terminalreporter.write_line(f"{'':{width}}  {'  '.join(heading)}")
        cells = "  ".join(f"{row['cells'][name]:{len(name)}}" for name in heading)
        terminalreporter.write_line(f"{row['access']:{width}}  {cells}")
