"""Settings: what the job states, and nothing that it does not."""

from __future__ import annotations

from typing import Any

import pytest

from job_protocol.items import from_attributes, to_attributes
from job_protocol.job_settings import JobSettings, Resources, Retries
from job_protocol.path_patterns import matcher
from nomad_jobs.run_script.render import render_run
from tests.unit.nomad_jobs.run_script.rendered import facts, hooked, job, shell

SECOND = 10**9


def settings_of(specification: dict[str, Any]) -> JobSettings:
    return render_run(specification, facts()).settings


def asking(name: str = "main", hook: str = "", *, sidecar: bool = False, **resources: Any) -> Any:
    made = shell("true", name, Resources=resources)
    return {**made, "Lifecycle": {"Hook": hook, "Sidecar": sidecar}} if hook else made


def test_nothing_stated_is_nothing_asked() -> None:
    found = settings_of(job(shell("true"), ReschedulePolicy={"Attempts": 0}))
    logs = ("alloc/logs/*.std*", "alloc/task-states")
    assert found == JobSettings(exclude=found.exclude, logs=logs, drivers=("raw_exec",))


def test_nulls_as_the_api_sends_them_are_nothing_stated() -> None:
    names = ("Resources", "Env", "Meta", "Templates", "Artifacts", "Lifecycle", "RestartPolicy")
    empty = dict.fromkeys((*names, "LogConfig", "DispatchPayload", "KillTimeout", "Leader"))
    specification = job({**shell("true"), **empty}, Count=None, Meta=None, MaxRunDuration=None)
    assert settings_of({**specification, "Priority": None, "NodePool": ""}).resources == Resources()


def test_what_is_stated_is_asked() -> None:
    one = asking(CPU=4000, Cores=8, MemoryMB=2048, Devices=[{"Name": "nvidia/gpu", "Count": 2}])
    specification = job(one, MaxRunDuration=5400 * SECOND)
    found = settings_of({**specification, "Priority": 70, "NodePool": "large"})
    assert found.resources == Resources(cpus=8, memory_mb=2048, gpus=2)
    assert (found.time_limit, found.priority, found.queue) == (5400, 70, "large")


def test_megahertz_ask_for_nothing() -> None:
    assert settings_of(job(asking(CPU=8000))).resources == Resources()


def test_tasks_that_run_at_once_add_up_and_the_neediest_moment_counts() -> None:
    found = settings_of(
        job(
            asking("a", MemoryMB=100, Cores=1),
            asking("b", MemoryMB=200),
            asking("first", "prestart", MemoryMB=1000),
            asking("beside", "prestart", sidecar=True, MemoryMB=50, Cores=1),
            asking("after", "poststart", MemoryMB=10),
            asking("last", "poststop", MemoryMB=500),
        )
    )
    assert found.resources == Resources(memory_mb=1050, cpus=2)


def test_memory_max_is_the_limit_where_it_is_stated() -> None:
    assert settings_of(job(asking(MemoryMB=100, MemoryMaxMB=300))).resources.memory_mb == 300


def test_several_groups_are_one_array_with_the_largest_needs() -> None:
    made = job(asking(MemoryMB=100), Count=3, MaxRunDuration=60 * SECOND)
    (one,) = made["TaskGroups"]
    other = {**one, "Name": "other", "Count": 2, "Tasks": [asking(MemoryMB=70)]}
    found = settings_of({**made, "TaskGroups": [one, {**other, "MaxRunDuration": "2m"}]})
    assert (found.count, found.resources.memory_mb, found.time_limit) == (5, 100, 120)
    unlimited = settings_of({**made, "TaskGroups": [one, {**other, "MaxRunDuration": None}]})
    assert unlimited.time_limit is None


@pytest.mark.parametrize(
    ("policy", "retries"),
    [
        (None, Retries(attempts=1, delay=5)),
        ({"Attempts": 0}, None),
        ({"Attempts": 3, "Delay": 90 * SECOND}, Retries(attempts=3, delay=90)),
        ({"Unlimited": True, "Delay": "0s"}, Retries(attempts=100, delay=1)),
    ],
)
def test_reschedule_becomes_further_allocations(policy: Any, retries: Retries | None) -> None:
    assert settings_of(job(shell("true"), ReschedulePolicy=policy)).retries == retries


def test_a_jobs_reschedule_is_that_of_groups_that_state_none() -> None:
    specification = job(shell("true"), ReschedulePolicy={"Delay": 7 * SECOND})
    found = settings_of({**specification, "Reschedule": {"Attempts": 4, "Delay": SECOND}})
    assert found.retries == Retries(attempts=4, delay=7)


def test_secrets_and_the_runs_own_data_are_no_results() -> None:
    tasks = (shell("true", "a*[b]"), hooked("true", "last", "poststop"))
    out = matcher(settings_of(job(*tasks)).exclude)
    for path in (".nomad/dispatch", "a*[b]/secrets/x/y", "last/tmp/x", "alloc/tmp/x"):
        assert out(path), path
    for path in ("axb/secrets/x", "a*[b]/local/secrets/x", "alloc/data/tmp", "alloc/task-states"):
        assert not out(path), path
    out = matcher(settings_of(job(shell("true"), Count=2)).exclude)
    assert out("work.1/main/secrets/x")
    assert not out("work.1/main/local/x")
    assert not out("other.1/main/secrets/x")


def test_settings_survive_the_job_table() -> None:
    artifact = {"GetterSource": "https://example.org/x", "GetterOptions": {"archive": "false"}}
    found = settings_of(job({**asking(MemoryMB=1), "Artifacts": [artifact]}, Count=2))
    assert from_attributes(JobSettings, to_attributes(found)) == found
