"""`entente policy format`: a bundle in the strict form, where what is written is unambiguous and merely untidy (DESIGN section 14).

Pure. What it mends: blanks around commas, before and behind a line, and doubled ones; line ends of another system; a missing final newline
and empty lines at the end; names of a set doubled, or in another order than the scheme's. Comments and empty lines stay where they are.

It never guesses. Invisible characters, a byte order mark, another case, unknown words are findings and remain so, and a file with an error
left in it stays as it was, byte for byte. Nor does it trust itself: a file is changed only where old and new, taken apart by another
function than the one that wrote them, say the same; and a bundle that could be read reads to the same rows as before.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace

from service.labels.scheme import Scheme
from service.policy.findings import Finding, Severity
from service.policy.functions import ALL, NONE
from service.policy.model_check import values_of
from service.policy.reader import CASES_HEADER, EQUIVALENCES_HEADER, FILES, NEVER_HEADER, read
from service.policy.rows import Place
from service.policy.scheme_check import FILE as SCHEME_FILE
from service.policy.scheme_check import read_scheme
from service.policy.text import error

_HEADERS = {"cases.csv": CASES_HEADER, "never.csv": NEVER_HEADER, "equivalences.csv": EQUIVALENCES_HEADER}
_RULE_SETS = {5: "codes", 7: "categories", 8: "caveats", 9: "codes"}
_SETS: Mapping[str, Mapping[int, str]] = {
    "partners.csv": {},
    "communities.csv": {},
    "agreements.csv": _RULE_SETS,
    "prohibitions.csv": _RULE_SETS,
    "cases.csv": {6: "categories", 7: "codes", 8: "codes", 9: "caveats", 10: "codes", 11: "codes", 12: "codes", 14: "codes"},
    "never.csv": {4: "categories", 5: "caveats", 6: "codes"},
    "equivalences.csv": {},
}
"""The columns of each table that hold sets, from 0, and how these are ordered."""


@dataclass(frozen=True, slots=True)
class Formatted:
    """What formatting comes to: the files that are to be written, and what is found in the bundle besides, at its place as it was."""

    changed: Mapping[str, bytes]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What formatting does not mend; the files these are in are not among `changed`."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)


def format_files(files: Mapping[str, bytes]) -> Formatted:
    """The bundle in these files, in the strict form."""
    wanted = dict(files)
    scheme: Scheme | None = None
    # The scheme first: it says in which order sets are written.
    for name in (SCHEME_FILE, *(name for name in FILES if name != SCHEME_FILE)):
        if name not in files:
            continue
        tidied = _tidied(name, files[name], scheme)
        if tidied is not None and _says_the_same(name, files[name], tidied):
            wanted[name] = tidied
        if name == SCHEME_FILE:
            scheme = _scheme_in(wanted[name])
    # A file that is refused for something else stays as it was; others are not held up by it.
    _, findings = read(wanted)
    refused = {finding.file for finding in findings if finding.severity is Severity.ERROR}
    changed = {name: content for name, content in wanted.items() if content != files[name] and name not in refused}
    before, _ = read(files)
    if before is not None:
        content, _ = read({**files, **changed})
        if content is None or _rows_of(before) != _rows_of(content):
            # Not to be reached: each file was compared already. If it is, nothing is written.
            problem = "the formatted file would not say the same"
            return Formatted({}, tuple(error(name, 1, 1, "format", problem, "it as it is") for name in sorted(changed)))
    return Formatted(changed, tuple(sorted({_placed(finding, files, wanted, changed) for finding in findings})))


def _placed(finding: Finding, files: Mapping[str, bytes], wanted: Mapping[str, bytes], changed: Mapping[str, bytes]) -> Finding:
    """A finding about a tidied file that was not written, at its place in the file as it is. Lines are the same, columns are not."""
    name = finding.file
    if name in changed or name not in _SETS or name not in files or files[name] == wanted[name]:
        return finding
    old, new = (content.decode("utf-8").split("\n") for content in (files[name], wanted[name]))
    if finding.line > min(len(old), len(new)):
        return finding
    before = new[finding.line - 1][: finding.column - 1].split(",")
    cells = old[finding.line - 1].split(",")
    index = min(len(before), len(cells)) - 1
    cell, letters = cells[index], len(before[index].replace(" ", ""))
    # Behind as many letters of the same cell; where its names were put in order, at one of them.
    places = [place for place, letter in enumerate(cell) if letter != " "]
    inside = places[letters] if letters < len(places) else len(cell)
    return replace(finding, column=sum(len(other) + 1 for other in cells[:index]) + inside + 1)


def _tidied(name: str, content: bytes, scheme: Scheme | None) -> bytes | None:
    """A file as it should be written; None where its bytes are no text."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    lines = [line.rstrip(" ") for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if name in _SETS:
        lines = [_tidied_line(name, line, scheme, header=number == 0 and name in _HEADERS) for number, line in enumerate(lines)]
    return "".join(f"{line}\n" for line in lines).encode()


def _tidied_line(name: str, line: str, scheme: Scheme | None, *, header: bool) -> str:
    bare = line.lstrip(" ")
    if not bare or bare.startswith("#"):
        return bare
    cells = [" ".join(word for word in cell.split(" ") if word) for cell in line.split(",")]
    if not header:
        cells = [_ordered(cell, _SETS[name].get(index, ""), scheme) for index, cell in enumerate(cells)]
    return ", ".join(cells).rstrip(" ")


def _ordered(cell: str, how: str, scheme: Scheme | None) -> str:
    """A set with its names in order and each once; what is no set, or holds a name the scheme lacks, as it is."""
    words = list(dict.fromkeys(cell.split(" ")))
    if not how or scheme is None or ALL in words:
        return cell
    if how == "codes":
        # Ourselves first, as in markings: REL TO USA, JPN. `none` as a purpose is the first of them.
        return " ".join(sorted(words, key=lambda word: (word != NONE, word != scheme.own, word)))
    names = scheme.categories if how == "categories" else scheme.caveats
    if words == [NONE] or not set(words) <= set(names):
        return cell
    return " ".join(sorted(words, key=names.index))


def _scheme_in(content: bytes) -> Scheme | None:
    try:
        lines = content.decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError:
        return None
    return read_scheme(lines, [])[0]


# The check: old and new taken apart in another way.


def _says_the_same(name: str, old: bytes, new: bytes) -> bool:
    return _sense(name, old.decode("utf-8")) == _sense(name, new.decode("utf-8"))


def _sense(name: str, text: str) -> object:
    if name == SCHEME_FILE:
        return _sense_of_toml(text)
    return _sense_of_table(name, text) if name in _SETS else _sense_of_model(text)


def _sense_of_toml(text: str) -> object:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        # Not to be read, so nothing but the ends of its lines may differ.
        return _without_line_ends(text)


def _sense_of_model(text: str) -> object:
    return _without_line_ends(text), values_of(text.replace("\r\n", "\n").split("\n"))


def _without_line_ends(text: str) -> Sequence[str]:
    return [line.rstrip(" ") for line in text.rstrip(" \r\n").replace("\r\n", "\n").split("\n")]


def _sense_of_table(name: str, text: str) -> object:
    sense: list[object] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n")):
        stripped = line.strip(" ")
        if stripped.startswith("#") or not stripped:
            sense.append(stripped)
            continue
        cells = stripped.split(",")
        header = number == 0 and name in _HEADERS
        sense.append([_sense_of_cell(cell, "" if header else _SETS[name].get(index, "")) for index, cell in enumerate(cells)])
    while sense and not sense[-1]:
        sense.pop()
    return sense


def _sense_of_cell(cell: str, how: str) -> object:
    words = [word for word in cell.split(" ") if word]
    return frozenset(words) if how else words


def _rows_of(value: object) -> object:
    """A content without places and with its sets as sets: what the rows say, and nothing of how it is written."""
    if isinstance(value, Place):
        return None
    if isinstance(value, tuple | list):
        return [_rows_of(element) for element in value]
    if is_dataclass(value) and not isinstance(value, type):
        said = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
        return {
            name: frozenset(word.split(" ")) if name in ("purpose", "categories", "caveats", "originator") and isinstance(word, str)
            else word.replace("\r\n", "\n").split() if name == "model" and isinstance(word, str)
            else _rows_of(word)
            for name, word in said.items()
        }  # fmt: skip
    return value
