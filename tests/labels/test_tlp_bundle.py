"""A whole bundle in the Traffic Light Protocol: reports of cyber incidents come in by colour or STIX id, and go to those named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.labels.markings.tlp import STIX_IDS, Tlp, TlpProfile
from service.policy import PolicyRejected, read_bundle
from tests.support.profiles import serving
from tests.support.store_bundles import bundle_files

SCHEME = """own = "USA"
profile = "TLP-2"
levels = [{name = "CLEAR", mark = "C"}, {name = "GREEN", mark = "G"}, {name = "AMBER STRICT", mark = "AS"}, {name = "RED", mark = "R"}]
categories = ["CYBER"]
caveats = ["ORCON"]
purposes = []
expandable = ["CERTS"]
public_communities = []
categories_required_from = ""
audience_required_from = "GREEN"
approval_level = "RED"
releasable_in = "portions"
audience_on_copies = "own"
"""
FILES = bundle_files(
    (
        "p, AGR-0001, allow, release, ALL, *, CLEAR, CYBER, none, *, , , Directive on open information",
        "p, AGR-0002, allow, release, CERTS, *, RED, CYBER, none, *, , , Terms of the circle of response teams",
    ),
    partners=(
        "g2, GBR, active, , , nation, United Kingdom",
        "g2, IND, active, , , nation, India",
        "g2, JPN, active, , , nation, Japan",
    ),
    communities=("g, GBR, ALL, ,", "g, IND, ALL, ,", "g, JPN, ALL, ,", "g, GBR, CERTS, ,", "g, JPN, CERTS, ,"),
    scheme=SCHEME,
)


def item(ref: str, marking: str, *marks: str) -> dict[str, Any]:
    portions = [
        {"kind": "json", "marking": mark, "value": {"report": ref, "part": place}} for place, mark in enumerate(marks or (marking,))
    ]
    return {"ref": ref, "marking": marking, "categories": ["CYBER"], "portions": portions}


def test_a_bundle_of_the_traffic_light_protocol_works_from_import_to_copy(tmp_path: Path) -> None:
    unrestricted = item("unrestricted", "TLP:RED")
    unrestricted["portions"][0] = {
        "kind": "json",
        "value": {},
        "label": {"level": "RED", "categories": ["CYBER"], "releasable_to": ["*"], "caveats": [], "originators": ["USA"]},
    }
    items = [
        item("clear", "TLP:CLEAR"),
        item("green", "TLP:GREEN//REL TO CERTS"),
        item("strict", "TLP:AMBER+STRICT//REL TO GBR", "(TLP:AMBER+STRICT//REL TO GBR, JPN)", "(AS//REL TO GBR)"),
        item("red", f"{STIX_IDS[Tlp.RED]}//REL TO JPN", "TLP:RED//REL TO JPN"),
        item("red-for-nobody", "TLP:RED"),
        item("to-whom", "TLP:GREEN"),
        item("amber", "TLP:AMBER//REL TO JPN"),
        unrestricted,
    ]
    with serving(tmp_path / "data", FILES) as service:
        *lines, last = service.import_items(items)
        assert last == {"imported": 8, "quarantined": 3, "refused": 0}
        assert {line["ref"]: (line["result"], line["code"]) for line in lines} == {
            "to-whom": ("quarantined", "unmarked"),
            "amber": ("quarantined", "unknown-level"),
            "unrestricted": ("quarantined", "unmarked"),
        }
        assert sorted(line["marking"] for line in service.list_all("jpn")) == [
            "TLP:AMBER+STRICT//REL TO USA, JPN",
            "TLP:CLEAR",
            "TLP:GREEN//REL TO USA, JPN",
            "TLP:RED//REL TO USA, JPN",
        ]
        assert sorted(line["marking"] for line in service.list_all("gbr")) == [
            "TLP:AMBER+STRICT//REL TO USA, GBR",
            "TLP:CLEAR",
            "TLP:GREEN//REL TO USA, GBR",
        ]
        assert [line["marking"] for line in service.list_all("ind")] == ["TLP:CLEAR"]
        (strict,) = [line for line in service.list_all("jpn") if line["level"] == "AMBER STRICT"]
        copy = service.get("jpn", f"/v1/items/{strict['id']}").json()
        assert [(portion["marking"], portion["value"]["part"]) for portion in copy["portions"]] == [
            ("(TLP:AMBER+STRICT//REL TO USA, JPN)", 0)
        ]
        assert TlpProfile(read_bundle(FILES).scheme).parse_banner(copy["marking"]).releasable_to == ("JPN", "USA")


def test_a_bundle_whose_ladder_is_not_the_protocols_is_refused_with_its_place() -> None:
    scheme = SCHEME.replace('name = "GREEN", mark = "G"', 'name = "SECRET", mark = "S"').replace('from = "GREEN"', 'from = "SECRET"')
    with pytest.raises(PolicyRejected) as refused:
        read_bundle({**FILES, "scheme.toml": scheme.encode()})
    (finding,) = [finding for finding in refused.value.findings if finding.code == "scheme"]
    assert (finding.file, finding.line) == ("scheme.toml", 3)
    assert "level `SECRET` is no colour of profile `TLP-2`" in finding.message


def test_a_label_that_no_marking_can_say_is_refused_where_the_scheme_would_let_it_in(tmp_path: Path) -> None:
    files = {**FILES, "scheme.toml": SCHEME.replace('audience_required_from = "GREEN"', 'audience_required_from = ""').encode()}
    label = {"level": "RED", "categories": ["CYBER"], "releasable_to": ["*"], "caveats": [], "originators": ["USA"]}
    unrestricted = {"ref": "a", "marking": "TLP:RED", "portions": [{"kind": "json", "value": {}, "label": label}]}
    with serving(tmp_path / "data", files) as service:
        line, last = service.import_items([unrestricted])
        assert (line["result"], line["code"]) == ("refused", "unmarkable")
        assert last == {"imported": 0, "quarantined": 0, "refused": 1}
        # Nor can an officer give it to an item that is there.
        service.import_items([item("red", "TLP:RED//REL TO JPN")])
        (shown,) = service.list_all("jpn")
        answer = service.post("officer", f"/v1/officer/items/{shown['id']}/labels", {"label": label, "reason": "a test"})
        assert answer.status_code == 422
        assert [line["marking"] for line in service.list_all("jpn")] == ["TLP:RED//REL TO USA, JPN"]
