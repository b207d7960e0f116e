"""The embedded AWS emulator as a subprocess."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from local_cloud.emulator import CHECKOUT, PYTHON, Emulator, free_port
from local_cloud.errors import EmulatorFailed
from local_cloud.isolation import without_aws

pytestmark = pytest.mark.emulator


def test_it_answers_with_the_region_it_was_given(tmp_path: Path) -> None:
    with Emulator(tmp_path / "state", region="eu-west-1") as emulator:
        identity = emulator.client("sts").get_caller_identity()
        assert emulator.client("s3").meta.region_name == "eu-west-1"
    assert identity["Account"] == "000000000000"


def test_stopping_ends_the_process_and_removes_temporary_files(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path / "state")
    emulator.start()
    port = emulator.port
    assert emulator.running()
    emulator.stop()
    assert not emulator.running()
    assert not (tmp_path / "state" / "tmp").exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_without_a_state_directory_nothing_is_left(tmp_path: Path) -> None:
    with Emulator() as emulator:
        assert emulator.state_dir.exists()
    assert not emulator.state_dir.exists()


def test_it_listens_on_loopback_only(emulator: Emulator) -> None:
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("needs /proc/net/tcp to see the listening sockets")
    port = f"{emulator.port:04X}"
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port}")]
    assert listening == [f"0100007F:{port}"]


def test_another_process_finds_and_stops_it(tmp_path: Path) -> None:
    state = tmp_path / "state"
    started = Emulator(state)
    started.start()
    other = Emulator(state)
    assert other.running()
    assert other.endpoint_url == started.endpoint_url
    other.stop()
    assert not started.running()
    started.stop()


def test_starting_twice_keeps_the_first(tmp_path: Path) -> None:
    with Emulator(tmp_path / "state") as first:
        second = Emulator(tmp_path / "state")
        second.start()
        assert second.port == first.port
        assert second.running()


def test_a_dead_emulator_of_an_old_record_is_not_taken_for_running(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "lock").touch()
    (state / "emulator.json").write_text(
        f'{{"pid": {os.getpid()}, "port": 4566, "region": "eu-west-1", "authenticate": false}}'
    )
    emulator = Emulator(state)
    assert not emulator.running()
    emulator.stop()  # would end this very test run if it trusted the pid


def test_a_taken_port_is_an_error_that_names_it(tmp_path: Path) -> None:
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        port = occupant.getsockname()[1]
        with pytest.raises(EmulatorFailed, match=f"127.0.0.1:{port} is already in use"):
            Emulator(tmp_path / "state", port=port).start()


def test_a_missing_installation_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(EmulatorFailed, match="make install"):
        Emulator(tmp_path / "state", python=tmp_path / "nowhere").start()


def test_clients_ignore_the_environment_of_the_caller(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert emulator.client("s3").list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_child_process_reaches_the_emulator_with_the_aws_cli(emulator: Emulator) -> None:
    aws = Path(sys.executable).with_name("aws")
    hostile = {**os.environ, "AWS_PROFILE": "no-such-profile", "AWS_CA_BUNDLE": "/nowhere"}
    done = subprocess.run(
        [str(aws), "s3", "mb", "s3://from-the-command-line"],
        env=without_aws(hostile) | emulator.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "make_bucket: from-the-command-line")


def test_with_authentication_a_user_without_rights_is_refused(tmp_path: Path) -> None:
    with Emulator(tmp_path / "state", authenticate=True) as emulator:
        assert emulator.endpoint_url.startswith("https://")
        iam = emulator.client("iam")
        iam.create_user(UserName="nobody")
        keys = iam.create_access_key(UserName="nobody")["AccessKey"]
        s3 = emulator.client("s3", key=keys["AccessKeyId"], secret=keys["SecretAccessKey"])
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_buckets()
        assert emulator.client("s3").list_buckets()["Buckets"] == []


def test_a_range_of_a_version_is_a_part_of_it(emulator: Emulator) -> None:
    """As S3 has it; MiniStack by itself answers with the whole version."""
    s3 = emulator.client("s3")
    bucket = f"ranges-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": emulator.region}
    )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"another")

    answer = s3.get_object(Bucket=bucket, Key="k", VersionId=first, Range="bytes=2-5")
    assert answer["Body"].read() == b"2345"
    assert answer["ContentRange"] == "bytes 2-5/10"
    assert answer["VersionId"] == first
    whole = s3.get_object(Bucket=bucket, Key="k", VersionId=first)
    assert whole["Body"].read() == b"0123456789"
    with pytest.raises(ClientError, match="InvalidRange"):
        s3.get_object(Bucket=bucket, Key="k", VersionId=first, Range="bytes=10-")


def test_free_port_gives_a_port_that_can_be_bound() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free_port()))


def test_the_emulators_interpreter_is_not_the_projects() -> None:
    assert PYTHON.is_relative_to(CHECKOUT)
    assert PYTHON.parent != Path(sys.executable).parent
