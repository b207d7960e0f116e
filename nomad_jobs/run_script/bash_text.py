"""Words of bash: any text as one word that is data, whatever is in it."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[^\x00-\x1f\x7f']*")
_SPECIAL = re.compile(r"[\x00-\x1f\x7f'\\]")
_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "'": "\\'", "\\": "\\\\"}


def quote(text: str) -> str:
    """One word for bash >= 4.2 that means exactly `text`.

    No line of the script ever begins with what a user wrote: some schedulers read directives
    anywhere in a script (Grid Engine's `#$`), and Windows line ends would be refused.

    Args:
        text: without NUL, which no argument and no variable can hold.
    """
    if _PLAIN.fullmatch(text):
        return f"'{text}'"
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    return "\\\n".join(f"$'{_SPECIAL.sub(_escape, line)}'" for line in lines)


def call(function: str, *words: str) -> str:
    """A command line: a function's name, and words that are data."""
    return " ".join([function, *map(quote, words)])


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return _ESCAPES.get(char) or f"\\x{ord(char):02x}"
