"""The admission rule against an emulated table and bucket."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from job_protocol import identifiers
from job_protocol.elements import Element, Elements, ElementState
from job_protocol.job_settings import JobSettings, Retries
from job_protocol.states import ClientStatus, Desired, JobStatus, Outcome, Role, Word
from lambdas.errors import Conflict, ControlPlaneError
from lambdas.rules.mark import Action
from lambdas.rules.upload import Limits
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import SCRIPT, UserOfASite

pytestmark = pytest.mark.emulator

DAY = 24 * 3600


@pytest.fixture(scope="module")
def clients(emulator: Emulator) -> tuple[Any, Any]:
    return emulator.client("dynamodb"), emulator.client("s3")


@pytest.fixture
def user(clients: tuple[Any, Any], plain_table: str, plain_bucket: str) -> UserOfASite:
    return UserOfASite(*clients, plain_table, plain_bucket)


def _end(user: UserOfASite, job_id: str, status: ClientStatus = ClientStatus.COMPLETE) -> None:
    """Let the job run to its end."""
    user.set_allocation(job_id, client_status=status, token="t", ended_at=user.now)
    user.publish(job_id)
    assert not user.job(job_id).active


# ---- accepted ----


def test_an_accepted_upload_is_a_job_and_an_allocation_of_the_exact_versions(
    user: UserOfASite,
) -> None:
    user.put("job0001/in.txt", b"first")
    new = user.put("job0001/in.txt", b"second")
    script = user.put("job0001/aws-job-run.sh", SCRIPT)
    folder = user.put("job0001/empty/", b"")
    mark = user.put_mark("job0001", Word.FILE_UPLOAD)
    assert user.admission.handle(mark).action is Action.EXAMINE
    user.put("job0001/in.txt", b"not validated")
    assert user.inputs("job0001") == {"in.txt": new, "aws-job-run.sh": script, "empty/": folder}

    job, allocation = user.job("job0001"), user.allocation("job0001")
    assert (job.role, job.status, job.run, job.rev) == (Role.LEAF, JobStatus.PENDING, 1, 1)
    assert (job.upload, job.sequencer) == (mark.version, mark.sequencer)
    assert (job.unpublished, job.announce, job.ttl) == (True, True, None)
    assert allocation.id == identifiers.first_allocation("dc1", "job0001", mark.version)
    assert (allocation.client_status, allocation.desired) == (ClientStatus.PENDING, Desired.RUN)
    assert allocation.token is None


def test_an_accepted_job_waits_in_the_sites_queue_and_list(user: UserOfASite) -> None:
    user.put("job0001/aws-job.json", b'{"priority": 70}')
    user.uploads("job0001")
    allocation = user.allocation("job0001")
    item = user.item(f"A#dc1#{allocation.id[0]}", allocation.id)
    assert item["qpk"] == "Q#dc1"
    assert item["qsk"] == f"2#030#{allocation.created:012d}"
    job = user.item("J#dc1", "job0001")
    assert (job["lpk"], job["lsk"]) == ("L#dc1", f"{job['submitted']:012d}#job0001")


def test_settings_travel_with_the_allocation(user: UserOfASite) -> None:
    settings = {"name": "heat", "retries": {"attempts": 2, "delay": "1m"}, "results": ["図/*"]}
    user.put("job0001/aws-job.json", json.dumps(settings).encode())
    user.uploads("job0001")
    assert user.allocation("job0001").settings == JobSettings(
        name="heat", retries=Retries(attempts=2, delay=60), results=("図/*",)
    )


@pytest.mark.parametrize("job_id", ["解析 2024/ケース 1", "a+b&c", "x/y/z", "100%", "~"])
def test_a_job_id_with_spaces_japanese_and_slashes_is_accepted(
    user: UserOfASite, job_id: str
) -> None:
    user.uploads(job_id, **{"入力 1.txt": b"1"})
    assert set(user.inputs(job_id)) == {"aws-job-run.sh", "入力 1.txt"}


def test_a_manifest_too_large_for_the_item_lies_in_the_bucket(user: UserOfASite) -> None:
    names = {f"input-{n}-{identifiers.next_allocation(str(n))}": b"x" for n in range(40)}
    user.uploads("job0001", **names)
    allocation = user.allocation("job0001")
    assert allocation.manifest is None
    assert allocation.manifest_of == allocation.id
    assert set(user.inputs("job0001")) == {"aws-job-run.sh", *names}


def test_the_same_event_twice_is_one_run(user: UserOfASite) -> None:
    user.put("job0001/aws-job-run.sh", SCRIPT)
    mark = user.put_mark("job0001", Word.FILE_UPLOAD)
    user.admission.handle(mark)
    first = user.job("job0001")
    assert user.admission.handle(mark).action is Action.IGNORE
    assert user.job("job0001") == first


def test_a_word_is_read_where_its_etag_does_not_tell_it(user: UserOfASite) -> None:
    user.put("job0001/aws-job-run.sh", SCRIPT)
    mark = user.put_mark("job0001", b"  FILE_UPLOAD  \n")
    user.admission.handle(replace(mark, etag="0" * 32))
    assert user.job("job0001").active


def test_a_mark_that_is_gone_is_dropped(user: UserOfASite) -> None:
    mark = user.put_mark("job0001", b" FILE_UPLOAD")
    user.s3.delete_object(Bucket=user.bucket, Key=mark.key, VersionId=mark.version)
    assert user.admission.handle(mark).action is Action.IGNORE
    assert user.jobs.job("dc1", "job0001") is None


def test_another_key_is_no_mark(user: UserOfASite) -> None:
    mark = user.put_mark("job0001", Word.FILE_UPLOAD, key="job0001/my-aws-job-stat.txt")
    assert user.admission.handle(mark).action is Action.IGNORE


# ---- rejected ----


def _assert_rejected(user: UserOfASite, job_id: str) -> None:
    job = user.job(job_id)
    assert (job.status, job.outcome, job.word) == (
        JobStatus.DEAD,
        Outcome.REJECTED,
        Word.FILE_REJECTED,
    )
    assert job.unpublished
    assert job.announce
    assert job.current is None
    assert all(reason.key and reason.problem and reason.remedy for reason in job.reasons)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (None, "is missing"),
        (b"", "is empty"),
        (b"#!/bin/sh\r\necho\r\n", "CRLF"),
        (b"\xef\xbb\xbf#!/bin/sh\n", "byte order mark"),
        (b"echo\n", "no shebang"),
        (b"#!/bin/sh\n" + b"#" * (4 << 20), "at most 4194304"),
    ],
    ids=["missing", "empty", "CRLF", "BOM", "no shebang", "too large"],
)
def test_a_bad_script_is_rejected(user: UserOfASite, script: bytes | None, why: str) -> None:
    user.limits = Limits(files=50, size=1 << 30)
    if script is not None:
        user.put("job0001/aws-job-run.sh", script)
    user.says("job0001", Word.FILE_UPLOAD)
    _assert_rejected(user, "job0001")
    assert why in user.reasons("job0001")["job0001/aws-job-run.sh"]
    assert user.job("job0001").role is Role.REJECTED
    assert user.job("job0001").ttl == user.now + 7 * DAY


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b'{"prioriti": 1}', "unknown setting 'prioriti'"),
        (b'{"time_limit": "1:30"}', "time_limit: "),
        (b'{"resources": {"cpus": 1' + b"0" * 60 + b"}}", "resources.cpus: "),
        (b" " * 300_000, "more than 262144 bytes"),
        (b'{"reuse": ["\\ud800"]}', "not valid JSON"),
    ],
)
def test_bad_settings_are_rejected(user: UserOfASite, settings: bytes, why: str) -> None:
    user.put("job0001/aws-job.json", settings)
    user.uploads("job0001")
    _assert_rejected(user, "job0001")
    assert why in user.reasons("job0001")["job0001/aws-job.json"]


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (["d", "d/x"], "is a file, and other keys lie under it"),
        (["d//x"], "empty path segment"),
        (["aws-job-mine.txt"], "a name of the protocol"),
        (["sub/aws-job-stat.json"], "a name of the protocol"),
        (["a\tb"], "control character U+0009"),
        (["x" * 256], "more than 255 bytes"),
    ],
)
def test_a_bad_key_is_rejected(user: UserOfASite, keys: list[str], why: str) -> None:
    for key in keys:
        user.put(f"job0001/{key}")
    user.uploads("job0001")
    _assert_rejected(user, "job0001")
    assert why in user.reasons("job0001")[f"job0001/{keys[0]}"]


def test_an_input_newer_than_the_mark_is_rejected(user: UserOfASite) -> None:
    user.put("job0001/aws-job-run.sh", SCRIPT)
    mark = user.put_mark("job0001", Word.FILE_UPLOAD)
    time.sleep(1.1)  # S3 tells times in whole seconds.
    user.put("job0001/late.txt")
    user.admission.handle(mark)
    _assert_rejected(user, "job0001")
    assert "uploaded after aws-job-stat.txt" in user.reasons("job0001")["job0001/late.txt"]
    # The mark is put again, as the remedy says.
    user.says("job0001", Word.FILE_UPLOAD)
    assert user.job("job0001").active
    assert user.job("job0001").reasons == ()


def test_an_upload_over_the_sites_limits_is_rejected(user: UserOfASite) -> None:
    user.limits = Limits(files=2, size=50)
    user.uploads("job0001", a=b"x" * 60, b=b"x")
    _assert_rejected(user, "job0001")
    told = " ".join(reason.problem for reason in user.job("job0001").reasons)
    assert "at most 2" in told
    assert "at most 50" in told


def test_a_prefix_with_too_many_versions_is_rejected_without_reading_on(user: UserOfASite) -> None:
    user.limits = Limits(files=-200, size=50)
    user.uploads("job0001")
    _assert_rejected(user, "job0001")
    assert "object versions lie under the prefix" in user.reasons("job0001")["job0001/"]


def test_every_reason_is_told_at_once(user: UserOfASite) -> None:
    user.put("job0001/aws-job-run.sh", b"echo\r\n\0")
    user.put("job0001/aws-job.json", b'{"priority": 0, "colour": 1}')
    for key in ("d", "d/x", "aws-job-mine"):
        user.put(f"job0001/{key}")
    user.says("job0001", Word.FILE_UPLOAD)
    told = [(reason.key, reason.problem) for reason in user.job("job0001").reasons]
    assert len(told) == len(set(told)) == 7


def test_thousands_of_reasons_still_fit_the_table(user: UserOfASite) -> None:
    user.limits = Limits(files=10_000, size=1_000_000)
    settings = {f"{n:05d}{'x' * 20}": 1 for n in range(8_000)}
    user.put("job0001/aws-job.json", json.dumps(settings, separators=(",", ":")).encode())
    user.uploads("job0001")
    _assert_rejected(user, "job0001")
    assert "more problems are not listed here" in user.job("job0001").reasons[-1].problem


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("/aws-job-stat.txt", "under no prefix"),
        ("aws-job-stat.txt", "under no prefix"),
        ("//aws-job-stat.txt", "under no prefix"),
        ("a//aws-job-stat.txt", "empty path segment"),
        ("_jobferry/x/aws-job-stat.txt", "jobferry's own folder"),
        ("aws-job-x/aws-job-stat.txt", "which the protocol reserves"),
        ("a/plan/aws-job-stat.txt", "a word of the API"),
        ("x" * 300 + "/aws-job-stat.txt", "more than 255 bytes"),
        ("/".join(["x" * 250] * 4) + "/aws-job-stat.txt", "longer than 512 bytes"),
    ],
)
def test_a_mark_in_a_bad_place_is_answered_where_it_lies(
    user: UserOfASite, key: str, why: str
) -> None:
    user.admission.handle(user.put_mark("", Word.FILE_UPLOAD, key=key))
    rows = user.dynamodb.scan(TableName=user.table)["Items"]
    job_id = rows[0]["sk"]["S"]
    _assert_rejected(user, job_id)
    assert any(why in reason.problem for reason in user.job(job_id).reasons)
    user.publish(job_id)
    answer = user.s3.get_object(Bucket=user.bucket, Key=key)
    assert answer["Body"].read() == b"FILE_REJECTED\n"
    assert why in json.dumps(user.status_document(job_id))


# ---- the tree of job ids ----


def test_a_job_inside_another_jobs_prefix_is_rejected(user: UserOfASite) -> None:
    user.uploads("a/b")
    user.uploads("a/b/c")
    _assert_rejected(user, "a/b/c")
    assert user.reasons("a/b/c") == {"a/b/c": "job id 'a/b/c' lies inside the job 'a/b'"}
    assert user.job("a/b").active


def test_the_answer_to_a_mark_in_a_jobs_folder_does_not_spoil_its_next_upload(
    user: UserOfASite,
) -> None:
    user.uploads("a/b")
    _end(user, "a/b")
    user.uploads("a/b/c", **{"in.txt": b"1"})
    mark, details = "a/b/c/aws-job-stat.txt", "a/b/c/aws-job-stat.json"
    # Before the answer is there, the mark is the user's own file of a name that no input has.
    user.uploads("a/b")
    assert set(user.reasons("a/b")) == {mark}
    user.publish("a/b/c")
    assert user.status_word("a/b/c") == b"FILE_REJECTED\n"
    user.uploads("a/b")
    assert set(user.inputs("a/b")) == {"aws-job-run.sh", "c/aws-job-run.sh", "c/in.txt"}
    user.says("a/b", Word.JOB_STOP)
    user.publish("a/b")
    user.put_mark("a/b/c", Word.FILE_UPLOAD)
    user.uploads("a/b")
    assert set(user.reasons("a/b")) == {mark, details}


def test_a_folder_of_other_jobs_is_no_job(user: UserOfASite) -> None:
    user.uploads("a/b/c")
    for folder in ("a", "a/b"):
        user.uploads(folder)
        _assert_rejected(user, folder)
        assert "is a folder of other jobs" in user.reasons(folder)[folder]
        assert user.job(folder).role is Role.FOLDER
        assert user.job(folder).ttl is None
    user.uploads("a/d")
    assert user.job("a/d").active


def test_jobs_side_by_side_do_not_disturb_each_other(user: UserOfASite) -> None:
    for job_id in ("a/b", "a/bc", "a/b c", "ab"):
        user.uploads(job_id)
        assert user.job(job_id).active


def test_a_rejected_upload_holds_no_place_in_the_tree(user: UserOfASite) -> None:
    user.says("a", Word.FILE_UPLOAD)
    _assert_rejected(user, "a")
    rejected = user.job("a")
    user.uploads("a/b")
    assert user.job("a/b").active
    folder = user.job("a")
    assert folder.role is Role.FOLDER
    # It is a change like any other: who read the rejection must not take it for unchanged, and
    # an answer that was not yet published still comes.
    assert folder.rev > rejected.rev
    assert folder.unpublished
    with pytest.raises(Conflict):
        user.jobs.replace_job(rejected, replace(rejected, role=Role.LEAF, rev=2))


def test_a_rejected_upload_leaves_no_folders(user: UserOfASite) -> None:
    user.says("a/b", Word.FILE_UPLOAD)
    assert user.jobs.job("dc1", "a") is None


def test_a_job_that_was_stopped_at_once_holds_its_place_too(user: UserOfASite) -> None:
    user.put("a/b/aws-job-run.sh", SCRIPT)
    upload, stop = (user.put_mark("a/b", word) for word in (Word.FILE_UPLOAD, Word.JOB_STOP))
    user.admission.handle(stop)
    user.admission.handle(upload)
    assert user.job("a/b").role is Role.LEAF
    user.uploads("a")
    _assert_rejected(user, "a")


# ---- runs after the first ----


def _result(user: UserOfASite, job_id: str, path: str) -> str:
    return user.put_result(job_id, path, identifiers.result_mark(user.site, job_id, path))


def test_a_second_run_does_not_take_results_for_inputs(user: UserOfASite) -> None:
    user.uploads("job0001", **{"in.txt": b"1"})
    first = user.inputs("job0001")
    _result(user, "job0001", "out/a.txt")
    _result(user, "job0001", "新しい図.png")
    user.put("job0001/aws-job-stdout.txt", b"log")
    _end(user, "job0001")
    old = user.job("job0001")
    user.says("job0001", Word.FILE_UPLOAD)
    job = user.job("job0001")
    assert user.inputs("job0001") == first
    assert (job.run, job.rev, job.created) == (2, old.rev + 1, old.created)
    assert (job.status, job.outcome, job.finished, job.ttl) == (JobStatus.PENDING, None, None, None)
    assert job.current != old.current
    assert user.allocation("job0001").run == 2


def test_what_a_job_wrote_over_an_input_does_not_hide_the_users_version(user: UserOfASite) -> None:
    user.uploads("job0001", **{"grid.dat": b"the user's"})
    first = user.inputs("job0001")
    for _ in range(3):
        _result(user, "job0001", "grid.dat")
    _end(user, "job0001")
    user.says("job0001", Word.FILE_UPLOAD)
    assert user.inputs("job0001") == first


def test_what_the_user_wrote_over_a_result_is_an_input(user: UserOfASite) -> None:
    user.uploads("job0001")
    _result(user, "job0001", "out.txt")
    _end(user, "job0001")
    users = user.put("job0001/out.txt", b"corrected")
    user.says("job0001", Word.FILE_UPLOAD)
    assert user.inputs("job0001")["out.txt"] == users


def test_what_the_user_deleted_stays_away(user: UserOfASite) -> None:
    user.uploads("job0001", gone=b"1")
    _end(user, "job0001")
    user.s3.delete_object(Bucket=user.bucket, Key="job0001/gone")
    user.says("job0001", Word.FILE_UPLOAD)
    assert set(user.inputs("job0001")) == {"aws-job-run.sh"}


def test_earlier_results_that_the_user_names_are_inputs(user: UserOfASite) -> None:
    user.put("job0001/aws-job.json", b'{"reuse": ["restart/**"]}')
    user.uploads("job0001")
    kept = _result(user, "job0001", "restart/step 9/state")
    _result(user, "job0001", "out.txt")
    _end(user, "job0001")
    user.says("job0001", Word.FILE_UPLOAD)
    inputs = user.inputs("job0001")
    assert inputs["restart/step 9/state"] == kept
    assert set(inputs) == {"aws-job-run.sh", "aws-job.json", "restart/step 9/state"}


def test_settings_that_a_job_wrote_over_do_not_count(user: UserOfASite) -> None:
    user.put("job0001/aws-job.json", b'{"priority": 70}')
    user.uploads("job0001")
    _result(user, "job0001", "aws-job.json")
    _end(user, "job0001")
    user.says("job0001", Word.FILE_UPLOAD)
    assert user.allocation("job0001").settings.priority == 70


def test_a_result_that_the_user_copied_elsewhere_is_an_input_there(user: UserOfASite) -> None:
    user.uploads("job0001")
    _result(user, "job0001", "out.txt")
    _end(user, "job0001")
    for target in ("job0001/in.txt", "job0002/out.txt"):
        source = {"Bucket": user.bucket, "Key": "job0001/out.txt"}
        user.s3.copy_object(Bucket=user.bucket, Key=target, CopySource=source)
        copied = user.s3.head_object(Bucket=user.bucket, Key=target)
        assert copied["Metadata"], "S3 copies the metadata too, which is what this is about"
    user.says("job0001", Word.FILE_UPLOAD)
    assert set(user.inputs("job0001")) == {"aws-job-run.sh", "in.txt"}
    user.uploads("job0002")
    assert set(user.inputs("job0002")) == {"aws-job-run.sh", "out.txt"}


def test_results_are_known_even_when_the_table_has_forgotten_the_job(user: UserOfASite) -> None:
    user.uploads("job0001")
    _result(user, "job0001", "out.txt")
    _end(user, "job0001")
    key = {"pk": {"S": "J#dc1"}, "sk": {"S": "job0001"}}
    user.dynamodb.delete_item(TableName=user.table, Key=key)
    user.says("job0001", Word.FILE_UPLOAD)
    assert set(user.inputs("job0001")) == {"aws-job-run.sh"}
    assert user.job("job0001").run == 1


def test_a_rejected_second_upload_says_so_and_the_third_is_run_two(user: UserOfASite) -> None:
    user.uploads("job0001")
    _end(user, "job0001")
    user.put("job0001/aws-job-run.sh", b"")
    user.says("job0001", Word.FILE_UPLOAD)
    rejected = user.job("job0001")
    assert (rejected.word, rejected.role, rejected.run) == (Word.FILE_REJECTED, Role.LEAF, 1)
    user.uploads("job0001")
    assert (user.job("job0001").run, user.job("job0001").reasons) == (2, ())


def test_a_file_upload_for_an_active_job_changes_nothing_but_says_why(user: UserOfASite) -> None:
    user.uploads("job0001")
    before, allocation = user.job("job0001"), user.allocation("job0001")
    assert user.says("job0001", Word.FILE_UPLOAD).action is Action.REASSERT
    after = user.job("job0001")
    assert user.allocation("job0001") == allocation
    assert after == replace(
        before, rev=before.rev + 1, note=after.note, sequencer=after.sequencer, unpublished=True
    )
    assert "still active" in (after.note or "")
    user.publish("job0001")
    assert user.status_word("job0001") == b"JOB_QUEUED\n"
    assert "still active" in user.status_document("job0001")["note"]


def test_another_text_gets_the_jobs_word_back_or_a_rejection(user: UserOfASite) -> None:
    user.says("job0002", b"FILE_UPLAOD\n")
    _assert_rejected(user, "job0002")
    user.uploads("job0001")
    for garbage in (b"please run", b"", b"\xff\xfe\0", b"x" * 100_000):
        user.says("job0001", garbage)
        user.publish("job0001")
        assert user.status_word("job0001") == b"JOB_QUEUED\n"
    assert "neither FILE_UPLOAD nor JOB_STOP" in user.status_document("job0001")["note"]


def test_another_text_takes_no_outcome_from_a_run_that_has_ended(user: UserOfASite) -> None:
    user.uploads("job0001")
    _end(user, "job0001", ClientStatus.FAILED)
    ended = user.job("job0001")
    for garbage in (b"done, thanks\n", b""):
        assert user.says("job0001", garbage).action is Action.REASSERT
        user.publish("job0001")
        assert user.status_word("job0001") == b"JOB_FAILED\n"
    after = user.job("job0001")
    assert (after.outcome, after.finished, after.ttl) == (Outcome.FAILED, ended.finished, ended.ttl)
    document = user.status_document("job0001")
    assert document["outcome"] == "failed"
    assert "neither FILE_UPLOAD nor JOB_STOP" in document["note"]
    user.says("job0001", Word.JOB_RETRY)
    assert user.job("job0001").run == 2


# ---- JOB_STOP ----


def test_a_job_that_nobody_claimed_is_stopped_at_once(user: UserOfASite) -> None:
    user.uploads("job0001")
    assert user.says("job0001", Word.JOB_STOP).action is Action.STOP
    allocation = user.allocation("job0001")
    assert (allocation.client_status, allocation.desired) == (ClientStatus.STOPPED, Desired.STOP)
    assert (allocation.ended_at, allocation.ttl) == (user.now, user.now + 7 * DAY)
    assert {"qpk", "qsk"}.isdisjoint(user.item(f"A#dc1#{allocation.id[0]}", allocation.id))
    user.publish("job0001")
    assert user.status_word("job0001") == b"JOB_STOPPED\n"


@pytest.mark.parametrize(
    "status",
    [
        ClientStatus.STARTING,
        ClientStatus.QUEUED,
        ClientStatus.RUNNING,
        ClientStatus.PUBLISHING,
    ],
)
def test_a_claimed_job_is_stopped_by_its_puller(user: UserOfASite, status: ClientStatus) -> None:
    user.uploads("job0001")
    user.set_allocation("job0001", client_status=status, token="t")
    user.says("job0001", Word.JOB_STOP)
    allocation = user.allocation("job0001")
    assert (allocation.client_status, allocation.desired) == (status, Desired.STOP)
    item = user.item(f"A#dc1#{allocation.id[0]}", allocation.id)
    assert (item["qpk"], item["qsk"]) == ("Q#dc1", f"1#{user.now:012d}")
    job = user.job("job0001")
    assert job.active
    assert "has been asked to stop" in (job.note or "")


@pytest.mark.parametrize("status", [status for status in ClientStatus if status.terminal])
def test_a_stop_at_the_end_of_a_run_keeps_the_end_and_allows_no_further_attempt(
    user: UserOfASite, status: ClientStatus
) -> None:
    user.put("job0001/aws-job.json", b'{"retries": {"attempts": 3}}')
    user.uploads("job0001")
    user.set_allocation("job0001", client_status=status, token="t", ended_at=user.now)
    user.says("job0001", Word.JOB_STOP)
    current = user.job("job0001").current
    user.publish("job0001")
    job = user.job("job0001")
    assert not job.active
    assert job.current == current
    assert job.outcome == Outcome(status.value)
    assert "no other follows" in (job.note or "")


def test_a_stop_of_a_dead_job_changes_nothing_but_says_so(user: UserOfASite) -> None:
    user.uploads("job0001")
    _end(user, "job0001")
    user.says("job0001", Word.JOB_STOP)
    assert user.job("job0001").outcome is Outcome.COMPLETE
    user.publish("job0001")
    assert user.status_word("job0001") == b"JOB_COMPLETE\n"
    assert "had ended before" in user.status_document("job0001")["note"]


def test_a_stop_without_a_job_is_answered(user: UserOfASite) -> None:
    user.says("job0001", Word.JOB_STOP)
    _assert_rejected(user, "job0001")
    assert "no job to stop" in user.reasons("job0001")["job0001/aws-job-stat.txt"]


def test_a_stop_that_overtakes_its_file_upload_stops_it(user: UserOfASite) -> None:
    user.put("job0001/aws-job-run.sh", SCRIPT)
    upload = user.put_mark("job0001", Word.FILE_UPLOAD)
    stop = user.put_mark("job0001", Word.JOB_STOP)
    user.admission.handle(stop)
    user.admission.handle(upload)
    job = user.job("job0001")
    assert (job.status, job.outcome, job.current) == (JobStatus.DEAD, Outcome.STOPPED, None)
    for again in (stop, upload):
        assert user.admission.handle(again).action is Action.IGNORE
    user.publish("job0001")
    assert user.status_word("job0001") == b"JOB_STOPPED\n"
    user.says("job0001", Word.FILE_UPLOAD)
    assert user.job("job0001").active


def test_a_stop_that_overtakes_the_second_file_upload_stops_that_run_only(
    user: UserOfASite,
) -> None:
    user.uploads("job0001")
    _end(user, "job0001")
    upload = user.put_mark("job0001", Word.FILE_UPLOAD)
    user.says("job0001", Word.JOB_STOP)
    user.admission.handle(upload)
    job = user.job("job0001")
    assert (job.run, job.outcome) == (2, Outcome.STOPPED)


# ---- JOB_RETRY ----


def _fail(user: UserOfASite, job_id: str, **attributes: object) -> None:
    user.set_allocation(job_id, client_status=ClientStatus.FAILED, **attributes)
    user.publish(job_id)


def test_a_retry_runs_what_was_recorded_once_however_often_it_is_delivered(
    user: UserOfASite,
) -> None:
    user.uploads("job0001", **{"in.txt": b"1"})
    recorded, first = user.inputs("job0001"), user.allocation("job0001")
    user.put("job0001/in.txt", b"2")
    _fail(user, "job0001")
    retry = user.put_mark("job0001", Word.JOB_RETRY)
    assert user.admission.handle(retry).action is Action.RETRY
    job = user.job("job0001")
    assert (job.run, job.active, user.inputs("job0001")) == (2, True, recorded)
    assert user.allocation("job0001").id != first.id
    assert user.admission.handle(retry).action is Action.IGNORE
    assert user.job("job0001") == job


def test_a_retry_that_a_stop_has_overtaken_does_not_run_and_can_be_asked_for_again(
    user: UserOfASite,
) -> None:
    user.uploads("job0001")
    _fail(user, "job0001")
    retry = user.put_mark("job0001", Word.JOB_RETRY)
    user.says("job0001", Word.JOB_STOP)
    user.admission.handle(retry)
    assert (user.job("job0001").run, user.job("job0001").outcome) == (2, Outcome.STOPPED)
    assert user.says("job0001", Word.JOB_RETRY).action is Action.RETRY
    assert (user.job("job0001").run, user.job("job0001").active) == (3, True)


def test_the_retry_of_an_array_keeps_its_complete_elements_and_its_origin(
    user: UserOfASite,
) -> None:
    user.put("job0001/aws-job.json", b'{"count": 3}')
    user.uploads("job0001")
    first = user.allocation("job0001")
    states = (ElementState.COMPLETE, ElementState.FAILED, ElementState.STOPPED)
    vector = Elements(tuple(Element(state) for state in states))
    _fail(user, "job0001", elements=vector.pack())
    for _ in range(2):  # the second time, the first retry was stopped before anybody had it
        user.says("job0001", Word.JOB_RETRY)
        again = user.allocation("job0001")
        assert again.known_elements is not None
        assert (again.known_elements.to_run, again.continues) == ((1, 2), first.id)
        user.says("job0001", Word.JOB_STOP)
        user.publish("job0001")


# ---- the job's item ----


def test_a_lease_at_work_stays_and_one_that_has_run_out_goes(user: UserOfASite) -> None:
    user.uploads("job0001")
    for until, kept in ((user.now + 30, True), (user.now, False)):
        job = user.job("job0001")
        user.jobs.replace_job(job, replace(job, lease="publisher", lease_until=until))
        user.says("job0001", Word.FILE_UPLOAD)
        # The stream passes over a job with a lease: only a publisher at work looks at it again.
        assert (user.job("job0001").lease is not None) == kept


def test_an_item_of_a_newer_version_is_left_alone(user: UserOfASite) -> None:
    user.uploads("job0001")
    job = user.job("job0001")
    user.jobs.replace_job(job, replace(job, v=2))
    with pytest.raises(ControlPlaneError, match="has version 2"):
        user.says("job0001", Word.JOB_STOP)
    assert user.allocation("job0001").desired is Desired.RUN


def test_a_job_that_keeps_changing_is_left_to_the_next_delivery(
    user: UserOfASite, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.uploads("job0001")
    stale = user.job("job0001")
    user.says("job0001", Word.FILE_UPLOAD)
    jobs = type(user.jobs)
    monkeypatch.setattr(jobs, "job", lambda *_: stale)
    with pytest.raises(Conflict, match="kept changing"):
        user.says("job0001", Word.JOB_STOP)
