"""Jobs as HTML: nothing that a job says may become markup."""

from __future__ import annotations

from datetime import UTC
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from job_protocol.states import Word
from jobferry import CloudUnreachable
from jobferry.interface import Listing
from jobferry.job import Job
from jobferry.notebook import job_html, jobs_html, problem_html
from jobferry.report import Report
from tests.unit.jobferry.memory_access import MemoryAccess

EVIL = "<img src=x onerror=alert(1)>\"'&"
TAGS = {"table", "tr", "td", "th", "b", "p"}


class Cells(HTMLParser):
    """The tags and the text of cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert [name for name, _ in attrs if name not in ("style", "colspan")] == []
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def test_a_job_is_a_table_of_what_is_known() -> None:
    reasons = [{"key": "a = b", "problem": EVIL, "remedy": "rename it"}]
    details = {
        "site": "dc1",
        "message": EVIL,
        "finished": "2026-01-02T03:04:05Z",
        "reasons": reasons,
        "allocation": {"exit_code": 3},
    }
    html = job_html(Report(EVIL, Word.JOB_FAILED, details), f"s3://b/{EVIL}/", UTC)
    found = Cells(html)
    assert found.tags <= TAGS
    pairs = dict(zip(found.cells, found.cells[1:], strict=False))
    assert pairs["ID"] == EVIL
    assert pairs["Outcome"] == "failed"
    assert pairs["Message"] == EVIL
    assert pairs["Finished"] == "2026-01-02T03:04:05+00:00"
    assert pairs["Exit Code"] == "3"
    assert f"a = b: {EVIL}; rename it" in found.cells


@given(st.text(), st.text())
def test_no_text_becomes_markup(job: str, message: str) -> None:
    report = Report(job, Word.JOB_RUNNING, {"message": message, "updated": message})
    for html in (
        job_html(report, job),
        jobs_html(Listing((report,), 7, True)),
        problem_html(job, message),
    ):
        assert Cells(html).tags <= TAGS


def test_a_listing_is_a_table_and_says_how_many_there_are() -> None:
    reports = (
        Report("projA/run7", Word.JOB_COMPLETE, {"updated": "2026-01-02T03:04:05Z"}),
        Report("b", None),
    )
    html = Listing(reports, 9, True)._repr_html_()
    cells = Cells(html).cells
    assert cells[:5] == ["ID", "Status", "Outcome", "Word", "Updated"]
    assert cells[5:9] == ["projA/run7", "dead", "complete", "JOB_COMPLETE"]
    assert cells[10:14] == ["b", "pending", "-", "?"]
    assert html.endswith("<p>2 of 9 jobs</p>")


class Unreachable(MemoryAccess):
    def report(self, job_id: str) -> Report | None:
        raise CloudUnreachable("no <route>")


def test_a_job_that_cannot_be_read_shows_why_instead_of_raising() -> None:
    assert "no &lt;route&gt;" in Job(Unreachable(), "job0001")._repr_html_()
    assert "there is no job" in Job(MemoryAccess(), "job0001")._repr_html_()
