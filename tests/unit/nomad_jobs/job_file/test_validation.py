"""Which jobs may be registered, and the reasons why others may not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_jobs.job_file.defaults import canonical
from nomad_jobs.job_file.durations import SECOND
from nomad_jobs.job_file.problems import MAX_FINDINGS
from nomad_jobs.job_file.reading import read_job_file
from nomad_jobs.job_file.validation import admit
from tests.unit.nomad_jobs.job_file.clocks import CLOCK
from tests.unit.nomad_jobs.job_file.jobs import group, job, of_task, task


def _problems(of: dict[str, Any]) -> list[str]:
    admission = admit(of, CLOCK)
    assert (admission.job is None) == bool(admission.problems)
    return [str(problem) for problem in admission.problems]


def _warnings(of: dict[str, Any]) -> list[str]:
    admission = admit(of, CLOCK)
    assert admission.problems == ()
    return [str(warning) for warning in admission.warnings]


def test_a_job_that_states_little_is_admitted_as_it_is() -> None:
    assert admit(job(), CLOCK).job == job()
    assert _warnings(job()) == []


def test_the_name_is_the_id_where_it_is_not_stated() -> None:
    assert admit({**job(), "Name": None}, CLOCK).job == job()


def test_nulls_empty_collections_and_what_the_server_sets_are_no_statement() -> None:
    sent = job(
        Meta={},
        Constraints=[],
        Periodic=None,
        Update=None,
        VaultToken="",
        AllAtOnce=False,
        Status="dead",
        Version=3,
        SubmitTime=1,
        Stop=True,
    )
    assert admit(sent, CLOCK).job == job()
    assert _warnings(sent) == []


def test_a_job_as_nomad_itself_shows_it_is_admitted_without_a_warning() -> None:
    shown = canonical(of_task(Resources={"CPU": 500, "MemoryMB": 256}))
    shown.update(
        NodePool="default",
        VaultNamespace="",
        ConsulNamespace="",
        Update={"Stagger": 0, "MaxParallel": 0, "HealthCheck": "", "AutoRevert": False},
        UI=None,
        Stable=False,
        JobModifyIndex=7,
    )
    (of_group,) = shown["TaskGroups"]
    of_group.update(
        Consul={"Namespace": "", "Cluster": "default", "Partition": ""},
        Migrate=None,
        PreventRescheduleOnLost=False,
    )
    of_group["Tasks"][0].update(Kind="", Vault=None, Identities=None, VolumeMounts=None)
    admission = admit(shown, CLOCK)
    assert admission.problems == admission.warnings == ()
    assert admission.job is not None
    assert canonical(admission.job) == canonical(of_task(Resources={"CPU": 500, "MemoryMB": 256}))


def test_keys_may_be_spelled_in_any_case_as_go_reads_them() -> None:
    sent = {"id": "j", "name": "j", "TYPE": "batch", "taskgroups": [group()]}
    assert admit(sent, CLOCK).job == job()


def test_durations_may_be_words_in_json() -> None:
    admitted = admit(of_task(KillTimeout="20s"), CLOCK).job
    assert admitted == of_task(KillTimeout=20 * SECOND)


def test_a_view_of_a_job_that_is_registered_again_states_no_default_resources() -> None:
    for stated in ({}, {"CPU": 500}, {"Cores": 4}, {"MemoryMB": 4096}):
        registered = of_task(Resources=stated) if stated else of_task()
        again = admit(canonical(registered), CLOCK)
        assert again.problems == again.warnings == ()
        assert again.job is not None
        assert again.job["TaskGroups"][0]["Tasks"][0].get("Resources", {}) == stated
        assert canonical(again.job) == canonical(registered)


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (job(ID=""), 'job "": Missing job ID'),
        (job(DependsOn=[{"On": "afterok"}]), 'job "j" > depends_on: no job is named'),
        (
            job(DependsOn=[{"Job": "a", "On": "afterokk"}]),
            'job "j" > depends_on: on is "afterokk"; did you mean \'afterok\'?',
        ),
        (
            job(DependsOn=[{"Job": str(n)} for n in range(41)]),
            'job "j": 41 blocks depends_on; a job has at most 40',
        ),
        (
            job(DependsOn=[{"Job": "a"}], ParameterizedJob={"Payload": "optional"}),
            'job "j": children of a template wait for nothing',
        ),
        (job(ID="a b"), 'job "a b": Job ID contains a space'),
        (job(ID="a\0b"), 'job "a\0b": Job ID contains a null character'),
        (job(ID="a//b"), "job \"a//b\": job id 'a//b' has an empty path segment"),
        (job(ID="a/dispatch"), "job \"a/dispatch\": the last segment 'dispatch' of the job id"),
        (job(Name="\0"), 'job "j": Job Name contains a null character'),
        (job(Type=None), 'job "j": no type is set'),
        (job(Type="service"), 'job "j": type \'service\' is not supported, only "batch"'),
        (job(Type="system"), "job \"j\": type 'system' is not supported"),
        (job(Type="sysbatch"), "job \"j\": type 'sysbatch' is not supported"),
        (job(Type="btach"), 'job "j": Invalid job type: "btach"; did you mean \'batch\'?'),
        (job(Priority=0), 'job "j": Job priority must be between [1, 100]'),
        (job(Priority=101), 'job "j": Job priority must be between [1, 100]'),
        (job(Datacenters=[""]), 'job "j": Job datacenter must be non-empty string'),
        (job(TaskGroups=[]), 'job "j": Missing job task groups'),
        (job(TaskGroups=[group("")]), 'job "j": Job task group 1 missing name'),
        (
            job(TaskGroups=[group(), group()]),
            "job \"j\": Job task group 2 redefines 'g' from group 1",
        ),
        (job(TaskGroups=[group("a/b")]), "job \"j\": the group name 'a/b' cannot include slashes"),
        (
            job(TaskGroups=[group(Count=-1)]),
            'job "j" > group "g": Task group count can\'t be negative',
        ),
        (job(TaskGroups=[group(Count=0)]), 'job "j": every group has count 0'),
        (
            job(TaskGroups=[group(Tasks=[])]),
            'job "j" > group "g": Missing tasks for task group',
        ),
        (
            job(TaskGroups=[group(Tasks=[task(""), task("a"), task("a")])]),
            'job "j" > group "g": Task 1 missing name',
        ),
        (
            job(TaskGroups=[group(Tasks=[task("a"), task("a")])]),
            'job "j" > group "g": Task 2 redefines \'a\' from task 1',
        ),
        (
            job(TaskGroups=[group(Tasks=[task("a", Leader=True), task("b", Leader=True)])]),
            'job "j" > group "g": Only one task may be marked as leader',
        ),
        (
            job(TaskGroups=[group(Tasks=[task("alloc")])]),
            'job "j" > group "g" > task "alloc": a task cannot be named \'alloc\'',
        ),
        (
            job(TaskGroups=[group(Tasks=[task("a/b")])]),
            'job "j" > group "g" > task "a/b": Task name cannot include slashes',
        ),
        (
            job(TaskGroups=[group(Tasks=[task("..")])]),
            'job "j" > group "g" > task "..": Task name is no name of a folder',
        ),
        (
            job(TaskGroups=[group(Tasks=[task("aws-job-run.sh")])]),
            'job "j" > group "g" > task "aws-job-run.sh": names that begin with',
        ),
        (
            job(Periodic={"Spec": "* * *"}),
            'job "j" > periodic: Invalid cron spec "* * *": missing field(s)',
        ),
        (
            job(Constraints=[{"LTarget": "a", "RTarget": "b", "Operand": "=>"}]),
            'job "j": Constraint 1 validation failed: Unknown constraint type "=>"',
        ),
        (
            job(Constraints=[{"Operand": "distinct_hosts"}, {"LTarget": "a", "Operand": "="}]),
            'job "j": Constraint 2 validation failed: Operator "=" requires an RTarget',
        ),
        (
            job(TaskGroups=[group(Constraints=[{"RTarget": "b", "Operand": "="}])]),
            'job "j" > group "g": Constraint 1 validation failed: No LTarget provided but is '
            "required by constraint",
        ),
        (
            of_task(Constraints=[{"LTarget": "a"}]),
            'job "j" > group "g" > task "t": Constraint 1 validation failed: Missing constraint',
        ),
        (job(Periodic={}), 'job "j" > periodic: Must specify a spec'),
        (
            job(Periodic={"Spec": "@daily", "Specs": ["@daily"]}),
            'job "j" > periodic: Only cron or crons may be used',
        ),
        (
            job(Periodic={"Spec": "0 0 * * *", "TimeZone": "Mars/Base"}),
            'job "j" > periodic: Invalid time zone "Mars/Base": ',
        ),
        (
            job(Periodic={"Spec": "0 0 * * *", "SpecType": "iso"}),
            'job "j" > periodic: Unknown periodic specification type "iso"',
        ),
        (
            job(Periodic={"Spec": "0 0 * * *"}, ParameterizedJob={}),
            'job "j" > periodic: a job is either periodic or parameterized here',
        ),
        (
            job(ParameterizedJob={"Payload": "must"}),
            'job "j" > parameterized: Unknown payload requirement: "must"',
        ),
        (
            job(ParameterizedJob={"MaxActive": 0}),
            'job "j" > parameterized: max_active is 0; it must be between 1 and 100',
        ),
        (
            job(ParameterizedJob={"MetaRequired": ["a", "b"], "MetaOptional": ["b"]}),
            'job "j" > parameterized: Required and optional meta keys should be disjoint. '
            "Following keys exist in both: [b]",
        ),
        (
            job(Reschedule={"Delay": SECOND}),
            'job "j" > reschedule: Delay cannot be less than 5s',
        ),
        (
            job(TaskGroups=[group(ReschedulePolicy={"DelayFunction": "linear"})]),
            'job "j" > group "g" > reschedule: Invalid delay function "linear", '
            'must be one of ["constant" "exponential" "fibonacci"]',
        ),
        (
            job(TaskGroups=[group(RestartPolicy={"Mode": "never"})]),
            'job "j" > group "g" > restart: Unsupported restart mode: "never"',
        ),
        (
            job(TaskGroups=[group(RestartPolicy={"Interval": SECOND})]),
            'job "j" > group "g" > restart: Interval can not be less than 5s (got 1s)',
        ),
        (
            job(TaskGroups=[group(RestartPolicy={"Attempts": 10, "Interval": 90 * SECOND})]),
            'job "j" > group "g" > restart: Nomad can\'t restart the TaskGroup g 10 times '
            "in an interval of 1m30s with a delay of 15s",
        ),
        (job(Multiregion={"Regions": [{}]}), "job \"j\": 'Multiregion' is not supported"),
        (job(TaskGroup=[]), "job \"j\": unknown key 'TaskGroup'; did you mean 'TaskGroups'?"),
        (job(Priority="high"), 'job "j": Priority: must be a whole number, not a string'),
        (job(Priority=True), 'job "j": Priority: must be a whole number, not a bool'),
        (job(Datacenters="dc1"), 'job "j": Datacenters: must be a list of strings'),
        (job(Meta={"a": 1}), "job \"j\": Meta: must have strings as values; 'a' has none"),
        (job(Periodic=[]), 'job "j": Periodic: must be an object, not a list'),
        (job(TaskGroups={"Name": "g"}), 'job "j": TaskGroups: must be a list of objects'),
    ],
)
def test_a_job_is_refused(sent: dict[str, Any], problem: str) -> None:
    assert _problems(sent)[0].startswith(problem)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"Driver": None}, "Missing task driver"),
        ({"Driver": "raw-exec"}, "the driver 'raw-exec' is not known; did you mean 'raw_exec'?"),
        ({"Driver": "qemu"}, "the driver 'qemu' is not supported: there are no virtual machines"),
        ({"Driver": "containerd"}, "the driver 'containerd' is not supported: use the driver"),
        ({"KillTimeout": -1}, "KillTimeout must be a positive value"),
        ({"KillTimeout": "soon"}, "KillTimeout: 'soon' is no duration; write it as 30s"),
        ({"Services": [{"Name": "web"}]}, "'Services' is not supported: a batch job"),
        ({"Vault": {"Policies": ["a"]}}, "'Vault' is not supported: there is no Vault here"),
        ({"User": "root"}, "'User' is not supported: every task runs under the site's own account"),
        ({"VolumeMounts": [{}]}, "'VolumeMounts' is not supported"),
        ({"Confg": {}}, "unknown key 'Confg'; did you mean 'Config'?"),
    ],
)
def test_a_task_is_refused(members: dict[str, Any], problem: str) -> None:
    where = 'job "j" > group "g" > task "t": '
    assert _problems(of_task(**members))[0].startswith(where + problem)


@pytest.mark.parametrize(
    ("members", "block", "problem"),
    [
        ({"Config": {}}, "config", "missing command"),
        ({"Config": {"command": 1}}, "config", "command must be a string"),
        ({"Config": {"command": "a", "args": "b"}}, "config", "args must be a list of strings"),
        (
            {"Config": {"command": "a", "arg": []}},
            "config",
            "the driver 'raw_exec' has no option 'arg' here; did you mean 'args'?",
        ),
        ({"Driver": "java", "Config": {}}, "config", "jar_path or class must be specified"),
        ({"Driver": "docker", "Config": {}}, "config", "missing image"),
        ({"Resources": {"CPU": 0}}, "resources", "minimum CPU value is 1; got 0"),
        ({"Resources": {"MemoryMB": 1}}, "resources", "minimum MemoryMB value is 10; got 1"),
        (
            {"Resources": {"CPU": 1, "Cores": 1}},
            "resources",
            "Task can only ask for 'cpu' or 'cores' resource, not both.",
        ),
        (
            {"Resources": {"MemoryMB": 20, "MemoryMaxMB": 10}},
            "resources",
            "MemoryMaxMB value (10) should be larger than MemoryMB value (20)",
        ),
        ({"Resources": {"Networks": [{}]}}, "resources", "'Networks' is not supported"),
        ({"Lifecycle": {}}, "lifecycle", "no lifecycle hook provided"),
        ({"Lifecycle": {"Hook": "prestrat"}}, "lifecycle", "invalid hook: prestrat; did you mean"),
        ({"Artifacts": [{}]}, "artifact", "source must be specified"),
        (
            {"Artifacts": [{"GetterSource": "x", "RelativeDest": "../../x"}]},
            "artifact",
            "destination escapes allocation directory",
        ),
        ({"Artifacts": [{"GetterSource": "x", "GetterMode": "a"}]}, "artifact", "invalid artifact"),
        ({"Templates": [{"DestPath": "x"}]}, "template", "Must specify a source path or have an"),
        ({"Templates": [{"EmbeddedTmpl": "x"}]}, "template", "Must specify a destination"),
        (
            {"Templates": [{"EmbeddedTmpl": "x", "DestPath": "../../x"}]},
            "template",
            "template destination escapes allocation directory",
        ),
        (
            {"Templates": [{"EmbeddedTmpl": "x", "DestPath": "x", "Perms": "rwx"}]},
            "template",
            'Failed to parse "rwx" as octal',
        ),
        ({"DispatchPayload": {}}, "dispatch_payload", "dispatch_payload needs the name of a file"),
        (
            {"DispatchPayload": {"File": "../../../x"}},
            "dispatch_payload",
            "destination escapes allocation directory",
        ),
    ],
)
def test_a_block_of_a_task_is_refused(members: dict[str, Any], block: str, problem: str) -> None:
    where = f'job "j" > group "g" > task "t" > {block}: '
    assert _problems(of_task(**members))[0].startswith(where + problem)


@pytest.mark.parametrize(
    ("sent", "warning"),
    [
        (job(Update={"MaxParallel": 1}), "job \"j\": 'Update' has no effect and is left out: "),
        (job(Affinities=[{}]), "job \"j\": 'Affinities' has no effect and is left out: "),
        (job(Region="eu"), "job \"j\": 'Region' has no effect: "),
        (
            job(TaskGroups=[group(EphemeralDisk={"SizeMB": 500})]),
            'job "j" > group "g": \'EphemeralDisk\' has no effect: ',
        ),
        (
            of_task(ShutdownDelay=SECOND),
            'job "j" > group "g" > task "t": \'ShutdownDelay\' has no effect: ',
        ),
        (
            of_task(LogConfig={"MaxFiles": 3}),
            'job "j" > group "g" > task "t" > logs: \'MaxFiles\' has no effect: ',
        ),
        (
            of_task(DispatchPayload={"File": "x"}),
            'job "j" > group "g" > task "t" > dispatch_payload: no payload ever comes',
        ),
    ],
)
def test_what_is_stated_in_vain_is_warned_about(sent: dict[str, Any], warning: str) -> None:
    (found,) = _warnings(sent)
    assert found.startswith(warning)


def test_all_problems_come_at_once() -> None:
    sent = job(Type="service", Priority=0, TaskGroups=[group(Count=-1, Tasks=[task("alloc")])])
    assert len(_problems(sent)) == 4


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (float("nan"), "it contains NaN or an infinite number"),
        ({"a": [float("inf")]}, "it contains NaN or an infinite number"),
        ("\ud800", "it contains half of a surrogate pair, which is no character"),
        ({"\udfff": 1}, "it contains half of a surrogate pair, which is no character"),
        (json.loads("[" * 70 + "]" * 70), "it is nested more than 60 levels"),
    ],
    ids=["nan", "infinite", "text", "key", "deep"],
)
def test_what_cannot_be_stored_is_refused(value: Any, why: str) -> None:
    sent = of_task(Config={"command": "a", "args": value})
    assert _problems(sent) == [f"the job cannot be stored: {why}"]


def test_no_more_problems_than_a_person_reads_are_listed() -> None:
    assert len(_problems({**job(), **{f"Wrong{n}": 1 for n in range(5_000)}})) == MAX_FINDINGS


def test_a_job_file_that_is_refused_names_the_line() -> None:
    text = (
        'job "j" {\n type = "batch"\n priority = 200\n group "g" {\n'
        '  task "t" {\n   driver = "raw_exec"\n   kill_timeout = "-1s"\n   config { }\n  }\n }\n}'
    )
    read = read_job_file(text, file="x.nomad")
    assert read.job is not None
    assert [str(problem) for problem in admit(read.job, CLOCK, read.places).problems] == [
        'x.nomad:3: job "j": Job priority must be between [1, 100]',
        'x.nomad:8: job "j" > group "g" > task "t" > config: missing command',
        'x.nomad:7: job "j" > group "g" > task "t": KillTimeout must be a positive value',
    ]


_KEYS = st.sampled_from(
    [
        *("ID", "Type", "TaskGroups", "Tasks", "Name", "Driver", "Config", "Meta", "Periodic"),
        *("ParameterizedJob", "Resources", "CPU", "Constraints", "Artifacts", "Count", "Payload"),
        *("RestartPolicy", "Update", "Networks", "LogConfig", "Spec", "Priority", "Datacenters"),
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_KEYS | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(_KEYS | st.text(max_size=3), _JSON, max_size=6))
def test_any_json_is_admitted_or_refused_and_never_changed(sent: dict[str, Any]) -> None:
    before = copy.deepcopy(sent)
    admission = admit(sent, CLOCK)
    assert (admission.job is None) == bool(admission.problems)
    assert sent == before


@given(st.dictionaries(_KEYS, _JSON, max_size=3))
def test_what_was_admitted_is_admitted_again_and_stays_the_same(members: dict[str, Any]) -> None:
    first = admit({**job(), **members}, CLOCK)
    if first.job is not None:
        assert admit(first.job, CLOCK).job == first.job
