"""The root of what this package raises on purpose."""

from __future__ import annotations


class NomadJobError(Exception):
    """A job file, or a job, that cannot be read or rendered."""
