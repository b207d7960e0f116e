"""The EventBridge bus on which jobferry announces changes of state."""

from __future__ import annotations

import json
from typing import Any

from lambdas.errors import ControlPlaneError

SOURCE = "jobferry"
_MAX_DETAIL_BYTES = 200_000


class EventBus:
    """The account's default event bus."""

    def __init__(self, client: Any) -> None:
        """Use the bus.

        Args:
            client: a boto3 EventBridge client.
        """
        self._client = client

    def put(self, detail_type: str, detail: dict[str, Any]) -> None:
        """Send one event.

        Raises:
            ControlPlaneError: EventBridge did not take it.
        """
        text = json.dumps(detail, ensure_ascii=False)
        if len(text.encode()) > _MAX_DETAIL_BYTES:
            short = {k: v for k, v in detail.items() if k not in ("reasons", "allocation")}
            text = json.dumps(short, ensure_ascii=False)
        answer = self._client.put_events(
            Entries=[{"Source": SOURCE, "DetailType": detail_type, "Detail": text}]
        )
        if answer.get("FailedEntryCount"):
            raise ControlPlaneError(f"EventBridge refused an event: {answer['Entries']}")
