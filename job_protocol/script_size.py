"""How large a run script may be, for whoever admits, renders or submits it."""

from __future__ import annotations

MAX_SCRIPT_BYTES = 4 * 1024 * 1024
"""Slurm's default limit for a batch script (`max_script_size` in slurm.conf(5))."""
