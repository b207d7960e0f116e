"""Nomad's defaults, and the diff of two versions of a job."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nomad_jobs.job_file.defaults import canonical
from nomad_jobs.job_file.durations import HOUR, SECOND
from nomad_jobs.job_file.plan import job_diff, unchanged
from tests.unit.nomad_jobs.job_file.jobs import group, job, of_task, task


def _edited(name: str, old: str, new: str) -> dict[str, Any]:
    return {"Type": "Edited", "Name": name, "Old": old, "New": new, "Annotations": None}


def test_nomads_defaults_of_a_batch_job() -> None:
    whole = canonical(job())
    assert (whole["Priority"], whole["Datacenters"], whole["Region"]) == (50, ["*"], "global")
    (of_group,) = whole["TaskGroups"]
    assert of_group["Count"] == 1
    assert of_group["RestartPolicy"] == {
        "Attempts": 3,
        "Interval": 24 * HOUR,
        "Delay": 15 * SECOND,
        "Mode": "fail",
        "RenderTemplates": False,
    }
    assert of_group["ReschedulePolicy"] == {
        "Attempts": 1,
        "Interval": 24 * HOUR,
        "Delay": 5 * SECOND,
        "DelayFunction": "constant",
        "MaxDelay": 0,
        "Unlimited": False,
    }
    (of_task_,) = of_group["Tasks"]
    assert of_task_["KillTimeout"] == 5 * SECOND
    assert (of_task_["Resources"]["CPU"], of_task_["Resources"]["MemoryMB"]) == (100, 300)


def test_a_policy_is_inherited_member_by_member() -> None:
    whole = canonical(
        job(
            Reschedule={"Attempts": 4},
            TaskGroups=[
                group(
                    RestartPolicy={"Attempts": 1},
                    ReschedulePolicy={"Delay": 10 * SECOND},
                    Tasks=[task(RestartPolicy={"Delay": 2 * SECOND})],
                )
            ],
        )
    )
    (of_group,) = whole["TaskGroups"]
    assert "Reschedule" not in whole
    assert of_group["ReschedulePolicy"]["Attempts"] == 4
    assert of_group["ReschedulePolicy"]["Delay"] == 10 * SECOND
    restart = of_group["Tasks"][0]["RestartPolicy"]
    assert (restart["Attempts"], restart["Delay"]) == (1, 2 * SECOND)


def test_cores_take_the_place_of_the_default_cpu() -> None:
    resources = canonical(of_task(Resources={"Cores": 2}))["TaskGroups"][0]["Tasks"][0]["Resources"]
    assert (resources["CPU"], resources["Cores"]) == (0, 2)


def test_parameterized_and_periodic_jobs_get_their_defaults() -> None:
    assert canonical(job(ParameterizedJob={}))["ParameterizedJob"]["Payload"] == "optional"
    periodic = canonical(job(Periodic={"Spec": "@daily"}))["Periodic"]
    assert (periodic["Enabled"], periodic["TimeZone"], periodic["ProhibitOverlap"]) == (
        True,
        "UTC",
        False,
    )


def test_a_stated_default_changes_nothing() -> None:
    assert unchanged(job(), job(Priority=50, Datacenters=["*"]))
    assert not unchanged(job(), job(Priority=51))
    assert job_diff(job(), job(Priority=50))["Type"] == "None"


def test_a_new_job_is_added_as_a_whole() -> None:
    diff = job_diff(None, job())
    assert (diff["Type"], diff["ID"]) == ("Added", "j")
    (of_group,) = diff["TaskGroups"]
    assert (of_group["Type"], of_group["Updates"]) == ("Added", {"create": 1})
    (of_task_,) = of_group["Tasks"]
    assert of_task_["Type"] == "Added"
    driver = {"Type": "Added", "Name": "Driver", "Old": "", "New": "raw_exec", "Annotations": None}
    assert driver in of_task_["Fields"]


def test_the_diff_says_what_was_edited_and_nothing_else() -> None:
    old = job(
        Meta={"a": "1", "gone": "x"},
        Datacenters=["dc1"],
        TaskGroups=[
            group(
                Tasks=[
                    task(
                        Config={"command": "run.sh", "args": ["-n", "1"]},
                        Artifacts=[{"GetterSource": "s3://old"}],
                    )
                ]
            )
        ],
    )
    new = job(
        Meta={"a": "2"},
        Priority=70,
        Datacenters=["dc1", "dc2"],
        TaskGroups=[
            group(
                Count=3,
                Tasks=[
                    task(
                        Config={"command": "run.sh", "args": ["-n", "2"]},
                        KillTimeout=10 * SECOND,
                        Artifacts=[{"GetterSource": "s3://new"}],
                    )
                ],
            )
        ],
    )
    diff = job_diff(old, new)
    assert diff["Type"] == "Edited"
    assert diff["Fields"] == [
        _edited("Meta[a]", "1", "2"),
        {"Type": "Deleted", "Name": "Meta[gone]", "Old": "x", "New": "", "Annotations": None},
        _edited("Priority", "50", "70"),
    ]
    added = {"Type": "Added", "Name": "Datacenters", "Old": "", "New": "dc2", "Annotations": None}
    assert diff["Objects"] == [
        {"Type": "Edited", "Name": "Datacenters", "Fields": [added], "Objects": None}
    ]
    (of_group,) = diff["TaskGroups"]
    assert of_group["Fields"] == [_edited("Count", "1", "3")]
    assert of_group["Objects"] == []
    (of_task_,) = of_group["Tasks"]
    assert of_task_["Fields"] == [_edited("KillTimeout", "5000000000", "10000000000")]
    assert [(each["Type"], each["Name"]) for each in of_task_["Objects"]] == [
        ("Deleted", "Artifact"),
        ("Added", "Artifact"),
        ("Edited", "Config"),
    ]
    assert of_task_["Objects"][2]["Fields"] == [_edited("args[1]", "1", "2")]


def test_groups_and_tasks_come_and_go_by_name() -> None:
    diff = job_diff(job(TaskGroups=[group("a")]), job(TaskGroups=[group("b", Count=2)]))
    assert [(each["Name"], each["Type"], each["Updates"]) for each in diff["TaskGroups"]] == [
        ("a", "Deleted", {"destroy": 1}),
        ("b", "Added", {"create": 2}),
    ]


_MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "Priority": st.integers(1, 100),
        "Meta": st.dictionaries(st.sampled_from("ab"), st.text(min_size=1, max_size=3), min_size=1),
        "Datacenters": st.lists(st.sampled_from(["dc1", "dc2"]), min_size=1, unique=True),
        "ParameterizedJob": st.just({"Payload": "required"}),
        "TaskGroups": st.lists(
            st.builds(
                lambda name, count: group(name, Count=count),
                st.sampled_from("gh"),
                st.integers(1, 3),
            ),
            min_size=1,
            max_size=2,
            unique_by=lambda each: str(each["Name"]),
        ),
    },
)


@given(_MEMBERS, _MEMBERS)
def test_a_diff_is_none_exactly_when_nothing_changed(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    before, after = job(**old), job(**new)
    assert unchanged(before, before)
    if unchanged(before, after):
        assert job_diff(before, after)["Type"] == "None"
    if job_diff(before, after)["Type"] == "None":
        # Nomad compares lists as sets: the order of groups and datacenters is no difference.
        def ordered(of: dict[str, Any]) -> dict[str, Any]:
            whole = canonical(of)
            groups = sorted(whole["TaskGroups"], key=lambda each: str(each["Name"]))
            return {**whole, "Datacenters": sorted(whole["Datacenters"]), "TaskGroups": groups}

        assert ordered(before) == ordered(after)
