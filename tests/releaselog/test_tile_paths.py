"""Names of tiles and bundles of entries, in the one form of C2SP tlog-tiles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ProofError
from service.releaselog.tiles import INDEX_MAX, TilePath, decode_bundle, decode_tile, encode_bundle, encode_tile


@pytest.mark.parametrize(
    ("path", "meaning"),
    [
        ("tile/0/000", TilePath(0, 0)),
        ("tile/0/x001/x234/067", TilePath(0, 1_234_067)),  # the specification's example
        ("tile/1/999", TilePath(1, 999)),
        ("tile/1/x001/000", TilePath(1, 1000)),
        ("tile/63/000.p/1", TilePath(63, 0, 1)),
        ("tile/0/x010/005.p/255", TilePath(0, 10_005, 255)),
        ("tile/entries/000", TilePath(None, 0)),
        ("tile/entries/x001/234.p/17", TilePath(None, 1234, 17)),
    ],
)
def test_a_path_means_one_tile(path: str, meaning: TilePath) -> None:
    assert TilePath.parse(path) == meaning
    assert str(meaning) == path


@given(st.none() | st.integers(0, 63), st.integers(0, INDEX_MAX), st.integers(1, 256))
def test_every_tile_has_a_path_that_leads_back(level: int | None, index: int, width: int) -> None:
    assert TilePath.parse(str(TilePath(level, index, width))) == TilePath(level, index, width)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("", id="empty"),
        pytest.param("tile/0", id="no-index"),
        pytest.param("/tile/0/000", id="leading-slash"),
        pytest.param("tile/0/000/", id="trailing-slash"),
        pytest.param("tile/0/000\n", id="newline"),
        pytest.param("tile/00/000", id="level-with-leading-zero"),
        pytest.param("tile/64/000", id="level-too-high"),
        pytest.param("tile/-1/000", id="negative-level"),
        pytest.param("tile/Entries/000", id="upper-case"),
        pytest.param("tile/data/000", id="another-word"),
        pytest.param("tile/0/0", id="one-digit"),
        pytest.param("tile/0/0000", id="four-digits"),
        pytest.param("tile/0/1234", id="no-groups"),
        pytest.param("tile/0/001/234", id="group-without-x"),
        pytest.param("tile/0/x001/x234", id="x-on-the-last-group"),
        pytest.param("tile/0/X001/234", id="upper-case-x"),
        pytest.param("tile/0/x000/001", id="a-group-too-many"),
        pytest.param("tile/0/x999/x999/x999/x999/x999/x999/999", id="beyond-any-tree"),
        pytest.param("tile/0/" + "x001/" * 500 + "001", id="endless"),
        pytest.param("tile/0/٠٠٠", id="digits-of-another-script"),
        pytest.param("tile/0/000.p/0", id="width-0"),
        pytest.param("tile/0/000.p/256", id="full-tile-called-partial"),
        pytest.param("tile/0/000.p/999", id="width-too-large"),
        pytest.param("tile/0/000.p/01", id="width-with-leading-zero"),
        pytest.param("tile/0/000.p/", id="no-width"),
        pytest.param("tile/0/000.p", id="partial-folder"),
        pytest.param("tile/0/000.P/5", id="upper-case-p"),
        pytest.param("tile/0/../000", id="dots"),
        pytest.param("tile/0/%30%30%30", id="percent-signs"),
    ],
)
def test_what_is_not_the_one_name_of_a_tile_is_refused(path: str) -> None:
    with pytest.raises(ProofError, match=r"path of a tile|tile (level|index|width)"):
        TilePath.parse(path)


@pytest.mark.parametrize(("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, INDEX_MAX + 1, 1), (0, 0, 0), (0, 0, 257)])
def test_a_tile_that_no_tree_has_is_not_named(level: int, index: int, width: int) -> None:
    with pytest.raises(ProofError):
        TilePath(level, index, width)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_entries_come_back_out_of_their_bundle(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == tuple(entries)


def test_a_length_stands_in_two_bytes_the_higher_first() -> None:
    assert encode_bundle([b"", b"ab", b"c" * 258]) == b"\0\0\0\x02ab\x01\x02" + b"c" * 258
    assert decode_bundle(encode_bundle([b"x" * 65_535])) == (b"x" * 65_535,)


def test_an_entry_too_long_for_its_length_is_refused() -> None:
    with pytest.raises(ProofError, match="65536 bytes"):
        encode_bundle([b"x" * 65_536])


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        pytest.param(b"", "0 entries", id="empty"),
        pytest.param(b"\0", "cut off in entry 0", id="half-a-length"),
        pytest.param(b"\0\x02a", "cut off in entry 0", id="half-an-entry"),
        pytest.param(b"\0\x01a\0", "cut off in entry 1", id="half-a-second-length"),
        pytest.param(b"\0\0" * 257, "257 entries", id="too-many"),
    ],
)
def test_a_bundle_that_is_not_whole_is_refused(bundle: bytes, said: str) -> None:
    with pytest.raises(ProofError, match=said):
        decode_bundle(bundle)


def test_a_tile_is_its_hashes() -> None:
    hashes = tuple(bytes([number]) * 32 for number in range(256))
    assert decode_tile(encode_tile(hashes)) == hashes
    for tile in (b"", b"x" * 31, b"x" * 33, encode_tile([*hashes, hashes[0]])):
        with pytest.raises(ProofError, match="a tile of"):
            decode_tile(tile)
