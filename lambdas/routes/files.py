"""Routes about the files of an allocation: what lies under its job's prefix in the bucket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from lambdas.errors import Refused
from lambdas.ports.job_files import JobFiles, Stat
from lambdas.routes.declared.parameters import NEXT_OFFSET, NEXT_PAGE
from lambdas.routes.directories import Directory, opened
from lambdas.routes.route import Answer, Call
from lambdas.rules import file_tree, pagination
from lambdas.rules.file_tree import SCRIPT_TASK

_BYTES = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def list_files(call: Call) -> Answer:
    """What lies directly in a folder."""
    directory = opened(call)
    path = file_tree.clean_path(call.query.get("path", "/"))
    root, after = _page(call)
    root, folder = directory.folder(path, min(root, len(directory.roots) - 1), after)
    entries = [file_tree.entry(name, folder=True) for name in folder.folders]
    entries += [
        file_tree.entry(name, size=size, modified=_time(modified))
        for name, size, modified in folder.files
    ]
    if path in ("", "alloc"):
        entries = file_tree.with_script_logs(path, entries)
    elif path == "alloc/logs" and not entries:
        entries = _script_logs(directory)
    if not entries and not folder.there:
        raise Refused(404, f"file not found: {path}", "client/fs/ls of / lists what is there")
    headers = {NEXT_PAGE: pagination.encode(str(root), folder.next)} if folder.next else {}
    return Answer(body=entries, headers=headers)


def _page(call: Call) -> tuple[int, str | None]:
    """Which root a page goes on in, and where."""
    token = call.query.get("next_token")
    if not token:
        return 0, None
    root, after = pagination.decode(token, 2)
    return (int(root) if root in ("0", "1") else 0), after


def _script_logs(directory: Directory) -> list[dict[str, object]]:
    found = []
    for kind in file_tree.LOG_TYPES:
        path = file_tree.log_path(SCRIPT_TASK, kind)
        try:
            _, _, stat = directory.file(path)
        except Refused:
            continue
        shown = path.rpartition("/")[2]
        found.append(file_tree.entry(shown, size=stat.size, modified=_time(stat.modified)))
    return found


def stat_file(call: Call) -> Answer:
    """A file or folder."""
    directory = opened(call)
    path = file_tree.clean_path(call.query.get("path", "/"))
    name = path.rpartition("/")[2]
    if path in ("", "alloc", "alloc/logs"):
        return Answer(body=file_tree.entry(name or "/", folder=True))
    try:
        _, _, stat = directory.file(path)
    except Refused:
        _, folder = directory.folder(path)
        if not folder.there:
            raise
        return Answer(body=file_tree.entry(name, folder=True))
    return Answer(body=file_tree.entry(name, size=stat.size, modified=_time(stat.modified)))


def cat_file(call: Call) -> Answer:
    """A whole file; a large one by a redirection to its URL in the bucket."""
    directory = opened(call)
    root, path, stat = directory.file(file_tree.clean_path(call.query["path"]))
    if stat.size > file_tree.MAX_CHUNK:
        text = (
            f"The file has {stat.size} bytes: follow the redirection, or read pieces of at most "
            f"{file_tree.MAX_CHUNK} bytes by client/fs/readat.\n"
        )
        return Answer(
            body=text.encode(),
            status=307,
            headers={"Location": directory.files.url(root, path)},
            content_type=_TEXT,
        )
    content = directory.files.read(root, path, 0, stat.size) if stat.size else b""
    return Answer(body=content, content_type=_BYTES)


def read_at(call: Call) -> Answer:
    """A piece of a file."""
    directory = opened(call)
    root, path, stat = directory.file(file_tree.clean_path(call.query["path"]))
    start = min(call.query["offset"], stat.size)
    return _piece(directory.files, root, path, stat, start, call.query["limit"], lambda raw: raw)


def stream_file(call: Call) -> Answer:
    """A piece of a file in Nomad's frames; follow it by asking again from the answered offset."""
    directory = opened(call)
    shown = file_tree.clean_path(call.query["path"])
    root, path, stat = directory.file(shown)
    start = file_tree.first_byte(
        call.query.get("offset", 0), call.query.get("origin", "start"), stat.size
    )

    def framed(raw: bytes) -> bytes:
        return file_tree.frames(shown, start, raw)

    return _piece(directory.files, root, path, stat, start, file_tree.MAX_CHUNK, framed)


def logs(call: Call) -> Answer:
    """A piece of a task's log; follow it by asking again from the offset that is answered."""
    directory = opened(call)
    task, kind = call.query["task"], call.query["type"]
    shown = file_tree.log_path(task, kind)
    try:
        root, path, stat = directory.file(file_tree.clean_path(shown))
    except Refused:
        # A script that has written nothing has no log; a task of another name is a mistake.
        if task != SCRIPT_TASK or not directory.started:
            raise
        return Answer(body=b"", headers={NEXT_OFFSET: "0"}, content_type=_BYTES)
    start = file_tree.first_byte(
        call.query.get("offset", 0), call.query.get("origin", "start"), stat.size
    )

    def framed(raw: bytes) -> bytes:
        return raw if call.query.get("plain") else file_tree.frames(shown, start, raw)

    return _piece(directory.files, root, path, stat, start, file_tree.MAX_CHUNK, framed)


def _piece(
    files: JobFiles,
    job_id: str,
    path: str,
    stat: Stat,
    start: int,
    limit: int,
    shown: Callable[[bytes], bytes],
) -> Answer:
    length = min(limit, file_tree.MAX_CHUNK, stat.size - start)
    raw = files.read(job_id, path, start, length) if length > 0 else b""
    return Answer(
        body=shown(raw),
        headers={NEXT_OFFSET: str(start + len(raw))},
        content_type=_BYTES,
    )
