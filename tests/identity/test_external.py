"""Another issuer's keys are believed while it stands behind them; it is asked seldom, and its silence is no.

The issuer here is a real one in small: an HTTP server on the loopback with a discovery document, a JWK Set, and keys it can change.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwt

from service.errors import Broken, Unauthenticated
from service.identity.clients import Client, Role
from service.identity.encoding import base64url_encode
from service.identity.external import ANSWER_BYTES_MAX, FRESH_SECONDS, KEPT_SECONDS, KEYS_MAX, RETRY_SECONDS, ExternalKeys, http_client
from service.identity.keys import Algorithm, KeyRing, SigningKey
from service.identity.tokens import EmbeddedIssuer, Reason, TokenVerifier, TrustSource

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
AUDIENCE = "entente.example/v1"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Answer:
    """What the issuer says at an address."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None


class Issuer:
    """A second issuer. `asked` holds the paths it was asked for, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.asking = threading.Event()
        self.answers: dict[str, Answer] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                issuer.asking.set()
                answer = issuer.answers.get(self.path, Answer(b"", 404))
                if answer.hold is not None:
                    answer.hold.wait(10)
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.name = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        self.discovery(jwks_uri=self.name + "/keys")

    def discovery(self, **members: object) -> None:
        self.answers["/.well-known/openid-configuration"] = Answer(json.dumps({"issuer": self.name, **members}).encode())

    def gives(self, *keys: SigningKey) -> None:
        jwks = [jwk for key in keys for jwk in KeyRing(key).jwks()["keys"]]
        self.answers["/keys"] = Answer(json.dumps({"keys": jwks}).encode())

    def fails(self, status: int = 503) -> None:
        self.answers["/keys"] = Answer(b"", status)

    def token(self, key: SigningKey, at: datetime = NOW, kid: str | None = None) -> str:
        """As an issuer makes them: with python-jose itself."""
        issued_at = int(at.timestamp())
        claims = {"iss": self.name, "aud": [AUDIENCE], "sub": "subject-7", "iat": issued_at, "exp": issued_at + 300}
        return jwt.encode(claims, key.to_pem(), algorithm="ES256", headers={"kid": kid or key.verifying.kid})

    def close(self) -> None:
        """Once or more."""
        if self.thread.is_alive():
            self.server.shutdown()
            self.server.server_close()
            self.thread.join()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with http_client() as made:
        yield made


KEY = SigningKey.generate()
NEXT = SigningKey.generate()
KID = KEY.verifying.kid


def keys(issuer: Issuer, client: httpx.Client, **settings: Any) -> ExternalKeys:
    return ExternalKeys(**{"issuer": issuer.name, "algorithm": Algorithm.ES256, "client": client, **settings})


class Directory:
    """One client, of the second issuer."""

    def __init__(self, issuer: str) -> None:
        self.client = Client("c_foreignforeign01", issuer, "subject-7", "ind", Role.PARTNER, partner="IND")

    def find(self, issuer: str, subject: str) -> Client | None:
        return self.client if (issuer, subject) == (self.client.issuer, self.client.subject) else None

    def by_id(self, client_id: str) -> Client | None:
        raise AssertionError("not asked by id")


def verifier(issuer: Issuer, external: ExternalKeys, algorithm: Algorithm = Algorithm.ES256) -> TokenVerifier:
    embedded = EmbeddedIssuer(KeyRing(SigningKey.generate()), issuer="entente.example", audience=AUDIENCE).source()
    return TokenVerifier(Directory(issuer.name), embedded=embedded, external=TrustSource(issuer.name, AUDIENCE, algorithm, external))


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_token_of_the_second_issuer_is_believed_by_keys_it_publishes(issuer: Issuer, client: httpx.Client) -> None:
    issuer.gives(KEY)
    ours = verifier(issuer, keys(issuer, client))
    for _ in range(3):
        assert ours.verify(issuer.token(KEY), NOW).partner == "IND"
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


def test_a_url_given_takes_the_place_of_discovery(issuer: Issuer, client: httpx.Client) -> None:
    issuer.gives(KEY)
    external = keys(issuer, client, jwks_url=issuer.name + "/keys")
    assert verifier(issuer, external).verify(issuer.token(KEY), NOW).partner == "IND"
    assert issuer.asked == ["/keys"]


def test_rs256_is_believed_where_it_is_the_one_set_and_only_there(issuer: Issuer, client: httpx.Client) -> None:
    numbers = RSA_KEY.public_key().public_numbers()
    jwk = {"kty": "RSA", "kid": "r", "n": base64url_encode(numbers.n.to_bytes(256, "big")), "e": "AQAB", "use": "sig"}
    issuer.answers["/keys"] = Answer(json.dumps({"keys": [jwk, *KeyRing(KEY).jwks()["keys"]]}).encode())
    at = int(NOW.timestamp())
    claims = {"iss": issuer.name, "aud": AUDIENCE, "sub": "subject-7", "iat": at, "exp": at + 600}
    pem = RSA_KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    signed = jwt.encode(claims, pem, algorithm="RS256", headers={"kid": "r"})
    ours = verifier(issuer, keys(issuer, client, algorithm=Algorithm.RS256), Algorithm.RS256)
    assert ours.verify(signed, NOW).partner == "IND"
    with pytest.raises(Unauthenticated) as refused:
        ours.verify(issuer.token(KEY), NOW)
    assert refused.value.reason is Reason.ALGORITHM
    with pytest.raises(Unauthenticated) as refused:
        verifier(issuer, keys(issuer, client)).verify(signed, NOW)
    assert refused.value.reason is Reason.ALGORITHM


def test_at_once_never_asks_the_issuer(issuer: Issuer, client: httpx.Client) -> None:
    issuer.gives(KEY)
    ours = verifier(issuer, keys(issuer, client))
    assert ours.verify_at_once(issuer.token(KEY), NOW) is None
    assert issuer.asked == []
    assert ours.verify(issuer.token(KEY), NOW).partner == "IND"
    caller = ours.verify_at_once(issuer.token(KEY), NOW)
    assert caller is not None
    assert caller.partner == "IND"


def test_a_rotation_is_followed_by_one_fetch(issuer: Issuer, client: httpx.Client) -> None:
    issuer.gives(KEY)
    external = keys(issuer, client, jwks_url=issuer.name + "/keys")
    ours = verifier(issuer, external)
    ours.verify(issuer.token(KEY), NOW)
    held = external.held(KID, now=NOW)
    issuer.gives(NEXT, KEY)
    later = after(RETRY_SECONDS)
    assert ours.verify(issuer.token(NEXT, later), later).partner == "IND"
    assert ours.verify(issuer.token(KEY), later).partner == "IND"
    assert external.held(KID, now=later) is held
    assert issuer.asked == ["/keys", "/keys"]


def test_invented_key_names_do_not_make_us_ask_again_and_again(issuer: Issuer, client: httpx.Client) -> None:
    issuer.gives(KEY)
    ours = verifier(issuer, keys(issuer, client, jwks_url=issuer.name + "/keys"))
    for second in range(3 * int(RETRY_SECONDS)):
        for name in ("a", "b"):
            with pytest.raises(Unauthenticated) as refused:
                ours.verify(issuer.token(KEY, after(second), kid=f"{name}{second}"), after(second))
            assert refused.value.reason is Reason.KEY
    assert len(issuer.asked) == 3


def test_a_key_withdrawn_ends_when_the_keys_are_fetched_again(issuer: Issuer, client: httpx.Client) -> None:
    issuer.gives(KEY)
    ours = verifier(issuer, keys(issuer, client))
    ours.verify(issuer.token(KEY), NOW)
    issuer.gives(NEXT)
    just_before, then = after(FRESH_SECONDS - 1), after(FRESH_SECONDS)
    sent = issuer.token(KEY, just_before)
    assert ours.verify(sent, just_before).partner == "IND"
    with pytest.raises(Unauthenticated) as refused:
        ours.verify(sent, then)
    assert refused.value.reason is Reason.KEY


def test_in_an_outage_keys_last_for_a_while_and_then_nobody_is_believed(issuer: Issuer, client: httpx.Client) -> None:
    issuer.gives(KEY)
    external = keys(issuer, client, jwks_url=issuer.name + "/keys")
    ours = verifier(issuer, external)
    ours.verify(issuer.token(KEY), NOW)
    issuer.fails()
    last = after(KEPT_SECONDS - 1)
    remembered = issuer.token(KEY, last)
    for at in (after(FRESH_SECONDS), after(FRESH_SECONDS + 1), last):
        assert ours.verify(issuer.token(KEY, at), at).partner == "IND"
    assert ours.verify(remembered, last).partner == "IND"
    assert external.failure is not None
    assert issuer.asked == ["/keys"] * 3
    for sent in (remembered, issuer.token(KEY, after(KEPT_SECONDS))):
        with pytest.raises(Unauthenticated) as refused:
            ours.verify(sent, after(KEPT_SECONDS))
        assert refused.value.reason is Reason.KEY
    issuer.gives(KEY)
    back = after(KEPT_SECONDS + RETRY_SECONDS)
    assert ours.verify(issuer.token(KEY, back), back).partner == "IND"
    assert external.failure is None


def test_an_issuer_that_is_not_there_is_a_refusal(issuer: Issuer, client: httpx.Client) -> None:
    ours = verifier(issuer, external := keys(issuer, client))
    issuer.close()
    with pytest.raises(Unauthenticated):
        ours.verify(issuer.token(KEY), NOW)
    assert external.failure == "the external issuer cannot be reached: ConnectError"


GOOD_KEYS = json.dumps({"keys": KeyRing(KEY).jwks()["keys"]}).encode()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(Answer(GOOD_KEYS, 404), "status `404`", id="another-status"),
        pytest.param(Answer(GOOD_KEYS, 203), "status `203`", id="another-success"),
        pytest.param(Answer(b"", 302, {"Location": "/elsewhere"}), "status `302`", id="redirect"),
        pytest.param(Answer(b""), "not a JSON object", id="empty"),
        pytest.param(Answer(GOOD_KEYS[:-1]), "not a JSON object", id="cut"),
        pytest.param(Answer(b"[" * 100_000), "not a JSON object", id="deep"),
        pytest.param(Answer(GOOD_KEYS.decode().encode("utf-16")), "not a JSON object", id="utf-16"),
        pytest.param(Answer(b'{"keys":[],' + GOOD_KEYS[1:]), "not a JSON object", id="keys-twice"),
        pytest.param(Answer(b"{}"), "expected a JWK Set", id="no-keys"),
        pytest.param(Answer(b'{"keys":{}}'), "expected a JWK Set", id="keys-not-a-list"),
        pytest.param(Answer(json.dumps({"keys": [{}] * (KEYS_MAX + 1)}).encode()), "expected a JWK Set", id="too-many-keys"),
        pytest.param(Answer(GOOD_KEYS + b" " * ANSWER_BYTES_MAX), "more than", id="too-large"),
        pytest.param(Answer(gzip.compress(GOOD_KEYS), headers={"Content-Encoding": "gzip"}), "compressed", id="compressed"),
        pytest.param(Answer(GOOD_KEYS, headers={"Content-Length": str(len(GOOD_KEYS) + 9)}), "cannot be reached", id="torn-off"),
    ],
)
def test_an_answer_that_is_no_set_of_keys_changes_nothing(issuer: Issuer, client: httpx.Client, answer: Answer, why: str) -> None:
    issuer.gives(NEXT)
    issuer.answers["/elsewhere"] = Answer(GOOD_KEYS)
    external = keys(issuer, client, jwks_url=issuer.name + "/keys")
    external.fetch(NEXT.verifying.kid, now=NOW)
    issuer.answers["/keys"] = answer
    later = after(RETRY_SECONDS)
    external.fetch(KID, now=later)
    assert why in (external.failure or "")
    assert external.held(KID, now=later) is None
    assert external.held(NEXT.verifying.kid, now=later) is not None
    assert "/elsewhere" not in issuer.asked


def test_an_answer_that_takes_too_long_is_given_up(issuer: Issuer, client: httpx.Client) -> None:
    issuer.gives(KEY)
    stopwatch = iter([0.0, 5.1])
    external = keys(issuer, client, jwks_url=issuer.name + "/keys", elapsed=lambda: next(stopwatch))
    external.fetch(KID, now=NOW)
    assert "took longer" in (external.failure or "")
    assert external.held(KID, now=NOW) is None


def test_keys_not_for_us_are_left_out(issuer: Issuer, client: httpx.Client) -> None:
    good, other = KeyRing(KEY).jwks()["keys"][0], KeyRing(NEXT).jwks()["keys"][0]
    issuer.answers["/keys"] = Answer(
        json.dumps({"keys": [{**other, "use": "enc"}, {"kty": "oct", "kid": "o", "k": "AA"}, good, 7]}).encode()
    )
    external = keys(issuer, client)
    external.fetch(KID, now=NOW)
    assert external.held(KID, now=NOW) is not None
    for kid in (NEXT.verifying.kid, "o"):
        assert external.held(kid, now=NOW) is None


@pytest.mark.parametrize(
    ("document", "why"),
    [
        pytest.param({"issuer": "https://evil.example"}, "another issuer's", id="another-issuer"),
        pytest.param({"issuer": None}, "another issuer's", id="no-issuer"),
        pytest.param({"jwks_uri": None}, "names no JWK Set", id="no-address"),
        pytest.param({"jwks_uri": "http://login.example/keys"}, "is not `https`", id="plain-http-elsewhere"),
        pytest.param({"jwks_uri": "file:///etc/passwd"}, "has no host", id="file"),
        pytest.param({"jwks_uri": "https://user:word@login.example/keys"}, "names a user", id="with-password"),
        pytest.param({"jwks_uri": "//"}, "has no host", id="no-host"),
    ],
)
def test_a_discovery_document_is_not_followed_blindly(issuer: Issuer, client: httpx.Client, document: dict[str, object], why: str) -> None:
    issuer.gives(KEY)
    issuer.discovery(**{"jwks_uri": issuer.name + "/keys", **document})
    external = keys(issuer, client)
    external.fetch(KID, now=NOW)
    assert why in (external.failure or "")
    assert issuer.asked == ["/.well-known/openid-configuration"]


def test_an_issuer_elsewhere_cannot_send_us_to_our_own_ports(issuer: Issuer) -> None:
    issuer.gives(KEY)
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        document = {"issuer": "https://login.example", "jwks_uri": issuer.name + "/keys"}
        return httpx.Response(200, content=iter([json.dumps(document).encode()]))

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        external = ExternalKeys(issuer="https://login.example", algorithm=Algorithm.ES256, client=client)
        external.fetch(KID, now=NOW)
    assert asked == ["https://login.example/.well-known/openid-configuration"]
    assert "this machine itself" in (external.failure or "")


@pytest.mark.parametrize(
    ("issuer_name", "jwks_url"),
    [
        ("http://login.example", None), ("login.example", None), ("ftp://login.example", None), ("https://", None), ("", None),
        ("https://login.example", "http://login.example/keys"), ("https://login.example", "http://127.0.0.1.example/keys"),
        ("https://login.example", "http://localhost.example/keys"), ("https://login.example", "https://a@login.example/keys"),
        ("https://login.example", "https://login.example:port/keys"), ("https://login.example", "https://login.example/keys#x"),
    ],
)  # fmt: skip
def test_an_address_that_is_not_https_is_refused_at_the_start(client: httpx.Client, issuer_name: str, jwks_url: str | None) -> None:
    with pytest.raises(Broken):
        ExternalKeys(issuer=issuer_name, algorithm=Algorithm.ES256, client=client, jwks_url=jwks_url)


@pytest.mark.parametrize(
    "address", ["https://login.example/", "https://login.example/tenant", "http://localhost:8080", "http://[::1]:8080", "http://127.0.0.2"]
)
def test_https_and_this_machine_itself_are_accepted(client: httpx.Client, address: str) -> None:
    assert ExternalKeys(issuer=address, algorithm=Algorithm.ES256, client=client).failure is None


def test_those_who_come_during_a_fetch_share_it(issuer: Issuer, client: httpx.Client) -> None:
    issuer.gives(KEY)
    released = issuer.answers["/keys"].hold = threading.Event()
    external = keys(issuer, client, jwks_url=issuer.name + "/keys")
    ours = verifier(issuer, external)
    sent = issuer.token(KEY)
    partners: list[str | None] = []
    threads = [threading.Thread(target=lambda: partners.append(ours.verify(sent, NOW).partner)) for _ in range(5)]
    threads[0].start()
    assert issuer.asking.wait(10)
    for thread in threads[1:]:
        thread.start()
    assert ours.verify_at_once(sent, NOW) is None
    released.set()
    for thread in threads:
        thread.join()
    assert partners == ["IND"] * 5
    assert issuer.asked == ["/keys"]


def test_who_holds_a_key_does_not_wait_for_a_fetch(issuer: Issuer, client: httpx.Client) -> None:
    issuer.gives(KEY)
    ours = verifier(issuer, keys(issuer, client, jwks_url=issuer.name + "/keys"))
    ours.verify(issuer.token(KEY), NOW)
    issuer.gives(NEXT)
    released = issuer.answers["/keys"].hold = threading.Event()
    issuer.asking.clear()
    then = after(FRESH_SECONDS)
    sent = issuer.token(KEY, after(FRESH_SECONDS - 1))
    refused: list[Unauthenticated] = []

    def ask() -> None:
        try:
            ours.verify(sent, then)
        except Unauthenticated as error:
            refused.append(error)

    fetching = threading.Thread(target=ask)
    fetching.start()
    assert issuer.asking.wait(10)
    caller = ours.verify_at_once(sent, then)
    assert caller is not None
    assert ours.verify(sent, then).partner == "IND"
    released.set()
    fetching.join()
    assert [error.reason for error in refused] == [Reason.KEY]
