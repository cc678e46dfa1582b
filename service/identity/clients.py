"""Clients: the systems and people who may ask, as our own table knows them.

A client is found by the pair (issuer, subject) of a proven token; what it is (its role, partner and purposes) stands here and
is never read from a token. The table itself is kept by `service.store`; this module only says what it needs of one.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from service.errors import Rejected
from service.identity.rights import UNLIMITED, Rights
from service.labels.scheme import CODE

CLIENT_ID: Final = re.compile(r"c_[A-Za-z0-9_-]{16,62}")
"""`c_` and at least 96 random bits; 64 characters at most. No `:`, so that it fits HTTP Basic."""
NAME_CHARACTERS_MAX: Final = 100
IDENTIFIER_CHARACTERS_MAX: Final = 255
"""Of an issuer and a subject. OpenID Connect Core section 2 gives this limit for `sub`."""
NO_PURPOSE: Final = "none"
"""The purpose every client has, and the one that counts where none is named."""


class Role(StrEnum):
    """What a client is here for. Roles do not include one another."""

    PARTNER = "partner"
    OFFICER = "officer"
    AUDITOR = "auditor"
    OPERATOR = "operator"


def is_identifier(text: str) -> bool:
    """Whether a text may be an issuer or a subject: 1 to 255 printable ASCII characters.

    Not more than the database can hold: a NUL or half a surrogate pair, proven or not, never gets as far as a query.
    """
    return 0 < len(text) <= IDENTIFIER_CHARACTERS_MAX and text.isascii() and text.isprintable()


@dataclass(frozen=True, slots=True)
class Client:
    """A row of the client table. One that exists is whole.

    Attributes:
        id: our own name for it, opaque; also its `sub` in tokens of the embedded issuer.
        issuer: whose tokens it carries: the embedded issuer or the external one.
        subject: its `sub` there.
        name: for people; never in a leaf of the release log.
        role: what it is here for.
        partner: the code of its partner; for partners, and for no other role.
        purposes: what it may ask for beyond `none`.
        enabled: a client that is not is treated as one that does not exist.
        secret_hash: argon2id, in PHC form; None for clients of an external issuer.
        rights: of an officer, the labels he may give and take; no other role has any to limit.

    Raises:
        Rejected: `client`, with what is wrong.
    """

    id: str
    issuer: str
    subject: str
    name: str
    role: Role
    partner: str | None = None
    purposes: tuple[str, ...] = ()
    enabled: bool = True
    secret_hash: str | None = field(default=None, repr=False)
    rights: Rights = UNLIMITED

    def __post_init__(self) -> None:
        if not CLIENT_ID.fullmatch(self.id):
            raise _rejected(f"client id `{self.id}` is not `c_` and 16 to 62 characters of base64url")
        for kind, text in (("issuer", self.issuer), ("subject", self.subject)):
            if not is_identifier(text):
                raise _rejected(f"{kind} `{text}` is not 1 to {IDENTIFIER_CHARACTERS_MAX} printable ASCII characters")
        if not (0 < len(self.name) <= NAME_CHARACTERS_MAX and self.name.isprintable() and self.name == self.name.strip()):
            raise _rejected(f"client name `{self.name}` is not 1 to {NAME_CHARACTERS_MAX} printable characters")
        if (self.role is Role.PARTNER) != (self.partner is not None):
            raise _rejected(f"role `{self.role}` with partner `{self.partner}`, expected a partner for role `partner` and no other")
        if self.partner is not None and not CODE.fullmatch(self.partner):
            raise _rejected(f"partner `{self.partner}` is not a partner's code")
        for purpose in self.purposes:
            if not CODE.fullmatch(purpose):
                raise _rejected(f"purpose `{purpose}` is not the name of a purpose beyond `{NO_PURPOSE}`")
        if not self.rights.unlimited and self.role is not Role.OFFICER:
            raise _rejected(f"role `{self.role}` with rights over labels, which are for role `officer` and no other")
        if len(set(self.purposes)) != len(self.purposes):
            raise _rejected(f"purposes `{' '.join(self.purposes)}` name one twice")


def new_client_id() -> str:
    """A client id never used before: 144 random bits, from which nothing about the client can be told."""
    return "c_" + secrets.token_urlsafe(18)


class ClientDirectory(Protocol):
    """Where clients are found. Asked anew for every request, so that a client disabled now is out now."""

    def find(self, issuer: str, subject: str) -> Client | None:
        """The client of exactly this issuer and subject."""
        ...

    def by_id(self, client_id: str) -> Client | None:
        """The client of exactly this id."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """A client who has proven to be the one asking. Comes out of `TokenVerifier` alone."""

    client: Client

    @property
    def id(self) -> str:
        """The client's id: how the release log names it."""
        return self.client.id

    @property
    def role(self) -> Role:
        return self.client.role

    @property
    def partner(self) -> str | None:
        """The partner's code; None for our own side."""
        return self.client.partner

    @property
    def purposes(self) -> tuple[str, ...]:
        """All purposes it may name, `none` first."""
        return (NO_PURPOSE, *self.client.purposes)


def _rejected(message: str) -> Rejected:
    return Rejected(message, code="client")
