"""Keys that sign and check tokens: our own, in files; and what of a foreign key we accept.

Every key is tied to one algorithm when it is read, and a signature is checked with that algorithm whatever a token says. python-jose
chooses by the token's header when it is given PEM, DER or a JWK; it is therefore never given those, but a key object of its
`cryptography` backend, made here (imported by name: the pure-Python backends are never a silent fallback).

Several keys may be in force: the current one signs, older ones still verify until the last token they signed has expired.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jose import jws
from jose.backends.base import Key
from jose.backends.cryptography_backend import CryptographyECKey, CryptographyRSAKey
from jose.exceptions import JOSEError

from service.errors import Broken
from service.identity.encoding import base64url_decode, base64url_encode

KID_CHARACTERS_MAX: Final = 256
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 8192
"""A longer key costs more to check than we spend on anyone."""
PEM_BYTES_MAX: Final = 16 * 1024
_COORDINATE_BYTES: Final = 32


class Algorithm(StrEnum):
    """The signature algorithms there are for us. RFC 7518 section 3.1."""

    ES256 = "ES256"
    RS256 = "RS256"


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key under its `kid`, for one algorithm."""

    kid: str
    algorithm: Algorithm
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey = field(repr=False)

    def verified(self, token: str) -> bytes | None:
        """The payload's bytes if the signature is by this key, under its own algorithm, which the header must name too; else None."""
        key: Key
        match self.algorithm:
            case Algorithm.ES256:
                key = CryptographyECKey(self.public, self.algorithm.value)
            case Algorithm.RS256:
                key = CryptographyRSAKey(self.public, self.algorithm.value)
        try:
            # `algorithms` is never left out: without it python-jose believes the token.
            return jws.verify(token, key, algorithms=[self.algorithm.value])
        except JOSEError:
            return None


class VerifyingKeys(Protocol):
    """The keys of one issuer. The first may be asked by anyone at any time; the last waits for the network."""

    def held(self, kid: str, *, now: datetime) -> VerifyingKey | None:
        """The key of this name, if it is in force. Never waits."""
        ...

    def must_fetch(self, kid: str, *, now: datetime) -> bool:
        """Whether `fetch` should be called before `held` is believed. Never waits."""
        ...

    def fetch(self, kid: str, *, now: datetime) -> None:
        """Bring the keys up to date, because `kid` is asked for. May wait; a failure shows in `held` only."""
        ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A P-256 private key for ES256. Its `kid` is its RFC 7638 thumbprint, so the same key has the same name everywhere."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """Read an unencrypted private key.

        Raises:
            Broken: not a private key on P-256.
        """
        try:
            private = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise Broken("a token signing key cannot be read, expected an unencrypted private key in PEM") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
            raise Broken("a token signing key is of the wrong kind, expected one on P-256")
        return cls(private)

    def to_pem(self) -> bytes:
        """PKCS #8, not encrypted: the file's mode protects it."""
        return self.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    @property
    def verifying(self) -> VerifyingKey:
        """The public half."""
        public = self.private.public_key()
        return VerifyingKey(thumbprint(_public_members(public)), Algorithm.ES256, public)

    def signed(self, payload: bytes) -> str:
        """A JWT over these bytes. RFC 7515 section 3.1."""
        key = CryptographyECKey(self.private, Algorithm.ES256.value)
        return jws.sign(payload, key, headers={"kid": self.verifying.kid}, algorithm=Algorithm.ES256.value)


class KeyRing:
    """The embedded issuer's keys: one that signs, and older ones whose tokens are still out."""

    def __init__(self, current: SigningKey, older: Sequence[VerifyingKey] = ()) -> None:
        self.current: Final = current
        self._keys: Final = {key.kid: key for key in (*older, current.verifying)}

    def held(self, kid: str, *, now: datetime) -> VerifyingKey | None:
        return self._keys.get(kid)

    def must_fetch(self, kid: str, *, now: datetime) -> bool:
        return False

    def fetch(self, kid: str, *, now: datetime) -> None:
        """Nothing to fetch: the keys are those in our files at the start."""

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK Set, the current one first. RFC 7517 section 5.

        Built of public members, not stripped of private ones: a private one cannot be forgotten in it.
        """
        keys = sorted(self._keys.values(), key=lambda key: (key.kid != self.current.verifying.kid, key.kid))
        return {"keys": [{**_public_members(key.public), "kid": key.kid, "use": "sig", "alg": key.algorithm.value} for key in keys]}


def thumbprint(members: Mapping[str, str]) -> str:
    """The RFC 7638 thumbprint of a public JWK: SHA-256 over its required members in order of name, without white space.

    Args:
        members: of a JWK; others than the required ones do not count.
    """
    names = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}[members["kty"]]
    # The values are base64url and fixed words: nothing in them would be escaped.
    text = "{" + ",".join(f'"{name}":"{members[name]}"' for name in names) + "}"
    return base64url_encode(sha256(text.encode("ascii")).digest())


def acceptable_keys(jwks: Iterable[object], algorithm: Algorithm) -> dict[str, VerifyingKey]:
    """The keys of a foreign JWK Set that we can use, by `kid`; all others are left out. RFC 7517 sections 4 and 5.

    Left out are keys of another kind, use or algorithm; without a `kid`; too weak or too large; with a private half (it is no
    longer only the issuer's); and a `kid` that two usable keys have, as it says nothing then.
    """
    keys = [key for jwk in jwks if isinstance(jwk, dict) and (key := _acceptable_key(jwk, algorithm)) is not None]
    times = Counter(key.kid for key in keys)
    return {key.kid: key for key in keys if times[key.kid] == 1}


def create_key_file(path: Path) -> SigningKey:
    """Make a signing key and keep it, mode 0600. Whole or not at all, and never over an existing file.

    Raises:
        FileExistsError: there is a file of that name, be it from a moment ago.
    """
    key = SigningKey.generate()
    _write_once(path, key.to_pem())
    return key


def _write_once(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: a rename would replace a key that another process made meanwhile, and unmake its tokens.
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load_key_file(path: Path) -> SigningKey:
    """Read a signing key.

    Raises:
        FileNotFoundError: no such file.
        Broken: others than its owner may open it, or it holds no P-256 private key.
    """
    return SigningKey.from_pem(_read_private(path, "token signing key", PEM_BYTES_MAX))


def _read_private(path: Path, what: str, bytes_max: int) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise Broken(f"{what} `{path.name}` has mode `{mode:04o}`, expected `0600`: others may have read it")
        return file.read(bytes_max)


def ensure_key_file(path: Path) -> SigningKey:
    """The key in this file; made first if there is none. Two processes that do so at once get the same key.

    Raises:
        Broken: as `load_key_file`.
    """
    try:
        return load_key_file(path)
    except FileNotFoundError:
        pass
    try:
        return create_key_file(path)
    except FileExistsError:
        return load_key_file(path)


def ensure_secret_file(path: Path, length: int) -> bytes:
    """The random bytes in this file, as many as `length`; made first if there is none, as `ensure_key_file` does.

    Raises:
        Broken: others than its owner may open it, or it is of another length.
    """
    # Looked for first, so that a folder that is only to be read will do. Made by another process a moment ago: what it holds counts.
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            _write_once(path, secrets.token_bytes(length))
    content = _read_private(path, "secret", length + 1)
    if len(content) != length:
        raise Broken(f"secret `{path.name}` has {len(content)} bytes, expected {length}; restore it from a backup")
    return content


LOG_KEY_BYTES: Final = 32


def create_log_key(folder: Path) -> bytes:
    """Make another key that logs are signed with, beside those that are there; its public half.

    The file is durable before anyone is told: what goes wrong afterwards leaves a key that is not used.
    """
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    _write_once(folder / f"log-{public.hex()[:16]}.key", private.private_bytes_raw())
    return public


def held_log_keys(folder: Path) -> dict[bytes, bytes]:
    """The private keys in `log.key` and `log-*.key`, by their public halves.

    Raises:
        Broken: one may be opened by others than its owner, or is no key.
    """
    found = {}
    for path in sorted([*folder.glob("log.key"), *folder.glob("log-*.key")]):
        private = _read_private(path, "log key", LOG_KEY_BYTES + 1)
        if len(private) != LOG_KEY_BYTES:
            raise Broken(f"log key `{path.name}` has {len(private)} bytes, expected {LOG_KEY_BYTES}; restore it from a backup")
        found[Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()] = private
    return found


def _public_members(public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> dict[str, str]:
    """The required members of a public JWK. RFC 7518 sections 6.2.1 and 6.3.1."""
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": _base64url_integer(numbers.n), "e": _base64url_integer(numbers.e)}
    point = public.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": base64url_encode(point.x.to_bytes(_COORDINATE_BYTES, "big")),
        "y": base64url_encode(point.y.to_bytes(_COORDINATE_BYTES, "big")),
    }


def _base64url_integer(value: int) -> str:
    return base64url_encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _acceptable_key(jwk: dict[str, object], algorithm: Algorithm) -> VerifyingKey | None:
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= KID_CHARACTERS_MAX:
        return None
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm.value) != algorithm.value or "d" in jwk:
        return None
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        match algorithm:
            case Algorithm.ES256:
                return VerifyingKey(kid, algorithm, _ec_public(jwk))
            case Algorithm.RS256:
                return VerifyingKey(kid, algorithm, _rsa_public(jwk))
    except ValueError:
        return None


def _ec_public(jwk: dict[str, object]) -> ec.EllipticCurvePublicKey:
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        raise ValueError("expected an EC key on P-256")
    x, y = _member(jwk, "x"), _member(jwk, "y")
    if len(x) != _COORDINATE_BYTES or len(y) != _COORDINATE_BYTES:
        raise ValueError("expected coordinates of 32 bytes")
    # `public_key` checks that the point is on the curve.
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()).public_key()


def _rsa_public(jwk: dict[str, object]) -> rsa.RSAPublicKey:
    if jwk.get("kty") != "RSA":
        raise ValueError("expected an RSA key")
    modulus, exponent = _member(jwk, "n"), _member(jwk, "e")
    n, e = int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")
    # Looked at before it is computed with. An exponent of 3 is known for forgeries; 32 bits are room for every real one.
    if not RSA_BITS_MIN <= n.bit_length() <= RSA_BITS_MAX or not 3 < e < 1 << 32:
        raise ValueError("expected 2048 to 8192 bits and an ordinary exponent")
    return rsa.RSAPublicNumbers(e, n).public_key()


def _member(jwk: dict[str, object], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise ValueError(f"expected a string in `{name}`")
    return base64url_decode(value)
