"""Counts the objects that have come into a bucket, without keeping the emulator busy with it.

A list of a bucket with some thousand objects takes the emulator, and the program that reads it, a
tenth of a second of CPU: at ten a second that is half of a machine with two CPUs, which those that
are measured would lack. So a list is read only when one of the missing objects, taken by lot, is
there, or after a while.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection
from typing import Any

_AT_LEAST_EVERY = 5.0
"""Seconds; the one that was taken by lot may be the last to come."""


class Arrivals:
    """Counts those of the wanted objects that are there; what is called again and again."""

    def __init__(self, s3: Any, bucket: str, prefix: str, wanted: Collection[str]) -> None:
        """Wait for objects.

        Args:
            s3: a client.
            bucket: its bucket.
            prefix: of all the keys.
            wanted: the keys.
        """
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix
        self._wanted = len(wanted)
        self._missing = sorted(wanted)
        self._next = self._by_lot()
        self._listed = time.monotonic()

    def __call__(self) -> int:
        """How many are known to be there."""
        late = time.monotonic() - self._listed > _AT_LEAST_EVERY
        if self._missing and (late or self._is_there(self._next)):
            there = self._list()
            self._missing = [key for key in self._missing if key not in there]
            self._next = self._by_lot()
            self._listed = time.monotonic()
        return self._wanted - len(self._missing)

    def _by_lot(self) -> str:
        return secrets.choice(self._missing) if self._missing else ""

    def _is_there(self, key: str) -> bool:
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except self._s3.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def _list(self) -> set[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        )
        return {row["Key"] for page in pages for row in page.get("Contents", [])}
