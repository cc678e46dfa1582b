"""Slips of the pen: single edits of a bundle, drawn from a seed, and what a good reader has to make of each.

An edit touches one file at one place: a character, a separator, a letter's case, the encoding, a column, a row, a code, a date, a token of
the matcher. `corpus` draws the same ones for the same files and seed.

The line rule. A finding is at the right place if it is

1. in the edited file, on the edited line; for a whole line dropped, doubled, merged or moved, also on the line before or after it;
2. in the edited file, on line 1, where the edit is to the whole file, or the finding is about the whole file (a missing key, no agreement);
3. anywhere, on a line that names what the edited line no longer says: a code renamed where it is defined is unknown where it is used.
"""

from __future__ import annotations

import ast
import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from casbin.config import Config

from service.policy import Bundle, Finding, PolicyRejected, Severity, check_files, read_bundle
from service.policy.cases import run_case
from service.policy.functions import ACTIONS, ALL, ASKED_ACTIONS, DECLARED, NONE, PROHIBITED_ACTIONS
from service.policy.matcher import parse_matcher
from service.policy.model_check import POLICY_COLUMNS, REQUEST_COLUMNS
from service.policy.prove import difference, never_findings
from service.policy.reader import FILES
from service.policy.rows import Rule

INVISIBLE: Final = ("\u200b", "\u200d", "\u00ad", "\u2060", "\ufeff", "\u00a0", "\u2009", "\u3164", "\u202e", "\t", "\r", "\x00", "\x7f")
"""Zero-width, soft hyphen, marks, spaces that are none, and control characters."""
LOOK_ALIKES: Final = dict(
    zip(
        "ACEINOPST-*,aepg",
        "\u0410\u0421\u0415\u0406\u039d\u041e\u0420\u0405\u0422\u2010\u2217\uff0c\u0430\u0435\u0440\u0261",
        strict=True,
    )
)
"""Letters of other alphabets, and signs, that are drawn alike."""
ASCII: Final = "abcXYZ019 ,;:.#*-_/\\'\"()[]|&!=<>+%@`~"

QUOTAS: Final = {
    "character": 18,
    "look-alike": 5,
    "invisible": 8,
    "separator": 8,
    "case": 6,
    "encoding": 8,
    "column": 8,
    "row": 12,
    "code": 30,
    "date": 14,
    "token": 80,
}
"""How many are drawn of each kind, per file that has it; fewer where there are fewer."""
ROWS_MAX: Final = 40
"""Rows of a file that edits are drawn from; a file has a few dozen, but for the cases."""
MORE: Final = {"prohibitions.csv": 2, "agreements.csv": 2}
"""Files of which more are drawn."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """A file as it is after one edit.

    `line` is the edited line, from 1, as it was, and 0 the whole file; `near` is how far from it a finding may be. `old` and `new` are what
    stood there and stands there now.
    """

    kind: str
    what: str
    file: str
    line: int
    near: int
    content: bytes
    old: str
    new: str

    def of(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """The bundle with the edit in it."""
        return {**files, self.file: self.content}

    def is_the_place_of(self, finding: Finding) -> bool:
        """Whether a finding stands where the line rule wants one."""
        if finding.file == self.file:
            if self.line == 0 or abs(finding.line - self.line) <= self.near:
                return True
            if (finding.line, finding.column) == (1, 1):
                return True
        named = [word for word in re.findall(r"`([^`]+)`", finding.problem) if word in self.old]
        return any(_says(self.old, word) > _says(self.new, word) for word in named)

    def __str__(self) -> str:
        return f"{self.kind} ({self.what}) at {self.file}:{self.line}: `{self.old}` -> `{self.new}`"


def _says(text: str, word: str) -> int:
    said = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    return len(re.findall(rf"(?<![A-Za-z0-9-]){re.escape(word)}(?![A-Za-z0-9-])", said))


def corpus(files: Mapping[str, bytes], *, seed: int) -> list[Mutation]:
    """Mutations of every file and kind, the same for the same seed; none twice, none that changes nothing."""
    words = _vocabulary(read_bundle(files))
    found: list[Mutation] = []
    for name in FILES:
        seen: set[bytes] = {files[name]}
        for kind, quota in QUOTAS.items():
            draw = random.Random(f"{seed} {name} {kind}")
            candidates = list(KINDS[kind](_Text(name, files[name].decode(), words), draw))
            draw.shuffle(candidates)
            full = len(seen) + quota * MORE.get(name, 1)
            for mutation in candidates:
                if len(seen) == full:
                    break
                if mutation.content not in seen:
                    seen.add(mutation.content)
                    found.append(mutation)
    return found


class _Text:
    """A file's text, and its edits as mutations."""

    def __init__(self, name: str, text: str, words: Mapping[str, tuple[str, ...]]) -> None:
        self.name = name
        self.words = words
        self.text = text
        self.lines = text.split("\n")[:-1]

    def rows(self, draw: random.Random) -> list[tuple[int, str]]:
        """Index and text of lines that say something, of a table its rows; some of them where there are many."""
        header = 1 if self.name in ("cases.csv", "never.csv", "equivalences.csv") else 0
        rows = [(index, line) for index, line in enumerate(self.lines) if index >= header and line and not line.startswith("#")]
        return rows if len(rows) <= ROWS_MAX else draw.sample(rows, ROWS_MAX)

    def with_line(self, kind: str, what: str, index: int, new: str | bytes, *, near: int = 0) -> Mutation:
        """One line written otherwise."""
        # A line left without a word is a line dropped.
        said = new.strip(b"# ") if isinstance(new, bytes) else new.strip("# ")
        return self.with_lines(kind, what, index, 1, [new], near=near if said else 1)

    def with_lines(self, kind: str, what: str, index: int, count: int, new: Sequence[str | bytes], *, near: int) -> Mutation:
        """`count` lines from `index` written otherwise."""
        written = [line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass") for line in new]
        before = [line.encode() for line in self.lines[:index]]
        after = [line.encode() for line in self.lines[index + count :]]
        content = b"".join(line + b"\n" for line in (*before, *written, *after))
        shown = "\n".join(line.decode("utf-8", "replace") for line in written)
        return Mutation(kind, what, self.name, index + 1, near, content, "\n".join(self.lines[index : index + count]), shown)

    def whole(self, kind: str, what: str, content: bytes) -> Mutation:
        """All of it written otherwise."""
        return Mutation(kind, what, self.name, 0, 0, content, "", "")


def _characters(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    for _ in range(160):
        index = draw.randrange(len(text.lines))
        line = text.lines[index]
        if not line:
            continue
        at = draw.randrange(len(line))
        letter = draw.choice(ASCII)
        match draw.randrange(5):
            case 0:
                yield text.with_line("character", "replace", index, line[:at] + letter + line[at + 1 :])
            case 1:
                yield text.with_line("character", "insert", index, line[:at] + letter + line[at:])
            case 2:
                yield text.with_line("character", "delete", index, line[:at] + line[at + 1 :])
            case 3:
                yield text.with_line("character", "swap", index, line[:at] + line[at : at + 2][::-1] + line[at + 2 :])
            case _:
                yield text.with_line("character", "break", index, f"{line[:at]}\n{line[at:]}", near=1)


def _look_alikes(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    for index, line in text.rows(draw):
        for at, letter in enumerate(line):
            if letter in LOOK_ALIKES:
                yield text.with_line(
                    "look-alike", f"U+{ord(LOOK_ALIKES[letter]):04X}", index, line[:at] + LOOK_ALIKES[letter] + line[at + 1 :]
                )


def _invisibles(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    for index, line in draw.sample(list(enumerate(text.lines)), min(ROWS_MAX, len(text.lines))):
        for letter in INVISIBLE:
            at = draw.randrange(len(line) + 1)
            yield text.with_line("invisible", f"insert U+{ord(letter):04X}", index, line[:at] + letter + line[at:])
            spaces = [i for i, character in enumerate(line) if character == " "]
            if spaces:
                at = draw.choice(spaces)
                yield text.with_line("invisible", f"U+{ord(letter):04X} for a space", index, line[:at] + letter + line[at + 1 :])


def _separators(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    for index, line in text.rows(draw):
        for found in re.finditer(", ", line):
            for other in (",", ",  ", " , ", "; ", "\t", " ", ",, ", ", , ", " | ", ".", "，"):
                yield text.with_line("separator", f"`{other}`", index, line[: found.start()] + other + line[found.end() :])
        for what, new in (
            ("blank behind", f"{line} "),
            ("blank before", f" {line}"),
            ("comma behind", f"{line},"),
            ("remark", f"{line} # x"),
        ):
            yield text.with_line("separator", what, index, new)


def _cases(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    for index, line in text.rows(draw):
        for found in re.finditer(r"[A-Za-z][A-Za-z0-9-]*", line):
            word = found.group()
            for other in (word.swapcase(), word.capitalize(), word[:-1] + word[-1].swapcase()):
                yield text.with_line("case", word, index, line[: found.start()] + other + line[found.end() :])


def _encodings(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    yield text.whole("encoding", "byte order mark", b"\xef\xbb\xbf" + text.text.encode())
    yield text.whole("encoding", "utf-16", text.text.encode("utf-16"))
    yield text.whole("encoding", "utf-16-le", text.text.encode("utf-16-le"))
    yield text.whole("encoding", "latin-1", text.text.encode("latin-1", "replace"))
    yield text.whole("encoding", "decomposed", unicodedata.normalize("NFD", text.text).encode())
    yield text.whole("encoding", "crlf", text.text.replace("\n", "\r\n").encode())
    yield text.whole("encoding", "cr", text.text.replace("\n", "\r").encode())
    last = len(text.lines)
    for cut in (1, 2, draw.randrange(3, 40)):
        torn = text.text[:-cut].encode()
        yield Mutation("encoding", f"torn {cut}", text.name, last, 1, torn, text.lines[-1], torn.decode().split("\n")[-1])
    for index, line in draw.sample(text.rows(draw), 3):
        at = draw.randrange(len(line))
        yield text.with_line("encoding", "a byte of Latin-1", index, line[:at].encode() + b"\xe9" + line[at:].encode())
        yield text.with_line("encoding", "decomposed letter", index, line[:at] + "e\u0301" + line[at:])


def _columns(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    for index, line in text.rows(draw):
        cells = line.split(", ")
        for at, cell in enumerate(cells):
            yield text.with_line("column", f"drop {at + 1}", index, ", ".join(cells[:at] + cells[at + 1 :]))
            yield text.with_line("column", f"double {at + 1}", index, ", ".join([*cells[: at + 1], *cells[at:]]))
            yield text.with_line("column", f"empty {at + 1}", index, ", ".join([*cells[:at], "", *cells[at + 1 :]]))
            yield text.with_line("column", f"swap {at + 1}", index, ", ".join([*cells[:at], *cells[at : at + 2][::-1], *cells[at + 2 :]]))
            del cell


def _rows(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    lines = text.lines
    for index, line in draw.sample(list(enumerate(lines)), min(ROWS_MAX, len(lines))):
        yield text.with_lines("row", "drop", index, 1, [], near=1)
        yield text.with_lines("row", "double", index, 1, [line, line], near=1)
        yield text.with_line("row", "behind `#`", index, f"#{line[1:]}")
        if index + 1 < len(lines):
            yield text.with_lines("row", "merge", index, 2, [line + lines[index + 1]], near=1)
            yield text.with_lines("row", "swap", index, 2, [lines[index + 1], line], near=1)


_RULE: Final = (*("", "rule", "effect"), "grantee", "purposes", "level", "categories", "caveats", "issuers", "date", "date", "")
_ASKED: Final = ("", "moment", "partner", "asked", "purpose", "level", "categories", "codes", "codes", "caveats", "issuers")
_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "partners.csv": ("", "partner", "status", "date", "date", "kind", ""),
    "communities.csv": ("", "member", "community", "date", "date"),
    "agreements.csv": (*_RULE[:3], "allowed", *_RULE[3:]),
    "prohibitions.csv": (*_RULE[:3], "forbidden", *_RULE[3:]),
    "cases.csv": (*_ASKED, "", "", "outcome", "rules"),
    "never.csv": ("rule", "grantee", "forbidden", "level", "categories", "caveats", "issuers"),
    "equivalences.csv": ("partner", "", "date", "date", "level"),
}
"""What is in each column of a table; words in plain text are nothing to be exchanged."""


def _vocabulary(bundle: Bundle) -> dict[str, tuple[str, ...]]:
    """What codes are replaced by, by the kind of their column."""
    scheme = bundle.scheme
    partners, communities = tuple(sorted(scheme.partners)), tuple(sorted(scheme.communities))
    rules = tuple(rule.id for rule in bundle.rules)
    return {
        "partner": (*partners, scheme.own, communities[0]),
        "member": (*partners, *communities, scheme.own),
        "community": (*communities, partners[0], scheme.own),
        "grantee": (*partners, *communities, scheme.own),
        "codes": (*partners, *communities, scheme.own),
        "issuers": (*partners, scheme.own, communities[0]),
        "status": ("active", "suspended"),
        "kind": ("nation", "organisation", "mission", "public"),
        "effect": ("allow", "deny"),
        "allowed": ACTIONS,
        "forbidden": PROHIBITED_ACTIONS,
        "asked": ASKED_ACTIONS,
        "purpose": (NONE, *scheme.purposes),
        "purposes": (NONE, *scheme.purposes),
        "level": tuple(level.name for level in scheme.levels),
        "categories": scheme.categories,
        "caveats": scheme.caveats,
        "outcome": ("release", "refer", "withhold"),
        "rule": rules,
        "rules": rules,
    }


_UNKNOWN: Final = ("ZZZ", "AGR-9999", "*", NONE, "")


def _codes(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    if text.name == "scheme.toml":
        yield from _scheme_codes(text, draw)
    columns = _COLUMNS.get(text.name)
    if columns is None:
        return
    for index, line in text.rows(draw):
        cells = line.split(", ")
        cells += [""] * (line.endswith(","))
        for at, kind in enumerate(columns[: len(cells)]):
            if kind in ("", "date", "moment"):
                continue
            for what, cell in _other_cells(kind, cells[at], text.words):
                yield text.with_line("code", what, index, ", ".join([*cells[:at], cell, *cells[at + 1 :]]))


def _other_cells(kind: str, cell: str, vocabulary: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    words = tuple(vocabulary[kind])
    for other in (*words, *_UNKNOWN):
        if other != cell:
            yield f"{kind} `{other}`", other
    if kind not in ("categories", "caveats", "purposes", "issuers", "codes", "rules"):
        return
    there = cell.split(" ")
    for place, word in enumerate(there):
        if len(there) > 1:
            yield f"{kind} without `{word}`", " ".join(there[:place] + there[place + 1 :])
        for other in (*words, "ZZZ"):
            if other not in there:
                yield f"{kind} `{other}` for `{word}`", " ".join([*there[:place], other, *there[place + 1 :]])
    if there[0] not in (ALL, NONE):
        for other in words:
            if other not in there:
                yield f"{kind} and `{other}`", f"{cell} {other}"


def _scheme_codes(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    words = text.words
    for index, line in text.rows(draw):
        for found in re.finditer(r'"([A-Z][A-Z0-9 -]*)"', line):
            for other in (*words["level"], *words["categories"][:4], *words["caveats"][:3], *words["community"], "ZZZ", ""):
                yield text.with_line("code", f"`{other}`", index, f'{line[: found.start()]}"{other}"{line[found.end() :]}')


def _dates(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    columns = _COLUMNS.get(text.name)
    if columns is None:
        return
    for index, line in text.rows(draw):
        cells = line.split(", ")
        if line.endswith(","):
            cells[-1] = cells[-1].removesuffix(",")
            cells.append("")
        for at, kind in enumerate(columns):
            if kind not in ("date", "moment"):
                continue
            cell = cells[at]
            others = ["2026-11-23", "2027-06-01", "2026-02-30", "22.11.2026", "2026-11-22 ", "2026-1-1", "*"]
            if cell:
                year = int(cell[:4])
                others += [f"{year + 1}{cell[4:]}", f"{year - 1}{cell[4:]}", "", cell[:-1], f"{cell}T00:00:00Z", f"{cell[:5]}13{cell[7:]}"]
                others += [f"{cell[:8]}{int(cell[8:10]) % 28 + 1:02}", cell.replace("-", "/")]
            for other in others:
                yield text.with_line("date", f"`{other}` for `{cell}`", index, _written([*cells[:at], other, *cells[at + 1 :]]))
        if columns[2:4] == ("date", "date") or "date" in columns:
            first = columns.index("date")
            swapped = [*cells[:first], cells[first + 1], cells[first], *cells[first + 2 :]]
            yield text.with_line("date", "swapped", index, _written(swapped))


def _written(cells: Sequence[str]) -> str:
    return ", ".join(cells).removesuffix(" ") if not cells[-1] else ", ".join(cells)


_TOKENS: Final = re.compile(r"&&|\|\||!|==|\"[^\"]*\"|[rp]\.[a-z_]+|[a-z_0-9]+(?=\()|[(),]")
_CALLS: Final = (*DECLARED, "g", "g2")
_REQUEST: Final = REQUEST_COLUMNS
_POLICY: Final = POLICY_COLUMNS


def _tokens(text: _Text, draw: random.Random) -> Iterator[Mutation]:
    if text.name != "model.conf":
        return
    for index, line in text.rows(draw):
        if not line.startswith(("m =", "e =", "r =", "p =", "g =", "g2 =")):
            yield text.with_line("token", "section", index, line.replace("_", ""))
            continue
        head = line.index("=") + 1
        for found in _TOKENS.finditer(line, head):
            token = found.group()
            for other in _other_tokens(token):
                yield text.with_line("token", f"`{other}` for `{token}`", index, line[: found.start()] + other + line[found.end() :])
        for found in re.finditer(r"\b[a-z_]+\b", line[head:]):
            if not line.startswith("m ="):
                begin = head + found.start()
                for other in ("", "partner", "eft", "deny", "allow"):
                    yield text.with_line(
                        "token", f"`{other}` for `{found.group()}`", index, line[:begin] + other + line[head + found.end() :]
                    )


def _other_tokens(token: str) -> Iterable[str]:
    match token:
        case "&&":
            return ("||", "&", "and", "&& !", ",")
        case "||":
            return ("&&", "|", "or", "|| !")
        case "!":
            return ("", "!!")
        case "==":
            return ("!=", "=", ">=", "in")
        case "(":
            return ("", "((", "!(", "(!")
        case ")":
            return ("", "))")
        case ",":
            return ("", ",,", " &&")
        case _ if token.startswith('"'):
            return (
                '"allow"',
                '"deny"',
                '"refer"',
                '"release"',
                '"active"',
                '"suspended"',
                '""',
                '"*"',
                f'"{token[1:-1].upper()}"',
                token[1:-1],
            )
        case _ if token.startswith("r."):
            return (*(f"r.{name}" for name in _REQUEST), f"p.{token[2:]}", token[2:], f"r_{token[2:]}", '"*"')
        case _ if token.startswith("p."):
            return (*(f"p.{name}" for name in _POLICY), f"r.{token[2:]}", token[2:], '"*"')
        case _:
            return (*_CALLS, "", f"!{token}", token.upper(), "keyMatch", "len")


KINDS: Final[dict[str, Callable[[_Text, random.Random], Iterator[Mutation]]]] = {
    "character": _characters,
    "look-alike": _look_alikes,
    "invisible": _invisibles,
    "separator": _separators,
    "case": _cases,
    "encoding": _encodings,
    "column": _columns,
    "row": _rows,
    "code": _codes,
    "date": _dates,
    "token": _tokens,
}


# What becomes of one.


class Fate(StrEnum):
    """What a bundle with an edit in it comes to. The last two must not be."""

    REFUSED = "refused at its place"
    SAME_ROWS = "reads to the same rows, whenever"
    CASE = "refused by a case"
    NEVER = "refused by a never statement"
    SAME_DECISIONS = "decides the same"
    ELSEWHERE = "refused, but at another place"
    SURVIVES = "decides otherwise, and nobody says so"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A mutation's fate, and the findings it met."""

    mutation: Mutation
    fate: Fate
    findings: tuple[Finding, ...] = ()


class Judge:
    """Says what becomes of mutations of one bundle, from one moment on."""

    def __init__(self, files: Mapping[str, bytes], at: datetime) -> None:
        self._files = files
        self._bundle = read_bundle(files)
        self._no_cases = files["cases.csv"].partition(b"\n")[0] + b"\n"
        self._at = at

    def judge(self, mutation: Mutation) -> Verdict:
        """Read the bundle with this edit in it; then, where it reads, its rows, its cases, its decisions."""
        files = mutation.of(self._files)
        if mutation.file != "cases.csv":
            # Without the cases first, which are most of what there is to read: they add findings and take none away. (But that
            # nothing names a code, which a case might.)
            found = _errors(check_files(files | {"cases.csv": self._no_cases}))
            if any(mutation.is_the_place_of(finding) and not finding.code.startswith("unused-") for finding in found):
                return Verdict(mutation, Fate.REFUSED, found)
        try:
            bundle = read_bundle(files)
        except PolicyRejected as refused:
            found = _errors(refused.findings)
            placed = any(mutation.is_the_place_of(finding) for finding in found)
            return Verdict(mutation, Fate.REFUSED if placed else Fate.ELSEWHERE, found)
        if same_rows(self._bundle, bundle, self._at):
            return Verdict(mutation, Fate.SAME_ROWS)
        for case in sorted(bundle.cases, key=lambda case: not _concerns(case.rules, case.partner, mutation)):
            result = run_case(bundle, case)
            if not result.passed:
                return Verdict(mutation, Fate.CASE, (result.finding(),))
        if same_decisions(self._bundle, bundle, self._at):
            return Verdict(mutation, Fate.SAME_DECISIONS)
        refuted = never_findings(bundle, self._at)
        return Verdict(mutation, Fate.NEVER if refuted else Fate.SURVIVES, refuted)


def _errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


def _concerns(rules: Sequence[str], partner: str, mutation: Mutation) -> bool:
    return any(rule in mutation.old for rule in rules) or partner in mutation.old


def same_rows(old: Bundle, new: Bundle, at: datetime) -> bool:
    """Whether nothing that decides differs, at any moment from `at` on: comments, names, bases, order and what is past do not decide."""
    if old.digest == new.digest:
        return True
    return all(_rows_at(old, moment) == _rows_at(new, moment) for moment in _moments(old, new, at))


def _moments(old: Bundle, new: Bundle, at: datetime) -> list[datetime]:
    return [at, *sorted({moment for moment in (*old.boundaries, *new.boundaries) if moment > at})]


def _rows_at(bundle: Bundle, at: datetime) -> tuple[object, ...]:
    scheme = bundle.scheme
    return (
        _conditions(bundle.files["model.conf"]),
        (scheme.own, tuple(level.name for level in scheme.levels), frozenset(scheme.expandable)),
        tuple(frozenset(names) for names in (scheme.categories, scheme.caveats, scheme.purposes, scheme.partners, scheme.communities)),
        frozenset(status.code for partner in bundle.partners for status in partner.status if status.active and status.period.holds(at)),
        frozenset((row.member, row.community) for row in bundle.memberships if row.period.holds(at)),
        frozenset(_meaning(rule) for rule in bundle.rules if rule.period.holds(at)),
    )


def _conditions(model: bytes) -> str:
    return ast.dump(parse_matcher(Config.new_config_from_text(model.decode()).get("matchers::m")))


def _meaning(rule: Rule) -> tuple[object, ...]:
    sets = (frozenset(cell.split()) for cell in (rule.purpose, rule.categories, rule.caveats, rule.originator))
    return (rule.id, rule.effect, rule.action, rule.grantee, rule.level, *sets)


def same_decisions(old: Bundle, new: Bundle, at: datetime) -> bool:
    """Whether both decide alike, at every moment from `at` on, for all labels that could exist under the old one: proved.

    Labels with a word that only the new one has (a partner added by the edit, whom nothing else names) are not yet labels of anything.
    False where it cannot be proved.
    """
    found = difference(old, new, at=at)
    return found.cannot is None and all(change.new_words for change in found.changes())
