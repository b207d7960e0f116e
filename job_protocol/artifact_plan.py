"""What an artifact becomes: which files, from where, unpacked how, in which place.

The control plane refuses with it what can never be fetched; the puller reads with it what it
fetches, and asks the site's own rules beside (`puller/artifact_hosts.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from job_protocol.artifact_source import (
    ArtifactProblem,
    GitSource,
    HttpSource,
    Origin,
    S3Source,
    is_folder,
    origin_of,
    parameters_of,
    path_of,
    plain_path,
    split_source,
)
from job_protocol.job_settings import DEFAULT_DESTINATION, Artifact

MODES = ("any", "file", "dir")
_FORMS = {
    "tar": "tar",
    "tar.gz": "tar.gz",
    "tgz": "tar.gz",
    "tar.bz2": "tar.bz2",
    "tbz2": "tar.bz2",
    "tar.xz": "tar.xz",
    "txz": "tar.xz",
    "zip": "zip",
    "gz": "gz",
    "bz2": "bz2",
    "xz": "xz",
}
_NOT_UNPACKED = ("tar.zst", "tzst", "zst")
ONE_FILE = frozenset({"gz", "bz2", "xz"})
"""Forms that hold one file without a name."""

_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
"""What Go's strconv.ParseBool reads as false."""

_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}
_BY_LENGTH = {length: algorithm for algorithm, length in _DIGITS.items()}
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_FIELD = re.compile(r"[\t\x20-\x7e]*")
_OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "if-range"}
    | {"proxy-authorization", "range", "te", "trailer", "transfer-encoding", "upgrade"}
)


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of a file must hash to."""

    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactPlan:
    """An artifact, read.

    Attributes:
        origin: where it comes from.
        form: how it is unpacked (`tar`, `tar.gz`, `tar.bz2`, `tar.xz`, `zip`, `gz`, `bz2`, `xz`);
            None keeps it as it is.
        checksum: of the file that is fetched.
        subfolder: the folder of the archive or repository that is wanted; empty for all.
        folder: where it goes, relative to the job directory; empty for the job directory itself.
        file: the name of the one file that it becomes there; None if it becomes a folder's content.
        headers: for a request by HTTP.
    """

    origin: Origin
    form: str | None
    checksum: Checksum | None
    subfolder: str
    folder: str
    file: str | None
    headers: Mapping[str, str]


def read_artifact(artifact: Artifact) -> ArtifactPlan:
    """What is to be fetched, and what becomes of it.

    Raises:
        ArtifactProblem: it can never be fetched.
    """
    if artifact.mode not in MODES:
        raise ArtifactProblem(f"mode {artifact.mode!r}: one of {', '.join(MODES)}")
    kind, base, subfolder, query = split_source(artifact.source)
    parameters = parameters_of(kind, query, artifact.options)
    origin = origin_of(kind, base, query, parameters, artifact.options)
    path = path_of(origin)
    form = None if isinstance(origin, GitSource) else _form(path, parameters.get("archive"))
    if artifact.mode == "dir" and form is None and isinstance(origin, S3Source) and path:
        origin = replace(origin, key=f"{path.rstrip('/')}/")
    checksum = _checksum(artifact.checksum, parameters.get("checksum"))
    folder, file = _target(artifact, origin, path, form, parameters.get("filename"))
    if checksum is not None and is_folder(origin):
        raise ArtifactProblem("a checksum is of one file, and this source is a folder: remove it")
    if subfolder and (file is not None or (isinstance(origin, S3Source) and form is None)):
        raise ArtifactProblem(f"//{subfolder}: only an archive or a repository has a folder in it")
    if artifact.headers and not isinstance(origin, HttpSource):
        raise ArtifactProblem("headers are for sources by HTTP: remove them")
    _refuse_headers(artifact.headers)
    return ArtifactPlan(
        origin=origin,
        form=form,
        checksum=checksum,
        subfolder=subfolder,
        folder=folder,
        file=file,
        headers=artifact.headers,
    )


def _form(path: str, stated: str | None) -> str | None:
    if stated in _FALSE:
        return None
    if stated:
        if stated not in _FORMS:
            raise ArtifactProblem(
                f"archive={stated}: known are false, {', '.join(_FORMS)}; "
                "unpack others in the job script"
            )
        return _FORMS[stated]
    for ending in sorted((*_FORMS, *_NOT_UNPACKED), key=len, reverse=True):
        if path.endswith(f".{ending}"):
            if ending in _NOT_UNPACKED:
                raise ArtifactProblem(
                    f"{path!r}: .{ending} is not unpacked; state archive=false and unpack it in "
                    "the job script"
                )
            return _FORMS[ending]
    return None


def _checksum(stated: str | None, parameter: str | None) -> Checksum | None:
    if stated and parameter and stated != parameter:
        raise ArtifactProblem("checksum is stated twice, and differs: state it once")
    text = stated or parameter
    if not text:
        return None
    algorithm, there, digest = text.rpartition(":")
    if algorithm == "file" or text.startswith("file:"):
        raise ArtifactProblem("checksum file:...: write the checksum itself, such as sha256:HEX")
    digest = digest.lower()
    if not there:
        algorithm = _BY_LENGTH.get(len(digest), "")
    if _DIGITS.get(algorithm) != len(digest) or not re.fullmatch(r"[0-9a-f]+", digest):
        raise ArtifactProblem(
            f"checksum {text!r}: write {', '.join(f'{name}:HEX' for name in _DIGITS)}"
        )
    return Checksum(algorithm, digest)


def _target(
    artifact: Artifact,
    origin: Origin,
    path: str,
    form: str | None,
    filename: str | None,
) -> tuple[str, str | None]:
    """The folder, and the name of the one file in it."""
    stated = artifact.destination or DEFAULT_DESTINATION
    place = plain_path(re.sub(r"^(\./+)+|^\.$", "", stated).rstrip("/"), "destination")
    one_file = not is_folder(origin) and (form is None or form in ONE_FILE)
    if artifact.mode == "file":
        if is_folder(origin):
            raise ArtifactProblem("mode file, and the source is a folder: state mode any or dir")
        if not place or stated.endswith("/"):
            raise ArtifactProblem(
                "mode file: destination is the path of the file, such as local/data.csv"
            )
        folder, _, name = place.rpartition("/")
        return folder, name
    if not one_file:
        return place, None
    if artifact.mode == "dir":
        raise ArtifactProblem("mode dir, and the source is one file: state mode any or file")
    name = filename or path.rpartition("/")[2]
    if not name:
        raise ArtifactProblem("the source names no file: a folder cannot be fetched by HTTP")
    if form is not None and not filename:
        name = name.removesuffix(f".{form}") or name
    if "/" in name:
        raise ArtifactProblem(f"filename {name!r}: a name without a slash; state destination too")
    return place, plain_path(f"{place}/{name}" if place else name, "file").rpartition("/")[2]


def _refuse_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _FIELD.fullmatch(value):
            raise ArtifactProblem(f"header {name!r} has characters that a header cannot have")
        if name.lower() in _OWN_HEADERS:
            raise ArtifactProblem(f"header {name!r} is the puller's own: remove it")
