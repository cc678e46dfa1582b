"""Items for a store, from a seed, over the vocabulary of `store_bundles`: labels of any kind, whole or in portions, dated or not."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from datetime import datetime

from service.labels.label import Label
from service.sharing.catalogue import store_items
from service.sharing.intake import ItemDraft, PortionDraft
from service.store.tables import FOREVER
from service.store.times import micros
from tests.support.store_world import OFFICER, World

CODES = ("AUS", "IND", "JPN", "QUAD", "USA")
Timeline = tuple[tuple[int, int, Label], ...]


def random_label(chance: random.Random) -> Label:
    """A label that the bundles of `store_bundles` know."""
    foreign = chance.random() < 0.2
    return Label(
        chance.choices(("UNCLASSIFIED", "CONFIDENTIAL", "SECRET"), (2, 2, 3))[0],
        tuple(chance.sample(("CYBER", "MARITIME", "OPEN"), chance.choice((0, 1, 1, 2)))),
        chance.choice([("*",), tuple(chance.sample(CODES, chance.randint(0, 4)))]),
        tuple(chance.sample(("ORCON", "RELIDO"), chance.choice((0, 0, 0, 1)))),
        ("AUS",) if foreign else ("USA",),
        consents=("AUS:JPN",) if foreign and chance.random() < 0.7 else (),
    )


def random_draft(chance: random.Random, ref: str, labels: Sequence[Label], dates: Sequence[datetime]) -> ItemDraft:
    """An item with one to four of these labels, some of which change at one of the dates."""

    def timeline() -> Timeline:
        first, then, at = chance.choice(labels), chance.choice(labels), micros(chance.choice(dates))
        return ((0, FOREVER, first),) if chance.random() < 0.7 else ((0, at, first), (at, FOREVER, then))

    portions = []
    for number in range(chance.randint(1, 4)):
        content = f"{ref}, portion {number}".encode()
        digest = hashlib.sha256(content).digest()
        portions.append(PortionDraft("text", content, digest, len(content), None, None, "", timeline()))
    compilation = timeline() if chance.random() < 0.2 else None
    return ItemDraft(ref, "", chance.random() < 0.3, tuple(portions), compilation, None, "{}")


def load(world: World, drafts: Sequence[ItemDraft], *, update: bool = False) -> list[str]:
    """Store items; their ids."""
    with world.installation.acts.act("item.import", OFFICER) as act:
        outcomes = store_items(act, drafts, update=update)
    return [outcome.item_id or "" for outcome in outcomes]
