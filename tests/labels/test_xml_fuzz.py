"""Random XML: no text crashes the reader of STANAG 4774 labels and bindings, and none is read as less narrow than its own values.

Published labels and sidecars, and labels written here, with slips in them: characters, words, whole elements lost, doubled or exchanged.
The oracle knows no XML: it looks at what stands between tags, and asks that each value is in the label, and none else.
"""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest

from service.labels.markings.base import MarkingError, Unresolved
from service.labels.markings.nato_spif import CATEGORIES, CONTEXT_AUDIENCES, TagSet, code_of
from service.labels.markings.stanag4774 import (
    LABEL_NAMESPACE,
    PUBLIC,
    RELEASABLE,
    ConfidentialityLabel,
    read_bound,
    write_label,
)

PUBLISHED = Path(__file__).parent / "published"
SPECIMENS = [
    *(path.read_text(encoding="utf-8") for path in sorted((PUBLISHED / "stanag4774").glob("*.nato"))),
    *(path.read_text(encoding="utf-8") for path in sorted((PUBLISHED / "stanag4778").glob("*.bdo"))),
    *(
        write_label(ConfidentialityLabel("NATO", level, context, created=datetime(2026, 1, 2, tzinfo=UTC), **sets)).decode()  # type: ignore[arg-type]
        for level, context, sets in (
            ("SECRET", "NATO", {"releasable_to": ("NATO", "JPN", "CHE"), "sensitivities": ("ATOMAL",)}),
            ("CONFIDENTIAL", "KFOR", {"only": ("USA", "DEU"), "administrative": ("STAFF", "MEDICAL")}),
            ("RESTRICTED", "EAPC", {"public": True}),
        )
    ),
]
WORDS = (
    *("NATO", "SECRET", "RESTRICTED", "TOP SECRET", "JPN", "USA", "KFOR", "ISAF", "EAPC", RELEASABLE, PUBLIC, "ATOMAL", "STAFF", "DEU"),
    *("Context", "Releasable To", "Only", "Additional Sensitivity", "Administrative", "PERMISSIVE", "RESTRICTIVE", "INFORMATIVE"),
    *("", " ", "<!-- -->", "<?a?>", "&amp;", "&#74;PN", "&lt;", "]]>", "<![CDATA[JPN]]>", "\x00", "é", "\u200b", "</Category>", "<a/>"),
)
_ELEMENT = re.compile(
    r"<(?:\w+:)?(GenericValue|Category|Classification|PolicyIdentifier|ConfidentialityInformation)\b[^>]*>.*?</[^>]*\1>", re.DOTALL
)
_TAG = re.compile(r"""<[^"'>]*(?:"[^"]*"[^"'>]*|'[^']*'[^"'>]*)*>""")
_WORD = re.compile(r"[A-Za-z0-9:./#-]+")


def some_xml(draw: random.Random) -> str:
    """A specimen with a few slips in it."""
    text = draw.choice(SPECIMENS)
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        kind = draw.random()
        found = list(_ELEMENT.finditer(text)) if kind < 0.45 else list(_WORD.finditer(text)) if kind < 0.8 else []
        if found:
            one, other = draw.choice(found), draw.choice(found)
            replacement = draw.choice(("", one.group() * 2, other.group()) if kind < 0.45 else (draw.choice(WORDS), other.group()))
            text = text[: one.start()] + replacement + text[one.end() :]
        else:
            at = draw.randrange(len(text) + 1)
            text = text[:at] + draw.choice(('<>/"=& aN1', *WORDS)) + text[at + draw.randrange(3) :]
    return text


def check_not_wider(text: str) -> bool:
    """Whether a text is a label or binding; if so its labels name what stands in it, all of it, and nothing else."""
    try:
        labels = [binding.label for binding in read_bound(text)]
    except MarkingError as error:
        assert 0 <= error.offset <= len(text)
        assert error.code in {"malformed-marking", "unmarked", "unknown-level", "unknown-token", "unknown-code"}
        assert isinstance(error, Unresolved) is (error.code != "malformed-marking")
        assert "\n" not in str(error)
        return False
    if LABEL_NAMESPACE not in text:
        return True  # the numbered form names nothing
    # What a CDATA section holds is text too, and a number may stand for a character.
    flat = re.sub(r"<\?.*?\?>|<!--.*?-->", "", text, flags=re.DOTALL)
    flat = re.sub(r"<!\[CDATA\[(.*?)\]\]>", r"\1", flat, flags=re.DOTALL)
    values = {" ".join(unescape(value).split()) for value in _TAG.split(flat)} - {""}
    for label in labels:
        assert label.classification in values
        assert label.policy in values
        said = {label.policy, label.classification, RELEASABLE, *(name for name in values if re.fullmatch(r"\d{4}-\d\d-\d\dT.*", name))}
        codes = {*label.releasable_to, *label.only, *label.sensitivities, *label.administrative, label.context}
        assert {*codes} - {"NATO"} <= {code_of(value).upper() for value in values}, text
        left_out = {value for value in values - said if code_of(value).upper() not in codes}
        assert left_out <= ({PUBLIC} if label.public else set()), (text, left_out)
        assert not label.public or PUBLIC in values
        if label.releasable_to or label.only:
            assert set(label.audience or ()) == {*label.releasable_to, *label.only}
        elif not label.public:
            assert set(label.audience or ()) == set(
                CONTEXT_AUDIENCES[label.context] if label.policy.upper() == "NATO" else label.audience or ()
            )
    return True


def some_texts(seed: int, count: int) -> int:
    """Check so many texts; how many were labels."""
    draw = random.Random(seed)
    return sum(check_not_wider(some_xml(draw)) for _ in range(count))


def test_five_thousand_texts_are_read_as_no_more_than_they_say() -> None:
    assert some_texts(4778, 5_000) > 1_000


@pytest.mark.campaign
def test_a_million_texts_are_read_as_no_more_than_they_say() -> None:
    assert some_texts(47_784_774, 1_000_000) > 200_000


def test_every_value_of_the_policy_is_a_code_that_the_oracle_tells_from_the_others() -> None:
    for tag_set in (TagSet.RELEASABLE_TO, TagSet.ONLY):
        codes = [code_of(each.value) for each in CATEGORIES[tag_set].values()]
        assert len(codes) == len(set(codes))
