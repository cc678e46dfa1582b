"""A first page of 50 from a large store, against the same page from 10,000 items.

1 to 4 portions an item, 2,000 label sets, a third of the items visible to JPN, half of those in part; SGP may see 30 items.
Both stores are served at once by processes of their own; requests alternate, one at a time. `cold` renders every copy of the
page anew (no copies held in memory), `warm` finds them there.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import statistics
import tempfile
import time
from pathlib import Path

from service.identity.clients import Role
from service.labels.label import Label
from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.catalogue import store_items
from service.sharing.installation import Installation, open_installation
from service.sharing.intake import ItemDraft, PortionDraft
from service.store.tables import FOREVER
from tests.bench.servers import REPOSITORY, seconds_each, server

SMALL = 10_000
LABEL_SETS = 2_000
FEW = 30
_BATCH = 1000
_REQUESTS = 60
_CATEGORIES = ("MARITIME", "AIR", "BASES", "DIPLOMATIC", "ECONOMIC", "LOGISTICS", "CYBER", "EXERCISE")
_OTHERS = ("AUS", "CAN", "DEU", "FRA", "KOR", "NZL", "PHL", "IDN")

BUNDLE = {
    "scheme.toml": """own = "USA"
profile = "IC-2016"
levels = [{name = "UNCLASSIFIED", mark = "U"}, {name = "CONFIDENTIAL", mark = "C"}, {name = "SECRET", mark = "S"}]
categories = ["MARITIME", "AIR", "BASES", "DIPLOMATIC", "ECONOMIC", "LOGISTICS", "CYBER", "EXERCISE"]
caveats = []
purposes = []
expandable = []
public_communities = []
categories_required_from = "CONFIDENTIAL"
audience_required_from = "CONFIDENTIAL"
approval_level = "SECRET"
releasable_in = "portions"
audience_on_copies = "own"
""",
    "partners.csv": "# bench\n" + "".join(f"g2, {code}, active, , , nation, {code}\n" for code in ("JPN", "SGP", *_OTHERS)),
    "communities.csv": "# bench\n",
    "agreements.csv": "# bench\n"
    "p, AGR-0001, allow, release, JPN, *, SECRET, *, none, *, 2020-01-01, , bench\n"
    "p, AGR-0002, allow, release, SGP, *, SECRET, *, none, *, 2020-01-01, , bench\n",
    "prohibitions.csv": "# bench\n",
    "equivalences.csv": "issuer, name, from, until, level\n",
    "cases.csv": "case, at, partner, action, purpose, level, categories, releasable_to, display_to, caveats, originators, consents, "
    "grants, outcome, rules\n",
    "never.csv": "id, grantee, action, level, categories, caveats, originator\n",
}


def run(*, large: int, rounds: int, kept: Path | None) -> None:
    with contextlib.ExitStack() as stack:
        folder = kept or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stores = []
        for count in (SMALL, large):
            begun = time.perf_counter()
            data = folder / str(count)
            stores.append((count, data))
            if not (data / "built").exists():
                _build(data, count)
                (data / "built").touch()
                print(f"  built {count} items in {time.perf_counter() - begun:.0f} s", flush=True)
        for held, name in (("0", "cold"), ("20000", "warm")):
            settings = {"ENTENTE_COPIES_CACHED_MAX": held, "ENTENTE_RATE_PER_SECOND": "1000000", "ENTENTE_RATE_BURST": "10000000"}
            with (
                server("service.app:from_environment", factory=True, ENTENTE_DATA=str(stores[0][1]), **settings) as small_port,
                server("service.app:from_environment", factory=True, ENTENTE_DATA=str(stores[1][1]), **settings) as large_port,
            ):
                for partner in ("JPN", "SGP"):
                    for path in ("/v1/items?limit=50", "/v1/items?limit=50&level=SECRET&category=MARITIME"):
                        _compare(partner, path, name, [(small_port, stores[0]), (large_port, stores[1])], rounds)


def _compare(partner: str, path: str, name: str, sides: list[tuple[int, tuple[int, Path]]], rounds: int) -> None:
    tokens = [_token(data, partner) for _, (_, data) in sides]
    for (port, _), token in zip(sides, tokens, strict=True):
        seconds_each(port, path, token=token, times=20)
    medians: list[list[float]] = [[], []]
    for _ in range(rounds):
        for place, ((port, _), token) in enumerate(zip(sides, tokens, strict=True)):
            medians[place].append(statistics.median(seconds_each(port, path, token=token, times=_REQUESTS)))
    ratios = sorted(big / small for small, big in zip(*medians, strict=True))
    small, big = (1000 * statistics.median(side) for side in medians)
    print(
        f"  {partner} {name} {path}: {sides[0][1][0]} items {small:.2f} ms, {sides[1][1][0]} items {big:.2f} ms, "
        f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        flush=True,
    )


def _token(data: Path, partner: str) -> str:
    installation = open_installation(Settings(data=data))
    token = installation.issuer.issue(installation.registry.named(f"bench-{partner.lower()}"), installation.clock())
    installation.close()
    return token


def _build(data: Path, count: int) -> None:
    installation = open_installation(Settings(data=data, policies=REPOSITORY / "policies"))
    files = {name: text.encode("utf-8") for name, text in BUNDLE.items()}
    files["model.conf"] = (REPOSITORY / "policies" / "model.conf").read_bytes()
    installation.publishing.publish(files, Actor("bench", "cli"))
    for partner in ("JPN", "SGP"):
        installation.registry.add(f"bench-{partner.lower()}", Role.PARTNER, partner=partner)
    chance = random.Random(20261122)
    sets = _label_sets(chance)
    few = set(chance.sample(range(count), FEW))
    for start in range(0, count, _BATCH):
        _store(installation, [_draft(number, chance, sets, few=number in few) for number in range(start, min(start + _BATCH, count))])
    installation.close()


def _store(installation: Installation, drafts: list[ItemDraft]) -> None:
    with installation.acts.act("item.import", Actor("bench", "cli")) as act:
        store_items(act, drafts)


def _label(chance: random.Random, *, seen_by: str | None) -> Label:
    audience = {"USA", *chance.sample(_OTHERS, chance.randint(1, 5))} | ({seen_by} if seen_by else set())
    return Label("SECRET" if chance.random() < 0.5 else "CONFIDENTIAL", tuple(chance.sample(_CATEGORIES, chance.randint(1, 2))),
                 tuple(audience), (), ("USA",))  # fmt: skip


def _label_sets(chance: random.Random) -> list[list[Label]]:
    """A sixth released whole to JPN, a sixth in part, the rest not at all."""
    sets = []
    for number in range(LABEL_SETS):
        size = chance.randint(1, 4)
        seen = size if number % 6 == 0 else chance.randint(1, size) if number % 6 == 1 else 0
        if number % 6 == 1 and seen == size:
            size += 1
        sets.append([_label(chance, seen_by="JPN" if place < seen else None) for place in range(size)])
    return sets


def _draft(number: int, chance: random.Random, sets: list[list[Label]], *, few: bool) -> ItemDraft:
    labels = [_label(chance, seen_by="SGP")] if few else sets[chance.randrange(len(sets))]
    portions = []
    for place, label in enumerate(labels):
        content = f"item {number}, portion {place}: {'lorem ipsum ' * 20}".encode()
        kind = "title" if place == 0 else "text"
        digest = hashlib.sha256(content).digest()
        portions.append(PortionDraft(kind, content, digest, len(content), None, None, "", ((0, FOREVER, label),)))
    return ItemDraft(f"bench/{number}", "", False, tuple(portions), None, None, "{}")
