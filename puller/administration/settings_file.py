"""Writes single settings into a settings file and leaves the rest of it, comments included."""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from puller.errors import SettingsError
from puller.settings import Settings, load_settings

_TABLE = re.compile(r"^\s*\[", re.MULTILINE)
_SAMPLE = re.compile(r"^(?=[a-z_]+ *=)", re.MULTILINE)
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def parsed(text: str, source: str) -> dict[str, Any]:
    """The settings in a text.

    Raises:
        SettingsError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source} cannot be read: {error}") from error


def edited(text: str, values: Mapping[str, Any], source: str) -> str:
    """The text with these settings in it.

    A setting that stands there is replaced in its line, one that stands there as a comment comes
    into its place, any other one is added before the first table.

    Args:
        text: a settings file.
        values: settings by name.
        source: how messages call the file.

    Raises:
        SettingsError: the file is written in a way that cannot be edited by program.
    """
    before = parsed(text, source)
    for name, value in values.items():
        if name not in before or before[name] != value:
            text = _set(text, name, f"{name} = {_toml(value)}", active=name in before)
    try:
        after = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        after = None
    if after != {**before, **values}:
        raise SettingsError(f"{source}: set {', '.join(values)} by hand; its form is unusual")
    return text


def new_file() -> str:
    """A settings file with everything as a comment: the example file, its values too."""
    try:
        example = (resources.files("puller") / "settings.example.toml").read_text("utf-8")
    except FileNotFoundError:  # a package that was built without its data
        return ""
    return _SAMPLE.sub("#", example)


def judged(text: str, name: Path) -> Settings:
    """The settings that a pass would take from a text.

    Args:
        text: the settings file's content.
        name: how messages call it.

    Raises:
        SettingsError: it is not a whole settings file.
    """
    with tempfile.TemporaryDirectory(prefix="jobferry-settings-") as folder:
        file = Path(folder, "puller.toml")
        file.write_text(text, encoding="utf-8")
        try:
            return load_settings(file, {}, {})
        except SettingsError as error:
            raise SettingsError(str(error).replace(str(file), str(name))) from error


def _set(text: str, name: str, line: str, *, active: bool) -> str:
    table = _TABLE.search(text)
    head = text[: table.start()] if table else text
    tail = text[len(head) :]
    mark = "" if active else "#[ ]?"
    pattern = re.compile(rf"^{mark}{re.escape(name)}[ \t]*=.*$", re.MULTILINE)
    head, count = pattern.subn(lambda _: line, head, count=1)
    if not count:
        if head and not head.endswith("\n"):
            head += "\n"
        head += f"{line}\n"
    return head + tail


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _toml(name)
