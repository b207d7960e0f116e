"""Registered jobs and their children against an emulated table and bucket."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.dynamodb_units import Index, write_units
from job_protocol.manifest import Manifest
from job_protocol.states import JobKind, JobStatus, Outcome, Role
from lambdas.children import Wanted, token_hash
from lambdas.errors import Refused
from lambdas.registering import Registering
from lambdas.rules.mark import Action
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import UserOfASite
from tests.emulator.registry import Fragile, Killed, a_job, children, register

pytestmark = pytest.mark.emulator

PARAMETERIZED = {"ParameterizedJob": {"Payload": "optional", "MetaOptional": ["who"]}}
MOST_UNITS, MOST_OBJECTS = 8, 2


@pytest.fixture
def user(emulator: Emulator, plain_table: str, plain_bucket: str) -> UserOfASite:
    return UserOfASite(
        emulator.client("dynamodb"), emulator.client("s3"), plain_table, plain_bucket
    )


class Counting:
    """A client that remembers the writes."""

    def __init__(self, client: Any, writes: list[Any]) -> None:
        self._client, self._writes = client, writes

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name not in ("put_object", "put_item", "update_item", "transact_write_items"):
            return found

        def call(**arguments: Any) -> Any:
            self._writes.append((name, arguments))
            return found(**arguments)

        return call


def dispatched(user: UserOfASite, parent: str, number: int, **more: Any) -> str:
    makes = children(user)
    template = user.job(parent)
    wanted = Wanted(id=f"{parent}/dispatch-1-{number:08x}", cause=f"c{number}", **more)
    return makes.create(template, makes.specification(template), wanted).id


# ---- what a dispatch costs ----


def test_a_dispatch_costs_eight_write_units_and_two_objects(user: UserOfASite) -> None:
    tasks = [
        {
            "Name": "encrypter",
            "Driver": "raw_exec",
            "Config": {"command": "/usr/bin/openssl", "args": ["aes-256-cbc", "-e"]},
            "Artifacts": [{"GetterSource": "https://example.s3-region.amazonaws.com/pass.txt"}],
            "DispatchPayload": {"File": "rawtext.txt"},
            "Resources": {"CPU": 500, "MemoryMB": 300},
        }
    ]
    groups = [{"Name": "parameterized-encrypter", "Tasks": tasks}]
    register(user, a_job("parameterized-encrypter", TaskGroups=groups, **PARAMETERIZED))
    described = user.dynamodb.describe_table(TableName=user.table)["Table"]
    indexes = [Index.of(row) for row in described["GlobalSecondaryIndexes"]]
    template = user.job("parameterized-encrypter")
    writes: list[Any] = []
    makes = children(user, Counting(user.dynamodb, writes), Counting(user.s3, writes))
    version = makes.specification(template)
    for number in range(10):
        writes.clear()
        child = f"parameterized-encrypter/dispatch-1580613031-{number:08x}"
        wanted = Wanted(id=child, cause=str(number), payload=b"x", submitter="token:ci")
        makes.create(template, version, wanted)
        assert sum(name == "put_object" for name, _ in writes) <= MOST_OBJECTS
        (transaction,) = [a for name, a in writes if name == "transact_write_items"]
        units = [
            write_units(
                None,
                write["Put"]["Item"],
                table_keys=("pk", "sk"),
                indexes=indexes,
                transactional=True,
            )
            for write in transaction["TransactItems"]
        ]
        assert sum(unit.total for unit in units) <= MOST_UNITS, units
        assert len(writes) == 3


# ---- registration ----


def test_a_batch_job_runs_its_rendered_script(user: UserOfASite) -> None:
    found = register(user, a_job("team/hello"))
    assert found.ran
    job = user.job("team/hello")
    assert (job.role, job.kind, job.status, job.run) == (
        Role.LEAF,
        JobKind.BATCH,
        JobStatus.PENDING,
        1,
    )
    assert job.registration is not None
    assert (job.registration.version, job.registration.index) == (0, job.rev)
    assert set(user.inputs("team/hello")) == {"aws-job-run.sh", ".nomad/dispatch"}
    assert user.job("team").role is Role.FOLDER


def test_an_unchanged_finished_job_changes_nothing_and_a_changed_one_runs_again(
    user: UserOfASite,
) -> None:
    register(user, a_job("hello"), "k1")
    end(user, "hello", Outcome.COMPLETE)
    before = user.job("hello")
    assert not register(user, a_job("hello"), "k2").ran
    assert user.job("hello") == before
    assert register(user, a_job("hello", Priority=60), "k3").ran
    after = user.job("hello")
    assert after.run == 2
    assert after.registration is not None
    assert after.registration.version == 1
    assert len(after.earlier) == 1


def test_a_stopped_job_runs_again_and_an_active_one_stays_as_it_is(user: UserOfASite) -> None:
    register(user, a_job("hello"), "k1")
    assert not register(user, a_job("hello"), "k2").ran
    end(user, "hello", Outcome.STOPPED)
    assert register(user, a_job("hello"), "k4").ran
    registration = user.job("hello").registration
    assert registration is not None
    assert registration.version == 0


def end(user: UserOfASite, job_id: str, outcome: Outcome) -> None:
    job = user.job(job_id)
    ended = replace(job, rev=job.rev + 1, status=JobStatus.DEAD, outcome=outcome)
    user.jobs.replace_job(job, ended)


def test_an_enforced_index_protects_what_somebody_else_changed(user: UserOfASite) -> None:
    with pytest.raises(Refused, match="Enforcing job modify index 5: job does not exist"):
        register(user, a_job("t", **PARAMETERIZED), enforced=5)
    register(user, a_job("t", **PARAMETERIZED), enforced=0)
    with pytest.raises(Refused, match="Enforcing job modify index 0: job already exists"):
        register(user, a_job("t", Priority=60, **PARAMETERIZED), enforced=0)
    there = user.job("t").registration
    assert there is not None
    with pytest.raises(Refused, match="job exists with conflicting job modify index"):
        register(user, a_job("t", Priority=60, **PARAMETERIZED), enforced=there.index + 1)
    register(user, a_job("t", Priority=60, **PARAMETERIZED), enforced=there.index)


def test_a_template_cannot_become_another_kind_of_job(user: UserOfASite) -> None:
    register(user, a_job("t", **PARAMETERIZED))
    with pytest.raises(Refused, match="cannot update parameterized job to being non-parameter"):
        register(user, a_job("t"))
    register(user, a_job("b"))
    with pytest.raises(Refused, match="cannot update non-parameterized job to being parameter"):
        register(user, a_job("b", **PARAMETERIZED), "k2")
    user.uploads("script")
    with pytest.raises(Refused, match="'script' is a script job"):
        register(user, a_job("script"))


def test_a_stopped_template_is_revived_and_its_children_go_on(user: UserOfASite) -> None:
    register(user, a_job("t", **PARAMETERIZED))
    child = dispatched(user, "t", 1)
    Registering(children(user)).stop(user.job("t"))
    stopped = user.job("t")
    assert (stopped.status, stopped.outcome, stopped.launches) == (
        JobStatus.DEAD,
        Outcome.STOPPED,
        False,
    )
    assert user.job(child).active
    register(user, a_job("t", **PARAMETERIZED))
    revived = user.job("t")
    assert revived.launches
    assert revived.registration is not None
    assert stopped.registration is not None
    assert revived.registration.version == 0
    assert revived.registration.index > stopped.registration.index


def test_a_template_may_lie_over_a_folder_and_guards_what_lies_below(user: UserOfASite) -> None:
    user.uploads("t/script")
    register(user, a_job("t", **PARAMETERIZED))
    assert user.job("t").role is Role.TEMPLATE
    user.uploads("t/other")
    assert "lies inside the job 't'" in user.reasons("t/other")["t/other"]


def test_a_mark_at_a_template_changes_nothing(user: UserOfASite) -> None:
    register(user, a_job("t", **PARAMETERIZED))
    before = user.job("t")
    assert user.uploads("t").action is Action.IGNORE
    assert user.says("t", b"JOB_STOP").action is Action.IGNORE
    assert user.job("t") == before


def test_a_mark_at_a_registered_job_is_rejected_and_registering_runs_it_again(
    user: UserOfASite,
) -> None:
    register(user, a_job("hello"), "k1")
    end(user, "hello", Outcome.COMPLETE)
    assert user.says("hello", b"FILE_UPLOAD").action is Action.REJECT
    job = user.job("hello")
    assert (job.outcome, job.run) == (Outcome.REJECTED, 1)
    assert user.reasons("hello")["hello/aws-job-stat.txt"] == (
        "FILE_UPLOAD: 'hello' is a Nomad job, not an upload"
    )
    assert register(user, a_job("hello"), "k2").ran
    job = user.job("hello")
    assert (job.outcome, job.run, job.reasons) == (None, 2, ())


# ---- children ----


def test_a_child_runs_the_script_of_its_version(user: UserOfASite) -> None:
    register(user, a_job("t", **PARAMETERIZED))
    child = dispatched(user, "t", 1, payload=b"\0\xff", meta={"who": "me"})
    register(user, a_job("t", Priority=60, **PARAMETERIZED), "k2")
    packed = user.allocation(child).manifest
    assert packed is not None
    entries = {entry.path: entry for entry in Manifest.unpack(packed).entries}
    assert set(entries) == {"aws-job-run.sh", ".nomad/dispatch", ".nomad/payload"}
    script = entries["aws-job-run.sh"]
    read = user.s3.get_object(
        Bucket=user.bucket, Key=script.key_for(child), VersionId=script.version
    )
    assert len(read["Body"].read()) == script.size
    job = user.job(child)
    assert (job.parent, job.unpublished, job.active) == ("t", False, True)
    makes = children(user)
    version = makes.specifications.of(job)
    assert version is not None
    assert version.version == 0
    assert [one.id for one in makes.templates.children("dc1", "t", pages=1)] == [child]


def test_a_dispatch_with_a_token_is_one_child(user: UserOfASite) -> None:
    register(user, a_job("t", **PARAMETERIZED))
    token = token_hash("dc1", "t", "once")
    first = dispatched(user, "t", 1, token=token)
    assert dispatched(user, "t", 2, token=token) == first
    assert dispatched(user, "t", 3) != first


def test_a_dispatch_that_is_killed_anywhere_and_repeated_is_one_child(user: UserOfASite) -> None:
    register(user, a_job("t", **PARAMETERIZED))
    template = user.job("t")
    for budget in range(20):
        left = [budget]
        token = token_hash("dc1", "t", str(budget))
        fragile = children(user, Fragile(user.dynamodb, left), Fragile(user.s3, left))
        wanted = Wanted(id=f"t/dispatch-1-{budget:08x}", cause=str(budget), token=token)
        try:
            fragile.create(template, fragile.specification(template), wanted)
        except Killed:
            later = Wanted(id=f"t/dispatch-2-{budget:08x}", cause=str(budget), token=token)
            made = children(user)
            child = made.create(template, made.specification(template), later)
            ids = {one.id for one in made.templates.children("dc1", "t", pages=1)}
            assert {one for one in ids if one.endswith(f"{budget:08x}")} == {child.id}
        else:
            assert budget > 3, "nothing was killed"
            return
    raise AssertionError("it never ends")


def test_a_token_whose_child_was_purged_says_so(user: UserOfASite) -> None:
    register(user, a_job("t", **PARAMETERIZED))
    token = token_hash("dc1", "t", "once")
    child = dispatched(user, "t", 1, token=token)
    user.jobs.forget(user.job(child))
    with pytest.raises(Refused, match="was purged"):
        dispatched(user, "t", 2, token=token)
