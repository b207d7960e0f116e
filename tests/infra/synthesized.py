"""Reads a synthesized template the way the tests ask for it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import aws_cdk as cdk
from aws_cdk.assertions import Template

from infra.app import build, context_of_checkout


@dataclass(frozen=True)
class Synthesized:
    """A template; references in it read as `<Name>` or `<Name.Attribute>`."""

    template: dict[str, Any]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of one type, by logical id."""
        return {
            name: resource
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == kind
        }

    def only(self, kind: str, **wanted: str) -> dict[str, Any]:
        """The properties of the one resource of a type whose rendered properties are as wanted."""
        found = [
            properties
            for resource in self.of_type(kind).values()
            if wanted.items() <= (properties := rendered(resource["Properties"])).items()
        ]
        assert len(found) == 1, f"{len(found)} of {kind} with {wanted}"
        return dict(found[0])

    def outputs(self) -> dict[str, Any]:
        """The rendered values of the outputs."""
        return {name: rendered(row["Value"]) for name, row in self.template["Outputs"].items()}

    def statements(self, role: str) -> dict[str, dict[str, Any]]:
        """The statements of a role or policy whose logical id begins so, by Sid or first action."""
        policies = [
            resource["Properties"]
            for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
            for name, resource in self.of_type(kind).items()
            if name.startswith(role)
        ]
        assert len(policies) == 1, f"{len(policies)} policies of {role}"
        rows = rendered(policies[0]["PolicyDocument"]["Statement"])
        return {row.get("Sid") or as_list(row["Action"])[0]: row for row in rows}


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def rendered(value: Any) -> Any:
    """The value with its intrinsic functions turned into text."""
    if isinstance(value, list):
        return [rendered(row) for row in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": str(name)}:
            return f"<{name}>"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [str(glue), list(parts)]}:
            return glue.join(str(rendered(part)) for part in parts)
    return {key: rendered(row) for key, row in value.items()}


def synthesized(**context: object) -> Synthesized:
    """The template of the real app for a context; Lambda code is not bundled."""
    return _synthesized(json.dumps(context, sort_keys=True))


@lru_cache
def _synthesized(context: str) -> Synthesized:
    with tempfile.TemporaryDirectory(prefix="jobferry-synth-") as outdir:
        app = app_of(json.loads(context), outdir)
        return Synthesized(dict(Template.from_stack(build(app)).to_json()))


def app_of(context: Mapping[str, object], outdir: str) -> cdk.App:
    """An app with CDK's feature flags as in `cdk.json`, but these settings."""
    flags = {key: value for key, value in context_of_checkout().items() if key.startswith("@")}
    return cdk.App(outdir=outdir, context={**flags, **context, "aws:cdk:bundling-stacks": []})
