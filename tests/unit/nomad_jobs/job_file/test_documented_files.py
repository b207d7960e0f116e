"""The job files of Nomad's batch tutorial, as a shell writes them: whole files, whole JSON."""

from __future__ import annotations

import json
from pathlib import Path

import hcl2
import pytest

from nomad_jobs.job_file.bodies import parse_file
from nomad_jobs.job_file.budget import Budget
from nomad_jobs.job_file.reading import read_job_file
from nomad_jobs.job_file.syntax import Body
from nomad_jobs.job_file.validation import admit
from tests.unit.nomad_jobs.job_file.clocks import CLOCK

FILES = sorted((Path(__file__).parent / "documented").glob("*.nomad"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_file_becomes_this_json(file: Path) -> None:
    read = read_job_file(file.read_text(), file=file.name)
    assert [str(problem) for problem in read.problems + read.warnings] == []
    assert read.job == json.loads(file.with_suffix(".json").read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_job_is_admitted_as_it_is(file: Path) -> None:
    read = read_job_file(file.read_text(), file=file.name)
    assert read.job is not None
    admission = admit(read.job, CLOCK, read.places)
    assert [str(problem) for problem in admission.problems + admission.warnings] == []
    assert admission.job == read.job


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shell_escape_in_a_file_that_no_shell_read_means_the_same(file: Path) -> None:
    escaped = file.read_text().replace("${NOMAD_TASK_DIR}", "\\${NOMAD_TASK_DIR}")
    assert read_job_file(escaped, file=file.name).job == json.loads(
        file.with_suffix(".json").read_text()
    )


def _outline(body: Body) -> dict[str, object]:
    found: dict[str, object] = {attribute.name: None for attribute in body.attributes}
    for block in body.blocks:
        inner = _outline(block.body)
        for label in reversed(block.labels):
            inner = {label: inner}
        listed = found.setdefault(block.type, [])
        assert isinstance(listed, list)
        listed.append(inner)
    return found


def _outline_of_hcl2(body: dict[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in body.items():
        if name.startswith("__"):
            continue
        if isinstance(value, list) and value and isinstance(value[0], dict):
            found[name] = [_outline_of_hcl2(each) for each in value]
        else:
            found[name.strip('"')] = _outline_of_hcl2(value) if isinstance(value, dict) else None
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_another_parser_sees_the_same_blocks_and_attributes(file: Path) -> None:
    text = file.read_text()
    assert _outline(parse_file(text, Budget())) == _outline_of_hcl2(hcl2.loads(text))
