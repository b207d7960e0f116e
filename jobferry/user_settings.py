"""The user's own settings: a small TOML file that stands behind the environment.

Precedence is option, environment, file, default. The file is `config.toml` in `jobferry` in the
user's configuration directory (`XDG_CONFIG_HOME`, else `~/.config`; `APPDATA` on Windows).
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from jobferry.errors import ConfigurationError, UsageError

VARIABLES = {
    "address": "JOBFERRY_ADDRESS",
    "bucket": "JOBFERRY_BUCKET",
    "site": "JOBFERRY_SITE",
    "stack": "JOBFERRY_STACK",
    "token": "JOBFERRY_TOKEN",
    "via": "JOBFERRY_VIA",
}
"""What the file may say, and the variable that goes before it."""

NOMAD_VARIABLES = {"address": "NOMAD_ADDR", "token": "NOMAD_TOKEN"}
"""What Nomad's command reads, after jobferry's own variables."""

_OUTWEIGHED = {
    "address": ("bucket", "stack"),
    "bucket": ("address", "site", "stack"),
    "site": ("bucket",),
    "stack": ("address", "bucket"),
}
"""A place of the file does not count if the environment names another one by one of these."""


def path_of(environment: Mapping[str, str]) -> Path:
    """Where the file is."""
    base = environment.get("XDG_CONFIG_HOME") or environment.get("APPDATA")
    return (Path(base) if base else Path.home() / ".config") / "jobferry" / "config.toml"


def read_file(path: Path) -> dict[str, str]:
    """What the file says; nothing if there is none.

    Raises:
        ConfigurationError: it cannot be read, or says something that is not known.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}; correct or remove it") from error
    for name, value in content.items():
        if name not in VARIABLES or not isinstance(value, str):
            known = ", ".join(VARIABLES)
            raise ConfigurationError(
                f"{path}: {name!r} must be one of {known}, with a text; correct it"
            )
    return dict(content)


def write(path: Path, name: str, value: str | None) -> None:
    """Set one setting of the file, or take it out with None.

    Raises:
        UsageError: there is no such setting.
        ConfigurationError: the file cannot be read or written.
    """
    if name not in VARIABLES:
        raise UsageError(f"there is no setting {name!r}; choose one of {', '.join(VARIABLES)}")
    settings = read_file(path)
    settings.pop(name, None)
    if value is not None:
        settings[name] = value
    # A JSON string is a TOML string.
    lines = [f"{key} = {json.dumps(settings[key])}\n" for key in sorted(settings)]
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # it may be secret
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("".join(lines))
        part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}") from error


def behind(environment: Mapping[str, str], stated: Mapping[str, str]) -> dict[str, str]:
    """The environment with the file behind it, by the names of `VARIABLES`' values.

    Args:
        environment: the variables.
        stated: what the file says.
    """
    found = {
        VARIABLES[name]: value
        for name in VARIABLES
        if (value := _of_environment(name, environment)) is not None
    }
    for name, value in stated.items():
        if not any(_of_environment(other, environment) for other in _OUTWEIGHED.get(name, ())):
            found.setdefault(VARIABLES[name], value)
    return found


def _of_environment(name: str, environment: Mapping[str, str]) -> str | None:
    nomads = NOMAD_VARIABLES.get(name, "")
    return environment.get(VARIABLES[name]) or environment.get(nomads) or None


def current() -> dict[str, str]:
    """The settings of this process: its environment, and the user's file behind it."""
    return behind(os.environ, read_file(path_of(os.environ)))
