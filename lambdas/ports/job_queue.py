"""A queue of jobs that a function has to work on; what keeps failing is dead-lettered."""

from __future__ import annotations

import json
from typing import Any

_MAX_DELAY = 900


class JobQueue:
    """A queue whose messages name a job each."""

    def __init__(self, client: Any, url: str) -> None:
        """Use the queue.

        Args:
            client: a boto3 SQS client.
            url: the queue's URL.
        """
        self._client = client
        self._url = url

    def send(self, site: str, job_id: str, *, delay: int = 0) -> None:
        """Ask for work on a job.

        Args:
            site: the job's site.
            job_id: the job.
            delay: seconds to wait, at most 900.
        """
        self._send({"site": site, "job": job_id}, delay)

    def send_unreadable(self, record: Any) -> None:
        """Keep a stream record that cannot be read; it ends in the dead-letter queue."""
        self._send({"unreadable": record}, 0)

    def _send(self, message: dict[str, Any], delay: int) -> None:
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=json.dumps(message, ensure_ascii=False, default=str),
            DelaySeconds=min(delay, _MAX_DELAY),
        )
