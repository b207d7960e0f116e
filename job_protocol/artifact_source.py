"""What an artifact says: go-getter's URLs, as Nomad uses them, judged before anything is fetched.

The control plane refuses with it what can never be fetched; the puller reads with it what it
fetches, and asks the site's own rules beside (`puller/artifact_hosts.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_plus, urlencode, urlsplit

from job_protocol.job_settings import DEFAULT_DESTINATION, Artifact
from job_protocol.object_keys import input_path_problems

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
_MAGIC = frozenset({"archive", "checksum", "filename"})
_PARAMETERS = {"s3": _MAGIC | {"version", "region"}, "git": frozenset({"ref", "depth"})}
_SECRETS = frozenset(
    {"aws_access_key_id", "aws_access_key_secret", "aws_access_token", "aws_profile", "sshkey"}
)
_FORCED = re.compile(r"([A-Za-z0-9]+)::(.+)")
_PRINTABLE = re.compile(r"[!-~]+")
_REF = re.compile(r"(?!.*(?:\.\.|//|@\{))[A-Za-z0-9_][A-Za-z0-9_./@+-]{0,199}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_PATH_STYLE = re.compile(r"s3(?:[.-]([a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?")
_VIRTUAL_HOST = re.compile(r"(.+)\.s3(?:[.-]([a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_.])?|[0-9a-f:.]+")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_FIELD = re.compile(r"[\t\x20-\x7e]*")
_OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "if-range"}
    | {"proxy-authorization", "range", "te", "trailer", "transfer-encoding", "upgrade"}
)


class ArtifactProblem(ValueError):
    """An artifact that can never be fetched; the message says why and what to write instead."""


@dataclass(frozen=True, slots=True)
class HttpSource:
    """A file at an `http` or `https` URL."""

    url: str


@dataclass(frozen=True, slots=True)
class S3Source:
    """An object, or with a key that ends in `/` or is empty, all objects under a prefix."""

    bucket: str
    key: str
    version: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class GitSource:
    """What a branch, a tag or a commit of a repository holds; `ref` None is its default branch."""

    url: str
    ref: str | None = None


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

    origin: HttpSource | S3Source | GitSource
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
    kind, base, subfolder, query = _split(artifact.source)
    parameters = _parameters(kind, query, artifact.options)
    origin = _origin(kind, base, query, parameters, artifact)
    path = _path_of(origin)
    form = None if isinstance(origin, GitSource) else _form(path, parameters.get("archive"))
    checksum = _checksum(artifact.checksum, parameters.get("checksum"))
    folder, file = _target(artifact, origin, path, form, parameters.get("filename"))
    if checksum is not None and _is_folder(origin):
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


# ---- the URL ----


def _split(source: str) -> tuple[str, str, str, str]:
    """Kind (`http`, `s3`, `git`), URL without query, subfolder, query."""
    forced, rest = "", source
    if (match := _FORCED.fullmatch(source)) is not None:
        forced, rest = match[1].lower(), match[2]
    scheme, there, _ = rest.partition("://")
    scheme = scheme.lower()
    if not there:
        raise ArtifactProblem(
            f"{source!r} has no scheme: write https://..., s3://BUCKET/KEY, or "
            "git::https://HOST/REPOSITORY.git"
        )
    kind = forced or scheme
    if kind in ("http", "https") and scheme in ("http", "https"):
        kind = "http"
    elif (kind, scheme) not in {("s3", "s3"), ("s3", "https"), ("git", "https")}:
        raise ArtifactProblem(
            f"{source!r}: sources are https://, http://, s3://, s3::https:// and git::https://"
        )
    if "#" in rest and kind != "s3":
        raise ArtifactProblem(f"{source!r}: remove the part from # on")
    base, _, query = rest.partition("?")
    at = base.find("//", len(scheme) + 3)
    if at < 0:
        return kind, base, "", query
    return kind, base[:at], _plain(unquote(base[at + 2 :]).strip("/"), "folder"), query


def _parameters(kind: str, query: str, options: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in [*parse_qsl(query, keep_blank_values=True), *options.items()]:
        if name in _SECRETS:
            raise ArtifactProblem(
                f"parameter {name!r}: credentials do not travel with a job; the site fetches with "
                "its own rights"
            )
        if kind in _PARAMETERS and name not in _PARAMETERS[kind]:
            known = ", ".join(sorted(_PARAMETERS[kind]))
            raise ArtifactProblem(f"unknown parameter {name!r}; known are {known}")
        if name in found and found[name] != value and (kind != "http" or name in _MAGIC):
            raise ArtifactProblem(f"parameter {name!r} is stated twice: state it once")
        found[name] = value
    return found


def _origin(
    kind: str, base: str, query: str, parameters: Mapping[str, str], artifact: Artifact
) -> HttpSource | S3Source | GitSource:
    if kind == "git":
        _refuse_depth(parameters.get("depth"))
        ref = parameters.get("ref") or None
        if ref is not None and not _REF.fullmatch(ref):
            raise ArtifactProblem(f"ref {ref!r} is no branch, tag or commit")
        return GitSource(http_url(base), ref)
    if kind == "s3":
        return _s3(base, parameters, folder=artifact.mode == "dir")
    kept = [pair for pair in query.split("&") if pair and _name_of(pair) not in _MAGIC]
    added = {name: value for name, value in artifact.options.items() if name not in _MAGIC}
    if added:
        kept.append(urlencode(added))
    return HttpSource(http_url("?".join([base, "&".join(kept)]) if kept else base))


def _name_of(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])


def _refuse_depth(depth: str | None) -> None:
    if depth and not re.fullmatch(r"[0-9]{1,9}", depth):
        raise ArtifactProblem(f"depth {depth!r} is no number")


def http_url(url: str) -> str:
    """The URL, if it is one that may be asked for: also for where an answer redirects to.

    Raises:
        ArtifactProblem: it is not.
    """
    if not _PRINTABLE.fullmatch(url):
        raise ArtifactProblem(f"{url!r}: percent-encode spaces and what is not ASCII")
    parts = _parsed(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ArtifactProblem(f"{url!r} is no http or https URL with a host")
    if "@" in parts.netloc:
        raise ArtifactProblem(
            f"the URL at {parts.hostname} has a user in it: write an Authorization header under "
            "`headers` instead"
        )
    if not _HOST.fullmatch(parts.hostname):  # programs might read it differently
        raise ArtifactProblem(f"{parts.hostname!r} is no name of a host, and no address")
    return url


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ArtifactProblem(f"{url!r} is no URL: {error}") from error
    return parts


def _s3(base: str, parameters: Mapping[str, str], *, folder: bool) -> S3Source:
    scheme, _, rest = base.partition("://")
    host, _, key = rest.partition("/")
    region = parameters.get("region")
    if scheme.lower() == "s3":
        bucket = host
    elif (path_style := _PATH_STYLE.fullmatch(host.lower())) is not None:
        bucket, _, key = unquote(key).partition("/")
        region = region or path_style[1]
    elif (virtual := _VIRTUAL_HOST.fullmatch(host.lower())) is not None:
        bucket, key = virtual[1], unquote(key)
        region = region or virtual[2]
    else:
        raise ArtifactProblem(f"{host!r} is no host of Amazon S3: write s3://BUCKET/KEY")
    if not _BUCKET.fullmatch(bucket):
        raise ArtifactProblem(f"{bucket!r} is no name of a bucket: write s3://BUCKET/KEY")
    if region is not None and not _REGION.fullmatch(region):
        raise ArtifactProblem(f"{region!r} is no AWS region")
    if folder and key and not key.endswith("/") and _form(key, parameters.get("archive")) is None:
        key += "/"
    return S3Source(bucket, key, parameters.get("version") or None, region)


def own_object(url: str, bucket: str) -> S3Source | None:
    """The object of a bucket that a plain https URL names, virtual-hosted, without parameters."""
    parts = _parsed(url)
    host = _VIRTUAL_HOST.fullmatch((parts.hostname or "").lower())
    if host is None or host[1] != bucket or parts.scheme != "https" or parts.query:
        return None
    return S3Source(bucket, unquote(parts.path[1:]), None, host[2])


def _path_of(origin: HttpSource | S3Source | GitSource) -> str:
    if isinstance(origin, S3Source):
        return origin.key
    return unquote(_parsed(origin.url).path)


def _is_folder(origin: HttpSource | S3Source | GitSource) -> bool:
    if isinstance(origin, S3Source):
        return not origin.key or origin.key.endswith("/")
    return isinstance(origin, GitSource)


# ---- what becomes of it ----


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
    origin: HttpSource | S3Source | GitSource,
    path: str,
    form: str | None,
    filename: str | None,
) -> tuple[str, str | None]:
    """The folder, and the name of the one file in it."""
    stated = artifact.destination or DEFAULT_DESTINATION
    place = _plain(re.sub(r"^(\./+)+|^\.$", "", stated).rstrip("/"), "destination")
    one_file = not _is_folder(origin) and (form is None or form in ONE_FILE)
    if artifact.mode == "file":
        if _is_folder(origin):
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
    return place, _plain(f"{place}/{name}" if place else name, "file").rpartition("/")[2]


def _plain(path: str, what: str) -> str:
    """A path that can lie in a job directory, or that is empty."""
    if path and (problems := input_path_problems("job", [path])):
        wrong = problems[0].problem.removeprefix("the key ")
        raise ArtifactProblem(f"{what} {path!r} {wrong}; {problems[0].remedy}")
    return path


def _refuse_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _FIELD.fullmatch(value):
            raise ArtifactProblem(f"header {name!r} has characters that a header cannot have")
        if name.lower() in _OWN_HEADERS:
            raise ArtifactProblem(f"header {name!r} is the puller's own: remove it")
