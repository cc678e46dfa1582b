"""`scheme.toml`, strictly: the same as `Scheme.from_mapping`, with the place of each mistake.

Pure. `tomllib` has no positions, so a small scan of the text finds where keys and strings stand; it decides nothing, `tomllib` reads.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

from service.errors import Rejected
from service.labels.markings import profile_of
from service.labels.scheme import CODE, KEYS, LEVEL_NAME, AudienceOnCopies, Profile, ReleasableIn, Scheme, SchemeError
from service.policy.findings import Finding, nearest
from service.policy.text import error, warning

FILE = "scheme.toml"
NESTING_MAX = 8
"""Brackets within brackets; a scheme needs two. Stops text meant to exhaust the parser."""

_LEVEL = ("name", "mark")
_LEVEL_SHOWN = '`{name = "SECRET", mark = "S"}`'
_TOKEN = re.compile(r'#[^\n]*|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|[\[\]{}]|\n|[A-Za-z0-9_-]+|.', re.DOTALL)
_HIDDEN = re.compile(r"#([a-z_]+) *=")
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass(slots=True)
class Key:
    """A key of the scheme: where it stands, and what stands under it."""

    line: int
    column: int
    strings: list[tuple[str, int, int]] = field(default_factory=list)
    members: list[tuple[str, int, int]] = field(default_factory=list)
    """Bare words inside brackets: the names of a level's members."""

    def place(self, value: object, *, nth: int = 1) -> tuple[int, int]:
        """Where the string `value` stands for the given time under this key, or the key itself."""
        for text, line, column in (*self.strings, *self.members):
            if text == value:
                nth -= 1
                if not nth:
                    return line, column
        return self.line, self.column


def read_scheme(lines: list[str], findings: list[Finding]) -> tuple[Scheme | None, dict[str, Key]]:
    """The scheme, or None where it is refused; and where its keys stand, for what is checked with the other files."""
    text = "".join(f"{line}\n" for line in lines)
    keys, deepest = _scan(text)
    if deepest is not None:
        findings.append(error(FILE, *deepest, "nesting", f"more than {NESTING_MAX} brackets deep", "a list"))
        return None, {}
    for number, written in enumerate(lines, 1):
        hidden = _HIDDEN.match(written)
        if hidden and any(hidden[1] in (key, key[1:]) for key in KEYS):
            findings.append(
                error(FILE, number, 1, "comment", "a key behind `#`", "the key, or none; a blank after `#` if it is to be kept")
            )
    before = len(findings)
    try:
        value = tomllib.loads(text)
    except ValueError as wrong:  # also what is not a TOMLDecodeError: a number with too many digits
        place = _PLACE.search(str(wrong))
        line, column = (int(place[1]), int(place[2])) if place else (len(lines), 1)
        if str(wrong).startswith("Unclosed"):
            line, column = _before(lines, line, column)
        findings.append(error(FILE, line, column, "toml", _PLACE.sub("", str(wrong)).strip().lower(), "TOML"))
        return None, {}
    _check(value, keys, findings)
    if len(findings) > before:
        return None, keys
    try:
        scheme = Scheme.from_mapping(value)
        # A vocabulary that its marking profile cannot write would be found out by the first copy.
        profile_of(scheme)
    except SchemeError as wrong:
        where = keys.get(wrong.key)
        findings.append(error(FILE, where.line if where else 1, where.column if where else 1, "scheme", str(wrong)))
        return None, keys
    if scheme.audience_on_copies is AudienceOnCopies.FULL:
        line, column = keys["audience_on_copies"].place("full")
        findings.append(warning(FILE, line, column, "audience-on-copies", "copies will name every partner they are addressed to", "`own`"))
    return scheme, keys


def _before(lines: list[str], line: int, column: int) -> tuple[int, int]:
    """Where a comma is missing that a parser noticed here: at the first word of a line, at the end of the one before."""
    if line <= len(lines) and lines[line - 1][: column - 1].strip():
        return line, column
    for earlier in range(min(line, len(lines) + 1) - 1, 0, -1):
        text = lines[earlier - 1].strip()
        if text and not text.startswith("#"):
            return earlier, len(lines[earlier - 1]) + 1
    return line, column


def _check(value: dict[str, Any], keys: dict[str, Key], findings: list[Finding]) -> None:
    def wrong(key: str, code: str, problem: str, expected: str = "", suggestion: str = "", *, at: object = None, nth: int = 1) -> None:
        where = keys.get(key, Key(1, 1))
        line, column = where.place(at, nth=nth)
        findings.append(error(FILE, line, column, code, problem, expected, suggestion))

    for key, given in value.items():
        if isinstance(given, dict):
            wrong(key, "table", f"`{key}` is a table", "keys alone")
        elif key not in KEYS:
            wrong(key, "unknown-key", f"unknown key `{key}`", "a key of the scheme", nearest(key, KEYS))
    for key in KEYS:
        if key not in value:
            findings.append(error(FILE, 1, 1, "missing-key", f"`{key}` is missing", f"`{key} = ...`"))
    taken: dict[str, str] = {}
    for key in ("categories", "caveats", "purposes", "expandable", "public_communities"):
        given = value.get(key, [])
        if not isinstance(given, list) or not all(isinstance(code, str) for code in given):
            wrong(key, "type", f"`{key}` is not a list of codes", '`["A", "B"]`')
            continue
        for index, code in enumerate(given):
            if not CODE.fullmatch(code):
                wrong(key, "code", f"`{code}` is not a code", "upper-case letters, digits and `-`", code.upper(), at=code)
            elif code in given[:index]:
                for nth in (1, 2):
                    wrong(key, "twice", f"`{code}` twice", "each code once", at=code, nth=nth)
            # `covers` cannot be told which of the two it compares; a name that is in both could pass for the other.
            elif key == "caveats" and taken.get(code) == "categories":
                wrong(key, "twice", f"`{code}` is a category too", "a name in one of both", at=code)
                wrong("categories", "twice", f"`{code}` is a caveat too", "a name in one of both", at=code)
            taken.setdefault(code, key)
    ladder = _ladder(value.get("levels"), wrong) if "levels" in value else []
    for key in ("categories_required_from", "audience_required_from", "approval_level"):
        given = value.get(key)
        if key in value and given not in ladder and not (given == "" and key != "approval_level"):
            wrong(key, "unknown-level", f"unknown level `{given}`", "a level of the ladder", nearest(str(given), ladder), at=given)
    for key, vocabulary in (("profile", Profile), ("releasable_in", ReleasableIn), ("audience_on_copies", AudienceOnCopies)):
        given = value.get(key)
        words = [str(word) for word in vocabulary]
        if key in value and given not in words:
            wrong(key, "value", f"`{given}`", f"one of {', '.join(f'`{word}`' for word in words)}", nearest(str(given), words), at=given)
    own = value.get("own")
    if "own" in value and not (isinstance(own, str) and CODE.fullmatch(own)):
        wrong("own", "code", f"`{own}` is not a code", "a code like `USA`", at=own)


def _ladder(levels: object, wrong: Any) -> list[str]:
    if not isinstance(levels, list) or not levels or not all(isinstance(level, dict) for level in levels):
        wrong("levels", "type", "`levels` is not a list of levels", '`[{name = "SECRET", mark = "S"}]`, lowest first')
        return []
    names: list[str] = []
    marks: list[str] = []
    for level in levels:
        name, mark = level.get("name"), level.get("mark")
        there = next((word for word in level.values() if isinstance(word, str)), None)
        for member in level:
            if member not in _LEVEL:
                wrong("levels", "unknown-key", f"unknown member `{member}` of a level", _LEVEL_SHOWN, nearest(member, _LEVEL), at=member)
        for member, word, words in (("name", name, names), ("mark", mark, marks)):
            if member not in level:
                wrong("levels", "type", f"a level without `{member}`", _LEVEL_SHOWN, at=there)
            elif not isinstance(word, str) or not LEVEL_NAME.fullmatch(word):
                wrong("levels", "level", f"`{word}` is not the {member} of a level", "upper-case words", at=word)
            elif word in words:
                for nth in (1, 2):
                    wrong("levels", "twice", f"`{word}` twice", "each level once", at=word, nth=nth)
            else:
                words.append(word)
    return names


def _scan(text: str) -> tuple[dict[str, Key], tuple[int, int] | None]:
    """Where keys and their strings stand; and the place at which brackets are too deep, if they are."""
    keys: dict[str, Key] = {}
    current = Key(1, 1)
    line, start, depth = 1, 0, 0
    fresh = True
    for match in _TOKEN.finditer(text):
        word, column = match.group(), match.start() - start + 1
        if word == "\n":
            line, start = line + 1, match.end()
            fresh = depth == 0
        elif word in "[{":
            if fresh:
                # A table: `[name]`. Its name is the next word.
                continue
            depth += 1
            if depth > NESTING_MAX:
                return keys, (line, column)
        elif word in "]}":
            depth = max(0, depth - 1)
        elif fresh and re.fullmatch(r"[A-Za-z0-9_-]+", word):
            current = keys.setdefault(word, Key(line, column))
            fresh = False
        elif depth and re.fullmatch(r"[A-Za-z0-9_-]+", word):
            current.members.append((word, line, column))
        elif word[0] in "\"'" and len(word) > 1:
            current.strings.append((_unquoted(word), line, column))
    return keys, None


def _unquoted(token: str) -> str:
    if token[0] == "'" or "\\" not in token:
        return token[1:-1]
    try:
        value = tomllib.loads(f"value = {token}")["value"]
    except tomllib.TOMLDecodeError:
        return token[1:-1]
    if not isinstance(value, str):
        raise Rejected("a quoted word that is not a string")
    return value
