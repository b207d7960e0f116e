"""How long a test waits for what must come: long enough for a slow machine, so that only a broken
part is ever called late."""

PATIENCE = 240.0
"""Seconds."""
