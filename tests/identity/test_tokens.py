"""A token is believed for one thing, who sent it, and only when nothing about it could be another's doing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Broken, Forbidden, Unauthenticated
from service.identity.authentication import authorize
from service.identity.clients import Client, Role
from service.identity.keys import Algorithm, KeyRing, SigningKey, VerifyingKey
from service.identity.tokens import TOKEN_BYTES_MAX, EmbeddedIssuer, Reason, TokenVerifier, TrustSource

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
OURS = "entente.example"
AUDIENCE = "entente.example/v1"
THEIRS = "https://login.example"

KEY = SigningKey.generate()
OTHER_KEY = SigningKey.generate()
THEIR_KEY = SigningKey.generate()
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KID = KEY.verifying.kid
THEIR_KID = THEIR_KEY.verifying.kid

PARTNER = Client("c_japanjapanjapan1", OURS, "c_japanjapanjapan1", "jpn", Role.PARTNER, partner="JPN")
OFFICER = Client("c_officerofficer01", OURS, "c_officerofficer01", "officer", Role.OFFICER)
DISABLED = Client("c_disableddisabled", OURS, "c_disableddisabled", "gone", Role.PARTNER, partner="JPN", enabled=False)
FOREIGN = Client("c_foreignforeign01", THEIRS, "subject-7", "ind", Role.PARTNER, partner="IND")


class Directory:
    """A client table in memory."""

    def __init__(self, *clients: Client) -> None:
        self.clients = list(clients)

    def find(self, issuer: str, subject: str) -> Client | None:
        return next((client for client in self.clients if (client.issuer, client.subject) == (issuer, subject)), None)

    def by_id(self, client_id: str) -> Client | None:
        return next((client for client in self.clients if client.id == client_id), None)


class Held:
    """Keys that are simply there, and of which it is known how often they were asked for."""

    def __init__(self, *keys: VerifyingKey) -> None:
        self.keys = {key.kid: key for key in keys}

    def held(self, kid: str, *, now: datetime) -> VerifyingKey | None:
        return self.keys.get(kid)

    def must_fetch(self, kid: str, *, now: datetime) -> bool:
        return False

    def fetch(self, kid: str, *, now: datetime) -> None:
        raise AssertionError("nothing to fetch")


def issuer(keys: KeyRing | None = None) -> EmbeddedIssuer:
    return EmbeddedIssuer(keys or KeyRing(KEY), issuer=OURS, audience=AUDIENCE)


def verifier(directory: Directory | None = None, *, keys: KeyRing | None = None, verified_max: int = 100) -> TokenVerifier:
    external = TrustSource(THEIRS, AUDIENCE, Algorithm.ES256, Held(THEIR_KEY.verifying), 300)
    return TokenVerifier(
        directory or Directory(PARTNER, OFFICER, DISABLED, FOREIGN),
        embedded=issuer(keys).source(),
        external=external,
        verified_max=verified_max,
    )


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def es256(key: SigningKey, signed: bytes) -> bytes:
    r, s = decode_dss_signature(key.private.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.digest(secret, signed, hashlib.sha256)


def rs256(signed: bytes) -> bytes:
    return RSA_KEY.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def token(
    header: dict[str, Any] | bytes | None = None,
    claims: dict[str, Any] | bytes | None = None,
    *,
    sign: Callable[[bytes], bytes] = lambda signed: es256(KEY, signed),
) -> str:
    """A token made by hand, so that it can be wrong in one thing only."""
    header = HEADER if header is None else header
    claims = CLAIMS if claims is None else claims
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signed = f"{b64(head)}.{b64(body)}"
    return f"{signed}.{b64(sign(signed.encode()))}"


HEADER: dict[str, Any] = {"alg": "ES256", "typ": "JWT", "kid": KID}
CLAIMS: dict[str, Any] = {"iss": OURS, "aud": AUDIENCE, "sub": PARTNER.id, "iat": AT, "exp": AT + 600}
THEIR_HEADER: dict[str, Any] = {"alg": "ES256", "typ": "at+jwt", "kid": THEIR_KID}
THEIR_CLAIMS: dict[str, Any] = {"iss": THEIRS, "aud": AUDIENCE, "sub": FOREIGN.subject, "iat": AT, "exp": AT + 300}


def by(key: SigningKey) -> Callable[[bytes], bytes]:
    return lambda signed: es256(key, signed)


def without(claim: str) -> dict[str, Any]:
    return {name: value for name, value in CLAIMS.items() if name != claim}


def public_pem(key: SigningKey = KEY) -> bytes:
    return key.verifying.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_der() -> bytes:
    return KEY.verifying.public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_point() -> bytes:
    return KEY.verifying.public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


JWK = KeyRing(KEY).jwks()["keys"][0]
GOOD = token()


@dataclass(frozen=True)
class Attack:
    token: str
    reason: Reason


def stripped(last_kept: int) -> str:
    return ".".join(GOOD.split(".")[:last_kept])


def respelt(text: str) -> str:
    """The same bytes in another spelling: the unused low bits of the signature's last character are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "iss": {"null": None, "list": [OURS], "number": 1},
    "aud": {
        "null": None,
        "number": 1,
        "empty": "",
        "empty-list": [],
        "mixed-list": [AUDIENCE, 1],
        "object": {AUDIENCE: 1},
        "nested": [[AUDIENCE]],
        "prefix": AUDIENCE[:-1],
        "longer": AUDIENCE + "/x",
        "case": AUDIENCE.upper(),
        "other": "another.example",
    },
    "sub": {
        "null": None,
        "list": [PARTNER.id],
        "number": 7,
        "empty": "",
        "nul": PARTNER.id + "\0",
        "surrogate": "\ud800",
        "huge": "s" * 256,
    },
    "iat": {"null": None, "string": str(AT), "float": AT + 0.5, "true": True, "list": [AT]},
    "exp": {
        "null": None,
        "string": str(AT + 60),
        "float": float(AT + 60),
        "true": True,
        "infinite": float("inf"),
        "nan": float("nan"),
    },
    "nbf": {"null": None, "string": str(AT), "true": True},
}

ATTACKS = {
    # No signature.
    **{
        f"alg-{spelling or 'empty'}": Attack(token({**HEADER, "alg": spelling}, sign=lambda _: b"x"), Reason.ALGORITHM)
        for spelling in ("none", "None", "NONE", "nOnE", "none ", "", "es256", "ES256 ", "ES384")
    },
    "alg-null": Attack(token({**HEADER, "alg": None}), Reason.HEADER),
    "alg-missing": Attack(token({"typ": "JWT", "kid": KID}), Reason.HEADER),
    "alg-list": Attack(token({**HEADER, "alg": ["ES256"]}), Reason.HEADER),
    "alg-none-signature-empty": Attack(token({**HEADER, "alg": "none"}, sign=lambda _: b""), Reason.FORM),
    "signature-stripped": Attack(stripped(2) + ".", Reason.FORM),
    "signature-and-dot-stripped": Attack(stripped(2), Reason.FORM),
    # The public key as a secret.
    **{
        f"hs256-public-{form}": Attack(token({**HEADER, "alg": "HS256"}, sign=hs256(secret)), Reason.ALGORITHM)
        for form, secret in {
            "pem": public_pem(),
            "pem-stripped": public_pem().strip(),
            "der": public_der(),
            "point": public_point(),
            "jwk": json.dumps(JWK).encode(),
            "jwk-compact": json.dumps(JWK, separators=(",", ":")).encode(),
            "x": JWK["x"].encode(),
            "kid": KID.encode(),
            "empty": b"",
        }.items()
    },
    "hmac-under-the-pinned-name": Attack(token(sign=lambda signed: hs256(public_pem())(signed) * 2), Reason.SIGNATURE),
    # Another algorithm.
    "rs256": Attack(token({**HEADER, "alg": "RS256"}, sign=rs256), Reason.ALGORITHM),
    "rs256-under-the-pinned-name": Attack(token(sign=rs256), Reason.SIGNATURE),
    "der-signature": Attack(token(sign=lambda signed: KEY.private.sign(signed, ec.ECDSA(hashes.SHA256()))), Reason.SIGNATURE),
    "zero-signature": Attack(token(sign=lambda _: bytes(64)), Reason.SIGNATURE),
    "order-signature": Attack(
        token(sign=lambda _: bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551") * 2), Reason.SIGNATURE
    ),
    # Another key.
    "signed-by-another-key": Attack(token(sign=by(OTHER_KEY)), Reason.SIGNATURE),
    "kid-foreign": Attack(token({**HEADER, "kid": OTHER_KEY.verifying.kid}, sign=by(OTHER_KEY)), Reason.KEY),
    "kid-missing": Attack(token({"alg": "ES256", "typ": "JWT"}), Reason.HEADER),
    "kid-empty": Attack(token({**HEADER, "kid": ""}), Reason.HEADER),
    "kid-number": Attack(token({**HEADER, "kid": 1}), Reason.HEADER),
    "kid-path": Attack(token({**HEADER, "kid": "../../../dev/null"}, sign=hs256(b"")), Reason.KEY),
    "kid-huge": Attack(token({**HEADER, "kid": "k" * 257}), Reason.HEADER),
    "jwk-in-header": Attack(
        token({**HEADER, "kid": OTHER_KEY.verifying.kid, "jwk": KeyRing(OTHER_KEY).jwks()["keys"][0]}, sign=by(OTHER_KEY)), Reason.HEADER
    ),
    **{
        f"{name}-in-header": Attack(token({**HEADER, name: value}), Reason.HEADER)
        for name, value in {
            "jwk": JWK,
            "jku": "https://evil.example/keys",
            "x5u": "https://evil.example/chain",
            "x5c": ["MIIB"],
            "crit": ["exp"],
            "b64": False,
            "zip": "DEF",
            "enc": "A256GCM",
        }.items()
    },
    "typ-of-another-kind": Attack(token({**HEADER, "typ": "logout+jwt"}), Reason.HEADER),
    "typ-number": Attack(token({**HEADER, "typ": 1}), Reason.HEADER),
    # The two issuers mixed.
    "our-key-their-issuer": Attack(token(HEADER, THEIR_CLAIMS), Reason.KEY),
    "our-key-their-issuer-their-kid": Attack(token(THEIR_HEADER, THEIR_CLAIMS), Reason.SIGNATURE),
    "their-key-our-issuer": Attack(token(THEIR_HEADER, CLAIMS, sign=by(THEIR_KEY)), Reason.KEY),
    "their-key-our-issuer-our-kid": Attack(token(HEADER, CLAIMS, sign=by(THEIR_KEY)), Reason.SIGNATURE),
    "their-token-our-client": Attack(token(THEIR_HEADER, {**THEIR_CLAIMS, "sub": PARTNER.id}, sign=by(THEIR_KEY)), Reason.CLIENT),
    "our-token-their-client": Attack(token(claims={**CLAIMS, "sub": FOREIGN.subject}), Reason.CLIENT),
    "our-token-their-client-by-id": Attack(token(claims={**CLAIMS, "sub": FOREIGN.id}), Reason.CLIENT),
    "their-lifetime-is-their-own": Attack(token(THEIR_HEADER, {**THEIR_CLAIMS, "exp": AT + 301}, sign=by(THEIR_KEY)), Reason.TIME),
    # Claims left out, of another type, or another's.
    **{
        f"{claim}-missing": Attack(token(claims=without(claim)), reason)
        for claim, reason in {
            "iss": Reason.CLAIMS,
            "aud": Reason.AUDIENCE,
            "sub": Reason.CLAIMS,
            "iat": Reason.CLAIMS,
            "exp": Reason.CLAIMS,
        }.items()
    },
    **{
        f"{claim}-{name}": Attack(token(claims={**CLAIMS, claim: value}), Reason.AUDIENCE if claim == "aud" else Reason.CLAIMS)
        for claim, values in WRONG_CLAIMS.items()
        for name, value in values.items()
    },
    "iss-other": Attack(token(claims={**CLAIMS, "iss": "https://evil.example"}), Reason.ISSUER),
    "iss-case": Attack(token(claims={**CLAIMS, "iss": OURS.upper()}), Reason.ISSUER),
    "iss-slash": Attack(token(claims={**CLAIMS, "iss": OURS + "/"}), Reason.ISSUER),
    # Time.
    "expired": Attack(token(claims={**CLAIMS, "iat": AT - 600, "exp": AT}), Reason.TIME),
    "expired-within-the-leeway": Attack(token(claims={**CLAIMS, "iat": AT - 10, "exp": AT - 1}), Reason.TIME),
    "too-long": Attack(token(claims={**CLAIMS, "exp": AT + 601}), Reason.TIME),
    "for-ever": Attack(token(claims={**CLAIMS, "exp": 10**300}), Reason.TIME),
    "backwards": Attack(token(claims={**CLAIMS, "iat": AT + 4, "exp": AT + 3}), Reason.TIME),
    "issued-in-the-future": Attack(token(claims={**CLAIMS, "iat": AT + 6, "exp": AT + 60}), Reason.TIME),
    "not-yet": Attack(token(claims={**CLAIMS, "nbf": AT + 6}), Reason.TIME),
    "never": Attack(token(claims={**CLAIMS, "nbf": 10**300}), Reason.TIME),
    # Clients.
    "client-disabled": Attack(token(claims={**CLAIMS, "sub": DISABLED.id}), Reason.CLIENT),
    "client-unknown": Attack(token(claims={**CLAIMS, "sub": "c_nobodynobodynobod"}), Reason.CLIENT),
    "client-name-as-subject": Attack(token(claims={**CLAIMS, "sub": PARTNER.name}), Reason.CLIENT),
    "client-id-as-token": Attack(PARTNER.id, Reason.FORM),
    # Form.
    "empty": Attack("", Reason.FORM),
    "four-parts": Attack(GOOD + ".x", Reason.FORM),
    "five-parts": Attack("a.b.c.d.e", Reason.FORM),
    "padded": Attack(GOOD + "==", Reason.FORM),
    "respelt-signature": Attack(respelt(GOOD), Reason.FORM),
    "line-end": Attack(GOOD + "\n", Reason.FORM),
    "space-before": Attack(" " + GOOD, Reason.FORM),
    "not-ascii": Attack(GOOD + "é", Reason.FORM),
    "fullwidth": Attack(GOOD[:-1] + "\uff21", Reason.FORM),
    "surrogate": Attack(GOOD + "\ud800", Reason.FORM),
    "huge": Attack(token(claims={**CLAIMS, "pad": "x" * 4096}), Reason.FORM),
    "huge-and-shapeless": Attack("a" * (1 << 20), Reason.FORM),
    "header-twice-alg": Attack(token(b'{"alg":"none","alg":"ES256","kid":"%s"}' % KID.encode()), Reason.HEADER),
    "header-twice-kid": Attack(token(b'{"alg":"ES256","kid":"x","kid":"%s"}' % KID.encode()), Reason.HEADER),
    "header-list": Attack(token(b"[]"), Reason.HEADER),
    "header-not-json": Attack(token(b"{"), Reason.HEADER),
    "header-utf16": Attack(token(json.dumps(HEADER).encode("utf-16")), Reason.HEADER),
    "header-latin-1": Attack(token(json.dumps({**HEADER, "x": "é"}, ensure_ascii=False).encode("latin-1")), Reason.HEADER),
    "header-byte-order-mark": Attack(token(b"\xef\xbb\xbf" + json.dumps(HEADER).encode()), Reason.HEADER),
    "header-deep": Attack(token(b"[" * 1400), Reason.HEADER),
    "claims-twice-sub": Attack(token(claims=json.dumps(CLAIMS).encode()[:-1] + f',"sub":"{OFFICER.id}"}}'.encode()), Reason.CLAIMS),
    "claims-twice-deep": Attack(token(claims=json.dumps(CLAIMS).encode()[:-1] + b',"x":{"a":1,"a":2}}'), Reason.CLAIMS),
    "claims-list": Attack(token(claims=json.dumps([CLAIMS]).encode()), Reason.CLAIMS),
    "claims-deep": Attack(token(claims=b'{"x":' + b"[" * 1400), Reason.CLAIMS),
    "claims-long-number": Attack(token(claims=b'{"exp":' + b"9" * 2500 + b"}"), Reason.CLAIMS),
    "claims-not-json": Attack(token(claims=b"iss=x"), Reason.CLAIMS),
    "claims-utf16": Attack(token(claims=json.dumps(CLAIMS).encode("utf-16")), Reason.CLAIMS),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_is_refused_and_the_answer_is_always_the_same(attack: Attack) -> None:
    for ask in (verifier().verify, verifier().verify_at_once):
        with pytest.raises(Unauthenticated) as refused:
            ask(attack.token, NOW)
        assert refused.value.reason is attack.reason
        assert str(refused.value) == "not authenticated"
        assert type(refused.value) is Unauthenticated


def test_the_attacks_are_each_one_step_from_a_token_that_is_believed() -> None:
    assert verifier().verify(GOOD, NOW).client == PARTNER
    assert verifier().verify(token(THEIR_HEADER, THEIR_CLAIMS, sign=by(THEIR_KEY)), NOW).client == FOREIGN


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        pytest.param(HEADER, {**CLAIMS, "aud": ["another.example", AUDIENCE]}, id="one-audience-of-several"),
        pytest.param(HEADER, {**CLAIMS, "iat": AT + 5, "nbf": AT + 5}, id="clock-five-seconds-ahead"),
        pytest.param(HEADER, {**CLAIMS, "nbf": -(10**300)}, id="not-before-long-ago"),
        pytest.param(HEADER, {**CLAIMS, "iat": AT - 599, "exp": AT + 1}, id="in-its-last-second"),
        pytest.param({"alg": "ES256", "kid": KID}, CLAIMS, id="without-typ"),
        pytest.param({**HEADER, "typ": "jwt", "x5t": "abc"}, CLAIMS, id="members-that-mean-nothing-to-us"),
        pytest.param(
            HEADER,
            {**CLAIMS, "partner": "USA", "role": "officer", "roles": ["auditor"], "client": OFFICER.id},
            id="role-and-partner-claimed",
        ),
        pytest.param(
            HEADER, {**CLAIMS, "scope": "officer", "groups": ["auditor"], "azp": OFFICER.id, "purposes": ["X"]}, id="scope-claimed"
        ),
    ],
)
def test_what_else_a_token_says_changes_nothing(header: dict[str, Any], claims: dict[str, Any]) -> None:
    caller = verifier().verify(token(header, claims), NOW)
    assert (caller.client, caller.role, caller.partner, caller.purposes) == (PARTNER, Role.PARTNER, "JPN", ("none",))


def test_a_token_of_another_role_is_believed_and_not_let_in() -> None:
    caller = verifier().verify(token(claims={**CLAIMS, "role": "officer"}), NOW)
    with pytest.raises(Forbidden):
        authorize(caller, {Role.OFFICER})


def test_the_embedded_issuer_says_who_and_nothing_else() -> None:
    issued = issuer().issue(PARTNER, NOW + timedelta(microseconds=999_999))
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in issued.split(".")[:2])
    assert header == {"alg": "ES256", "typ": "JWT", "kid": KID}
    assert claims.pop("jti")
    assert claims == {"iss": OURS, "aud": AUDIENCE, "sub": PARTNER.id, "iat": AT, "exp": AT + 600}
    assert verifier().verify(issued, NOW).client == PARTNER
    assert issuer().issue(PARTNER, NOW) != issuer().issue(PARTNER, NOW)


@pytest.mark.parametrize("client", [DISABLED, FOREIGN, replace(PARTNER, subject="another")], ids=["disabled", "foreign", "other-subject"])
def test_the_embedded_issuer_makes_no_token_for(client: Client) -> None:
    with pytest.raises(Unauthenticated):
        issuer().issue(client, NOW)


@pytest.mark.parametrize("seconds", [0, -1, 601])
def test_a_token_of_another_lifetime_than_1_to_600_seconds_cannot_be_set(seconds: int) -> None:
    with pytest.raises(Broken):
        EmbeddedIssuer(KeyRing(KEY), issuer=OURS, audience=AUDIENCE, lifetime_seconds=seconds)


def test_two_sources_of_one_name_are_refused() -> None:
    source = issuer().source()
    with pytest.raises(Broken):
        TokenVerifier(Directory(), embedded=source, external=replace(source, keys=Held(THEIR_KEY.verifying)))


def test_after_a_rotation_the_older_key_still_verifies_and_no_longer_signs() -> None:
    before = issuer(KeyRing(OTHER_KEY)).issue(PARTNER, NOW)
    rotated = KeyRing(KEY, older=[OTHER_KEY.verifying])
    assert verifier(keys=rotated).verify(before, NOW).client == PARTNER
    after = issuer(rotated).issue(PARTNER, NOW)
    assert verifier().verify(after, NOW).client == PARTNER
    with pytest.raises(Unauthenticated):
        verifier().verify(before, NOW)


def test_a_remembered_token_is_checked_for_all_but_its_signature() -> None:
    directory = Directory(PARTNER)
    ours = verifier(directory)
    assert ours.verify(GOOD, NOW).client == PARTNER
    directory.clients = [replace(PARTNER, partner="AUS")]
    assert ours.verify(GOOD, NOW).partner == "AUS"
    directory.clients = [replace(PARTNER, enabled=False)]
    with pytest.raises(Unauthenticated):
        ours.verify(GOOD, NOW)
    directory.clients = []
    with pytest.raises(Unauthenticated):
        ours.verify(GOOD, NOW)
    directory.clients = [PARTNER]
    last = NOW + timedelta(seconds=599, microseconds=999_999)
    assert ours.verify(GOOD, last).client == PARTNER
    with pytest.raises(Unauthenticated) as refused:
        ours.verify(GOOD, NOW + timedelta(seconds=600))
    assert refused.value.reason is Reason.TIME
    with pytest.raises(Unauthenticated):
        ours.verify(GOOD, NOW - timedelta(seconds=6))


def test_a_remembered_token_ends_with_its_key() -> None:
    keys = Held(THEIR_KEY.verifying)
    ours = TokenVerifier(Directory(FOREIGN), embedded=issuer().source(), external=TrustSource(THEIRS, AUDIENCE, Algorithm.ES256, keys, 300))
    theirs = token(THEIR_HEADER, THEIR_CLAIMS, sign=by(THEIR_KEY))
    assert ours.verify(theirs, NOW).client == FOREIGN
    keys.keys = {}
    with pytest.raises(Unauthenticated) as refused:
        ours.verify(theirs, NOW)
    assert refused.value.reason is Reason.KEY
    keys.keys = {THEIR_KID: replace(OTHER_KEY.verifying, kid=THEIR_KID)}
    with pytest.raises(Unauthenticated) as refused:
        ours.verify(theirs, NOW)
    assert refused.value.reason is Reason.SIGNATURE


@pytest.mark.parametrize(("verified_max", "expected"), [(2, "abca"), (0, "aababcbca"), (10, "abc")])
def test_a_signature_is_checked_once_and_remembered_within_bounds(verified_max: int, expected: str) -> None:
    checked: list[str] = []

    class Counting(VerifyingKey):
        def verified(self, token: str) -> bytes | None:
            checked.append(token)
            return super().verified(token)

    key = Counting(THEIR_KID, Algorithm.ES256, THEIR_KEY.verifying.public)
    external = TrustSource(THEIRS, AUDIENCE, Algorithm.ES256, Held(key), 300)
    ours = TokenVerifier(Directory(FOREIGN), embedded=issuer().source(), external=external, verified_max=verified_max)
    tokens = {name: token(THEIR_HEADER, {**THEIR_CLAIMS, "jti": name}, sign=by(THEIR_KEY)) for name in "abc"}
    for name in "aababcbca":
        assert ours.verify(tokens[name], NOW).client == FOREIGN
    assert checked == [tokens[name] for name in expected]


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", "ES384"])
def test_a_key_checks_nothing_under_another_algorithm_than_its_own(algorithm: str) -> None:
    assert KEY.verifying.verified(token()) is not None
    assert KEY.verifying.verified(token({**HEADER, "alg": algorithm})) is None


def test_a_key_of_another_algorithm_than_its_issuers_is_not_used() -> None:
    external = TrustSource(THEIRS, AUDIENCE, Algorithm.RS256, Held(THEIR_KEY.verifying))
    ours = TokenVerifier(Directory(FOREIGN), embedded=issuer().source(), external=external)
    with pytest.raises(Unauthenticated) as refused:
        ours.verify(token({**THEIR_HEADER, "alg": "RS256"}, THEIR_CLAIMS, sign=rs256), NOW)
    assert refused.value.reason is Reason.KEY


def test_a_refused_token_is_not_remembered() -> None:
    ours = verifier(keys=KeyRing(KEY))
    early = token(claims={**CLAIMS, "nbf": AT + 60})
    with pytest.raises(Unauthenticated):
        ours.verify(early, NOW)
    assert ours.verify(early, NOW + timedelta(seconds=60)).client == PARTNER


def test_the_size_limit_is_of_the_token_itself() -> None:
    room = next(n for n in range(TOKEN_BYTES_MAX) if len(token(claims={**CLAIMS, "pad": "x" * n})) >= TOKEN_BYTES_MAX - 1)
    assert verifier().verify(token(claims={**CLAIMS, "pad": "x" * room}), NOW).client == PARTNER
    with pytest.raises(Unauthenticated):
        verifier().verify(token(claims={**CLAIMS, "pad": "x" * (room + 3)}), NOW)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.sampled_from("ABab01-_.=+ é\0"))
def test_no_token_but_the_one_signed_is_believed(place: int, character: str) -> None:
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    if changed != GOOD:
        with pytest.raises(Unauthenticated):
            verifier().verify(changed, NOW)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=90).map(lambda raw: ".".join(b64(raw[i::3]) for i in range(3))))
def test_whatever_is_sent_the_answer_is_the_one_refusal(sent: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier().verify(sent, NOW)
