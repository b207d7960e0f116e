"""What an executor's job is made of, and that it runs in another process as on a site."""

from __future__ import annotations

import ast
import io
import json
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobferry import NotPicklable, PythonMismatch, RemoteError, executor_runner
from jobferry.errors import ConfigurationError
from jobferry.executor_pickles import (
    PickledFunction,
    cloudpickle_archive,
    pickled_call,
    pickled_function,
)
from jobferry.executor_results import Promise, RemoteTraceback, settle
from jobferry.executor_runner import VALUE, ResultFile
from jobferry.executor_upload import (
    MOST_ELEMENTS,
    Batch,
    Call,
    Surroundings,
    batches_of,
    write_upload,
)
from tests.unit.jobferry.folder_site import run_element, run_job

NO_WAIT = 0


def calls_of(function: Callable[..., Any], *arguments: Any) -> list[Call]:
    pickled = pickled_function(function)
    return [Call(pickled, pickled_call(pickled, (each,), {}), Future()) for each in arguments]


def written(
    directory: Path, calls: list[Call], chunk: int = 1, **surroundings: Any
) -> dict[int, Promise]:
    directory.mkdir()
    given_python = {"python": sys.executable, **surroundings}
    write_upload(directory, Batch(calls, chunk), Surroundings(**given_python))
    return {number: Promise(call.future) for number, call in enumerate(calls)}


def settled(directory: Path, promises: dict[int, Promise]) -> list[Future[Any]]:
    for file in sorted((directory / "executor/results").iterdir()):
        with file.open("rb") as content:
            settle(content, promises)
    return [promise.future for promise in promises.values()]


def test_an_array_runs_each_call_in_its_element(tmp_path: Path) -> None:
    factor = 3
    promises = written(tmp_path / "job", calls_of(lambda n: n * factor, *range(5)), chunk=2)
    assert json.loads((tmp_path / "job/aws-job.json").read_text()) == {"count": 3}
    assert [done.returncode for done in run_job(tmp_path / "job")] == [0, 0, 0]
    results = settled(tmp_path / "job", promises)
    assert [future.result(NO_WAIT) for future in results] == [0, 3, 6, 9, 12]


def test_without_an_index_it_is_the_first_element(tmp_path: Path) -> None:
    promises = written(tmp_path / "job", calls_of(str, 1, 2), chunk=2)
    assert json.loads((tmp_path / "job/aws-job.json").read_text()) == {}
    assert run_element(tmp_path / "job", None).returncode == 0
    assert [f.result(NO_WAIT) for f in settled(tmp_path / "job", promises)] == ["1", "2"]


def test_the_site_needs_no_cloudpickle(tmp_path: Path) -> None:
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    promises = written(tmp_path / "job", calls_of(lambda n: lambda: n, 7), python=str(bare))
    assert run_element(tmp_path / "job", 0).returncode == 0
    assert settled(tmp_path / "job", promises)[0].result(NO_WAIT)() == 7
    with zipfile.ZipFile(io.BytesIO(cloudpickle_archive())) as archive:
        there = archive.read("cloudpickle/cloudpickle.py")
    assert there == Path(cloudpickle.__file__).with_name("cloudpickle.py").read_bytes()
    assert cloudpickle_archive() == cloudpickle_archive()


def test_what_a_call_raises_comes_back_with_its_traceback(tmp_path: Path) -> None:
    class Refused(Exception):
        def __init__(self) -> None:
            super().__init__("not today")
            self.lock = threading.Lock()

    def fails(kind: str) -> object:
        if kind == "value":
            raise ValueError("no such plate")
        if kind == "exit":
            sys.exit(9)
        if kind == "lock":
            return threading.Lock()
        if kind == "refused":
            raise Refused
        return kind

    calls = calls_of(fails, "value", "exit", "lock", "refused", "well")
    promises = written(tmp_path / "job", calls, chunk=5)
    done = run_element(tmp_path / "job", 0)
    assert (done.returncode, done.stderr) == (0, "")
    value, exited, lock, refused, well = settled(tmp_path / "job", promises)
    error = value.exception(NO_WAIT)
    assert isinstance(error, ValueError)
    assert isinstance(error.__cause__, RemoteTraceback)
    assert "in fails" in str(error.__cause__)
    assert "executor_runner" not in str(error.__cause__)
    assert isinstance(exited.exception(NO_WAIT), SystemExit)
    assert isinstance(lock.exception(NO_WAIT), TypeError)
    assert "not today" in str(refused.exception(NO_WAIT))
    assert isinstance(refused.exception(NO_WAIT), RemoteError)
    assert well.result(NO_WAIT) == "well"


def test_a_module_that_the_site_does_not_have_is_named(tmp_path: Path) -> None:
    body = pickled_function(len).body.replace(b"builtins", b"plateful")
    absent = PickledFunction("absent", body)
    calls = [Call(absent, pickled_call(absent, ("abc",), {}), Future()), *calls_of(len, "abc")]
    promises = written(tmp_path / "job", calls, chunk=2)
    assert run_element(tmp_path / "job", 0).returncode == 0
    first, second = settled(tmp_path / "job", promises)
    with pytest.raises(ModuleNotFoundError, match="plateful"):
        first.result(NO_WAIT)
    assert second.result(NO_WAIT) == 3


def test_another_version_of_python_is_said_and_nothing_runs(tmp_path: Path) -> None:
    promises = written(tmp_path / "job", calls_of(lambda n: n, 1, 2), chunk=2)
    facts = tmp_path / "job/executor/job.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "python": "3.99"}))
    done = run_element(tmp_path / "job", 0)
    assert done.returncode == 1
    for future in settled(tmp_path / "job", promises):
        error = future.exception(NO_WAIT)
        assert isinstance(error, PythonMismatch)
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        assert "Python 3.99" in str(error)
        assert f"Python {here}" in str(error)
        assert 'Executor(python="python3.99")' in str(error)
        assert str(error) in done.stderr


def test_the_setup_comes_before_the_interpreter_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/their-python").symlink_to(sys.executable)
    promises = written(
        tmp_path / "job",
        calls_of(lambda _: __import__("os").environ["PLATE"], 0),
        python="their-python",
        setup=f'PATH="{tmp_path}/bin:$PATH"\nexport PLATE="hot plate"',
    )
    assert run_element(tmp_path / "job", 0).returncode == 0
    assert settled(tmp_path / "job", promises)[0].result(NO_WAIT) == "hot plate"


def test_an_interpreter_below_the_home_directory(tmp_path: Path) -> None:
    (tmp_path / "their python").symlink_to(sys.executable)  # run_element's HOME
    written(tmp_path / "job", calls_of(str, 0), python="~/their python")
    assert run_element(tmp_path / "job", 0).returncode == 0


def test_a_missing_interpreter_and_a_failed_setup_are_said(tmp_path: Path) -> None:
    written(tmp_path / "a", calls_of(str, 0), python="python-of-nobody")
    done = run_element(tmp_path / "a", 0)
    assert done.returncode == 127
    assert "no 'python-of-nobody'" in done.stderr
    assert "Executor(python=" in done.stderr
    written(tmp_path / "b", calls_of(str, 0), setup="(exit 4)")
    done = run_element(tmp_path / "b", 0)
    assert done.returncode == 4
    assert "exit code 4" in done.stderr


def test_the_script_is_the_same_for_every_call_and_a_function_travels_once(tmp_path: Path) -> None:
    data = bytes(100_000)
    written(tmp_path / "a", calls_of(lambda n: data[n], *range(50)))
    written(tmp_path / "b", calls_of(str, 1), setup="true", resources={"cpus": 2})
    scripts = {(tmp_path / name / "aws-job-run.sh").read_bytes() for name in "ab"}
    assert len(scripts) == 1
    assert (tmp_path / "a/executor/calls.zip").stat().st_size < 3 * len(data)
    assert {p.relative_to(tmp_path / "a").as_posix() for p in (tmp_path / "a").rglob("*.*")} == {
        "aws-job-run.sh",
        "aws-job.json",
        "executor/calls.zip",
        "executor/cloudpickle.zip",
        "executor/environment.sh",
        "executor/job.json",
        "executor/runner.py",
    }
    settings = json.loads((tmp_path / "b/aws-job.json").read_text())
    assert settings == {"resources": {"cpus": 2}}


def test_a_large_result_comes_whole(tmp_path: Path) -> None:
    size = 96 << 20
    promises = written(tmp_path / "job", calls_of(lambda n: [bytes(n), "end"], size))
    assert run_element(tmp_path / "job", 0).returncode == 0
    assert (tmp_path / "job/executor/results/000000").stat().st_size > size
    block, end = settled(tmp_path / "job", promises)[0].result(NO_WAIT)
    assert (len(block), end) == (size, "end")


def test_a_killed_element_keeps_the_results_of_the_calls_before(tmp_path: Path) -> None:
    promises = written(
        tmp_path / "job",
        calls_of(lambda n: n if n < 2 else __import__("os")._exit(5), *range(4)),
        chunk=4,
    )
    assert run_element(tmp_path / "job", 0).returncode == 5
    results = settled(tmp_path / "job", promises)
    assert [future.done() for future in results] == [True, True, False, False]


def test_the_runner_is_understood_by_an_old_python() -> None:
    ast.parse(Path(executor_runner.__file__).read_text(), feature_version=(3, 6))


@given(values=st.lists(st.binary(max_size=50), min_size=1), data=st.data())
def test_results_that_were_cut_off_anywhere_are_none_and_those_before_are_whole(
    values: list[bytes], data: st.DataObject
) -> None:
    content = io.BytesIO()
    ends = []
    for number, value in enumerate(values):
        ResultFile(content, cloudpickle.dump).value(number, value)
        ends.append(content.tell())
    cut = data.draw(st.integers(0, ends[-1]))
    promises = {number: Promise(Future()) for number in range(len(values))}
    settle(io.BytesIO(content.getvalue()[:cut]), promises)
    for number, promise in promises.items():
        assert promise.ended == (ends[number] <= cut)
        if promise.ended:
            assert promise.future.result(NO_WAIT) == values[number]


def test_a_result_that_cannot_be_loaded_here_fails_alone() -> None:
    content = io.BytesIO()

    def dump(value: Any, file: Any) -> None:
        file.write(cloudpickle.dumps(value).replace(b"decimal", b"decimaX"))

    decimal = __import__("decimal").Decimal(1)
    ResultFile(content, dump).value(0, decimal)
    ResultFile(content, dump).value(1, "fine")
    promises = {0: Promise(Future()), 1: Promise(Future())}
    settle(content, promises)
    with pytest.raises(RemoteError, match="decimaX"):
        promises[0].future.result(NO_WAIT)
    assert promises[1].future.result(NO_WAIT) == "fine"


def test_a_result_of_a_call_that_nobody_waits_for_is_not_loaded() -> None:
    content = io.BytesIO()
    ResultFile(content, lambda _value, file: file.write(b"no pickle at all")).value(0, None)
    ResultFile(content, cloudpickle.dump)._write(VALUE, 1, "", "second")
    cancelled: Future[Any] = Future()
    cancelled.cancel()
    promises = {0: Promise(cancelled), 1: Promise(Future())}
    settle(content, promises)
    assert cancelled.cancelled()
    assert promises[1].future.result(NO_WAIT) == "second"


@given(calls=st.integers(1, 5000), chunk=st.integers(1, 7))
def test_every_call_is_in_one_job_and_no_job_has_too_many_elements(calls: int, chunk: int) -> None:
    function = pickled_function(len)
    all_calls = [Call(function, b"", Future()) for _ in range(calls)]
    batches = batches_of(all_calls, chunk)
    assert [call for batch in batches for call in batch.calls] == all_calls
    assert all(1 <= batch.elements <= MOST_ELEMENTS for batch in batches)


def test_what_cannot_travel_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = threading.Lock()
    with pytest.raises(NotPicklable, match=r"function .*lambda.* cannot be pickled"):
        pickled_function(lambda: lock)
    with pytest.raises(NotPicklable, match="arguments"):
        pickled_call(pickled_function(time.sleep), (lock,), {})
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'jobferry\[executor\]'"):
        pickled_function(len)
