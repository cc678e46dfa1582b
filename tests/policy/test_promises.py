"""What an explanation promises comes true: whatever would mend a refusal, done to the letter, has the outcome that was told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import product
from pathlib import Path

import pytest

from service.labels.label import Label
from service.policy import Bundle, NearMiss, Outcome, load_bundle, read_bundle
from tests.support.prove_bundles import MATCHERS, NOW, PARTNERS, random_bundle, some_labels

SAMPLE = load_bundle(Path(__file__).parents[2] / "policies")
SAMPLE_NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
_SENTENCE = re.compile(
    r"(?P<why>.*); (?P<done>released|shown|referred to an officer) if (?P<mend>.*?)"
    r"(?: and (?P<forbidding>PRO-\d+(?: and PRO-\d+)*) did not forbid it)?"
)
_OUTCOMES = {"released": Outcome.RELEASE, "shown": Outcome.RELEASE, "referred to an officer": Outcome.REFER}


def test_a_release_that_a_prohibition_forbids_is_not_promised() -> None:
    label = Label("SECRET", ("NUCLEAR",), ("IND", "USA"), (), ("USA",))
    explanation = SAMPLE.snapshot(SAMPLE_NOW).explain("IND", "release", label)
    assert explanation.decision.rules == ("PRO-0005",)
    assert {miss.rule: miss.reason for miss in explanation.near_misses if miss.condition.startswith("granted(")} == {
        "AGR-0007": "no officer has granted release to IND; released if an officer granted release to IND and PRO-0005 did not forbid it"
    }


def test_nor_that_an_officer_may_be_asked_where_that_is_forbidden() -> None:
    label = Label("TOP SECRET", ("NUCLEAR",), ("IND", "USA"), (), ("USA",))
    explanation = SAMPLE.snapshot(SAMPLE_NOW).explain("IND", "release", label)
    assert [miss.reason for miss in explanation.refer_misses if miss.rule == "AGR-0007"] == [
        "its ceiling is SECRET, the label is TOP SECRET; "
        "referred to an officer if its ceiling were TOP SECRET and PRO-0005 did not forbid it"
    ]


@pytest.mark.parametrize("name", ["shipped", "with-negations", "with-alternatives"])
def test_what_an_explanation_promises_comes_true(name: str) -> None:
    """Over random rules and labels: without the prohibitions that are named, the outcome is the one told; with them, it is not."""
    kept = forbidden = 0
    for seed in range(20):
        bundle = random_bundle(f"promises {seed}", matcher=MATCHERS[name])
        snapshot = bundle.snapshot(NOW)
        asked = product(some_labels(6, seed), PARTNERS, ("release", "display"), ("none", "KEEN"))
        for label, partner, action, purpose in asked:
            explanation = snapshot.explain(partner, action, label, purpose)
            if explanation.decision.outcome is Outcome.RELEASE:
                continue
            for miss in (*explanation.near_misses, *explanation.refer_misses):
                told = _SENTENCE.fullmatch(miss.reason)
                if told is None:
                    continue
                forbidding = (told["forbidding"] or "").split(" and ") if told["forbidding"] else []
                for mended, as_labelled, for_purpose in _done(bundle, miss, told["mend"], label, partner, action, purpose):
                    without = _without(mended, forbidding).snapshot(NOW).decide(partner, action, as_labelled, for_purpose)
                    assert without.outcome is _OUTCOMES[told["done"]], (seed, miss, label, partner, action, purpose)
                    assert miss.rule in without.rules
                    if forbidding:
                        forbidden += 1
                        before = mended.snapshot(NOW).decide(partner, action, as_labelled, for_purpose)
                        assert before.outcome is not _OUTCOMES[told["done"]], (seed, miss, label, partner, action, purpose)
                    kept += 1
    assert kept > 40
    assert forbidden > 1


def _done(
    bundle: Bundle, miss: NearMiss, mend: str, label: Label, partner: str, action: str, purpose: str
) -> Iterator[tuple[Bundle, Label, str]]:
    """The bundle, label and purpose after the mend, once for each way in which it can be read."""
    words = mend.split(" ")
    names = tuple(word for word in words if word.isupper() and word not in (partner, "TO"))
    match words:
        case ["its", "ceiling", "were", level] | ["it", "began", "at", level]:
            yield _row(bundle, miss.rule, 6, level), label, purpose
        case ["it", "covered", *_]:
            column = 7 if "r.categories" in miss.condition else 8
            yield _row(bundle, miss.rule, column, " ".join((*_cell(bundle, miss.rule, column), *names))), label, purpose
        case ["it", "allowed", what]:
            yield _row(bundle, miss.rule, 3, what), label, purpose
        case ["it", "were", "for", *_]:
            lacking = [word for word in words if word.isupper()]
            yield _row(bundle, miss.rule, 9, " ".join(dict.fromkeys((*_cell(bundle, miss.rule, 9), *lacking)))), label, purpose
        case ["the", "label", "were", "addressed", "to", code]:
            yield bundle, replace(label, releasable_to=(*label.releasable_to, code), display_to=label.shown_to), purpose
        case ["an", "officer", "granted", what, "to", code]:
            yield bundle, replace(label, grants=(*label.grants, f"{what}:{code}")), purpose
        case [*_, "consented", "to", code, "having", "it"]:
            lacking = [word for word in words[: words.index("consented")] if word != "and"]
            yield bundle, replace(label, consents=(*label.consents, *(f"{one}:{code}" for one in lacking))), purpose
        case ["it", "were", "asked", "for", "the", "purpose", *purposes]:
            for one in purposes:
                yield bundle, label, one
        case _:
            # `... were not so`: under a negation, there is nothing that could be done to the letter.
            assert "were not so" in mend or "were so" in mend, mend


def _cell(bundle: Bundle, id: str, column: int) -> tuple[str, ...]:
    rule = bundle.rule(id)
    assert rule is not None
    cell = rule.place.text.split(", ")[column]
    return () if cell == "none" else tuple(cell.split(" "))


def _row(bundle: Bundle, id: str, column: int, value: str) -> Bundle:
    """With another value in a cell of a rule."""
    rule = bundle.rule(id)
    assert rule is not None
    cells = rule.place.text.split(", ")
    cells[column] = value
    return _edited(bundle, rule.place.text, ", ".join(cells) + "\n")


def _without(bundle: Bundle, rules: list[str]) -> Bundle:
    for id in rules:
        rule = bundle.rule(id)
        assert rule is not None
        bundle = _edited(bundle, rule.place.text, "")
    return bundle


@lru_cache(maxsize=256)
def _edited(bundle: Bundle, line: str, by: str) -> Bundle:
    files = {name: content.replace(f"{line}\n".encode(), by.encode()) for name, content in bundle.files.items()}
    return read_bundle(files)
