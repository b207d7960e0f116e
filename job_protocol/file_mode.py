"""File modes as they travel: object metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping

MODE_METADATA = "file-permissions"
"""Object metadata: the permission bits in octal, as AWS DataSync and FSx for Lustre write them."""

_OCTAL = re.compile(r"[0-7]{3,7}")


def mode_of(metadata: Mapping[str, str]) -> int | None:
    """The permission bits that an object's metadata states; None if it states none."""
    stated = metadata.get(MODE_METADATA, "")
    return int(stated, 8) & 0o777 if _OCTAL.fullmatch(stated) else None
