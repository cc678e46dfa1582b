"""An operator's own OpenID provider: its tokens are good for the clients registered under it, while it stands behind its keys.

The provider here is a real one in small: a server on the loopback with a discovery document, a JWK Set, and keys it changes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwk, jwt

from service.errors import Rejected
from service.identity.clients import Role
from service.identity.external import FRESH_SECONDS, KEPT_SECONDS, RETRY_SECONDS, http_client
from tests.support.api import CLIENTS, FORBIDDEN, UNAUTHORIZED, Service, copied, service_in

AUDIENCE = "entente-at-the-provider"


class Key:
    """An RSA key of the provider, under a name."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def public(self) -> dict[str, Any]:
        found = jwk.construct(self.pem, "RS256").public_key().to_dict()
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()} | {
            "kid": self.kid,
            "use": "sig",
        }


class Provider:
    """A second issuer on the loopback; `asked` are the paths it was asked for."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.asked: list[str] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                body = json.dumps(provider.answer(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.name = f"http://127.0.0.1:{self.server.server_port}/realm"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def answer(self, path: str) -> object:
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.name, "jwks_uri": self.name + "/certs"}
        return {"keys": [key.public() for key in self.keys]}

    def token(self, service: Service, key: Key, subject: str = "machine-7", **claims: Any) -> str:
        at = int(service.clock().timestamp())
        said = {"iss": self.name, "aud": [AUDIENCE, "account"], "sub": subject, "iat": at, "exp": at + 300, "typ": "Bearer"} | claims
        made: str = jwt.encode(
            {name: value for name, value in said.items() if value is not None}, key.pem, "RS256", headers={"kid": key.kid}
        )
        return made

    def close(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.server.server_close()
            self.thread.join()


OLD, NEW, FOREIGN = Key("key-1"), Key("key-2"), Key("key-1")


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    made.keys = [OLD]
    yield made
    made.close()


@contextmanager
def served(demo_folder: Path, folder: Path, provider: Provider) -> Iterator[Service]:
    """The demo, with the provider trusted and two of its subjects registered."""
    with service_in(
        copied(demo_folder, folder),
        http=http_client,
        external_issuer=provider.name,
        external_audience=AUDIENCE,
        external_token_lifetime_seconds_max=300,
    ) as service:
        service.installation.registry.add(
            "jpn-by-provider", Role.PARTNER, partner="JPN", purposes=["EXERCISE-KEEN"], issuer=provider.name, subject="machine-7"
        )
        service.installation.registry.add("officer-by-provider", Role.OFFICER, issuer=provider.name, subject="person-1")
        yield service


@pytest.fixture
def service(demo_folder: Path, tmp_path: Path, provider: Provider) -> Iterator[Service]:
    with served(demo_folder, tmp_path / "data", provider) as opened:
        yield opened


def refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.content) == (401, UNAUTHORIZED)


def test_a_client_of_the_provider_is_served_like_one_of_ours(service: Service, provider: Provider) -> None:
    token = provider.token(service, OLD)
    listed = service.get(None, "/v1/items", token=token)
    assert listed.status_code == 200
    assert listed.json()["items"] == service.get("jpn", "/v1/items").json()["items"]
    me = service.get(None, "/v1/me", token=token).json()
    assert (me["partner"], me["purposes"]) == ("JPN", ["none", "EXERCISE-KEEN"])
    entry = service.entry(listed)
    assert entry["log"] == "JPN"
    assert entry["face"]["client"] == me["client"] != service.client("jpn").id
    officer = provider.token(service, OLD, "person-1")
    assert service.get(None, "/v1/officer/policies", token=officer).status_code == 200
    assert service.get(None, "/v1/items", token=officer).content == FORBIDDEN
    assert provider.asked == ["/realm/.well-known/openid-configuration", "/realm/certs"], "asked once, then remembered"
    assert service.get("jpn", "/v1/items").status_code == 200, "our own issuer goes on"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "account"},
        {"aud": None},
        {"sub": None},
        {"exp": None},
        {"iat": None},
        {"iss": "https://login.example"},
        {"exp": 1},
        {"sub": "machine-8"},
        {"sub": CLIENTS["jpn"][0]},
        {"sub": "machine-8", "partner": "JPN", "role": "partner", "azp": "machine-7", "client_id": "machine-7"},
    ],
    ids=str,
)
def test_what_the_provider_signs_must_say_what_ours_do(service: Service, provider: Provider, claims: dict[str, Any]) -> None:
    refused(service.get(None, "/v1/items", token=provider.token(service, OLD, **claims)))


def test_a_token_of_the_provider_lives_no_longer_than_it_is_allowed(service: Service, provider: Provider) -> None:
    at = int(service.clock().timestamp())
    refused(service.get(None, "/v1/items", token=provider.token(service, OLD, exp=at + 301)))
    token = provider.token(service, OLD)
    assert service.get(None, "/v1/items", token=token).status_code == 200
    service.clock.advance(seconds=300)
    refused(service.get(None, "/v1/items", token=token))


def test_the_provider_cannot_speak_for_our_issuer_nor_ours_for_it(service: Service, provider: Provider) -> None:
    ours = service.installation.issuer
    refused(
        service.get(None, "/v1/items", token=provider.token(service, OLD, service.client("jpn").id, iss=ours.issuer, aud=ours.audience))
    )
    refused(service.get(None, "/v1/items", token=provider.token(service, OLD, service.client("jpn").id)))
    claims: dict[str, Any] = {"iss": provider.name, "aud": AUDIENCE, "sub": "machine-7", "iat": int(service.clock().timestamp())}
    claims["exp"] = claims["iat"] + 300
    refused(service.get(None, "/v1/items", token=service.installation.keys.current.signed(json.dumps(claims).encode())))
    refused(service.get(None, "/v1/items", token=provider.token(service, FOREIGN)))


def test_a_client_of_the_provider_has_no_secret_with_us(service: Service, provider: Provider) -> None:
    client = service.installation.registry.named("jpn-by-provider")
    form = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": "x"}
    refused(service.ask(None, "POST", "/oauth2/token", data=form))
    with pytest.raises(Rejected):
        service.installation.registry.add("half", Role.OFFICER, issuer=provider.name)


def test_keys_are_changed_without_a_word_to_us(service: Service, provider: Provider) -> None:
    assert service.get(None, "/v1/items", token=provider.token(service, OLD)).status_code == 200
    provider.keys = [OLD, NEW]
    service.clock.advance(seconds=RETRY_SECONDS)
    assert service.get(None, "/v1/items", token=provider.token(service, NEW)).status_code == 200
    asked = len(provider.asked)
    assert service.get(None, "/v1/items", token=provider.token(service, OLD)).status_code == 200
    provider.keys = [NEW]
    service.clock.advance(seconds=FRESH_SECONDS)
    assert service.get(None, "/v1/items", token=provider.token(service, NEW)).status_code == 200
    refused(service.get(None, "/v1/items", token=provider.token(service, OLD)))
    assert len(provider.asked) == asked + 2
    for number in range(20):
        forged = Key(f"invented-{number}") if number == 0 else FOREIGN
        refused(service.get(None, "/v1/items", token=provider.token(service, forged)))
    assert len(provider.asked) == asked + 2, "invented names do not make us hammer the provider"


def test_a_provider_out_of_reach_is_believed_for_a_while_and_ours_for_ever(service: Service, provider: Provider) -> None:
    assert service.get(None, "/v1/items", token=provider.token(service, OLD)).status_code == 200
    provider.close()
    service.clock.advance(seconds=FRESH_SECONDS)
    assert service.get(None, "/v1/items", token=provider.token(service, OLD)).status_code == 200
    service.clock.advance(seconds=KEPT_SECONDS - FRESH_SECONDS)
    refused(service.get(None, "/v1/items", token=provider.token(service, OLD)))
    assert service.get("jpn", "/v1/items").status_code == 200


def test_a_provider_s_tokens_mean_nothing_where_it_is_not_trusted(own: Service, provider: Provider) -> None:
    own.installation.registry.add("jpn-by-provider", Role.PARTNER, partner="JPN", issuer=provider.name, subject="machine-7")
    refused(own.get(None, "/v1/items", token=provider.token(own, OLD)))
    assert provider.asked == []
