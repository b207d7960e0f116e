"""The example of the demonstration: C where there is a compiler, the same in Python elsewhere."""

from __future__ import annotations

import csv
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "heat"
CELL = "2"
WORKING_COMPILER = shutil.which("cc") is not None


def _job_dir(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    shutil.copytree(EXAMPLE / "input", folder)
    shutil.copy(EXAMPLE / "aws-job-run.sh", folder)
    return folder


def _in_python(folder: Path) -> Path:
    subprocess.run([sys.executable, "heat.py", "plate.txt", CELL], cwd=folder, check=True)
    return folder / "results"


def _table(file: Path) -> list[list[float]]:
    rows = [row for row in csv.reader(file.read_text().splitlines()) if row[0] != "seconds"]
    return [[float(value) for value in row] for row in rows]


def _pixels(picture: bytes) -> bytes:
    """The unpacked data of a PNG, whose check sums are right."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    at, data = 8, b""
    while at < len(picture):
        (size,) = struct.unpack_from(">I", picture, at)
        kind, body = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", picture, at + 8 + size) == (zlib.crc32(kind + body),)
        data += body if kind == b"IDAT" else b""
        at += 12 + size
    return zlib.decompress(data)


@pytest.mark.skipif(not WORKING_COMPILER, reason="there is no C compiler (cc) on this machine")
def test_c_and_python_give_the_same_temperatures(tmp_path: Path) -> None:
    folder = _job_dir(tmp_path, "c")
    subprocess.run(["cc", "-O2", "-o", "heat", "heat.c", "-lm"], cwd=folder, check=True)
    subprocess.run(["./heat", "plate.txt", CELL], cwd=folder, check=True)
    compiled, interpreted = folder / "results", _in_python(_job_dir(tmp_path, "python"))
    names = {file.relative_to(compiled) for file in compiled.rglob("*") if file.is_file()}
    assert names == {
        file.relative_to(interpreted) for file in interpreted.rglob("*") if file.is_file()
    }
    for name in (name for name in names if name.suffix == ".csv"):
        ours, theirs = _table(compiled / name), _table(interpreted / name)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert one == pytest.approx(other, abs=0.011)


def test_the_pictures_are_valid_png(tmp_path: Path) -> None:
    results = _in_python(_job_dir(tmp_path, "job"))
    pictures = sorted((results / "pictures").iterdir())
    assert len(pictures) == 8
    width, height = 480, 320
    assert {len(_pixels(picture.read_bytes())) for picture in pictures} == {(width + 1) * height}


def test_a_site_without_a_compiler_runs_the_python_program(tmp_path: Path) -> None:
    folder, tools = _job_dir(tmp_path, "job"), tmp_path / "bin"
    tools.mkdir()
    (tools / "python3").symlink_to(sys.executable)
    for name in ("sh", "hostname"):
        (tools / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    short = (folder / "plate.txt").read_text().replace("seconds      4", "seconds      0.1")
    (folder / "plate.txt").write_text(short)
    done = subprocess.run(
        ["/bin/sh", "aws-job-run.sh"],
        cwd=folder,
        env={**os.environ, "PATH": str(tools)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "No working C compiler" in done.stdout
    assert (folder / "results" / "summary.csv").exists()
