"""The values of a sweep, from the table to the environment of the script, by the real bash."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from job_protocol.allocation import Allocation
from job_protocol.job_settings import JobSettings
from job_protocol.object_keys import SCRIPT
from job_protocol.sweep import ROWS_IN_A_FILE, SweepError
from puller.array_wrapper import element_dir
from puller.confined_tree import ConfinedTree
from puller.exit_file import read_records
from puller.schedulers.array_tasks import ArrayTasks, TaskNumbers
from puller.sweep_values import leave_values
from puller.wrapper import render_wrapper, split_script

SHOW = '#!/bin/bash\nprintf "%s\\0" "$alpha" "$beta_2" "$JOBFERRY_ARRAY_INDEX" >"seen.$INDEX"\n'
AWKWARD = [
    *("$(touch pwned)", "`touch pwned`", "${HOME}", "a,b", 'say "x"', "it's", "a\nb\n", "\n"),
    *(
        "a\r\nb",
        "計算 ジョブ",
        "-n",
        "*",
        "",
        " x ",
        "\\",
        "a\\nb",
        "\x01\x7f\t",
        "=",
        "x=y",
        "@top@",
    ),
]


class Place:
    """A job directory and a control directory."""

    def __init__(self, root: Path) -> None:
        self.job, self.control = root / "job", root / "control"
        self.job.mkdir()
        self.control.mkdir()

    def prepare(
        self, body: bytes, count: int | None, *, scheduler: str = "slurm", script: str = SHOW
    ) -> None:
        (self.job / "values.csv").write_bytes(body)
        (self.job / SCRIPT).write_text(script)
        stated = JobSettings(sweep="values.csv", count=count)
        allocation = Allocation(site="dc1", job="job", id="0-a", settings=stated)
        variables = leave_values(allocation, ConfinedTree(self.job), ConfinedTree(self.control))
        array = None
        if count is not None and count > 1:
            numbers = TaskNumbers(first=0, any_list=True)
            array = ArrayTasks(
                count=count, indexes=tuple(range(count)), max_running=None, numbers=numbers
            )
        text = render_wrapper(
            split_script(script, ()),
            scheduler=scheduler,
            job_dir=self.job,
            control_dir=self.control,
            array=array,
            sweep=variables,
        )
        (self.control / "wrapper.sh").write_text(text)

    def run(self, **variables: str) -> None:
        done = subprocess.run(
            ["/bin/bash", str(self.control / "wrapper.sh")],
            env={"PATH": os.defpath, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    def element(self, index: int) -> list[str]:
        self.run(
            SLURM_JOB_ID=str(100 + index),
            SLURM_ARRAY_JOB_ID="100",
            SLURM_ARRAY_TASK_ID=str(index),
            INDEX=str(index),
        )
        return (self.job / f"seen.{index}").read_bytes().decode().split("\0")[:-1]


def table(rows: list[tuple[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("alpha", "beta_2"), *rows])
    return text.getvalue().encode()


VALUES = st.sampled_from(AWKWARD) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=6), which=st.integers(0, 10**6)
)
@example(rows=list(zip(AWKWARD, reversed(AWKWARD), strict=True)), which=0)
def test_values_arrive_byte_for_byte_and_nothing_evaluates_them(
    rows: list[tuple[str, str]], which: int
) -> None:
    with tempfile.TemporaryDirectory() as root:
        place = Place(Path(root))
        place.prepare(table(rows), len(rows))
        chosen = range(len(rows)) if which == 0 else [which % len(rows)]
        for index in chosen:
            assert place.element(index) == [*rows[index], str(index)]
        left = {path.name for path in place.job.iterdir()}
        assert left == {
            *("values.csv", SCRIPT, "aws-job-stdout.txt", "aws-job-stderr.txt"),
            *(f"seen.{index}" for index in chosen),
        } - {"aws-job-stdout.txt", "aws-job-stderr.txt"} | {
            f"aws-job-{name}.{index}.txt" for name in ("stdout", "stderr") for index in chosen
        }


def test_an_element_of_a_large_sweep_finds_its_row(tmp_path: Path) -> None:
    place, count = Place(tmp_path), 2 * ROWS_IN_A_FILE + 5
    place.prepare(table([(f"a{n}", f"b{n}") for n in range(count)]), count)
    for index in (0, ROWS_IN_A_FILE - 1, ROWS_IN_A_FILE, count - 1):
        assert place.element(index) == [f"a{index}", f"b{index}", str(index)]


def test_a_sweep_of_one_row_is_no_array(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.prepare(table([("1", "2")]), 1)
    place.run(SLURM_JOB_ID="7", INDEX="0")
    assert (tmp_path / "job/seen.0").read_bytes().split(b"\0") == [b"1", b"2", b"", b""]


@pytest.mark.parametrize(
    ("scheduler", "variables"),
    [
        ("sge", {"JOB_ID": "7", "SGE_TASK_ID": "1"}),
        ("pbs", {"PBS_JOBID": "7[1].host", "PBS_ARRAY_INDEX": "1"}),
        ("lsf", {"LSB_JOBID": "7", "LSB_JOBINDEX": "1"}),
        ("tcs", {"PJM_JOBID": "7[1]", "PJM_BULKNUM": "1"}),
        ("local", {"JOBFERRY_LOCAL_ARRAY": "7.1", "JOBFERRY_LOCAL_TASK": "1"}),
    ],
)
def test_values_come_after_the_login_environment_on_every_scheduler(
    tmp_path: Path, scheduler: str, variables: dict[str, str]
) -> None:
    place = Place(tmp_path)
    script = '#!/bin/sh\necho "$alpha $MINE" >seen\n'
    place.prepare(table([("x", "y"), ("p", "q")]), 2, scheduler=scheduler, script=script)
    (place.control / "environment").write_bytes(b"MINE=login\0alpha=login\0")
    place.run(MINE="login", **variables)
    assert (place.job / "seen").read_text() == "p login\n"
    assert read_records(element_dir(place.control, 1)).exit is not None


def test_a_table_that_has_gone_is_no_value_but_an_end(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.prepare(table([("1", "2"), ("3", "4")]), 2)
    (place.control / "sweep.0").write_bytes(b"alpha=1\0")
    done = subprocess.run(
        ["/bin/bash", str(place.control / "wrapper.sh")],
        env={"SLURM_JOB_ID": "1", "SLURM_ARRAY_JOB_ID": "1", "SLURM_ARRAY_TASK_ID": "1"},
        check=False,
    )
    assert done.returncode == 126
    assert "no values for row 1" in (place.job / "aws-job-stderr.1.txt").read_text()


def test_a_table_that_does_not_fit_the_job_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with pytest.raises(SweepError, match=r"values\.csv has 1 rows of values, and the job 5"):
        place.prepare(table([("1", "2")]), 5)
    stated = JobSettings(sweep="gone.csv", count=2)
    allocation = Allocation(site="dc1", job="job", id="0-a", settings=stated)
    trees = ConfinedTree(place.job), ConfinedTree(place.control)
    with pytest.raises(SweepError, match=r"the sweep gone\.csv"):
        leave_values(allocation, *trees)
    assert leave_values(replace(allocation, settings=JobSettings()), *trees) is None
