"""Step Functions: tells a workflow that waits for a job how it ended."""

from __future__ import annotations

import json
from typing import Any

_OVER = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")
"""The workflow does not wait any more, or has been told already: a normal result."""

_MAX_CAUSE = 32_000


class Workflows:
    """The workflows that wait for jobs, by their task tokens."""

    def __init__(self, client: Any) -> None:
        """Use Step Functions.

        Args:
            client: a boto3 Step Functions client.
        """
        self._client = client

    def succeed(self, task_token: str, output: dict[str, Any]) -> None:
        """The job is complete; `output` is the task's result."""
        self._send(
            self._client.send_task_success,
            taskToken=task_token,
            output=json.dumps(output, ensure_ascii=False),
        )

    def fail(self, task_token: str, error: str, cause: str) -> None:
        """The job ended otherwise.

        Args:
            task_token: the task's token.
            error: a name that a workflow can catch.
            cause: a sentence, or a JSON text.
        """
        self._send(
            self._client.send_task_failure,
            taskToken=task_token,
            error=error,
            cause=cause[:_MAX_CAUSE],
        )

    def _send(self, send: Any, **arguments: str) -> None:
        try:
            send(**arguments)
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in _OVER:
                raise
