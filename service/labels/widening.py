"""Whether one label in the place of another may open anything: the comparison that decides who must approve it (DESIGN section 6).

Pure, and about labels alone: no policy, no membership, no date is looked at. A label *narrows* where under every policy of the shipped
model's functions, for every partner, whoever is a member of what and whenever, it is released and displayed to nobody that the other
was not. What is not provably so in every respect is said to widen, in words.

Each respect by itself, as the functions of DESIGN section 4 read it:

- a higher level is below fewer ceilings and above more floors;
- more categories, caveats and originators are covered by fewer agreements, touched by more prohibitions, and want more consents;
- fewer codes in an audience address fewer. By name: a community in place of its members is another audience tomorrow. The own code
  addresses nobody. For display the audience is that of either list;
- fewer consents and grants allow less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from service.labels.label import UNRESTRICTED, Label
from service.labels.markings.base import shown
from service.labels.scheme import Scheme


def widened(before: Label, after: Label, *, scheme: Scheme) -> tuple[str, ...]:
    """What `after` lowers, drops or adds, a line each; nothing where it is provably as narrow as `before` in every respect.

    A level that the ladder lacks is neither above nor below any other.
    """
    return (
        *_level(before.level, after.level, scheme=scheme),
        *_dropped("category", before.categories, after.categories),
        *_dropped("caveat", before.caveats, after.caveats),
        *_dropped("originator", before.originators, after.originators),
        *_opened("release", before.releasable_to, after.releasable_to, own=scheme.own),
        *_opened("display", _displayed(before), _displayed(after), own=scheme.own),
        *_added("consent", before.consents, after.consents),
        *_added("grant", before.grants, after.grants),
    )


def widened_through(
    before: Sequence[tuple[int, int, Label]], after: Sequence[tuple[int, int, Label]], *, scheme: Scheme
) -> tuple[str, ...]:
    """The same of labels through time, at every moment ahead; each line once.

    Args:
        before: (from, until, label), in order and without gaps; `after` likewise, beginning and ending with it.
    """
    moments = sorted({start for stretches in (before, after) for start, _, _ in stretches})
    lines = dict.fromkeys(
        line for moment in moments for line in widened(_label_at(before, moment), _label_at(after, moment), scheme=scheme)
    )
    return tuple(lines)


def _label_at(stretches: Sequence[tuple[int, int, Label]], moment: int) -> Label:
    # The first that has not ended: without gaps that is the one in force, also where it was read a moment before it begins.
    return next(label for _, until, label in stretches if moment < until)


def _level(before: str, after: str, *, scheme: Scheme) -> Iterable[str]:
    if before == after:
        return
    ladder = [level.name for level in scheme.levels]
    if before not in ladder or after not in ladder:
        yield f"the level becomes {shown(after)} from {shown(before)}, which the scheme cannot compare"
    elif ladder.index(after) < ladder.index(before):
        yield f"the level is lowered from {shown(before)} to {shown(after)}"


def _dropped(what: str, before: Sequence[str], after: Sequence[str]) -> Iterable[str]:
    for name in sorted(set(before) - set(after)):
        yield f"{what} {shown(name)} is dropped"


def _added(what: str, before: Sequence[str], after: Sequence[str]) -> Iterable[str]:
    for name in sorted(set(after) - set(before)):
        yield f"{what} {shown(name)} is added"


def _opened(action: str, before: Sequence[str], after: Sequence[str], *, own: str) -> Iterable[str]:
    if tuple(before) == UNRESTRICTED:
        return
    if tuple(after) == UNRESTRICTED:
        yield f"the audience for {action} becomes unrestricted"
        return
    for code in sorted(set(after) - set(before) - {own}):
        yield f"{shown(code)} is added to the audience for {action}"


def _displayed(label: Label) -> tuple[str, ...]:
    if UNRESTRICTED in (label.releasable_to, label.shown_to):
        return UNRESTRICTED
    return (*label.releasable_to, *label.shown_to)
