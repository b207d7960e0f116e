"""Jobs and allocations of scripts, as Nomad's clients see them."""

from __future__ import annotations

from dataclasses import replace

from job_protocol.job_settings import JobSettings
from job_protocol.states import ClientStatus
from lambdas.rules.nomad_views import allocation_view, job_stub, job_view
from tests.unit.lambdas.examples import NOW, a_job, an_allocation


def test_a_job_has_the_name_that_its_settings_state() -> None:
    job, allocation = a_job(), an_allocation()
    assert job_view(job, allocation, ())["Name"] == job.id
    named = replace(allocation, settings=JobSettings(name="wave"))
    assert job_view(job, named, ())["Name"] == "wave"
    assert job_stub(job)["Name"] == job.id


def test_every_event_of_a_task_is_told_in_words() -> None:
    ended = replace(
        an_allocation(),
        client_status=ClientStatus.FAILED,
        scheduler="slurm",
        scheduler_id="17",
        exit_code=3,
        claimed_at=NOW,
        submitted_at=NOW,
        started_at=NOW,
        ended_at=NOW,
    )
    (state,) = allocation_view(ended, None)["TaskStates"].values()
    assert [event["DisplayMessage"] for event in state["Events"]] == [
        "the puller of site dc1 took it",
        "slurm took it as job 17",
        "the script runs",
        "failed with exit code 3",
    ]
