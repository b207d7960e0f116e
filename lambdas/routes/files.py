"""Routes about the files of an allocation: what lies under its job's prefix in the bucket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from lambdas.errors import Refused
from lambdas.ports.job_files import JobFiles, Stat
from lambdas.routes.allocations import the_element
from lambdas.routes.elements import running
from lambdas.routes.jobs import NEXT_PAGE
from lambdas.routes.route import SITE, Answer, Call, Parameter, Route
from lambdas.rules import file_tree, pagination
from lambdas.rules.identity import Access
from lambdas.rules.task_groups import SCRIPT_TASK, place_of

NEXT_OFFSET = "X-Jobferry-Next-Offset"
_BYTES = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Directory:
    """An element's directory; `job` is its prefix: the job id, and the element's folder if any."""

    job: str
    element: int | None
    started: bool


def _opened(call: Call) -> tuple[_Directory, JobFiles]:
    allocation, index = the_element(call, call.path["alloc_id"])
    files = call.services.files(allocation.site)
    array = allocation.settings.array is not None
    started, element = allocation.started_at is not None, index if array else None
    if not array:
        return _Directory(allocation.job, element, started), files
    job = call.services.table.job(allocation.site, allocation.job)
    version = running(call, job) if job is not None else None
    folder = place_of(version.job if version else None, index).folder
    prefix = f"{allocation.job}/{folder}".rstrip("/")
    return _Directory(prefix, None if folder else element, started), files


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _found(files: JobFiles, directory: _Directory, path: str) -> tuple[str, Stat]:
    """The path under the job's prefix that a Nomad path means, and the file there."""
    for candidate in file_tree.candidates(path, directory.element):
        if candidate and (stat := files.stat(directory.job, candidate)) is not None:
            return candidate, stat
    raise Refused(
        404,
        f"file not found: {path or '/'}",
        "client/fs/ls lists what is there; a running job's other files come at its end",
    )


def list_files(call: Call) -> Answer:
    """What lies directly in a folder."""
    allocation, files = _opened(call)
    path = file_tree.clean_path(call.query.get("path", "/"))
    token = call.query.get("next_token")
    after = pagination.decode(token, 1)[0] if token else None
    folder = files.folder(allocation.job, path, after)
    entries = [file_tree.entry(name, folder=True) for name in folder.folders]
    entries += [
        file_tree.entry(name, size=size, modified=_time(modified))
        for name, size, modified in folder.files
    ]
    if path in ("", "alloc"):
        entries = file_tree.with_script_logs(path, entries)
    elif path == "alloc/logs" and not entries:
        entries = _script_logs(files, allocation)
    if not entries:
        raise Refused(404, f"file not found: {path}", "client/fs/ls of / lists what is there")
    headers = {NEXT_PAGE: pagination.encode(folder.next)} if folder.next else {}
    return Answer(body=entries, headers=headers)


def _script_logs(files: JobFiles, directory: _Directory) -> list[dict[str, object]]:
    found = []
    for kind in file_tree.LOG_TYPES:
        path = file_tree.log_path(SCRIPT_TASK, kind)
        name = file_tree.candidates(path, directory.element)[-1]
        if (stat := files.stat(directory.job, name)) is not None:
            shown = path.rpartition("/")[2]
            found.append(file_tree.entry(shown, size=stat.size, modified=_time(stat.modified)))
    return found


def stat_file(call: Call) -> Answer:
    """A file or folder."""
    allocation, files = _opened(call)
    path = file_tree.clean_path(call.query.get("path", "/"))
    name = path.rpartition("/")[2]
    if path in ("", "alloc", "alloc/logs"):
        return Answer(body=file_tree.entry(name or "/", folder=True))
    try:
        _, stat = _found(files, allocation, path)
    except Refused:
        folder = files.folder(allocation.job, path)
        if not folder.files and not folder.folders:
            raise
        return Answer(body=file_tree.entry(name, folder=True))
    return Answer(body=file_tree.entry(name, size=stat.size, modified=_time(stat.modified)))


def cat_file(call: Call) -> Answer:
    """A whole file; a large one by a redirection to its URL in the bucket."""
    allocation, files = _opened(call)
    path, stat = _found(files, allocation, file_tree.clean_path(call.query["path"]))
    if stat.size > file_tree.MAX_CHUNK:
        text = (
            f"The file has {stat.size} bytes: follow the redirection, or read pieces of at most "
            f"{file_tree.MAX_CHUNK} bytes by client/fs/readat.\n"
        )
        return Answer(
            body=text.encode(),
            status=307,
            headers={"Location": files.url(allocation.job, path)},
            content_type=_TEXT,
        )
    content = files.read(allocation.job, path, 0, stat.size) if stat.size else b""
    return Answer(body=content, content_type=_BYTES)


def read_at(call: Call) -> Answer:
    """A piece of a file."""
    allocation, files = _opened(call)
    path, stat = _found(files, allocation, file_tree.clean_path(call.query["path"]))
    start = min(call.query["offset"], stat.size)
    return _piece(files, allocation.job, path, stat, start, call.query["limit"], lambda raw: raw)


def stream_file(call: Call) -> Answer:
    """A piece of a file in Nomad's frames; follow it by asking again from the answered offset."""
    allocation, files = _opened(call)
    shown = file_tree.clean_path(call.query["path"])
    path, stat = _found(files, allocation, shown)
    start = file_tree.first_byte(
        call.query.get("offset", 0), call.query.get("origin", "start"), stat.size
    )

    def framed(raw: bytes) -> bytes:
        return file_tree.frames(shown, start, raw)

    return _piece(files, allocation.job, path, stat, start, file_tree.MAX_CHUNK, framed)


def logs(call: Call) -> Answer:
    """A piece of a task's log; follow it by asking again from the offset that is answered."""
    allocation, files = _opened(call)
    task, kind = call.query["task"], call.query["type"]
    shown = file_tree.log_path(task, kind)
    try:
        path, stat = _found(files, allocation, file_tree.clean_path(shown))
    except Refused:
        # A script that has written nothing has no log; a task of another name is a mistake.
        if task != SCRIPT_TASK or not allocation.started:
            raise
        return Answer(body=b"", headers={NEXT_OFFSET: "0"}, content_type=_BYTES)
    start = file_tree.first_byte(
        call.query.get("offset", 0), call.query.get("origin", "start"), stat.size
    )

    def framed(raw: bytes) -> bytes:
        return raw if call.query.get("plain") else file_tree.frames(shown, start, raw)

    return _piece(files, allocation.job, path, stat, start, file_tree.MAX_CHUNK, framed)


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


_PATH = Parameter(name="path", description="The path in the allocation's directory.")
_NEEDED_PATH = Parameter(
    name="path", description="The path in the allocation's directory.", required=True
)


_FROM = (
    Parameter(name="offset", description="Bytes from the origin.", kind="integer"),
    Parameter(
        name="origin",
        description="Where the offset counts from; from the end it counts backwards.",
        choices=("start", "end"),
    ),
)


def _route(
    action: str,
    name: str,
    run: Callable[[Call], Answer],
    *parameters: Parameter,
    answers: dict[int, str | None],
) -> Route:
    return Route(
        method="GET",
        path=f"/v1/client/fs/{action}/{{alloc_id}}",
        name=name,
        summary=(run.__doc__ or "").strip(),
        access=Access.READ,
        run=run,
        parameters=(*SITE, *parameters),
        answers=answers,
    )


ROUTES = (
    _route(
        "ls",
        "listFiles",
        list_files,
        _PATH,
        Parameter(name="next_token", description=f"The header {NEXT_PAGE} of the page before."),
        answers={200: "FileList"},
    ),
    _route("stat", "statFile", stat_file, _PATH, answers={200: "File"}),
    _route("cat", "readFile", cat_file, _NEEDED_PATH, answers={200: None, 307: None}),
    _route(
        "readat",
        "readFileAt",
        read_at,
        _NEEDED_PATH,
        Parameter(name="offset", description="The first byte.", kind="integer", required=True),
        Parameter(
            name="limit",
            description=f"How many bytes; at most {file_tree.MAX_CHUNK} come at once.",
            kind="integer",
            least=1,
            required=True,
        ),
        answers={200: None},
    ),
    _route("stream", "streamFile", stream_file, _NEEDED_PATH, *_FROM, answers={200: None}),
    _route(
        "logs",
        "readLogs",
        logs,
        Parameter(name="task", description="The task; a script's is `script`.", required=True),
        Parameter(
            name="type",
            description="Which log.",
            choices=tuple(file_tree.LOG_TYPES),
            required=True,
        ),
        *_FROM,
        Parameter(
            name="plain",
            description="Bytes as they are, instead of Nomad's frames in JSON.",
            kind="boolean",
        ),
        Parameter(
            name="follow",
            description="What is there is answered at once, also with this; ask again from the "
            f"offset in the header {NEXT_OFFSET}.",
            kind="boolean",
        ),
        answers={200: None},
    ),
)
