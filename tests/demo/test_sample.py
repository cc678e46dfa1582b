"""What the demo's sample promises: it is strict, it stays rich, and it shows what the pages and guides say it shows.

Who is addressed is read off the markings alone. What policy makes of them is tested where policy is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest

from service.demo import DEMO_CLIENTS, demo_files_directory, demo_items
from service.demo.frus import LADDER
from service.labels.effective import DatedLabel
from service.labels.intake import check_label, label_of
from service.labels.label import Label
from service.labels.markings import Marking, Unresolved, profile_of
from service.labels.rollup import banner_fault
from service.labels.scheme import AudienceOnCopies, Level, Profile, ReleasableIn, Scheme

SCHEME = Scheme(
    own="USA",
    profile=Profile.IC_2016,
    levels=tuple(Level(name, mark) for name, mark in LADDER.items()),
    categories=(
        "ARMS-CONTROL", "AIR", "BASES", "CYBER", "DIPLOMATIC", "ECONOMIC", "EXERCISE", "INTELLIGENCE", "INTEL-SOURCES", "LOGISTICS",
        "MARITIME", "NUCLEAR", "PEACEKEEPING",
    ),
    caveats=("ORCON", "RELIDO", "EXDIS", "NODIS", "LIMDIS"),
    purposes=("EXERCISE-KEEN", "PEACEKEEPING-UN"),
    expandable=("FVEY", "QUAD"),
    public_communities=("FVEY",),
    categories_required_from="CONFIDENTIAL",
    audience_required_from="CONFIDENTIAL",
    approval_level="SECRET",
    releasable_in=ReleasableIn.PORTIONS,
    audience_on_copies=AudienceOnCopies.OWN,
)  # fmt: skip
PROFILE = profile_of(SCHEME)

MEMBERS: dict[str, frozenset[str]] = {
    "FVEY": frozenset({"AUS", "CAN", "GBR", "NZL"}),
    "QUAD": frozenset({"AUS", "IND", "JPN"}),
    "NATO": frozenset(),
}
"""Those the sample's communities address; NATO is not one that stands for its members."""

PARTNERS = (
    "JPN", "IND", "AUS", "GBR", "SGP", "CAN", "NZL", "KOR", "DEU", "FRA", "PHL", "IDN", "NATO-HQ", "UN-DPO", "PUBLIC",
)  # fmt: skip

KNOWN_CODES = {"USA", *PARTNERS, *MEMBERS}

MEMBERS_OF_ITEM = {"ref", "marking", "label", "releasable_in", "categories", "originators", "compilation", "portions"}
MEMBERS_OF_PORTION = {"kind", "marking", "label", "categories", "originators", "not_before", "downgrade_on", "declassify_on"}
CONTENT = {"title": {"text"}, "text": {"text"}, "json": {"value"}, "file": {"path", "name", "media_type"}}

ITEMS = list(demo_items())
INVENTED = [item for item in ITEMS if item["ref"].startswith("invented/")]


def named(item: str) -> Any:
    return pytest.param(next(each for each in ITEMS if each["ref"] == item), id=item)


def marked(item: dict[str, Any]) -> bool:
    return all(part.get("label") or part["marking"] for part in (item, *item["portions"]))


def addresses(portion: dict[str, Any], partner: str) -> bool:
    """Whether the marking names this partner, itself or by a community, or leaves the audience open."""
    if "label" in portion:
        codes: tuple[str, ...] | None = Label.from_json(portion["label"]).releasable_to
    else:
        codes = PROFILE.parse_portion(portion["marking"]).releasable_to
    return codes is None or any(partner == code or partner in MEMBERS.get(code, ()) for code in codes)


def held_back(item: dict[str, Any], partner: str) -> list[int]:
    """The portions that this partner cannot get by their marking or their category INTEL-SOURCES."""
    return [
        position
        for position, portion in enumerate(item["portions"])
        if not addresses(portion, partner) or "INTEL-SOURCES" in portion.get("categories", ())
    ]


def spread(partner: str) -> Counter[str]:
    """How many marked items are addressed to a partner whole, in part, or not at all."""
    outcomes: Counter[str] = Counter()
    for item in filter(marked, ITEMS):
        missing = len(held_back(item, partner))
        outcomes["whole" if not missing else "none" if missing == len(item["portions"]) else "part"] += 1
    return outcomes


# Strict.


def test_every_item_has_only_members_of_the_contract() -> None:
    for item in ITEMS:
        assert set(item) <= MEMBERS_OF_ITEM, item["ref"]
        assert ("marking" in item) != ("label" in item), item["ref"]
        assert item["releasable_in"] in {"whole", "portions"}
        assert 1 <= len(item["portions"]) <= 200
        for portion in item["portions"]:
            assert set(portion) <= MEMBERS_OF_PORTION | CONTENT[portion["kind"]], item["ref"]
            assert CONTENT[portion["kind"]] <= set(portion)
            assert ("marking" in portion) != ("label" in portion), item["ref"]
            assert "categories" not in portion or "label" not in portion
        assert item["portions"][0]["kind"] == "title"
        assert json.loads(json.dumps(item)) == item


def test_every_ref_is_there_once_and_the_order_stays() -> None:
    assert len({item["ref"] for item in ITEMS}) == len(ITEMS)
    assert list(demo_items()) == ITEMS


def label(part: dict[str, Any], item: dict[str, Any], parse: Callable[[str], Marking]) -> Label:
    """What the import makes of the marking or label of an item or portion."""
    if "label" in part:
        given = Label.from_json(part["label"])
        check_label(given, scheme=SCHEME, known_codes=KNOWN_CODES)
        return given
    return label_of(
        parse(part["marking"]),
        categories=part.get("categories", item.get("categories", [])),
        originators=part.get("originators", item.get("originators", ["USA"])),
        scheme=SCHEME,
        known_codes=KNOWN_CODES,
    )


@pytest.mark.parametrize("item", [pytest.param(item, id=item["ref"]) for item in ITEMS])
def test_an_item_comes_in_with_a_lawful_marking_or_waits_unmarked(item: dict[str, Any]) -> None:
    if not marked(item):
        unmarked = next(part for part in (*item["portions"], item) if not part["marking"])
        with pytest.raises(Unresolved) as unresolved:
            PROFILE.parse_portion(unmarked["marking"])
        assert unresolved.value.code == "unmarked"
        return
    portions = [label(portion, item, PROFILE.parse_portion) for portion in item["portions"]]
    assert banner_fault(label(item, item, PROFILE.parse_banner), portions, scheme=SCHEME, members=MEMBERS) is None
    if "compilation" in item:
        compilation = label({"marking": item["compilation"]}, item, PROFILE.parse_banner)
        assert banner_fault(compilation, portions, scheme=SCHEME, members=MEMBERS) is None
    for portion, meant in zip(item["portions"], portions, strict=True):
        dates = {name: portion.get(name) for name in ("not_before", "downgrade_on", "declassify_on")}
        assert DatedLabel.read(meant, **dates, scheme=SCHEME).label == meant


def test_every_file_lies_beside_the_items_and_no_other() -> None:
    folder = demo_files_directory()
    files = [portion for item in ITEMS for portion in item["portions"] if portion["kind"] == "file"]
    assert len(files) == 2
    for portion in files:
        path = PurePosixPath(portion["path"])
        assert not path.is_absolute() and ".." not in path.parts
        assert (folder / path).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert path.name == portion["name"] and portion["media_type"] == "image/png"
    assert {each.name for each in (folder / "files").iterdir()} == {portion["name"] for portion in files}


def test_invented_items_say_that_they_are() -> None:
    assert [item["ref"] for item in ITEMS[-len(INVENTED) :]] == [item["ref"] for item in INVENTED]
    readme = (demo_files_directory() / "README.md").read_text(encoding="utf-8")
    for item in INVENTED:
        assert any("This document is invented" in portion.get("text", "") for portion in item["portions"]), item["ref"]
        assert f"`{item['ref']}`" in readme
    for address in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", json.dumps(INVENTED)):
        # Only addresses kept for documentation (RFC 5737).
        assert address.startswith(("192.0.2.", "198.51.100.", "203.0.113."))


# Rich.


def test_the_sample_has_the_size_that_was_promised() -> None:
    assert (len(ITEMS), len(INVENTED)) == (98, 14)
    assert (demo_files_directory() / "documents.jsonl").stat().st_size < 400_000


def test_levels_are_spread() -> None:
    levels = Counter(
        item["label"]["level"] if "label" in item else PROFILE.parse_banner(item["marking"]).level for item in ITEMS if marked(item)
    )
    assert levels == {"UNCLASSIFIED": 13, "CONFIDENTIAL": 35, "SECRET": 30, "TOP SECRET": 9}


def test_some_items_wait_in_quarantine() -> None:
    waiting = [item["ref"] for item in ITEMS if not marked(item)]
    assert len(waiting) == 11
    assert {"frus1964-68v29p2/d30", "frus1958-60v07p1/d160", "frus1977-80v21/d95", "invented/visit-report"} <= set(waiting)


def test_every_category_but_none_is_used() -> None:
    used = {category for item in ITEMS for part in (item, *item["portions"]) for category in part.get("categories", ())}
    assert used == set(SCHEME.categories)


@pytest.mark.parametrize(
    ("partner", "whole", "part"),
    [("JPN", 39, 8), ("IND", 30, 5), ("GBR", 54, 11), ("AUS", 39, 6), ("UN-DPO", 15, 1), ("SGP", 13, 0), ("PUBLIC", 13, 0)],
)
def test_partners_are_addressed_differently(partner: str, whole: int, part: int) -> None:
    outcomes = spread(partner)
    assert (outcomes["whole"], outcomes["part"]) == (whole, part)


def test_japan_and_india_are_each_addressed_what_the_other_is_not() -> None:
    def seen(partner: str) -> set[str]:
        return {item["ref"] for item in filter(marked, ITEMS) if len(held_back(item, partner)) < len(item["portions"])}

    japan, india = seen("JPN"), seen("IND")
    assert (len(japan - india), len(india - japan), len(japan & india)) == (17, 5, 30)


def test_some_items_are_for_nobody() -> None:
    nobody = [
        item["ref"] for item in filter(marked, ITEMS) if all(len(held_back(item, partner)) == len(item["portions"]) for partner in PARTNERS)
    ]
    assert len(nobody) == 18
    assert "invented/nato-stocks-note" in nobody and "frus1964-68v29p2/d66" in nobody


@pytest.mark.parametrize("item", [named("frus1977-80v21/d131"), named("invented/keen-harbour-plan")])
def test_two_portions_are_held_back_from_japan_and_the_rest_is_not(item: dict[str, Any]) -> None:
    missing = held_back(item, "JPN")
    assert len(missing) == 2
    assert all("NF" in item["portions"][position]["marking"] for position in missing)


def test_time_and_originators_are_in_the_sample() -> None:
    by_ref = {item["ref"]: item for item in INVENTED}
    assert all(
        portion["not_before"] == {"*": "2027-01-01", "JPN": "2026-12-01"} for portion in by_ref["invented/joint-statement"]["portions"]
    )
    study = by_ref["invented/air-identification-study"]["portions"][1]
    assert study["downgrade_on"] == {"at": "2030-01-01", "level": "CONFIDENTIAL"} and study["declassify_on"] == "2040-01-01"
    assert by_ref["invented/british-survey-report"]["originators"] == ["GBR"]
    works = by_ref["invented/base-works-summary"]
    assert works["releasable_in"] == "whole"
    parts = [PROFILE.parse_portion(portion["marking"]).level for portion in works["portions"]]
    assert PROFILE.parse_banner(works["compilation"]).level == "SECRET" and "SECRET" not in parts


# Clients.


def test_the_five_clients_are_those_of_the_contract() -> None:
    assert [(client.name, client.role, client.partner) for client in DEMO_CLIENTS] == [
        ("demo-jpn", "partner", "JPN"),
        ("demo-ind", "partner", "IND"),
        ("demo-gbr", "partner", "GBR"),
        ("demo-officer", "officer", None),
        ("demo-auditor", "auditor", None),
    ]
    assert {purpose for client in DEMO_CLIENTS for purpose in client.purposes} <= set(SCHEME.purposes)


def test_the_types_of_a_sample_stay_json() -> None:
    def leaves(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            assert all(isinstance(key, str) for key in value)
            for each in value.values():
                yield from leaves(each)
        elif isinstance(value, list):
            for each in value:
                yield from leaves(each)
        else:
            yield value

    assert {type(leaf) for item in ITEMS for leaf in leaves(item)} <= {str, int, bool, type(None)}
