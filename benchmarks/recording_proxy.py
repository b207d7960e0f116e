"""A proxy on loopback before the emulator: records every request, and can add a round trip.

Each actor has a port of its own, so the wire tells who asked; what a client repeats is counted as
often as AWS would bill it. A simulated round trip delays each request by its length, and each new
connection by two (TCP and TLS 1.3).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from benchmarks.exchange import Exchange, name_of
from benchmarks.item_images import ItemImages
from local_cloud.isolation import LOOPBACK

_LIMIT = 1 << 20
_CONNECTION_ROUND_TRIPS = 2


@dataclass(slots=True)
class _Message:
    start: str
    headers: dict[str, str]
    raw_head: bytes
    body: bytes


class RecordingProxy:
    """Forwards to one emulator.

    Attributes:
        exchanges: what went through, in the order in which it began.
        round_trip: seconds that every request of who is far away is delayed.
        images: looks up what writes cost; None records without.
    """

    def __init__(self, upstream_port: int, actors: Iterable[str], far: Iterable[str] = ()) -> None:
        """Prepare a proxy.

        Args:
            upstream_port: the emulator's port on loopback.
            actors: who gets a port.
            far: those of them that the simulated round trip delays.
        """
        self.exchanges: list[Exchange] = []
        self.round_trip = 0.0
        self.images: ItemImages | None = None
        self._upstream = upstream_port
        self._actors = tuple(actors)
        self._far = frozenset(far)
        self._ports: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recording proxy", daemon=True)

    def endpoint(self, actor: str) -> str:
        """The endpoint URL of an actor."""
        return f"http://{LOOPBACK}:{self._ports[actor]}"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise AssertionError("the recording proxy did not start within 10 s")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for actor in self._actors:

                def accept(
                    reader: asyncio.StreamReader,
                    writer: asyncio.StreamWriter,
                    actor: str = actor,
                ) -> None:
                    task = asyncio.create_task(self._connection(actor, reader, writer))
                    self._connections.add(task)
                    task.add_done_callback(self._connections.discard)

                server = await asyncio.start_server(accept, LOOPBACK, 0, limit=_LIMIT, backlog=512)
                await stack.enter_async_context(server)
                self._ports[actor] = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _request(
        self, actor: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> _Message | None:
        head = await _read_head(reader)
        if head is None:
            return None
        if head.headers.get("expect", "").lower() == "100-continue":
            # A client that asks first pays a round trip more.
            await self._travel(actor, 1)
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head.raw_head = _without_expect(head.raw_head)
        return await _with_body(reader, head)

    async def _travel(self, actor: str, times: int) -> None:
        if self.round_trip and actor in self._far:
            await asyncio.sleep(times * self.round_trip)

    async def _connection(
        self, actor: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        up_reader, up_writer = await asyncio.open_connection(LOOPBACK, self._upstream, limit=_LIMIT)
        try:
            await self._travel(actor, _CONNECTION_ROUND_TRIPS)
            while (request := await self._request(actor, reader, writer)) is not None:
                method, target, _ = request.start.split(" ", 2)
                service, operation, key = name_of(method, target, request.headers)
                exchange = Exchange(actor, service, operation, key, time.monotonic())
                exchange.sent = len(request.body)
                self.exchanges.append(exchange)
                await self._travel(actor, 1)
                images = self.images if service == "dynamodb" else None
                before = (
                    await asyncio.to_thread(images.before, operation, request.body)
                    if images
                    else []
                )
                up_writer.write(request.raw_head + request.body)
                await up_writer.drain()
                head = await _read_head(up_reader)
                if head is None:
                    return
                answer = await _with_body(up_reader, head, absent=method == "HEAD")
                exchange.status = int(answer.start.split(" ", 2)[1])
                exchange.received = len(answer.body)
                if images:
                    await asyncio.to_thread(
                        images.settle, exchange, before, request.body, answer.body
                    )
                writer.write(answer.raw_head + answer.body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            for each in (writer, up_writer):
                each.close()


async def _read_head(reader: asyncio.StreamReader) -> _Message | None:
    """The head of an HTTP/1.1 message; None at the end of the connection."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    start, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    pairs = [line.partition(":") for line in lines]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return _Message(start, headers, raw, b"")


async def _with_body(
    reader: asyncio.StreamReader, head: _Message, *, absent: bool = False
) -> _Message:
    if not absent:
        head.body = await _read_body(reader, head.headers)
    return head


def _without_expect(head: bytes) -> bytes:
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(b"expect:"))


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        parts: list[bytes] = []
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            parts += [line, await reader.readexactly(size + 2)]
            if size == 0:
                return b"".join(parts)
    length = int(headers.get("content-length", "0"))
    return await reader.readexactly(length) if length else b""
