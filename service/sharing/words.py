"""Words: what of a portion can be found, and how `q` is read. One definition, whichever database keeps the index.

Pure. A *word* is a run of letters, digits and the marks that belong to them, by Unicode, folded: compatibility forms
(NFKD), case (`casefold`) and combining accents of letters are taken away, so that `Kraków`, `KRAKOW` and `krakow` are one.
Anything else, the underscore among it, only stands between words. In scripts written without spaces (Han, kana, Thai, Lao,
Khmer, Myanmar) each character is a word. A word longer than `SEARCH_WORD_CHARACTERS_MAX` is cut there, in what is kept and
in what is asked alike.

What can be found in a portion: the text of a title or text, the names of members and the strings of a JSON value, the name
of a file; never what is in a file. A phrase does not run from one name or string of a JSON value into the next.

`q` is words, all of which must stand in one portion, and `"quoted phrases"`, whose words must follow one another. What is
written without a space is a phrase too (`ship-to-shore`, a line of Japanese). There is nothing else: no operators, no
prefixes, no fields, and so nothing that a database could misread.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final

from service.errors import Rejected
from service.settings import SEARCH_QUERY_CHARACTERS_MAX, SEARCH_QUERY_WORDS_MAX, SEARCH_WORD_CHARACTERS_MAX
from service.store.search import Sought

_ASCII: Final = re.compile(r"[a-z0-9]+")
_ACCENTS: Final = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_APART: Final = " | "
"""Between strings that are no neighbours: no word holds a bar."""


def words(text: str) -> list[str]:
    """The words of a text, folded, in order."""
    if text.isascii():
        found = _ASCII.findall(text.lower())
    else:
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        found = _word().findall(unicodedata.normalize("NFC", _ACCENTS.sub("", folded)))
    return [word[:SEARCH_WORD_CHARACTERS_MAX] for word in found]


@cache
def _word() -> re.Pattern[str]:
    # `re` has no classes of its own for marks; letters and digits it knows as `\w` without the underscore.
    marks = "".join(char for char in map(chr, range(0x300, 0x20000)) if unicodedata.category(char).startswith("M"))
    one = f"[^\\W_]|[{marks}]"
    return re.compile(f"(?=[{_UNSPACED}])(?:{one})|(?:(?![{_UNSPACED}])(?:{one}))+")


def searched(kind: str, *, content: bytes, name: str | None) -> str:
    """What can be found of a portion: its words with a space before and after each, "" where it has none."""
    if kind == "json":
        strings = list(_strings(json.loads(content)))
    elif kind == "file":
        strings = []
    else:
        strings = [content.decode("utf-8")]
    if name is not None:
        strings.insert(0, name)
    runs = [" ".join(found) for text in strings if (found := words(text))]
    return f" {_APART.join(runs)} " if runs else ""


def _strings(value: object) -> Iterator[str]:
    """The names of members and the strings of a JSON value, in order. Its depth was limited when it came in."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def read_query(q: str) -> Sought:
    """What a `q` looks for.

    Raises:
        Rejected: no word in it, too long, too many words, or a quote that is not closed. `q` is not repeated in the message: it
            is the partner's own, and messages are logged.
    """
    if len(q) > SEARCH_QUERY_CHARACTERS_MAX:
        raise Rejected(f"`q` has {len(q)} characters, expected at most {SEARCH_QUERY_CHARACTERS_MAX}", code="query")
    pieces = q.split('"')
    if len(pieces) % 2 == 0:
        raise Rejected('`q` has a quote that is not closed, expected words and `"quoted phrases"`', code="query")
    runs = [words(run) for place, piece in enumerate(pieces) for run in ([piece] if place % 2 else piece.split())]
    runs = [run for run in runs if run]
    count = sum(map(len, runs))
    if not count:
        raise Rejected("`q` has no word to look for, expected a letter or a digit", code="query")
    if count > SEARCH_QUERY_WORDS_MAX:
        raise Rejected(f"`q` has {count} words, expected at most {SEARCH_QUERY_WORDS_MAX}", code="query")
    return Sought(
        words=tuple(sorted({word for run in runs for word in run})),
        phrases=tuple(sorted({" ".join(run) for run in runs})),
    )
