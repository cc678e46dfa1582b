"""Intake: how a marking becomes a label, and what is held in quarantine instead (DESIGN section 6).

Pure. A marking says level, audience and caveats; categories and originators come beside it. Here the two are put
together, every name is looked up, and what a marking leaves unsaid is settled once: no audience named is unrestricted
below the scheme's `audience_required_from`, and quarantine from there. An empty set must not slip past a category rule,
so a label without a category is quarantine from `categories_required_from`.

Consents and grants do not come in this way. They are acts, each with its own leaf.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from service.labels.label import NOBODY, UNRESTRICTED, Label, LabelError
from service.labels.markings.base import Marking, Unresolved, closest, shown
from service.labels.scheme import Scheme


def label_of(
    marking: Marking,
    *,
    categories: Iterable[str],
    originators: Iterable[str],
    scheme: Scheme,
    known_codes: Collection[str],
) -> Label:
    """The label of a marking, with the categories and originators given beside it.

    A marking that says whose information it holds is believed: those are the originators, and others given beside it too.
    Only ourselves it must name itself, for we are what is given where nobody is. One that holds a control system or a like
    regime makes a label for nobody, whatever audience it names: no label can say the rest of it.

    Args:
        known_codes: partners, communities and the own code.

    Raises:
        Unresolved: a name that scheme or partner list lacks, another's level that no table has put on our ladder, or an
            audience or category that its level requires.
        LabelError: no originator.
    """
    if marking.issuers:
        by = " ".join(marking.issuers)
        message = f"level {shown(marking.level)} of {shown(by)} is not one of ours, expected a line in `equivalences.csv`"
        raise Unresolved(message, text=marking.text, offset=_place(marking.level, marking.text), code="unknown-level")
    released, shown_beside = marking.releasable_to, marking.display_to
    if marking.unreleasable:
        released, shown_beside = NOBODY, None
    named = set(originators)
    if marking.originators:
        named = {*marking.originators, *(named - {scheme.own})}
    label = Label(
        level=marking.level,
        categories=tuple(categories),
        releasable_to=UNRESTRICTED if released is None else released,
        caveats=marking.caveats,
        originators=tuple(named),
        display_to=None if shown_beside is None else (*(released or ()), *shown_beside),
    )
    _check(label, marking.text, scheme=scheme, known_codes=known_codes)
    return label


def check_label(label: Label, *, scheme: Scheme, known_codes: Collection[str]) -> None:
    """Check a label given as JSON in place of a marking, as `label_of` checks a marking.

    An audience of `*` is what a marking says that names none: from `audience_required_from` it is quarantine here too.

    Raises:
        Unresolved: as for `label_of`; `text` is the label's canonical JSON.
        LabelError: a consent or grant in it, or an audience for display that no marking can say.
    """
    for name, given in (("consents", label.consents), ("grants", label.grants)):
        if given:
            raise LabelError(f"a label that comes in has no `{name}`, got {shown(given[0])}: they are acts of their own")
    if label.display_to == UNRESTRICTED:
        raise LabelError("`display_to` is `*` beside a restricted `releasable_to`, expected codes: no marking can say it")
    _check(label, label.canonical().decode(), scheme=scheme, known_codes=known_codes)


def _check(label: Label, text: str, *, scheme: Scheme, known_codes: Collection[str]) -> None:
    def look_up(kind: str, names: Iterable[str], vocabulary: Collection[str], code: str) -> None:
        for name in names:
            if name not in vocabulary:
                nearest = [shown(word) for word in closest(name, vocabulary)]
                hint = f", expected one like {' or '.join(nearest)}" if nearest else ""
                raise Unresolved(f"unknown {kind} {shown(name)}{hint}", text=text, offset=_place(name, text), code=code)

    look_up("level", (label.level,), [level.name for level in scheme.levels], "unknown-level")
    look_up("caveat", label.caveats, scheme.caveats, "unknown-token")
    look_up("category", label.categories, scheme.categories, "unknown-token")
    look_up("originator", label.originators, known_codes, "unknown-code")
    for audience in (label.releasable_to, label.shown_to):
        if audience != UNRESTRICTED:
            look_up("code in audience", audience, known_codes, "unknown-code")
    if label.releasable_to == UNRESTRICTED and scheme.requires_audience(label.level):
        raise Unresolved(
            f"no audience named at level `{label.level}`, expected one from `{scheme.audience_required_from}` on: "
            "`REL TO`, `DISPLAY ONLY` or `NOFORN`",
            text=text,
            code="unmarked",
        )
    if not label.categories and scheme.requires_categories(label.level):
        raise Unresolved(
            f"no category at level `{label.level}`, expected one from `{scheme.categories_required_from}` on",
            text=text,
            code="unmarked",
        )


def _place(name: str, text: str) -> int:
    """Where a name stands in a text, as a word of its own; 0 if it came from beside the text."""
    found = re.search(rf"(?<![A-Za-z0-9-]){re.escape(name)}(?![A-Za-z0-9-])", text, re.IGNORECASE)
    return found.start() if found else 0
