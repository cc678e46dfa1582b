"""Witnesses: who has seen our root log, and what happens where one has seen another. Client side of C2SP tlog-witness.

After each root its checkpoint is sent to every witness, with the proof that it continues what that witness signed last. A
signature that holds is kept, and served below the checkpoint. A witness that is away is asked again after the next root; how
old the newest root that somebody has signed may become is for `ENTENTE_UNWITNESSED_SECONDS_MAX` to say.

A witness *disagrees* where it has signed more than we hold, or another tree than ours: then this database is not the one that it
saw. From then on nothing is signed, by any worker, until the operator has answered (`entente log restored`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx

from service.errors import Conflict, ProofError, Rejected
from service.releaselog.checkpoint import read_decimal
from service.releaselog.cosign import WitnessKey, find_in_lines
from service.releaselog.merkle import consistency_proof
from service.releaselog.notes import read_note
from service.releaselog.witness import SIZE_TYPE, Submission, write_submission
from service.sharing.acts import Actor, Acts
from service.sharing.gate import Clock
from service.sharing.ledger import ROOT
from service.store import Connection, Database, logs, roots
from service.store.logs import Head
from service.store.roots import Witness
from service.store.times import micros

log = logging.getLogger(__name__)

ANSWER_BYTES_MAX: Final = 65_536
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_MENDING: Final = (
    "nothing is signed until this is cleared up: compare with a backup, run `entente log verify`, put the newer database back, "
    "or accept this one with `entente log restored --reason TEXT`"
)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A submission, and the head it is of."""

    head: Head
    submission: Submission


class Witnessing:
    """Sends roots to witnesses. `http` makes the client, anew for each round."""

    def __init__(self, *, database: Database, http: Callable[[], httpx.Client], clock: Clock) -> None:
        self._database: Final = database
        self._http: Final = http
        self._clock: Final = clock

    def submit(self) -> None:
        """Send the newest root to every witness. What goes wrong with one is logged, and does not keep the others from it."""
        with self._database.reading() as connection:
            found = roots.witnesses(connection)
        if not found:
            return
        with self._http() as client:
            for witness in found:
                try:
                    self._submit_to(client, witness)
                except (httpx.HTTPError, httpx.InvalidURL, ProofError, _Failed) as error:
                    log.warning("witness `%s` did not sign: %s", witness.name, error or type(error).__name__)

    def _submit_to(self, client: httpx.Client, witness: Witness) -> None:
        with self._database.reading() as connection:
            sent = _submission(connection, roots.cosigned_size(connection, witness.vkey))
        if sent is None:
            return
        status, media_type, body = _post(client, witness.url, sent.submission)
        if status == 409 and sent.submission.old != (size := _size(media_type, body)):
            # (1): it stands elsewhere than we remember. Beyond us, even after another worker's root: it has seen another database.
            with self._database.reading() as connection:
                again = _submission(connection, size)
                ours = logs.head(connection, ROOT)
            if again is None:
                held = 0 if ours is None else ours.size
                self._disagree(witness, f"has signed a root log of {size} entries, and this database holds {held}")
                return
            sent = again
            status, media_type, body = _post(client, witness.url, sent.submission)
        # (2): from where it stands, our tree does not continue its own, or is another of the same size.
        same = sent.submission.old == sent.head.size
        if status == 422 or (status == 409 and same and _size(media_type, body) == sent.head.size):
            self._disagree(witness, f"has signed another root log of {sent.submission.old} entries than this database holds")
            return
        if status != 200:
            raise _Failed(f"answered {status}")
        # (3): its signature, over the very checkpoint.
        cosigned = find_in_lines(read_note(sent.head.checkpoint)[0], body, witness.vkey)
        if cosigned is None:
            raise _Failed("answered without a signature by the key registered for it")
        with self._database.releasing() as connection:
            roots.keep_cosignature(connection, size=sent.head.size, vkey=witness.vkey, line=cosigned.line, at=sent.head.at)

    def _disagree(self, witness: Witness, what: str) -> None:
        why = f"witness `{witness.name}` {what}; {_MENDING}"
        log.error(why)
        with self._database.acting() as connection:
            roots.halt(connection, at=micros(self._clock()), why=why)


class _Failed(Exception):
    """A witness that did not sign, and did not disagree."""


def add_witness(acts: Acts, actor: Actor, *, name: str, url: str, vkey: str) -> Witness:
    """Register a witness: an act on record.

    Args:
        url: the prefix below which its `add-checkpoint` is.

    Raises:
        Rejected: a name, address or key of another form.
        Conflict: the name is taken.
    """
    if not _NAME.fullmatch(name):
        raise Rejected(f"witness name `{name[:80]}`, expected up to 64 of `a-z`, `0-9` and `-`", code="witness")
    WitnessKey.parse(vkey)
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo or parsed.query or parsed.fragment:
        raise Rejected("the address of a witness is `https://HOST/PATH`, without a password, query or fragment", code="witness")
    with acts.registering("witness.add", actor) as act:
        witness = Witness(name, url.rstrip("/"), vkey, act.at)
        if not roots.add_witness(act.connection, witness):
            raise Conflict(f"there is a witness `{name}` already", code="witness")
        act.details = {"name": name, "url": witness.url, "vkey": vkey}
    return witness


def remove_witness(acts: Acts, actor: Actor, *, name: str) -> None:
    """Ask a witness no more: an act on record. What it signed stays.

    Raises:
        Conflict: there is none of this name.
    """
    with acts.registering("witness.remove", actor) as act:
        if not roots.remove_witness(act.connection, name):
            raise Conflict(f"no witness `{name[:80]}`", code="witness")
        act.details = {"name": name}


def _submission(connection: Connection, old: int) -> _Sent | None:
    """The newest root, as it continues the tree of `old` entries; None where we hold fewer, or no root at all."""
    head = logs.head(connection, ROOT)
    if head is None or head.size == 0 or old > head.size:
        return None
    found = head

    def tiles(level: int, index: int, width: int) -> list[bytes]:
        return logs.read_tile(connection, found.id, level, index, width)

    proof = consistency_proof(old, head.size, tiles) if old else ()
    return _Sent(head, Submission(old, proof, head.checkpoint))


def _post(client: httpx.Client, url: str, submission: Submission) -> tuple[int, str, str]:
    """(status, media type, body)."""
    headers = {"content-type": "text/plain; charset=utf-8", "accept-encoding": "identity"}
    content = write_submission(submission).encode("utf-8")
    with client.stream("POST", f"{url}/add-checkpoint", content=content, headers=headers) as response:
        body = b""
        for block in response.iter_bytes():
            body += block
            if len(body) > ANSWER_BYTES_MAX:
                raise _Failed(f"answered with more than {ANSWER_BYTES_MAX} bytes")
    try:
        return response.status_code, response.headers.get("content-type", ""), body.decode("utf-8")
    except UnicodeDecodeError:
        raise _Failed("answered with what is not UTF-8") from None


def _size(media_type: str, body: str) -> int:
    if media_type.partition(";")[0].strip() != SIZE_TYPE or not body.endswith("\n"):
        raise _Failed("answered 409 without the size it has signed")
    return read_decimal(body[:-1], "the size that a witness has signed")
