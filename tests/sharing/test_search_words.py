"""What a word is, what of a portion can be found, and how `q` is read."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Rejected
from service.settings import SEARCH_QUERY_CHARACTERS_MAX, SEARCH_QUERY_WORDS_MAX, SEARCH_WORD_CHARACTERS_MAX
from service.sharing.words import read_query, searched, words

WORDS = [
    pytest.param("Naval exercise, Sea of Japan.", ["naval", "exercise", "sea", "of", "japan"], id="stops-and-commas-stand-between"),
    pytest.param("KRAKÓW Kraków krakow", ["krakow"] * 3, id="case-and-accents-do-not-count"),
    pytest.param("Straße STRASSE", ["strasse"] * 2, id="sharp-s-is-two"),
    pytest.param("ΣΊΣΥΦΟΣ Σίσυφος", ["σισυφοσ"] * 2, id="final-sigma"),
    pytest.param("İstanbul istanbul", ["istanbul"] * 2, id="dotted-i"),
    pytest.param("Việt Nam", ["viet", "nam"], id="two-accents-on-one-letter"),
    pytest.param("Ёлка елка", ["елка"] * 2, id="cyrillic"),
    pytest.param("ﬁle ｆｉｌｅ x²", ["file", "file", "x2"], id="compatibility-forms"),
    pytest.param("north_sea-chart.v2", ["north", "sea", "chart", "v2"], id="underscores-and-hyphens-stand-between"),
    pytest.param("don't o’clock", ["don", "t", "o", "clock"], id="apostrophes-stand-between"),
    pytest.param("10,5 km", ["10", "5", "km"], id="digits"),
    pytest.param("東京湾", ["東", "京", "湾"], id="han-each-a-word"),
    pytest.param("レーダー ﾚｰﾀﾞｰ", ["レ", "ー", "ダ", "ー"] * 2, id="kana-each-a-word-in-both-widths"),
    pytest.param("がか", ["が", "か"], id="a-voiced-kana-is-another-letter"),
    pytest.param("ราชนาวี", list("ราชนาว\u0e35"), id="thai-each-a-word"),
    pytest.param("한국 해군", ["한국", "해군"], id="hangul-is-written-with-spaces"),
    pytest.param("हिन्दी भाषा।", ["हिन्दी", "भाषा"], id="marks-that-are-no-accents-belong-to-the-word"),
    pytest.param("البحرية", ["البحرية"], id="arabic"),
    pytest.param("HMS東京 x", ["hms", "東", "京", "x"], id="scripts-mixed"),
    pytest.param("... --- !?", [], id="nothing"),
    pytest.param("", [], id="empty"),
    pytest.param("a\x00b\x1fc", ["a", "b", "c"], id="control-characters-stand-between"),
    pytest.param("x" * 100, ["x" * SEARCH_WORD_CHARACTERS_MAX], id="a-long-word-is-cut"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), WORDS)
def test_words_are_runs_of_letters_and_digits_folded(text: str, found: list[str]) -> None:
    assert words(text) == found


@given(st.text(max_size=40))
def test_words_hold_nothing_that_any_index_could_misread(text: str) -> None:
    for word in words(text):
        assert 0 < len(word) <= SEARCH_WORD_CHARACTERS_MAX
        assert all(unicodedata.category(char)[0] in "LNM" for char in word), word
        assert not word.isascii() or word == word.lower()
        assert word.encode("utf-8")


@given(st.text(max_size=40), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_words_are_the_same_in_every_normal_form(text: str, form: str) -> None:
    assert words(unicodedata.normalize(form, text)) == words(text)


@given(st.lists(st.text(alphabet="abcXYZ019éÅß東กЖ", min_size=1, max_size=5), max_size=5))
def test_words_found_are_words_again(texts: list[str]) -> None:
    found = words(" ".join(texts))
    assert words(" ".join(found)) == found


SEARCHED = [
    pytest.param("title", b"A Title", None, " a title ", id="title"),
    pytest.param("text", b"One. Two\nthree", None, " one two three ", id="text-across-lines"),
    pytest.param("file", b"", "chart-7.PNG", " chart 7 png ", id="the-name-of-a-file"),
    pytest.param("json", b'{"Range":{"km":12,"note":"far off"},"b":[true,null,"x"]}', None, " range | km | note | far off | b | x ",
                 id="names-and-strings-of-json"),
    pytest.param("json", b'"just this"', None, " just this ", id="a-string-alone"),
    pytest.param("json", b"[1,2,3]", None, "", id="numbers-alone"),
    pytest.param("json", b'"deep"', "depth", " depth | deep ", id="a-json-value-with-a-name"),
    pytest.param("text", b"...", None, "", id="no-word"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "name", "found"), SEARCHED)
def test_what_can_be_found_of_a_portion(kind: str, content: bytes, name: str | None, found: str) -> None:
    assert searched(kind, content=content, name=name) == found


@given(st.recursive(st.text(max_size=8) | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.text(max_size=8), inner, max_size=3), max_leaves=8))  # fmt: skip
def test_every_string_of_a_json_value_can_be_found_and_none_runs_into_the_next(value: object) -> None:
    body = searched("json", content=json.dumps(value).encode(), name=None)
    runs = [run.split() for run in body.split("|")] if body else []

    def strings(one: object) -> list[str]:
        if isinstance(one, dict):
            return [text for name, inner in one.items() for text in (name, *strings(inner))]
        if isinstance(one, list):
            return [text for inner in one for text in strings(inner)]
        return [one] if isinstance(one, str) else []

    assert runs == [found for text in strings(value) if (found := words(text))]


QUERIES = [
    pytest.param("naval exercise", ("exercise", "naval"), ("exercise", "naval"), id="words"),
    pytest.param('"Naval  Exercise"', ("exercise", "naval"), ("naval exercise",), id="a-phrase"),
    pytest.param('sea "of japan" SEA', ("japan", "of", "sea"), ("of japan", "sea"), id="both-and-a-word-twice"),
    pytest.param("ship-to-shore", ("ship", "shore", "to"), ("ship to shore",), id="written-as-one-is-a-phrase"),
    pytest.param("東京湾", ("京", "東", "湾"), ("東 京 湾",), id="unspaced-is-a-phrase"),
    pytest.param('"" x', ("x",), ("x",), id="an-empty-phrase-asks-for-nothing"),
    pytest.param('a"b c"d', ("a", "b", "c", "d"), ("a", "b c", "d"), id="quotes-without-spaces"),
    pytest.param("NOT a OR b AND c NEAR(d)", ("a", "and", "b", "c", "d", "near", "not", "or"),
                 ("a", "and", "b", "c", "near d", "not", "or"), id="there-are-no-operators"),
    pytest.param("words:x^2 * -y", ("2", "words", "x", "y"), ("words x 2", "y"), id="nor-fields-nor-stars"),
    pytest.param("'; DROP TABLE item; --", ("drop", "item", "table"), ("drop", "item", "table"), id="nor-anything-else"),
]  # fmt: skip


@pytest.mark.parametrize(("q", "sought", "phrases"), QUERIES)
def test_q_is_words_and_quoted_phrases(q: str, sought: tuple[str, ...], phrases: tuple[str, ...]) -> None:
    found = read_query(q)
    assert (found.words, found.phrases) == (sought, phrases)


def test_q_says_the_same_in_any_order_case_and_form() -> None:
    assert read_query('KRAKÓW "of Gdańsk" port') == read_query('port  port "Of gdansk" krakow')


REFUSED = [
    pytest.param("", "no word", id="empty"),
    pytest.param("   ", "no word", id="blanks"),
    pytest.param("!? * -", "no word", id="no-word"),
    pytest.param('""', "no word", id="an-empty-phrase"),
    pytest.param('sea "of japan', "not closed", id="an-open-quote"),
    pytest.param('"', "not closed", id="a-quote"),
    pytest.param("x" * (SEARCH_QUERY_CHARACTERS_MAX + 1), "201 characters, expected at most 200", id="too-long"),
    pytest.param("a " * (SEARCH_QUERY_WORDS_MAX + 1), "33 words, expected at most 32", id="too-many-words"),
    pytest.param("東" * (SEARCH_QUERY_WORDS_MAX + 1), "33 words", id="too-many-characters-that-are-words"),
]


@pytest.mark.parametrize(("q", "says"), REFUSED)
def test_q_is_refused_in_words_of_our_own_which_do_not_repeat_it(q: str, says: str) -> None:
    with pytest.raises(Rejected, match=says) as refused:
        read_query(q)
    assert refused.value.code == "query"
    assert "japan" not in str(refused.value)


@given(st.text(max_size=30))
def test_q_is_read_or_refused_whatever_it_is(q: str) -> None:
    try:
        found = read_query(q)
    except Rejected:
        return
    assert found.words and found.phrases
    assert sorted({word for phrase in found.phrases for word in phrase.split()}) == list(found.words)
