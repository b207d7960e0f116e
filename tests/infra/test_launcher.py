"""The schedule that calls the launcher of periodic jobs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.synthesized import rendered, synthesized


@pytest.mark.parametrize(
    ("context", "state"), [({}, "ENABLED"), ({"periodic_jobs": False}, "DISABLED")]
)
def test_the_launcher_is_called_every_minute_unless_it_is_switched_off(
    context: dict[str, Any], state: str
) -> None:
    rules = synthesized(**context).of_type("AWS::Events::Rule").values()
    (rule,) = [row["Properties"] for row in rules if "ScheduleExpression" in row["Properties"]]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", state)
    (target,) = rule["Targets"]
    assert rendered(target["Arn"]).startswith("<LauncherFunction")
    # Whatever a call leaves undone, the next one does.
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 0}
