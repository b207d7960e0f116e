"""The routes about the files of an allocation."""

from __future__ import annotations

from lambdas.routes.declared.parameters import ELEMENT, NEXT_OFFSET, NEXT_PAGE, SITE
from lambdas.routes.route import Parameter, Route
from lambdas.rules import file_tree
from lambdas.rules.identity import Access

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
    run: str,
    summary: str,
    *parameters: Parameter,
    answers: dict[int, str | None],
) -> Route:
    return Route(
        method="GET",
        path=f"/v1/client/fs/{action}/{{alloc_id}}",
        name=name,
        summary=summary,
        access=Access.READ,
        run=f"lambdas.routes.files:{run}",
        parameters=(*SITE, ELEMENT, *parameters),
        answers=answers,
    )


ROUTES = (
    _route(
        "ls",
        "listFiles",
        "list_files",
        "What lies directly in a folder.",
        _PATH,
        Parameter(name="next_token", description=f"The header {NEXT_PAGE} of the page before."),
        answers={200: "FileList"},
    ),
    _route("stat", "statFile", "stat_file", "A file or folder.", _PATH, answers={200: "File"}),
    _route(
        "cat",
        "readFile",
        "cat_file",
        "A whole file; a large one by a redirection to its URL in the bucket.",
        _NEEDED_PATH,
        answers={200: None, 307: None},
    ),
    _route(
        "readat",
        "readFileAt",
        "read_at",
        "A piece of a file.",
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
    _route(
        "stream",
        "streamFile",
        "stream_file",
        "A piece of a file in Nomad's frames; follow it by asking again from the answered offset.",
        _NEEDED_PATH,
        *_FROM,
        answers={200: None},
    ),
    _route(
        "logs",
        "readLogs",
        "logs",
        "A piece of a task's log; follow it by asking again from the offset that is answered.",
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
