"""The doctor's checks: each of what can be wrong is told with what to do."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import ClientError, EndpointConnectionError

from puller.administration.cloud_examination import CloudExamination
from puller.administration.credentials_examination import credential_findings
from puller.administration.cron_examination import CronExamination
from puller.administration.file_systems import Kind, file_system_of, kind_of
from puller.administration.finding import Finding, Level, examined, fail, ok
from puller.administration.program import Pin, write_pin
from puller.administration.site_examination import SiteExamination, disk_finding
from puller.command import main
from puller.last_pass import PassNote
from puller.settings import Settings

NOW = 1_800_000_000.0
MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:44 / /home rw,relatime shared:1 - nfs4 server:/home rw
31 30 0:45 / /home/my\\040scratch rw - lustre mgs:/scratch rw
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        site="dc1",
        bucket="bucket",
        table="table",
        region="eu-west-1",
        scheduler="slurm",
        jobs_dir=tmp_path / "jobs",
        state_dir=tmp_path / "state",
        lock_dir=tmp_path / "locks",
    )


def levels(findings: Any) -> dict[str, Level]:
    return {finding.check: finding.level for finding in findings}


# ---- AWS ----


class FakeAws:
    """Answers of AWS: a list of what each call of a name gives."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.meta = type("Meta", (), {"endpoint_url": "https://example"})

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            answer = self.answers[name]
            if callable(answer):
                answer = answer(arguments)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def refused(code: str, status: int = 400, date: str | None = None) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "no"},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "HTTPHeaders": {"date": date} if date else {},
            },
        },
        "Operation",
    )


def http_date(at: float) -> str:
    then = dt.datetime.fromtimestamp(at, dt.UTC)
    return then.strftime("%a, %d %b %Y %H:%M:%S GMT")


def healthy(**changed: Any) -> dict[str, FakeAws]:
    aws = {
        "get_caller_identity": {"Arn": "arn:aws:iam::1:user/dc1"},
        "query": {
            "Items": [],
            "ResponseMetadata": {"HTTPHeaders": {"date": http_date(NOW)}},
        },
        "get_item": {},
        "update_item": refused("ConditionalCheckFailedException"),
        "get_object": lambda a: refused("NoSuchVersion" if "VersionId" in a else "NoSuchKey", 404),
        "create_multipart_upload": {"UploadId": "u"},
        "abort_multipart_upload": {},
        **changed,
    }
    one = FakeAws(**aws)
    return {"sts": one, "dynamodb": one, "s3": one}


def cloud(settings: Settings, **changed: Any) -> list[Finding]:
    clients = healthy(**changed)
    return list(CloudExamination(settings, lambda: NOW, clients.__getitem__).findings())


def test_all_is_well_in_the_cloud(settings: Settings) -> None:
    assert set(levels(cloud(settings)).values()) == {Level.OK}


def test_nothing_is_written_that_takes_effect(settings: Settings) -> None:
    clients = healthy()
    list(CloudExamination(settings, lambda: NOW, clients.__getitem__).findings())
    calls = clients["s3"].calls
    for name, arguments in calls:
        if name == "update_item":
            condition = arguments["ConditionExpression"]
            assert condition == "attribute_exists(pk) AND attribute_not_exists(pk)"
    names = [name for name, _ in calls]
    assert names.count("create_multipart_upload") == names.count("abort_multipart_upload") == 1
    assert "put_object" not in names
    assert not any("aws-job-stat" in str(arguments) for _, arguments in calls)


@pytest.mark.parametrize(
    ("call", "check"),
    [
        ("query", "table: query the queue"),
        ("get_item", "table: read"),
        ("update_item", "table: write heartbeat"),
        ("get_object", "bucket: read"),
        ("create_multipart_upload", "bucket: write"),
        ("abort_multipart_upload", "bucket: write"),
    ],
)
def test_a_missing_right_is_named(settings: Settings, call: str, check: str) -> None:
    found = cloud(settings, **{call: refused("AccessDenied", 403)})
    failed = {f.check: f for f in found if f.level is Level.FAIL}
    assert "PullerPolicyArn" in failed[check].remedy


def test_an_unreachable_cloud_is_one_finding_with_the_proxy_as_remedy(settings: Settings) -> None:
    lost = EndpointConnectionError(endpoint_url="https://example")
    found = cloud(settings, query=lost, get_caller_identity=lost, get_object=lost)
    failed = [f for f in found if f.check == "reachability"]
    assert [f.level for f in failed] == [Level.FAIL]
    assert "proxy" in failed[0].remedy


@pytest.mark.parametrize(
    ("skew", "level"), [(5, Level.OK), (-60, Level.WARN), (290, Level.FAIL), (-9000, Level.FAIL)]
)
def test_the_clock_is_compared_with_aws(settings: Settings, skew: float, level: Level) -> None:
    answer = {"Items": [], "ResponseMetadata": {"HTTPHeaders": {"date": http_date(NOW - skew)}}}
    assert levels(cloud(settings, query=answer))["clock"] is level


def test_a_clock_so_wrong_that_aws_refuses_it_is_still_measured(settings: Settings) -> None:
    error = refused("RequestTimeTooSkewed", 403, http_date(NOW - 3600))
    found = cloud(settings, query=error)
    clock = next(f for f in found if f.check == "clock")
    assert clock.level is Level.FAIL
    assert "3600 s ahead" in clock.message


def test_another_living_installation_and_a_drained_site_are_told(settings: Settings) -> None:
    rows = {
        "qpk": [{"qsk": {"S": "0"}, "pk": {"S": "C#dc1"}, "sk": {"S": "CTL"}}],
        "pk": [
            {"sk": {"S": "other"}, "host": {"S": "login2"}, "until": {"N": str(int(NOW) + 60)}},
            {"sk": {"S": "dead"}, "host": {"S": "login3"}, "until": {"N": "1"}},
        ],
    }

    def query(arguments: dict[str, Any]) -> Any:
        return {"Items": rows[arguments["KeyConditionExpression"].partition(" ")[0]]}

    messages = [f.message for f in cloud(settings, query=query) if f.level is Level.WARN]
    assert any("login2" in message for message in messages)
    assert not any("login3" in message for message in messages)


def refreshable(left: float, method: str) -> RefreshableCredentials:
    expiry = dt.datetime.fromtimestamp(NOW + left, dt.UTC)
    return RefreshableCredentials("a", "b", "c", expiry, dict, method)


@pytest.mark.parametrize(
    ("credentials", "level", "word"),
    [
        (Credentials("a", "b", method="shared-credentials-file"), Level.OK, "do not expire"),
        (Credentials("a", "b", "t", method="shared-credentials-file"), Level.WARN, "hours"),
        (Credentials("a", "b", method="env"), Level.WARN, "cron"),
        (refreshable(3600, "assume-role"), Level.OK, "60 min"),
        (refreshable(-5, "assume-role"), Level.FAIL, "expired"),
        (refreshable(3600, "sso"), Level.WARN, "SSO"),
    ],
)
def test_what_credentials_are_good_for(credentials: Any, level: Level, word: str) -> None:
    (finding,) = credential_findings(credentials, NOW)
    assert (finding.level, word in finding.message) == (level, True)


# ---- this side ----


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/u/aws-job", "nfs4"),
        ("/home/my scratch/x", "lustre"),
        ("/homework", "ext4"),
        ("/", "ext4"),
    ],
)
def test_the_file_system_of_a_path(path: str, name: str) -> None:
    assert file_system_of(Path(path), MOUNTS) == name


def test_the_kind_of_a_file_system() -> None:
    kinds = {
        "nfs4": Kind.SHARED,
        "fuse.glusterfs": Kind.SHARED,
        "xfs": Kind.LOCAL,
        "new": "unknown",
    }
    assert {name: kind_of(name) for name in kinds} == kinds


def site(settings: Settings, tmp_path: Path, mounts: str = MOUNTS) -> SiteExamination:
    table = tmp_path / "mounts"
    table.write_text(mounts)
    return SiteExamination(settings, {"PATH": "/nonexistent"}, {"PATH": "/nonexistent"}, table)


def test_artifacts_are_told_and_a_missing_git_is_no_fault(
    settings: Settings, tmp_path: Path
) -> None:
    (finding,) = site(settings, tmp_path).artifacts()
    assert finding.level is Level.OK
    assert "lists no host" in finding.message
    assert "no git" in finding.message
    listed = replace(settings, artifact_hosts=("x.org", "s3://data"))
    (finding,) = SiteExamination(listed, {"PATH": os.environ["PATH"]}, {}).artifacts()
    assert "fetched from x.org, s3://data; git is /" in finding.message


def test_directories_on_the_wrong_kind_of_file_system(settings: Settings, tmp_path: Path) -> None:
    local = levels(site(settings, tmp_path).directories())
    assert local["jobs_dir"] is Level.WARN
    assert local["lock_dir"] is Level.OK
    shared = "22 1 8:1 / / rw - nfs4 server:/ rw\n"
    found = levels(site(settings, tmp_path, shared).directories())
    assert found["jobs_dir"] is Level.OK
    assert found["lock_dir"] is Level.WARN


def test_a_jobs_directory_of_another_site_fails(settings: Settings, tmp_path: Path) -> None:
    (settings.jobs_dir / ".jobferry").mkdir(parents=True)
    owner = {"site": "osaka", "bucket": "other"}
    (settings.jobs_dir / ".jobferry/site.json").write_text(json.dumps(owner))
    found = [f for f in site(settings, tmp_path).directories() if f.level is Level.FAIL]
    assert "site osaka" in found[0].message


def test_a_directory_that_is_a_file_fails(settings: Settings, tmp_path: Path) -> None:
    settings.jobs_dir.write_text("a file")
    found = levels(site(settings, tmp_path).directories())
    assert Level.FAIL in found.values()


def test_commands_that_are_not_found_name_the_setting(settings: Settings, tmp_path: Path) -> None:
    (finding,) = site(settings, tmp_path).scheduler()
    assert finding.level is Level.FAIL
    assert "`path`" in finding.remedy


def test_a_program_other_than_the_installed_one_fails(settings: Settings, tmp_path: Path) -> None:
    write_pin(settings.state, Pin(sha256="0" * 64, file="/x", version="0.0.1"))
    (finding,) = site(settings, tmp_path).program()
    assert finding.level is Level.FAIL
    assert "--sha256" in finding.remedy


@pytest.mark.parametrize(
    ("umask", "level"), [("077", Level.OK), ("022", Level.OK), ("002", Level.WARN)]
)
def test_umasks(settings: Settings, tmp_path: Path, umask: str, level: Level) -> None:
    (finding,) = site(replace(settings, umask=umask), tmp_path).umask()
    assert finding.level is level


def test_the_kill_switch_is_told(settings: Settings, tmp_path: Path) -> None:
    settings.state.mkdir()
    (settings.state / "stop-submitting").touch()
    (finding,) = site(settings, tmp_path).kill_switch()
    assert finding.level is Level.WARN


Disk = namedtuple("Disk", "f_bavail f_frsize f_files f_favail")


@pytest.mark.parametrize(
    ("disk", "level"),
    [
        (Disk(10 * 2**20, 4096, 10**6, 10**6), Level.OK),
        (Disk(10**5, 4096, 10**6, 10**6), Level.WARN),
        (Disk(10, 4096, 10**6, 10**6), Level.FAIL),
        (Disk(10 * 2**20, 4096, 10**6, 5), Level.WARN),
        (Disk(10 * 2**20, 4096, 10**6, 0), Level.FAIL),
        (Disk(10 * 2**20, 4096, 0, 0), Level.OK),
    ],
)
def test_space_and_inodes(disk: Any, level: Level) -> None:
    assert disk_finding("jobs_dir", Path("/x"), disk).level is level


# ---- what starts it ----


def cron(settings: Settings, tmp_path: Path, line: str | None) -> CronExamination:
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    file = tmp_path / "p.toml"
    begin = f"# >>> jobferry-puller {file} (`jobferry-puller uninstall` removes these lines)"
    block = f"{begin}\n{line}\n# <<< jobferry-puller {file}\n" if line else ""
    (tmp_path / "table").write_text(block)
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/table\n")
    program.chmod(0o755)
    environment = {"PATH": f"{program.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    return CronExamination(settings, file, environment, lambda: NOW)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (None, Level.WARN),
        ("* * * * * /bin/sh /bin/ls --settings x pass", Level.OK),
        ("* * * * * /gone/python3 /bin/ls --settings x pass", Level.FAIL),
        ("* * * * * /bin/sh /gone/jobferry-puller --settings x pass", Level.FAIL),
    ],
)
def test_what_starts_it_is_there(
    settings: Settings, tmp_path: Path, line: str | None, level: Level
) -> None:
    assert levels(cron(settings, tmp_path, line).start())["start"] is level


def test_commands_that_cron_would_not_find_fail(settings: Settings, tmp_path: Path) -> None:
    absent = replace(settings, path="/nonexistent")
    (finding,) = cron(absent, tmp_path, None).path()
    assert finding.level is Level.FAIL


@pytest.mark.parametrize(
    ("age", "problem", "level"),
    [
        (30, None, Level.OK),
        (30, "AWS cannot be reached", Level.WARN),
        (1000, None, Level.WARN),
        (90000, None, Level.FAIL),
    ],
)
def test_the_last_pass(
    settings: Settings, tmp_path: Path, age: float, problem: str | None, level: Level
) -> None:
    settings.state.mkdir()
    host = os.uname().nodename
    PassNote(settings.state, host, "1", lambda: NOW - age).ended(problem)
    (finding,) = cron(settings, tmp_path, None).last_pass()
    assert finding.level is level


def test_a_pass_that_never_was_is_told(settings: Settings, tmp_path: Path) -> None:
    (finding,) = cron(settings, tmp_path, None).last_pass()
    assert "none yet" in finding.message


# ---- the whole ----


def test_a_check_that_breaks_keeps_none_from_its_turn() -> None:
    def broken() -> list[Finding]:
        raise ZeroDivisionError("oh")

    found = list(examined([("one", broken), ("two", lambda: [ok("two", "fine")])]))
    assert levels(found) == {"one": Level.FAIL, "two": Level.OK}
    assert "oh" in found[0].message


def test_without_settings_the_doctor_says_so_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--settings", str(tmp_path / "none.toml"), "doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert found["findings"][-1]["check"] == "settings"


def test_a_finding_for_people_has_its_remedy_below() -> None:
    assert list(fail("disk", "it is full", "make room").lines()) == [
        "fail  disk: it is full",
        "      to do: make room",
    ]


def test_status_before_the_first_pass(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.toml"
    file.write_text(
        'site = "dc1"\nbucket = "b"\ntable = "t"\nregion = "r"\nscheduler = "local"\n'
        f'jobs_dir = "{settings.jobs_dir}"\nstate_dir = "{settings.state}"\n'
    )
    assert main(["--settings", str(file), "status"]) == 0
    said = capsys.readouterr().out
    assert "last pass: none yet" in said
    assert "shared inputs" not in said
    assert "holds 0 allocation(s)" in said
    PassNote(settings.state, "h", "1", time.time)
    assert not settings.state.exists()
