"""Rules of the way over the API: where it is, what its refusals mean, checksums, documents."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.states import JobStatus, Outcome, Word
from jobferry import script_document
from jobferry.api_address import Address, Via, address_of, via_of
from jobferry.api_client import job_path
from jobferry.api_errors import typed_refusal
from jobferry.api_report import report_of_view
from jobferry.checksums import Checksum, agrees, sha256_parts
from jobferry.element_choice import check_element
from jobferry.errors import (
    CloudRefused,
    CloudUnreachable,
    ConfigurationError,
    JobActive,
    JobferryError,
    JobNotFound,
    UploadRefused,
    UsageError,
)
from jobferry.state_commands import how_it_ended
from jobferry.upload_plan import LocalFile, Signed, Upload
from jobferry.upload_record import Begun, UploadRecord
from jobferry.user_settings import behind, read_file, write

FOUND = {
    "/jobferry/jobferry/api/url": "https://iam.example",
    "/jobferry/jobferry/api/url-tokens": "https://tokens.example",
}


def where(
    via: Via = "auto",
    *,
    address: str | None = None,
    bucket: str | None = None,
    site: str | None = None,
    stack: str | None = None,
    **environment: str,
) -> Address | None:
    return address_of(
        via,
        address=address,
        bucket=bucket,
        site=site,
        stack=stack,
        environment=environment,
        parameter=FOUND.get,
    )


def test_the_api_is_found_by_the_deployments_name_and_by_who_asks() -> None:
    assert where() == Address("https://iam.example", None, stated=False)
    assert where(JOBFERRY_TOKEN="t") == Address("https://tokens.example", "t", stated=False)
    assert where(address="https://a/") == Address("https://a", None, stated=True)
    assert where(JOBFERRY_ADDRESS="https://b") == Address("https://b", None, stated=True)
    assert where(JOBFERRY_ADDRESS="https://b", stack="jobferry") == where()


def test_a_bucket_or_no_deployment_with_an_api_is_s3() -> None:
    assert where(bucket="b") is None
    assert where(JOBFERRY_BUCKET="b") is None
    assert where(JOBFERRY_BUCKET="b", site="dc1") == where()
    assert where(stack="other") is None
    assert where("s3") is None
    with pytest.raises(ConfigurationError, match="no API"):
        where("api", stack="other")
    for contradiction in ({"bucket": "b"}, {"address": "ftp://a"}):
        with pytest.raises(UsageError):
            where("api", **contradiction)
    with pytest.raises(UsageError):
        where("s3", address="https://a")
    with pytest.raises(UsageError, match="no way 'ftp'"):
        via_of("ftp", {})
    assert via_of(None, {"JOBFERRY_VIA": "s3"}) == "s3"


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (404, {"Error": "job not found", "Remedy": "look"}, JobNotFound, 1),
        (409, {"Error": "run 1 of job 'a' is still active", "Remedy": "wait"}, JobActive, 1),
        (400, {"Error": "x", "Problems": [{"Key": "k", "Problem": "p"}]}, CloudRefused, 4),
        (403, {"Error": "Permission denied", "Remedy": "ask"}, CloudRefused, 4),
        (403, {"message": "Forbidden"}, CloudRefused, 4),
        (403, {"message": "The security token is expired"}, ConfigurationError, 3),
        (503, {"message": "Service Unavailable"}, CloudUnreachable, 1),
        (429, {"message": "Too Many Requests"}, CloudUnreachable, 1),
        (429, {"Error": "site dc1 has a limit of 2 jobs", "Remedy": "wait"}, CloudRefused, 4),
        (418, None, CloudRefused, 4),
    ],
)
def test_refusals_become_exit_codes(
    status: int, body: object, kind: type[JobferryError], code: int
) -> None:
    error = typed_refusal(status, json.dumps(body).encode(), "read it", token=False)
    assert (type(error), error.exit_code) == (kind, code)
    assert str(error).startswith("cannot read it: ")


def test_a_limit_of_the_site_is_told_with_its_own_remedy_alone() -> None:
    body = {"Error": "site dc1 has a limit of 2 jobs", "Remedy": "wait until some end"}
    error = typed_refusal(429, json.dumps(body).encode(), "submit it", token=False)
    assert str(error) == "cannot submit it: site dc1 has a limit of 2 jobs; wait until some end"


def test_a_refused_token_is_a_matter_of_configuration() -> None:
    error = typed_refusal(403, b'{"message": "Forbidden"}', "read it", token=True)
    assert isinstance(error, ConfigurationError)


def test_job_ids_in_paths() -> None:
    assert job_path("計算 A/b", "events") == "/v1/job/%E8%A8%88%E7%AE%97%20A/b/events"
    with pytest.raises(UsageError, match="--via s3"):
        job_path("what?")


# ---- checksums ----


@given(st.binary(max_size=50), st.integers(1, 20))
def test_whole_and_composite_checksums_agree_with_their_content_alone(
    content: bytes, part: int
) -> None:
    sums = sha256_parts(io.BytesIO(content), part)
    assert len(sums) == max(1, -(-len(content) // part))
    together = hashlib.sha256(b"".join(map(bytes.fromhex, sums))).digest()
    composite = f"{base64.b64encode(together).decode()}-{len(sums)}"
    crc = base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()
    whole = base64.b64encode(hashlib.sha256(content).digest()).decode()
    checksums = [Checksum("SHA256", whole), Checksum("CRC32", crc)]
    if content:
        checksums.append(Checksum("SHA256", composite, part))
    for checksum in checksums:
        assert agrees(io.BytesIO(content), len(content), checksum) is True
        other = content + b"x"
        assert agrees(io.BytesIO(other), len(other), checksum) is not True
    assert agrees(io.BytesIO(content), len(content), Checksum("CRC64NVME", "x")) is None


# ---- documents ----


def _upload(folder: Path, **files: bytes) -> Upload:
    found = []
    for name, content in files.items():
        path = folder / name
        path.write_bytes(content)
        found.append(LocalFile(name.replace("_", "."), path, len(content), 0o755))
    return Upload("a", tuple(found), ("empty/",), b'{"priority": 70}')


def test_small_files_travel_in_the_document_and_large_ones_are_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script_document, "MOST_INLINE", 30)
    monkeypatch.setattr(script_document, "PART", 20)
    script = tmp_path / "run"
    script.write_text("#!/bin/sh\n")
    upload = _upload(tmp_path, text=b"text", raw=b"\xff", middle=b"m" * 15, big=b"b" * 45)
    upload = Upload(
        "a",
        (LocalFile("aws-job-run.sh", script, 10, 0o755), *upload.files),
        upload.folders,
        upload.settings,
    )
    document = script_document.script_document(upload)
    assert document.body["Script"] == "#!/bin/sh\n"
    assert document.body["Files"] == [
        {"Path": "raw", "Mode": "0755", "Content": "/w==", "Encoding": "base64"},
        {"Path": "text", "Mode": "0755", "Content": "text"},
        {"Path": "aws-job.json", "Content": '{"priority": 70}'},
        {"Path": "empty/", "Content": ""},
    ]
    middle, big = document.body["Uploads"]
    assert middle["SHA256"] == hashlib.sha256(b"m" * 15).hexdigest()
    assert (big["PartSize"], len(big["PartSHA256"])) == (20, 3)
    assert list(document.announced) == ["middle", "big"]
    (tmp_path / "big").write_bytes(b"c" * 45)
    assert script_document.script_document(upload).fingerprint != document.fingerprint
    monkeypatch.setattr(script_document, "MOST_ANNOUNCED", 1)
    with pytest.raises(UploadRefused, match="--via s3"):
        script_document.script_document(upload)


def test_what_was_signed_travels_byte_for_byte_and_in_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = _upload(tmp_path, **{"aws-job-run_sh": b"#!/bin/sh\n", "text": b"text"})
    signed = Upload(
        "a", upload.files, (), b'{"priority":70 }', Signed("dc1", b"document\n", b"signature\n")
    )
    files = script_document.script_document(signed).body["Files"]
    assert {row["Path"]: row["Content"] for row in files} == {
        "text": "text",
        "aws-job.json": '{"priority":70 }',
        "aws-job-signed.txt": "document\n",
        "aws-job-signed.txt.sig": "signature\n",
    }
    monkeypatch.setattr(script_document, "MOST_INLINE", 30)
    with pytest.raises(UploadRefused, match=r"aws-job-signed.txt.*--via s3"):
        script_document.script_document(signed)


def test_a_begun_upload_is_remembered_until_it_is_over(tmp_path: Path) -> None:
    def record(about: str = "content") -> UploadRecord:
        return UploadRecord(tmp_path / "uploads", "https://a", about)

    begun = Begun("job", "dc1", "id", {"big": "upload"})
    with record() as first:
        assert first.read() is None
        first.write(begun)
        with record() as meanwhile:  # another submission of the same files, at the same time
            assert meanwhile.read() is None
            meanwhile.forget()
    with record("other") as other:
        assert other.read() is None
    with record() as again:
        assert again.read() == begun
        again.forget()
        assert again.read() is None
    assert list((tmp_path / "uploads").iterdir()) == []


def test_without_a_place_for_it_nothing_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "uploads").touch()
    with UploadRecord(tmp_path / "uploads", "https://a") as record:
        record.write(Begun("job", "dc1", "id"))
        assert record.read() is None


# ---- reports and settings ----


def test_a_view_of_the_api_is_a_report() -> None:
    job = {
        "ID": "a",
        "Site": "dc1",
        "Word": "JOB_FAILED",
        "Status": "dead",
        "Outcome": "failed",
        "Run": 2,
        "ModifyIndex": 9,
        "Submitted": "2026-01-02T03:04:05Z",
    }
    allocation = {
        "ID": "0123",
        "ExitCode": 3,
        "Reason": "it failed",
        "SiteStatus": "failed",
        "CreateTime": 10**18,
        "TaskStates": {"script": {"Events": [{"Type": "Started", "Time": 10**18}]}},
    }
    report = report_of_view(job, allocation)
    assert (report.word, report.status, report.outcome) == (
        Word.JOB_FAILED,
        JobStatus.DEAD,
        Outcome.FAILED,
    )
    assert (report.exit_code, report.message) == (3, "it failed")
    assert report.allocation["started"] == "2001-09-09T01:46:40Z"
    waiting = report_of_view({**job, "Word": "JOB_QUEUED", "Waiting": ["why"]}, None)
    assert waiting.details["waiting"] == ["why"]


def test_an_array_is_told_as_a_whole_and_not_as_its_first_element() -> None:
    job = {"ID": "a", "Word": "JOB_FAILED", "Status": "dead", "Outcome": "failed", "ExitCode": 9}
    whole = {"started": "2001-09-09T01:46:41Z", "reason": "1 of 2 elements failed: 1"}
    first = {
        "ID": "0",
        "ExitCode": 0,
        "SiteStatus": "complete",
        "TaskStates": {"main": {"Events": [{"Type": "Started", "Time": 10**18}]}},
        "Array": {"count": 2, "whole": whole},
    }
    groups = [{"Name": "g", "Count": 1}, {"Name": "h", "Count": 1}]
    of_nomad = report_of_view({**job, "TaskGroups": groups}, first)
    assert of_nomad.allocation["array"]["groups"] == [["g", 1], ["h", 1]]
    report = report_of_view(job, first)
    assert {name: report.allocation[name] for name in whole} == whole
    assert report.allocation["array"] == {"count": 2}
    assert (report.exit_code, report.allocation["client_status"]) == (9, "failed")
    runs = {"ID": "a", "Word": "JOB_RUNNING", "Status": "running"}
    assert report_of_view(runs, first).allocation["client_status"] == "running"


def test_an_element_is_stated_for_an_array_and_for_nothing_else() -> None:
    array = report_of_view({"ID": "a"}, {"ID": "0", "Array": {"count": 2}})
    other = report_of_view({"ID": "a"}, {"ID": "0"})
    check_element(1, array)
    check_element(None, other)
    check_element(1, report_of_view({"ID": "a"}, None))  # nothing is known yet
    for element, report, said in (
        (None, array, "--element 0 to 1"),
        (2, array, "0 to 1"),
        (0, other, "no array"),
    ):
        with pytest.raises(UsageError, match=said):
            check_element(element, report)


def test_the_end_of_a_job_is_said_once() -> None:
    def told(**view: object) -> str:
        job = {"ID": "a", "Word": "JOB_FAILED", "Outcome": "failed", **view}
        return how_it_ended(report_of_view(job, {"ID": "0", "ExitCode": 3}))

    assert told() == "failed, exit code 3"
    assert told(Message="failed with exit code 3") == "failed with exit code 3"
    assert told(Message="out of memory") == "failed, exit code 3: out of memory"


def test_a_remedy_names_commands_and_a_problem_is_said_once() -> None:
    row = {"Key": "job", "Problem": "no such job", "Remedy": "GET /v1/jobs lists them"}
    body = {"Error": row["Problem"], "Remedy": row["Remedy"], "Problems": [row]}
    error = typed_refusal(404, json.dumps(body).encode(), "read it", token=False)
    assert str(error) == "cannot read it: no such job; `jobferry job status` lists them"
    more = {"Key": "x", "Problem": "bad", "Remedy": "see GET /v1/job/ID/allocations"}
    body["Problems"].append(more)
    error = typed_refusal(404, json.dumps(body).encode(), "read it", token=False)
    assert str(error).splitlines()[1:] == ["  x: bad; see `jobferry job status JOB`"]


def test_the_file_stands_behind_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "jobferry/config.toml"
    assert read_file(path) == {}
    write(path, "site", 'a"b')
    write(path, "via", "s3")
    assert read_file(path) == {"site": 'a"b', "via": "s3"}
    write(path, "site", None)
    assert read_file(path) == {"via": "s3"}
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="no setting 'color'"):
        write(path, "color", "red")
    path.write_text("color = 'red'\n")
    with pytest.raises(ConfigurationError, match="color"):
        read_file(path)


def test_what_names_a_place_in_the_environment_outweighs_the_files_place() -> None:
    stated = {"bucket": "b", "site": "s", "via": "s3"}
    assert behind({}, stated) == {
        "JOBFERRY_BUCKET": "b",
        "JOBFERRY_SITE": "s",
        "JOBFERRY_VIA": "s3",
    }
    assert behind({"JOBFERRY_SITE": "osaka"}, stated) == {
        "JOBFERRY_SITE": "osaka",
        "JOBFERRY_VIA": "s3",
    }
    assert behind({"JOBFERRY_STACK": "x"}, stated)["JOBFERRY_SITE"] == "s"
    assert behind({"NOMAD_ADDR": "https://a"}, {})["JOBFERRY_ADDRESS"] == "https://a"
