"""What a submission uploads."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.object_keys import job_id_problems
from jobferry.errors import UploadRefused
from jobferry.stated_settings import Settings
from jobferry.upload_plan import Upload, new_job_id, plan_upload, without_earlier_settings


@pytest.fixture
def simulation(tmp_path: Path) -> Path:
    directory = tmp_path / "simulation"
    directory.mkdir()
    _write(directory / "aws-job-run.sh", "#!/bin/sh\n", 0o750)
    return directory


def _write(path: Path, text: str = "x", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def _paths(upload: Upload) -> set[str]:
    return {file.path for file in upload.files}


def _plan(directory: Path, **settings: Any) -> Upload:
    return plan_upload("job0001", directory, Settings(**settings))


def _problems(directory: Path, **settings: Any) -> dict[str, str]:
    with pytest.raises(UploadRefused) as refused:
        _plan(directory, **settings)
    return {problem.key: problem.problem for problem in refused.value.problems}


def test_files_come_with_size_and_mode_and_empty_folders_too(simulation: Path) -> None:
    _write(simulation / "data/日本 語.txt", "12345", 0o640)
    (simulation / "out/empty").mkdir(parents=True)
    upload = _plan(simulation)
    rows = {file.path: (file.size, file.mode) for file in upload.files}
    assert rows == {"aws-job-run.sh": (10, 0o750), "data/日本 語.txt": (5, 0o640)}
    assert upload.folders == ("out/empty/",)
    assert upload.size == 15


def test_a_script_alone_becomes_the_job_script(tmp_path: Path) -> None:
    script = _write(tmp_path / "mine.sh", "#!/bin/sh\n")
    _write(tmp_path / "other.txt")
    assert _paths(_plan(script)) == {"aws-job-run.sh"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("echo\n", "has no shebang"),
        ("#!/bin/sh\r\n", "Windows line ends"),
    ],
)
def test_a_script_that_no_site_admits_is_not_uploaded(tmp_path: Path, text: str, why: str) -> None:
    script = tmp_path / "mine.sh"
    script.write_bytes(text.encode())
    assert why in _problems(script)[str(script)]


def test_the_ignore_file_leaves_out_what_it_names_and_itself(simulation: Path) -> None:
    _write(simulation / ".jobferryignore", "# a comment\n\n*.tmp\nbuild/\ndata/*.bin\n")
    for path in ("a.tmp", "deep/b.tmp", "build/x", "data/c.bin", "data/d.txt"):
        _write(simulation / path)
    assert _paths(_plan(simulation)) == {"aws-job-run.sh", "data/d.txt"}


def test_a_wrong_line_of_the_ignore_file_is_named(simulation: Path) -> None:
    _write(simulation / ".jobferryignore", "!keep.txt\n../x\n")
    with pytest.raises(UploadRefused, match=r"(?s)'!keep.txt'.*'\.\.'"):
        _plan(simulation)


def test_links_inside_are_followed(simulation: Path) -> None:
    _write(simulation / "real/file.txt", "12")
    (simulation / "file-link").symlink_to("real/file.txt")
    (simulation / "folder-link").symlink_to("real")
    upload = _plan(simulation)
    assert _paths(upload) == {
        "aws-job-run.sh",
        "file-link",
        "folder-link/file.txt",
        "real/file.txt",
    }
    assert upload.size == 10 + 3 * 2


def test_links_that_lead_out_nowhere_or_in_a_circle_are_named(
    simulation: Path, tmp_path: Path
) -> None:
    _write(tmp_path / "secret")
    (simulation / "out").symlink_to("../secret")
    (simulation / "nowhere").symlink_to("missing")
    (simulation / "itself").symlink_to("itself")
    (simulation / "a").mkdir()
    (simulation / "a/circle").symlink_to("..")
    found = _problems(simulation)
    assert "lies outside" in found["out"]
    assert "leads nowhere" in found["nowhere"]
    assert "itself" in found
    assert "lies in itself" in found["a/circle"]


def test_ignored_links_do_not_matter(simulation: Path) -> None:
    (simulation / "out").symlink_to("/etc")
    _write(simulation / ".jobferryignore", "out\n")
    assert _paths(_plan(simulation)) == {"aws-job-run.sh"}


def test_a_named_pipe_is_refused_and_not_opened(simulation: Path) -> None:
    os.mkfifo(simulation / "pipe")
    assert "no regular file" in _problems(simulation)["pipe"]


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    directory = tmp_path / "bad"
    _write(directory / "aws-job-mine.txt")
    _write(directory / "new\nline")
    with pytest.raises(UploadRefused) as refused:
        plan_upload("a//b", directory, Settings())
    text = str(refused.value)
    assert "nothing was uploaded" in text
    for part in ("empty path segment", "aws-job-mine.txt", "control character", "script is miss"):
        assert part in text


def test_a_name_that_is_not_utf_8_is_refused(simulation: Path) -> None:
    (simulation / os.fsdecode(b"bad-\xff")).touch()
    assert any("control character" in text for text in _problems(simulation).values())


def test_what_an_earlier_run_left_is_not_uploaded(simulation: Path) -> None:
    for name in ("aws-job-stat.txt", "aws-job-stat.json", "aws-job-stdout.txt"):
        _write(simulation / name)
    assert _paths(_plan(simulation)) == {"aws-job-run.sh"}


def test_settings_join_the_settings_file(simulation: Path) -> None:
    _write(simulation / "aws-job.json", '{"name": "wave", "retries": {"attempts": 2, "delay": 5}}')
    upload = _plan(simulation, time_limit="90", retries=2, results=("out/**",))
    assert _paths(upload) == {"aws-job-run.sh"}
    assert json.loads(upload.settings or b"") == {
        "name": "wave",
        "retries": {"attempts": 2, "delay": 5},
        "time_limit": 90,
        "results": ["out/**"],
    }


def test_dependencies_come_to_those_of_the_settings_file(simulation: Path) -> None:
    first = {"job": "mesh", "on": "afterok", "site": "osaka"}
    (simulation / "aws-job.json").write_text(json.dumps({"depends_on": [first]}))
    second = {"job": "tables", "on": "afterany"}
    upload = plan_upload("job0001", simulation, Settings(depends_on=[second]))
    assert json.loads(upload.settings or b"") == {"depends_on": [first, second]}


def test_without_settings_the_file_goes_as_it_is(simulation: Path) -> None:
    _write(simulation / "aws-job.json", '{"name": "wave"}')
    upload = without_earlier_settings(_plan(simulation, priority=None, results=()))
    assert upload.settings is None
    assert "aws-job.json" in _paths(upload)


def test_settings_of_an_earlier_submission_do_not_count(simulation: Path) -> None:
    assert without_earlier_settings(_plan(simulation)).settings == b"{}\n"


@pytest.mark.parametrize(
    ("text", "settings", "problem"),
    [
        ('{"priority": 10}', {"priority": 20}, "10 in the file and 20"),
        ('{"partition": "long"}', {"queue": "short"}, '"long" in the file'),
        ('{"retries": {"attempts": 1}}', {"retries": 2}, "in the file"),
        ("{nonsense", {"priority": 1}, "not valid JSON"),
        ("[]", {"priority": 1}, "not a JSON object"),
    ],
)
def test_settings_that_contradict_the_file_are_refused(
    simulation: Path, text: str, settings: dict[str, object], problem: str
) -> None:
    _write(simulation / "aws-job.json", text)
    assert problem in _problems(simulation, **settings)["aws-job.json"]


def test_the_same_in_file_and_option_is_no_conflict(simulation: Path) -> None:
    _write(simulation / "aws-job.json", '{"partition": "long"}')
    assert json.loads(_plan(simulation, queue="long").settings or b"") == {"partition": "long"}


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_job_id_tells_what_and_when(simulation: Path, tmp_path: Path) -> None:
    assert new_job_id(simulation, NOW, "5e1f") == "simulation-20260102T030405Z-5e1f"
    script = _write(tmp_path / "wave.sh")
    assert new_job_id(script, NOW, "5e1f").startswith("wave-2026")
    assert new_job_id(simulation / "aws-job-run.sh", NOW, "5e1f").startswith("simulation-2026")


@given(st.text("abc XYZ日本-_.0", min_size=1, max_size=40))
def test_a_made_job_id_is_a_valid_one(name: str) -> None:
    assert job_id_problems(new_job_id(Path("/nowhere") / f"x{name}.sh", NOW, "00ff")) == []
