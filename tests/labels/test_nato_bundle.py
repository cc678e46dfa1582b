"""A whole bundle in the profile of the Alliance: items come in by text and by XML, and copies go out marked as they may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.labels.label import Label
from service.labels.markings.nato import NatoProfile
from service.policy import read_bundle
from tests.support.profiles import serving, with_equivalences
from tests.support.store_bundles import bundle_files

SCHEME = """own = "NATO-HQ"
profile = "NATO-4774"
levels = [{name = "NATO UNCLASSIFIED", mark = "NU"}, {name = "NATO RESTRICTED", mark = "NR"}, {name = "NATO SECRET", mark = "NS"}]
categories = ["CYBER", "MARITIME"]
caveats = ["ATOMAL", "STAFF"]
purposes = []
expandable = ["KFOR", "NATO"]
public_communities = []
categories_required_from = ""
audience_required_from = "NATO RESTRICTED"
approval_level = "NATO SECRET"
releasable_in = "portions"
audience_on_copies = "own"
"""
FILES = with_equivalences(
    bundle_files(
        (
            "p, AGR-0001, allow, release, ALL, *, NATO SECRET, *, STAFF, *, , , Directive on the security of information",
            "p, AGR-0002, allow, release, ALL, *, NATO UNCLASSIFIED, *, none, *, , , Directive on open information",
        ),
        partners=(
            "g2, GBR, active, , , nation, United Kingdom",
            "g2, IND, active, , , nation, India",
            "g2, JPN, active, , , nation, Japan",
        ),
        communities=("g, GBR, ALL, ,", "g, IND, ALL, ,", "g, JPN, ALL, ,", "g, GBR, NATO, ,", "g, GBR, KFOR, 2020-01-01,"),
        scheme=SCHEME,
    ),
    "GBR, OFFICIAL-SENSITIVE, 2014-04-02, , NATO RESTRICTED",
    "GBR, UK SECRET, , , NATO SECRET",
)


def item(ref: str, marking: str, *marks: str, **more: Any) -> dict[str, Any]:
    return {
        "ref": ref,
        "marking": marking,
        **more,
        "portions": [{"kind": "text", "marking": mark, "text": f"{ref} {mark}"} for mark in marks],
    }


def test_a_bundle_of_the_alliances_profile_works_from_import_to_copy(tmp_path: Path) -> None:
    scheme = read_bundle(FILES).scheme
    xml = NatoProfile(scheme).write_xml(Label("NATO SECRET", releasable_to=("JPN", "NATO"), originators=("NATO-HQ",))).decode()
    items = [
        item("allies", "NATO SECRET", "(NS)"),
        item("japan", "NATO SECRET", "(NS REL TO JPN)", "(NR)", "(NS GBR ONLY)"),
        item("kfor", "NATO/KFOR SECRET - STAFF", "(NS KFOR ONLY - STAFF)"),
        item("by-xml", xml, xml),
        item("public", "NATO UNCLASSIFIED Releasable to the Public", "(NU REL TO the Public)"),
        item("nobody", "NATO SECRET NATO-HQ ONLY", "(NS NATO-HQ ONLY)"),
        item("unknown", "NATO SECRET BOHEMIA", "(NS BOHEMIA)"),
        item("bare", "NATO SECRET", "(SECRET)"),
        item("loose", "NATO RESTRICTED", "(NS)"),
        item("look", "NATO SECRET", "(NS)"),
    ]
    items[-1]["portions"][0] = {
        "kind": "text",
        "text": "to look at",
        "label": {
            "level": "NATO SECRET",
            "categories": [],
            "releasable_to": ["GBR"],
            "display_to": ["JPN"],
            "caveats": [],
            "originators": ["NATO-HQ"],
        },
    }
    with serving(tmp_path / "data", FILES) as service:
        *lines, last = service.import_items(items)
        assert last == {"imported": 8, "quarantined": 2, "refused": 2}
        assert {line["ref"]: (line["result"], line["code"]) for line in lines} == {
            "unknown": ("quarantined", "unknown-token"),
            "bare": ("quarantined", "unknown-level"),
            "loose": ("refused", "marking-too-loose"),
            "look": ("refused", "unmarkable"),
        }
        # A list, and a copy under a marking that names us, the addressee, and nobody else.
        assert sorted(line["marking"] for line in service.list_all("gbr")) == [
            "NATO SECRET United Kingdom, NATO-HQ ONLY",
            "NATO SECRET United Kingdom, NATO-HQ ONLY",
            "NATO SECRET United Kingdom, NATO-HQ ONLY",
            "NATO SECRET United Kingdom, NATO-HQ ONLY - STAFF",
            "NATO UNCLASSIFIED Releasable to the Public",
        ]
        assert sorted(line["marking"] for line in service.list_all("jpn")) == [
            "NATO SECRET Japan, NATO-HQ ONLY",
            "NATO SECRET Japan, NATO-HQ ONLY",
            "NATO UNCLASSIFIED Releasable to the Public",
        ]
        assert [line["marking"] for line in service.list_all("ind")] == ["NATO UNCLASSIFIED Releasable to the Public"]
        copies = {
            portion["text"]: (copy["marking"], portion["marking"])
            for line in service.list_all("jpn")
            for copy in [service.get("jpn", f"/v1/items/{line['id']}").json()]
            for portion in copy["portions"]
        }
        assert copies == {
            "japan (NS REL TO JPN)": ("NATO SECRET Japan, NATO-HQ ONLY", "(NS JPN, NATO-HQ ONLY)"),
            f"by-xml {xml}": ("NATO SECRET Japan, NATO-HQ ONLY", "(NS JPN, NATO-HQ ONLY)"),
            "public (NU REL TO the Public)": ("NATO UNCLASSIFIED Releasable to the Public", "(NU REL TO the Public)"),
        }
        # What is written on a copy can be read again, by the partner and by us.
        profile = NatoProfile(scheme)
        for banner, mark in copies.values():
            assert profile.parse_banner(banner).releasable_to == profile.parse_portion(mark).releasable_to


def test_a_nations_level_comes_in_by_the_table_under_its_originator_and_is_kept_as_written(tmp_path: Path) -> None:
    items = [
        item("from-britain", "UK SECRET NATO, JPN ONLY", "(UK SECRET NATO, JPN ONLY)", originators=["GBR"]),
        item("sensitive", "OFFICIAL-SENSITIVE GBR ONLY", "(OFFICIAL-SENSITIVE GBR ONLY)", originators=["GBR"]),
        item("not-in-the-table", "UK TOP SECRET JPN ONLY", "(UK TOP SECRET JPN ONLY)", originators=["GBR"]),
    ]
    with serving(tmp_path / "data", FILES) as service:
        *lines, last = service.import_items(items)
        assert last == {"imported": 3, "quarantined": 1, "refused": 0}
        assert [(line["ref"], line["code"]) for line in lines] == [("not-in-the-table", "unknown-level")]
        assert "unknown level `UK TOP SECRET JPN ONLY` of `GBR`" in lines[0]["message"]
        # Britain may have what is its own; Japan may not before Britain consents.
        shown = service.list_all("gbr")
        assert sorted((line["level"], line["marking"]) for line in shown) == [
            ("NATO RESTRICTED", "NATO RESTRICTED United Kingdom, NATO-HQ ONLY"),
            ("NATO SECRET", "NATO SECRET United Kingdom, NATO-HQ ONLY"),
        ]
        assert service.list_all("jpn") == []
        # An officer sees the marking as it came beside what it was taken for.
        portions = [
            portion for line in shown for portion in service.get("officer", f"/v1/officer/items/{line['id']}/labels").json()["portions"]
        ]
        assert sorted((portion["marking"], portion["label"]["level"], *portion["label"]["originators"]) for portion in portions) == [
            ("(OFFICIAL-SENSITIVE GBR ONLY)", "NATO RESTRICTED", "GBR"),
            ("(UK SECRET NATO, JPN ONLY)", "NATO SECRET", "GBR"),
        ]
