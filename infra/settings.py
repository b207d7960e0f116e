"""The deployment's settings: what the context in `cdk.json` may say, typed and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, cast

from infra.roles_anywhere_settings import RolesAnywhereSettings, read_roles_anywhere
from job_protocol.elements import MAX_ARRAY

SITE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")
STAGE_NAME = re.compile(r"[a-z][a-z0-9]{0,15}")
PRODUCTION = re.compile(r"prod[0-9]*")
PRINCIPAL_ARN = re.compile(r"arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|[a-z-]+/[\w+=,.@/-]+)")
ISSUER = re.compile(r"https://[^\s?#]+")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

MAX_STAGE_AND_SITE_LENGTH = 25
"""So that `jobferry-STAGE-SITE-ACCOUNT-REGION` is a bucket name (63 characters) in any region."""

MOST_SITES = 32
"""So that all settings together stay below 500 resources (CloudFormation's quotas)."""

LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653)
"""What CloudWatch Logs accepts (API reference, PutRetentionPolicy), up to ten years."""

QUOTA_KEYS = ("active_jobs", "jobs_a_day", "bytes_a_day")
"""Jobs that have not ended; runs, and bytes of their inputs, created in a day of UTC."""

_GIB = 1024**3
_MINUTES_OF_A_DAY = 24 * 60
_LEAST_SILENT_MINUTES = 10

EventTransitions = Literal["end", "all"]
LambdaPlatform = Literal["aws", "host"]


class SettingsError(Exception):
    """The context of the CDK app (`cdk.json`, or `-c KEY=VALUE`) is not valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """The settings of one site.

    Attributes:
        name: the site's name.
        max_upload_files: how many files one upload may have.
        max_upload_bytes: how large one upload may be, in bytes.
        max_array_size: how many elements the array of a job may have.
        keep_days: how long the items of a dead job stay in the job table, in days.
        noncurrent_days: how long overwritten and deleted objects can be got back, in days.
        puller_principals: ARNs of who may assume the puller's role; none means every principal
            of the account whose own policy allows it.
        silent_after_minutes: after how long without a heartbeat the alarm goes off, in minutes.
        roles_anywhere: whose certificates lead to the puller's rights, if any.
        limits: what the site takes of everybody together, by name (`QUOTA_KEYS`).
        submitter_limits: what it takes of each submitter of the API, by name.
    """

    name: str
    max_upload_files: int = 20_000
    max_upload_bytes: int = 100 * _GIB
    max_array_size: int = 10_000
    keep_days: int = 90
    noncurrent_days: int = 90
    puller_principals: tuple[str, ...] = ()
    silent_after_minutes: int = 180
    roles_anywhere: RolesAnywhereSettings | None = None
    limits: tuple[tuple[str, int], ...] = ()
    submitter_limits: tuple[tuple[str, int], ...] = ()

    @property
    def logical_name(self) -> str:
        """The name as a part of a logical id, which has letters and digits only.

        Site names have no capitals, so a capital X for `-` keeps `dc-1` and `dc1` apart.
        """
        return self.name[0].upper() + self.name[1:].replace("-", "X")


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtSettings:
    """Whose JSON Web Tokens the API takes.

    Attributes:
        issuer: the URL of the identity provider.
        audience: for whom its tokens have to be; one of them is enough.
    """

    issuer: str
    audience: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """How callers of the HTTP API may say who they are, beside IAM's signatures.

    Attributes:
        tokens: whether there is a door for API tokens.
        jwt: whose JSON Web Tokens are taken at a door of their own, if any.
    """

    tokens: bool = False
    jwt: JwtSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one deployment.

    Attributes:
        stage: "prod", "prod2", ... keep the data when the stack is removed; any other deletes it.
        sites: the sites, by name.
        event_transitions: "end": an event at the end of a job; "all": one for every state.
        alarm_email: who gets the alarms by mail.
        log_retention_days: how long logs are kept, in days.
        lambda_platform: "aws": Python 3.13 on arm64; "host": this machine's interpreter, for an
            emulator that runs the functions as local processes.
        api: how callers of the HTTP API may say who they are.
        periodic_jobs: whether periodic jobs are launched; without, the launcher is not called.
    """

    stage: str = "prod"
    sites: tuple[SiteSettings, ...] = (SiteSettings(name="dc1"),)
    event_transitions: EventTransitions = "end"
    alarm_email: str | None = None
    log_retention_days: int = 30
    lambda_platform: LambdaPlatform = "aws"
    api: ApiSettings = ApiSettings()
    periodic_jobs: bool = True

    @property
    def keeps_data(self) -> bool:
        """Whether the bucket and the table outlive the stack."""
        return PRODUCTION.fullmatch(self.stage) is not None

    @property
    def stack_name(self) -> str:
        """The CloudFormation stack's name."""
        return "jobferry" if self.stage == "prod" else f"jobferry-{self.stage}"


CONTEXT_KEYS = tuple(field.name for field in fields(Settings))
SITE_KEYS = tuple(field.name for field in fields(SiteSettings) if field.name != "name")


def settings_from_context(get: Callable[[str], object]) -> Settings:
    """Read and check the settings.

    Args:
        get: gives a context value, or None. A value given with `-c KEY=VALUE` is a string; numbers
            and JSON in strings are understood.

    Raises:
        SettingsError: a value is wrong; the message names the key, the value and what is allowed.
    """
    default = Settings()
    given = {key: value for key in CONTEXT_KEYS if (value := get(key)) is not None}
    stage = _matching("stage", given.get("stage", default.stage), STAGE_NAME)
    sites = _sites(given["sites"]) if "sites" in given else default.sites
    for site in sites:
        if len(stage) + len(site.name) > MAX_STAGE_AND_SITE_LENGTH:
            raise SettingsError(
                f"stage {stage!r} and site {site.name!r} together have more than "
                f"{MAX_STAGE_AND_SITE_LENGTH} characters, which makes the bucket's name too long: "
                "shorten one of them"
            )
    email = given.get("alarm_email")
    return Settings(
        stage=stage,
        sites=sites,
        event_transitions=cast(
            EventTransitions,
            _one_of(
                "event_transitions",
                given.get("event_transitions", default.event_transitions),
                ("end", "all"),
            ),
        ),
        alarm_email=None if email in (None, "") else _matching("alarm_email", email, EMAIL),
        log_retention_days=_log_retention(
            given.get("log_retention_days", default.log_retention_days)
        ),
        lambda_platform=cast(
            LambdaPlatform,
            _one_of(
                "lambda_platform",
                given.get("lambda_platform", default.lambda_platform),
                ("aws", "host"),
            ),
        ),
        api=_api(given.get("api", {})),
        periodic_jobs=_boolean("periodic_jobs", given.get("periodic_jobs", default.periodic_jobs)),
    )


def _matching(name: str, value: object, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise SettingsError(f"{name} is {value!r}, which does not match {pattern.pattern}")
    return value


def _boolean(name: str, value: object) -> bool:
    value = {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
    if not isinstance(value, bool):
        raise SettingsError(f"{name} is {value!r}; it must be true or false")
    return value


def _one_of(name: str, value: object, allowed: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise SettingsError(f"{name} is {value!r}; it must be one of: {', '.join(allowed)}")
    return value


def _whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # numbers come through JavaScript, where all are floats
    within = f"at least {least}" if most is None else f"from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise SettingsError(f"{name} is {value!r}; it must be a whole number, {within}")
    if value < least or (most is not None and value > most):
        raise SettingsError(f"{name} is {value}; it must be {within}")
    return value


def _log_retention(value: object) -> int:
    days = _whole_number("log_retention_days", value, 1)
    if days not in LOG_RETENTION_DAYS:
        allowed = ", ".join(map(str, LOG_RETENTION_DAYS))
        raise SettingsError(f"log_retention_days is {days}; CloudWatch Logs accepts: {allowed}")
    return days


def _json(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise SettingsError(f"{name} is not valid JSON: {error}") from error


def _api(value: object) -> ApiSettings:
    given = _known("api", _json("api", value), ("tokens", "jwt"))
    tokens, jwt = given.get("tokens", False), given.get("jwt")
    if not isinstance(tokens, bool):
        raise SettingsError(f"tokens of api is {tokens!r}; it must be true or false")
    if jwt is None:
        return ApiSettings(tokens=tokens)
    stated = _known("jwt of api", jwt, ("issuer", "audience"))
    audience = stated.get("audience")
    audience = [audience] if isinstance(audience, str) else audience
    if not isinstance(audience, Sequence) or not audience or not all(audience):
        raise SettingsError("audience of jwt of api must name at least one audience")
    return ApiSettings(
        tokens=tokens,
        jwt=JwtSettings(
            issuer=_matching("issuer of jwt of api", stated.get("issuer"), ISSUER),
            audience=tuple(str(one) for one in audience),
        ),
    )


def _known(name: str, value: object, keys: Sequence[str]) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{name} is {value!r}; it must be an object of settings, or {{}}")
    if unknown := sorted(set(value) - set(keys)):
        raise SettingsError(
            f"{name} has the unknown setting {', '.join(map(repr, unknown))}; "
            f"known are: {', '.join(keys)}"
        )
    return value


def _sites(value: object) -> tuple[SiteSettings, ...]:
    value = _json("sites", value)
    if not isinstance(value, Mapping) or not value:
        raise SettingsError(
            f'sites is {value!r}; it must name at least one site, as in {{"dc1": {{}}}}'
        )
    if len(value) > MOST_SITES:
        raise SettingsError(
            f"sites names {len(value)} sites, and a deployment has room for {MOST_SITES}: deploy "
            "the others as a stage of their own (`-c stage=prod2`)"
        )
    return tuple(_site(name, value[name]) for name in sorted(value))


def _site(name: str, given: object) -> SiteSettings:
    _matching("the name of a site", name, SITE_NAME)
    if not isinstance(given, Mapping):
        raise SettingsError(
            f"site {name!r} is {given!r}; it must be an object of settings, or {{}}"
        )
    if unknown := sorted(set(given) - set(SITE_KEYS)):
        raise SettingsError(
            f"site {name!r} has the unknown setting {', '.join(map(repr, unknown))}; "
            f"known are: {', '.join(SITE_KEYS)}"
        )
    default = SiteSettings(name=name)

    def number(key: str, least: int, most: int | None = None) -> int:
        value = given.get(key, getattr(default, key))
        return _whole_number(f"{key} of site {name!r}", value, least, most)

    return SiteSettings(
        name=name,
        max_upload_files=number("max_upload_files", 1),
        max_upload_bytes=number("max_upload_bytes", 1),
        max_array_size=number("max_array_size", 1, MAX_ARRAY),
        keep_days=number("keep_days", 1),
        noncurrent_days=number("noncurrent_days", 1),
        puller_principals=_principals(name, given.get("puller_principals", [])),
        silent_after_minutes=number(
            "silent_after_minutes", _LEAST_SILENT_MINUTES, _MINUTES_OF_A_DAY
        ),
        roles_anywhere=_roles_anywhere(name, given.get("roles_anywhere")),
        limits=_quota(name, "limits", given.get("limits", {})),
        submitter_limits=_quota(name, "submitter_limits", given.get("submitter_limits", {})),
    )


def _quota(site: str, key: str, value: object) -> tuple[tuple[str, int], ...]:
    name = f"{key} of site {site!r}"
    given = _known(name, value, QUOTA_KEYS)
    return tuple((key, _whole_number(f"{key} of {name}", given[key], 1)) for key in sorted(given))


def _roles_anywhere(site: str, value: object) -> RolesAnywhereSettings | None:
    if value is None:
        return None
    try:
        return read_roles_anywhere(value)
    except ValueError as error:
        raise SettingsError(f"roles_anywhere of site {site!r}: {error}") from error


def _principals(site: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise SettingsError(f"puller_principals of site {site!r} is {value!r}; it must be a list")
    name = f"a principal in puller_principals of site {site!r}"
    return tuple(_matching(name, arn, PRINCIPAL_ARN) for arn in value)
