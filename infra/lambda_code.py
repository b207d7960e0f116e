"""The code of the Lambda functions: their packages and what these need, without Docker."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from infra.settings import LambdaPlatform

PACKAGES = ("job_protocol", "nomad_jobs", "lambdas")
REQUIREMENTS = Path("requirements", "lambdas.txt")
CACHE = Path("build", "lambda-packages")
_FORMAT = "1"
"""Part of every hash: raise it when the bundle is put together in another way."""

_NOT_BUNDLED = ("__pycache__", "*.pyc")
_HOST_ARCHITECTURES = {
    "x86_64": lambda_.Architecture.X86_64,
    "amd64": lambda_.Architecture.X86_64,
    "aarch64": lambda_.Architecture.ARM_64,
    "arm64": lambda_.Architecture.ARM_64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the functions run on.

    Attributes:
        name: tells targets apart in hashes and in the cache.
        runtime, architecture: what the functions are declared with.
        pip_options: makes pip choose the wheels for it.
    """

    name: str
    runtime: lambda_.Runtime
    architecture: lambda_.Architecture
    pip_options: tuple[str, ...]


def target(lambda_platform: LambdaPlatform) -> Target:
    """The target that a deployment's `lambda_platform` names."""
    if lambda_platform == "aws":
        return Target(
            name="aws-python3.13-arm64",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            pip_options=(
                *("--platform", "manylinux2014_aarch64"),
                *("--platform", "manylinux_2_17_aarch64"),
                *("--python-version", "3.13"),
                *("--implementation", "cp"),
            ),
        )
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    machine = platform.machine().lower()
    return Target(
        name=f"host-{sys.platform}-python{version}-{machine}",
        runtime=lambda_.Runtime(f"python{version}", lambda_.RuntimeFamily.PYTHON),
        architecture=_HOST_ARCHITECTURES.get(machine, lambda_.Architecture.X86_64),
        pip_options=(),
    )


def code(checkout: Path, target: Target) -> lambda_.Code:
    """The code asset of all functions; put together only if it is not there yet.

    Args:
        checkout: the folder that holds the packages and `requirements/`.
        target: what the functions run on.
    """
    # CDK wants an image to fall back on; the local bundling never leaves that to it.
    return lambda_.Code.from_asset(
        str(checkout / PACKAGES[0]),
        asset_hash_type=AssetHashType.CUSTOM,
        asset_hash=source_hash(checkout, target),
        bundling=BundlingOptions(
            image=DockerImage.from_registry("none"), local=LocalBundling(checkout, target)
        ),
    )


def source_hash(checkout: Path, target: Target) -> str:
    """A hash of everything that goes into the bundle: names and contents of files, the target."""
    digest = hashlib.sha256(requirements_hash(checkout, target).encode())
    for package in PACKAGES:
        root = checkout / package
        for file in sorted(root.rglob("*")):
            if file.is_file() and not any(file.match(p) for p in _NOT_BUNDLED):
                name = file.relative_to(checkout).as_posix().encode()
                content = file.read_bytes()
                digest.update(b"%d %s %d " % (len(name), name, len(content)))
                digest.update(content)
    return digest.hexdigest()


def requirements_hash(checkout: Path, target: Target) -> str:
    """A hash of the locked requirements and the target."""
    locked = (checkout / REQUIREMENTS).read_bytes()
    return hashlib.sha256(f"{_FORMAT} {target.name} ".encode() + locked).hexdigest()


@jsii.implements(ILocalBundling)
class LocalBundling:
    """Puts the bundle together on this machine.

    Args:
        checkout: the folder that holds the packages and `requirements/`.
        target: what the functions run on.
    """

    def __init__(self, checkout: Path, target: Target) -> None:
        self._checkout = checkout
        self._target = target

    def try_bundle(self, output_dir: str, *_args: object, **_options: object) -> bool:
        """Fill the folder; called by CDK.

        Args:
            output_dir: the empty folder to fill.

        Raises:
            subprocess.CalledProcessError: pip failed; its message is on stderr.
        """
        output = Path(output_dir)
        installed = installed_requirements(self._checkout, self._target)
        shutil.copytree(installed, output, dirs_exist_ok=True)
        ignored = shutil.ignore_patterns(*_NOT_BUNDLED)
        for package in PACKAGES:
            shutil.copytree(self._checkout / package, output / package, ignore=ignored)
        return True


def installed_requirements(checkout: Path, target: Target) -> Path:
    """The folder with the locked requirements for the target; installed once, then kept.

    Raises:
        subprocess.CalledProcessError: pip failed; its message is on stderr.
    """
    cache = checkout / CACHE
    wanted = cache / requirements_hash(checkout, target)[:16]
    if wanted.is_dir():
        return wanted
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="installing-") as temporary:
        folder = Path(temporary, "packages")
        _pip_install(checkout / REQUIREMENTS, folder, target)
        shutil.rmtree(folder / "bin", ignore_errors=True)
        try:
            folder.rename(wanted)
        except OSError:
            if not wanted.is_dir():  # else another process was faster, with the same result
                raise
    return wanted


def _pip_install(requirements: Path, folder: Path, target: Target) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"),
            *("--no-compile", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
            *target.pip_options,
            *("--requirement", str(requirements), "--target", str(folder)),
        ],
        check=True,
        stdout=sys.stderr,
    )
