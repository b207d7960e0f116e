"""Which failures of a file system may pass by themselves."""

from __future__ import annotations

import errno

_PASSING = frozenset(
    {
        errno.EBUSY,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.EMFILE,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOTCONN,
        errno.EREMOTEIO,
        errno.ESHUTDOWN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)


def is_passing(error: Exception) -> bool:
    """Whether a file server in trouble, rather than the file itself, explains the error."""
    return isinstance(error, OSError) and error.errno in _PASSING
