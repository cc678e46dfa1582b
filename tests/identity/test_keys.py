"""A key is what its file or its issuer says it is, or it is not used at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jose.backends import ECKey, RSAKey
from jose.backends.cryptography_backend import CryptographyECKey, CryptographyRSAKey

from service.errors import Broken
from service.identity.encoding import base64url_decode, base64url_encode, json_object
from service.identity.keys import (
    Algorithm,
    KeyRing,
    SigningKey,
    acceptable_keys,
    create_key_file,
    ensure_key_file,
    load_key_file,
    thumbprint,
)

KEY = SigningKey.generate()
EC_JWK: dict[str, Any] = dict(KeyRing(KEY).jwks()["keys"][0])


def encoded(value: int) -> str:
    return base64url_encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def rsa_jwk(bits: int = 2048, exponent: int = 65537) -> dict[str, Any]:
    numbers = rsa.generate_private_key(public_exponent=exponent, key_size=bits).public_key().public_numbers()
    return {"kty": "RSA", "kid": "r", "n": encoded(numbers.n), "e": encoded(numbers.e)}


RSA_JWK = rsa_jwk()

# RFC 7638 section 3.1: the key of the example, and its thumbprint.
RFC_7638_MODULUS = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9"
    "yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6We"
    "Zu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)


def test_a_thumbprint_is_that_of_the_standard() -> None:
    members = {"kty": "RSA", "n": RFC_7638_MODULUS, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(members) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_python_jose_computes_with_cryptography() -> None:
    assert ECKey is CryptographyECKey
    assert RSAKey is CryptographyRSAKey


def test_a_key_survives_its_pem_under_the_same_name() -> None:
    again = SigningKey.from_pem(KEY.to_pem())
    assert again.verifying.kid == KEY.verifying.kid == thumbprint(EC_JWK)
    assert again.verifying.verified(KEY.signed(b"payload")) == b"payload"


def pem(private: Any, encryption: serialization.KeySerializationEncryption | None = None) -> bytes:
    made = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption or serialization.NoEncryption())
    assert isinstance(made, bytes)
    return made


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\n", id="torn"),
        pytest.param(KEY.to_pem()[:-40], id="cut"),
        pytest.param(pem(ec.generate_private_key(ec.SECP384R1())), id="another-curve"),
        pytest.param(pem(rsa.generate_private_key(65537, 2048)), id="rsa"),
        pytest.param(pem(KEY.private, serialization.BestAvailableEncryption(b"x")), id="encrypted"),
        pytest.param(
            KEY.verifying.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo), id="public"
        ),
    ],
)
def test_another_thing_than_a_private_key_on_p256_is_refused(content: bytes) -> None:
    with pytest.raises(Broken):
        SigningKey.from_pem(content)


def test_the_jwks_shows_public_members_only_and_the_current_key_first() -> None:
    older = [SigningKey.generate().verifying for _ in range(3)]
    keys = KeyRing(KEY, older).jwks()["keys"]
    assert [set(key) for key in keys] == [{"kty", "crv", "x", "y", "kid", "use", "alg"}] * 4
    assert keys[0]["kid"] == KEY.verifying.kid
    assert {key["kid"] for key in keys} == {KEY.verifying.kid, *(key.kid for key in older)}
    assert KeyRing(KEY, [KEY.verifying]).jwks() == KeyRing(KEY).jwks()


def test_a_key_does_not_show_itself() -> None:
    private = KEY.private.private_numbers().private_value
    for shown in (repr(KEY), repr(KEY.verifying), str(KeyRing(KEY).jwks())):
        assert str(private) not in shown
        assert base64url_encode(private.to_bytes(32, "big")) not in shown


def test_a_key_file_is_made_once_for_its_owner_alone_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "token.pem"
    made = create_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key_file(path).verifying.kid == made.verifying.kid
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        create_key_file(path)
    assert path.read_bytes() == before
    assert ensure_key_file(path).verifying.kid == made.verifying.kid
    assert [entry.name for entry in tmp_path.iterdir()] == ["token.pem"]


def test_a_permissive_umask_does_not_open_the_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_key_file(tmp_path / "token.pem")
    finally:
        os.umask(before)
    assert (tmp_path / "token.pem").stat().st_mode & 0o777 == 0o600


def test_those_who_make_the_key_at_once_get_the_same_one(tmp_path: Path) -> None:
    path, kids = tmp_path / "token.pem", list[str]()
    barrier = threading.Barrier(8)

    def make() -> None:
        barrier.wait()
        kids.append(ensure_key_file(path).verifying.kid)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kids) == 8
    assert len(set(kids)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_key_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token.pem"
    create_key_file(path)
    path.chmod(mode)
    with pytest.raises(Broken) as refused:
        ensure_key_file(path)
    assert f"`{mode:04o}`" in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_a_damaged_key_file_is_refused_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "token.pem"
    path.touch(mode=0o600)
    with pytest.raises(Broken):
        ensure_key_file(path)
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("jwk", "algorithm"),
    [
        pytest.param(EC_JWK, Algorithm.ES256, id="ec"),
        pytest.param({name: EC_JWK[name] for name in ("kty", "crv", "x", "y", "kid")}, Algorithm.ES256, id="ec-without-use-and-alg"),
        pytest.param({**EC_JWK, "key_ops": ["verify"], "x5c": ["MIIB"], "x5t": "abc"}, Algorithm.ES256, id="ec-with-more"),
        pytest.param(RSA_JWK, Algorithm.RS256, id="rsa"),
        pytest.param({**RSA_JWK, "use": "sig", "alg": "RS256"}, Algorithm.RS256, id="rsa-with-use-and-alg"),
    ],
)
def test_a_foreign_key_for_our_algorithm_is_accepted(jwk: dict[str, Any], algorithm: Algorithm) -> None:
    keys = acceptable_keys([jwk], algorithm)
    assert list(keys) == [jwk["kid"]]
    assert keys[jwk["kid"]].algorithm is algorithm


@pytest.mark.parametrize(
    ("jwk", "algorithm"),
    [
        pytest.param("EC", Algorithm.ES256, id="not-an-object"),
        pytest.param({}, Algorithm.ES256, id="empty"),
        pytest.param(RSA_JWK, Algorithm.ES256, id="rsa-for-ec"),
        pytest.param(EC_JWK, Algorithm.RS256, id="ec-for-rsa"),
        pytest.param({**EC_JWK, "kty": "RSA"}, Algorithm.ES256, id="kty-of-another"),
        pytest.param({"kty": "oct", "kid": "k", "k": "c2VjcmV0"}, Algorithm.ES256, id="symmetric"),
        pytest.param({**EC_JWK, "use": "enc"}, Algorithm.ES256, id="for-encryption"),
        pytest.param({**EC_JWK, "use": None}, Algorithm.ES256, id="use-null"),
        pytest.param({**EC_JWK, "key_ops": ["sign"]}, Algorithm.ES256, id="key-ops-sign"),
        pytest.param({**EC_JWK, "key_ops": "verify"}, Algorithm.ES256, id="key-ops-text"),
        pytest.param({**EC_JWK, "alg": "HS256"}, Algorithm.ES256, id="alg-hs256"),
        pytest.param({**EC_JWK, "alg": "ES384"}, Algorithm.ES256, id="alg-es384"),
        pytest.param({**EC_JWK, "crv": "P-384"}, Algorithm.ES256, id="another-curve"),
        pytest.param({**EC_JWK, "kid": ""}, Algorithm.ES256, id="kid-empty"),
        pytest.param({**EC_JWK, "kid": 1}, Algorithm.ES256, id="kid-number"),
        pytest.param({**EC_JWK, "kid": "k" * 257}, Algorithm.ES256, id="kid-huge"),
        pytest.param({name: value for name, value in EC_JWK.items() if name != "kid"}, Algorithm.ES256, id="kid-missing"),
        pytest.param({**EC_JWK, "d": EC_JWK["x"]}, Algorithm.ES256, id="with-private-half"),
        pytest.param({**EC_JWK, "y": EC_JWK["x"]}, Algorithm.ES256, id="not-on-the-curve"),
        pytest.param({**EC_JWK, "x": "AA" + EC_JWK["x"]}, Algorithm.ES256, id="coordinate-too-long"),
        pytest.param({**EC_JWK, "x": EC_JWK["x"] + "="}, Algorithm.ES256, id="padded"),
        pytest.param({**EC_JWK, "x": 7}, Algorithm.ES256, id="coordinate-number"),
        pytest.param(rsa_jwk(1024), Algorithm.RS256, id="rsa-short"),
        pytest.param({**RSA_JWK, "n": encoded((1 << 8200) + 1)}, Algorithm.RS256, id="rsa-long"),
        pytest.param({**RSA_JWK, "e": "Aw"}, Algorithm.RS256, id="rsa-exponent-3"),
        pytest.param({**RSA_JWK, "e": "AAM"}, Algorithm.RS256, id="rsa-exponent-3-with-zeros"),
        pytest.param({**RSA_JWK, "e": "AQ"}, Algorithm.RS256, id="rsa-exponent-1"),
        pytest.param({**RSA_JWK, "e": "AQAA"}, Algorithm.RS256, id="rsa-exponent-even"),
        pytest.param({**RSA_JWK, "e": RSA_JWK["n"]}, Algorithm.RS256, id="rsa-exponent-huge"),
        pytest.param({**RSA_JWK, "n": ""}, Algorithm.RS256, id="rsa-empty"),
        pytest.param({"kty": "RSA", "kid": "r"}, Algorithm.RS256, id="rsa-nothing"),
    ],
)
def test_any_other_foreign_key_is_left_out_and_the_rest_stays(jwk: Any, algorithm: Algorithm) -> None:
    good = {**(EC_JWK if algorithm is Algorithm.ES256 else RSA_JWK), "kid": "good"}
    assert list(acceptable_keys([jwk, good], algorithm)) == ["good"]


def test_a_name_that_two_usable_keys_have_names_neither() -> None:
    second = {**KeyRing(SigningKey.generate()).jwks()["keys"][0], "kid": EC_JWK["kid"]}
    assert acceptable_keys([EC_JWK, second], Algorithm.ES256) == {}
    assert list(acceptable_keys([EC_JWK, {**RSA_JWK, "kid": EC_JWK["kid"]}], Algorithm.ES256)) == [EC_JWK["kid"]]


@pytest.mark.parametrize("text", ["QQ==", "QR", "Q", "Q Q", "QQ\n", "Q+", "Q/", "é", "AAAAA"])
def test_base64url_has_one_spelling(text: str) -> None:
    assert base64url_decode("QQ") == b"A"
    with pytest.raises(ValueError):
        base64url_decode(text)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"1", b"null", b'{"a":1,"a":1}', b'{"a":{"b":1,"b":2}}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1}x', b"\xef\xbb\xbf{}",
     b"\xff\xfe{\x00}\x00", b'{"a":"\xff"}', b"{'a':1}", b'{"a":' * 5000, b'{"a":' + b"9" * 5000 + b"}"],
    ids=lambda content: repr(content[:16]),
)  # fmt: skip
def test_json_that_two_readers_might_read_differently_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        json_object(content)
