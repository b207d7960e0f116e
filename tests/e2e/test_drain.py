"""The operator's word on a site, on the real stack."""

from __future__ import annotations

import pytest

from lambdas.ports.site_controls import SiteControls
from tests.conftest import DeployedStack
from tests.e2e.site import Site

pytestmark = pytest.mark.emulator

SCRIPT = "#!/bin/bash\necho done\n"


@pytest.fixture
def controls(deployed: DeployedStack) -> SiteControls:
    return SiteControls(deployed.client("dynamodb"), deployed.table)


def test_a_drained_site_finishes_what_it_holds_and_claims_nothing_until_it_resumes(
    site: Site, controls: SiteControls
) -> None:
    site.upload("drain-held", "#!/bin/bash\nwhile [ ! -e go ]; do sleep 0.1; done\n")
    site.wait_for("drain-held", "JOB_RUNNING", between=site.pull)
    try:
        assert controls.drain("dc1").drain
        site.upload("drain-waits", SCRIPT)
        site.wait_for("drain-waits", "JOB_QUEUED")
        (site.jobs_dir / "drain-held/go").touch()
        assert site.run_to_end("drain-held") == "JOB_COMPLETE"
        assert site.word("drain-waits") == "JOB_QUEUED"
        assert controls.read("dc1").drain
    finally:
        assert not controls.resume("dc1").drain
    assert site.run_to_end("drain-waits") == "JOB_COMPLETE"


def test_a_site_may_demand_a_newer_puller(site: Site, controls: SiteControls) -> None:
    site.upload("drain-too-old", SCRIPT)
    site.wait_for("drain-too-old", "JOB_QUEUED")
    try:
        controls.demand_version("dc1", "99.0")
        site.pull(expect=4)
        assert "install the newer one" in site.log
        assert controls.drain("dc1").least_puller_version == "99.0"
        controls.resume("dc1")
    finally:
        controls.demand_version("dc1", None)
    assert site.run_to_end("drain-too-old") == "JOB_COMPLETE"
