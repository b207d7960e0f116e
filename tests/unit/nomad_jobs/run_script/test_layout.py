"""Folders of elements, payloads, artifacts: what lies where in the job directory."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from job_protocol.job_settings import Artifact
from nomad_jobs.run_script.render import JobRefused, render_run
from tests.unit.nomad_jobs.run_script.rendered import (
    ALLOCATION,
    facts,
    job,
    place,
    recording,
    shell,
)


def several(*groups: tuple[str, int], **more: Any) -> dict[str, Any]:
    """A job with these groups (name, count), each of a recording task."""
    made = job(recording(**more))
    (one,) = made["TaskGroups"]
    rows = [{**one, "Name": name, "Count": count} for name, count in groups]
    return {**made, "TaskGroups": rows}


def test_each_element_works_in_a_folder_of_its_own(tmp_path: Path) -> None:
    specification = several(("a b", 2), ("計算", 0), ("c.0", 1))
    allocation = "0f8fad5b-d9cb-469f-a165-708677ffffff"
    run = place(tmp_path / "job", specification, facts(allocation_id=allocation))
    assert run.rendered.settings.count == 3
    told = []
    for index, folder in enumerate(["a b.0", "a b.1", "c.0.0"]):
        assert run.run(index) == (0, "")
        variables = {k.decode(): v.decode() for k, v in run.record(folder)[1].items()}
        assert variables["NOMAD_TASK_DIR"] == f"{run.root}/{folder}/main/local"
        assert variables["NOMAD_ALLOC_DIR"] == f"{run.root}/{folder}/alloc"
        expected = f"{allocation[:30]}{(int(allocation[30:], 16) + index) % 2**24:06x}"
        assert variables["NOMAD_ALLOC_ID"] == expected == str(uuid.UUID(expected))
        told.append((variables["NOMAD_ALLOC_NAME"], variables["NOMAD_ALLOC_INDEX"]))
    assert told == [("job0001.a b[0]", "0"), ("job0001.a b[1]", "1"), ("job0001.c.0[0]", "0")]
    code, said = run.run(3)
    assert (code, "there is no element 3 of 3" in said) == (126, True)


@pytest.mark.parametrize("index", ["x", "$(touch evil)", "a[$(touch evil)]", "-1"])
def test_an_index_that_is_no_number_is_refused(tmp_path: Path, index: str) -> None:
    run = place(tmp_path / "job", several(("a", 2)))
    code, said = run.run(JOBFERRY_ARRAY_INDEX=index)
    assert (code, "no number" in said) == (126, True)
    assert not list(tmp_path.rglob("evil"))


def test_a_leading_zero_does_not_make_an_index_octal(tmp_path: Path) -> None:
    run = place(tmp_path / "job", several(("a", 10)))
    assert run.run(JOBFERRY_ARRAY_INDEX="08") == (0, "")
    assert (run.root / "a.8/main/record").exists()


def test_a_payload_is_there_byte_for_byte(tmp_path: Path) -> None:
    payload = bytes(range(256)) * 3 + b"\n\n"
    one = shell("cat local/in/raw.bin", DispatchPayload={"File": "in/raw.bin"})
    run = place(tmp_path / "job", job(one), facts(payload=payload))
    assert run.run() == (0, "")
    assert (run.root / "alloc/logs/main.stdout.0").read_bytes() == payload


def test_a_payload_cannot_leave_the_allocation(tmp_path: Path) -> None:
    one = shell("true", DispatchPayload={"File": "../../../evil"})
    run = place(tmp_path / "a" / "b" / "job", job(one), facts(payload=b"x"))
    code, said = run.run()
    assert (code, "leads out of the allocation's directory" in said) == (1, True)
    assert run.events() == ["Received", "Setup Failure", "Dead"]
    assert not list(tmp_path.rglob("evil"))


def fetching(*artifacts: dict[str, Any], groups: int = 1, **more: Any) -> tuple[Artifact, ...]:
    specification = several(*[(f"g{n}", 1) for n in range(groups)], Artifacts=list(artifacts))
    return render_run(specification, facts(**more)).settings.artifacts


def test_artifacts_go_to_their_tasks_folder() -> None:
    assert fetching(
        {"GetterSource": "https://example.org/a.tgz"},
        {
            "GetterSource": "s3://bucket/x",
            "RelativeDest": "${NOMAD_TASK_DIR}/in",
            "GetterMode": "dir",
        },
        {
            "GetterSource": "https://example.org/x",
            "RelativeDest": "${NOMAD_ALLOC_DIR}/data/f",
            "GetterMode": "file",
        },
        {
            "GetterSource": "y-${NOMAD_META_v}",
            "RelativeDest": "secrets/",
            "GetterOptions": {"checksum": "md5:00", "archive": "false"},
            "GetterHeaders": {"X": "${NOMAD_JOB_ID}"},
        },
        meta={"v": "1.2"},
    ) == (
        Artifact(source="https://example.org/a.tgz", destination="main/local/"),
        Artifact(source="s3://bucket/x", destination="main/local/in/", mode="dir"),
        Artifact(source="https://example.org/x", destination="alloc/data/f", mode="file"),
        Artifact(
            source="y-1.2",
            destination="main/secrets/",
            checksum="md5:00",
            options={"archive": "false"},
            headers={"X": "job0001"},
        ),
    )


def test_artifacts_of_several_elements_are_fetched_once_and_copied(tmp_path: Path) -> None:
    (first, second) = fetching({"GetterSource": "https://example.org/x"}, groups=2)
    assert first.destination == ".nomad/artifacts/g0/main/local/"
    assert second.destination == ".nomad/artifacts/g1/main/local/"
    one = recording(Artifacts=[{"GetterSource": "https://example.org/x"}])
    run = place(tmp_path / "job", job(one, Count=2))
    fetched = run.root / ".nomad/artifacts" / "work/main/local"
    fetched.mkdir(parents=True)
    (fetched / "data 1").write_text("hello")
    for index in range(2):
        assert run.run(index) == (0, "")
        assert (run.root / f"work.{index}/main/local/data 1").read_text() == "hello"


@pytest.mark.parametrize(
    ("artifact", "why"),
    [
        ({"GetterSource": "https://example.org/x", "RelativeDest": "../../x"}, "leads out"),
        ({"GetterSource": "https://example.org/x", "RelativeDest": "/etc"}, "leads out"),
        ({"GetterSource": "https://example.org/x", "RelativeDest": "../other/local"}, "leads out"),
        ({"GetterSource": "x-${attr.cpu.arch}"}, "only the node knows"),
        ({"GetterSource": "x-${NOMAD_ALLOC_INDEX}"}, "only the node knows"),
        ({"GetterSource": ""}, "has no source"),
        (
            {"GetterSource": "ftp://example.org/x"},
            "never be fetched: 'ftp:.*: sources",
        ),
        (
            {"GetterSource": "https://example.org/x", "GetterOptions": {"checksum": "md5:00"}},
            "never be fetched: .*md5",
        ),
        ({"GetterSource": "https://example.org/x", "GetterMode": "zip"}, "mode"),
    ],
)
def test_artifacts_that_cannot_work_are_refused(artifact: dict[str, Any], why: str) -> None:
    with pytest.raises(JobRefused, match=why):
        fetching(artifact)


def test_a_dispatch_cannot_lead_an_artifact_out() -> None:
    artifact = {"GetterSource": "https://example.org/x", "RelativeDest": "local/${NOMAD_META_v}"}
    with pytest.raises(JobRefused, match="leads out"):
        fetching(artifact, meta={"v": "../../.."})


def test_without_any_id_the_run_says_so(tmp_path: Path) -> None:
    run = place(tmp_path / "job", job(recording()), facts(allocation_id="none"))
    code, said = run.run()
    assert (code, "the allocation has no id" in said) == (126, True)
    assert ALLOCATION not in said
