"""How the puller's clients talk to AWS: time limits, retries, proxy, and who they say they are."""

from __future__ import annotations

from botocore.config import Config

from puller import __version__

CONNECT_TIMEOUT = 10
"""Seconds."""

READ_TIMEOUT = 60
"""Seconds without a byte."""

ATTEMPTS = 4
"""Of every request, the first one included; standard mode waits up to 20 s between them."""


def client_config(*, proxy: str | None = None, connections: int = 10) -> Config:
    """The botocore configuration of a client.

    Args:
        proxy: URL of the HTTP proxy; None leaves it to `HTTPS_PROXY` in the environment.
        connections: how many connections the client keeps open at most.
    """
    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=connections,
        proxies={"http": proxy, "https": proxy} if proxy else None,
        tcp_keepalive=True,
        user_agent_extra=f"jobferry/{__version__}",
    )
