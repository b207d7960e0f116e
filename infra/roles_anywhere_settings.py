"""Whose certificates a site's puller may show: `roles_anywhere` of a site, typed and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SUBJECT_PARTS = ("CN", "O", "OU")
_KEYS = ("ca_certificate", "acm_pca_arn", "subject")
_PEM = re.compile(r"(-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+")
_ACM_PCA = re.compile(r"arn:aws[a-z-]*:acm-pca:[a-z0-9-]+:\d{12}:certificate-authority/[0-9a-f-]+")
_SUBJECT_VALUE = re.compile(r"[^*?\x00-\x1f]{1,256}")
"""A value is compared as it stands; `*` and `?` in it would be taken for a pattern by readers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolesAnywhereSettings:
    """The certificates that lead to a site's rights.

    Attributes:
        ca_certificate: the authority's certificate as PEM text; or None.
        acm_pca_arn: the ARN of an authority of AWS Private CA instead.
        subject: what the certificate's subject must say: its parts (`CN`, `O`, `OU`) and values.
    """

    ca_certificate: str | None = None
    acm_pca_arn: str | None = None
    subject: tuple[tuple[str, str], ...]


def read_roles_anywhere(given: object) -> RolesAnywhereSettings:
    """Read and check the setting.

    Raises:
        ValueError: it is wrong; the message says what.
    """
    if not isinstance(given, Mapping) or set(given) - set(_KEYS):
        raise ValueError(f"must be an object with: {', '.join(_KEYS)}")
    certificate, arn = given.get("ca_certificate"), given.get("acm_pca_arn")
    if (certificate is None) == (arn is None):
        raise ValueError("must have either ca_certificate or acm_pca_arn")
    if certificate is not None and not _matches(_PEM, certificate):
        raise ValueError("ca_certificate must be certificates as PEM text, without a private key")
    if arn is not None and not _matches(_ACM_PCA, arn):
        raise ValueError(f"acm_pca_arn is {arn!r}, which is no ARN of a private authority")
    return RolesAnywhereSettings(
        ca_certificate=certificate, acm_pca_arn=arn, subject=_subject(given.get("subject"))
    )


def _subject(given: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(given, Mapping) or set(given) - set(SUBJECT_PARTS) or "CN" not in given:
        raise ValueError(
            "subject must be an object with CN, and O and OU if wanted: without it every "
            "certificate of the authority would have the rights of this site"
        )
    for part, value in given.items():
        if not _matches(_SUBJECT_VALUE, value):
            raise ValueError(f"{part} of subject is {value!r}; it must be text without * and ?")
    return tuple((str(part), str(value)) for part, value in sorted(given.items()))


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
