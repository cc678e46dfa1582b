"""Large policy bundles and labels, generated from a seed: the shipped `model.conf` over many rules, partners and categories.

All invented. Every row is in force on `NOW`, so that a bundle of 440 rules is a snapshot of 440 rows; one in twenty ends at one of a dozen
later dates, so that the bundle has a future too. Most rules are of one partner, one in five of a community, one in seven a prohibition.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from service.labels.label import Label

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
OWN = "USA"
LEVELS = ("UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET", "TOP SECRET")
MARKS = ("U", "R", "C", "S", "TS")
CAVEATS = ("EXDIS", "LIMDIS", "NODIS", "ORCON", "RELIDO")
PURPOSES = ("EXERCISE-KEEN", "PEACEKEEPING-UN")
EVERYONE = "ALL-PARTNERS"
REGIONS = tuple(f"REGION-{number}" for number in range(1, 9))
EXPANDABLE = REGIONS[:2]

_MODEL = (Path(__file__).parents[2] / "policies" / "model.conf").read_bytes()
_SUBJECTS = (
    "AIR",
    "ARMS-CONTROL",
    "BASES",
    "CYBER",
    "DIPLOMATIC",
    "ECONOMIC",
    "EXERCISE",
    "INTEL-SOURCES",
    "INTELLIGENCE",
    "LOGISTICS",
    "MARITIME",
    "NUCLEAR",
    "PEACEKEEPING",
    "SPACE",
    "COUNTER-TERRORISM",
    "BORDER",
    "ENERGY",
    "HEALTH",
    "CRYPTO",
    "RADAR",
    "MISSILES",
    "TRAINING",
    "PROCUREMENT",
    "DOCTRINE",
)
_CASES = (
    "case, at, partner, action, purpose, level, categories, releasable_to, display_to, caveats, originators, consents, grants, "
    "outcome, rules\n"
)
_BEGINS = ("1998-08-16", "2010-01-01", "2014-12-10", "2018-09-06", "2020-01-01", "2024-04-10")
_ENDS = tuple(f"{2027 + number // 4}-{number % 4 * 3 + 1:02}-01" for number in range(12))


def categories_of(count: int) -> tuple[str, ...]:
    """The names of the first `count` categories."""
    return tuple(_SUBJECTS[index] if index < len(_SUBJECTS) else f"SUBJECT-{index:03}" for index in range(count))


def partners_of(count: int) -> tuple[str, ...]:
    """The codes of the first `count` partners."""
    return tuple(
        f"{'BCDFGHJKLMNPQRST'[index // 36 % 16]}{'AEIOUY'[index // 6 % 6]}{'BDKMNT'[index % 6]}" + _tail(index) for index in range(count)
    )


def big_bundle(rules: int, partners: int, categories: int = 24, seed: int = 1) -> dict[str, bytes]:
    """The files of a bundle that the strict reader accepts.

    Args:
        rules: agreements and prohibitions together, all in force on `NOW`.
        partners: how many, each in `ALL-PARTNERS` through one of eight regions.
        categories: of the scheme.
        seed: the same seed, the same bytes.
    """
    chance = random.Random(f"bundle {rules} {partners} {categories} {seed}")
    codes, subjects = partners_of(partners), categories_of(categories)
    members = [f"g, {code}, {REGIONS[index % len(REGIONS)]}, ," for index, code in enumerate(codes)]
    members += [f"g, {region}, {EVERYONE}, ," for region in REGIONS]
    agreements, prohibitions = [], []
    for number in range(rules):
        grantee = _grantee(chance, codes, number)
        period = f"{chance.choice(_BEGINS)}, {chance.choice(_ENDS) if chance.random() < 0.05 else ''}"
        purpose = chance.choice(("*",) * 12 + ("none", *PURPOSES))
        originator = chance.choice(("*",) * 8 + (OWN, OWN, chance.choice(codes)))
        # The first is always an agreement: a bundle without one is refused.
        if number % 7 != 6:
            action = chance.choice(("release",) * 7 + ("refer",) * 2 + ("display",))
            cells = (
                action, grantee, purpose, chance.choices(LEVELS, (1, 2, 5, 6, 2))[0], _some(chance, subjects, 3, 10),
                "none" if chance.random() < 0.5 else _some(chance, CAVEATS, 1, 3), originator, period,
            )  # fmt: skip
            agreements.append(f"p, {_id('AGR', number)}, allow, {', '.join(cells)}, Agreement {number}")
        else:
            cells = (
                chance.choice(("*", "*", "release", "display", "refer")), grantee, "*", chance.choices(LEVELS, (1, 1, 3, 4, 4))[0],
                "*" if chance.random() < 0.1 else _some(chance, subjects, 1, 2),
                "*" if chance.random() < 0.7 else _some(chance, CAVEATS, 1, 1), originator, period,
            )  # fmt: skip
            prohibitions.append(f"p, {_id('PRO', number)}, deny, {', '.join(cells)}, Order {number}")
    return {
        "model.conf": _MODEL,
        "scheme.toml": _scheme(subjects).encode(),
        "partners.csv": _text(f"g2, {code}, active, , , nation, Partner {code}" for code in codes),
        "communities.csv": _text(members),
        "agreements.csv": _text(agreements),
        "prohibitions.csv": _text(prohibitions),
        "cases.csv": _CASES.encode(),
        "never.csv": b"id, grantee, action, level, categories, caveats, originator\n",
        "equivalences.csv": b"issuer, name, from, until, level\n",
    }


def big_labels(count: int, partners: int, categories: int = 24, seed: int = 1) -> Iterator[Label]:
    """`count` distinct labels over the vocabulary of `big_bundle`, with the same arguments: most of them as a store has them, some odd."""
    chance = random.Random(f"labels {partners} {categories} {seed}")
    codes, subjects = partners_of(partners), categories_of(categories)
    seen: set[Label] = set()
    while len(seen) < count:
        label = _label(chance, codes, subjects)
        if label not in seen:
            seen.add(label)
            yield label


def _label(chance: random.Random, codes: Sequence[str], subjects: Sequence[str]) -> Label:
    kind = chance.random()
    if kind < 0.15:
        audience: tuple[str, ...] = ("*",)
    elif kind < 0.25:
        audience = ()
    elif kind < 0.4:
        audience = (OWN, chance.choice(REGIONS))
    else:
        audience = (OWN, *chance.sample(codes, min(len(codes), chance.choice((1, 1, 2, 3, 5, 12)))))
    foreign = chance.random() < 0.15
    originators = (chance.choice(codes), *((OWN,) if chance.random() < 0.5 else ())) if foreign else (OWN,)
    return Label(
        level=chance.choices(LEVELS, (2, 2, 4, 5, 1))[0],
        categories=tuple(chance.sample(subjects, chance.choice((0, 1, 1, 1, 2, 2, 3)))),
        releasable_to=audience,
        caveats=tuple(chance.sample(CAVEATS, chance.choice((0, 0, 0, 0, 1, 1, 2)))),
        originators=originators,
        display_to=(OWN, chance.choice(codes)) if chance.random() < 0.08 else None,
        consents=tuple(f"{originators[0]}:{code}" for code in chance.sample(codes, min(len(codes), 3)))
        if foreign and chance.random() < 0.6
        else (),
        grants=(f"{chance.choice(('release', 'display'))}:{chance.choice(codes)}",) if chance.random() < 0.05 else (),
    )


def _tail(index: int) -> str:
    return "" if index < 576 else f"-{index}"


def _id(prefix: str, number: int) -> str:
    """`AGR-0001`; from ten thousand on another last letter, since an id has four digits."""
    return f"{prefix[:2]}{chr(ord(prefix[2]) + number // 10_000)}-{number % 10_000:04}"


def _grantee(chance: random.Random, codes: Sequence[str], number: int) -> str:
    if chance.random() < 0.8:
        return codes[number % len(codes)]
    return chance.choice((*REGIONS, EVERYONE)) if chance.random() < 0.9 else EVERYONE


def _some(chance: random.Random, names: Sequence[str], least: int, most: int) -> str:
    return " ".join(sorted(chance.sample(names, min(len(names), chance.randint(least, most)))))


def _text(lines: Iterator[str] | Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in ("# invented, for measurements", *lines)).encode()


def _scheme(subjects: Sequence[str]) -> str:
    def listed(names: Sequence[str]) -> str:
        return f"[{', '.join(f'{chr(34)}{name}{chr(34)}' for name in names)}]"

    levels = ", ".join(f'{{name = "{name}", mark = "{mark}"}}' for name, mark in zip(LEVELS, MARKS, strict=True))
    return (
        f'own = "{OWN}"\nprofile = "IC-2016"\nlevels = [{levels}]\ncategories = {listed(subjects)}\ncaveats = {listed(CAVEATS)}\n'
        f"purposes = {listed(PURPOSES)}\nexpandable = {listed(EXPANDABLE)}\npublic_communities = []\n"
        'categories_required_from = "CONFIDENTIAL"\naudience_required_from = "CONFIDENTIAL"\napproval_level = "SECRET"\n'
        'releasable_in = "portions"\naudience_on_copies = "own"\n'
    )
