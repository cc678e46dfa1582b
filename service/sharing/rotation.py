"""Another key for the logs: an act on record, in force for every worker from its next commit on.

1. *The file.* The new key is written and made durable first. A crash after it leaves a key that nothing uses.
2. *The act.* The key's public half, the end of the older ones, a new signature for every head, and the leaf that says so, in one
   transaction that excludes every commit. A crash before its end leaves everything as it was.
3. *The overlap.* Until it ends the older keys sign beside the new one, so that who knows only one of them can still check.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from service.identity.keys import create_log_key
from service.sharing.acts import Actor, Acts
from service.sharing.ledger import Ledger
from service.store.times import text_of

_MICROSECONDS: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Rotated:
    """`key` is the new public half; `until` (microseconds) when those before it cease to sign; `heads` how many were signed anew."""

    event_id: str
    key: bytes
    until: int
    heads: int


def rotate(acts: Acts, ledger: Ledger, folder: Path, actor: Actor, *, overlap: timedelta) -> Rotated:
    """Make a key in this folder and sign with it.

    Raises:
        Broken: nothing may be signed, or the key cannot be kept.
    """
    # (1): the file.
    public = create_log_key(folder)
    # (2): the act.
    span = overlap // _MICROSECONDS
    with acts.act("log.rotate", actor) as act:
        heads = ledger.rotate(act.connection, public, at=act.at, overlap=span)
        act.details = {"key": public.hex(), "overlap_until": text_of(act.at + span), "heads": heads}
    return Rotated(act.event_id(), public, act.at + span, heads)
