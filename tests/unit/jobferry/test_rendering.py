"""A job's state as text."""

from __future__ import annotations

from datetime import timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from job_protocol.states import Word
from jobferry.interface import Listing
from jobferry.rendering import describe, describe_all, human_size, printable
from jobferry.report import Report

TOKYO = timezone(timedelta(hours=9))


def test_a_job_is_described_in_aligned_lines_and_local_time() -> None:
    report = Report(
        "job0001",
        Word.JOB_FAILED,
        {
            "site": "dc1",
            "upload": {"version": "v", "time": "2026-01-02T03:04:05Z"},
            "message": "the script failed",
            "allocation": {
                "id": "3d04b6fc",
                "client_status": "failed",
                "exit_code": 3,
                "ended": "2026-01-02T04:00:00Z",
                "results": {
                    "files": 2,
                    "bytes": 2048,
                    "left_out": 1,
                    "left_out_first": [{"path": "big.tmp", "reason": "excluded"}],
                },
            },
        },
    )
    assert describe(report, "s3://b/job0001/", TOKYO) == (
        "ID          = job0001\n"
        "Site        = dc1\n"
        "Location    = s3://b/job0001/\n"
        "Submit Date = 2026-01-02T12:04:05+09:00\n"
        "Type        = batch\n"
        "Status      = dead\n"
        "Outcome     = failed\n"
        "Word        = JOB_FAILED\n"
        "Message     = the script failed\n"
        "\n"
        "Allocation\n"
        "ID        = 3d04b6fc\n"
        "Status    = failed\n"
        "Exit Code = 3\n"
        "Ended     = 2026-01-02T13:00:00+09:00\n"
        "Results   = 2 files, 2.0 KiB\n"
        "Left Out  = 1\n"
        "  big.tmp: excluded"
    )


def test_each_reason_of_a_rejection_has_a_line() -> None:
    reasons = [{"key": "j/x", "problem": "it is bad", "remedy": "mend it"}]
    report = Report("j", Word.FILE_REJECTED, {"reasons": reasons})
    assert "Reasons\nj/x: it is bad; mend it" in describe(report, "s3://b/j/")


def test_a_table_is_aligned_with_japanese_names_too() -> None:
    jobs = (
        Report("計算1", Word.JOB_RUNNING, {"updated": "2026-01-02T03:04:05Z"}),
        Report("job0001", Word.JOB_COMPLETE, {"updated": "2026-01-02T03:04:05Z"}),
    )
    assert describe_all(Listing(jobs, 2, True), TOKYO).splitlines() == [
        "ID       Status   Outcome   Word          Updated",
        "計算1    running  -         JOB_RUNNING   2026-01-02T12:04:05+09:00",
        "job0001  dead     complete  JOB_COMPLETE  2026-01-02T12:04:05+09:00",
    ]


@given(st.text(alphabet=st.characters(codec=None)))
def test_no_text_steers_the_terminal(text: str) -> None:
    shown = printable(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    shown.encode()  # raises where a stray byte is left


def test_sizes_are_in_the_largest_fitting_unit() -> None:
    assert [human_size(n) for n in (0, 1023, 1024, 3 * 1024**3)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "3.0 GiB",
    ]
