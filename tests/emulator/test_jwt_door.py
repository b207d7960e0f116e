"""The door for bearers of a JSON Web Token, with an issuer of our own."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local_cloud import synthesis
from local_cloud.deployment import deploy
from local_cloud.emulator import ACCOUNT, DEFAULT_REGION, Emulator
from tests.emulator.api_client import ApiClient

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="the issuer signs with openssl"),
]

AUDIENCE = "jobferry"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass
class Issuer:
    """An identity provider: a key, where it is published, and tokens that it signs."""

    key: Path
    url: str

    def token(self, **claims: Any) -> str:
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "ann", "exp": int(time.time()) + 3600}
        parts = ({"alg": "RS256", "kid": "1"}, {**usual, **claims})
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{_encoded(_openssl('dgst', '-sha256', '-sign', self.key, of=signed))}"


def _openssl(*arguments: str | Path, of: str = "") -> bytes:
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, input=of.encode(), capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    key = tmp_path_factory.mktemp("issuer") / "key.pem"
    _openssl("genrsa", "-out", key, "2048")
    modulus = _openssl("rsa", "-in", key, "-noout", "-modulus").decode().strip().partition("=")[2]
    public = {"kty": "RSA", "kid": "1", "e": "AQAB", "n": _encoded(bytes.fromhex(modulus))}

    class Published(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here = f"http://127.0.0.1:{server.server_port}"
            keys = {"keys": [public]}
            found = keys if self.path == "/keys" else {"jwks_uri": f"{here}/keys"}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Published)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Issuer(key, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[str]:
    jwt = {"issuer": "https://idp.example.com/pool", "audience": [AUDIENCE]}
    with pytest.MonkeyPatch.context() as patch:
        stated = {**synthesis._FOR_THE_EMULATOR, "api": {"jwt": jwt}}
        patch.setattr(synthesis, "_FOR_THE_EMULATOR", stated)
        assembly = synthesis.synthesize(
            tmp_path_factory.mktemp("cdk.out"),
            region=DEFAULT_REGION,
            account=ACCOUNT,
            sites={"dc1": {}},
        )
    with Emulator(tmp_path_factory.mktemp("jwt")) as emulator:
        found = deploy(emulator, assembly).api_urls["Jwt"]
        # Settings demand https of an issuer; this one has no certificate.
        gateway, api = emulator.client("apigatewayv2"), found.split("/")[-2]
        (authorizer,) = gateway.get_authorizers(ApiId=api)["Items"]
        assert authorizer["JwtConfiguration"] == {"Issuer": jwt["issuer"], "Audience": [AUDIENCE]}
        gateway.update_authorizer(
            ApiId=api,
            AuthorizerId=authorizer["AuthorizerId"],
            JwtConfiguration={"Issuer": issuer.url, "Audience": [AUDIENCE]},
        )
        yield found


def bearer(url: str, token: str | None) -> ApiClient:
    return ApiClient(url, headers={"Authorization": f"Bearer {token}"} if token else {})


def test_a_token_of_the_issuer_for_the_audience_opens_the_door(url: str, issuer: Issuer) -> None:
    ann = bearer(url, issuer.token())
    ann.post("/v1/jobs/script", {"ID": "j", "Script": "#!/bin/sh\ntrue\n"})
    assert ann.get("/v1/job/j")["Submitter"] == "jwt:ann"
    assert ann.refused("POST", "/v1/site/dc1/drain", 403) == "Permission denied"


def test_any_other_token_does_not(url: str, issuer: Issuer) -> None:
    others = (
        None,
        issuer.token(aud="another"),
        issuer.token(iss="https://idp.example.com/other"),
        issuer.token(exp=int(time.time()) - 60),
        f"{issuer.token().rpartition('.')[0]}.{_encoded(b'0' * 256)}",
    )
    for token in others:
        assert bearer(url, token).call("GET", "/v1/sites").status_code == 401
