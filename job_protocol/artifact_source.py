"""Where an artifact comes from: go-getter's URLs, as Nomad uses them, judged by their text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_plus, urlencode, urlsplit

from job_protocol.object_keys import input_path_problems

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


Origin = HttpSource | S3Source | GitSource


def split_source(source: str) -> tuple[str, str, str, str]:
    """The parts of a source: kind (`http`, `s3`, `git`), URL without query, subfolder, query.

    Raises:
        ArtifactProblem: it is of no such kind.
    """
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
    return kind, base[:at], plain_path(unquote(base[at + 2 :]).strip("/"), "folder"), query


def parameters_of(kind: str, query: str, options: Mapping[str, str]) -> dict[str, str]:
    """The parameters that a query and the options state.

    Raises:
        ArtifactProblem: one is unknown, a secret, or stated twice.
    """
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


def origin_of(
    kind: str, base: str, query: str, parameters: Mapping[str, str], options: Mapping[str, str]
) -> Origin:
    """Where the parts of a source lead.

    Args:
        kind: see `split_source`.
        base: the URL without its query.
        query: the query.
        parameters: see `parameters_of`.
        options: those of the artifact; by HTTP, they become part of the query.

    Raises:
        ArtifactProblem: it can never be fetched.
    """
    if kind == "git":
        _refuse_depth(parameters.get("depth"))
        ref = parameters.get("ref") or None
        if ref is not None and not _REF.fullmatch(ref):
            raise ArtifactProblem(f"ref {ref!r} is no branch, tag or commit")
        return GitSource(http_url(base), ref)
    if kind == "s3":
        return _s3(base, parameters)
    kept = [pair for pair in query.split("&") if pair and _name_of(pair) not in _MAGIC]
    added = {name: value for name, value in options.items() if name not in _MAGIC}
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


def _s3(base: str, parameters: Mapping[str, str]) -> S3Source:
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
    return S3Source(bucket, key, parameters.get("version") or None, region)


def own_object(url: str, bucket: str) -> S3Source | None:
    """The object of a bucket that a plain https URL names, virtual-hosted, without parameters."""
    parts = _parsed(url)
    host = _VIRTUAL_HOST.fullmatch((parts.hostname or "").lower())
    if host is None or host[1] != bucket or parts.scheme != "https" or parts.query:
        return None
    return S3Source(bucket, unquote(parts.path[1:]), None, host[2])


def path_of(origin: Origin) -> str:
    """The path whose last name is that of the file."""
    if isinstance(origin, S3Source):
        return origin.key
    return unquote(_parsed(origin.url).path)


def is_folder(origin: Origin) -> bool:
    """Whether it is a folder and not one file."""
    if isinstance(origin, S3Source):
        return not origin.key or origin.key.endswith("/")
    return isinstance(origin, GitSource)


def plain_path(path: str, what: str) -> str:
    """The path, if it can lie in a job directory or is empty.

    Raises:
        ArtifactProblem: it cannot; the message says `what` it is.
    """
    if path and (problems := input_path_problems("job", [path])):
        wrong = problems[0].problem.removeprefix("the key ")
        raise ArtifactProblem(f"{what} {path!r} {wrong}; {problems[0].remedy}")
    return path
