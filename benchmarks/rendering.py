"""The page of all results: tables in Markdown, charts as SVG files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.bar_chart import svg
from benchmarks.prices import DATED, PRICES, SOURCE
from benchmarks.result import Result, Table

_HEAD = """\
# Benchmarks

What jobferry costs and how fast it is, beside its alternatives, measured by `make bench` (all of
it) or `make bench-quick` (a part, under 3 minutes). The questions lie in `benchmarks/`, one file
each, their results as JSON in `benchmarks/results/`; this page is made from those and not written
by hand.

Everything runs on one machine against an AWS emulator, so absolute times say little about AWS:
what counts are numbers of requests and units, and ratios within one run. Requests are counted on
the wire, by a proxy before the emulator that also adds the simulated round trip.

What does not depend on the machine is a gate in CI (`tests/emulator/test_cost_gate.py`): requests
and units of an idle pass and of a job, modules that a cold start and a pass import, bytes of the
archive.
Larger loads run less often than smaller ones, and a slow peer is stopped: the tables say so.
"""


def page(results: Sequence[Result]) -> str:
    """The page in Markdown."""
    parts = [_HEAD, "## The figures to reach\n", _verdicts(results)]
    parts += [_section(result) for result in results]
    parts.append(_prices())
    return "\n".join(parts)


def write_page(results: Sequence[Result], page_file: Path) -> None:
    """Write the page and its charts."""
    charts = page_file.parent / "benchmarks"
    charts.mkdir(parents=True, exist_ok=True)
    for result in results:
        for chart in result.charts:
            (charts / f"{chart.name}.svg").write_text(svg(chart))
    page_file.write_text(page(results))


def _verdicts(results: Sequence[Result]) -> str:
    rows = [
        (
            verdict.claim,
            verdict.measured,
            {True: "reached", False: "**not reached**", None: "not told by this run"}[
                verdict.reached
            ],
            verdict.why,
        )
        for result in results
        for verdict in result.verdicts
    ]
    return markdown(Table("", ("to reach", "measured", "", "why, or what to know"), rows))


def _section(result: Result) -> str:
    machine, versions = result.machine, result.versions
    parts = [f"## {result.title}\n", f"{result.method}\n"]
    for table in result.tables:
        parts.append(markdown(table))
    parts += [f"![{chart.title}](benchmarks/{chart.name}.svg)\n" for chart in result.charts]
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts.append(
        f"*{'Quick form. ' if result.quick else ''}{result.date}; {machine.get('cpus')} CPUs "
        f"({machine.get('cpu')}), {machine.get('memory_gib')} GiB, load {machine.get('load')} "
        f"after the measurement; {told}*\n"
    )
    return "\n".join(parts)


def _prices() -> str:
    rows = [(price.unit, f"{price.dollars:.4g}") for price in PRICES.values() if price.dollars > 0]
    table = Table("Dollars per million", ("unit", "$"), rows)
    return f"## Prices\n\n{SOURCE}, as of {DATED}.\n\n{markdown(table)}"


def markdown(table: Table) -> str:
    """A table in Markdown."""
    lines = [f"**{table.title}**\n"] if table.title else []
    lines.append("| " + " | ".join(table.header) + " |")
    lines.append("|" + "|".join(" --- " for _ in table.header) + "|")
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in table.rows]
    return "\n".join([*lines, ""])


def _cell(value: object) -> str:
    if isinstance(value, float):
        text = f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("|", "\\|").replace("\n", " ")
