"""Tokens with which a client asks for the next page: opaque text that says where to go on."""

from __future__ import annotations

import base64
import json

from lambdas.errors import Refused


def encode(*position: str) -> str:
    """The token of a position.

    Args:
        position: what the next query starts after.
    """
    text = json.dumps(position, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(token: str, parts: int) -> tuple[str, ...]:
    """The position of a token.

    Args:
        token: what the client sent.
        parts: of how many texts such a position consists.

    Raises:
        Refused: it is no token of this list.
    """
    try:
        padded = token + "=" * (-len(token) % 4)
        position = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_"))
    except (ValueError, RecursionError) as error:
        raise _refused() from error
    match position:
        case [*texts] if len(texts) == parts and all(isinstance(text, str) for text in texts):
            return tuple(texts)
    raise _refused()


def _refused() -> Refused:
    return Refused(
        400,
        "next_token is not one that this API gave",
        "ask for the first page again, without next_token",
    )
