"""What the embedded default raises. Each message says what happened and what to do next."""

from __future__ import annotations


class LocalCloudError(Exception):
    """Root of everything that the embedded default raises on purpose."""


class EmulatorFailed(LocalCloudError):
    """The emulator did not start, died, or does not answer."""


class SynthesisFailed(LocalCloudError):
    """The CDK app did not synthesize."""


class DeploymentFailed(LocalCloudError):
    """The emulator refused the stack."""


class DemoFailed(LocalCloudError):
    """The demonstration did not go the way a job has to take."""
