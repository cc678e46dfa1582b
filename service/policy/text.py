"""Bytes to lines, strictly: what stock Casbin would take in silently, and lose a prohibition by (DESIGN section 12).

Pure. UTF-8 without byte order mark, in normalisation form C, no space but U+0020, no invisible character, a newline at the end.
`table` adds the cells: separated by a comma and one space, none holding what Casbin's reader gives a meaning to.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.policy.findings import Finding, Severity, nearest

POLICY_FILE_BYTES_MAX = 8 << 20
"""A larger file is a finding, before anything in it is looked at."""

LINE_CHARACTERS_MAX = 16_384
FINDINGS_MAX = 1_000
"""Where there are this many, reading stops: they are to be mended, not counted."""

_ORDINARY = re.compile(r"[\x20-\x7e\n]*")
# Letters and marks by category, yet drawn as nothing: Unicode's default ignorables and blank symbols.
_BLANK = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)})
_FORBIDDEN = re.compile(r"[()\[\]\"'#;]")
_FORBIDDEN_OUTSIDE_CASBIN = re.compile(r"[#;]")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell and the column, from 1, at which it begins."""

    text: str
    column: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table: its number from 1, its text, its cells."""

    number: int
    text: str
    cells: tuple[Cell, ...]


def error(file: str, line: int, column: int, code: str, problem: str, expected: str = "", suggestion: str = "") -> Finding:
    """A finding that refuses the bundle."""
    return Finding(file, line, column, code, Severity.ERROR, problem, expected, suggestion)


def warning(file: str, line: int, column: int, code: str, problem: str, expected: str = "", suggestion: str = "") -> Finding:
    """A finding that does not."""
    return Finding(file, line, column, code, Severity.WARNING, problem, expected, suggestion)


def lines_of(file: str, content: bytes, findings: list[Finding]) -> list[str]:
    """The lines of a file, with everything wrong about its bytes added to `findings`. Bad lines are empty in the answer."""
    if len(content) > POLICY_FILE_BYTES_MAX:
        findings.append(error(file, 1, 1, "too-large", f"{len(content)} bytes", f"at most {POLICY_FILE_BYTES_MAX}"))
        return []
    if content.startswith(b"\xef\xbb\xbf"):
        findings.append(error(file, 1, 1, "byte-order-mark", "the file begins with a byte order mark", "none"))
        content = content[3:]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as wrong:
        before = content[: wrong.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        findings.append(error(file, line, column, "encoding", f"byte 0x{content[wrong.start]:02X} is not UTF-8", "UTF-8"))
        return []
    if not text.strip():
        findings.append(error(file, 1, 1, "empty", "the file is empty", "at least a comment line"))
        return []
    lines = text.split("\n")
    if lines[-1]:
        findings.append(error(file, len(lines), len(lines[-1]) + 1, "final-newline", "the last line does not end", "a newline"))
    else:
        lines.pop()
    if _ORDINARY.fullmatch(text):
        return lines
    return [line if len(findings) < FINDINGS_MAX and _clean(file, number, line, findings) else "" for number, line in enumerate(lines, 1)]


def _clean(file: str, number: int, line: str, findings: list[Finding]) -> bool:
    if _ORDINARY.fullmatch(line):
        return True
    if len(line) > LINE_CHARACTERS_MAX:
        findings.append(error(file, number, 1, "too-long", f"a line of {len(line)} characters", f"at most {LINE_CHARACTERS_MAX}"))
        return False
    clean = True
    for index, character in enumerate(line):
        category = unicodedata.category(character)
        if category[0] == "C" or (category[0] == "Z" and character != " ") or ord(character) in _BLANK:
            name = unicodedata.name(character, "a control character")
            findings.append(error(file, number, index + 1, "invisible-character", f"U+{ord(character):04X} ({name})", "no such character"))
            clean = False
            break
    composed = unicodedata.normalize("NFC", line)
    if composed != line:
        column = next((i for i, pair in enumerate(zip(line, composed, strict=False)) if pair[0] != pair[1]), len(composed)) + 1
        findings.append(error(file, number, column, "normalisation", "the line is not in normalisation form C", "composed characters"))
        clean = False
    return clean


def table(
    file: str,
    lines: Sequence[str],
    findings: list[Finding],
    *,
    begins: re.Pattern[str],
    header: str | None = None,
    key: str = "",
    columns: int,
    casbin: bool,
) -> Iterator[Line]:
    """The rows of a table that are whole; what is wrong with the others is added to `findings`.

    Args:
        begins: how a row begins, so that one which a comment has swallowed is seen.
        header: what line 1 has to be, or None for a Casbin file, which has none.
        key: the first cell of every row of a Casbin file (`p`, `g`, `g2`).
        columns: cells in a row, the key included.
        casbin: whether pycasbin reads the file, so that brackets and quotes have a meaning there.
    """
    for number, text in enumerate(lines, 1):
        if len(findings) >= FINDINGS_MAX:
            findings.append(error(file, number, 1, "too-many", f"{len(findings)} findings so far", "fewer; the rest is not read"))
            return
        if header is not None and number == 1:
            if text != header:
                column = next((i for i, pair in enumerate(zip(text, header, strict=False)) if pair[0] != pair[1]), 0) + 1
                findings.append(error(file, 1, column, "header", "line 1 is not the header", f"`{header}`"))
            continue
        if text.startswith("#"):
            column = _hidden_row(text, begins, columns)
            if column:
                expected = "the row on a line of its own, or no row; `# ` straight before it if it is to be kept"
                findings.append(error(file, number, column, "comment", "a row behind `#`, which takes it out of the policy", expected))
        if not text or text.startswith("#"):
            continue
        row = _row(file, number, text, findings, key=key, columns=columns, casbin=casbin)
        if row is not None:
            yield row


def _hidden_row(text: str, begins: re.Pattern[str], columns: int) -> int:
    """The column at which a comment holds a row that nobody meant to take out; 0 where it holds none.

    Two slips of the pen do this, and both would lose a prohibition silently: a `#` in place of a row's first letter or before it, and a
    missing line break behind a comment. A row kept on purpose stands behind `# `, and is left alone; so is a list of columns.
    """
    if text.count(",") + 1 == columns and text[1:2].strip() and "from, until" not in text and "level, categories" not in text:
        return 1
    for found in begins.finditer(text, 1):
        if found.start() > 2 and text.count(",", found.start()) + 1 == columns:
            return found.start() + 1
    return 0


def _row(file: str, number: int, text: str, findings: list[Finding], *, key: str, columns: int, casbin: bool) -> Line | None:
    if text.lstrip().startswith("#"):
        findings.append(error(file, number, 1, "comment", "a comment that is not at the start of its line", "`#` in column 1"))
        return None
    if len(text) > LINE_CHARACTERS_MAX:
        findings.append(error(file, number, 1, "too-long", f"a line of {len(text)} characters", f"at most {LINE_CHARACTERS_MAX}"))
        return None
    found: list[Finding] = []
    cells: list[Cell] = []
    offset = 0
    pieces = text.split(",")
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        column = offset + 1
        cell = piece
        if index and not (last and not piece):
            if not piece.startswith(" ") or (last and piece == " "):
                found.append(error(file, number, column, "separator", f"`{piece}` after a comma", "a comma and one space"))
            else:
                cell, column = piece[1:], column + 1
        if cell != cell.strip(" ") or "  " in cell:
            found.append(error(file, number, column, "spaces", f"superfluous space in `{cell}`", "one space between names"))
        wrong = (_FORBIDDEN if casbin else _FORBIDDEN_OUTSIDE_CASBIN).search(cell)
        if wrong:
            place = column + wrong.start()
            found.append(error(file, number, place, "character", f"`{wrong.group()}` in a cell", "none of `, ( ) [ ] \" ' # ;`"))
        cells.append(Cell(cell, column))
        offset += len(piece) + 1
    if key and cells[0].text != key:
        found.append(error(file, number, 1, "section", f"unknown row type `{cells[0].text}`", f"`{key}`", nearest(cells[0].text, (key,))))
    if len(cells) != columns:
        column = cells[columns].column if len(cells) > columns else len(text) + 1
        found.append(error(file, number, column, "columns", f"{len(cells)} cells", f"{columns}"))
    findings.extend(found[:8])
    return None if found else Line(number, text, tuple(cells))
