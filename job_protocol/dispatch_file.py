"""`.nomad/dispatch`: what one run of a Nomad job knows, as records that travel beside the script.

A record is `NAME=value`, ended by NUL, as `env -0` writes them. NUL is the one byte that no value
can have, so nothing is escaped and nothing can be faked.
"""

from __future__ import annotations

from collections.abc import Mapping

DISPATCH_PATH = ".nomad/dispatch"
PAYLOAD_PATH = ".nomad/payload"

META_PREFIX = "meta."
"""What the name of a record begins with that is meta of a dispatch."""


class DispatchFileError(ValueError):
    """Records that cannot be written, or bytes that are none; the message says why."""


def write_records(records: Mapping[str, str]) -> bytes:
    """The content of the file.

    Raises:
        DispatchFileError: a value has NUL or is no valid text, or a name has NUL or `=`.
    """
    return b"".join(_record(name, value) for name, value in records.items())


def _record(name: str, value: str) -> bytes:
    if "=" in name or "\0" in name:
        raise DispatchFileError(f"{name!r} cannot be a variable's name: it has '=' or NUL")
    if "\0" in value:
        raise DispatchFileError(
            f"the value of {name!r} contains NUL, which no variable can hold; "
            "send such data as the payload"
        )
    try:
        return f"{name}={value}\0".encode()
    except UnicodeEncodeError as error:
        raise DispatchFileError(f"{name!r} is no valid text: {error}") from error


def read_records(content: bytes) -> dict[str, str]:
    """The records of a file that must be as `write_records` writes it.

    Raises:
        DispatchFileError: it is not.
    """
    found: dict[str, str] = {}
    *records, rest = content.split(b"\0")
    if rest:
        raise DispatchFileError("it does not end with a whole record")
    for record in records:
        try:
            name, equals, value = record.decode().partition("=")
        except UnicodeDecodeError as error:
            raise DispatchFileError(f"it is not UTF-8 ({error})") from error
        if not equals:
            raise DispatchFileError(f"{name[:80]!r} is no record")
        if name in found:
            raise DispatchFileError(f"it has the record {name[:80]!r} twice")
        found[name] = value
    return found
