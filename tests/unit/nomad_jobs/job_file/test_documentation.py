"""docs/job-files.md: its example runs, and its lists are those of the code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from nomad_jobs.job_file.functions import FUNCTIONS, REFUSED
from nomad_jobs.job_file.reading import read_job_file
from nomad_jobs.job_file.schema import Schema
from nomad_jobs.job_file.specification import GROUP, JOB, RESOURCES, TASK, TEMPLATE
from nomad_jobs.job_file.task_rules import DRIVERS
from nomad_jobs.job_file.validation import admit
from tests.unit.nomad_jobs.job_file.clocks import CLOCK

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "job-files.md").read_text()
EXAMPLE = re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL)[0]
SPECIAL = {"can", "convert", "try"}


def _words(text: str) -> set[str]:
    return {word for quoted in re.findall(r"`([^`]*)`", text) for word in quoted.split()}


def _row(title: str) -> str:
    (row,) = re.findall(rf"^\| {re.escape(title)} \|(.*)\|$", PAGE, re.MULTILINE)
    return str(row)


def test_the_example_is_admitted() -> None:
    read = read_job_file(EXAMPLE, file="heat.nomad")
    assert read.job is not None, [str(problem) for problem in read.problems]
    admission = admit(read.job, CLOCK, read.places)
    assert [str(each) for each in admission.problems + admission.warnings] == []


def test_the_messages_are_those_of_the_example_with_three_slips() -> None:
    text = EXAMPLE.replace("datacenters", "datacentres")
    text = text.replace("dispatch_payload", "dispach_payload")
    text = text.replace("THREADS = var.threads", "THREADS = var.treads")
    shown = [line for line in PAGE.splitlines() if line.startswith("heat.nomad:")]
    assert len(shown) == 3
    assert [str(each) for each in read_job_file(text, file="heat.nomad").problems] == shown


def test_every_function_is_listed() -> None:
    listed = PAGE.split("### Functions")[1].split("Refused, each")[0]
    assert _words(listed) == {*FUNCTIONS, *SPECIAL}


def test_every_refused_function_is_listed() -> None:
    refused = PAGE.split("Refused, each")[1].split("### Limits")[0]
    assert _words(refused.replace("\n", " ")) == set(REFUSED)


def _unsupported(schemas: Iterable[Schema], *, refused: bool) -> set[str]:
    return {
        name
        for schema in schemas
        for name, each in schema.unsupported.items()
        if each.refused == refused
    }


@pytest.mark.parametrize(
    ("title", "refused"),
    [("left out, with a warning", False), ("refused: the job would not work", True)],
)
def test_every_unsupported_block_is_listed(title: str, refused: bool) -> None:
    names = _unsupported((JOB, GROUP, TASK, RESOURCES, TEMPLATE), refused=refused)
    in_other_words = {"default_identity", "consul_token", "consul_namespace", "vault_token"}
    in_other_words |= {"vault_namespace", "kind"}
    assert names - in_other_words == _words(_row(title))


def test_every_driver_is_listed() -> None:
    (line,) = re.findall(r"Drivers: (.*?)\. An option", PAGE, re.DOTALL)
    assert _words(line) == set(DRIVERS)
