"""docs/limits.md says the limits that the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra import api
from infra.settings import SiteSettings
from job_protocol.script_rules import MAX_SCRIPT_BYTES
from job_protocol.sweep import MAX_COLUMNS, MAX_ROW_BYTES, MAX_SWEEP_BYTES
from lambdas.ports.job_reader import MAX_PAGE
from lambdas.rules.dispatch import INLINE_PAYLOAD, MAX_PAYLOAD
from lambdas.rules.file_tree import MAX_CHUNK
from lambdas.rules.mark import MAX_WORD_BYTES
from lambdas.rules.settings_form import MAX_SETTINGS_BYTES
from lambdas.rules.submission_form import MAX_SINGLE_PUT
from lambdas.rules.upload import MAX_REASONS_BYTES, Limits
from lambdas.shared_reader import most_versions
from nomad_jobs.job_file.bodies import MAX_TEXT
from nomad_jobs.job_file.budget import MAX_DEPTH, MAX_WORK

PAGE = (Path(__file__).parents[2] / "docs/limits.md").read_text()
SITE = SiteSettings(name="dc1")
KIB, MIB, GIB = 1024, 1024**2, 1024**3

ROWS = {
    "files and empty folders": [f"{SITE.max_upload_files:,} (`max_upload_files`)"],
    "bytes, shared inputs": [f"{SITE.max_upload_bytes // GIB} GiB (`max_upload_bytes`)"],
    "elements of an array": [f"{SITE.max_array_size:,} (`max_array_size`)"],
    "object versions": [
        f"{most_versions(Limits(1, 1)) - most_versions(Limits(0, 1))} for each file",
        f"and {most_versions(Limits(0, 1)):,}",
    ],
    "the job script": [f"{MAX_SCRIPT_BYTES // MIB} MiB"],
    "`aws-job.json`": [f"{MAX_SETTINGS_BYTES // KIB} KiB"],
    "the table of a sweep": [
        f"{MAX_SWEEP_BYTES // MIB} MiB, {MAX_COLUMNS} columns, {MAX_ROW_BYTES // KIB} KiB a row"
    ],
    "`aws-job-stat.txt`": [f"{MAX_WORD_BYTES} bytes"],
    "reasons of a rejection": [f"{MAX_REASONS_BYTES:,} bytes"],
    "requests a second": [f"{api.REQUESTS_PER_SECOND}, and {api.BURST} in a burst"],
    "an announced file": [f"{MAX_SINGLE_PUT // GIB} GiB in one PUT"],
    "a payload in a dispatch": [f"{INLINE_PAYLOAD // KIB} KiB"],
    "a payload that is announced": [f"{MAX_PAYLOAD // GIB} GiB"],
    "a job file": [f"{MAX_TEXT // MIB} MiB, {MAX_DEPTH} levels, {MAX_WORK:,} steps"],
    "rows of a page": [f"{MAX_PAGE:,}"],
    "bytes of a file in one answer": [f"{MAX_CHUNK // MIB} MiB"],
}


@pytest.mark.parametrize("begin", ROWS)
def test_a_row_has_the_codes_own_number(begin: str) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| {begin}"))
    assert [said for said in ROWS[begin] if said not in row] == []
