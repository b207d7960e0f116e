"""The client's exceptions. Each message says what happened, to what, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from job_protocol.object_keys import Problem


class JobferryError(Exception):
    """Root of everything that the client raises on purpose.

    Attributes:
        exit_code: what the `jobferry` command exits with.
    """

    exit_code: ClassVar[int] = 1


class UsageError(JobferryError):
    """Arguments that contradict each other or have no meaning."""

    exit_code = 2


class ConfigurationError(JobferryError):
    """Credentials, region, site or bucket are missing or wrong."""

    exit_code = 3


class CloudRefused(JobferryError):
    """AWS answered with a refusal.

    Attributes:
        problems: every reason, a sentence each, where there are several or the first has a place.
    """

    exit_code = 4

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class CloudUnreachable(JobferryError):
    """AWS cannot be reached or has a passing fault; try again."""


class JobNotFound(JobferryError):
    """There is no job, or nothing of it, under this id."""


class JobActive(JobferryError):
    """The job is still waiting or running, so it cannot be submitted again."""


class WaitTimedOut(JobferryError):
    """The job had not ended when the time was up."""


class TransferFailed(JobferryError):
    """A file could not be read, written or transferred; calling again goes on."""


class SigningFailed(JobferryError):
    """Nothing was signed: no key, no `ssh-keygen`, or it refused."""

    exit_code = 3


class LocalFilesDiffer(JobferryError):
    """Files that were changed here would be overwritten by a download."""


class NotPicklable(JobferryError):
    """A function or its arguments cannot travel to the site."""


class PythonMismatch(JobferryError):
    """The site's Python cannot run what this Python has pickled."""


class RemoteError(JobferryError):
    """A call ended on the site with something that cannot be loaded here."""


class ResultMissing(JobferryError):
    """The job has ended, and a call of it has no result."""


class Detached(JobferryError):
    """The call goes on, but this executor does not wait for it any more."""


class UploadRefused(JobferryError):
    """The directory cannot become a job as it stands; nothing was uploaded.

    Attributes:
        problems: every reason.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [f"  {p.key}: {p.problem}; {p.remedy}" for p in self.problems]
        super().__init__("\n".join(["this cannot be submitted, nothing was uploaded:", *lines]))
