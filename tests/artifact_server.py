"""A HTTP server on loopback whose answers a test decides."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    """One request as it came."""

    line: str
    headers: dict[str, str]


@dataclass
class ArtifactServer:
    """Files by path; a file may be a function that answers by itself."""

    port: int = 0
    files: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    tag: str | None = '"one"'
    cut_at: int | None = None
    """Break the connection off after so many bytes of a body, once."""

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    @property
    def lines(self) -> list[str]:
        return [asked.line for asked in self.asked]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(Asked(request.requestline, dict(request.headers)))
        file = self.files.get(request.path)
        if callable(file):
            file(request)
        elif file is None:
            request.send_error(404)
        else:
            self._send(request, file)

    def _send(self, request: BaseHTTPRequestHandler, content: bytes) -> None:
        start = 0
        wanted = request.headers.get("Range")
        if wanted and self.tag and request.headers.get("If-Range") == self.tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                request.send_error(416)
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        if self.tag:
            request.send_header("ETag", self.tag)
        request.send_header("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        if self.cut_at is not None:
            request.wfile.write(content[start : self.cut_at])
            self.cut_at = None
            request.close_connection = True
        else:
            request.wfile.write(content[start:])


def redirect(target: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer that leads elsewhere."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", target)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def status(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer without content."""
    return lambda request: request.send_error(code)


@contextmanager
def artifact_server(tls: ssl.SSLContext | None = None) -> Iterator[ArtifactServer]:
    """A server on a free port of 127.0.0.1."""
    server = ArtifactServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the puller may have seen enough
                server.answer(self)

        def do_CONNECT(self) -> None:
            server.asked.append(Asked(self.requestline, dict(self.headers)))
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        listening.socket = tls.wrap_socket(listening.socket, server_side=True)
    server.port = listening.server_address[1]
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
