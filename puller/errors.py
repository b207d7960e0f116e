"""The puller's exceptions. Each message says what happened, to what, and what to do next."""

from __future__ import annotations


class PullerError(Exception):
    """Root of everything that the puller raises on purpose."""


class SettingsError(PullerError):
    """The settings file, an environment variable or a flag is wrong. Exit code 3."""


class HeldElsewhere(PullerError):
    """Another process or another host runs this installation at the moment."""


class CloudUnreachable(PullerError):
    """AWS cannot be reached or does not answer; what is on disk waits for the next pass."""


class CloudRefused(PullerError):
    """AWS answered with a refusal (credentials, rights, a missing bucket). Exit code 4."""


class UnsafePath(PullerError):
    """A path that would leave its job directory."""


class Refused(PullerError):
    """The site's policy refuses a job for good; the message is the rule that it breaks."""


class NotNow(PullerError):
    """The site's policy keeps a job waiting, or cannot be asked; the next pass tries again."""


class StagingError(PullerError):
    """The inputs of one allocation cannot be staged, now or ever.

    Attributes:
        final: whether trying again cannot help.
    """

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


class ArtifactRefused(PullerError):
    """An artifact that this site may not fetch, that is not there, or that is not what it says."""


class ArtifactUnavailable(PullerError):
    """An artifact cannot be fetched now: the network, or the server that has it."""


class SchedulerError(PullerError):
    """Root of what a scheduler adapter raises."""


class SchedulerUnavailable(SchedulerError):
    """The scheduler failed, hung or answered nonsense: no evidence of anything."""


class SubmissionRefused(SchedulerError):
    """The scheduler refused the submission, and repeating it cannot help."""


class SubmissionDeferred(SchedulerError):
    """The scheduler refused for a limit of a queue or a user: no failure, try again later."""


class SubmissionUnknown(SchedulerError):
    """The scheduler may have accepted the submission: ask it before anything else."""
