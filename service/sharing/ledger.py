"""The logs as one thing to append to: drafts in, entries out, inside a transaction that somebody else commits.

Both who releases (the gate) and who acts (officers) write through here, so that a leaf is made in one way only. Nothing here
commits: an `Entry` may be shown to anyone only after the transaction it was made in has been made durable.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from service.errors import Broken, Busy
from service.releaselog.checkpoint import Checkpoint, sign_checkpoint
from service.releaselog.keys import OPEN_ENDED, KeyPeriod
from service.releaselog.leaf import HEADS, canonical_string, leaf_bytes, record_bytes, seal
from service.releaselog.merkle import Frontier, completed_tiles, leaf_hash
from service.releaselog.notes import Signer, public_half, vkey
from service.releaselog.personal import Personal
from service.settings import LOG_SLOTS
from service.sharing.ids import new_id
from service.store import Connection, logs, personal, roots
from service.store.logs import Head
from service.store.roots import LogKey, Signing
from service.store.times import text_of

OFFICERS: Final = "officers"
ROOT: Final = "root"
MENDING: Final = frozenset({HEADS, "serve", "log.rotate", "log.highwater-missing", "witness.add", "witness.remove"})
"""What is written also when the newest root seen by a witness is too old: without it no witness would ever see a newer one."""
MENDING_HALT: Final = frozenset({"log.restored", "witness.remove"})
"""What is written also when a witness disagreed: how an operator answers to it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before it has a place and a time.

    `items`, and the values of `record`, are canonical JSON already. `body_sha256` is None for an act, which sends no item.
    `versions` are (item id, version sent or 0), for "who received it".
    """

    log: str
    type: str
    client: str
    route: str
    items: bytes
    body_sha256: bytes | None
    result: str
    purpose: str
    record: Mapping[str, bytes]
    versions: tuple[tuple[str, int], ...] = ()
    portion: str | None = None
    heads_root: bytes | None = None
    personal: tuple[Personal, ...] = ()
    """What the commitments in `record` stand for, as far as no earlier entry holds them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A committed entry: what a response about it is built from. Only the gate and acts make one, after the commit."""

    event_id: str
    log: str
    index: int
    at: int
    body_sha256: bytes | None


@dataclass(frozen=True, slots=True)
class _Key:
    """A key in memory. `private` is None where only verifying is asked of us."""

    row: LogKey
    private: bytes | None


class Ledger:
    """Appends to the logs of one installation, and signs their heads.

    Every append reads one row first: whether anything may be signed at all, and whether the keys are those it knows. So a worker
    takes up another's rotation, and its halt, at its next commit, in the transaction that commit is.

    Args:
        instance: first part of every log's origin line.
        signing_key: 32 bytes, Ed25519: the first key, which signs until the first rotation.
        held_keys: private keys by their public halves, as they are kept now; asked again when the keys were rotated.
        unwitnessed_seconds_max: how old the newest root seen by a witness may be before releases stop; 0 for any age.
    """

    def __init__(
        self,
        instance: str,
        signing_key: bytes,
        *,
        held_keys: Callable[[], Mapping[bytes, bytes]] | None = None,
        unwitnessed_seconds_max: int = 0,
    ) -> None:
        self.instance: Final = instance
        self._held_keys: Final = held_keys or (lambda: {})
        self._unwitnessed_max: Final = unwitnessed_seconds_max * 1_000_000
        self._first: Final = _Key(LogKey(public_half(signing_key), 0, OPEN_ENDED), signing_key)
        self._keys: tuple[_Key, ...] = (self._first,)
        self._newest = 0
        self._signers: dict[tuple[str, bytes], Signer] = {}
        self._refused: str | None = None

    # --- keys -----------------------------------------------------------------------------------------------------------

    def vkey(self, origin: str) -> str:
        """The verifier's key of a log (C2SP signed-note): the one that signs first."""
        return self.vkeys(origin)[0]

    def vkeys(self, origin: str) -> tuple[str, ...]:
        """Every verifier's key that ever signed a log, the current one first."""
        return tuple(key.vkey for key in self.periods(origin))

    def periods(self, origin: str) -> tuple[KeyPeriod, ...]:
        """As `vkeys`, with when each signs."""
        return tuple(KeyPeriod(vkey(origin, key.row.public), key.row.from_at, key.row.until) for key in self._keys)

    def refresh(self, connection: Connection) -> None:
        """Know the keys as this transaction sees them."""
        self._take_up(connection, roots.signing(connection))

    def rotate(self, connection: Connection, public: bytes, *, at: int, overlap: int) -> int:
        """Sign with this key from now on, with those before it for the overlap, and sign every head anew; how many. Only inside an act.

        Args:
            overlap: microseconds.
        """
        if not roots.log_keys(connection):
            roots.add_log_key(connection, self._first.row)
        roots.retire_log_keys(connection, until=at + overlap)
        roots.add_log_key(connection, LogKey(public, at, OPEN_ENDED))
        roots.note_rotation(connection, newest=_mark(public))
        self.refresh(connection)
        heads = logs.heads(connection)
        for head in heads:
            roots.resign(connection, head.id, self._checkpoint(head.origin, head.size, head.root, at=at))
        return len(heads)

    def _take_up(self, connection: Connection, state: Signing) -> None:
        # Compared by the newest key itself: a count would be fooled by a rotation that was rolled back here and made elsewhere.
        if state.newest_key == self._newest:
            return
        known = {self._first.row.public: self._first.private, **self._held_keys()}
        self._keys = tuple(_Key(row, known.get(row.public)) for row in roots.log_keys(connection) or [self._first.row])
        self._newest = state.newest_key

    def _signers_at(self, origin: str, at: int) -> list[Signer]:
        found = []
        for key in self._keys:
            if not key.row.from_at <= at < key.row.until:
                continue
            if key.private is None:
                raise Broken(f"the private half of log key `{key.row.public.hex()[:16]}` is missing from `keys`; restore it from a backup")
            signer = self._signers.get((origin, key.row.public))
            if signer is None:
                signer = self._signers[origin, key.row.public] = Signer(origin, key.private)
            found.append(signer)
        return found

    # --- whether anything is signed -------------------------------------------------------------------------------------

    @property
    def refusal(self) -> str | None:
        """Why this process signs nothing, whatever the database says; None where nothing speaks against it."""
        return self._refused

    def refuse(self, why: str) -> None:
        """Sign nothing in this process from now on: the log that is here may not be the one that partners hold receipts of."""
        self._refused = why

    def permit(self) -> None:
        """Sign again, after the operator has accepted on record what is lost."""
        self._refused = None

    def halted(self, connection: Connection) -> str | None:
        """Why nothing may be signed, be it for this process or, as a witness disagreed, for all; None where nothing speaks against it."""
        return self._refused or roots.signing(connection).halted_why

    def refused(self, connection: Connection, *, at: int) -> str | None:
        """Why a release could not be recorded at this time; None where it could."""
        state = roots.signing(connection)
        return self._refused or state.halted_why or self._unwitnessed(connection, state, at=at)

    def unwitnessed_since(self, connection: Connection) -> int | None:
        """The time of the newest root that a witness has signed, or of the first root where none has; None where there is no root."""
        return roots.signing(connection).witnessed_at or roots.first_root_at(connection)

    def _unwitnessed(self, connection: Connection, state: Signing, *, at: int) -> str | None:
        if not self._unwitnessed_max:
            return None
        since = state.witnessed_at or roots.first_root_at(connection)
        if since is None or at - since <= self._unwitnessed_max:
            return None
        seconds = self._unwitnessed_max // 1_000_000
        return f"no witness has seen the logs for more than {seconds} seconds, the limit that `ENTENTE_UNWITNESSED_SECONDS_MAX` sets"

    def _check_may_sign(self, connection: Connection, state: Signing, types: set[str], *, at: int) -> None:
        why = self._refused or state.halted_why
        if why is not None and not types <= MENDING_HALT:
            raise Broken(why)
        if types <= MENDING | MENDING_HALT:
            return
        why = self._unwitnessed(connection, state, at=at)
        if why is not None:
            raise Busy(why)

    # --- writing --------------------------------------------------------------------------------------------------------

    def open_log(self, connection: Connection, name: str) -> None:
        """Open a log under a random free slot of the heads tree, unless it is open already."""
        if logs.head(connection, name) is not None:
            return
        free = sorted(set(range(LOG_SLOTS)) - logs.slots_used(connection))
        if not free:
            raise Broken(f"all {LOG_SLOTS} slots of the heads tree are taken, so that no log can be opened for `{name}`")
        slot = secrets.choice(free)
        origin = f"{self.instance}/log/{slot}/{name}"
        frontier = Frontier.empty()
        self.refresh(connection)
        logs.add_log(
            connection,
            name=name,
            origin=origin,
            slot=slot,
            empty_frontier=frontier.to_bytes(),
            empty_root=frontier.root(),
            checkpoint=self._newest_alone(origin),
        )

    def lock(self, connection: Connection, names: Sequence[str]) -> dict[str, Head]:
        """Lock the heads of these logs, opening those that are not open yet."""
        heads = logs.lock_heads(connection, names)
        missing = sorted(set(names) - heads.keys())
        if missing:
            for name in missing:
                self.open_log(connection, name)
            heads = logs.lock_heads(connection, names)
        return heads

    def append(self, connection: Connection, heads: Mapping[str, Head], drafts: Sequence[Draft], *, at: int) -> list[Entry]:
        """Write entries at the ends of their logs and move the heads on.

        Args:
            heads: as locked in this transaction.
            at: the commit's time; not before any of these heads'.

        Raises:
            Broken: nothing may be signed, until the operator has acted.
            Busy: no witness has seen the logs for too long.
        """
        state = roots.signing(connection)
        self._take_up(connection, state)
        self._check_may_sign(connection, state, {draft.type for draft in drafts}, at=at)
        at_text = text_of(at)
        at_json = canonical_string(at_text)
        sizes = {name: head.size for name, head in heads.items()}
        hashes: dict[str, list[bytes]] = {}
        rows: list[logs.EntryRow] = []
        values: list[personal.PersonalRow] = []
        entries: list[Entry] = []
        for draft in drafts:
            event_id, nonce = new_id(), secrets.token_bytes(32)
            record = record_bytes({**draft.record, "at": at_json})
            leaf = leaf_bytes(
                type_=draft.type,
                event_id=event_id,
                at=at_text,
                client=draft.client,
                route=draft.route,
                items=draft.items,
                body_sha256=draft.body_sha256,
                result=draft.result,
                purpose=draft.purpose,
                seal=seal(nonce, record),
                portion=draft.portion,
                heads_root=draft.heads_root,
            )
            head, index = heads[draft.log], sizes[draft.log]
            sizes[draft.log] += 1
            hashed = leaf_hash(leaf)
            hashes.setdefault(draft.log, []).append(hashed)
            rows.append(
                logs.EntryRow(
                    head.id,
                    index,
                    event_id,
                    at,
                    draft.type,
                    draft.client,
                    draft.result,
                    leaf,
                    hashed,
                    record,
                    nonce,
                    draft.versions,
                )
            )
            values.extend(_personal_row(one, head.id, index) for one in draft.personal)
            entries.append(Entry(event_id, draft.log, index, at, draft.body_sha256))
        logs.append_entries(connection, rows)
        personal.add(connection, values)
        for name, added in hashes.items():
            self._advance(connection, heads[name], added, at=at)
        return entries

    def _advance(self, connection: Connection, head: Head, added: Sequence[bytes], *, at: int) -> None:
        frontier = Frontier.from_bytes(head.frontier, head.size).extend(added)
        note = self._checkpoint(head.origin, frontier.size, frontier.root(), at=at)
        new = replace(head, size=frontier.size, frontier=frontier.to_bytes(), root=frontier.root(), at=at, checkpoint=note)
        logs.advance_head(connection, head, new)
        tiles = completed_tiles(head.size, added, lambda level, index, width: logs.read_tile(connection, head.id, level, index, width))
        for tile in tiles:
            logs.put_tile(connection, head.id, tile.level, tile.index, tile.hashes)
        if tiles:
            logs.keep_checkpoint(connection, head.id, new.size, note)

    def _checkpoint(self, origin: str, size: int, root: bytes, *, at: int) -> str:
        return sign_checkpoint(Checkpoint(origin, size, root), *self._signers_at(origin, at))

    def _newest_alone(self, origin: str) -> str:
        # An empty log says nothing that somebody with an older key would need to check.
        empty = Frontier.empty()
        return self._checkpoint(origin, 0, empty.root(), at=OPEN_ENDED - 1)


def _personal_row(one: Personal, log_id: int, position: int) -> personal.PersonalRow:
    return personal.PersonalRow(one.commitment.sha256, one.salt, one.value.encode("utf-8"), one.kind, log_id, position)


def _mark(public: bytes) -> int:
    return int.from_bytes(public[:7], "big")
