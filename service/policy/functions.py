"""The functions that a matcher may name, and what they mean (DESIGN section 4).

Each is declared once in `DECLARED` with its kind, so that the compiler, the model check and the explanations know what it
is without knowing this model. `register` puts them on any `casbin.Enforcer`, stock or compiled: one meaning, two engines.

Promises:

1. Every function answers `True` or `False`, or raises. It raises on a level, category, caveat, purpose, action or code that
   scheme, partners and communities do not hold, also on rows with `*`, and on a blank cell: in Casbin an exception refuses.
2. A function never changes its meaning. A new meaning is a new name (`covers_2`), and the old one stays, so that an archived
   bundle decides tomorrow as it did when a release was recorded under it.
3. Pure: no clock, no state but the rows of the enforcer it was registered on.

Who is a partner is read from the enforcer's own `g` and `g2` rows when asked, and from the scheme where it is a `BundleScheme`:
rows that are not in force (an ended mission, a suspended partner) still name somebody, and an audience that names him
among others must not become unreadable for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import lru_cache
from typing import Any

from service.errors import Rejected
from service.labels.scheme import Scheme, UnknownName

ALL = "*"
NONE = "none"
ASKED_ACTIONS = ("release", "display")
"""What a caller can ask for."""
ACTIONS = ("release", "display", "refer")
"""What an agreement can allow; `refer` is asked by the engine itself."""
PROHIBITED_ACTIONS = (ALL, *ACTIONS)
LINKS_MAX = 9
"""Casbin's role manager loses what is further away than this many links."""


@dataclass(frozen=True, slots=True)
class BundleScheme(Scheme):
    """A scheme together with the codes that its bundle's partners and communities hold, at whatever time."""

    partners: frozenset[str] = frozenset()
    communities: frozenset[str] = frozenset()

    @classmethod
    def of(cls, scheme: Scheme, *, partners: Iterable[str], communities: Iterable[str]) -> BundleScheme:
        """`scheme` with codes."""
        own = {field.name: getattr(scheme, field.name) for field in fields(Scheme) if field.init}
        return cls(**own, partners=frozenset(partners), communities=frozenset(communities))


class Kind(StrEnum):
    """How a function compares a cell with a request; all a compiler needs to know of it."""

    ORDER = "order"
    COVER = "cover"
    TOUCH = "touch"
    MEMBER = "member"
    LINK = "link"
    EQUAL = "equal"


@dataclass(frozen=True, slots=True)
class Declared:
    """A function of the table in DESIGN section 4.

    `miss` says why it is false, in words for an officer, with the arguments in braces; `mend` what would make it true, to be read after
    "released if". `{lacking}` in it are the elements of `all_of` for which it is false.

    `mended` is set where the mend is of what is asked, and not of the rule: the parameter that would be another, and what it would be,
    with the arguments in braces; a set then has it beside what it has. Of several names in a cell any would do; `{each}` stands for each
    of those lacking in turn, all of which it takes.

    `all_of` and `some_of` name the parameters that are sets of the request, and by that how the function is known from its
    elements, so that a set never seen before costs no evaluation. The law, for arguments on which it does not raise:

    - `all_of` = X, not empty: f(X, ...) is true where f({x}, ...) is for every x of X. For the empty set it is what it says.
    - `some_of` = (A, B), with X of one element or none: f(A, B) is true where f({}, {}) is, or f({a}, {}) for some a of A, or
      f({}, {b}) for some b of B.
    - On raising: where f does not raise for whole sets with some other arguments, and with these arguments not for each element of them
      (the other sets empty), it does not raise with these arguments for the whole sets.
    - `paired` = (C, X, P), C of `some_of`: its elements are `LEFT:RIGHT`, and one has a part in the answer only where RIGHT is the
      argument P and, where X is not empty, LEFT the element of X that is looked at. All others may be left out.
    """

    name: str
    kind: Kind
    parameters: tuple[str, ...]
    miss: str
    all_of: str | None = None
    some_of: tuple[str, ...] = ()
    paired: tuple[str, str, str] | None = None
    mend: str = "that were so"
    mended: tuple[str, str] | None = None


DECLARED: dict[str, Declared] = {
    declared.name: declared
    for declared in (
        Declared(
            "at_most",
            Kind.ORDER,
            ("level", "ceiling"),
            "its ceiling is {ceiling}, the label is {level}",
            mend="its ceiling were {level}",
        ),
        Declared(
            "at_least",
            Kind.ORDER,
            ("level", "floor"),
            "it begins at {floor}, the label is {level}",
            mend="it began at {level}",
        ),
        Declared(
            "covers",
            Kind.COVER,
            ("allowed", "present"),
            "it covers {allowed}, the label has {present}",
            all_of="present",
            mend="it covered {lacking}",
        ),
        Declared(
            "touches",
            Kind.TOUCH,
            ("named", "present"),
            "it names {named}, the label has {present}",
            some_of=("present",),
            mend="the label had one of {named}",
            mended=("present", "{named}"),
        ),
        Declared(
            "addressed",
            Kind.LINK,
            ("action", "releasable_to", "display_to", "partner"),
            "the label is addressed to {releasable_to}, not to {partner}",
            some_of=("releasable_to", "display_to"),
            mend="the label were addressed to {partner}",
            mended=("releasable_to", "{partner}"),
        ),
        Declared(
            "consented",
            Kind.MEMBER,
            ("originators", "consents", "partner"),
            "{partner} has not the consent of each of {originators}",
            all_of="originators",
            some_of=("consents",),
            paired=("consents", "originators", "partner"),
            mend="{lacking} consented to {partner} having it",
            mended=("consents", "{each}:{partner}"),
        ),
        Declared(
            "granted",
            Kind.MEMBER,
            ("grants", "action", "partner"),
            "no officer has granted {action} to {partner}",
            some_of=("grants",),
            paired=("grants", "", "partner"),
            mend="an officer granted {action} to {partner}",
            mended=("grants", "{action}:{partner}"),
        ),
        Declared(
            "only_from",
            Kind.COVER,
            ("named", "originators"),
            "it is for {named}'s information alone, the label is of {originators}",
            all_of="originators",
            mend="it were for information of {lacking} too",
        ),
        Declared(
            "issued_by",
            Kind.TOUCH,
            ("named", "originators"),
            "it is for {named}'s information, the label is of {originators}",
            some_of=("originators",),
            mend="the label were of {named}",
            mended=("originators", "{named}"),
        ),
        Declared(
            "permits",
            Kind.EQUAL,
            ("allowed", "action"),
            "it allows {allowed}, asked was {action}",
            mend="it allowed {action}",
        ),
        Declared(
            "forbids",
            Kind.EQUAL,
            ("forbidden", "action"),
            "it forbids {forbidden}, asked was {action}",
            mend="asked was {forbidden}",
            mended=("action", "{forbidden}"),
        ),
        Declared(
            "for_purpose",
            Kind.MEMBER,
            ("allowed", "purpose"),
            "it is for the purpose {allowed}, asked was {purpose}",
            mend="it were asked for the purpose {allowed}",
            mended=("purpose", "{allowed}"),
        ),
    )
}
"""By name, in the order of the table."""

ROLE_MISSES = {
    "g": "its grantee is {1}, to which {0} does not belong",
    "g2": "{0} is not {1}",
}
"""The same for Casbin's own role functions, by position."""
ROLE_MENDS = {
    "g": "{0} belonged to {1}",
    "g2": "{0} were {1}",
}
"""What would make them true."""


def register(enforcer: Any, scheme: Scheme) -> None:
    """Put every declared function on `enforcer`, speaking the vocabulary of `scheme`.

    Args:
        enforcer: a `casbin.Enforcer` over a bundle's `model.conf`.
        scheme: `Bundle.scheme`. With a plain `Scheme` only the codes in the enforcer's rows are known.
    """
    functions = _Functions(enforcer, scheme)
    for name in DECLARED:
        function: Callable[..., bool] = getattr(functions, name)
        enforcer.add_function(name, function)


class _Codes:
    """The codes in the enforcer's rows, read when asked and kept while the rows are the same."""

    def __init__(self, enforcer: Any, scheme: Scheme) -> None:
        self._enforcer = enforcer
        self._own = scheme.own
        self._partners = scheme.partners if isinstance(scheme, BundleScheme) else frozenset()
        self._communities = scheme.communities if isinstance(scheme, BundleScheme) else frozenset()
        self._read: tuple[list[Any], list[Any], frozenset[str], frozenset[str]] | None = None

    def __call__(self) -> tuple[frozenset[str], frozenset[str]]:
        """Partners, communities."""
        roles = self._enforcer.get_model()["g"] or {}
        members = roles["g"].policy if "g" in roles else []
        statuses = roles["g2"].policy if "g2" in roles else []
        read = self._read
        # Rows are compared by identity first, so this costs next to nothing and misses no edit of a live stock enforcer.
        if read is not None and read[0] == members and read[1] == statuses:
            return read[2], read[3]
        communities = self._communities | {row[1] for row in members}
        partners = (self._partners | {row[0] for row in statuses} | {row[0] for row in members}) - communities - {self._own}
        self._read = (list(members), list(statuses), partners, communities)
        return partners, communities


@lru_cache(maxsize=65536)
def _names(cell: str) -> frozenset[str]:
    return frozenset(cell.split(" "))


def _cell(value: object, kind: str) -> frozenset[str]:
    """The names in a cell of a row that is neither `*` nor `none`."""
    if not isinstance(value, str) or not value:
        raise UnknownName(kind, str(value))
    return _names(value)


def _set(value: object, kind: str) -> tuple[str, ...]:
    """A set of the request: a tuple of strings, never one string (whose elements would be letters)."""
    if not isinstance(value, tuple | list | frozenset | set):
        raise Rejected(f"a set of {kind} names was expected, got `{value}`")
    return tuple(value)


class _Functions:
    """The declared functions over one enforcer's codes and one scheme's vocabulary."""

    def __init__(self, enforcer: Any, scheme: Scheme) -> None:
        self._enforcer = enforcer
        self._scheme = scheme
        self._codes = _Codes(enforcer, scheme)
        self._categories = frozenset(scheme.categories)
        self._caveats = frozenset(scheme.caveats)
        self._purposes = frozenset(scheme.purposes) | {NONE}
        self._expandable = frozenset(scheme.expandable)

    # The table, in its order.

    def at_most(self, level: str, ceiling: str) -> bool:
        """`level` is not above `ceiling` on the ladder."""
        return self._scheme.rank(level) <= self._scheme.rank(ceiling)

    def at_least(self, level: str, floor: str) -> bool:
        """`level` is not below `floor` on the ladder."""
        return self._scheme.rank(level) >= self._scheme.rank(floor)

    def covers(self, allowed: str, present: Iterable[str]) -> bool:
        """Every element of `present` is in `allowed`; `*` allows all, `none` only the empty set."""
        named, there = self._subjects(allowed, present)
        return named is None or there <= named

    def touches(self, named: str, present: Iterable[str]) -> bool:
        """Some element of `present` is in `named`; `*` is always true, also of the empty set."""
        names, there = self._subjects(named, present)
        return names is None or not there.isdisjoint(names)

    def addressed(self, action: str, releasable_to: Iterable[str], display_to: Iterable[str], partner: str) -> bool:
        """The audience holds the partner, or an expandable community of his, or is unrestricted.

        For `release` the audience is `releasable_to`, for `display` either; for `refer` none, since nobody can ask for it.
        """
        self._action(action)
        self._partner(partner)
        to_keep = self._audience(releasable_to)
        to_see = self._audience(display_to)
        if action == "release":
            return self._in_audience(partner, to_keep)
        if action == "display":
            return self._in_audience(partner, to_keep) or self._in_audience(partner, to_see)
        return False

    def consented(self, originators: Iterable[str], consents: Iterable[str], partner: str) -> bool:
        """There is an originator, and each other than ourselves and the partner has a consent `ORIGINATOR:PARTNER`."""
        self._partner(partner)
        issuers = self._originators(originators)
        given = set()
        for consent in _set(consents, "consent"):
            originator, separator, to = consent.partition(":")
            if not separator:
                raise UnknownName("consent", consent)
            self._originators((originator,))
            self._partner(to)
            given.add((originator, to))
        return bool(issuers) and all(originator in (self._scheme.own, partner) or (originator, partner) in given for originator in issuers)

    def granted(self, grants: Iterable[str], action: str, partner: str) -> bool:
        """A grant `ACTION:PARTNER`; one of `release` also permits `display`."""
        self._action(action)
        self._partner(partner)
        given = set()
        for grant in _set(grants, "grant"):
            to_do, separator, to = grant.partition(":")
            if not separator or to_do not in ASKED_ACTIONS:
                raise UnknownName("grant", grant)
            self._partner(to)
            given.add((to_do, to))
        return (action, partner) in given or (action == "display" and ("release", partner) in given)

    def only_from(self, named: str, originators: Iterable[str]) -> bool:
        """`*`, or there are originators and all of them are named."""
        names, issuers = self._issuers(named, originators)
        return names is None or (bool(issuers) and issuers <= names)

    def issued_by(self, named: str, originators: Iterable[str]) -> bool:
        """`*`, or some of the originators is named."""
        names, issuers = self._issuers(named, originators)
        return names is None or not issuers.isdisjoint(names)

    def permits(self, allowed: str, action: str) -> bool:
        """Equal, or `release`, which permits `display`."""
        self._action(action)
        if allowed not in ACTIONS:
            raise UnknownName("action", str(allowed))
        return allowed == action or (allowed == "release" and action == "display")

    def forbids(self, forbidden: str, action: str) -> bool:
        """Equal, or `*`, which forbids all, or `release`, which forbids `refer` too."""
        self._action(action)
        if forbidden not in PROHIBITED_ACTIONS:
            raise UnknownName("action", str(forbidden))
        return forbidden in (ALL, action) or (forbidden == "release" and action == "refer")

    def for_purpose(self, allowed: str, purpose: str) -> bool:
        """`*`, or the purpose is named."""
        if purpose not in self._purposes:
            raise UnknownName("purpose", str(purpose))
        if allowed == ALL:
            return True
        names = _cell(allowed, "purpose")
        for name in names:
            if name not in self._purposes:
                raise UnknownName("purpose", name)
        return purpose in names

    # What they share.

    def _subjects(self, cell: str, present: Iterable[str]) -> tuple[frozenset[str] | None, frozenset[str]]:
        """The names in the cell (None for `*`) and those present: categories all, or caveats all, never of both."""
        there = frozenset(_set(present, "category or caveat"))
        named = None if cell == ALL else frozenset[str]() if cell == NONE else _cell(cell, "category or caveat")
        names = there if named is None else there | named
        if not (names <= self._categories or names <= self._caveats):
            unknown = sorted(names - self._categories - self._caveats)
            raise UnknownName("category or caveat", " ".join(unknown or sorted(names)))
        return named, there

    def _issuers(self, cell: str, originators: Iterable[str]) -> tuple[frozenset[str] | None, frozenset[str]]:
        issuers = self._originators(originators)
        if cell == ALL:
            return None, issuers
        return self._originators(_cell(cell, "originator")), issuers

    def _originators(self, originators: Iterable[str]) -> frozenset[str]:
        issuers = frozenset(_set(originators, "originator"))
        partners, _ = self._codes()
        for issuer in issuers:
            if issuer != self._scheme.own and issuer not in partners:
                raise UnknownName("originator", str(issuer))
        return issuers

    def _audience(self, audience: Iterable[str]) -> frozenset[str]:
        codes = frozenset(_set(audience, "audience"))
        if codes == {ALL}:
            return codes
        partners, communities = self._codes()
        for code in codes:
            if code not in partners and code not in communities and code != self._scheme.own:
                raise UnknownName("code", str(code))
        return codes

    def _in_audience(self, partner: str, audience: frozenset[str]) -> bool:
        if ALL in audience or partner in audience:
            return True
        communities = audience & self._expandable
        if not communities:
            return False
        roles = self._enforcer.get_named_role_manager("g")
        return any(bool(roles.has_link(partner, community)) for community in communities)

    def _partner(self, code: str) -> None:
        if code not in self._codes()[0]:
            raise UnknownName("partner", str(code))

    def _action(self, action: str) -> None:
        if action not in ACTIONS:
            raise UnknownName("action", str(action))
