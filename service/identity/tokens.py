"""Tokens: the embedded issuer that makes them, and the one verifier that believes them.

JWTs (RFC 7519) as RFC 8725 advises. A token says that somebody is subject S of issuer I, for at most ten minutes, and nothing
else that we would listen to: a partner or role named in it is ignored. There are two issuers at most, our own and one of an operator's
choice, and each has exactly one algorithm, one audience and keys of its own; the issuer a token names chooses which of the two it is
measured by, and nothing it names can mix them.

`Claims` come only out of `TokenVerifier`, after the signature has been proven. The signature is checked by `jose.jws` and
the claims here: `jose.jwt` reads the clock itself, takes the last of two equal members, and does not miss a missing `exp` or `aud`.

Every refusal is the same `Unauthenticated`; its `reason` is one of `Reason`, for counters.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, Literal, overload

from service.errors import Broken, Unauthenticated
from service.identity.clients import Caller, Client, ClientDirectory, is_identifier
from service.identity.encoding import base64url_decode, json_object
from service.identity.keys import KID_CHARACTERS_MAX, Algorithm, KeyRing, VerifyingKey, VerifyingKeys
from service.settings import TOKEN_LIFETIME_SECONDS

TOKEN_BYTES_MAX: Final = 4096
LEEWAY_SECONDS: Final = 5
"""By how much an issuer's clock may be ahead of ours. Never added to `exp`: ten minutes are ten minutes."""
VERIFIED_TOKENS_MAX: Final = 10_000
"""Remembered between requests."""

_PARTS: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""What `typ` may say, in lower case (RFC 7515 section 4.1.9, RFC 9068 section 2.1). Other kinds of JWT that an issuer signs with
the same key, for a logout or an event, are not access tokens (RFC 8725 section 3.11)."""
_REFUSED_HEADERS: Final = frozenset({"crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc"})
"""Members by which a token brings its own key, or asks to be read in another way. Refused, not only ignored: nobody honest sends them."""


class Reason(StrEnum):
    """Why a token was not believed. For our counters alone."""

    FORM = "form"
    HEADER = "header"
    ISSUER = "issuer"
    ALGORITHM = "algorithm"
    KEY = "key"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    AUDIENCE = "audience"
    TIME = "time"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class TrustSource:
    """An issuer we believe, and how far.

    Attributes:
        issuer: its `iss`, to the letter.
        audience: our name with it, which must be among a token's `aud`.
        algorithm: the one it signs with.
        keys: where its public keys come from.
        lifetime_seconds_max: greatest `exp - iat` of its tokens.
    """

    issuer: str
    audience: str
    algorithm: Algorithm
    keys: VerifyingKeys
    lifetime_seconds_max: int = TOKEN_LIFETIME_SECONDS


@dataclass(frozen=True, slots=True)
class Claims:
    """What a proven token says, as far as we listen. Times are whole seconds since 1970."""

    issuer: str
    subject: str
    issued_at: int
    not_before: int
    expires_at: int


class EmbeddedIssuer:
    """Our own issuer: tokens for clients who have shown their secret.

    Args:
        issuer, audience: fixed at first set-up, not derived from host or port.
        lifetime_seconds: of a token; 600 at most.
    """

    def __init__(self, keys: KeyRing, *, issuer: str, audience: str, lifetime_seconds: int = TOKEN_LIFETIME_SECONDS) -> None:
        if not 0 < lifetime_seconds <= TOKEN_LIFETIME_SECONDS:
            raise Broken(f"token lifetime `{lifetime_seconds}` s, expected 1 to {TOKEN_LIFETIME_SECONDS}")
        _check_name("issuer", issuer)
        _check_name("audience", audience)
        self._keys: Final = keys
        self.issuer: Final = issuer
        self.audience: Final = audience
        self.lifetime_seconds: Final = lifetime_seconds

    def issue(self, client: Client, now: datetime) -> str:
        """A token that says who the client is; nothing in it about partner, role or purposes.

        Raises:
            Unauthenticated: the client is disabled, or not one of this issuer.
        """
        if not client.enabled or client.issuer != self.issuer or client.subject != client.id:
            raise Unauthenticated(Reason.CLIENT)
        issued_at = int(now.timestamp())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": client.id,
            "iat": issued_at,
            "exp": issued_at + self.lifetime_seconds,
            "jti": secrets.token_urlsafe(16),
        }
        return self._keys.current.signed(json.dumps(claims, separators=(",", ":")).encode("ascii"))

    def source(self) -> TrustSource:
        """The trust we have in ourselves: for `TokenVerifier`."""
        return TrustSource(self.issuer, self.audience, Algorithm.ES256, self._keys)


@dataclass(frozen=True, slots=True)
class _Verified:
    claims: Claims
    source: TrustSource
    key: VerifyingKey


class TokenVerifier:
    """From an unverified token to a `Caller`.

    Args:
        directory: where clients are found; asked anew for every request.
        embedded: our own issuer.
        external: the operator's, if any.
        verified_max: tokens whose signature need not be checked again, 0 for none.

    Raises:
        Broken: both sources have the same issuer.
    """

    def __init__(
        self,
        directory: ClientDirectory,
        *,
        embedded: TrustSource,
        external: TrustSource | None = None,
        verified_max: int = VERIFIED_TOKENS_MAX,
    ) -> None:
        sources = [embedded] if external is None else [embedded, external]
        for source in sources:
            _check_name("issuer", source.issuer)
            _check_name("audience", source.audience)
        self._directory: Final = directory
        self._sources: Final = {source.issuer: source for source in sources}
        if len(self._sources) != len(sources):
            raise Broken(f"the external issuer is named `{embedded.issuer}`, expected another name than our own")
        self._verified_max: Final = verified_max
        self._verified: Final[dict[bytes, _Verified]] = {}
        self._lock: Final = threading.Lock()

    def verify(self, unverified_token: str, now: datetime) -> Caller:
        """Who sent this token. May wait for the external issuer's keys, within its limits: not for an event loop's own thread.

        Raises:
            Unauthenticated: nobody we know, for a `reason`.
        """
        return self._caller(unverified_token, now, may_wait=True)

    def verify_at_once(self, unverified_token: str, now: datetime) -> Caller | None:
        """As `verify`, but never waits: None when the external issuer's keys have to be fetched first; then call `verify` from a thread.

        Raises:
            Unauthenticated: as `verify`.
        """
        return self._caller(unverified_token, now, may_wait=False)

    @overload
    def _caller(self, unverified_token: str, now: datetime, *, may_wait: Literal[True]) -> Caller: ...
    @overload
    def _caller(self, unverified_token: str, now: datetime, *, may_wait: Literal[False]) -> Caller | None: ...
    def _caller(self, unverified_token: str, now: datetime, *, may_wait: bool) -> Caller | None:
        # (1): the size and the three parts, before anything is computed.
        if len(unverified_token) > TOKEN_BYTES_MAX:
            raise Unauthenticated(Reason.FORM)
        parts = _PARTS.fullmatch(unverified_token)
        if parts is None:
            raise Unauthenticated(Reason.FORM)
        # (2): seen before? Then what the signature says is known; the time and the client are looked at afresh all the same.
        digest = sha256(unverified_token.encode("ascii")).digest()
        verified = self._remembered(digest, now)
        if verified is None:
            # (3): the header, and the name of the issuer; not believed yet, only used to choose by whom it will be measured.
            algorithm, kid = _unverified_header(parts[1])
            source = self._sources.get(_unverified_issuer(parts[2]))
            if source is None:
                raise Unauthenticated(Reason.ISSUER)
            # (4): that issuer's one algorithm.
            if algorithm != source.algorithm.value:
                raise Unauthenticated(Reason.ALGORITHM)
            # (5): that issuer's key of this name.
            if source.keys.must_fetch(kid, now=now):
                if not may_wait:
                    return None
                source.keys.fetch(kid, now=now)
            key = source.keys.held(kid, now=now)
            if key is None or key.algorithm is not source.algorithm:
                raise Unauthenticated(Reason.KEY)
            # (6): the signature.
            _check_signature_spelling(parts[3])
            payload = key.verified(unverified_token)
            if payload is None:
                raise Unauthenticated(Reason.SIGNATURE)
            # (7): what it says, from the bytes that were signed.
            verified = _Verified(_claims(payload, source), source, key)
        # (8): the time. Only what is in force is remembered.
        claims = verified.claims
        _check_time(claims, verified.source, now)
        self._remember(digest, verified)
        # (9): the client, as our table knows it now.
        client = self._directory.find(claims.issuer, claims.subject)
        # Compared again: a database may take two spellings for one.
        if client is None or not client.enabled or client.issuer != claims.issuer or client.subject != claims.subject:
            raise Unauthenticated(Reason.CLIENT)
        return Caller(client)

    def _remembered(self, digest: bytes, now: datetime) -> _Verified | None:
        """What was verified before, if its key is still in force.

        So a key that its issuer withdraws, or an issuer out of reach for too long, ends the tokens as well.
        """
        verified = self._verified.get(digest)
        if verified is None:
            return None
        keys, kid = verified.source.keys, verified.key.kid
        return None if keys.held(kid, now=now) is not verified.key or keys.must_fetch(kid, now=now) else verified

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        if self._verified.get(digest) is verified:
            return
        with self._lock:
            self._verified[digest] = verified
            if len(self._verified) > self._verified_max:
                # The oldest, which is also about the next to expire.
                del self._verified[next(iter(self._verified))]


def _check_name(kind: str, name: str) -> None:
    if not is_identifier(name):
        raise Broken(f"{kind} `{name}` is not 1 to 255 printable ASCII characters")


def _unverified_header(segment: str) -> tuple[str, str]:
    """`alg` and `kid` of a header whose form we accept. RFC 7515 section 4."""
    try:
        header = json_object(base64url_decode(segment))
    except ValueError:
        raise Unauthenticated(Reason.HEADER) from None
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or not isinstance(kid, str) or not isinstance(kind, str):
        raise Unauthenticated(Reason.HEADER)
    if not 0 < len(kid) <= KID_CHARACTERS_MAX or kind.lower() not in _TYPES or not _REFUSED_HEADERS.isdisjoint(header):
        raise Unauthenticated(Reason.HEADER)
    return algorithm, kid


def _unverified_issuer(segment: str) -> str:
    """The `iss` a token claims. Good for choosing what to measure it by, and for nothing else."""
    try:
        issuer = json_object(base64url_decode(segment)).get("iss")
    except ValueError:
        raise Unauthenticated(Reason.CLAIMS) from None
    if not isinstance(issuer, str):
        raise Unauthenticated(Reason.CLAIMS)
    return issuer


def _check_signature_spelling(segment: str) -> None:
    """One token, one spelling: python-jose would read the signature's unused last bits either way."""
    try:
        base64url_decode(segment)
    except ValueError:
        raise Unauthenticated(Reason.FORM) from None


def _claims(payload: bytes, source: TrustSource) -> Claims:
    """The claims of a signed payload, all required ones present and of their types. RFC 7519 section 4.1."""
    try:
        claims = json_object(payload)
    except ValueError:
        raise Unauthenticated(Reason.CLAIMS) from None
    issuer, subject = claims.get("iss"), claims.get("sub")
    if issuer != source.issuer:
        raise Unauthenticated(Reason.ISSUER)
    if not isinstance(subject, str) or not is_identifier(subject):
        raise Unauthenticated(Reason.CLAIMS)
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(name, str) for name in audiences) or source.audience not in audiences:
        raise Unauthenticated(Reason.AUDIENCE)
    issued_at, expires_at = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    # `nbf` may be left out, but not be of another type.
    not_before = _seconds(claims["nbf"]) if "nbf" in claims else issued_at
    return Claims(source.issuer, subject, issued_at, not_before, expires_at)


def _seconds(value: object) -> int:
    """A NumericDate. Whole seconds only, which is what issuers send; `true` is an `int` in Python, not here."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unauthenticated(Reason.CLAIMS)
    return value


def _check_time(claims: Claims, source: TrustSource, now: datetime) -> None:
    """In force now, and for no longer than this issuer's tokens may be."""
    at = now.timestamp()
    if not 0 < claims.expires_at - claims.issued_at <= source.lifetime_seconds_max:
        raise Unauthenticated(Reason.TIME)
    if claims.expires_at <= at or max(claims.issued_at, claims.not_before) > at + LEEWAY_SECONDS:
        raise Unauthenticated(Reason.TIME)
