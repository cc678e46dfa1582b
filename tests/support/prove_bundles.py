"""Small bundles and their labels, for proofs that are held against asking about every label there is. All invented."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, combinations, product
from pathlib import Path

from service.labels.label import Label
from service.policy import Bundle, read_bundle, read_directory

SAMPLE = read_directory(Path(__file__).parents[2] / "policies")
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
_MODEL = SAMPLE["model.conf"].decode()
_ASKER = 'g2(r.partner, "active") && g(r.partner, p.grantee) && '
_DENY = (
    '(p.eft == "deny" && forbids(p.action, r.action) && issued_by(p.originator, r.originators) && at_least(r.level, p.level) && '
    "touches(p.categories, r.categories) && touches(p.caveats, r.caveats))"
)
MATCHERS = {
    "shipped": _MODEL[_MODEL.index("m = ") + 4 :].strip(),
    "without-audience": _ASKER
    + '((p.eft == "allow" && for_purpose(p.purpose, r.purpose) && permits(p.action, r.action) && only_from(p.originator, r.originators) && '
    f"at_most(r.level, p.level) && covers(p.categories, r.categories) && covers(p.caveats, r.caveats)) || {_DENY})",
    "with-negations": _ASKER + '((p.eft == "allow" && for_purpose(p.purpose, r.purpose) && permits(p.action, r.action) && '
    "!(at_least(r.level, p.level) && touches(p.categories, r.categories)) && !touches(p.caveats, r.caveats) && "
    f"!consented(r.originators, r.consents, r.partner) && addressed(r.action, r.releasable_to, r.display_to, r.partner)) || {_DENY})",
    "with-comparisons": _ASKER + '((p.eft == "allow" && (p.purpose == "*" || p.purpose == r.purpose) && permits(p.action, r.action) && '
    '(r.level == p.level || r.level == "UNCLASSIFIED") && covers(p.categories, r.categories) && covers(p.caveats, r.caveats) && '
    f"(only_from(p.originator, r.originators) || consented(r.originators, r.consents, r.partner))) || {_DENY})",
    "asker-last": "((covers(p.categories, r.categories) && covers(p.caveats, r.caveats) && at_most(r.level, p.level) && "
    'consented(r.originators, r.consents, r.partner) && p.eft == "allow" && permits(p.action, r.action) && '
    "for_purpose(p.purpose, r.purpose)) || (touches(p.categories, r.categories) && "
    'p.eft == "deny" && touches(p.caveats, r.caveats) && at_least(r.level, p.level) && forbids(p.action, r.action))) && '
    'g(r.partner, p.grantee) && g2(r.partner, "active")',
    "with-alternatives": _ASKER + '((p.eft == "allow" && for_purpose(p.purpose, r.purpose) && '
    '(permits(p.action, r.action) || p.action == "refer" && granted(r.grants, r.action, r.partner)) && at_most(r.level, p.level) && '
    "(covers(p.categories, r.categories) || covers(p.caveats, r.caveats) && "
    f"addressed(r.action, r.releasable_to, r.display_to, r.partner))) || {_DENY})",
    "with-casbin-functions": _ASKER
    + '((p.eft == "allow" && for_purpose(p.purpose, r.purpose) && permits(p.action, r.action) && keyMatch(r.level, p.level) && '
    f"covers(p.categories, r.categories) && covers(p.caveats, r.caveats)) || {_DENY})",
}
"""Matchers within the understood kinds, the shipped one first; each is one the strict reader accepts."""
BEYOND = {
    "membership-by-in": (
        _ASKER
        + '((p.eft == "allow" && r.partner in r.releasable_to && permits(p.action, r.action) && covers(p.categories, r.categories)) || '
        f"{_DENY})",
        "`r.partner in r.releasable_to` reads a set of the label in a way that is not declared",
    ),
    "a-set-as-a-word": (
        _ASKER + '((p.eft == "allow" && r.categories == p.categories && permits(p.action, r.action) && covers(p.caveats, r.caveats)) || '
        f"{_DENY})",
        "`r.categories == p.categories` takes the set `r.categories` for a word",
    ),
    "consents-to-another": (
        _ASKER + '((p.eft == "allow" && consented(r.originators, r.consents, p.grantee) && permits(p.action, r.action) && '
        f"covers(p.caveats, r.caveats)) || {_DENY})",
        "looks at what is to another than the partner who asks",
    ),
}
"""Matchers that compile and decide, and that nothing is proved about; with what is said of them."""

LEVELS = ("UNCLASSIFIED", "CONFIDENTIAL", "SECRET")
CATEGORIES = ("AIR", "SEA")
CAVEATS = ("EXDIS", "ORCON")
PARTNERS = ("IND", "JPN")
_SCHEME = """own = "USA"
profile = "IC-2016"
levels = [{name = "UNCLASSIFIED", mark = "U"}, {name = "CONFIDENTIAL", mark = "C"}, {name = "SECRET", mark = "S"}]
categories = ["AIR", "SEA"]
caveats = ["EXDIS", "ORCON"]
purposes = ["KEEN"]
expandable = ["QUAD"]
public_communities = []
categories_required_from = "CONFIDENTIAL"
audience_required_from = "CONFIDENTIAL"
approval_level = "SECRET"
releasable_in = "portions"
audience_on_copies = "own"
"""
_COMMUNITIES = "#\ng, JPN, QUAD, ,\ng, IND, QUAD, 2027-06-01,\ng, QUAD, ALL-PARTNERS, ,\ng, IND, ALL-PARTNERS, ,\n"


def small(
    agreements: Sequence[str],
    prohibitions: Sequence[str] = (),
    *,
    matcher: str = MATCHERS["shipped"],
    never: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
) -> Bundle:
    """A bundle of three levels, two categories, two caveats and two partners.

    Args:
        agreements: cells from `action` on: `release, JPN, *, SECRET, AIR, none, *, , ,`; ids are given by order.
        prohibitions: likewise.
        never: cells from `grantee` on.
        files: others, by name.
    """
    texts = {
        "model.conf": f"{_MODEL[: _MODEL.index('m = ')]}m = {matcher}\n",
        "scheme.toml": _SCHEME,
        "partners.csv": "#\n" + "".join(f"g2, {code}, active, , , nation, Partner\n" for code in PARTNERS),
        "communities.csv": _COMMUNITIES,
        "agreements.csv": "#\n" + "".join(f"p, AGR-{n:04}, allow, {cells} Basis\n" for n, cells in enumerate(agreements, start=1)),
        "prohibitions.csv": "#\n" + "".join(f"p, PRO-{n:04}, deny, {cells} Basis\n" for n, cells in enumerate(prohibitions, start=1)),
        "cases.csv": SAMPLE["cases.csv"].decode().splitlines()[0] + "\n",
        "never.csv": "id, grantee, action, level, categories, caveats, originator\n"
        + "".join(f"NEV-{n:04}, {cells}\n" for n, cells in enumerate(never, start=1)),
        "equivalences.csv": "issuer, name, from, until, level\n",
    }
    return read_bundle({name: text.encode() for name, text in (texts | dict(files or {})).items()})


def random_rules(chance: random.Random, *, deny: bool, count: int) -> list[str]:
    """Cells of random rules, from `action` on."""
    rules = []
    for _ in range(count):
        cells = (
            chance.choice(("*", "*", "release", "display", "refer") if deny else ("release", "release", "display", "refer", "refer")),
            chance.choice(("JPN", "IND", "QUAD", "ALL-PARTNERS")),
            chance.choice(("*", "*", "none", "KEEN")),
            chance.choice(LEVELS),
            chance.choice(("AIR", "SEA", "AIR SEA", "*", *(() if deny else ("none",)))),
            chance.choice(("EXDIS", "ORCON", "*", *(() if deny else ("none", "none", "EXDIS ORCON")))),
            chance.choice(("*", "*", "USA", "JPN", "USA IND")),
            chance.choice(("", "", "", "2027-01-01", "2020-01-01")),
            chance.choice(("", "", "2027-03-01")),
        )
        rules.append(f"{', '.join(cells)},")
    return rules


def random_bundle(seed: object, *, matcher: str = MATCHERS["shipped"], never: Sequence[str] = ()) -> Bundle:
    """A bundle of a few random rules."""
    chance = random.Random(f"rules {seed}")
    allow = random_rules(chance, deny=False, count=chance.randint(1, 5))
    return small(allow, random_rules(chance, deny=True, count=chance.randint(0, 3)), matcher=matcher, never=never)


def some_labels(count: int, seed: object) -> list[Label]:
    """Random labels over the words of a small bundle."""
    chance = random.Random(f"labels {seed}")

    def some(words: Sequence[str], least: int = 0) -> tuple[str, ...]:
        return tuple(chance.sample(words, chance.randint(least, len(words))))

    def audience() -> tuple[str, ...]:
        return ("*",) if chance.random() < 0.2 else some(("USA", "JPN", "IND", "QUAD", "ALL-PARTNERS"))

    return [
        Label(
            level=chance.choice(LEVELS),
            categories=some(CATEGORIES),
            releasable_to=audience(),
            caveats=some(CAVEATS) if chance.random() < 0.6 else (),
            originators=("USA",) if chance.random() < 0.4 else some(("USA", *PARTNERS), 1),
            display_to=audience() if chance.random() < 0.3 else None,
            consents=some(("USA:JPN", "IND:JPN", "JPN:IND", "JPN:JPN")) if chance.random() < 0.6 else (),
            grants=some(("release:JPN", "display:JPN", "release:IND")) if chance.random() < 0.4 else (),
        )
        for _ in range(count)
    ]


@lru_cache(maxsize=2)
def every_label(partner: str) -> tuple[Label, ...]:
    """Every label there is over the words of a small bundle, but for those that by the functions' own laws have a twin among these.

    Left out are consents and grants to others, consents of who is no originator, second names in an audience, and two grants at once.
    """
    labels = []
    audiences = (("*",), (), (partner,), ("QUAD",))
    for level, categories, caveats, originators in product(
        LEVELS, _subsets(CATEGORIES), _subsets(CAVEATS), _subsets(("USA", *PARTNERS))[1:]
    ):
        consents = _subsets(tuple(f"{other}:{partner}" for other in originators if other not in ("USA", partner)))
        for releasable_to, display_to, consented, grants in product(
            audiences, (None, (), (partner,)), consents, ((), (f"release:{partner}",), (f"display:{partner}",))
        ):
            labels.append(Label(level, categories, releasable_to, caveats, originators, display_to, consented, grants))
    return tuple(labels)


def _subsets(words: Sequence[str]) -> list[tuple[str, ...]]:
    return list(chain.from_iterable(combinations(words, size) for size in range(len(words) + 1)))
