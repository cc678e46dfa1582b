"""Who asks is proven by a token, and every way of not proving it is one and the same answer; what a role may not, is another."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from jose import jws

from service.api.access import Access
from service.identity.clients import Role
from service.identity.keys import SigningKey
from tests.support.api import FORBIDDEN, UNAUTHORIZED, Service, routes

GUARDED = [(method, path, access) for method, path, access in routes() if access is not Access.EVERYONE]
ROLE_OF = {"jpn": "partner", "officer": "officer", "auditor": "auditor", "operator": "operator"}


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def header_of(service: Service) -> dict[str, Any]:
    return {"alg": "ES256", "typ": "JWT", "kid": service.installation.keys.current.verifying.kid}


def signed(service: Service, claims: dict[str, Any], *, key: SigningKey | None = None, kid: str | None = None) -> str:
    """A token signed with a key of the service, so that it can be wrong in its claims alone."""
    key = key or service.installation.keys.current
    made: str = jws.sign(claims, key.to_pem().decode(), headers={"kid": kid or key.verifying.kid, "typ": "JWT"}, algorithm="ES256")
    return made


def public(service: Service, encoding: serialization.Encoding) -> bytes:
    key = service.installation.keys.current.verifying.public
    return key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def hmac_token(service: Service, claims: dict[str, Any], secret: bytes, **header: Any) -> str:
    head = {**header_of(service), "alg": "HS256", **header}
    part = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{part}.{b64(hmac.digest(secret, part.encode(), hashlib.sha256))}"


def unsigned(service: Service, claims: dict[str, Any], algorithm: str) -> str:
    return f"{b64(json.dumps({**header_of(service), 'alg': algorithm}).encode())}.{b64(json.dumps(claims).encode())}."


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


OTHER = SigningKey.generate()
Attack = Callable[[Service, dict[str, Any], str], str]
ATTACKS: dict[str, Attack] = {
    "alg-none": lambda service, claims, good: unsigned(service, claims, "none"),
    "alg-none-in-capitals": lambda service, claims, good: unsigned(service, claims, "NONE"),
    "unsigned-es256": lambda service, claims, good: unsigned(service, claims, "ES256"),
    "hmac-with-the-public-key-in-pem": lambda s, claims, good: hmac_token(s, claims, public(s, serialization.Encoding.PEM)),
    "hmac-with-the-public-key-in-der": lambda s, claims, good: hmac_token(s, claims, public(s, serialization.Encoding.DER)),
    "hmac-called-es256": lambda s, claims, good: hmac_token(s, claims, public(s, serialization.Encoding.PEM), alg="ES256"),
    "hmac-with-nothing": lambda service, claims, good: hmac_token(service, claims, b""),
    "wrong-audience": lambda service, claims, good: signed(service, {**claims, "aud": "another.example"}),
    "wrong-issuer": lambda service, claims, good: signed(service, {**claims, "iss": "another.example"}),
    "no-exp": lambda service, claims, good: signed(service, without(claims, "exp")),
    "no-aud": lambda service, claims, good: signed(service, without(claims, "aud")),
    "no-sub": lambda service, claims, good: signed(service, without(claims, "sub")),
    "no-iat": lambda service, claims, good: signed(service, without(claims, "iat")),
    "no-iss": lambda service, claims, good: signed(service, without(claims, "iss")),
    "foreign-key": lambda service, claims, good: signed(service, claims, key=OTHER),
    "foreign-key-under-our-kid": lambda s, claims, good: signed(s, claims, key=OTHER, kid=s.installation.keys.current.verifying.kid),
    "our-key-under-a-foreign-kid": lambda service, claims, good: signed(service, claims, kid="another"),
    "expired": lambda service, claims, good: signed(service, {**claims, "iat": claims["iat"] - 601, "exp": claims["iat"] - 1}),
    "expires-now": lambda service, claims, good: signed(service, {**claims, "iat": claims["iat"] - 600, "exp": claims["iat"]}),
    "of-eleven-minutes": lambda service, claims, good: signed(service, {**claims, "exp": claims["iat"] + 660}),
    "not-yet": lambda service, claims, good: signed(service, {**claims, "nbf": claims["iat"] + 60}),
    "nobody": lambda service, claims, good: signed(service, {**claims, "sub": "c_nobodynobodynobody"}),
    "a-partner-as-subject": lambda service, claims, good: signed(service, {**claims, "sub": "JPN", "partner": "JPN", "role": "partner"}),
    "a-name-as-subject": lambda service, claims, good: signed(service, {**claims, "sub": "demo-jpn"}),
    "a-client-id": lambda service, claims, good: str(claims["sub"]),
    "changed": lambda service, claims, good: ".".join(
        [good.split(".")[0], b64(json.dumps({**claims, "sub": "x"}).encode()), good.split(".")[2]]
    ),
    "cut-short": lambda service, claims, good: good[:-2],
    "without-signature": lambda service, claims, good: good.rpartition(".")[0] + ".",
    "nothing": lambda service, claims, good: "",
    "of-4097-bytes": lambda service, claims, good: good + "A" * (4097 - len(good)),
    "two": lambda service, claims, good: f"{good} {good}",
}


def fill(path: str) -> str:
    return path.replace("{path:path}", "0/000").replace("{code}", "JPN").replace("{", "").replace("}", "")


def one_401(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.content) == (401, UNAUTHORIZED)
    assert dict(answer.headers) == {
        "cache-control": "no-store",
        "www-authenticate": "Bearer",
        "content-length": str(len(UNAUTHORIZED)),
        "content-type": "application/problem+json",
    }


def one_403(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.content) == (403, FORBIDDEN)
    assert dict(answer.headers) == {
        "cache-control": "no-store",
        "content-length": str(len(FORBIDDEN)),
        "content-type": "application/problem+json",
    }


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gets_the_one_401(service: Service, name: str) -> None:
    good = service.token("jpn")
    assert service.get(None, "/v1/items", token=good).status_code == 200
    attack = ATTACKS[name](service, claims_of(good), good)
    sizes = [service.size(log) for log in ("JPN", "officers")]
    for path in ("/v1/items", "/v1/items/x", "/v1/me", "/v1/officer/policies", "/v1/audit/releases"):
        one_401(service.get(None, path, token=attack))
    assert [service.size(log) for log in ("JPN", "officers")] == sizes, "counted, not on record"


def test_the_tokens_that_attacks_are_made_from_are_good(service: Service) -> None:
    """Else a token of the table could be refused for how it is made, and not for what is wrong with it."""
    claims = claims_of(service.token("jpn"))
    assert service.get(None, "/v1/items", token=signed(service, claims)).status_code == 200
    assert (
        service.get(None, "/v1/items", token=signed(service, {**claims, "iat": claims["iat"] - 599, "exp": claims["iat"] + 1})).status_code
        == 200
    )


@pytest.mark.parametrize("scheme", ["Basic {}", "bearer{}", "Token {}", "{}", "Bearer  {}", "Bearer {} ", "Bearer\t{}"])
def test_a_token_is_sent_in_one_way(service: Service, scheme: str) -> None:
    one_401(service.get(None, "/v1/items", headers={"Authorization": scheme.format(service.token("jpn"))}))


def test_a_token_is_not_taken_from_anywhere_else(service: Service) -> None:
    token = service.token("jpn")
    one_401(service.get(None, "/v1/items", params={"access_token": token}))
    one_401(service.get(None, "/v1/items", headers={"Cookie": f"access_token={token}"}))


def test_what_a_token_names_beside_who_it_is_means_nothing(service: Service) -> None:
    claims = claims_of(service.token("ind"))
    bold = {
        **claims,
        "partner": "JPN",
        "role": "officer",
        "roles": ["officer", "auditor"],
        "scope": "officer",
        "purposes": ["EXERCISE-KEEN"],
    }
    token = signed(service, bold)
    assert service.get(None, "/v1/me", token=token).json() == service.get("ind", "/v1/me").json()
    assert service.get(None, "/v1/items", token=token).json()["items"] == service.get("ind", "/v1/items").json()["items"]
    one_403(service.get(None, "/v1/officer/policies", token=token))
    one_403(service.get(None, "/v1/audit/releases", token=token))
    one_403(service.get(None, "/v1/items", token=token, headers={"Purpose": "EXERCISE-KEEN"}))


@pytest.mark.parametrize(("method", "path", "access"), GUARDED, ids=[f"{method} {path}" for method, path, _ in GUARDED])
def test_a_route_is_for_its_role_alone(service: Service, method: str, path: str, access: Access) -> None:
    filled = fill(path)
    sizes = [service.size(log) for log in ("JPN", "officers")]
    for who, role in ROLE_OF.items():
        answer = service.ask(who, method, filled)
        if role == access.role:
            assert answer.status_code not in (401, 403)
            continue
        if method == "HEAD":
            assert answer.status_code == 403
        else:
            one_403(answer)
        # Malformed or not, the answer is the same: nothing of the request is read first.
        worse = service.ask(who, method, filled, params={"limit": "x", "unknown": "1"}, headers={"Purpose": "X", "Idempotency-Key": "x"})
        assert (worse.status_code, worse.content) == (answer.status_code, answer.content)
    nobody = service.ask(None, method, filled, params={"limit": "x"})
    assert nobody.status_code == 401
    if method != "HEAD":
        one_401(nobody)
    if access.role == "partner":
        assert service.size("officers") == sizes[1]
    else:
        assert service.size("JPN") == sizes[0]


# --- the token endpoint -----------------------------------------------------------------------------------------------


@pytest.fixture
def known(own: Service) -> tuple[Service, str, str]:
    """A client, its id and its secret."""
    client, secret = own.installation.registry.add("with-a-secret", Role.PARTNER, partner="JPN")
    assert secret is not None
    return own, client.id, secret


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def token_for(service: Service, headers: dict[str, str] | None = None, **form: str) -> httpx.Response:
    return service.ask(None, "POST", "/oauth2/token", headers=headers, data={"grant_type": "client_credentials", **form})


def test_a_secret_gets_a_token_by_basic_or_by_form(known: tuple[Service, str, str]) -> None:
    service, name, secret = known
    answers = [
        token_for(service, basic(name, secret)),
        token_for(service, client_id=name, client_secret=secret),
        token_for(service, basic(name, secret), client_id=name),
        token_for(service, basic(name, secret), scope="anything"),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        given = answer.json()
        assert list(given) == ["access_token", "token_type", "expires_in"]
        assert (given["token_type"], given["expires_in"]) == ("Bearer", 600)
        claims = claims_of(given["access_token"])
        assert set(claims) == {"iss", "aud", "sub", "iat", "exp", "jti"}
        assert (claims["sub"], claims["exp"] - claims["iat"]) == (name, 600)
        assert service.get(None, "/v1/me", token=given["access_token"]).json()["client"] == name
    token = answers[0].json()["access_token"]
    service.clock.advance(seconds=599)
    assert service.get(None, "/v1/items", token=token).status_code == 200
    service.clock.advance(seconds=1)
    one_401(service.get(None, "/v1/items", token=token))


def test_a_wrong_secret_and_an_unknown_client_are_one_answer(known: tuple[Service, str, str]) -> None:
    service, name, secret = known
    unknown = "c_" + "A" * (len(name) - 2)
    for answer in (
        token_for(service, basic(name, secret[:-1])),
        token_for(service, basic(unknown, secret)),
        token_for(service, client_id=name, client_secret="wrong"),
        token_for(service, client_id=unknown, client_secret="wrong"),
        token_for(service, client_id="with-a-secret", client_secret=secret),
        token_for(service, client_id="x" * 200, client_secret=secret),
        token_for(service, client_id=name),
        token_for(service),
        token_for(service, basic(name, secret), client_secret=secret, client_id=name),
        token_for(service, basic(name, secret), client_id=unknown),
        token_for(service, {"Authorization": "Basic !!!"}),
        token_for(service, {"Authorization": "Basic " + base64.b64encode(b"no-colon").decode()}),
        token_for(service, {"Authorization": f"Bearer {service.token('jpn')}"}),
        token_for(service, basic(service.client("jpn").id, secret)),
    ):
        one_401(answer)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"grant_type=password", "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&audience=x", "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&client_id=" + b"x" * 257, "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&client_id=\xff", "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&client_id=%ff", "application/x-www-form-urlencoded"),
        (b"grant_type", "application/x-www-form-urlencoded"),
        (b'{"grant_type":"client_credentials"}', "application/json"),
        (b"grant_type=client_credentials", "text/plain"),
    ],
)
def test_the_form_is_read_strictly(service: Service, content: bytes, media_type: str) -> None:
    answer = service.ask(None, "POST", "/oauth2/token", content=content, headers={"Content-Type": media_type})
    assert answer.status_code == 422, answer.text
    assert "release-event" not in answer.headers


def test_a_form_of_more_than_16_kib_is_413(service: Service) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert service.ask(None, "POST", "/oauth2/token", content=b"x" * 16_385, headers=form).status_code == 413


def test_guesses_are_few_and_do_not_keep_out_who_knows(known: tuple[Service, str, str]) -> None:
    service, name, secret = known
    assert token_for(service, basic(name, secret)).status_code == 200
    answers = [token_for(service, basic(name, f"guess-{number}")) for number in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert answers[-1].headers["retry-after"] == "6"
    unknown = [token_for(service, basic("c_" + "B" * 24, f"guess-{number}")) for number in range(12)]
    assert [answer.status_code for answer in unknown] == [401] * 10 + [429] * 2, "the same for an id that is not in use"
    assert {answer.content for answer in unknown} == {answer.content for answer in answers}
    assert token_for(service, basic(name, secret)).status_code == 200
    service.clock.advance(seconds=6)
    assert token_for(service, basic(name, "another guess")).status_code == 401
    assert token_for(service, basic(name, "another guess")).status_code == 429


def test_a_client_that_is_no_longer_one_is_refused_at_once(known: tuple[Service, str, str]) -> None:
    service, name, secret = known
    token = token_for(service, basic(name, secret)).json()["access_token"]
    with service.installation.database.acting() as connection:
        connection.exec_driver_sql("UPDATE client SET enabled = 0 WHERE name = 'with-a-secret'")
        connection.exec_driver_sql("UPDATE fence SET clients = clients + 1")
    for path in ("/v1/items", "/v1/items/x", "/v1/me"):
        one_401(service.get(None, path, token=token))
    one_401(token_for(service, basic(name, secret)))


def test_our_keys_are_public_and_nothing_more_of_them(service: Service) -> None:
    answer = service.get(None, "/.well-known/jwks.json")
    (key,) = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert key["kid"] == header_of(service)["kid"]
    claims = jws.verify(service.token("jpn"), key, algorithms=["ES256"])
    assert json.loads(claims)["sub"] == service.client("jpn").id


def test_health_says_no_more_than_it_must(service: Service) -> None:
    assert service.get(None, "/health/live").json() == {"status": "live"}
    ready = service.get(None, "/health/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
