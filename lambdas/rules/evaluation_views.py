"""What Nomad's clients see as the evaluation that led to an allocation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from job_protocol.allocation import Allocation
from lambdas.rules.file_tree import SCRIPT_TASK
from lambdas.rules.nomad_views import NAMESPACE, nanoseconds

_LAUNCHED = re.compile(r"/periodic-[0-9]+$")


def _trigger(allocation: Allocation) -> str:
    if allocation.attempt:
        return "alloc-failure"
    return "periodic-job" if _LAUNCHED.search(allocation.job) else "job-register"


def evaluation_view(
    allocation: Allocation, groups: Iterable[str] = (SCRIPT_TASK,)
) -> dict[str, Any]:
    """The evaluation that led to an allocation, as Nomad's API shows it.

    jobferry has no evaluations; so one has the allocation's own id and is kept nowhere.

    Args:
        allocation: the allocation.
        groups: the names of the job's task groups.
    """
    return {
        "ID": allocation.id,
        "Namespace": NAMESPACE,
        "Type": "batch",
        "TriggeredBy": _trigger(allocation),
        "JobID": allocation.job,
        "NodeID": "",
        "Priority": allocation.priority,
        "Status": "complete",
        "StatusDescription": "",
        "DeploymentID": "",
        "QueuedAllocations": dict.fromkeys(groups, 0),
        "CreateIndex": 1,
        "ModifyIndex": 1,
        "CreateTime": nanoseconds(allocation.created),
        "ModifyTime": nanoseconds(allocation.created),
    }
