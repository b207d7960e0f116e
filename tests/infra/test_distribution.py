"""The rule by which the puller's file follows a deployment, and the outputs that name it."""

from __future__ import annotations

import hashlib
import re

from infra.app import CHECKOUT
from tests.infra.synthesized import rendered, synthesized
from tools.puller_file.cached import puller_file


def test_the_distributor_is_called_when_this_stack_has_changed() -> None:
    template = synthesized()
    rules = template.of_type("AWS::Events::Rule").items()
    ((name, rule),) = [row for row in rules if "EventPattern" in row[1]["Properties"]]
    pattern = rendered(rule["Properties"]["EventPattern"])
    assert pattern == {
        "source": ["aws.cloudformation"],
        "detail-type": ["CloudFormation Stack Status Change"],
        "detail": {
            "stack-id": ["<AWS::StackId>"],
            "status-details": {"status": ["CREATE_COMPLETE", "UPDATE_COMPLETE"]},
        },
    }
    (target,) = rule["Properties"]["Targets"]
    assert rendered(target["Arn"]).startswith("<DistributionDistributorFunction")
    allowed = {
        rendered(row["Properties"])["SourceArn"]
        for row in template.of_type("AWS::Lambda::Permission").values()
        if row["Properties"]["Principal"] == "events.amazonaws.com"
    }
    assert f"<{name}.Arn>" in allowed


def test_the_outputs_say_what_the_file_must_be() -> None:
    outputs = synthesized().outputs()
    built = puller_file(CHECKOUT)
    assert outputs["PullerFileSha256"] == hashlib.sha256(built.path.read_bytes()).hexdigest()
    assert re.fullmatch("[0-9a-f]{64}", outputs["PullerFileSha256"])
    assert outputs["PullerFileKey"] == "_jobferry/puller/jobferry-puller"
