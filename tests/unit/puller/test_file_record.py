"""The record of staged and pushed files survives being cut off anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puller.confined_tree import ConfinedTree
from puller.file_record import FileRecord, FileState

STATES = st.builds(FileState, st.integers(0), st.integers(0), st.integers(0, 0o7777))


@given(
    st.dictionaries(st.text(min_size=1, max_size=20), STATES, max_size=6),
    st.text(min_size=1),
    STATES,
    st.integers(0, 400),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_after_a_cut_what_is_read_is_true_and_what_is_added_is_kept(
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[str, FileState],
    new: str,
    state: FileState,
    kept: int,
) -> None:
    folder = tmp_path_factory.mktemp("control")
    control = ConfinedTree(folder)
    with FileRecord(control, "record") as record:
        for path, recorded in files.items():
            record.add(path, recorded)
    whole = (folder / "record").read_bytes() if files else b""
    (folder / "record").write_bytes(whole[:kept])
    with FileRecord(control, "record") as record:
        read = dict(record.files)
        assert read.items() <= files.items()
        record.add(new, state)
    assert FileRecord(control, "record").files == {**read, new: state}


@pytest.mark.parametrize(
    "line", ["", "[]", "{}", "null", '["a", 1, 2]', '["a", "x", 2, 3]', "\xff"]
)
def test_a_line_that_is_no_record_counts_as_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "record").write_text(f'{line}\n["good", 1, 2, 3]\n', encoding="latin-1")
    record = FileRecord(ConfinedTree(tmp_path), "record")
    assert record.files == {"good": FileState(1, 2, 3)}
