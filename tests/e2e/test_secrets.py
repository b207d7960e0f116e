"""A whole job with known secrets around it: they turn up nowhere but where they are documented.

The token in an artifact's header is the submitter's and has to reach the site: it stands in the
submitter's own `aws-job.json` and in the allocation (docs/protocol.md), and nowhere else.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.artifact_server import artifact_server
from tests.conftest import DeployedStack
from tests.e2e.site import DEAD, Site
from tests.emulator.api_client import ApiClient
from tests.patience import PATIENCE

pytestmark = pytest.mark.emulator

JOB = "secrets"
SCRIPT = """#!/bin/bash
cat /proc/$$/environ /proc/$PPID/environ > environ.txt 2> /dev/null
env > env.txt
for line in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < "$line"; echo; done > processes.txt 2> /dev/null
cat local/data
"""
SECRETS = {
    "access key of the profile": "AKIAPROFILEKEY000001",
    "secret key of the profile": "profile+secret/0123456789abcdefghijklmnop",
    "session token of the profile": "profile-session-token-0123456789",
    "access key of the environment": "AKIAENVIRONKEY000002",
    "secret key of the environment": "environ+secret/0123456789abcdefghijklmnop",
    "session token of the environment": "environ-session-token-0123456789",
    "header of an artifact": "Bearer artifact-header-0123456789",
}


def found_in(text: str, secrets: dict[str, str]) -> list[str]:
    return [name for name, secret in secrets.items() if secret in text]


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """The command lines of every process that lives within the block, as often as one looks."""
    seen: set[str] = set()
    end = threading.Event()

    def look() -> None:
        while not end.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    line = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                    seen.add(line.decode(errors="replace"))
            end.wait(0.02)

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield seen
    finally:
        end.set()
        watch.join()


def with_secrets(site: Site, port: int) -> Site:
    """The site with credentials in a profile, and others in the environment of its puller."""
    aws = site.home / ".aws"
    aws.mkdir()
    (aws / "credentials").write_text(
        "[jobferry]\n"
        f"aws_access_key_id = {SECRETS['access key of the profile']}\n"
        f"aws_secret_access_key = {SECRETS['secret key of the profile']}\n"
        f"aws_session_token = {SECRETS['session token of the profile']}\n"
    )
    return replace(
        site,
        extra_settings={"profile": "jobferry", "artifact_hosts": [f"127.0.0.1:{port}"]},
        environment={
            "AWS_ACCESS_KEY_ID": SECRETS["access key of the environment"],
            "AWS_SECRET_ACCESS_KEY": SECRETS["secret key of the environment"],
            "AWS_SESSION_TOKEN": SECRETS["session token of the environment"],
        },
    )


@contextmanager
def events_of(deployed: DeployedStack) -> Iterator[str]:
    """A queue that gets every event of jobferry."""
    sqs, events = deployed.client("sqs"), deployed.client("events")
    name = f"secrets-{uuid.uuid4().hex[:8]}"
    queue: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["jobferry"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}])
    try:
        yield queue
    finally:
        events.remove_targets(Rule=name, Ids=["queue"])
        events.delete_rule(Name=name)


def caught_events(deployed: DeployedStack, queue: str) -> str:
    sqs = deployed.client("sqs")
    bodies: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while not any(json.loads(body)["detail"]["job"] == JOB for body in bodies):
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        assert time.monotonic() < deadline, "the event of the end does not come"
        bodies += [message["Body"] for message in messages.get("Messages", [])]
    return "\n".join(bodies)


def items_of(deployed: DeployedStack) -> tuple[str, str]:
    """Everything in the table: allocations, and what is not one."""
    pages = deployed.client("dynamodb").get_paginator("scan").paginate(TableName=deployed.table)
    items = [item for page in pages for item in page["Items"]]
    allocations = [item for item in items if item["pk"]["S"].startswith("A#")]
    others = [item for item in items if not item["pk"]["S"].startswith("A#")]
    return repr(allocations), repr(others)


def objects_of(site: Site) -> dict[str, str]:
    return {key: site.get(f"{JOB}/{key}").decode(errors="replace") for key in site.keys(JOB)}


def logs_of(deployed: DeployedStack) -> str:
    """What the functions and the emulator logged."""
    logs, text = deployed.client("logs"), deployed.emulator.log_file.read_text(errors="replace")
    for group in logs.describe_log_groups()["logGroups"]:
        answer = logs.filter_log_events(logGroupName=group["logGroupName"])
        text += "\n".join(event["message"] for event in answer["events"])
    return text


def files_below(*folders: Path) -> dict[str, str]:
    return {
        os.fspath(path): path.read_text(errors="replace")
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_no_secret_leaves_its_place(deployed: DeployedStack, site: Site) -> None:
    maker = ApiClient(deployed.deployment.api_urls[""], deployed.emulator.region)
    token = maker.post("/v1/acl/token", {"Name": "ci", "Scopes": ["read", "submit"]})["SecretID"]
    secrets = SECRETS | {"API token": token}
    user = ApiClient(
        deployed.deployment.api_urls["Tokens"], headers={"Authorization": f"Bearer {token}"}
    )
    with artifact_server() as server, events_of(deployed) as queue, command_lines() as lines:
        server.files["/data"] = b"data\n"
        site = with_secrets(site, server.port)
        artifact = {
            "source": server.url("/data"),
            "headers": {"Authorization": secrets["header of an artifact"]},
        }
        submission = {"ID": JOB, "Script": SCRIPT, "Settings": {"artifacts": [artifact]}}
        user.post("/v1/jobs/script", submission)
        for _ in range(200):
            site.pull()
            if user.get(f"/v1/job/{JOB}/wait", seconds=1)["Status"] == "dead":
                break
        assert site.wait_for(JOB, *DEAD) == "JOB_COMPLETE", site.details(JOB)
        assert server.asked[-1].headers["Authorization"] == secrets["header of an artifact"]
        events = caught_events(deployed, queue)
    objects = objects_of(site)
    allocations, others = items_of(deployed)

    # That the search finds something at all.
    assert "PATH=" in objects["env.txt"]
    assert "aws-job-run.sh" in objects["processes.txt"]
    assert any("puller" in line for line in lines)
    assert JOB in events

    assert found_in("\n".join(lines), secrets) == []
    assert found_in(events, secrets) == []
    assert found_in(others, secrets) == []
    assert found_in(logs_of(deployed), secrets) == []
    assert found_in(site.log, secrets) == []
    kept = {"header of an artifact"}
    assert set(found_in(allocations, secrets)) == kept
    leaks = {key: names for key, text in objects.items() if (names := found_in(text, secrets))}
    assert leaks == {"aws-job.json": [*kept]}
    on_disk = {
        path: names
        for path, text in files_below(site.jobs_dir, site.home / "state").items()
        if (names := found_in(text, secrets))
    }
    assert on_disk == {os.fspath(site.jobs_dir / JOB / "aws-job.json"): [*kept]}
