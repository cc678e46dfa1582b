"""A first page of a search over 1,000,000 released and withheld portions, beside a first page of the plain list in the same run.

8 portions an item, 35 words a portion drawn from 50,000 as a language draws them (Zipf), 2,000 label sets. A third of the items is
visible to JPN, half of those in part, under some 1,500 labels. `cold` renders every copy of the page anew, `warm` finds them in memory.
Requests go one at a time, a plain page between any two.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from service.identity.clients import Role
from service.labels.label import Label
from service.settings import Settings
from service.sharing.acts import Actor
from service.sharing.catalogue import store_items
from service.sharing.compaction import compact
from service.sharing.installation import Installation, open_installation
from service.sharing.intake import ItemDraft, PortionDraft
from service.store.tables import FOREVER
from tests.bench.lists import BUNDLE, LABEL_SETS, _label, _token
from tests.bench.servers import REPOSITORY, seconds_each, server

PORTIONS = 8
WORDS = 35
VOCABULARY = 50_000
_BATCH = 1000
_REQUESTS = 40
_LIST = "/v1/items?limit=50"
_RANKS = {
    "a word in most portions": "{0}",
    "in one of 10": "{20}",
    "in one of 100": "{300}",
    "in one of 1,000": "{3000}",
    "in one of 10,000": "{20000}",
    "in none": "nowhereatall",
    "two common words": "{3} {9}",
    "a common and a rare one": "{1} {8000}",
    "two of 1,000, rarely together": "{2500} {3500}",
    "two common words, never together": "{2} nowhereatall",
    "a phrase of common words": '"{0} {1}"',
    "a phrase that is rare": '"{40} {90}"',
    "four words and a phrase": '{2} {5} {7} {11} "{0} {3}"',
}


def run(*, portions: int, rounds: int, kept: Path | None) -> None:
    with contextlib.ExitStack() as stack:
        data = (kept or Path(stack.enter_context(tempfile.TemporaryDirectory()))) / f"search-{portions}"
        if not (data / "built").exists():
            begun = time.perf_counter()
            _build(data, portions // PORTIONS)
            (data / "built").touch()
            taken = time.perf_counter() - begun
            size = (data / "entente.db").stat().st_size / 1e6
            print(
                f"  built {portions} portions in {taken:.0f} s, {portions / PORTIONS / taken:.0f} items a second, {size:.0f} MB", flush=True
            )
        for held, name in (("0", "cold"), ("20000", "warm")):
            settings = {"ENTENTE_COPIES_CACHED_MAX": held, "ENTENTE_RATE_PER_SECOND": "1000000", "ENTENTE_RATE_BURST": "10000000"}
            with server("service.app:from_environment", factory=True, ENTENTE_DATA=str(data), **settings) as port:
                _measure(port, _token(data, "JPN"), name, rounds)


def _measure(port: int, token: str, name: str, rounds: int) -> None:
    everything: list[float] = []
    plain: list[float] = []
    for what, template in _RANKS.items():
        path = f"{_LIST}&q={quote(template.format(*_Words()), safe='')}" if "{" in template else f"{_LIST}&q={template}"
        seconds_each(port, path, token=token, times=3)
        taken: list[float] = []
        for _ in range(_REQUESTS * rounds // 7):
            taken += seconds_each(port, path, token=token, times=1)
            plain += seconds_each(port, _LIST, token=token, times=1)
        everything += taken
        print(f"  {name} {what}: median {1000 * statistics.median(taken):.1f} ms, p95 {_p95(taken):.1f} ms", flush=True)
    print(
        f"  {name} all of them: p95 {_p95(everything):.1f} ms, median {1000 * statistics.median(everything):.1f} ms; "
        f"a plain page: p95 {_p95(plain):.1f} ms, median {1000 * statistics.median(plain):.1f} ms",
        flush=True,
    )


def _p95(seconds: list[float]) -> float:
    return 1000 * statistics.quantiles(seconds, n=20)[-1]


class _Words(list[str]):
    """The vocabulary, the commonest word first."""

    def __init__(self) -> None:
        super().__init__(f"w{number * 2654435761 % (1 << 24):x}" for number in range(VOCABULARY))


def _build(data: Path, count: int) -> None:
    installation = open_installation(Settings(data=data, policies=REPOSITORY / "policies"))
    files = {name: text.encode("utf-8") for name, text in BUNDLE.items()}
    files["model.conf"] = (REPOSITORY / "policies" / "model.conf").read_bytes()
    installation.publishing.publish(files, Actor("bench", "cli"))
    for partner in ("JPN", "SGP"):
        installation.registry.add(f"bench-{partner.lower()}", Role.PARTNER, partner=partner)
    chance = random.Random(20261122)
    sets = [_label_set(chance, number) for number in range(LABEL_SETS)]
    words, weights = _Words(), list(itertools.accumulate(1 / (rank + 3) for rank in range(VOCABULARY)))
    for start in range(0, count, _BATCH):
        drafts = [_draft(number, chance, sets, words, weights) for number in range(start, min(start + _BATCH, count))]
        _store(installation, drafts)
    compact(installation.database)  # as an import does, and a running service
    installation.close()


def _store(installation: Installation, drafts: list[ItemDraft]) -> None:
    with installation.acts.act("item.import", Actor("bench", "cli")) as act:
        store_items(act, drafts)


def _label_set(chance: random.Random, number: int) -> list[Label]:
    """Labels of the portions of an item: three different ones. A sixth of the sets is released whole to JPN, a sixth in part."""
    seen = 3 if number % 6 == 0 else chance.randint(1, 2) if number % 6 == 1 else 0
    labels = [_label(chance, seen_by="JPN" if place < seen else None) for place in range(3)]
    return [labels[place % 3] for place in range(PORTIONS)]


def _draft(number: int, chance: random.Random, sets: list[list[Label]], words: list[str], weights: list[float]) -> ItemDraft:
    portions = []
    for place, label in enumerate(sets[chance.randrange(len(sets))]):
        content = " ".join(chance.choices(words, cum_weights=weights, k=WORDS if place else 6)).encode()
        digest = hashlib.sha256(content).digest()
        kind = "text" if place else "title"
        portions.append(PortionDraft(kind, content, digest, len(content), None, None, "", ((0, FOREVER, label),)))
    return ItemDraft(f"bench/{number}", "", False, tuple(portions), None, None, "{}")
