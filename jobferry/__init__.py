"""What a cloud user imports and types: submit, watch, stop and fetch jobs of an on-premises site.

from jobferry import Client

job = Client(site="dc1").submit("simulation", time_limit="1h")
if job.wait().outcome == "complete":
    job.get("results")
"""

from __future__ import annotations

from jobferry.client import Client
from jobferry.download import Downloaded
from jobferry.errors import (
    CloudRefused,
    CloudUnreachable,
    ConfigurationError,
    Detached,
    JobActive,
    JobferryError,
    JobNotFound,
    LocalFilesDiffer,
    NotPicklable,
    PythonMismatch,
    RemoteError,
    ResultMissing,
    SigningFailed,
    TransferFailed,
    UploadRefused,
    UsageError,
    WaitTimedOut,
)
from jobferry.executor import Executor
from jobferry.job import Job
from jobferry.report import Report
from jobferry.signing import Signing

__version__ = "0.1.0"

__all__ = [
    "Client",
    "CloudRefused",
    "CloudUnreachable",
    "ConfigurationError",
    "Detached",
    "Downloaded",
    "Executor",
    "Job",
    "JobActive",
    "JobNotFound",
    "JobferryError",
    "LocalFilesDiffer",
    "NotPicklable",
    "PythonMismatch",
    "RemoteError",
    "Report",
    "ResultMissing",
    "Signing",
    "SigningFailed",
    "TransferFailed",
    "UploadRefused",
    "UsageError",
    "WaitTimedOut",
]
