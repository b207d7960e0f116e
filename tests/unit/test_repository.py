"""Rules of the repository that no other tool checks."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
REQUIREMENTS = CHECKOUT / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.txt"))
CODE = (
    "job_protocol",
    "nomad_jobs",
    "lambdas",
    "puller",
    "jobferry",
    "infra",
    "local_cloud",
    "tools",
)
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "core", "manager", "misc"}
MAX_LINES = 350

_IMPORT_EVERYTHING = """
import importlib, importlib.abc, pkgutil, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in allowed or path is not None:
            return None
        if name.startswith("_sysconfigdata_"):  # the standard library's, named for the platform
            return None
        raise ModuleNotFoundError(f"{name} is not installed where boto3 is alone", name=name)

allowed = {*sys.stdlib_module_names, *sys.argv[1].split(",")}
sys.meta_path.insert(0, Refuse())
import job_protocol, puller
for package in (job_protocol, puller):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def _locked(lock: Path) -> set[str]:
    return set(re.findall(r"^([A-Za-z0-9_.-]+)==", lock.read_text(), re.MULTILINE))


def _modules() -> list[Path]:
    return sorted(file for package in CODE for file in (CHECKOUT / package).rglob("*.py"))


def test_the_puller_imports_with_boto3_alone() -> None:
    names = {name.replace("-", "_") for name in _locked(REQUIREMENTS / "puller.txt")}
    allowed = {*names, "dateutil", "job_protocol", "puller"}  # python-dateutil's module
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_EVERYTHING, ",".join(sorted(allowed))],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_puller_is_locked_to_boto3_and_what_boto3_needs() -> None:
    needed = {"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"}
    assert _locked(REQUIREMENTS / "puller.txt") == needed


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_file_names_no_host(lock: Path) -> None:
    assert re.findall(r"\S*://\S*|--(?:extra-)?index-url.*", lock.read_text()) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_has_a_hash(lock: Path) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", lock.read_text(), flags=re.MULTILINE)
    packages = [entry for entry in entries if entry[:1].isalnum()]
    assert packages
    assert [entry.split()[0] for entry in packages if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("source", sorted(REQUIREMENTS.glob("*.in")), ids=lambda path: path.name)
def test_every_required_package_is_locked_at_its_version(source: Path) -> None:
    required = set(
        re.findall(r"^([\w.-]+)(?:\[.*\])?(==[^\s;]+)", source.read_text(), re.MULTILINE)
    )
    lock = source.with_suffix(".txt").read_text()
    assert required
    assert [name + pin for name, pin in required if f"{name}{pin} " not in lock] == []


def test_the_npm_lock_names_no_host() -> None:
    assert "resolved" not in (CHECKOUT / "package-lock.json").read_text()


def test_a_module_is_one_thing() -> None:
    assert [module for module in _modules() if module.stem in VAGUE_NAMES] == []
    lines = {module: len(module.read_text().splitlines()) for module in _modules()}
    assert {module: count for module, count in lines.items() if count > MAX_LINES} == {}


def test_the_versions_of_the_package_agree() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    done = subprocess.run(
        [sys.executable, "-c", "import puller; print(puller.__version__)"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == project["version"]


def test_the_license_is_apache_2() -> None:
    text = (CHECKOUT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
