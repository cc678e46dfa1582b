"""Facts: what an auditor can look for in a sealed record, as pairs of a kind and a value.

Pure, and of the record alone, so that whoever opens the record derives the same facts: what is kept beside the logs for queries
can be made again from them, and `entente log verify` does. A fact says that an entry *concerns* something. Of a refusal these are
the labels and rules of what was withheld, of a page those of every item on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

Fact = tuple[str, str]
"""(kind, value)."""

OUTCOME: Final = "outcome"
LEVEL: Final = "level"
CATEGORY: Final = "category"
RULE: Final = "rule"
BUNDLE: Final = "bundle"
KINDS: Final = (OUTCOME, LEVEL, CATEGORY, RULE, BUNDLE)


def facts(record: Mapping[str, object]) -> frozenset[Fact]:
    """The facts of a record. What is of another form than a record's has none: whether it may be so is verification's to say."""
    return frozenset(_facts(record))


def label_facts(level: object, categories: object) -> Iterator[Fact]:
    """What a label gives to the record that holds it."""
    if isinstance(level, str):
        yield LEVEL, level
    yield from _each(CATEGORY, categories)


def rule_facts(rules: object) -> Iterator[Fact]:
    """What the rules of an item give to the record that names it."""
    return _each(RULE, rules)


def _facts(record: Mapping[str, object]) -> Iterator[Fact]:
    for kind in (OUTCOME, BUNDLE):
        yield from _each(kind, [record.get(kind)])
    labels = record.get("labels")
    for label in labels.values() if isinstance(labels, dict) else ():
        if isinstance(label, dict):
            yield from label_facts(label.get("level"), label.get("categories"))
    items = record.get("items")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield from rule_facts(item.get("rules"))


def _each(kind: str, values: object) -> Iterator[Fact]:
    for value in values if isinstance(values, list | tuple) else ():
        if isinstance(value, str):
            yield kind, value
