"""Puts the tools of a pass together from the settings."""

from __future__ import annotations

import logging
import os
import pwd
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import botocore.session
from botocore.exceptions import BotoCoreError

from job_protocol.object_keys import SITE_CONTROL_DIR
from puller.administration.jobs_dir_owner import refuse_foreign
from puller.cloud.client_config import client_config
from puller.cloud.queue import CloudQueue
from puller.cloud.s3_bucket import CONNECTIONS, S3Bucket
from puller.errors import CloudRefused, NotNow
from puller.journal import Journal
from puller.schedulers.choose import choose_scheduler
from puller.settings import ENVIRONMENT_PREFIX, Settings
from puller.workplace import Workplace

if TYPE_CHECKING:
    from puller.artifact_staging import ArtifactSources

T = TypeVar("T")
_LOG = logging.getLogger(__name__)

_TABLE_CONNECTIONS = 10
_FOREIGN = ("AWS_", ENVIRONMENT_PREFIX)
_NOT_FOR_JOBS = ("AWS_*", f"{ENVIRONMENT_PREFIX}*")


def open_workplace(settings: Settings) -> Workplace:
    """The tools for passes with these settings.

    Raises:
        SettingsError: the scheduler is not known, or another site uses the jobs directory.
        CloudRefused: there are no usable credentials.
    """
    # botocore, not boto3: nothing of what boto3 adds to it is needed, and it starts faster.
    session = botocore.session.Session(profile=settings.profile)
    making = threading.Lock()  # a session must not make two clients at once

    def client(service: str, connections: int, region: str | None = None) -> Any:
        make: Any = session.create_client
        with making:
            return make(
                service,
                region_name=region or settings.region,
                endpoint_url=settings.endpoint_url,
                config=client_config(proxy=settings.proxy, connections=connections),
            )

    refuse_foreign(settings)
    try:
        dynamodb = client("dynamodb", _TABLE_CONNECTIONS)
    except BotoCoreError as error:
        raise CloudRefused(f"AWS profile {settings.profile or 'default'!r}: {error}") from error

    journal = Journal(settings.state)
    if settings.policy is not None:
        _begin_counting(settings)
    return Workplace(
        settings=settings,
        queue=CloudQueue(dynamodb, settings.table, settings.site),
        bucket=S3Bucket(settings.bucket, lambda: client("s3", CONNECTIONS)),
        scheduler=choose_scheduler(
            settings.scheduler,
            environment=scheduler_environment(settings, os.environ),
            control_root=settings.jobs_dir / SITE_CONTROL_DIR / "alloc",
            timeout=settings.command_timeout,
        ),
        journal=journal,
        installation=journal.installation(),
        clock=time.time,
        login_environment=_Once(lambda: _job_environment(os.environ)),
        artifact_sources=_Once(
            lambda: _artifact_sources(
                settings,
                lambda region: client("s3", CONNECTIONS, region),
                session.get_config_variable("ca_bundle"),
            )
        ),
    )


def _artifact_sources(
    settings: Settings, connect: Callable[[str | None], Any], ca_bundle: str | None
) -> ArtifactSources:
    from puller.artifact_git import GitCheckouts, git_environment  # few jobs name any artifact
    from puller.artifact_hosts import ArtifactHosts
    from puller.artifact_http import HttpDownloads
    from puller.artifact_staging import ArtifactSources
    from puller.cloud.s3_artifacts import S3Artifacts

    hosts = ArtifactHosts.of(settings.artifact_hosts)
    check_policy = None
    if settings.policy is not None:
        from puller.trust.artifact_rule import policy_rule  # only sites with a policy need it

        check_policy = policy_rule(settings.policy, settings.site)
    http = HttpDownloads(
        hosts, proxy=settings.proxy, ca_bundle=ca_bundle, check_policy=check_policy
    )
    commands = scheduler_environment(settings, os.environ)
    return ArtifactSources(
        hosts=hosts,
        http=http,
        s3=S3Artifacts(connect),
        git=GitCheckouts(
            http.addresses,
            git_environment(commands, proxy=settings.proxy, ca_bundle=ca_bundle),
        ),
        bucket=settings.bucket,
        max_bytes=settings.max_artifact_bytes,
        patience=settings.artifact_patience,
    )


def _begin_counting(settings: Settings) -> None:
    """From the first pass with a policy on, runs of signed jobs are counted."""
    from puller.trust.run_counts import RunCounts  # only sites with a policy need it

    try:
        RunCounts(settings.state).since(int(time.time()))
    except NotNow as error:  # what is signed waits; the gate tells why
        _LOG.error("%s", error)


def scheduler_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the scheduler's commands: cron's, less AWS, and what the settings add."""
    own = {name: text for name, text in environment.items() if not name.startswith(_FOREIGN)}
    if settings.path is not None:
        own["PATH"] = settings.path
    return own | dict(settings.scheduler_environment)


class _Once(Generic[T]):
    """Asks or makes something once in the life of the process, whichever thread comes first."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answer: T | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._answer is None:
                self._answer = self._ask()
            return self._answer


def _job_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    from puller.login_environment import login_environment  # only passes that submit need it

    account = list(pwd.getpwuid(os.getuid()))
    account[5] = environment.get("HOME") or account[5]
    return login_environment(
        pwd.struct_passwd(account), language=environment.get("LANG"), without=_NOT_FOR_JOBS
    )
