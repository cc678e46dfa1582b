"""Asks of every kind over the small installation, straight at the gate: what a partner's requests become, without a network."""

from __future__ import annotations

import random
from collections.abc import Mapping

from service.sharing.asks import Asker, FileAsk, ItemAsk, ListAsk
from service.sharing.gate import Ask
from service.sharing.installation import Installation

PARTNERS = ("GBR", "JPN")


def mixed_ask(
    installation: Installation,
    randomness: random.Random,
    *,
    partner: str,
    client: str,
    items: Mapping[str, str],
    file: str,
    key: str | None = None,
) -> Ask:
    """One of: an item that is released, one that is not, one that is not there, a list, a file; the same for a key, each time.

    Args:
        items: ids by ref, with `chart`, `open`, `sea` and `hidden` among them.
        key: an `Idempotency-Key`.
    """
    asker = Asker(partner, "none", client, partner)
    retry = None if key is None else (key, b"the same each time")
    drawn = 0 if key is not None else randomness.randrange(8)
    if drawn == 1:
        return ListAsk(asker, installation.copies, "/v1/items", retry, limit=randomness.choice((1, 2, 50)), cursors=installation.cursors)
    if drawn == 2:
        return FileAsk(
            asker, installation.copies, "/v1/items/{id}/files/{portion}", retry, item=items["chart"].encode(), portion=file.encode()
        )
    segment = {3: items["hidden"], 4: f"absent-{randomness.randrange(100)}", 5: items["sea"], 6: items["chart"]}.get(drawn, items["open"])
    return ItemAsk(asker, installation.copies, "/v1/items/{id}", retry, item=segment.encode())
