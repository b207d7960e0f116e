"""The template language: the part that makes sense without Consul, as bash; the rest is refused.

Source: consul-template's documentation of its template language, and Go's text/template for
delimiters, comments and trimming. What is not here is refused by name, never rendered wrongly.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from nomad_jobs.run_script.bash_text import call, quote

FILTERS = frozenset({"toUpper", "toLower", "trimSpace"})
FUNCTIONS = frozenset({"env", "envOrDefault", "mustEnv", "timestamp"})
KNOWN = "env, envOrDefault, mustEnv, timestamp, toUpper, toLower, trimSpace"

_BLANK = " \t\r\n"
_COMMENT = re.compile(r"\s*/\*.*?\*/\s*", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*")|`(?P<raw>[^`]*)`|(?P<pipe>\|)|(?P<word>[^\s"`|]+))"""
)
_TIMESTAMPS = {None: "%(%Y-%m-%dT%H:%M:%SZ)T", "unix": "%(%s)T"}


class TemplateRefused(ValueError):
    """A template that this subset cannot render; the message says which word."""


@dataclass(frozen=True, slots=True)
class _Literal:
    text: str


def compile_template(data: str, left: str, right: str) -> list[str]:
    """Commands of bash that append the rendered text to `nomad_text`.

    Args:
        data: the template.
        left: what begins an action.
        right: what ends it.

    Raises:
        TemplateRefused: it uses what is not in the subset, or an action is not closed.
    """
    commands: list[str] = []
    trim_next = False
    rest = data
    while rest:
        text, found, rest = rest.partition(left)
        if trim_next:
            text = text.lstrip(_BLANK)
        trim_next = False
        if found:
            trim_before = rest[:1] == "-" and rest[1:2] in (" ", "\t", "\r", "\n")
            action, rest = _action(rest[1:] if trim_before else rest, right)
            if trim_before:
                text = text.rstrip(_BLANK)
            if action[-1:] == "-" and action[-2:-1] in (" ", "\t", "\r", "\n"):
                action, trim_next = action[:-1], True
            if text:
                commands.append(f"nomad_text+={quote(text)}")
            if not _COMMENT.fullmatch(action):
                commands.append(f"{_command(action)} || return")
        elif text:
            commands.append(f"nomad_text+={quote(text)}")
    return commands


def _action(rest: str, right: str) -> tuple[str, str]:
    """The text of an action, and what follows; a delimiter inside quotes does not end it."""
    position = 0
    while not rest.startswith(right, position):
        token = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|/\*.*?\*/', re.DOTALL).match(
            rest, position
        )
        position = token.end() if token else position + 1
        if position >= len(rest):
            raise TemplateRefused(f"an action is not closed with {right}")
    return rest[:position], rest[position + len(right) :]


def _command(action: str) -> str:
    first, *filters = _pipeline(action)
    for words in filters:
        if len(words) != 1 or isinstance(words[0], _Literal) or words[0] not in FILTERS:
            raise TemplateRefused(_unknown(words, action))
    names = [str(words[0]) for words in filters]
    if first and isinstance(first[0], _Literal) and len(first) == 1:
        return call("nomad_action", "literal", first[0].text, "", *names)
    if not first or isinstance(first[0], _Literal) or first[0] not in FUNCTIONS | FILTERS:
        raise TemplateRefused(_unknown(first, action))
    function, *words = first
    arguments = [word.text for word in words if isinstance(word, _Literal)]
    if len(arguments) != len(words):
        raise TemplateRefused(f"{{{{{action}}}}}: the arguments of {function} must be strings")
    return _function(str(function), arguments, names, action)


def _function(function: str, arguments: list[str], filters: list[str], action: str) -> str:
    match function, arguments:
        case (("env" | "mustEnv"), [name]):
            return call("nomad_action", function, name, "", *filters)
        case "envOrDefault", [name, default]:
            return call("nomad_action", function, name, default, *filters)
        case "timestamp", [] | ["unix"]:
            layout = _TIMESTAMPS[arguments[0] if arguments else None]
            return call("nomad_action", function, "", layout, *filters)
        case (("toUpper" | "toLower" | "trimSpace"), [text]):
            return call("nomad_action", "literal", text, "", function, *filters)
    raise TemplateRefused(f"{{{{{action}}}}}: {function} does not take these arguments here")


def _pipeline(action: str) -> list[list[str | _Literal]]:
    parts: list[list[str | _Literal]] = [[]]
    position = 0
    action = action.rstrip()
    while position < len(action):
        token = _TOKEN.match(action, position)
        if token is None:
            raise TemplateRefused(f"{{{{{action}}}}} cannot be read")
        position = token.end()
        if token["pipe"]:
            parts.append([])
        elif token["word"] is not None:
            parts[-1].append(token["word"])
        else:
            text = token["raw"] if token["raw"] is not None else _unquoted(token["string"])
            parts[-1].append(_Literal(text))
    return parts


def _unquoted(quoted: str) -> str:
    try:
        text = json.loads(quoted, strict=False)
        str(text).encode()
    except (ValueError, UnicodeEncodeError):
        text = "\0"
    if "\0" in text:
        raise TemplateRefused(f"the string {quoted} has an escape that is not known here")
    return str(text)


def _unknown(words: list[str | _Literal], action: str) -> str:
    if words and isinstance(words[0], str):
        return f"templates have no {words[0]!r} here ({{{{{action}}}}})"
    return f"{{{{{action}}}}} is no call of a function that is known here"
