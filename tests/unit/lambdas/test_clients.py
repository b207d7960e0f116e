"""Clients of AWS's services in a Lambda."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from lambdas.ports import clients


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The services for which a client was made."""
    found: list[str] = []

    def make(service: str, config: Any) -> Any:
        found.append(service)
        return SimpleNamespace(name=service, config=config)

    monkeypatch.setattr(boto3, "client", make)
    clients.client.cache_clear()
    return found


def test_a_client_is_made_when_something_is_asked_of_it(made: list[str]) -> None:
    s3, sqs = clients.client("s3"), clients.client("sqs")
    assert made == []
    assert s3.name == "s3"
    assert s3.config.signature_version == "s3v4"
    assert clients.client("s3").name == "s3"
    assert made == ["s3"]
    assert sqs.config.signature_version is None
    assert made == ["s3", "sqs"]


def test_threads_that_need_a_client_at_once_share_it(made: list[str]) -> None:
    client, together = clients.client("s3"), threading.Barrier(8)

    def ask(_number: int) -> str:
        together.wait()
        return str(client.name)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"s3"}
    assert made == ["s3"]
