"""Findings: what is wrong in a bundle, where, what was expected, and what was probably meant.

Pure. A finding is an *error*, which refuses the bundle, or a *warning*, which does not. `code` is a stable word for programs;
the message is for the officer who wrote the line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.errors import Rejected

COMPARED_WORDS_MAX = 2_000
COMPARED_CHARACTERS_MAX = 64
"""A suggestion is a courtesy; looking for one must not become the work."""


class Severity(StrEnum):
    """Whether a finding refuses the bundle."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something wrong at a place.

    `line` and `column` count from 1; line 1, column 1 stand for a whole file. `expected` says what would have been right,
    `suggestion` is what was probably meant; both may be empty.
    """

    file: str
    line: int
    column: int
    code: str
    severity: Severity
    problem: str
    expected: str = ""
    suggestion: str = ""

    @property
    def message(self) -> str:
        """Problem, expectation and suggestion in one line."""
        text = self.problem
        if self.expected:
            text += f", expected {self.expected}"
        if self.suggestion:
            text += f", did you mean `{self.suggestion}`?"
        return text

    def to_json(self) -> dict[str, Any]:
        """The members of DESIGN section 14."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
        }

    def __str__(self) -> str:
        """`file:line:column: code: message`."""
        return f"{self.file}:{self.line}:{self.column}: {self.code}: {self.message}"


class PolicyRejected(Rejected):
    """A bundle that is not wholly understood. `findings` holds everything found, warnings included, in order of place."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(sorted(findings))
        errors = [finding for finding in self.findings if finding.severity is Severity.ERROR]
        first = f"{errors[0]}" if errors else "no errors"
        super().__init__(f"policy refused with {len(errors)} errors, the first: {first}", code="policy")


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like `word`, or nothing. Case and separators weigh little: `maritime` means `MARITIME`."""
    words = sorted(known)
    for candidate in words:
        if candidate.casefold() == word.casefold():
            return candidate
    if len(words) > COMPARED_WORDS_MAX or len(word) > COMPARED_CHARACTERS_MAX:
        return ""
    for spelt in (word, word.upper()):
        found = difflib.get_close_matches(spelt, words, n=1, cutoff=0.6)
        if found:
            return found[0]
    return ""


def is_one_slip(word: str, other: str) -> bool:
    """Whether one letter typed wrong, left out, added or exchanged with its neighbour makes one word of the other."""
    if word == other or abs(len(word) - len(other)) > 1:
        return False
    begin = next((i for i, pair in enumerate(zip(word, other, strict=False)) if pair[0] != pair[1]), min(len(word), len(other)))
    left, right = word[begin:], other[begin:]
    return left[1:] == right[1:] or left[1:] == right or left == right[1:] or (left[:2] == right[:2][::-1] and left[2:] == right[2:])
