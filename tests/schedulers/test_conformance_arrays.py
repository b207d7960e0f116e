"""Arrays in the conformance suite, on replayed answers; the real ones are in test_arrays_real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from job_protocol.job_settings import JobSettings
from puller.array_state import state_of
from puller.array_wrapper import element_dir
from puller.errors import SubmissionRefused
from puller.observation import Live
from puller.schedulers import pbs, slurm
from puller.schedulers.array_tasks import ArrayTasks
from puller.schedulers.interface import Scheduler, Submission
from puller.schedulers.runner import Completed
from tests.schedulers.conformance import SUBMITTED, WRAPPER, Answers, Replayed, answered
from tests.schedulers.conformance_arrays import ARRAYS, CONCLUDED, COUNT, EXITS
from tests.schedulers.conformance_columns import COLUMNS
from tests.schedulers.conformance_matrix import PROPERTY
from tests.schedulers.prepared_job import PreparedJob
from tests.schedulers.real_array import ArrayWatch

each_scheduler = pytest.mark.parametrize("name", ARRAYS)


class _AtWrapper:
    """An adapter whose jobs all have the identity of the suite's wrapper."""

    def __init__(self, inner: Scheduler) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def identity_of(self, _wrapper: Path) -> str:
        return self._inner.identity_of(WRAPPER)


def watch_of(name: str, answers: Answers, scratch: Path) -> ArrayWatch:
    scheduler: Scheduler = _AtWrapper(COLUMNS[name].make(Replayed(answers)))
    control = scratch / "aws-job/.jobferry/alloc" / WRAPPER.parent.name
    for index, code in EXITS.items():
        folder = element_dir(control, index)
        folder.mkdir(parents=True)
        lines = f"id={ARRAYS[name].array_id}\nrestart=0\nhost=node\n"
        (folder / "start").write_text(f"{lines}time=1\nend\n")
        (folder / "exit").write_text(f"{lines}started=1\nended=2\ncode={code}\nend\n")
    job = PreparedJob(
        scheduler,
        Submission(
            name="job0001",
            job_dir=scratch / "aws-job/job0001",
            wrapper=control / "wrapper.sh",
            scheduler_output=control / "scheduler.out",
            settings=JobSettings(count=COUNT),
            environment={},
        ),
        [ARRAYS[name].array_id],
    )
    return ArrayWatch(job, scratch, submitted_at=float(SUBMITTED))


@each_scheduler
def test_each_element_is_concluded_by_its_own_evidence(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    watch = watch_of(name, ARRAYS[name].answers, tmp_path)
    concluded = watch.look()
    states = watch.states()
    record_property(PROPERTY, ["array of six", name, "-".join(s[0] for s, _ in states)])
    watch.until(lambda: watch.states()[4][0] == "failed")  # its exit file may be late
    states = watch.states()
    assert [state for state, _ in states] == [state for state, _ in CONCLUDED]
    assert states[:4] == CONCLUDED[:4]
    assert isinstance(concluded, Live)
    assert concluded.status == "running"
    assert 4 in state_of(watch.record).words


@each_scheduler
def test_a_submission_is_found_again_by_any_of_its_elements(name: str) -> None:
    scheduler = COLUMNS[name].make(Replayed(ARRAYS[name].answers))
    listed = scheduler.list_mine()
    ours = scheduler.identity_of(WRAPPER)
    found = {job.submission for job in listed.values() if job.identity == ours}
    assert found == {ARRAYS[name].array_id}


@each_scheduler
def test_the_array_s_own_state_is_never_an_element_s(name: str, tmp_path: Path) -> None:
    summary = ARRAYS[name].summary
    if summary is None:
        pytest.skip("no record stands for the array itself")
    watch = watch_of(name, summary, tmp_path)
    watch.look()
    assert [state for state, _ in watch.states()][2:5] == ["queued"] * 3
    scheduler = COLUMNS[name].make(Replayed(summary))
    array_id = ARRAYS[name].array_id
    for task in range(COUNT):
        assert scheduler.element_id(array_id, task) != array_id


SUBMITTED_AS = {
    "slurm": ("17\n", ["--array=0-5%2"], ["--array=1,4-5%2"]),
    "sge": ("17.1-6:1\n", ["-t", "1-6", "-tc", "2"], ["-t", "1-3", "-tc", "2"]),
    "pbs": ("17[].pbs\n", ["-J", "0-5%2"], ["-J", "0-2%2"]),
    "lsf": (
        "Job <2701> is submitted to queue <q>.\n",
        ["-J", "job0001[1-6]%2"],
        ["-J", "job0001[1-3]%2"],
    ),
    "tcs": (
        "[INFO] PJM 0000 pjsub Job 9714 submitted.\n",
        ["--bulk", "--sparam", "0-5"],
        ["--bulk", "--sparam", "0-2"],
    ),
}


@each_scheduler
@pytest.mark.parametrize("part", [False, True])
def test_an_array_is_one_submission(name: str, part: bool, tmp_path: Path) -> None:
    answer, whole, some = SUBMITTED_AS[name]
    asked: list[list[str]] = []
    replayed = Replayed({"": answered(answer)})

    def run(arguments: Sequence[str], **more: Any) -> Completed:
        asked.append(list(arguments))
        return replayed(arguments, **more)

    scheduler = COLUMNS[name].make(run)
    wrapper = tmp_path / "wrapper.sh"
    wrapper.write_text("#!/bin/bash\n")
    array_id = scheduler.submit(
        Submission(
            name="job0001",
            job_dir=tmp_path,
            wrapper=wrapper,
            scheduler_output=tmp_path / "scheduler.out",
            settings=JobSettings(count=COUNT),
            environment={},
            array=ArrayTasks(
                count=COUNT,
                indexes=(1, 4, 5) if part else tuple(range(COUNT)),
                max_running=None if name == "tcs" else 2,
                numbers=scheduler.task_numbers,
            ),
        )
    )
    assert array_id == ARRAYS[name].array_id
    assert len(asked) == 1
    words = some if part else whole
    at = asked[0].index(words[0])
    assert asked[0][at : at + len(words)] == words


def test_elements_that_slurm_has_forgotten_are_in_its_accounting() -> None:
    lines = "17_0|COMPLETED|0:0|1|u\n17_1|TIMEOUT|0:0|1|u\n17_[2-5]|PENDING|0:0|1|u\n"
    gone = answered(code=1, stderr="slurm_load_jobs error: Invalid job id specified\n")
    run = Replayed({"scontrol": gone, "sacct": answered(lines)})
    found = COLUMNS["slurm"].make(run).details("17", ["17_0", "17_1"])
    assert found["17_0"].exit_code == 0
    assert found["17_1"].words == "TIMEOUT"
    assert {found[element].array for element in ("17_0", "17_1")} == {"17"}


def test_tasks_that_wait_together_share_one_record_of_slurm_s() -> None:
    record = "JobId=17 ArrayJobId=17 ArrayTaskId=3,5-7%2 ArrayTaskThrottle=2 JobName=x\n"
    record += "   JobState=PENDING Reason=Resources Dependency=(null)\n   Command=/w.sh\n"
    found = COLUMNS["slurm"].make(Replayed({"scontrol": answered(record), "sacct": answered()}))
    details = found.details("17", ["17_3", "17_5", "17_6", "17_7"])
    assert sorted(details) == ["17_3", "17_5", "17_6", "17_7"]
    assert {job.state for job in details.values()} == {"queued"}


def test_elements_that_lsf_has_forgotten_are_in_its_history() -> None:
    records = ("-" * 78 + "\n").join(
        f"Job <2701[{task}]>, Job Name <x[1-2]>, User <u>, Job Description <jobferry a>\n"
        f"Sat Nov 21 22:33:20: Submitted from host <l>;\nSat Nov 21 22:34:21: {end};\n"
        for task, end in ((1, "Done successfully"), (2, "Exited with exit code 3"))
    )
    none = answered(code=255, stderr="Job <2701> is not found\n")
    lsf = COLUMNS["lsf"].make(Replayed({"bjobs": none, "bhist": answered(records)}))
    found = lsf.details("2701", ["2701[1]", "2701[2]"])
    assert [found[f"2701[{task}]"].exit_code for task in (1, 2)] == [0, 3]


def one_element(name: str, max_running: int | None = None) -> ArrayTasks:
    numbers = COLUMNS[name].make(Replayed({})).task_numbers
    return ArrayTasks(count=9, indexes=(4,), max_running=max_running, numbers=numbers)


def test_a_single_task_of_pbs_is_a_range_with_a_step() -> None:
    assert pbs.array_option(one_element("pbs")) == "0-1:2"


def test_slurm_takes_the_list_as_it_stands() -> None:
    assert slurm.array_option(one_element("slurm", 3)) == "4%3"


def test_a_throttle_that_tcs_does_not_have_is_refused_in_words(tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper.sh"
    wrapper.write_text("#!/bin/bash\n")
    submission = Submission(
        name="x",
        job_dir=tmp_path,
        wrapper=wrapper,
        scheduler_output=tmp_path / "out",
        settings=JobSettings(count=9, max_running=3),
        environment={},
        array=one_element("tcs", 3),
    )
    with pytest.raises(SubmissionRefused, match="max_running = 3"):
        COLUMNS["tcs"].make(Replayed({})).submit(submission)
