"""What `--input FROM=TO` means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobferry.errors import UploadRefused, UsageError
from jobferry.shared_inputs import SharedPlan, Wish, parse_wish, plan_shared
from jobferry.upload_plan import plan_upload

BUCKET = "site-bucket"


def _plan(*wishes: Wish) -> SharedPlan:
    return plan_shared(wishes, BUCKET)


def _problems(*wishes: Wish) -> list[str]:
    with pytest.raises(UploadRefused) as refused:
        _plan(*wishes)
    return [problem.problem for problem in refused.value.problems]


@given(st.text(min_size=1), st.text().filter(lambda to: "=" not in to))
def test_the_last_equals_sign_divides(source: str, to: str) -> None:
    assert parse_wish(f"{source}={to}") == (source, to)


@pytest.mark.parametrize("text", ["mesh.h5", "=mesh.h5", ""])
def test_what_is_no_wish_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="write FROM=TO"):
        parse_wish(text)


def test_a_url_and_a_key_name_objects_of_the_bucket() -> None:
    plan = _plan((f"s3://{BUCKET}/shared/a=b/c", "c"), ("shared/mesh/", "mesh/"))
    assert plan.uploads == ()
    assert plan.inputs == (
        {"from": "shared/a=b/c", "to": "c"},
        {"from": "shared/mesh/", "to": "mesh/"},
    )


def test_where_the_bucket_is_not_known_the_api_hears_which_one_is_meant() -> None:
    plan = plan_shared([("s3://other/shared/a", "a")], None)
    assert plan.inputs == ({"from": "s3://other/shared/a", "to": "a"},)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    told = _problems(
        ("s3://other/key", "x"), (f"s3://{BUCKET}/", "x"), ("./gone", "x"), (tmp_path / "gone", "x")
    )
    assert told == [
        f"it is not in the site's bucket {BUCKET}",
        "it names no object",
        "there is no such file here",
        "there is no such file here",
    ]


def test_a_file_is_named_after_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for path in (tmp_path / "mesh.h5", tmp_path / "a/mesh.h5"):
        path.write_bytes(b"mesh")
    one, two = _plan((tmp_path / "mesh.h5", "m")), _plan((str(tmp_path / "a/mesh.h5"), "m"))
    assert one.inputs == two.inputs
    (upload,) = one.uploads
    digest = upload.prefix.removeprefix("shared/").removesuffix("/")
    assert len(digest) == 64
    assert one.inputs[0]["from"] == f"shared/{digest}/mesh.h5"
    assert [file.path for file in upload.files] == ["mesh.h5"]
    assert upload.size == 4
    (tmp_path / "mesh.h5").write_bytes(b"MESH")
    assert _plan((tmp_path / "mesh.h5", "m")).inputs != one.inputs
    assert upload.changed() == [tmp_path / "mesh.h5"]
    assert two.uploads[0].changed() == []


def test_a_directory_is_named_after_all_that_is_in_it(tmp_path: Path) -> None:
    mesh = tmp_path / "mesh"
    (mesh / "empty").mkdir(parents=True)
    (mesh / "a").write_text("1")
    first = _plan((mesh, "m/"))
    assert first.inputs[0]["from"] == f"{first.uploads[0].prefix}mesh/"
    assert [file.path for file in first.uploads[0].files] == ["mesh/a"]
    assert first.uploads[0].folders == ("mesh/empty/",)
    seen = {first.uploads[0].prefix}
    for change in (
        lambda: (mesh / "a").chmod(0o755),
        lambda: (mesh / "a").rename(mesh / "b"),
        lambda: (mesh / "b").write_text("2"),
        lambda: (mesh / "empty").rmdir(),
    ):
        change()
        (upload,) = _plan((mesh, "m/")).uploads
        assert upload.prefix not in seen
        seen.add(upload.prefix)


def test_an_empty_directory_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (upload,) = _plan((tmp_path / "nothing", "n")).uploads
    assert upload.folders == ("nothing/",)


def test_one_file_at_two_places_is_uploaded_once(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    plan = _plan((tmp_path / "x", "a"), (tmp_path / "x", "b"))
    assert len(plan.uploads) == 1
    assert [row["to"] for row in plan.inputs] == ["a", "b"]


def test_they_come_to_those_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "aws-job-run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "aws-job.json").write_text('{"inputs": [{"from": "shared/a", "to": "a"}]}')
    upload = plan_upload("job0001", tmp_path, {}, [{"from": "shared/b", "to": "b"}])
    assert upload.settings is not None
    assert json.loads(upload.settings)["inputs"] == [
        {"from": "shared/a", "to": "a"},
        {"from": "shared/b", "to": "b"},
    ]


@pytest.mark.parametrize("to", ["../x", "/x", "data", "aws-job-stat.txt"])
def test_a_place_that_cannot_be_is_told_before_anything_is_uploaded(
    tmp_path: Path, to: str
) -> None:
    (tmp_path / "aws-job-run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").write_text("x")
    with pytest.raises(UploadRefused):
        plan_upload("job0001", tmp_path, {}, [{"from": "shared/b", "to": to}])


@pytest.mark.parametrize("to", ["", ".", "data/", "new", "new/"])
def test_a_place_that_can_be_is_fine(tmp_path: Path, to: str) -> None:
    (tmp_path / "aws-job-run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").write_text("x")
    plan_upload("job0001", tmp_path, {}, [{"from": "shared/b", "to": to}])
