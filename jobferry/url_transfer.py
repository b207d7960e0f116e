"""Files to and from URLs that the API gives: in parts, in pieces, and verified."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import HTTPError

from jobferry.aws_errors import typed_errors
from jobferry.checksums import Checksum, agrees
from jobferry.errors import CloudRefused, CloudUnreachable, TransferFailed
from jobferry.interface import Progress
from jobferry.upload_plan import LocalFile

_AT_ONCE = 6
_ROUNDS = 4
_CHUNK = 256 * 1024
_EXPIRED = 403


class _Piece(io.RawIOBase):
    """A part of a file as the body of a request, which tells how far it has been read."""

    def __init__(
        self, file: IO[bytes], start: int, size: int, progress: Progress, stop: threading.Event
    ) -> None:
        self._file, self._start, self._size = file, start, size
        self._progress, self._stop = progress, stop
        self._at = 0
        self.told = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        if self._stop.is_set():
            raise TransferFailed("interrupted")
        left = self._size - self._at
        self._file.seek(self._start + self._at)
        chunk = self._file.read(left if size < 0 else min(size, left))
        self._at += len(chunk)
        self.told += len(chunk)
        self._progress(len(chunk))
        return chunk


def put_all(
    http: URLLib3Session,
    requests: list[dict[str, Any]],
    missing: Callable[[], list[dict[str, Any]]],
    files: Mapping[str, LocalFile],
    progress: Progress,
) -> None:
    """Put announced files; what fails is asked for and put again.

    Args:
        http: sends the requests.
        requests: how to put each file, as the API answered.
        missing: the same for what has not arrived, with fresh URLs.
        files: the files by their paths.
        progress: sees the transfer.

    Raises:
        TransferFailed: a file cannot be read, or has changed since it was announced.
        CloudUnreachable: it broke off; the same command goes on.
    """
    for _ in range(_ROUNDS):
        failures = _put_once(http, requests, files, progress)
        if not failures:
            return
        requests = missing()
    raise CloudUnreachable(
        f"the upload broke off ({failures[0]}); nothing was submitted, the same command goes on"
    )


def _put_once(
    http: URLLib3Session,
    requests: list[dict[str, Any]],
    files: Mapping[str, LocalFile],
    progress: Progress,
) -> list[str]:
    stop = threading.Event()

    def put(job: tuple[LocalFile, int, int, str, Mapping[str, str]]) -> str | None:
        file, start, size, url, headers = job
        try:
            with file.source.open("rb") as content:
                piece = _Piece(content, start, size, progress, stop)
                failure = _put(http, url, headers, piece, file.source)
                if failure is not None:
                    progress(-piece.told)
                return failure
        except OSError as error:
            raise TransferFailed(
                f"{file.source} cannot be read ({error}); the job was not submitted"
            ) from error

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            found = list(pool.map(put, _pieces(requests, files)))
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return [failure for failure in found if failure is not None]


def _pieces(
    requests: list[dict[str, Any]], files: Mapping[str, LocalFile]
) -> list[tuple[LocalFile, int, int, str, Mapping[str, str]]]:
    found = []
    for row in requests:
        file = files[row["Path"]]
        if "Parts" not in row:
            found.append((file, 0, file.size, row["URL"], row["Headers"]))
            continue
        part = row["PartSize"]
        for one in row["Parts"]:
            start = (one["Number"] - 1) * part
            size = min(part, file.size - start)
            found.append((file, start, size, one["URL"], one["Headers"]))
    return found


def _put(
    http: URLLib3Session, url: str, headers: Mapping[str, str], piece: _Piece, source: Path
) -> str | None:
    """Put one piece; why it failed, if that may pass."""
    try:
        with typed_errors(f"upload {source}"):
            request = AWSRequest("PUT", url, headers=dict(headers), data=piece)
            answer = http.send(request.prepare())
            status, said = answer.status_code, answer.content
    except CloudUnreachable as error:
        return str(error)
    if status < 300:
        return None
    if b"BadDigest" in said or b"ChecksumMismatch" in said or b"XAmzContentChecksum" in said:
        raise TransferFailed(
            f"{source} has changed while it was uploaded; nothing was submitted, try again"
        )
    if status in (_EXPIRED, 408, 429) or status >= 500:
        return f"HTTP status {status} for {source}"
    raise CloudRefused(
        f"cannot upload {source}: S3 answered {status} ({said[:200].decode('utf-8', 'replace')})"
    )


def fetch_into(
    http: URLLib3Session,
    target: IO[bytes],
    located: Mapping[str, Any],
    progress: Progress,
) -> None:
    """Fetch the rest of a file, and verify all of it.

    Args:
        http: sends the requests.
        target: what was fetched before; it is read, and written at its end.
        located: the answer of `GET /v1/client/fs/url/:alloc`.
        progress: sees the transfer, what was there before included.

    Raises:
        CloudUnreachable: it broke off; calling again goes on.
        TransferFailed: the content is not what S3 says of it, or has changed meanwhile.
    """
    path, size = located["Path"], int(located["Size"])
    start = min(target.seek(0, io.SEEK_END), size)
    target.truncate(start)
    progress(start)
    if start < size:
        _fetch_from(http, target, located, start, progress)
    if target.seek(0, io.SEEK_END) != size:
        raise CloudUnreachable(f"the download of {path} broke off; run it again, it goes on")
    stated = located.get("Checksum")
    if stated is None:
        return
    checksum = Checksum(stated["Algorithm"], stated["Value"], stated["PartSize"])
    if agrees(target, size, checksum) is False:
        target.truncate(0)
        raise TransferFailed(
            f"what was fetched of {path} has not the checksum that S3 states; it was thrown away, "
            "run it again"
        )


def _fetch_from(
    http: URLLib3Session,
    target: IO[bytes],
    located: Mapping[str, Any],
    start: int,
    progress: Progress,
) -> None:
    path = located["Path"]
    headers = {"If-Match": located["ETag"]}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = AWSRequest("GET", located["URL"], headers=headers, stream_output=True)
    with typed_errors(f"fetch {path}"):
        answer = http.send(request.prepare())
        if answer.status_code in (404, 412):
            target.truncate(0)
            raise TransferFailed(f"{path} was changed meanwhile; run it again")
        if answer.status_code not in (200, 206):
            raise CloudUnreachable(
                f"cannot fetch {path}: S3 answered {answer.status_code}; run it again, it goes on"
            )
        if answer.status_code == 200 and start:  # it sends all of it
            progress(-start)
            target.truncate(0)
        target.seek(0, io.SEEK_END)
        try:
            for chunk in answer.raw.stream(_CHUNK):
                target.write(chunk)
                progress(len(chunk))
        except (HTTPError, HTTPClientError) as error:
            raise CloudUnreachable(
                f"the download of {path} broke off ({error}); run it again, it goes on"
            ) from error
