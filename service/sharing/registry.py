"""Clients: registered on the machine's own authority, looked up at every request.

`Directory` is the client table as `identity` sees it: read once, and again when the fence says that clients changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from service.errors import Conflict, Rejected
from service.identity.clients import Client, Role, new_client_id
from service.identity.rights import UNLIMITED, Rights
from service.identity.secrets import SecretHasher, new_secret
from service.sharing.acts import MACHINE, Actor, Acts
from service.sharing.policies import PolicyState
from service.sharing.publishing import BASE_PURPOSE
from service.store import Connection, Database, clients, policies
from service.store.clients import ClientRecord

_CLI: Final = Actor(MACHINE, "cli")


class Directory:
    """All clients, held as of a count of changes; `refresh` is one row read where nothing changed."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database
        self._changes = -1
        self._by_subject: dict[tuple[str, str], Client] = {}
        self._by_id: dict[str, Client] = {}

    def find(self, issuer: str, subject: str) -> Client | None:
        return self._by_subject.get((issuer, subject))

    def by_id(self, client_id: str) -> Client | None:
        return self._by_id.get(client_id)

    def refresh(self) -> None:
        """Read the clients again if they changed."""
        with self._database.reading() as connection:
            self.refresh_from(connection)

    def refresh_from(self, connection: Connection, changes: int | None = None) -> None:
        """As `refresh`, on a transaction that is open, `changes` being what its fence said."""
        if changes is None:
            changes = policies.fence(connection).clients
        if changes == self._changes:
            return
        records = [_client(record) for record in clients.clients(connection)]
        # Swapped whole, so that a reader in another thread sees one table or the other.
        self._by_subject, self._by_id = {(one.issuer, one.subject): one for one in records}, {one.id: one for one in records}
        self._changes = changes

    def may_still_ask(self, connection: Connection, state: PolicyState, client_id: str) -> bool:
        """Whether a client is enabled, as of this transaction."""
        self.refresh_from(connection, state.clients)
        client = self._by_id.get(client_id)
        return client is not None and client.enabled


def _client(record: ClientRecord) -> Client:
    return Client(
        id=record.id,
        issuer=record.issuer,
        subject=record.subject,
        name=record.name,
        role=Role(record.role),
        partner=record.partner,
        purposes=record.purposes,
        enabled=record.enabled,
        secret_hash=record.secret_hash,
        rights=Rights(record.level, record.categories, record.originators),
    )


def officer_of(connection: Connection, client_id: str) -> Client | None:
    """The client of an id, if it is an officer's and enabled."""
    record = clients.client_by_id(connection, client_id)
    if record is None or not record.enabled or record.role != Role.OFFICER:
        return None
    return _client(record)


class Registry:
    """Registers clients."""

    def __init__(self, *, acts: Acts, database: Database, instance: str, hasher: SecretHasher) -> None:
        self._acts: Final = acts
        self._database: Final = database
        self._instance: Final = instance
        self._hasher: Final = hasher

    def add(
        self,
        name: str,
        role: Role,
        *,
        partner: str | None = None,
        purposes: Sequence[str] = (),
        issuer: str | None = None,
        subject: str | None = None,
        rights: Rights = UNLIMITED,
    ) -> tuple[Client, str | None]:
        """Register a client; returns it and, once, its secret.

        Args:
            issuer, subject: for a client of the external issuer, which gets no secret from us.
            rights: of an officer, the labels he may give and take.

        Raises:
            Rejected: a partner client without partner, another with one, or a name, partner, purpose or right that is not valid.
            Conflict: the name, or issuer and subject, is registered already.
        """
        if (issuer is None) != (subject is None):
            raise Rejected("an external client has both an issuer and a subject", code="external-client")
        client_id = new_client_id()
        secret = new_secret() if issuer is None else None
        client = Client(
            id=client_id,
            issuer=issuer or self._instance,
            subject=subject or client_id,
            name=name,
            role=role,
            partner=partner,
            purposes=tuple(sorted(set(purposes))),
            secret_hash=None if secret is None else self._hasher.hash(secret),
            rights=rights,
        )
        with self._acts.registering("client.add", _CLI) as act:
            if client.partner is not None:
                _check_against(act.policy(), client)
            if not client.rights.unlimited:
                _check_rights(act.policy(), client.rights)
            clients.add_client(
                act.connection,
                ClientRecord(
                    client.id, client.issuer, client.subject, client.name, client.role, client.partner, client.purposes, True,
                    client.secret_hash, act.at, client.rights.level, client.rights.categories, client.rights.originators,
                ),
            )  # fmt: skip
            if client.partner is not None:
                act.upkeep().add_lanes([(client.partner, purpose) for purpose in (BASE_PURPOSE, *client.purposes)])
            act.details |= {"client": client.id, "role": client.role, "partner": client.partner, "purposes": list(client.purposes)}
            if not client.rights.unlimited:
                act.details["rights"] = client.rights.to_json()
        return client, secret

    def disable(self, name: str) -> Client:
        """Let a client ask no more, its tokens in force included.

        Raises:
            Conflict: there is none of that name, or it is disabled already.
        """
        client = self.named(name)
        if not client.enabled:
            raise Conflict(f"client `{name}` is disabled already", code="disabled")
        with self._acts.registering("client.disable", _CLI) as act:
            clients.disable_client(act.connection, client.id)
            act.details |= {"client": client.id}
        return client

    def named(self, name: str) -> Client:
        """The client of a name.

        Raises:
            Conflict: there is none.
        """
        with self._database.reading() as connection:
            record = clients.client_by_name(connection, name)
        if record is None:
            raise Conflict(f"no client named `{name}`", code="no-client")
        return _client(record)


def _check_against(state: PolicyState, client: Client) -> None:
    if client.partner not in {partner.code for partner in state.bundle.partners}:
        raise Rejected(f"unknown partner `{client.partner}`, expected one of the policy in force", code="unknown-partner")
    for purpose in client.purposes:
        if purpose not in state.bundle.scheme.purposes:
            raise Rejected(f"unknown purpose `{purpose}`, expected one of the scheme in force", code="unknown-purpose")


def _check_rights(state: PolicyState, rights: Rights) -> None:
    # A slip in a name would lock an officer out of what he was meant to have, and be found out on the day it matters.
    scheme = state.bundle.scheme
    known = {
        "level": ([] if rights.level is None else [rights.level], {level.name for level in scheme.levels}),
        "category": (rights.categories or (), set(scheme.categories)),
        "originator": (rights.originators or (), {scheme.own, *(partner.code for partner in state.bundle.partners)}),
    }
    for what, (names, vocabulary) in known.items():
        for name in names:
            if name not in vocabulary:
                raise Rejected(f"unknown {what} `{name}`, expected one of the policy in force", code=f"unknown-{what}")
