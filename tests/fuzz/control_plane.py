"""Targets of the control plane: keys, marks, settings, job files, cron, dispatches, requests."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from job_protocol import object_keys
from job_protocol.artifact_plan import read_artifact
from job_protocol.artifact_source import ArtifactProblem
from job_protocol.cron_expression import CronExpression, time_zone
from job_protocol.cron_fields import CronError
from job_protocol.job_settings import Artifact
from job_protocol.manifest import Manifest, ManifestError
from job_protocol.signed_manifest import SignedManifest, SignedManifestError
from job_protocol.states import Word
from job_protocol.sweep import SweepError, read_sweep
from lambdas.rules.dispatch import Dispatch, child_id, refusal
from lambdas.rules.mark import word_of_body
from lambdas.rules.settings_form import parse_settings
from lambdas.rules.shared_inputs import entries_of, requests_of
from lambdas.rules.submission import content_problems
from lambdas.rules.submission_form import read_submission
from lambdas.rules.upload import Limits, ObjectVersion
from nomad_jobs.job_file.reading import read_job_file
from nomad_jobs.job_file.validation import Clock, admit
from nomad_jobs.run_script.render import JobRefused, render_script
from tests.fuzz.target import Target, text_of
from tests.unit.job_protocol.test_signed_manifest import DOCUMENT as SIGNED_DOCUMENT
from tests.unit.job_protocol.test_signed_manifest import SUM

_DOCUMENTED = Path(__file__).parents[1] / "unit/nomad_jobs/job_file/documented"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_LIMITS = Limits(files=100, size=10**9)
_CLOCK = Clock(parse_cron=CronExpression.parse, time_zone=time_zone)


def stays_inside(path: str) -> None:
    """A path below a folder, whoever joins it to one."""
    parts = PurePosixPath(path).parts
    assert not path.startswith("/"), path
    assert ".." not in parts, path
    assert "\0" not in path, path


def job_ids(data: bytes) -> None:
    job_id = text_of(data)
    if object_keys.job_id_problems(job_id):
        return
    stays_inside(job_id)
    assert len(job_id.encode()) <= object_keys.MAX_JOB_ID_BYTES
    assert not job_id.startswith(object_keys.OWN_PREFIX)
    assert object_keys.job_of_mark(object_keys.status_word_key(job_id)) == job_id


def marks(data: bytes) -> None:
    found = object_keys.job_of_mark(text_of(data))
    assert found is None or found != ""


def input_paths(data: bytes) -> None:
    path = text_of(data)
    if object_keys.input_path_problems("job", [path]):
        return
    stays_inside(path)
    assert path not in object_keys.STATUS_NAMES


def words(data: bytes) -> None:
    assert word_of_body(data) in (None, *Word)


def settings(data: bytes) -> None:
    found, problems = parse_settings("job/aws-job.json", data)
    for problem in problems:
        assert problem.problem
        assert problem.remedy
    for artifact in found.artifacts:
        plan = read_artifact(artifact)
        stays_inside(plan.folder)
    requests, wrong = requests_of("job", found.inputs, "bucket")
    assert wrong or len(requests) == len(found.inputs)
    for request in requests:
        assert not request.shared.source.startswith(object_keys.OWN_PREFIX)
        key = request.shared.source + ("below/it" if request.is_folder else "")
        entries, _ = entries_of(request, [ObjectVersion(key, "v", 1, 0)])
        paths = [entry.path for entry in entries]
        if not object_keys.input_path_problems("job", paths):
            for path in paths:
                stays_inside(path)


def job_file(data: bytes) -> None:
    read = read_job_file(text_of(data), file="job.nomad")
    assert (read.job is None) == bool(read.problems)
    if read.job is not None:
        _admitted(read.job)


def registration(data: bytes) -> None:
    with suppress(ValueError, RecursionError):
        document = json.loads(data)
        if isinstance(document, dict):
            _admitted(document.get("Job", document))


def _admitted(job: object) -> None:
    if not isinstance(job, dict):
        return
    accepted = admit(job, _CLOCK).job
    if accepted is not None:
        assert not object_keys.job_id_problems(accepted["ID"])
        with suppress(JobRefused):
            assert render_script(accepted).startswith(b"#!")


def cron(data: bytes) -> None:
    with suppress(CronError):
        launch = CronExpression.parse(text_of(data)).next(_NOW)
        assert launch is None or launch > _NOW


def zones(data: bytes) -> None:
    with suppress(CronError):
        time_zone(text_of(data))


def artifacts(data: bytes) -> None:
    rows = [*text_of(data).split("\n"), "", "", "", ""]
    options = dict([rows[3].partition("=")[::2]]) if rows[3] else {}
    artifact = Artifact(
        source=rows[0],
        destination=rows[1] or "local/",
        checksum=rows[2] or None,
        options=options,
        headers={"X-A": rows[4]} if rows[4] else {},
        mode="file" if len(data) % 7 == 0 else "any",
    )
    with suppress(ArtifactProblem):
        plan = read_artifact(artifact)
        stays_inside(plan.folder)
        stays_inside(plan.subfolder)
        if plan.file is not None:
            stays_inside(plan.file)
        assert not any(c in value for value in plan.headers.values() for c in "\r\n\0")


def manifest(data: bytes) -> None:
    for read in (Manifest.from_json, Manifest.unpack):
        with suppress(ManifestError):
            found = read(data)
            assert Manifest.from_json(found.to_json()) == found


def dispatch(data: bytes) -> None:
    try:
        meta = json.loads(data)
    except (ValueError, RecursionError):
        meta = {text_of(data): "x"}
    if not isinstance(meta, dict):
        return
    asked = Dispatch(
        meta={key: str(value) for key, value in meta.items()}, id_prefix=text_of(data)[:40]
    )
    job = {"ID": "p", "ParameterizedJob": {"MetaRequired": ["a"], "MetaOptional": ["b"]}}
    if refusal(job, asked, stopped=False) is None:
        assert {"a"} <= set(asked.meta) <= {"a", "b"}
    with suppress(ValueError):
        assert not object_keys.job_id_problems(child_id("p", asked, now=1, random_hex="0" * 8))


def submission(data: bytes) -> None:
    with suppress(ValueError, RecursionError):
        document = json.loads(data)
        found, problems = read_submission(document)
        assert (found is None) == bool(problems)
        if found is not None and not content_problems("job", found, _LIMITS):
            for file in (*found.files, *found.uploads):
                stays_inside(file.path)
                assert file.path not in object_keys.STATUS_NAMES


def sweeps(data: bytes) -> None:
    with suppress(SweepError):
        sweep = read_sweep(data)
        assert sweep.rows
        assert all(len(row) == len(sweep.names) for row in sweep.rows)
        packed = sweep.environment(0, len(sweep.rows))
        assert packed.count(b"\0") == len(sweep.names) * len(sweep.rows)


def signed(data: bytes) -> None:
    with suppress(SignedManifestError):
        document = SignedManifest.parse(data)
        assert document.render() == data
        for jobs in document.jobs:
            for path in (one.path for one in jobs.inputs):
                stays_inside(path)
            for job_id in jobs.ids:
                assert document.covering(job_id) is not None
            for pattern in jobs.patterns:
                assert document.covering(pattern.replace("*", "")) is not None


_SETTINGS = (
    b'{"name": "a", "priority": 70, "time_limit": "1:30:00", "queue": "q", "account": "x",'
    b' "resources": {"cpus": 4, "memory": "4GiB", "nodes": 2, "gpus": 1}, "results": ["out/**"],'
    b' "exclude": ["*.tmp"], "reuse": ["restart/**"], "count": 10, "max_running": 2}',
    b'{"inputs": [{"from": "shared/a.bin", "to": "data/a.bin"}, {"from": "s/b/", "to": "b/"}]}',
    b'{"artifacts": [{"source": "https://example.com/a.tar.gz", "destination": "opt",'
    b' "checksum": "md5:'
    + b"0" * 32
    + b'", "options": {"archive": "tar.gz"}, "headers": {"X": "y"}}]}',
)
_CRON = (b"*/5 * * * *", b"0 0 1 1 * 2030", b"0 30 2 * * fri#3 *", b"@daily", b"0 0 LW * 5L")
_URLS = (
    b"https://example.com/a/b.tar.gz?archive=zip\nlocal/x\nmd5:00000000000000000000000000000000\ndepth=1\ny",
    b"git::https://example.com/r.git//sub?ref=main\nopt/",
    b"s3::https://s3.eu-west-1.amazonaws.com/bucket/key\ndata/",
    b"s3://bucket/prefix/\n",
)

TARGETS = (
    Target("job ids", job_ids, (b"job0001", b"projA/job7", "深/い".encode(), b"a" * 255)),
    Target("keys of marks", marks, (b"job/aws-job-stat.txt", b"aws-job-stat.txt", b"//")),
    Target(
        "paths of inputs",
        input_paths,
        (b"input.txt", b"a/b/c", b"folder/", b"aws-job-run.sh"),
        (b"aws-job-", b"aws-job-stat.txt"),
    ),
    Target("status words", words, tuple(word.body for word in Word)),
    Target("aws-job.json", settings, _SETTINGS, (b'"count":', b'"inputs":', b"Gi", b"1d"), True),
    Target(
        "job files in HCL",
        job_file,
        tuple(path.read_bytes() for path in sorted(_DOCUMENTED.glob("*.nomad"))),
        (b"dynamic", b"for_each", b"<<EOF\n", b"EOF\n", b"var.", b"local.", b"range(", b"%{ if "),
    ),
    Target(
        "jobs in JSON",
        registration,
        tuple(path.read_bytes() for path in sorted(_DOCUMENTED.glob("*.json"))),
        (b'"Periodic":', b'"Tasks":', b'"Config":', b"{}"),
        True,
    ),
    Target("cron expressions", cron, _CRON, (b"L", b"W", b"#", b"/", b"-", b",", b"jan", b"mon")),
    Target("time zones", zones, (b"Asia/Tokyo", b"UTC", b"Europe/Berlin", b"Etc/GMT+9")),
    Target("sources of artifacts", artifacts, _URLS, (b"::", b"//", b"?", b"&", b"@", b"[::1]")),
    Target(
        "manifests",
        manifest,
        (b'[["a","v",1],["b/","v2",0,"shared/b"]]', Manifest(()).pack(), b"[]"),
    ),
    Target(
        "tables of sweeps",
        sweeps,
        (b'alpha,mesh\n0.1,coarse\n0.2,"fine, ""x"""\n', b"\xef\xbb\xbfa\r\n\xe5\x80\xa4\r\n"),
        (b"PATH", b'""', b"LD_A", b"\r"),
    ),
    Target(
        "signed documents",
        signed,
        (SIGNED_DOCUMENT,),
        (b"jobs ", b"job ", b"runs ", b"file ", b"folder ", b"signed ", b"**", SUM.encode()),
    ),
    Target("metadata of dispatches", dispatch, (b'{"a": "1", "b": "2"}', b'{"a": ""}'), (), True),
    Target(
        "submissions",
        submission,
        (
            b'{"ID": "a/b", "Script": "#!/bin/sh\\n", "Settings": {}, "Files": [{"Path": "x",'
            b' "Content": "y"}], "Uploads": [{"Path": "z", "Size": 1, "SHA256": "'
            + b"0" * 64
            + b'"}]}',
        ),
        (b'"Sites":', b'"Path":', b'"PartSize":', b'"Base64":'),
        True,
    ),
)
