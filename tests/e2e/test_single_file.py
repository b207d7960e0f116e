"""The single file: the same bytes for the same input, and nothing to install where it runs."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DeployedStack
from tests.e2e.puller_file import FileSite, site_python
from tools.puller_file.build import CHECKOUT, build, write

MAX_BYTES = 3 * 1024 * 1024
IDLE_KIB = 80 * 1024
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss)
"""


def run(
    file: Path, *arguments: str, home: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [site_python(), str(file), *arguments],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def file_site(deployed: DeployedStack, puller_file: Path, tmp_path: Path) -> FileSite:
    """Site `dc1` with the single file and the `local` scheduler."""
    return FileSite.of(
        deployed,
        tmp_path / "home",
        program=puller_file,
    )


def test_the_same_input_gives_the_same_bytes(libraries: Path, tmp_path: Path) -> None:
    copy = tmp_path / "libraries"
    shutil.copytree(libraries, copy, copy_function=shutil.copy)  # other times
    (copy / "bin").mkdir(exist_ok=True)
    (copy / "bin" / "jp.py").write_text("#!/some/other/python\n")
    (copy / "boto3" / "__pycache__").mkdir()
    (copy / "boto3" / "__pycache__" / "x.pyc").write_bytes(b"compiled")
    assert build(copy) == build(libraries)


def test_a_changed_input_gives_other_bytes(libraries: Path, tmp_path: Path) -> None:
    copy = tmp_path / "libraries"
    shutil.copytree(libraries, copy)
    (copy / "six.py").write_text("changed = True\n")
    assert build(copy) != build(libraries)


def test_the_digest_beside_the_file_is_the_files(puller_file: Path) -> None:
    line = puller_file.with_name("jobferry-puller.sha256").read_text()
    assert line == f"{hashlib.sha256(puller_file.read_bytes()).hexdigest()}  jobferry-puller\n"
    assert os.access(puller_file, os.X_OK)


def test_it_is_small_and_holds_the_licenses(puller_file: Path) -> None:
    assert puller_file.stat().st_size < MAX_BYTES
    names = zipfile.ZipFile(puller_file).namelist()
    services = {n.split("/")[3] for n in names if n.startswith("lib/botocore/data/")}
    assert {"s3", "dynamodb", "sts", "sso", "sso-oidc", "endpoints.json"} <= services
    assert "ec2" not in services
    licensed = {n.split("/")[1].partition("-")[0] for n in names if "LICENSE" in n and "-" in n}
    assert {"boto3", "botocore", "s3transfer", "urllib3", "jmespath", "six"} <= licensed


def test_it_runs_without_anything_installed(puller_file: Path, tmp_path: Path) -> None:
    done = run(puller_file, "--version", home=tmp_path / "home")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("jobferry-puller ")


def test_a_foreign_boto3_on_the_way_does_not_disturb_it(
    file_site: FileSite, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for name in ("boto3", "botocore", "puller"):
        (foreign / f"{name}.py").write_text("raise SystemExit('the wrong one')\n")
    file_site.environment["PYTHONPATH"] = str(foreign)
    file_site.pull()


def test_it_takes_a_job_from_the_bucket_and_back(file_site: FileSite) -> None:
    file_site.upload("one-file", "#!/bin/sh\necho moin > out.txt\n")
    assert file_site.run_to_end("one-file") == "JOB_COMPLETE"
    assert file_site.get("one-file/out.txt") == b"moin\n"


def test_it_unpacks_once_even_if_many_start_at_once(puller_file: Path, tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [site_python(), str(puller_file), "--version"],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(4)
    ]
    assert {process.communicate()[0] for process in processes} == {"jobferry-puller 0.1.0\n"}
    cache = tmp_path / ".cache/jobferry/puller"
    digest = hashlib.sha256(puller_file.read_bytes()).hexdigest()
    assert [entry.name for entry in cache.iterdir()] == [digest]
    assert (cache / digest).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["gone", "empty"])
def test_an_unpacked_folder_that_lost_a_file_is_made_again(
    puller_file: Path, tmp_path: Path, damage: str
) -> None:
    run(puller_file, "--version", home=tmp_path)
    folder = next((tmp_path / ".cache/jobferry/puller").iterdir())
    victim = folder / "puller/command.py"
    shutil.rmtree(victim.parent / "__pycache__")
    victim.unlink() if damage == "gone" else victim.write_bytes(b"")
    assert run(puller_file, "--version", home=tmp_path).returncode == 0
    assert victim.stat().st_size > 0
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]


def test_an_unpacked_folder_that_others_can_change_is_refused(
    puller_file: Path, tmp_path: Path
) -> None:
    run(puller_file, "--version", home=tmp_path)
    folder = next((tmp_path / ".cache/jobferry/puller").iterdir())
    folder.chmod(0o777)
    done = run(puller_file, "--version", home=tmp_path)
    assert done.returncode == 3
    assert "is not a folder of yours alone" in done.stderr


def test_versions_that_nobody_starts_any_more_are_removed(
    puller_file: Path, tmp_path: Path
) -> None:
    cache = tmp_path / ".cache/jobferry/puller"
    for name, days in (("old", 20), ("used", 2)):
        (cache / name).mkdir(parents=True)
        (cache / name / "file").touch()
        then = (cache / name).stat().st_mtime - days * 86400
        os.utime(cache / name, (then, then))
    run(puller_file, "--version", home=tmp_path)
    assert not (cache / "old").exists()
    assert (cache / "used").exists()


def test_a_place_to_unpack_that_cannot_be_had_is_told(puller_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = run(puller_file, "--version", home=tmp_path, JOBFERRY_PULLER_CACHE=f"{file}/cache")
    assert done.returncode == 3
    assert "JOBFERRY_PULLER_CACHE" in done.stderr


def test_a_too_old_python_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = CHECKOUT / "tools/puller_file/entry.py"
    ast.parse(entry.read_text(), feature_version=(3, 4))
    monkeypatch.setattr(sys, "hexversion", 0x030608F0)
    with pytest.raises(SystemExit, match=r"Python 3\.11 or later is needed"):
        runpy.run_path(str(entry), run_name="__main__")


def test_writing_replaces_the_file_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "jobferry-puller"
    write(b"old", file)
    with file.open("rb") as still_running:
        write(b"new", file)
        assert still_running.read() == b"old"
    assert file.read_bytes() == b"new"


def test_an_idle_pass_needs_little_memory(file_site: FileSite) -> None:
    file_site.pull()
    assert memory_of_a_pass(file_site) < IDLE_KIB


def test_the_doctor_finds_nothing_to_mend(file_site: FileSite) -> None:
    file_site.environment["PATH"] = f"{fake_crontab(file_site)}:/usr/bin:/bin"
    administer(file_site, "install")
    file_site.pull()
    before = objects(file_site)
    found = json.loads(administer(file_site, "doctor", "--json", "--probe").stdout)
    by_check = {f["check"]: f["level"] for f in found["findings"]}
    assert [f for f in found["findings"] if f["level"] == "fail"] == []
    for check in (
        *("python", "settings", "program", "state_dir", "jobs_dir", "lock_dir", "scheduler"),
        *("start", "last pass", "identity", "reachability", "table: query the queue"),
        *("table: read", "table: write heartbeat", "table: write allocations", "heartbeat"),
        *("bucket: read", "bucket: read versions", "bucket: write"),
        *("probe", "probe: jobs_dir", "probe: module"),
    ):
        assert by_check[check] == "ok", (check, found)
    assert by_check["credentials"] == "warn"  # from the environment, which cron has not
    assert objects(file_site) == before
    assert list((file_site.jobs_dir / ".jobferry/alloc").iterdir()) == []
    assert not (file_site.jobs_dir / ".jobferry/probe").exists()


def memory_of_a_pass(site: FileSite) -> int:
    """KiB of a pass.

    Another process measures: a child's greatest memory includes its parent's at the fork.
    """
    done = subprocess.run(
        [site_python(), "-c", MEASURE, *site.puller, "pass"],
        env=site.cron_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def administer(site: FileSite, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*site.puller, *arguments],
        env=site.cron_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def fake_crontab(site: FileSite) -> Path:
    folder = site.home / "bin"
    folder.mkdir()
    program = folder / "crontab"
    table = site.home / "table"
    program.write_text(
        f"#!/bin/sh\ncase $1 in -l) cat {table};; -r) rm {table};; *) cat > {table};; esac\n"
    )
    program.chmod(0o755)
    table.touch()
    return folder


def objects(site: FileSite) -> Any:
    rows = site.s3.list_object_versions(Bucket=site.bucket).get("Versions", [])
    uploads = site.s3.list_multipart_uploads(Bucket=site.bucket).get("Uploads", [])
    return sorted((row["Key"], row["VersionId"]) for row in rows), uploads
