"""Routes for who fetches whole directories: one flat list, and how to fetch each file."""

from __future__ import annotations

from lambdas.errors import Refused
from lambdas.ports.job_files import Stored
from lambdas.routes.declared.parameters import NEXT_PAGE
from lambdas.routes.directories import opened
from lambdas.routes.route import Answer, Call
from lambdas.rules import file_tree, pagination
from lambdas.rules.status_document import iso


def list_tree(call: Call) -> Answer:
    """Everything under the job's prefix, or in an element's folder, in the order of the paths."""
    directory = opened(call)
    root = directory.job if call.query.get("element") is None else directory.roots[0]
    token = call.query.get("next_token")
    page = directory.files.tree(
        root,
        under=call.query.get("under", ""),
        after=pagination.decode(token, 1)[0] if token else call.query.get("after", ""),
    )
    rows = [
        {"Path": path, "Size": size, "ModTime": iso(int(modified.timestamp()))}
        for path, size, modified in page.files
        if path
    ]
    headers = {NEXT_PAGE: pagination.encode(page.files[-1][0])} if page.more else {}
    return Answer(body=rows, headers=headers)


def locate(call: Call) -> Answer:
    """Where a file can be fetched in pieces, and by which checksum it is verified."""
    directory = opened(call)
    path = file_tree.clean_path(call.query["path"])
    stored = None
    if call.query.get("element") is None and path:
        # Most name what `client/fs/tree` has listed, so that the job's directory comes first.
        stored = directory.files.stored(directory.job, path)
    if stored is None:
        root, below, _ = directory.file(path)
        stored = directory.files.stored(root, below)
    if stored is None:
        raise Refused(404, f"file not found: {path}", "client/fs/tree lists what is there")
    return Answer(body=_shown(path, stored))


def _shown(path: str, stored: Stored) -> dict[str, object]:
    checksum = None
    if stored.checksum is not None:
        algorithm, value = stored.checksum
        checksum = {"Algorithm": algorithm, "Value": value, "PartSize": stored.part_size}
    return {
        "Path": path,
        "URL": stored.url,
        "Size": stored.size,
        "ModTime": iso(int(stored.modified.timestamp())),
        "Mode": stored.mode,
        "ETag": stored.etag,
        "Checksum": checksum,
    }
