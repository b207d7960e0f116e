"""When a certificate ends: reads the one field of an X.509 file that matters, without OpenSSL.

The layout is that of RFC 5280, section 4.1; `ssl` of the standard library decodes certificates of
peers only, and a site need not have the `openssl` command.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

_PEM = re.compile(
    rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----",
)
_SEQUENCE = 0x30
_VERSION = 0xA0
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
_LONG_LENGTH = 0x80
_MOST_LENGTH_BYTES = 4


class NotACertificate(Exception):
    """The bytes are no X.509 certificate in PEM or DER form."""


def end_of_certificate(content: bytes) -> datetime:
    """When the certificate ends (`notAfter`); of several in a PEM file the first, which is its own.

    Args:
        content: the file's content.

    Raises:
        NotACertificate: it cannot be read as one.
    """
    pem = _PEM.search(content)
    try:
        der = content if pem is None else base64.b64decode(b"".join(pem[1].split()), validate=True)
        return _not_after(der)
    except (ValueError, binascii.Error, IndexError) as error:
        raise NotACertificate(f"it is no X.509 certificate ({error})") from error


def _not_after(der: bytes) -> datetime:
    signed, _ = _inside(der, _SEQUENCE)
    rest, _ = _inside(signed, _SEQUENCE)
    if rest[0] == _VERSION:
        rest = _element(rest)[2]
    for _ in ("serialNumber", "signature", "issuer"):
        rest = _element(rest)[2]
    validity, _ = _inside(rest, _SEQUENCE)
    kind, value, _ = _element(_element(validity)[2])
    text = value.decode("ascii")
    if kind == _UTC_TIME:
        # Two digits mean 1950 to 2049 (RFC 5280, 4.1.2.5.1).
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif kind != _GENERALIZED_TIME:
        raise ValueError(f"its end has the unknown type {kind:#x}")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _inside(data: bytes, kind: int) -> tuple[bytes, bytes]:
    found, value, rest = _element(data)
    if found != kind:
        raise ValueError(f"the type {found:#x} stands where {kind:#x} should")
    return value, rest


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Type, content and what follows (X.690, 8.1)."""
    kind, length, start = data[0], data[1], 2
    if length & _LONG_LENGTH:
        count = length & ~_LONG_LENGTH
        if not 0 < count <= _MOST_LENGTH_BYTES:
            raise ValueError(f"a length has {count} bytes")
        length, start = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if len(data) < start + length:
        raise ValueError("it is cut off")
    return kind, data[start : start + length], data[start + length :]
