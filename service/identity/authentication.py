"""The doors: a secret at the token endpoint, a role on a route, a purpose on a request.

What is decided here is who is asking and on which route; never what may be released. That is the policy's.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from typing import Final

from service.errors import Forbidden, Unauthenticated
from service.identity.clients import CLIENT_ID, NO_PURPOSE, Caller, Client, ClientDirectory, Role
from service.identity.rates import SecretAttempts
from service.identity.secrets import SECRET_CHARACTERS_MAX, ProvenSecrets, SecretHasher


class SecretAuthenticator:
    """From a client id and a secret to a client. The same work, and the same answer, whether the id is in use or not.

    Args:
        directory: where clients are found.
        issuer: the embedded issuer; clients of another one have no secret with us.
        hasher: blocking, about 30 ms a call: not for an event loop's own thread.
    """

    def __init__(
        self, directory: ClientDirectory, *, issuer: str, hasher: SecretHasher | None = None, attempts: SecretAttempts | None = None
    ) -> None:
        self._directory: Final = directory
        self._issuer: Final = issuer
        self._hasher: Final = hasher or SecretHasher()
        self._attempts: Final = attempts or SecretAttempts()
        self._proven: Final = ProvenSecrets()

    def authenticate(self, client_id: str, secret: str, *, now: datetime) -> Client:
        """The client whose id and secret these are.

        Raises:
            Unauthenticated: they are not.
            TooMany: too many wrong secrets for this id, or by everybody.
        """
        # (1): the form, which depends on what was sent alone. Not an id: cannot be in use, so nothing shows.
        if not CLIENT_ID.fullmatch(client_id) or len(secret) > SECRET_CHARACTERS_MAX or not secret.isascii():
            raise Unauthenticated("secret")
        # (2): the client, or a stand-in that no secret opens.
        client = self._directory.by_id(client_id)
        usable = client is not None and client.enabled and client.secret_hash is not None and client.issuer == self._issuer
        secret_hash = (client.secret_hash if client is not None and usable else None) or self._hasher.dummy_hash
        # (3): proven before. Without a token from the buckets, so that those who guess cannot keep out those who know.
        proven = self._proven.holds(secret_hash, secret)
        if client is not None and usable and proven:
            return client
        # (4): a guess, until shown otherwise.
        self._attempts.begin(client_id, now=now)
        matches = self._hasher.matches(secret_hash, secret)
        if client is None or not usable or not matches:
            raise Unauthenticated("secret")
        self._attempts.succeeded(client_id)
        self._proven.add(secret_hash, secret)
        return client


def bearer_token(authorization: str | None) -> str:
    """The token of an `Authorization: Bearer ...` header. RFC 6750 section 2.1; the scheme's case does not matter (RFC 9110 section 11.1).

    Raises:
        Unauthenticated: no header, another scheme, or more than one space.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token or " " in token:
        raise Unauthenticated("no-token")
    return token


def authorize(caller: Caller, roles: Set[Role]) -> None:
    """Check that a caller has one of the roles a route is for. Roles do not include one another.

    Raises:
        Forbidden: it has not; also when `roles` is empty, as a route for nobody is not one for everybody.
    """
    if caller.role not in roles:
        raise Forbidden("this route is not for this client")


def purpose_of(caller: Caller, header: str | None) -> str:
    """The purpose of a request: what the `Purpose` header says, if it is set for this client; `none` without the header.

    Raises:
        Forbidden: another one, known to the scheme or not.
    """
    if header is None:
        return NO_PURPOSE
    if header not in caller.purposes:
        raise Forbidden("this purpose is not set for this client")
    return header
