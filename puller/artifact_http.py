"""Fetches a file by HTTP: to the address that was examined, or through the site's proxy.

http.client and not urllib.request: the connection goes to an address that was resolved once and
examined, each redirect is judged before it is followed, and nothing of the environment (proxies,
.netrc, file: URLs) has a say.
"""

from __future__ import annotations

import base64
import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, unquote, urldefrag, urljoin, urlsplit

from job_protocol.artifact_source import ArtifactProblem, http_url
from puller import __version__
from puller.artifact_hosts import ArtifactHosts
from puller.artifact_part import ArtifactPart
from puller.errors import ArtifactRefused, ArtifactUnavailable

CONNECT_TIMEOUT = 10.0
"""Seconds."""

READ_TIMEOUT = 60.0
"""Seconds without a byte."""

MAX_REDIRECTS = 10
_CHUNK = 256 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({408, 425, 429})
_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/(?:[0-9]+|\*)")

Resolve = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host.

    Raises:
        OSError: its name is not known, or cannot be asked for.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in found))


class HttpDownloads:
    """Downloads under the rule of one site."""

    def __init__(
        self,
        hosts: ArtifactHosts,
        *,
        proxy: str | None = None,
        ca_bundle: str | None = None,
        resolve: Resolve = resolve,
        check_policy: Callable[[str], None] | None = None,
    ) -> None:
        """Prepare downloads.

        Args:
            hosts: the site's rule.
            proxy: URL of the HTTP proxy. It resolves names itself, so that behind one the rule for
                addresses is the proxy's; the rule for hosts stays.
            ca_bundle: file with the certificates to trust; None means this computer's.
            resolve: gives the addresses of a host.
            check_policy: refuses a host, of each redirect too, that the site's policy does not
                allow; None where there is no policy.
        """
        self._hosts = hosts
        self._check_policy = check_policy
        self._proxy = proxy
        self._ca_bundle = ca_bundle
        self._resolve = resolve

    def addresses(self, url: str) -> list[str] | None:
        """The addresses that may be connected to for a URL; None where a proxy connects.

        Raises:
            ArtifactRefused: the site does not fetch from there.
            ArtifactUnavailable: its name cannot be resolved now.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", _port(parts)
        self._hosts.check_host(host, port)
        if self._check_policy is not None:
            self._check_policy(host)
        if self._proxy is not None:
            return None
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise ArtifactUnavailable(f"{host} cannot be resolved ({error})") from error
        return self._hosts.usable(host, port, found)

    def fetch(self, url: str, headers: Mapping[str, str], part: ArtifactPart) -> float | None:
        """Fetch a file, or what is missing of it.

        Args:
            url: a plain http or https URL.
            headers: further headers; they do not follow a redirect to another host.
            part: where it goes.

        Returns:
            When it was modified, in seconds since the epoch, if the server says so.

        Raises:
            ArtifactRefused: it can never be fetched.
            ArtifactUnavailable: it cannot be fetched now; what has arrived stays.
            OSError: `part` cannot be written.
        """
        for _ in range(MAX_REDIRECTS + 1):
            begun, validator = part.begun()
            asked = dict(headers)
            if begun and validator:
                asked |= {"Range": f"bytes={begun}-", "If-Range": validator}
            connection = self._connect(url)
            with closing(connection):
                answer = self._ask(connection, url, asked)
                if answer.status == 416 and begun:  # what is here is all of it, or of another file
                    part.forget()
                    continue
                if answer.status not in _REDIRECTS:
                    return self._take(answer, url, begun, part)
                target = _redirected(url, answer.getheader("Location"))
            if urlsplit(target).netloc != urlsplit(url).netloc:
                headers = {}
            url = target
        raise ArtifactRefused(f"more than {MAX_REDIRECTS} redirects")

    def _connect(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        secure, host, port = parts.scheme == "https", parts.hostname or "", _port(parts)
        addresses = self.addresses(url)
        if addresses is None:
            return self._through_proxy(secure, host, port)
        failure: OSError | None = None
        for address in addresses:
            try:
                return self._direct(secure, host, port, address)
            except ssl.SSLCertVerificationError as error:
                raise _untrusted(host, error) from error
            except OSError as error:
                failure = error
        raise ArtifactUnavailable(f"cannot connect to {host} port {port} ({failure})")

    def _direct(
        self, secure: bool, host: str, port: int, address: str
    ) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(host, port, timeout=READ_TIMEOUT)
        raw = socket.create_connection((address, port), timeout=CONNECT_TIMEOUT)
        try:
            if secure:
                context = self._trust()
                connection = http.client.HTTPSConnection(
                    host, port, timeout=READ_TIMEOUT, context=context
                )
                raw = context.wrap_socket(raw, server_hostname=host)
            raw.settimeout(READ_TIMEOUT)
        except BaseException:
            raw.close()
            raise
        connection.sock = raw
        return connection

    def _through_proxy(self, secure: bool, host: str, port: int) -> http.client.HTTPConnection:
        proxy, name, proxy_port = self._proxy_address()
        if not secure:
            return http.client.HTTPConnection(name, proxy_port, timeout=READ_TIMEOUT)
        connection = http.client.HTTPSConnection(
            name, proxy_port, timeout=READ_TIMEOUT, context=self._trust()
        )
        connection.set_tunnel(host, port, headers=_proxy_credentials(proxy))
        return connection

    def _proxy_address(self) -> tuple[SplitResult, str, int]:
        text = self._proxy or ""
        proxy = urlsplit(text if "://" in text else f"http://{text}")
        if proxy.scheme != "http" or not proxy.hostname:
            raise ArtifactRefused(
                f"artifacts cannot be fetched through a proxy with a URL of scheme "
                f"{proxy.scheme!r}: the site's administrator writes proxy = "
                '"http://HOST:PORT" in the settings'
            )
        return proxy, proxy.hostname, proxy.port or 80

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._ca_bundle)
        except OSError as error:
            raise ArtifactUnavailable(
                f"the certificates to trust cannot be read from {self._ca_bundle} ({error})"
            ) from error

    def _ask(
        self, connection: http.client.HTTPConnection, url: str, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {
            "User-Agent": f"jobferry/{__version__}",
            **headers,
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        if self._proxy is not None and parts.scheme == "http":
            path = urldefrag(url).url
            sent |= _proxy_credentials(self._proxy_address()[0])
        try:
            connection.request("GET", path, headers=sent)
            return connection.getresponse()
        except ssl.SSLCertVerificationError as error:
            raise _untrusted(parts.hostname or "", error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ArtifactUnavailable(f"{parts.hostname} does not answer ({error})") from error

    def _take(
        self, answer: http.client.HTTPResponse, url: str, begun: int, part: ArtifactPart
    ) -> float | None:
        host = urlsplit(url).hostname
        start = 0
        if answer.status == 206:
            found = _RANGE.fullmatch(answer.getheader("Content-Range") or "")
            start = begun
            if found is None or int(found[1]) != begun:
                part.forget()
                raise ArtifactUnavailable(f"{host} sent another range than was asked for")
        elif answer.status != 200:
            _raise_for(answer, host)
        if answer.length is not None:
            part.check(start + answer.length)
        part.take(start, _validator(answer), _blocks(answer, host))
        return _modified(answer)


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _redirected(url: str, location: str | None) -> str:
    if not location:
        raise ArtifactRefused("the server redirects, and does not say where to")
    target = urldefrag(urljoin(url, location)).url
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise ArtifactRefused(f"a redirect to {urlsplit(target).netloc} without TLS: only to https")
    try:
        return http_url(target)
    except ArtifactProblem as error:
        raise ArtifactRefused(f"a redirect that is not followed: {error}") from error


def _untrusted(host: str, error: ssl.SSLCertVerificationError) -> ArtifactUnavailable:
    return ArtifactUnavailable(
        f"the certificate of {host} is not trusted ({error.verify_message}); where a proxy "
        "inspects TLS, name its certificates as ca_bundle in the AWS profile"
    )


def _raise_for(answer: http.client.HTTPResponse, host: str | None) -> None:
    said = f"{host} says {answer.status} {answer.reason}"
    if answer.status >= 500 or answer.status in _BUSY:
        raise ArtifactUnavailable(said)
    raise ArtifactRefused(f"{said}; check the URL and, if it needs any, the headers")


def _blocks(answer: http.client.HTTPResponse, host: str | None) -> Iterator[bytes]:
    """The content.

    Raises:
        ArtifactUnavailable: the transfer broke off.
    """
    while True:
        try:
            block = answer.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise ArtifactUnavailable(f"the transfer from {host} broke off ({error})") from error
        if not block:
            break
        yield block
    if answer.length:
        raise ArtifactUnavailable(
            f"the transfer from {host} broke off, {answer.length} bytes before its end"
        )


def _validator(answer: http.client.HTTPResponse) -> str | None:
    """By what a later request says which file it goes on with (RFC 9110, 13.1.5)."""
    if answer.getheader("Accept-Ranges") == "none":
        return None
    tag = answer.getheader("ETag")
    if tag is not None:
        return None if tag.startswith("W/") else tag
    return answer.getheader("Last-Modified")


def _modified(answer: http.client.HTTPResponse) -> float | None:
    try:
        return parsedate_to_datetime(answer.getheader("Last-Modified") or "").timestamp()
    except (ValueError, OverflowError):
        return None


def _proxy_credentials(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
