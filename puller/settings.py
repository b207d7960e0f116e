"""The puller's settings: flag over environment over file over default."""

from __future__ import annotations

import dataclasses
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from puller.errors import SettingsError
from puller.site_attributes import NAME as ATTRIBUTE

ENVIRONMENT_PREFIX = "JOBFERRY_PULLER_"
DEFAULT_FILE = "~/.config/jobferry/puller.toml"
POLICY_DIR = "/etc/jobferry"
_MAX_ATTRIBUTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One site's puller. `puller/settings.example.toml` documents each field.

    Attributes:
        site: the site's name.
        bucket: the site's bucket.
        table: the job table.
        region: the AWS region of both.
        profile: the AWS profile; None leaves it to AWS's own conventions.
        endpoint_url: another endpoint than AWS's, for the embedded cloud.
        scheduler: `slurm`, `sge`, `pbs`, `lsf`, `tcs`, `local`, or `auto` (the one that is there).
        submit_args: arguments for every submission, before the job's own.
        jobs_dir: where job directories lie; compute nodes must see it.
        state_dir: where the journal lies.
        lock_dir: where locks lie, on local disk.
        max_active: how many allocations the puller holds at a time.
        path: PATH for the scheduler's commands, if cron's is not enough.
        scheduler_environment: further variables for the scheduler's commands (SLURM_CONF, ...).
        attributes: what the site tells of itself for constraints: see `puller.site_attributes`.
        proxy: URL of the HTTPS proxy to AWS.
        umask: the umask of everything that the puller writes.
        job_umask: the umask with which jobs run.
        log_level: `DEBUG`, `INFO`, `WARNING` or `ERROR`.
        command_timeout: seconds that a command of the scheduler may take.
        linger_interval: seconds between passes while the puller lingers.
        lost_after: seconds for which nobody must know a job before it counts as lost.
        cache_days: days for which a shared input stays in the cache that no job directory has.
        cache_bytes: bytes to which such shared inputs are trimmed.
        policy_file: what this site allows, whatever the cloud says; None means
            `/etc/jobferry/SITE.toml` if there is one.
        resubmit_after: seconds after a submission of unknown fate before its absence from the
            scheduler's listing counts: a controller may still be working on a request whose
            sender was killed.
        artifact_hosts: from where artifacts may be fetched: see `puller.artifact_hosts`.
        max_artifact_bytes: bytes that one artifact may have, packed or unpacked.
        artifact_patience: seconds for which an artifact that cannot be fetched is tried again.
    """

    site: str
    bucket: str
    table: str
    region: str
    profile: str | None = None
    endpoint_url: str | None = None
    scheduler: str
    submit_args: tuple[str, ...] = ()
    jobs_dir: Path = dataclasses.field(default_factory=lambda: Path("~/aws-job").expanduser())
    state_dir: Path | None = None
    lock_dir: Path | None = None
    max_active: int = 50
    path: str | None = None
    scheduler_environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    proxy: str | None = None
    umask: str = "077"
    job_umask: str = "022"
    log_level: str = "INFO"
    command_timeout: float = 60.0
    linger_interval: float = 1.0
    lost_after: float = 120.0
    resubmit_after: float = 30.0
    cache_days: float = 30.0
    cache_bytes: int = 100 * 1024**3
    artifact_hosts: tuple[str, ...] = ()
    max_artifact_bytes: int = 10 * 1024**3
    artifact_patience: float = 3600.0
    policy_file: Path | None = None

    @property
    def state(self) -> Path:
        """The state directory, by default one for each site."""
        if self.state_dir is not None:
            return self.state_dir
        return Path("~/.local/state/jobferry").expanduser() / self.site

    @property
    def policy(self) -> Path | None:
        """The site's policy file, which need not be readable; None where there is none."""
        if self.policy_file is not None:
            return self.policy_file
        default = Path(POLICY_DIR) / f"{self.site}.toml"
        return default if os.path.lexists(default) else None

    @property
    def locks(self) -> Path:
        """The lock directory, on local disk and of this user alone."""
        if self.lock_dir is not None:
            return self.lock_dir
        return Path("/tmp") / f"jobferry-{os.getuid()}"  # noqa: S108 - checked by puller.lock


_REQUIRED = tuple(
    f.name
    for f in dataclasses.fields(Settings)
    if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
)
_FIELDS = {f.name: f for f in dataclasses.fields(Settings)}
_INTEGERS = {"cache_bytes", "max_active", "max_artifact_bytes"}
_NUMBERS = {
    "artifact_patience",
    "cache_days",
    "command_timeout",
    "linger_interval",
    "lost_after",
    "resubmit_after",
}
_PATHS = {"jobs_dir", "state_dir", "lock_dir", "policy_file"}
_LEAST = {
    "max_active": 1,
    "cache_days": 0,
    "cache_bytes": 0,
    "command_timeout": 1,
    "linger_interval": 0.1,
    "lost_after": 120,
    "resubmit_after": 1,
    "max_artifact_bytes": 1,
    "artifact_patience": 0,
}


def load_settings(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]
) -> Settings:
    """The settings of one puller.

    Args:
        file: the settings file; None means the default one, which need not exist.
        environment: environment variables; `JOBFERRY_PULLER_SITE` sets `site`, and so on.
        flags: values from the command line; None means not given.

    Raises:
        SettingsError: a file, a name or a value is wrong; the message names it.
    """
    values = _from_file(file)
    for name in _FIELDS:
        if (text := environment.get(ENVIRONMENT_PREFIX + name.upper())) is not None:
            values[name] = (f"environment {ENVIRONMENT_PREFIX}{name.upper()}", text)
    values.update({n: ("the command line", v) for n, v in flags.items() if v is not None})
    missing = [name for name in _REQUIRED if name not in values]
    if missing:
        raise SettingsError(
            f"missing settings: {', '.join(missing)}. Write them into "
            f"{file or DEFAULT_FILE} (the deployment prints site, bucket, table and region)"
        )
    return Settings(**{name: _convert(name, *given) for name, given in values.items()})


def _from_file(file: Path | None) -> dict[str, tuple[str, Any]]:
    path = file if file is not None else Path(DEFAULT_FILE).expanduser()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if file is None:
            return {}
        raise SettingsError(f"settings file {path} does not exist") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"settings file {path} cannot be read: {error}") from error
    unknown = sorted(set(document) - set(_FIELDS))
    if unknown:
        raise SettingsError(
            f"settings file {path}: unknown setting {unknown[0]!r}; "
            f"known are {', '.join(sorted(_FIELDS))}"
        )
    return {name: (str(path), value) for name, value in document.items()}


def _convert(name: str, source: str, value: Any) -> Any:
    try:
        converted = _typed(name, value)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{source}: {name} = {value!r}: {error}") from error
    if name in _LEAST and converted < _LEAST[name]:
        raise SettingsError(f"{source}: {name} = {value!r}: at least {_LEAST[name]}")
    return converted


def _typed(name: str, value: Any) -> Any:
    if name in _PATHS:
        path = Path(_text(value)).expanduser()
        if not path.is_absolute():
            raise ValueError("write an absolute path, or one that begins with ~")
        return path
    if name == "submit_args":
        return _arguments(value)
    if name == "artifact_hosts":
        return _hosts(value)
    if name == "scheduler_environment":
        return {_text(key): _text(text) for key, text in dict(value).items()}
    if name == "attributes":
        return _attributes(value)
    if name in _INTEGERS or name in _NUMBERS:
        return _number(name, value)
    text = _text(value)
    if name in ("umask", "job_umask") and not 0 <= int(text, 8) <= 0o777:
        raise ValueError("between 000 and 777")
    if name == "log_level" and text not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("one of DEBUG, INFO, WARNING, ERROR")
    return text


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("write a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("write a finite number")
    if name in _INTEGERS:
        if not number.is_integer():
            raise ValueError("write a whole number")
        return int(number)
    return number


def _arguments(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(_text(argument) for argument in value)


def _hosts(value: Any) -> tuple[str, ...]:
    hosts = _arguments(value)
    if hosts:
        from puller.artifact_hosts import ArtifactHosts  # only where the site allows any

        ArtifactHosts.of(hosts)
    return hosts


def _attributes(value: Any) -> dict[str, str]:
    found = {_text(key): _text(text) for key, text in dict(value).items()}
    wrong = [key for key in found if not ATTRIBUTE.fullmatch(key)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} must begin with attr., meta. or node.")
    if sum(len(key) + len(text) for key, text in found.items()) > _MAX_ATTRIBUTES:
        raise ValueError(f"all together must have at most {_MAX_ATTRIBUTES} characters")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("write it in quotes")
    return value
