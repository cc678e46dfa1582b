"""A partial tree rebuilds the root exactly where it says the truth about what is left out, and nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ProofError
from service.releaselog.merkle import TileReader, leaf_hash, root
from service.releaselog.partial import Gap, PartialTree, gap, gaps_between, rebuilt_root, subtrees

SIZE_MAX = 70


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % index) for index in range(size)]


def tiles_of(hashes: Sequence[bytes]) -> TileReader:
    def read(level: int, index: int, width: int) -> Sequence[bytes]:
        under = 256**level
        starts = range(index * 256 * under, (index * 256 + width) * under, under)
        return [root(hashes[start : start + under]) for start in starts]

    return read


def recursive_cover(included: set[int], start: int, stop: int) -> list[tuple[int, int]]:
    """What the definition says: a subtree wholly left out is one hash, one wholly shown none, any other is split as RFC 9162 splits it."""
    inside = sum(start <= index < stop for index in included)
    if inside == 0:
        return [(start, stop)] if stop > start else []
    if inside == stop - start:
        return []
    middle = start + (1 << ((stop - start - 1).bit_length() - 1))
    return recursive_cover(included, start, middle) + recursive_cover(included, middle, stop)


@st.composite
def partial_trees(draw: st.DrawFn, *, gaps_min: int = 0) -> tuple[int, list[int]]:
    size = draw(st.integers(1, SIZE_MAX))
    shown = sorted(draw(st.sets(st.integers(0, size - 1))))
    if gaps_min and len(shown) == size:
        shown.pop(draw(st.integers(0, size - 1)))
    return size, shown


def exported(size: int, shown: Sequence[int]) -> tuple[list[tuple[int, bytes]], list[Gap]]:
    hashes = leaves(size)
    read = tiles_of(hashes)
    return [(index, hashes[index]) for index in shown], [gap(start, stop, size, read) for start, stop in gaps_between(shown, size)]


@given(partial_trees())
def test_entries_and_gaps_lead_to_the_root_of_the_whole_tree(tree: tuple[int, list[int]]) -> None:
    size, shown = tree
    entries, gaps = exported(size, shown)
    assert rebuilt_root(size, entries, gaps) == root(leaves(size))


@given(partial_trees())
def test_a_gap_has_the_fewest_hashes_there_can_be(tree: tuple[int, list[int]]) -> None:
    size, shown = tree
    found = [part for start, stop in gaps_between(shown, size) for part in subtrees(start, stop, size)]
    assert found == recursive_cover(set(shown), 0, size)


@given(partial_trees())
def test_how_many_are_left_out_is_counted(tree: tuple[int, list[int]]) -> None:
    size, shown = tree
    entries, gaps = exported(size, shown)
    partial = PartialTree(size)
    waiting = list(gaps)
    for index, value in entries:
        if waiting and waiting[0].start < index:
            partial.leave_out(waiting.pop(0))
        partial.show(value)
    for left in waiting:
        partial.leave_out(left)
    assert (partial.size, partial.left_out) == (size, size - len(shown))
    assert partial.root() == root(leaves(size))


def changed(draw: st.DrawFn, size: int, entries: list[tuple[int, bytes]], gaps: list[Gap]) -> bool:
    """Tamper with one thing; False where this tree has no such thing."""
    kind = draw(st.sampled_from(["drop", "move", "other", "swap", "hash", "narrower", "wider", "gone", "again", "reorder"]))
    other = hashlib.sha256(b"another").digest()
    if kind in ("drop", "move", "other") and not entries:
        return False
    if kind in ("hash", "narrower", "wider", "gone", "again", "reorder") and not gaps:
        return False
    place = draw(st.integers(0, len(entries) - 1)) if entries else 0
    at = draw(st.integers(0, len(gaps) - 1)) if gaps else 0
    match kind:
        case "drop":
            entries.pop(place)
        case "move":
            index, value = entries[place]
            entries[place] = (index + draw(st.sampled_from([-1, 1])), value)
        case "other":
            entries[place] = (entries[place][0], other)
        case "swap":
            if len(entries) < 2:
                return False
            first, second = sorted(draw(st.sets(st.integers(0, len(entries) - 1), min_size=2, max_size=2)))
            (a, one), (b, two) = entries[first], entries[second]
            entries[first], entries[second] = (a, two), (b, one)
        case "hash":
            hashes = list(gaps[at].hashes)
            hashes[draw(st.integers(0, len(hashes) - 1))] = other
            gaps[at] = replace(gaps[at], hashes=tuple(hashes))
        case "reorder":
            if len(gaps[at].hashes) < 2:
                return False
            gaps[at] = replace(gaps[at], hashes=tuple(reversed(gaps[at].hashes)))
        case "narrower":
            if gaps[at].stop - gaps[at].start == 1:
                return False
            gaps[at] = replace(gaps[at], stop=gaps[at].stop - 1)
        case "wider":
            gaps[at] = replace(gaps[at], stop=gaps[at].stop + 1)
        case "gone":
            gaps.pop(at)
        case "again":
            gaps.insert(at, gaps[at])
    return True


@given(st.data())
def test_whatever_is_changed_the_root_is_another_or_there_is_none(data: st.DataObject) -> None:
    size, shown = data.draw(partial_trees())
    entries, gaps = exported(size, shown)
    if not data.draw(st.composite(changed)(size, entries, gaps)):
        return
    try:
        reached = rebuilt_root(size, entries, gaps)
    except ProofError:
        return
    assert reached != root(leaves(size))


@given(partial_trees(gaps_min=1), st.integers(1, SIZE_MAX))
def test_a_tree_of_another_size_does_not_have_these_gaps(tree: tuple[int, list[int]], other: int) -> None:
    size, shown = tree
    entries, gaps = exported(size, shown)
    if other == size:
        return
    with pytest.raises(ProofError):
        rebuilt_root(other, entries, gaps)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(lambda: Gap(3, 3, ()), "at least one entry", id="of no entries"),
        pytest.param(lambda: Gap(-1, 3, ()), "at least one entry", id="before the log"),
        pytest.param(lambda: Gap(0, 1, (b"short",)), "is not 32 bytes", id="a hash that is none"),
        pytest.param(lambda: subtrees(2, 9, 8), "expected a run of its leaves", id="beyond the tree"),
        pytest.param(lambda: list(gaps_between([1, 1], 3)), "expected them in order", id="an entry twice"),
        pytest.param(lambda: list(gaps_between([3], 3)), "expected them in order", id="an entry beyond"),
        pytest.param(lambda: PartialTree(-1), "tree size `-1`", id="no size"),
        pytest.param(lambda: PartialTree(1).root(), "entries from 0 on are neither shown nor left out", id="nothing accounted for"),
        pytest.param(lambda: PartialTree(1).show(b"short"), "is not 32 bytes", id="a leaf hash that is none"),
        pytest.param(lambda: PartialTree(4).leave_out(Gap(1, 2, (bytes(32),))), "expected 0", id="a gap elsewhere"),
        pytest.param(lambda: PartialTree(4).leave_out(Gap(0, 4, (bytes(32),) * 2)), "with 2 hashes, expected 1", id="too many hashes"),
        pytest.param(lambda: rebuilt_root(2, [(0, bytes(32)), (0, bytes(32))], []), "where entry 1 was to come", id="an entry repeated"),
    ],
)
def test_what_is_no_partial_tree_is_refused_with_its_reason(make: Callable[[], object], why: str) -> None:
    with pytest.raises(ProofError, match=why):
        make()


def test_the_empty_tree_is_whole() -> None:
    assert rebuilt_root(0, [], []) == root([])
