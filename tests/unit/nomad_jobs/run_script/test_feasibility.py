"""Jobs that cannot run on a site are refused, with every reason at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_jobs.run_script.feasibility import job_problems
from tests.unit.nomad_jobs.run_script.rendered import hooked, job, shell

GOOD = job(shell("true"))


def changed(**more: Any) -> dict[str, Any]:
    return {**GOOD, **more}


def with_task(**more: Any) -> dict[str, Any]:
    return job(shell("true", **more))


def with_group(**more: Any) -> dict[str, Any]:
    return job(shell("true"), **more)


@pytest.mark.parametrize(
    ("specification", "place", "why"),
    [
        (changed(Type="service"), "job 'job0001'", "the type 'service'"),
        (changed(Type=None), "job 'job0001'", "the type 'service'"),
        (changed(Priority=101), "job 'job0001'", "the priority 101"),
        (changed(NodePool="-x"), "job 'job0001'", "the node pool '-x'"),
        (changed(TaskGroups=[]), "job 'job0001'", "there is no group"),
        (changed(TaskGroups=GOOD["TaskGroups"] * 2), "job 'job0001'", "two groups are named"),
        (changed(TaskGroups="x"), "job 'job0001'", "TaskGroups: a list was expected"),
        (changed(Meta={"a=b": "c"}), "job 'job0001'", "the meta key 'a=b'"),
        (with_group(Count=0), "job 'job0001'", "0 elements"),
        (with_group(Count=-1), 'group "work"', "Count: a number from 0"),
        (with_group(Count=2**24 + 1), "job 'job0001'", "elements"),
        (with_group(Name="a/b"), "job 'job0001'", "cannot be named 'a/b'"),
        (with_group(Name="aws-job-x"), "job 'job0001'", "cannot be named"),
        (with_group(Networks=[{"Mode": "host"}]), 'group "work"', "the block 'network'"),
        (with_group(Services=[{}]), 'group "work"', "the block 'service'"),
        (with_group(Volumes={"v": {}}), 'group "work"', "the block 'volume'"),
        (with_group(MaxRunDuration="soon"), 'group "work"', "MaxRunDuration: a duration"),
        (job(hooked("x", "a", "prestart")), 'group "work"', "no task without a lifecycle hook"),
        (job(shell("x"), shell("x")), 'group "work"', "two tasks are named 'main'"),
        (job(shell("x", "alloc")), 'group "work"', "cannot be named 'alloc'"),
        (job(shell("x", "..")), 'group "work"', "cannot be named '..'"),
        (job(shell("x", "a\tb")), 'group "work"', "cannot be named"),
        (
            job(shell("x", "a", Leader=True), shell("x", "b", Leader=True)),
            'group "work"',
            "more than one leader",
        ),
        (with_task(User="root"), 'group "work" task "main"', "the block 'user'"),
        (with_task(Vault={"Policies": ["x"]}), 'group "work" task "main"', "the block 'vault'"),
        (with_task(KillSignal="SIGNO"), 'group "work" task "main"', "the kill signal 'SIGNO'"),
        (with_task(KillSignal="SIGKILL"), 'group "work" task "main"', "the kill signal"),
        (with_task(RestartPolicy={"Mode": "x"}), 'group "work" task "main"', "restart mode 'x'"),
        (with_task(Env={"a b": "c"}), 'group "work" task "main"', "the variable 'a b'"),
        (with_task(Env={"X": "${meta.x}"}), 'group "work" task "main"', "of a Nomad client"),
        (with_task(Env=["x"]), 'group "work" task "main"', "Env: an object of strings"),
        (with_task(Lifecycle={"Hook": "x"}), 'group "work" task "main"', "lifecycle hook 'x'"),
        (
            with_task(Resources={"Devices": [{"Name": "fpga"}]}),
            'group "work" task "main" Resources Devices',
            "the device 'fpga'",
        ),
        (
            with_task(Templates=[{"DestPath": "local/x"}]),
            'group "work" task "main"',
            "either data or source",
        ),
        (
            with_task(Templates=[{"EmbeddedTmpl": "x", "DestPath": "x", "Perms": "rw"}]),
            'group "work" task "main"',
            "perms 'rw'",
        ),
        (
            with_task(Templates=[{"EmbeddedTmpl": "x"}]),
            'group "work" task "main"',
            "no destination",
        ),
        (with_task(Env={"X": "a" * (5 << 20)}), "job 'job0001'", "a scheduler takes at most"),
    ],
)
def test_what_cannot_run_is_told_with_its_place(
    specification: dict[str, Any], place: str, why: str
) -> None:
    problems = job_problems(specification)
    assert any(p.key == place and why in p.problem for p in problems), problems
    assert all(p.remedy for p in problems)


def test_a_good_job_has_no_problem() -> None:
    assert job_problems(GOOD) == []


def test_every_problem_is_told_at_once() -> None:
    task = shell("x", User="a", KillSignal="b", Templates=[{"EmbeddedTmpl": "x"}])
    assert len(job_problems(job(task, Services=[{}], Networks=[{}]))) == 5


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    st.sampled_from(["job", "group", "task"]),
    st.sampled_from(
        [
            *("ID", "Name", "Type", "Priority", "TaskGroups", "Meta", "NodePool", "Count", "Tasks"),
            *("RestartPolicy", "ReschedulePolicy", "MaxRunDuration", "Driver", "Config", "Env"),
            *("Lifecycle", "Leader", "KillTimeout", "LogConfig", "Artifacts", "Templates"),
            *("Resources", "DispatchPayload", "ParameterizedJob", "Networks"),
        ]
    ),
    _json,
)
def test_any_json_is_rendered_or_refused(level: str, name: str, value: object) -> None:
    task, group = shell("true"), {}
    if level == "task":
        task = {**task, name: value}
    if level == "group":
        group = {name: value}
    specification = job(task, **group) if "Tasks" not in group else job(task)
    if level == "job":
        specification = {**specification, name: value}
    assert all(problem.problem for problem in job_problems(specification))
