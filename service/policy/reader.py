"""The strict reader: the bytes of a bundle to findings, or to rows that are wholly understood (DESIGN sections 4, 12, 14).

Pure: no clock, no directory. What is read is closed on every side: bytes, columns, vocabularies, ids, dates, names. The reason is that
Casbin does not refuse what it does not understand: it loses the row, and a lost prohibition releases.

Errors refuse the bundle. Warnings do not: what is certainly meant as written and probably not wanted. `at` is the moment for which
`expired` is said; without it nothing is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service.labels.label import Label, LabelError
from service.labels.scheme import CODE, Scheme
from service.policy import functions
from service.policy.findings import Finding, Severity, is_one_slip, nearest
from service.policy.model_check import check_model
from service.policy.rows import (
    Case,
    Effect,
    Equivalence,
    Membership,
    Never,
    PartnerKind,
    PartnerStatus,
    Period,
    Place,
    Rule,
)
from service.policy.scheme_check import FILE as SCHEME_FILE
from service.policy.scheme_check import Key, read_scheme
from service.policy.text import Cell, Line, error, lines_of, table, warning

FILES = (
    "agreements.csv",
    "cases.csv",
    "communities.csv",
    "equivalences.csv",
    "model.conf",
    "never.csv",
    "partners.csv",
    "prohibitions.csv",
    "scheme.toml",
)
"""What a bundle consists of, sorted; `README.md` may stand beside them and is not part of the digest."""
HANDBOOK = "README.md"
KINDS = (".csv", ".conf", ".toml")
"""Files of these kinds that are not in `FILES` are refused: most likely one of them under a wrong name."""
CASBIN_FILES = ("partners.csv", "communities.csv", "agreements.csv", "prohibitions.csv")
"""The order in which Casbin's rows are put together."""

CASES_HEADER = (
    "case, at, partner, action, purpose, level, categories, releasable_to, display_to, "
    "caveats, originators, consents, grants, outcome, rules"
)
NEVER_HEADER = "id, grantee, action, level, categories, caveats, originator"
EQUIVALENCES_HEADER = "issuer, name, from, until, level"

_ROW_ID = re.compile(r"[A-Z]{3}-[0-9]{4}")
_CASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?Z")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_OUTCOMES = ("release", "refer", "withhold")
_NAMESPACE = "a code of its own, as `NATO` is a community and `NATO-HQ` a partner"
_RULE_BEGINS = re.compile(r"p, [A-Z]{3}-[0-9]{4}, (?:allow|deny), ")
_BEGINS = {
    "partners.csv": re.compile(r"g2, [A-Z][A-Z0-9-]*, (?:active|suspended), "),
    "communities.csv": re.compile(r"g, [A-Z][A-Z0-9-]*, [A-Z][A-Z0-9-]*, (?:[0-9-]*, ?[0-9-]*)?$"),
    "agreements.csv": _RULE_BEGINS,
    "prohibitions.csv": _RULE_BEGINS,
    "cases.csv": re.compile(r"[A-Za-z0-9._-]+, [0-9]{4}-[0-9]{2}-[0-9]{2}[0-9T:.Z]*, [A-Z][A-Z0-9-]*, (?:release|display), "),
    "never.csv": re.compile(r"[A-Z]{3}-[0-9]{4}, [A-Z][A-Z0-9-]*, (?:\*|release|display|refer), "),
    "equivalences.csv": re.compile(r"[A-Z][A-Z0-9-]*, [^,]+, [0-9-]*, [0-9-]*, [A-Z][A-Z0-9 ]*$"),
}
"""How a row of each table begins. Only for finding one inside a comment: what a row is, the columns decide."""
_NAMING = (
    *(("agreements.csv", cell) for cell in (4, 9)),
    *(("prohibitions.csv", cell) for cell in (4, 9)),
    *(("never.csv", cell) for cell in (1, 6)),
    *(("cases.csv", cell) for cell in (2, 7, 8, 10)),
)
"""Files and their columns, from 0, that name partners or communities."""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything a bundle says, wholly understood."""

    model: str
    scheme: Scheme
    statuses: tuple[PartnerStatus, ...]
    memberships: tuple[Membership, ...]
    rules: tuple[Rule, ...]
    equivalences: tuple[Equivalence, ...]
    never: tuple[Never, ...]
    cases: tuple[Case, ...]


def read(files: Mapping[str, bytes], *, at: datetime | None = None) -> tuple[Content | None, tuple[Finding, ...]]:
    """The content of a bundle and what was found; the content is None where a finding is an error."""
    reader = _Reader(files, at)
    content = reader.content()
    findings = tuple(sorted(set(reader.findings)))
    refused = any(finding.severity is Severity.ERROR for finding in findings)
    return (None if refused else content), findings


class _Reader:
    """One reading: the findings so far, and the vocabularies as they become known."""

    def __init__(self, files: Mapping[str, bytes], at: datetime | None) -> None:
        self.findings: list[Finding] = []
        self._files = files
        self._at = at
        self._scheme: Scheme | None = None
        self._partners: frozenset[str] = frozenset()
        self._communities: frozenset[str] = frozenset()
        self._ids: dict[str, tuple[str, int, int]] = {}
        self._used: set[str] = set()
        self._missed: Counter[str] = Counter()

    def content(self) -> Content | None:
        lines = self._all_lines()
        # Codes first, also from lines that are refused for something else: one bad line is one finding, not one per use.
        self._partners = frozenset(_codes_in(lines.get("partners.csv", []), "g2", 1))
        self._communities = frozenset(_codes_in(lines.get("communities.csv", []), "g", 2))
        keys: Mapping[str, Key] = {}
        if "scheme.toml" in lines:
            self._scheme, keys = read_scheme(lines["scheme.toml"], self.findings)
            if self._scheme is not None:
                for key in ("expandable", "public_communities"):
                    for code in getattr(self._scheme, key):
                        if code not in self._communities:
                            place = keys[key].place(code)
                            self._unknown(SCHEME_FILE, *place, "community", code, self._communities)
        if "model.conf" in lines:
            check_model(lines["model.conf"], self.findings)
        statuses = tuple(self._partner_rows(lines.get("partners.csv", [])))
        memberships = tuple(self._membership_rows(lines.get("communities.csv", [])))
        rules = (
            *self._rule_rows("agreements.csv", Effect.ALLOW, lines.get("agreements.csv", [])),
            *self._rule_rows("prohibitions.csv", Effect.DENY, lines.get("prohibitions.csv", [])),
        )
        never = tuple(self._never_rows(lines.get("never.csv", [])))
        equivalences = tuple(self._equivalence_rows(lines.get("equivalences.csv", [])))
        cases = tuple(self._case_rows(lines.get("cases.csv", [])))
        self._check_partners(statuses)
        self._check_chains(memberships)
        self._check_unnamed(statuses, memberships, lines)
        self._check_rules(rules, lines)
        self._check_definitions(keys)
        self._check_equivalences(equivalences)
        if self._scheme is None or any(name not in lines for name in FILES):
            return None
        model = self._files["model.conf"].decode()
        return Content(model, self._scheme, statuses, memberships, rules, equivalences, never, cases)

    # Files and lines.

    def _all_lines(self) -> dict[str, list[str]]:
        lines = {}
        for name in FILES:
            if name not in self._files:
                self.findings.append(error(name, 1, 1, "missing-file", "the file is missing", f"a file `{name}`"))
                continue
            found = lines_of(name, self._files[name], self.findings)
            if found:
                lines[name] = found
        for name in sorted(self._files):
            if name not in FILES and name != HANDBOOK:
                expected = f"one of {', '.join(f'`{known}`' for known in FILES)}"
                self.findings.append(error(name, 1, 1, "unlisted-file", f"`{name}` is no file of a bundle", expected, nearest(name, FILES)))
        return lines

    def _rows(self, file: str, lines: Sequence[str], *, columns: int, key: str = "", header: str | None = None) -> Iterable[Line]:
        return table(file, lines, self.findings, begins=_BEGINS[file], header=header, key=key, columns=columns, casbin=bool(key))

    # Tables.

    def _partner_rows(self, lines: Sequence[str]) -> Iterable[PartnerStatus]:
        file = "partners.csv"
        for row in self._rows(file, lines, columns=7, key="g2"):
            _, code, status, begins, ends, kind, name = row.cells
            good = self._code(file, row, code)
            if self._scheme is not None and code.text == self._scheme.own:
                good = self._wrong(file, row, code, "own-code", f"`{code.text}` is ourselves", "a partner")
            if code.text in self._communities:
                good = self._wrong(file, row, code, "namespace", f"`{code.text}` is a community", _NAMESPACE)
            good &= self._word(file, row, status, "status", ("active", "suspended"))
            good &= self._word(file, row, kind, "kind", [str(k) for k in PartnerKind])
            if not name.text:
                good = self._wrong(file, row, name, "name", "a partner without a name", "its name")
            period = self._period(file, row, begins, ends)
            if good and period is not None:
                yield PartnerStatus(_place(file, row), code.text, status.text == "active", period, PartnerKind(kind.text), name.text)

    def _membership_rows(self, lines: Sequence[str]) -> Iterable[Membership]:
        file = "communities.csv"
        for row in self._rows(file, lines, columns=5, key="g"):
            _, member, community, begins, ends = row.cells
            good = self._code(file, row, community)
            own = self._scheme.own if self._scheme else None
            if community.text in self._partners or community.text == own:
                good = self._wrong(file, row, community, "namespace", f"`{community.text}` is a partner or ourselves", _NAMESPACE)
            if self._scheme is not None:
                good &= self._known(file, row, member, "member", self._partners | self._communities | {self._scheme.own})
            period = self._period(file, row, begins, ends)
            if good and period is not None:
                yield Membership(_place(file, row), member.text, community.text, period)

    def _rule_rows(self, file: str, effect: Effect, lines: Sequence[str]) -> Iterable[Rule]:
        deny = effect is Effect.DENY
        for row in self._rows(file, lines, columns=13, key="p"):
            _, identity, eft, action, grantee, purpose, level, categories, caveats, originator, begins, ends, basis = row.cells
            good = self._row_id(file, row, identity)
            good &= self._word(file, row, eft, "effect", (str(effect),))
            good &= self._word(file, row, action, "action", functions.PROHIBITED_ACTIONS if deny else functions.ACTIONS)
            good &= self._subject(file, row, grantee, level, categories, caveats, originator, deny=deny)
            if self._scheme is not None:
                good &= self._set(file, row, purpose, "purpose", (functions.NONE, *self._scheme.purposes), none=False)
            if not basis.text:
                self.findings.append(
                    warning(file, row.number, basis.column, "no-basis", "a rule without its basis", "the treaty, letter or order")
                )
            period = self._period(file, row, begins, ends)
            if good and period is not None:
                yield Rule(
                    _place(file, row),
                    identity.text,
                    effect,
                    action.text,
                    grantee.text,
                    purpose.text,
                    level.text,
                    categories.text,
                    caveats.text,
                    originator.text,
                    period,
                    basis.text,
                )

    def _never_rows(self, lines: Sequence[str]) -> Iterable[Never]:
        file = "never.csv"
        for row in self._rows(file, lines, columns=7, header=NEVER_HEADER):
            identity, grantee, action, level, categories, caveats, originator = row.cells
            good = self._row_id(file, row, identity)
            good &= self._word(file, row, action, "action", functions.PROHIBITED_ACTIONS)
            good &= self._subject(file, row, grantee, level, categories, caveats, originator, deny=True)
            if good:
                texts = (cell.text for cell in (identity, grantee, action, level, categories, caveats, originator))
                yield Never(_place(file, row), *texts)

    def _equivalence_rows(self, lines: Sequence[str]) -> Iterable[Equivalence]:
        file = "equivalences.csv"
        for row in self._rows(file, lines, columns=5, header=EQUIVALENCES_HEADER):
            issuer, name, begins, ends, level = row.cells
            good = self._code(file, row, issuer)
            if not name.text:
                good = self._wrong(file, row, name, "name", "an equivalence without a name", "the level's name")
            if self._scheme is not None:
                good &= self._known(file, row, level, "level", self._level_names())
            period = self._period(file, row, begins, ends)
            if good and period is not None:
                yield Equivalence(_place(file, row), issuer.text, name.text, period, level.text)

    def _case_rows(self, lines: Sequence[str]) -> Iterable[Case]:
        file = "cases.csv"
        names: dict[str, int] = {}
        scheme = self._scheme
        own = {scheme.own} if scheme else set()
        codes, issuers = frozenset(self._partners | self._communities | own), frozenset(self._partners | own)
        purposes, levels = frozenset({functions.NONE, *(scheme.purposes if scheme else ())}), frozenset(self._level_names())
        known_categories = frozenset(scheme.categories if scheme else ())
        known_caveats, ids = frozenset(scheme.caveats if scheme else ()), frozenset(self._ids)
        for row in self._rows(file, lines, columns=15, header=CASES_HEADER):
            name, at, partner, action, purpose, level, categories, releasable_to, display_to, *rest = row.cells
            caveats, originators, consents, grants, outcome, rules = rest
            good = True
            if not _CASE_NAME.fullmatch(name.text):
                good = self._wrong(file, row, name, "id", f"`{name.text}` is not the name of a case", "a name like `C-01`")
            elif name.text in names:
                good = self._twice(file, row, name, file, names[name.text], name.column)
            names.setdefault(name.text, row.number)
            moment = self._moment(file, row, at)
            good &= self._known(file, row, partner, "partner", self._partners)
            good &= self._word(file, row, action, "action", functions.ASKED_ACTIONS)
            good &= self._word(file, row, outcome, "outcome", _OUTCOMES)
            good &= self._set(file, row, rules, "rule", ids, all_=False)
            if scheme is None:
                continue
            good &= self._known(file, row, purpose, "purpose", purposes)
            good &= self._known(file, row, level, "level", levels)
            good &= self._set(file, row, categories, "category", known_categories, all_=False)
            good &= self._set(file, row, caveats, "caveat", known_caveats, all_=False)
            good &= self._set(file, row, releasable_to, "code", codes)
            good &= not display_to.text or self._set(file, row, display_to, "code", codes)
            good &= self._set(file, row, originators, "originator", issuers, all_=False, none=False)
            good &= self._pairs(file, row, consents, "consent", issuers)
            good &= self._pairs(file, row, grants, "grant", functions.ASKED_ACTIONS)
            if not good or moment is None:
                continue
            try:
                label = Label(
                    level=level.text,
                    categories=_elements(categories),
                    releasable_to=_elements(releasable_to),
                    caveats=_elements(caveats),
                    originators=_elements(originators),
                    display_to=_elements(display_to) if display_to.text else None,
                    consents=_elements(consents),
                    grants=_elements(grants),
                )
            except LabelError as problem:
                self._wrong(file, row, level, "label", str(problem))
                continue
            wanted = tuple(sorted(set(_elements(rules))))
            yield Case(_place(file, row), name.text, moment, partner.text, action.text, purpose.text, label, outcome.text, wanted)

    # Across rows.

    def _check_partners(self, statuses: Sequence[PartnerStatus]) -> None:
        by_code: dict[str, list[PartnerStatus]] = {}
        for status in statuses:
            for earlier in by_code.setdefault(status.code, []):
                if (earlier.kind, earlier.name) != (status.kind, status.name):
                    self._both(
                        earlier.place, status.place, 6, "differs", f"`{status.code}` is another kind or name than in line", "one of both"
                    )
                if earlier.period.overlaps(status.period):
                    problem = f"`{status.code}` has another status for some of this time in line"
                    self._both(earlier.place, status.place, 4, "overlap", problem, "periods that do not overlap")
                    break
            by_code[status.code].append(status)
        for rows in by_code.values():
            # An ended status that another follows is history, and meant to be.
            last = max(rows, key=lambda row: (row.period.ends is None, row.period.ends or row.period.begins or _LONG_AGO))
            self._say_expired(last.place, 5, last.period, f"`{last.code}`")

    def _check_chains(self, memberships: Sequence[Membership]) -> None:
        by_link: dict[tuple[str, str], list[Membership]] = {}
        for row in memberships:
            self._say_expired(row.place, 5, row.period, f"`{row.member}` in `{row.community}`")
            for earlier in by_link.setdefault((row.member, row.community), []):
                if earlier.period.overlaps(row.period):
                    self._warn(row.place, 1, "redundant", f"`{row.member}` is in `{row.community}` by line {earlier.place.line} already")
            by_link[row.member, row.community].append(row)
        ever: dict[str, list[Membership]] = {}
        for row in memberships:
            ever.setdefault(row.member, []).append(row)
        apart = _Reader({}, None)
        apart._check_links(ever, set())
        if not apart.findings:
            # Nothing wrong were all of them to hold at once, so nothing at any one time.
            return
        boundaries = sorted({moment for row in memberships for moment in row.period.boundaries()})
        moments = [_LONG_AGO, *boundaries]
        reported: set[Place] = set()
        for moment in moments:
            links: dict[str, list[Membership]] = {}
            for row in memberships:
                if row.period.holds(moment):
                    links.setdefault(row.member, []).append(row)
            self._check_links(links, reported)

    def _check_unnamed(self, statuses: Sequence[PartnerStatus], memberships: Sequence[Membership], lines: Mapping[str, list[str]]) -> None:
        """Partners and communities that nothing but their own lines names.

        A code comes into being by its own line, so one misspelt is no unknown name: the member is in a community of its own then, and no
        longer in the one that a prohibition names. One slip away from a code that is named, it is an error.
        """
        if self._scheme is None:
            return
        # From lines as they stand, whatever else is wrong with them: one bad line is one finding.
        named = {row.member for row in memberships} | {*self._scheme.expandable, *self._scheme.public_communities}
        named.update(_codes_in(lines.get("communities.csv", ()), "g", 1))
        for file, cell in _NAMING:
            for line in lines.get(file, ()):
                cells = line.split(",")
                if len(cells) > cell and not line.startswith("#"):
                    named.update(cells[cell].split())
        for place, cell, what, code, known in (
            *((row.place, 2, "partner", row.code, self._partners) for row in statuses),
            *((row.place, 3, "community", row.community, self._communities) for row in memberships),
        ):
            if code in named:
                continue
            meant = next((other for other in sorted(known & named) if is_one_slip(code, other)), "")
            problem = f"no rule, case or setting names the {what} `{code}`"
            if meant:
                self.findings.append(
                    error(place.file, place.line, _column(place, cell), f"unused-{what}", problem, "one that is named", meant)
                )
            else:
                self._warn(place, cell, f"unused-{what}", problem)

    def _check_definitions(self, keys: Mapping[str, Key]) -> None:
        """Names that nothing uses, where another, one slip away, is used again and again and is not there.

        Each use is a finding already; this is the one at the line that is wrong.
        """
        if self._scheme is None:
            return
        missed = sorted(word for word, times in self._missed.items() if times > 1)
        if not missed:
            return
        scheme = self._scheme
        defined = [
            *(
                (SCHEME_FILE, *keys[key].place(name), name)
                for key in ("categories", "caveats", "purposes")
                for name in getattr(scheme, key)
            ),
            *((SCHEME_FILE, *keys["levels"].place(level.name), level.name) for level in scheme.levels),
            *((file, line, column, name) for name, (file, line, column) in self._ids.items()),
        ]
        for file, line, column, name in defined:
            meant = next((word for word in missed if name not in self._used and is_one_slip(name, word)), "")
            if meant:
                problem = f"nothing names `{name}`, and `{meant}` is named {self._missed[meant]} times and not there"
                self.findings.append(error(file, line, column, "unused-name", problem, "", meant))

    def _check_links(self, links: Mapping[str, Sequence[Membership]], reported: set[Place]) -> None:
        """Cycles and chains longer than Casbin follows, among the memberships of one moment."""
        depths: dict[str, int] = {}
        above: list[str] = []

        def depth(code: str) -> int:
            if code in depths:
                return depths[code]
            above.append(code)
            deepest = 0
            for row in links.get(code, ()):
                if row.community in above:
                    circle = " in ".join([*above[above.index(row.community) :], row.community])
                    if row.place not in reported:
                        reported.add(row.place)
                        self._fault(row.place, 3, "cycle", f"`{row.community}` would be a member of itself: {circle}", "no circle")
                    continue
                length = 1 + (depth(row.community) if len(above) <= functions.LINKS_MAX + 1 else 0)
                deepest = max(deepest, length)
                if length > functions.LINKS_MAX and row.place not in reported:
                    reported.add(row.place)
                    problem = f"a chain of more than {functions.LINKS_MAX} memberships begins with `{code}`"
                    self._fault(row.place, 2, "chain", problem, f"at most {functions.LINKS_MAX}")
            above.pop()
            depths[code] = deepest
            return deepest

        for code in sorted(links):
            depth(code)

    def _check_rules(self, rules: Sequence[Rule], lines: Mapping[str, list[str]]) -> None:
        if "agreements.csv" in lines and not any(line.startswith("p, ") for line in lines["agreements.csv"]):
            problem = "no agreement: with an empty policy Casbin evaluates the matcher on blanks"
            self.findings.append(error("agreements.csv", 1, 1, "no-agreement", problem, "at least one"))
        same: dict[tuple[object, ...], Rule] = {}
        for rule in rules:
            self._say_expired(rule.place, 12, rule.period, f"`{rule.id}`")
            says = (
                rule.effect,
                rule.action,
                rule.grantee,
                frozenset(rule.purpose.split()),
                rule.level,
                frozenset(rule.categories.split()),
                frozenset(rule.caveats.split()),
                frozenset(rule.originator.split()),
                rule.period,
            )
            if says in same:
                self._warn(rule.place, 2, "redundant", f"`{rule.id}` says the same as `{same[says].id}`, but for id and basis")
            else:
                same[says] = rule

    def _check_equivalences(self, rows: Sequence[Equivalence]) -> None:
        by_name: dict[tuple[str, str], list[Equivalence]] = {}
        for row in rows:
            for earlier in by_name.setdefault((row.issuer, row.name.casefold()), []):
                if earlier.period.overlaps(row.period):
                    problem = f"`{row.name}` of `{row.issuer}` has a meaning for some of this time in line"
                    self._both(earlier.place, row.place, 2, "twice", problem, "one meaning at a time")
                    break
            by_name[row.issuer, row.name.casefold()].append(row)

    # Cells.

    def _subject(
        self, file: str, row: Line, grantee: Cell, level: Cell, categories: Cell, caveats: Cell, originator: Cell, *, deny: bool
    ) -> bool:
        """What agreements, prohibitions and `never` rows have in common."""
        if grantee.text == functions.ALL:
            good = self._wrong(
                file, row, grantee, "grantee", "`*` as grantee, which Casbin loses", "a code, such as that of a community of all"
            )
        elif self._scheme is not None and grantee.text == self._scheme.own:
            good = self._wrong(file, row, grantee, "own-code", f"`{grantee.text}` is ourselves", "a partner or community")
        else:
            good = self._known(file, row, grantee, "grantee", self._partners | self._communities)
        if self._scheme is None:
            return good
        good &= self._known(file, row, level, "level", self._level_names())
        good &= self._set(file, row, categories, "category", self._scheme.categories, none=not deny)
        good &= self._set(file, row, caveats, "caveat", self._scheme.caveats, none=not deny)
        return good & self._set(file, row, originator, "originator", self._partners | {self._scheme.own}, none=False)

    def _level_names(self) -> list[str]:
        return [step.name for step in self._scheme.levels] if self._scheme is not None else []

    def _code(self, file: str, row: Line, cell: Cell) -> bool:
        if CODE.fullmatch(cell.text):
            return True
        return self._wrong(file, row, cell, "code", f"`{cell.text}` is not a code", "upper-case letters, digits and `-`", cell.text.upper())

    def _word(self, file: str, row: Line, cell: Cell, what: str, words: Sequence[str]) -> bool:
        if cell.text in words:
            return True
        expected = f"one of {', '.join(f'`{word}`' for word in words)}" if len(words) > 1 else f"`{words[0]}`"
        return self._wrong(file, row, cell, what, f"unknown {what} `{cell.text}`", expected, nearest(cell.text, words))

    def _known(self, file: str, row: Line, cell: Cell, what: str, known: Iterable[str]) -> bool:
        names = frozenset(known)
        if cell.text in names:
            self._used.add(cell.text)
            return True
        self._unknown(file, row.number, cell.column, what, cell.text, names)
        return False

    def _set(self, file: str, row: Line, cell: Cell, what: str, known: Iterable[str], *, all_: bool = True, none: bool = True) -> bool:
        """Names separated by spaces; `*` where `all_`, `none` for the empty set where `none`, each alone."""
        names = frozenset(known)
        if (cell.text == functions.ALL and all_) or (cell.text == functions.NONE and (none or functions.NONE in names)):
            return True
        good = True
        column = cell.column
        words = cell.text.split(" ")
        for index, word in enumerate(words):
            if word not in names:
                self._unknown(file, row.number, column, what, word, names)
                good = False
            elif word in words[:index]:
                self.findings.append(error(file, row.number, column, "twice", f"`{word}` twice in a cell", "each name once"))
                good = False
            else:
                self._used.add(word)
            column += len(word) + 1
        return good

    def _pairs(self, file: str, row: Line, cell: Cell, what: str, first: Iterable[str]) -> bool:
        """`none`, or `FIRST:PARTNER` separated by spaces."""
        if cell.text == functions.NONE:
            return True
        known = frozenset(first)
        good = True
        column = cell.column
        for word in cell.text.split(" "):
            left, separator, right = word.partition(":")
            if not separator:
                expected = "`ORIGINATOR:PARTNER`" if what == "consent" else "`ACTION:PARTNER`"
                self.findings.append(error(file, row.number, column, what, f"`{word}` is not a {what}", expected))
                good = False
            elif left not in known:
                self._unknown(file, row.number, column, what, left, known)
                good = False
            elif right not in self._partners:
                self._unknown(file, row.number, column + len(left) + 1, what, right, self._partners)
                good = False
            column += len(word) + 1
        return good

    def _row_id(self, file: str, row: Line, cell: Cell) -> bool:
        if not _ROW_ID.fullmatch(cell.text):
            return self._wrong(file, row, cell, "id", f"`{cell.text}` is not the id of a row", "an id like `AGR-0001`")
        if cell.text in self._ids:
            return self._twice(file, row, cell, *self._ids[cell.text])
        self._ids[cell.text] = (file, row.number, cell.column)
        return True

    def _period(self, file: str, row: Line, begins: Cell, ends: Cell) -> Period | None:
        moments = []
        good = True
        for cell in (begins, ends):
            moment = _date(cell.text) if cell.text else None
            if cell.text and moment is None:
                good = self._wrong(file, row, cell, "date", f"`{cell.text}` is not a date", "a day as `2026-11-22`, or nothing for open")
            moments.append(moment)
        if good and moments[0] is not None and moments[1] is not None and moments[1] <= moments[0]:
            good = self._wrong(file, row, ends, "period", f"until `{ends.text}` is not after from `{begins.text}`", "a later day")
        return Period(*moments) if good else None

    def _moment(self, file: str, row: Line, cell: Cell) -> datetime | None:
        moment = moment_of(cell.text)
        if moment is None:
            self._wrong(file, row, cell, "date", f"`{cell.text}` is neither a day nor a time", "`2026-11-22` or `2026-11-22T10:00:00Z`")
        return moment

    # Saying it.

    def _wrong(self, file: str, row: Line, cell: Cell, code: str, problem: str, expected: str = "", suggestion: str = "") -> bool:
        self.findings.append(error(file, row.number, cell.column, code, problem, expected, suggestion))
        return False

    def _twice(self, file: str, row: Line, cell: Cell, earlier_file: str, earlier_line: int, earlier_column: int) -> bool:
        """A name that stands for two rows, said at both."""
        earlier = error(
            earlier_file, earlier_line, earlier_column, "twice", f"`{cell.text}` stands in {file}:{row.number} too", "each once"
        )
        self.findings.append(earlier)
        return self._wrong(file, row, cell, "twice", f"`{cell.text}` stands in {earlier_file}:{earlier_line} already", "each once")

    def _unknown(self, file: str, line: int, column: int, what: str, word: str, known: Iterable[str]) -> None:
        self._missed[word] += 1
        names = sorted(known)
        expected = f"one of {', '.join(f'`{name}`' for name in names)}" if 0 < len(names) <= 6 else ""
        self.findings.append(error(file, line, column, f"unknown-{what}", f"unknown {what} `{word}`", expected, nearest(word, names)))

    def _fault(self, place: Place, cell: int, code: str, problem: str, expected: str = "") -> None:
        self.findings.append(error(place.file, place.line, _column(place, cell), code, problem, expected))

    def _both(self, earlier: Place, later: Place, cell: int, code: str, problem: str, expected: str) -> None:
        """A clash of two lines, said at both: which of them is the slip of the pen, only its writer knows."""
        self._fault(later, cell, code, f"{problem} {earlier.line}", expected)
        self._fault(earlier, cell, code, f"{problem} {later.line}", expected)

    def _warn(self, place: Place, cell: int, code: str, problem: str) -> None:
        self.findings.append(warning(place.file, place.line, _column(place, cell), code, problem))

    def _say_expired(self, place: Place, cell: int, period: Period, what: str) -> None:
        if self._at is not None and period.ends is not None and period.ends <= self._at:
            self._warn(place, cell, "expired", f"{what} ended on {period.ends.date().isoformat()}")


def _codes_in(lines: Iterable[str], key: str, index: int) -> Iterable[str]:
    for line in lines:
        cells = [cell.strip() for cell in line.split(",")]
        if cells[0] == key and len(cells) > index and CODE.fullmatch(cells[index]):
            yield cells[index]


def _place(file: str, row: Line) -> Place:
    return Place(file, row.number, row.text)


def _column(place: Place, cell: int) -> int:
    """The column of the cell with this number, from 1, of a line known to be whole."""
    pieces = place.text.split(",")
    offset = sum(len(piece) + 1 for piece in pieces[: cell - 1])
    return offset + (2 if cell > 1 and pieces[cell - 1] else 1)


def _elements(cell: Cell) -> tuple[str, ...]:
    return () if cell.text == functions.NONE else tuple(cell.text.split(" "))


def _date(text: str) -> datetime | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def moment_of(text: str) -> datetime | None:
    """A day at 00:00 UTC (`2026-11-22`) or a time (`2026-11-22T10:00:00.000000Z`); None for anything else."""
    if _TIME.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None
    return _date(text)
