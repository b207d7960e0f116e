"""Tables of values: what is read, and what is refused."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.element_files import element_of
from job_protocol.object_keys import STDERR, STDOUT, element_log
from job_protocol.sweep import MAX_ROW_BYTES, MAX_SWEEP_BYTES, SweepError, read_sweep

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(
    rows=st.lists(st.lists(VALUES, min_size=2, max_size=2), min_size=1, max_size=5),
    bom=st.booleans(),
)
def test_any_value_comes_back_as_it_was(rows: list[list[str]], bom: bool) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["alpha", "BETA_2"], *rows])
    found = read_sweep((b"\xef\xbb\xbf" if bom else b"") + text.getvalue().encode())
    assert found.names == ("alpha", "BETA_2")
    assert [list(row) for row in found.rows] == rows


def test_rows_are_kept_as_an_environment() -> None:
    found = read_sweep('A,B\n1,"x, ""y"""\n\n2,計算\n'.encode())
    assert found.environment(0, 9) == 'A=1\0B=x, "y"\0A=2\0B=計算\0'.encode()
    assert found.environment(1, 1) == "A=2\0B=計算\0".encode()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no row of values"),
        (b"A,B\n", "no row of values"),
        (b"A,B\n1\n", "line 2: it has 1 values for 2 names"),
        (b"A,B\n1,2\n1,2,3\n", "line 3: it has 3 values for 2 names"),
        (b"A,A\n1,2\n", "two columns are named 'A'"),
        (b"A,\n1,2\n", "column 2 is named ''"),
        (b"A, B\n1,2\n", "column 2 is named ' B'"),
        (b"1A\n1\n", "no name of a variable"),
        ("温度\n1\n".encode(), "no name of a variable"),
        (b"PATH\n1\n", "the shell or the scheduler uses"),
        (b"SLURM_X\n1\n", "the shell or the scheduler uses"),
        (b"LD_PRELOAD\n1\n", "the shell or the scheduler uses"),
        (b"A\n\xff\n", "it is not UTF-8 (byte 2)"),
        (b"A\nx\0y\n", "contains a NUL"),
        (b'A\n"x\n', "line 2: unexpected end of data"),
        (b'A\n"x"y\n', "line 2"),
        (b"A\n" + b"x" * (MAX_ROW_BYTES + 1), f"more than {MAX_ROW_BYTES} bytes"),
        (b"x" * (MAX_SWEEP_BYTES + 1), f"at most {MAX_SWEEP_BYTES} are taken"),
        (b",".join(b"A%d" % n for n in range(101)) + b"\n1\n", "101 columns"),
        (b"A\n" + b"1\n" * 100_001, "100001 rows of values"),
    ],
)
def test_what_cannot_be_a_sweep_is_refused_with_the_reason(body: bytes, why: str) -> None:
    with pytest.raises(SweepError) as refused:
        read_sweep(body)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("path", "index"),
    [
        (element_log(STDOUT, 17), 17),
        (element_log(STDERR, 0), 0),
        ("elements/3/out/a b.txt", 3),
        ("elements/3/", 3),
        ("elements/03/x", None),
        ("elements/3", None),
        ("x/elements/3/y", None),
        (STDOUT, None),
    ],
)
def test_a_file_belongs_to_an_element_by_its_name(path: str, index: int | None) -> None:
    assert element_of(path) == index
