"""What a pass and a job cost, as exact numbers that do not depend on the machine.

A bound is what was counted when it was set; lower it with every saving. Raising one costs every
user money, so the reason belongs here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.api_calls import drive, submission, usual_calls
from benchmarks.exchange import Exchange
from benchmarks.functions import HANDLERS, ZIP_LIMIT, bundle, import_handler
from benchmarks.idle_pass import MOST_REQUESTS
from benchmarks.rig import Rig, recorded
from local_cloud.deployment import archive
from local_cloud.synthesis import Assembly
from tests.conftest import DeployedStack
from tests.e2e.site import DEAD, Site
from tests.patience import PATIENCE

pytestmark = pytest.mark.emulator

_TRIES = 3

REQUESTS_OF_A_JOB = {
    # Validation: which versions lie under the prefix, and what the script says.
    "intake s3 ListObjectVersions": 1,
    "intake s3 GetObject": 1,
    # The job, once for each status word: S3 cannot tell jobferry's own words from the user's.
    "intake dynamodb GetItem": 4,
    "intake dynamodb TransactWriteItems": 1,
    "intake ssm GetParameter": 2,
    # Claim, submitting, queued, end; whether it is still ours before results are pushed.
    "puller dynamodb UpdateItem": 4,
    "puller dynamodb GetItem": 1,
    "puller s3 GetObject": 1,
    "puller s3 PutObject": 1,
    # Three states: queued, submitted, complete. Each: job and allocation, lease and release,
    # the site's sign of life, two objects.
    "publisher dynamodb GetItem": 6,
    "publisher dynamodb PutItem": 6,
    "publisher dynamodb Query": 3,
    "publisher s3 PutObject": 6,
    "publisher events PutEvents": 1,
}

WRITE_UNITS_OF_A_JOB = {
    "intake": 6,  # two items, doubled by the transaction, and an entry of an index each
    "puller": 5,  # four updates, and the claim takes the entry out of the queue
    "publisher": 12,  # six writes of the job, each with its entry of the list
}

MODULES = {
    "lambdas.intake": 495,
    "lambdas.publisher": 480,
    "lambdas.api": 613,
}
"""What a cold start imports; a new library shows here."""

OF_FEW_REQUESTS = {
    *("pydantic", "aws_lambda_powertools.utilities.idempotency"),
    # Job files, what is made of them, and whatever takes a submission.
    *("nomad_jobs.job_file", "nomad_jobs.run_script", "lambdas.rules.settings_form"),
    *("lambdas.registering", "lambdas.submitting", "lambdas.runs"),
}
NOT_IMPORTED = {
    "lambdas.intake": {"pydantic", "aws_lambda_powertools.event_handler"},
    "lambdas.publisher": {"pydantic", "aws_lambda_powertools.event_handler"},
    "lambdas.api": OF_FEW_REQUESTS,
}

REQUESTS_OF_A_CALL = {
    # The job, its allocation; as it waits: heartbeats, the site's control item, what is ahead.
    "read": ["GetItem", "BatchGetItem", "Query", "BatchGetItem", "Query"],
    "list": ["Query"],
    # Is there such a job? Then its script, and the run.
    "submit": ["GetItem", "PutObject", "TransactWriteItems"],
}
OF_NO_USUAL_CALL = {"pydantic", "nomad_jobs.job_file.reading", "lambdas.registering"}

MODULES_OF_AN_IDLE_PASS = 440
NOT_IN_AN_IDLE_PASS = {
    *("s3transfer", "puller.cloud.large_transfers", "puller.shared_cache"),
    *("sqlite3", "asyncio"),
}

_MODULES = """
import json, sys
from puller.command import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""


@pytest.fixture
def rig(deployed: DeployedStack, tmp_path: Path) -> Iterator[Rig]:
    """The stack with every request recorded; as it was, afterwards."""
    with recorded(deployed.emulator, deployed.deployment, tmp_path) as made:
        made.look_up_units()
        yield made


def _of(exchanges: list[Exchange]) -> Counter[str]:
    return Counter(f"{e.actor} {e.service} {e.operation}" for e in exchanges)


def _excess(counted: Counter[str], bounds: dict[str, int]) -> dict[str, str]:
    return {
        what: f"{number}, at most {bounds.get(what, 0)}"
        for what, number in counted.items()
        if number > bounds.get(what, 0)
    }


def test_an_idle_pass_makes_two_requests_and_writes_one_unit(rig: Rig) -> None:
    site = rig.site("osaka")
    site.pull()
    rig.settle()
    first = len(rig.proxy.exchanges)
    site.pull()
    mine = [e for e in rig.proxy.exchanges[first:] if e.actor == "puller"]
    assert [e.operation for e in mine] == ["UpdateItem", "Query"]
    assert len(mine) <= MOST_REQUESTS
    assert sum(units.total for e in mine for units in e.writes) == 1
    assert sum(e.read_units for e in mine) == 0.5


def test_a_short_job_makes_no_more_requests_and_writes_no_more_than_it_did(rig: Rig) -> None:
    """The best of a few: on a slow machine a state may be shown that another would have passed."""
    site = rig.site("dc1")
    for number in range(1, _TRIES + 1):
        rig.settle()
        first = len(rig.proxy.exchanges)
        _carry(site, rig, f"cost-gate-{number}")
        mine = [e for e in rig.proxy.exchanges[first:] if e.actor != "user" and not e.of_the_site]
        units: Counter[str] = Counter()
        for exchange in mine:
            units[exchange.actor] += sum(write.total for write in exchange.writes)
        excess = _excess(_of(mine), REQUESTS_OF_A_JOB) | _excess(units, WRITE_UNITS_OF_A_JOB)
        if not excess:
            break
    assert excess == {}


def _carry(site: Site, rig: Rig, job_id: str) -> None:
    """One job, each of its states published before the next begins, and never seen running."""
    earlier = _exit_files(site)
    site.upload(job_id, "#!/bin/sh\necho result > result.txt\n")
    site.wait_for(job_id, "JOB_QUEUED")
    rig.settle()
    site.pull()
    deadline = time.monotonic() + PATIENCE
    while not _exit_files(site) - earlier:
        assert time.monotonic() < deadline, f"the job does not end\n{site.log}"
        time.sleep(0.05)
    rig.settle()
    site.wait_for(job_id, *DEAD, between=site.pull)
    rig.settle()


def _exit_files(site: Site) -> set[Path]:
    return set(site.jobs_dir.glob(".jobferry/alloc/*/exit"))


def test_the_functions_fit_into_a_small_zip_archive(assembly: Assembly) -> None:
    assert len(archive(bundle(assembly.directory))) < ZIP_LIMIT


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_cold_start_imports_no_more_than_it_did(assembly: Assembly, handler: str) -> None:
    modules = import_handler(handler, bundle(assembly.directory)).modules
    assert len(modules) <= MODULES[handler]
    assert modules & NOT_IMPORTED[handler] == set()


@pytest.mark.parametrize("name", REQUESTS_OF_A_CALL)
def test_a_warm_call_of_the_api_asks_aws_no_more_than_it_did(
    deployed: DeployedStack, assembly: Assembly, name: str
) -> None:
    job_id = f"cost-{uuid.uuid4().hex}"
    call = usual_calls(job_id, site="osaka")[name]
    if (
        name == "list"
    ):  # what other tests left behind may hold templates, whose children are counted
        call["query"]["after"] = str(int(time.time()))
    driven = drive(
        deployed.emulator,
        bundle(assembly.directory),
        {name: call},
        before=[] if name == "submit" else [submission(job_id, site="osaka")],
    )
    requests = [request.partition(" ")[2] for request in driven.calls[name].requests]
    assert requests == REQUESTS_OF_A_CALL[name]
    assert driven.modules & OF_NO_USUAL_CALL == set()


def test_a_page_of_a_list_is_one_query_whatever_is_asked_for(
    deployed: DeployedStack, assembly: Assembly
) -> None:
    job_id, now = f"cost-{uuid.uuid4().hex}", int(time.time())
    listed = usual_calls(job_id, site="osaka")["list"]
    asked = (
        {"prefix": job_id},
        {"status": "pending"},
        {"outcome": "complete"},
        {"before": str(now + 3600)},
        {"prefix": "no-such-", "status": "dead", "outcome": "lost"},
    )
    calls = {
        str(query): {**listed, "query": {**listed["query"], "after": str(now), **query}}
        for query in asked
    }
    driven = drive(
        deployed.emulator,
        bundle(assembly.directory),
        calls,
        before=[submission(job_id, site="osaka")],
    )
    assert {call.requests for call in driven.calls.values()} == {("dynamodb Query",)}


def test_an_idle_pass_imports_no_more_than_it_did(deployed: DeployedStack, rig: Rig) -> None:
    site = rig.site("osaka")
    site.pull()
    done = subprocess.run(
        [sys.executable, "-c", _MODULES, *site.puller[3:], "pass"],
        env=site.cron_environment(),
        cwd=site.home,
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(done.stdout)
    assert code == 0, done.stderr
    assert len(modules) <= MODULES_OF_AN_IDLE_PASS
    assert set(modules) & NOT_IN_AN_IDLE_PASS == set()
