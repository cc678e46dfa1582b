"""Random Casbin models with rows and requests, from a seed, and the two engines side by side on them.

The models are within the grammar that Casbin accepts, and mean nothing: nested `&&`, `||`, `!`, `in`, comparisons, role functions with
chains, the declared functions, Casbin's own, and others that raise; every policy effect; columns missing from the definitions. Rows and
requests use few words, so that values meet again and again, and some that nobody knows. What is sought is a difference between the
compiled engine and stock Casbin.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import casbin
from casbin.persist.adapters.string_adapter import StringAdapter

from service.errors import Broken
from service.labels.scheme import AudienceOnCopies, Level, Profile, ReleasableIn, Scheme
from service.policy import EngineKind, build_engine
from service.policy.compiled import CompiledEngine
from service.policy.functions import BundleScheme, register

EFFECTS = (
    "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
    "some(where (p.eft == allow))",
    "!some(where (p.eft == deny))",
    "priority(p.eft) || deny",
)
PARTNERS = ("JPN", "IND", "GBR")
COMMUNITIES = ("QUAD", "PACIFIC", "FAR")
LEVELS = ("UNCLASSIFIED", "SECRET", "TOP SECRET")
CATEGORIES = ("AIR", "CYBER", "MARITIME")
CAVEATS = ("ORCON", "RELIDO")
PURPOSES = ("EXERCISE-KEEN",)

SCHEME = BundleScheme.of(
    Scheme(
        own="USA",
        profile=Profile.PLAIN,
        levels=tuple(Level(name, name[0]) for name in LEVELS),
        categories=CATEGORIES,
        # A word that is a category and a caveat is not what a scheme should hold; the functions have an answer to it all the same.
        caveats=(*CAVEATS, "AIR"),
        purposes=PURPOSES,
        expandable=("QUAD", "FAR"),
        public_communities=(),
        categories_required_from="",
        audience_required_from="",
        approval_level="SECRET",
        releasable_in=ReleasableIn.PORTIONS,
        audience_on_copies=AudienceOnCopies.OWN,
    ),
    partners=PARTNERS,
    communities=COMMUNITIES,
)

REQUEST_WORDS: dict[str, tuple[str, ...]] = {
    "partner": (*PARTNERS, *PARTNERS, "BOGUS"),
    "action": ("release", "release", "display", "refer", "BOGUS"),
    "purpose": ("none", "none", "EXERCISE-KEEN", "BOGUS"),
    "level": (*LEVELS, *LEVELS, "BOGUS"),
}
REQUEST_SETS: dict[str, tuple[str, ...]] = {
    "categories": (*CATEGORIES, *CATEGORIES, "BOGUS"),
    "releasable_to": ("JPN", "IND", "QUAD", "FAR", "USA", "*", "BOGUS"),
    "display_to": ("JPN", "GBR", "PACIFIC", "*"),
    "caveats": (*CAVEATS, *CAVEATS, "AIR", "BOGUS"),
    "originators": ("USA", "USA", "GBR", "JPN", "BOGUS"),
    "consents": ("GBR:JPN", "JPN:IND", "GBR:IND", "BOGUS"),
    "grants": ("release:JPN", "display:IND", "release:GBR", "BOGUS"),
}
ROW_WORDS: dict[str, tuple[str, ...]] = {
    "eft": ("allow", "allow", "allow", "deny", "deny", "other"),
    "action": ("release", "release", "display", "refer", "*"),
    "grantee": (*PARTNERS, *COMMUNITIES, "nobody"),
    "purpose": ("*", "*", "none", "EXERCISE-KEEN", "BOGUS"),
    "level": (*LEVELS, *LEVELS, "BOGUS"),
    "categories": ("*", "none", "MARITIME", "AIR CYBER", "AIR", "MARITIME AIR", "BOGUS"),
    "caveats": ("*", "*", "none", "ORCON", "RELIDO ORCON", "AIR"),
    "originator": ("*", "*", "USA", "USA GBR", "BOGUS"),
    "basis": ("treaty", "letter"),
}
ATOMS = (
    'p.eft == "allow"',
    'p.eft == "deny"',
    'p.eft != "deny"',
    "g(r.partner, p.grantee)",
    "g(r.partner, p.grantee)",
    "g(p.grantee, r.partner)",
    'g(r.partner, "PACIFIC")',
    'g2(r.partner, "active")',
    "at_most(r.level, p.level)",
    "at_most(r.level, p.level)",
    'at_most(r.level, "SECRET")',
    "at_least(r.level, p.level)",
    "covers(p.categories, r.categories)",
    "covers(p.categories, r.categories)",
    "covers(p.caveats, r.caveats)",
    'covers("MARITIME AIR", r.categories)',
    'covers(p.categories, ("MARITIME", "AIR"))',
    "touches(p.categories, r.categories)",
    "touches(p.caveats, r.caveats)",
    "touches(p.categories, r.caveats)",
    "touches(r.level, r.caveats)",
    "addressed(r.action, r.releasable_to, r.display_to, r.partner)",
    "addressed(r.action, r.releasable_to, r.releasable_to, r.partner)",
    "addressed(p.action, r.releasable_to, r.display_to, p.grantee)",
    "consented(r.originators, r.consents, r.partner)",
    "consented(r.originators, r.consents, p.grantee)",
    "granted(r.grants, r.action, r.partner)",
    "granted(r.grants, p.action, r.partner)",
    "only_from(p.originator, r.originators)",
    "issued_by(p.originator, r.originators)",
    "permits(p.action, r.action)",
    "forbids(p.action, r.action)",
    "for_purpose(p.purpose, r.purpose)",
    'for_purpose("none", r.purpose)',
    "r.partner == p.grantee",
    "r.purpose == p.purpose",
    "r.action != p.action",
    'r.action == "refer"',
    'p.action == "refer"',
    'r.level in (p.level, "SECRET")',
    'p.grantee not in ("IND", "QUAD")',
    '"MARITIME" in r.categories',
    "r.categories == r.caveats",
    "r.level <= p.level",
    "r.partner < p.grantee",
    "keyMatch(r.partner, p.grantee)",
    "globMatch(p.action, r.action)",
    "regexMatch(r.level, p.level)",
    "ipMatch(r.partner, p.grantee)",
)
RAISING_ATOMS = frozenset(
    {
        "touches(p.categories, r.caveats)",
        "touches(r.level, r.caveats)",
        "addressed(p.action, r.releasable_to, r.display_to, p.grantee)",
        "consented(r.originators, r.consents, p.grantee)",
        "granted(r.grants, p.action, r.partner)",
        "ipMatch(r.partner, p.grantee)",
    }
)
"""Those of them that raise on most rows."""
UNCOMPILED_ATOMS = ("moody(r.level, p.level)", "p.basis", "r.level.upper() == p.level", "sulky(p.basis)")
"""What the compiled engine leaves to stock Casbin: functions of somebody's own, truthy values, attributes."""


@dataclass(frozen=True, slots=True)
class Generated:
    """A model, rows for it, and requests."""

    model: str
    rows: str
    requests: tuple[tuple[Any, ...], ...]


def generated(seed: int, *, requests: int = 40, uncompiled: bool = False) -> Generated:
    """The model of a seed.

    Args:
        requests: how many.
        uncompiled: whether its matcher may hold what is not compiled.
    """
    chance = random.Random(seed)
    # Half of the models have nothing in them that raises: where it does, one row spoils most decisions, and the other half is of that.
    calm = chance.random() < 0.55
    request_columns = [name for name in (*REQUEST_WORDS, *REQUEST_SETS) if name == "partner" or chance.random() < 0.9]
    row_columns = [name for name in ("id", *ROW_WORDS) if name == "grantee" or chance.random() < (0.95 if name == "eft" else 0.9)]
    atoms = [atom for atom in (*ATOMS, *(UNCOMPILED_ATOMS * 4 if uncompiled else ())) if _fits(atom, request_columns, row_columns)]
    if calm:
        atoms = [atom for atom in atoms if atom not in RAISING_ATOMS]
    model = (
        f"[request_definition]\nr = {', '.join(request_columns)}\n[policy_definition]\np = {', '.join(row_columns)}\n"
        f"[role_definition]\ng = _, _\ng2 = _, _\n[policy_effect]\ne = {chance.choice(EFFECTS)}\n"
        f"[matchers]\nm = {_matcher(chance, atoms, chance.randint(1, 9))}\n"
    )
    return Generated(model, _rows(chance, row_columns, calm), tuple(_requests(chance, request_columns, requests, calm)))


def pair(of: Generated) -> tuple[CompiledEngine, casbin.Enforcer]:
    """The compiled engine and stock Casbin over it, each with functions of somebody's own that raise when they feel like it."""
    engines: list[Any] = []
    for kind in (CompiledEngine, casbin.Enforcer):
        enforcer = kind(casbin.Enforcer.new_model(text=of.model), StringAdapter(of.rows or "#"))
        register(enforcer, SCHEME)
        enforcer.add_function("moody", _moody)
        enforcer.add_function("sulky", _sulky)
        engines.append(enforcer)
    engines[0].compile()
    return engines[0], engines[1]


def difference(of: Generated, *, whole_every: int = 8) -> str | None:
    """What the two engines differ in over all the requests of a model; None where they agree.

    Compared are outcome and explaining row of `enforce_ex`, what raises, `enforce`, and for every `whole_every`-th request the whole list
    of rows. The compiled engine is asked several times, as a second answer comes by another way.
    """
    compiled, stock = pair(of)
    whole = build_engine(EngineKind.STOCK, model=of.model, rows=of.rows, scheme=SCHEME)
    plain = "moody(" not in of.model and "sulky(" not in of.model
    for number, request in enumerate(of.requests):
        theirs = answer(stock.enforce_ex, request)
        ours = answer(compiled.enforce_ex, request)
        if ours != theirs:
            return f"enforce_ex{request}: {ours}, stock {theirs}"
        for _ in range(2):
            verdict = compiled.evaluate(request)
            if (verdict.error is not None, verdict.allowed) != (theirs is None, theirs is not None and theirs[0]):
                return f"evaluate{request}: {verdict}, stock {theirs}"
        short = answer(compiled.enforce, request)
        if short != (theirs if theirs is None else theirs[0]):
            return f"enforce{request}: {short}, stock {theirs}"
        if number % whole_every == 0 and plain:
            full = whole.evaluate(request)
            if (full.matched, full.denied) != (verdict.matched, verdict.denied):
                return f"rows of {request}: {verdict}, stock {full}"
    return None


def answer(ask: Callable[..., Any], request: Sequence[Any]) -> Any:
    """An answer, or None for a refusal by exception."""
    try:
        said = ask(*request)
    except Broken:
        return None
    except Exception:  # noqa: BLE001  whatever stock Casbin raises is its refusal
        return None
    return (bool(said[0]), list(said[1])) if isinstance(said, tuple | list) else bool(said)


def _moody(level: str, ceiling: str) -> bool:
    if level == "BOGUS" or ceiling == "BOGUS":
        raise ValueError("in a mood")
    return level <= ceiling


def _sulky(basis: str) -> bool:
    raise RuntimeError(f"not in the mood for {basis}")


def _fits(atom: str, request_columns: Sequence[str], row_columns: Sequence[str]) -> bool:
    words = atom.replace("(", " ").replace(")", " ").replace(",", " ").replace(".upper", "").split()
    return all(
        word.partition(".")[2] in (request_columns if word[0] == "r" else row_columns) for word in words if word.startswith(("r.", "p."))
    )


def _matcher(chance: random.Random, atoms: Sequence[str], leaves: int) -> str:
    if leaves <= 1:
        atom = chance.choice(atoms)
        return f"!({atom})" if chance.random() < 0.12 else atom
    left = chance.randint(1, leaves - 1)
    # As matchers are written: more `&&` than `||`, and now and then something turned round.
    joint = "&&" if chance.random() < 0.65 else "||"
    both = f"{_matcher(chance, atoms, left)} {joint} {_matcher(chance, atoms, leaves - left)}"
    return f"!({both})" if chance.random() < 0.08 else f"({both})"


def _rows(chance: random.Random, columns: Sequence[str], calm: bool) -> str:
    lines = [f"g2, {code}, {'active' if chance.random() < 0.85 else 'suspended'}" for code in PARTNERS]
    lines += [f"g, {code}, {chance.choice(COMMUNITIES[:2])}" for code in PARTNERS if chance.random() < 0.8]
    if chance.random() < 0.5:
        lines.append("g, QUAD, PACIFIC")
    if chance.random() < 0.3:
        # As far as the role manager reaches, and one link further.
        links = chance.choice((2, 8, 9, 10))
        chain = ["JPN", *(f"LINK-{number}" for number in range(1, links)), "FAR"]
        lines += [f"g, {member}, {community}" for member, community in pairwise(chain)]
    for index in range(chance.choice((0, 1, 2, 3, 3, 4, 6))):
        cells = [f"RUL-{index:04}" if column == "id" else chance.choice(_known(ROW_WORDS[column], calm)) for column in columns]
        lines.append(f"p, {', '.join(cells)}")
    return "".join(f"{line}\n" for line in lines)


def _known(words: Sequence[str], calm: bool) -> Sequence[str]:
    return [word for word in words if word not in ("BOGUS", "AIR")] if calm else words


def _requests(chance: random.Random, columns: Sequence[str], count: int, calm: bool) -> Iterator[tuple[Any, ...]]:
    for _ in range(count):
        request = tuple(_value(chance, column, calm) for column in columns)
        odd = chance.random() * (4 if calm else 1)
        if odd < 0.02:
            request = request[:-1] if chance.random() < 0.5 else (*request, "more")
        elif odd < 0.05:
            at = chance.randrange(len(request))
            request = (
                *request[:at],
                chance.choice((None, 3, True, "MARITIME", ["CYBER"], ("*", "JPN"), (1,), {"AIR"})),
                *request[at + 1 :],
            )
        yield request


def _value(chance: random.Random, column: str, calm: bool) -> Any:
    if column in REQUEST_WORDS:
        return chance.choice(_known(REQUEST_WORDS[column], calm))
    if column in ("releasable_to", "display_to") and chance.random() < 0.3:
        return ("*",)
    names = REQUEST_SETS[column]
    if column in ("categories", "caveats") and chance.random() < 0.04:
        # Of both families at once: taken word by word by a row with `*`, and by no row as a whole.
        return tuple(sorted({chance.choice(CATEGORIES), chance.choice(CAVEATS)}))
    # A name that nobody knows spoils a whole decision: rare, so that most have something to say.
    known = names if chance.random() < 0.1 and not calm else [name for name in names if name not in ("BOGUS", "*")]
    return tuple(sorted(set(chance.choices(known, k=chance.choice((0, 1, 1, 2, 3))))))
