"""Whether the site's policy lets an artifact come from a host: asked again at each redirect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from puller.errors import ArtifactRefused, ArtifactUnavailable
from puller.trust.bounds import host_problem
from puller.trust.policy import PolicyBroken, load_policy


def policy_rule(path: Path, site: str) -> Callable[[str], None]:
    """What refuses a host that the policy, as it stands at that moment, does not allow.

    Args:
        path: the policy file.
        site: the site, for the message.
    """

    def check(host: str) -> None:
        try:
            policy = load_policy(path)
        except PolicyBroken as broken:
            raise ArtifactUnavailable(str(broken)) from broken
        if (problem := host_problem(host, policy.artifact_hosts)) is not None:
            raise ArtifactRefused(f"refused by the policy of site {site}: {problem}")

    return check
