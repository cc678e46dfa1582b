"""Snapshots over random Casbin models, and labels for them, from a seed: what the label side is compared with the row side on.

The words and atoms are those of `casbin_models`; here every column of the shipped model is there, as a snapshot asks for all of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import product

from service.labels.label import Label
from service.policy import EngineKind, Snapshot, build_engine
from service.policy.columns import ForWhom
from tests.support.casbin_models import ATOMS, EFFECTS, LEVELS, PARTNERS, RAISING_ATOMS, REQUEST_SETS, ROW_WORDS, SCHEME

REQUEST = "partner, action, purpose, level, categories, releasable_to, display_to, caveats, originators, consents, grants"
ROLES = (
    "g2, JPN, active", "g2, IND, active", "g2, GBR, active", "g, JPN, QUAD", "g, IND, QUAD", "g, QUAD, PACIFIC", "g, GBR, FAR",
)  # fmt: skip
WHOM = tuple(ForWhom(*one) for one in product((*PARTNERS, "BOGUS"), ("none", "EXERCISE-KEEN", "BOGUS")))


def model_of(matcher: str, effect: str = EFFECTS[0]) -> str:
    """A model with this matcher over the columns of the shipped one."""
    return (
        f"[request_definition]\nr = {REQUEST}\n[policy_definition]\np = id, {', '.join(ROW_WORDS)}\n"
        "[role_definition]\ng = _, _\ng2 = _, _\n"
        f"[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"
    )


def random_model(chance: random.Random, *, calm: bool) -> str:
    """A model with a random matcher; `calm`: without atoms that raise on most rows."""
    atoms = [atom for atom in ATOMS if not (calm and atom in RAISING_ATOMS)]

    def matcher(leaves: int) -> str:
        if leaves <= 1:
            atom = chance.choice(atoms)
            return f"!({atom})" if chance.random() < 0.12 else atom
        left = chance.randint(1, leaves - 1)
        both = f"{matcher(left)} {'&&' if chance.random() < 0.65 else '||'} {matcher(leaves - left)}"
        return f"!({both})" if chance.random() < 0.08 else f"({both})"

    return model_of(matcher(chance.randint(1, 9)), chance.choice(EFFECTS))


def random_rows(chance: random.Random, count: int, *, calm: bool) -> list[str]:
    """Policy rows, as lines; `calm`: every word known, and none that is a category and a caveat."""
    return [
        f"p, RUL-{index:04}, "
        + ", ".join(
            chance.choice([word for word in words if not (calm and word in ("BOGUS", "AIR", "nobody"))]) for words in ROW_WORDS.values()
        )
        for index in range(count)
    ]


def snapshot_of(model: str, rows: Sequence[str], *, roles: Sequence[str] = ROLES, kind: EngineKind = EngineKind.COMPILED) -> Snapshot:
    """A snapshot that holds always, over these rows."""
    text = "".join(f"{line}\n" for line in (*roles, *rows))
    engine = build_engine(kind, model=model, rows=text, scheme=SCHEME)
    return Snapshot(since=None, until=None, bundle_digest="", suspended=frozenset(), scheme=SCHEME, engine=engine)


def random_labels(chance: random.Random, count: int, *, odd: float = 0.1) -> Iterator[Label]:
    """Labels; `odd`: how many hold a name that nobody knows."""
    for _ in range(count):
        strange = chance.random() < odd

        def some(name: str, *, strange: bool = strange) -> tuple[str, ...]:
            if name in ("releasable_to", "display_to") and chance.random() < 0.2:
                return ("*",)
            words = [word for word in REQUEST_SETS[name] if word != "*" and (strange or word != "BOGUS")]
            return tuple(chance.choices(words, k=chance.choice((0, 1, 1, 2, 3))))

        sets = {name: some(name) for name in REQUEST_SETS}
        sets["originators"] = sets["originators"] or ("USA",)
        if chance.random() < 0.5:
            del sets["display_to"]
        yield Label(chance.choice((*LEVELS, "BOGUS") if strange else LEVELS), **sets)
