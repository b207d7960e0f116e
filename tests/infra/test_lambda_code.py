from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra import lambda_code
from infra.lambda_code import LocalBundling, Target, installed_requirements, source_hash
from tests.infra.synthesized import synthesized

HOST = lambda_code.target("host")
AWS = lambda_code.target("aws")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with two small packages and no requirement."""
    for package in lambda_code.PACKAGES:
        (tmp_path / package / "inner").mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text(f'"""{package}"""\n')
        (tmp_path / package / "inner" / "__init__.py").touch()
        (tmp_path / package / "__pycache__").mkdir()
        (tmp_path / package / "__pycache__" / "stale.pyc").write_bytes(b"stale")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "lambdas.txt").write_text("# nothing\n")
    return tmp_path


@pytest.fixture
def installations(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Takes pip's place; the requirement files that it was called for."""
    calls: list[Path] = []

    def install(requirements: Path, folder: Path, target: Target) -> None:
        calls.append(requirements)
        (folder / "bin").mkdir(parents=True)
        (folder / "library.py").write_text(f"target = {target.name!r}\n")

    monkeypatch.setattr(lambda_code, "_pip_install", install)
    return calls


def bundled(checkout: Path, output: Path) -> set[str]:
    output.mkdir()
    assert LocalBundling(checkout, HOST).try_bundle(str(output))
    return {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}


def test_the_bundle_holds_the_packages_and_what_they_need(
    checkout: Path, installations: list[Path]
) -> None:
    assert bundled(checkout, checkout / "out") == {
        "job_protocol/__init__.py",
        "job_protocol/inner/__init__.py",
        "lambdas/__init__.py",
        "lambdas/inner/__init__.py",
        "library.py",
        "nomad_jobs/__init__.py",
        "nomad_jobs/inner/__init__.py",
    }


def test_requirements_are_installed_once_even_if_the_source_changes(
    checkout: Path, installations: list[Path]
) -> None:
    bundled(checkout, checkout / "first")
    (checkout / "lambdas" / "new.py").touch()
    assert "lambdas/new.py" in bundled(checkout, checkout / "second")
    assert len(installations) == 1


def test_other_requirements_and_other_targets_are_installed_apart(
    checkout: Path, installations: list[Path]
) -> None:
    first = installed_requirements(checkout, HOST)
    other_target = installed_requirements(checkout, AWS)
    (checkout / "requirements" / "lambdas.txt").write_text("# other\n")
    other_lock = installed_requirements(checkout, HOST)
    assert len({first, other_target, other_lock}) == len(installations) == 3


def test_an_installation_that_failed_leaves_nothing_behind(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(requirements: Path, folder: Path, target: Target) -> None:
        folder.mkdir()
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(lambda_code, "_pip_install", fail)
    with pytest.raises(subprocess.CalledProcessError):
        installed_requirements(checkout, HOST)
    assert list((checkout / lambda_code.CACHE).iterdir()) == []


def test_what_a_faster_process_installed_is_used(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(requirements: Path, folder: Path, target: Target) -> None:
        folder.mkdir()
        digest = lambda_code.requirements_hash(checkout, target)[:16]
        winner = checkout / lambda_code.CACHE / digest
        winner.mkdir()
        (winner / "winner.py").touch()

    monkeypatch.setattr(lambda_code, "_pip_install", overtaken)
    assert [path.name for path in installed_requirements(checkout, HOST).iterdir()] == ["winner.py"]


def test_the_hash_changes_with_sources_names_requirements_and_target_alone(checkout: Path) -> None:
    hashes = [source_hash(checkout, HOST), source_hash(checkout, AWS)]
    source = checkout / "lambdas" / "__init__.py"
    source.write_text("changed")
    hashes.append(source_hash(checkout, HOST))
    source.rename(source.with_name("renamed.py"))
    hashes.append(source_hash(checkout, HOST))
    (checkout / "requirements" / "lambdas.txt").write_text("# other\n")
    hashes.append(source_hash(checkout, HOST))
    assert len(set(hashes)) == len(hashes)
    (checkout / "lambdas" / "__pycache__" / "stale.pyc").write_bytes(b"other")
    assert source_hash(checkout, HOST) == hashes[-1]


def test_in_aws_it_is_always_the_same_platform() -> None:
    assert AWS.runtime.name == "python3.13"
    assert AWS.architecture.name == "arm64"
    assert "manylinux2014_aarch64" in AWS.pip_options


def test_on_the_host_it_is_the_interpreter_that_runs_this() -> None:
    assert HOST.runtime.name == f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert HOST.pip_options == ()


def test_the_code_is_one_asset_for_all_functions() -> None:
    functions = synthesized().of_type("AWS::Lambda::Function").values()
    assert len({str(function["Properties"]["Code"]) for function in functions}) == 1
