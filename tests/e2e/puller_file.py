"""The puller as the one file that a site gets, and a site that runs it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.site import Site
from tools.puller_file.build import CHECKOUT, build, install_libraries, write


def site_python() -> str:
    """The system's own Python where it is new enough: nothing is installed for it."""
    system = "/usr/bin/python3"
    if not Path(system).exists():
        return sys.executable
    done = subprocess.run(
        [system, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False
    )
    return system if done.returncode == 0 else sys.executable


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The locked libraries, installed once."""
    folder = tmp_path_factory.mktemp("libraries")
    install_libraries(folder, CHECKOUT / "requirements" / "puller.txt")
    return folder


@pytest.fixture(scope="session")
def puller_file(libraries: Path) -> Iterator[Path]:
    """The single file, where every user of this machine can read it."""
    with tempfile.TemporaryDirectory(prefix="jobferry-file-") as folder:
        Path(folder).chmod(0o755)
        file = Path(folder, "jobferry-puller")
        write(build(libraries), file)
        yield file


@dataclass
class FileSite(Site):
    """A site whose puller is the single file."""

    program: Path = field(default=Path("jobferry-puller"), kw_only=True)

    @property
    def puller(self) -> list[str]:
        return [site_python(), str(self.program), "--settings", str(self.settings_file)]

    def cron_environment(self) -> dict[str, str]:
        environment = super().cron_environment()
        del environment["PYTHONPATH"]
        return environment | self.environment
