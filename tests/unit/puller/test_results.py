"""The plan of results: what is new or changed, and nothing from outside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job_protocol.job_settings import JobSettings
from job_protocol.path_patterns import matcher
from puller import results
from puller.file_record import NO_STATE, FileState
from puller.job_directory import JobDirectory
from puller.results import ResultPlan, plan_results
from puller.staging import StagedIndex

ALLOCATION = "0a1b2c3d-0000-5000-8000-000000000001"
NOTHING = StagedIndex({}, frozenset())


@pytest.fixture
def directory(tmp_path: Path) -> JobDirectory:
    made = JobDirectory(tmp_path / "jobs", "job0001")
    made.prepare(ALLOCATION, datetime(2024, 1, 1, tzinfo=UTC))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    return made


def put(directory: JobDirectory, path: str, content: str = "x") -> Path:
    file = directory.path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def staged(directory: JobDirectory, *paths: str) -> StagedIndex:
    """The index as if these paths had just been staged."""
    return StagedIndex.of(
        {
            path: NO_STATE if path.endswith("/") else FileState.of((directory.path / path).lstat())
            for path in paths
        }
    )


def plan(
    directory: JobDirectory, index: StagedIndex = NOTHING, settings_: JobSettings | None = None
) -> ResultPlan:
    return plan_results(directory, index, settings_ or JobSettings())


def pushed(result: ResultPlan) -> list[str]:
    return [file.path for file in result.files]


def reasons(result: ResultPlan) -> dict[str, str]:
    return {entry.path: entry.reason for entry in result.left_out}


def test_everything_new_is_pushed_nested_and_empty_folders_included(
    directory: JobDirectory,
) -> None:
    put(directory, "a/b/c")
    put(directory, ".hidden")
    (directory.path / "x/y/z").mkdir(parents=True)
    result = plan(directory)
    assert (pushed(result), result.folders) == ([".hidden", "a/b/c"], ("x/y/z/",))
    assert result.left_out_count == 0


def test_unchanged_inputs_stay_and_changed_ones_are_pushed(directory: JobDirectory) -> None:
    names = ["same", "longer", "same-size", "mode", "replaced", "deleted", "d/same"]
    for name in names:
        os.utime(put(directory, name, "1234"), (1_700_000_000, 1_700_000_000))
    index = staged(directory, *names)
    put(directory, "longer", "12345")
    put(directory, "same-size", "4321")
    (directory.path / "mode").chmod(0o755)
    put(directory, "new", "1234").rename(directory.path / "replaced")
    (directory.path / "deleted").unlink()
    assert pushed(plan(directory, index)) == ["longer", "mode", "replaced", "same-size"]


def test_folders_that_were_inputs_are_no_results(directory: JobDirectory) -> None:
    (directory.path / "empty/new").mkdir(parents=True)
    (directory.path / "input").mkdir()
    put(directory, "emptied/file")
    index = staged(directory, "empty/", "input/", "emptied/file")
    (directory.path / "emptied/file").unlink()
    assert plan(directory, index).folders == ("empty/new/",)


def test_a_stale_stat_does_not_hide_a_change(
    directory: JobDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(directory, "input", "1234")
    put(directory, "aws-job-stderr.txt", "")
    index = staged(directory, "input")
    real = results._entries
    cached = {path: real(directory.tree, path) for path in ("",)}
    monkeypatch.setattr(results, "_entries", lambda tree, path: cached[path])
    file.write_text("changed on another host")
    put(directory, "aws-job-stderr.txt", "written on another host")
    assert pushed(plan(directory, index)) == ["aws-job-stderr.txt", "input"]


def test_patterns_choose_but_never_hide_the_logs(directory: JobDirectory) -> None:
    for path in ("out/a", "out/b.tmp", "other", "aws-job-stdout.txt", "aws-job-stderr.txt"):
        put(directory, path)
    (directory.path / "out/none").mkdir()
    result = plan(directory, NOTHING, JobSettings(results=("out",), exclude=("*.tmp", "none")))
    assert pushed(result) == ["aws-job-stderr.txt", "aws-job-stdout.txt", "out/a"]
    assert reasons(result) == {
        "out/b.tmp": "it matches a pattern of `exclude`",
        "out/none/": "it matches a pattern of `exclude`",
        "other": "it matches no pattern of `results`",
    }


def test_an_excluded_folder_is_not_even_entered(
    directory: JobDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(directory, "scratch/deep/file")
    entered: list[str] = []
    real = results._entries
    monkeypatch.setattr(
        results, "_entries", lambda tree, path: (entered.append(path), real(tree, path))[1]
    )
    result = plan(directory, NOTHING, JobSettings(exclude=("scratch",)))
    assert (entered, list(reasons(result))) == ([""], ["scratch/"])


PATTERNS = st.lists(
    st.sampled_from(["a", "b*", "*", "**", "?", "a.c", "[ab]", "[!a]", "a/"]), min_size=1
).map("/".join)
PATHS = st.lists(st.sampled_from(["a", "b", "bb", "a.c", "c"]), min_size=1, max_size=4)


@given(PATTERNS, PATHS, PATHS)
def test_a_pattern_that_takes_a_folder_takes_all_in_it(
    pattern: str, folder: list[str], below: list[str]
) -> None:
    """What entering no excluded folder rests on."""
    match = matcher([pattern])
    if match("/".join(folder) + "/"):
        assert match("/".join(folder + below))
        assert match("/".join(folder + below) + "/")


def test_empty_logs_are_not_worth_a_put(directory: JobDirectory) -> None:
    put(directory, "aws-job-stdout.txt", "")
    put(directory, "aws-job-stderr.txt", "")
    put(directory, "empty-result", "")
    result = plan(directory)
    assert (pushed(result), result.left_out_count) == (["empty-result"], 0)


def test_the_protocols_names_are_left_out_and_the_owners_mark_is_not_mentioned(
    directory: JobDirectory,
) -> None:
    for path in ("aws-job-stat.txt", "sub/aws-job-stat.json", "aws-job-run.sh", "aws-job-x/y"):
        put(directory, path)
    put(directory, "sub/aws-job-run.sh")
    result = plan(directory)
    assert pushed(result) == ["sub/aws-job-run.sh"]
    assert set(reasons(result)) == {
        "aws-job-stat.txt",
        "sub/aws-job-stat.json",
        "aws-job-run.sh",
        "aws-job-x/",
    }


def test_links_inside_are_materialised(directory: JobDirectory) -> None:
    put(directory, "runs/42/out", "result")
    (directory.path / "latest").symlink_to("runs/42")
    (directory.path / "runs/42/same").symlink_to("../42/out")
    (directory.path / "absolute").symlink_to(directory.path / "runs/42/out")
    (directory.path / "twice").symlink_to("latest/same")
    result = plan(directory)
    assert {file.path: file.source for file in result.files} == {
        "absolute": "runs/42/out",
        "latest/out": "runs/42/out",
        "latest/same": "runs/42/out",
        "runs/42/out": "runs/42/out",
        "runs/42/same": "runs/42/out",
        "twice": "runs/42/out",
    }


def test_absolute_links_work_through_a_jobs_directory_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "aws-job").symlink_to(tmp_path / "scratch")
    directory = JobDirectory(tmp_path / "aws-job", "job0001")
    directory.prepare(ALLOCATION, datetime(2024, 1, 1, tzinfo=UTC))
    put(directory, "data")
    (directory.path / "logical").symlink_to(tmp_path / "aws-job/job0001/data")
    (directory.path / "physical").symlink_to(tmp_path / "scratch/job0001/data")
    assert pushed(plan(directory)) == ["data", "logical", "physical"]


def test_a_link_in_place_of_an_unchanged_input_is_a_result(directory: JobDirectory) -> None:
    put(directory, "input")
    index = staged(directory, "input")
    (directory.path / "input").rename(directory.path / "moved")
    (directory.path / "input").symlink_to("moved")
    assert pushed(plan(directory, index)) == ["input", "moved"]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/etc/passwd", "leads out of the job directory"),
        ("../../outside/secret", "leads out of the job directory"),
        ("../../outside", "leads out of the job directory"),
        ("..", "leads out of the job directory"),
        ("a/../../../outside", "leads out of the job directory"),
        ("nowhere", "leads to nothing"),
        ("a/file/x", "leads to nothing"),
        ("link", "in a circle"),
        (".", "the link itself lies in"),
        ("a/..", "the link itself lies in"),
    ],
)
def test_links_that_lead_elsewhere_are_left_out(
    directory: JobDirectory, target: str, reason: str
) -> None:
    put(directory, "a/file")
    (directory.path / "link").symlink_to(target)
    result = plan(directory)
    assert pushed(result) == ["a/file"]
    assert reason in reasons(result)["link"]


def test_links_that_lead_to_each_other_end(directory: JobDirectory) -> None:
    put(directory, "one/file")
    put(directory, "two/file")
    (directory.path / "one/two").symlink_to("../two")
    (directory.path / "two/one").symlink_to("../one")
    (directory.path / "two/up").symlink_to("../two")
    result = plan(directory)
    assert pushed(result) == ["one/file", "one/two/file", "two/file", "two/one/file"]
    assert set(reasons(result)) == {"one/two/one", "one/two/up", "two/one/two", "two/up"}


def test_links_that_multiply_are_cut_off(
    directory: JobDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "MOST_LINKED", 500)
    for number in range(9):
        put(directory, f"{number}/file")
        for other in range(9):
            if other != number:
                (directory.path / f"{number}/to{other}").symlink_to(f"../{other}")
    result = plan(directory)
    assert len(result.files) < 5_000
    assert any("more than 500 files" in entry.reason for entry in result.left_out)


def test_what_is_no_file_is_left_out(directory: JobDirectory) -> None:
    os.mkfifo(directory.path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory.path / "socket"))
    (directory.path / "to-pipe").symlink_to("pipe")
    assert reasons(plan(directory)) == {
        "pipe": "a named pipe",
        "socket": "a socket",
        "to-pipe": "a named pipe",
    }


def test_names_that_cannot_be_keys_are_left_out_and_shown_printably(
    directory: JobDirectory,
) -> None:
    put(directory, "fine é 日本 *?\\")
    put(directory, "line\nbreak")
    Path(os.fsdecode(os.fsencode(directory.path) + b"/latin\xe9")).write_text("x")
    Path(os.fsdecode(os.fsencode(directory.path) + b"/folder\xff")).mkdir()
    deep = directory.path
    for _ in range(5):
        deep = deep / ("d" * 220)
        deep.mkdir()
    (deep / "file").write_text("x")
    result = plan(directory)
    assert pushed(result) == ["fine é 日本 *?\\"]
    found = reasons(result)
    assert found["latin\\xe9"] == found["folder\\xff/"] == "its name is not UTF-8"
    assert "control character" in found["line\\x0abreak"]
    assert any("1024 bytes" in reason for reason in found.values())
    json.dumps(list(found)).encode()
    "".join(found).encode("utf-8")


def test_a_deleted_job_directory_gives_a_plan_that_says_so(directory: JobDirectory) -> None:
    (directory.path / "aws-job-allocation.json").unlink()
    directory.path.rmdir()
    result = plan(directory)
    assert (result.files, result.unreadable) == ((), ())
    assert "deleted" in reasons(result)["."]


def test_a_folder_on_a_failing_file_server_is_not_given_up(
    directory: JobDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(directory, "good/file")
    put(directory, "bad/file")
    real = results._entries

    def entries(tree: object, path: str) -> object:
        if path == "bad":
            raise OSError(5, "Input/output error")
        return real(tree, path)

    monkeypatch.setattr(results, "_entries", entries)
    result = plan(directory)
    assert pushed(result) == ["good/file"]
    assert [entry.path for entry in result.unreadable] == ["bad/"]


NAMES = st.sampled_from(["a", "b", "c", "link", "aws-job-stat.txt"])
TARGETS = st.lists(st.sampled_from(["..", ".", "a", "b", "link", "c"]), min_size=1, max_size=5)


@given(
    st.lists(
        st.tuples(
            st.lists(NAMES, min_size=1, max_size=3),
            st.one_of(st.just("file"), st.just("dir"), TARGETS, TARGETS.map(lambda t: ["/", *t])),
        ),
        max_size=8,
    )
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
def test_every_source_is_a_plain_file_inside_and_every_file_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, things: list[tuple[list[str], object]]
) -> None:
    top = tmp_path_factory.mktemp("top")
    directory = JobDirectory(top / "jobs", "job")
    directory.prepare(ALLOCATION, datetime(2024, 1, 1, tzinfo=UTC))
    for segments, kind in things:
        place = directory.path.joinpath(*segments)
        try:
            if place.parent.resolve() != place.parent:
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if kind == "file":
                place.write_text("x")
            elif kind == "dir":
                place.mkdir()
            else:
                place.symlink_to("/".join(kind).replace("//", f"{directory.path}/"))
        except (OSError, RuntimeError):
            continue
    result = plan(directory)
    for file in result.files:
        real = directory.path / file.source
        assert real.resolve() == real
        assert real.is_file()
        assert (directory.path / file.path).resolve() == real
    seen = set(pushed(result)) | set(reasons(result))
    for folder, _, names in os.walk(directory.path):
        inside = Path(folder).relative_to(directory.path)
        left = {f"{above.as_posix()}/" for above in (inside, *inside.parents)}
        if not left & set(reasons(result)):
            for name in names:
                assert (inside / name).as_posix() in seen | {"aws-job-allocation.json"}
    assert len(pushed(result)) == len(set(pushed(result)))


def test_small_artifacts_are_pushed_where_the_settings_say_so(directory: JobDirectory) -> None:
    put(directory, "in.txt", "12")
    put(directory, "local/small.txt", "12")
    put(directory, "local/large.txt", "123")
    known = staged(directory, "in.txt", "local/small.txt", "local/large.txt")
    artifacts = frozenset({"local/small.txt", "local/large.txt"})
    index = StagedIndex(known.files, known.folders, artifacts)
    assert pushed(plan(directory, index)) == []
    settings_ = JobSettings(small_artifacts=2)
    assert pushed(plan(directory, index, settings_)) == ["local/small.txt"]


def test_copies_of_artifacts_in_the_folders_of_elements_are_no_results(
    directory: JobDirectory,
) -> None:
    shared = ".nomad/artifacts/solve"
    put(directory, f"{shared}/main/local/grid.dat", "grid")
    put(directory, f"{shared}/main/local/tool", "#!/bin/sh").chmod(0o755)
    (directory.path / shared / "main/local/latest").symlink_to("grid.dat")
    (directory.path / shared / "main/local/empty").mkdir()
    fetched = ("grid.dat", "tool", "latest", "empty/")
    index = staged(directory, *(f"{shared}/main/local/{name}" for name in fetched))
    index = StagedIndex(index.files, index.folders, frozenset(index.files))
    copies = ("solve.0", "solve.1", "elements/2", "elsewhere")
    for folder in copies:
        (directory.path / folder).mkdir(parents=True)
        # As the run script does it.
        source = f"{directory.path / shared}/."
        subprocess.run(["cp", "-R", "-p", "--", source, directory.path / folder], check=True)
    put(directory, "solve.1/main/local/grid.dat", "GRID")
    put(directory, "elements/2/main/local/new")
    (directory.path / "solve.0/main/local/tool").chmod(0o644)
    result = plan(directory, index, JobSettings(exclude=(".nomad/**",), small_artifacts=1000))
    assert pushed(result) == [
        "elements/2/main/local/new",
        "elsewhere/main/local/grid.dat",
        "elsewhere/main/local/latest",
        "elsewhere/main/local/tool",
        "solve.0/main/local/tool",
        "solve.1/main/local/grid.dat",
    ]
    assert result.folders == ("elsewhere/main/local/empty/",)
