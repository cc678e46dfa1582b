"""Another's levels in a whole bundle: foreign marks come in by the dated table, under their originator, and wait for his consent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.labels.label import Label
from service.labels.markings import Unresolved
from service.policy import read_bundle
from service.sharing.intake import label_of_marking
from tests.support.profiles import serving, with_equivalences
from tests.support.store_bundles import COMMUNITIES, JPN_SECRET, OPEN, PARTNERS, bundle_files

FILES = with_equivalences(
    bundle_files(
        (OPEN, JPN_SECRET, "p, AGR-0007, allow, release, GBR, *, SECRET, MARITIME, none, *, , , Exchange of notes 2021"),
        partners=(*PARTNERS, "g2, DEU, active, , , nation, Germany", "g2, GBR, active, , , nation, United Kingdom"),
        communities=(*COMMUNITIES, "g, GBR, ALL, ,", "g, DEU, ALL, ,", "g, GBR, NATO, ,"),
    ),
    "GBR, SECRET, , , SECRET",
    "GBR, CONFIDENTIAL, 2014-04-02, , SECRET",
    "GBR, RESTRICTED, , 2014-04-02, CONFIDENTIAL",
    "DEU, GEHEIM, , , SECRET",
    "DEU, VS-NUR FÜR DEN DIENSTGEBRAUCH, , , CONFIDENTIAL",
    "NATO, NATO SECRET, , , SECRET",
)
BUNDLE = read_bundle(FILES)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def taken(marking: str, *originators: str, at: datetime = NOW) -> Label:
    return label_of_marking(
        BUNDLE, marking, portion=marking.startswith("("), categories=["MARITIME"], originators=originators or ("USA",), at=at
    )


@pytest.mark.parametrize(
    ("marking", "originators", "level", "whose"),
    [
        pytest.param("(//GBR S//REL TO USA, JPN)", (), "SECRET", ("GBR",), id="a-mark-of-another"),
        pytest.param("(//GBR C//REL TO USA, JPN)", (), "SECRET", ("GBR",), id="the-next-higher"),
        pytest.param("(S//REL TO USA, JPN)", (), "SECRET", ("USA",), id="our-own"),
        pytest.param("(S//REL TO USA, JPN)", ("GBR",), "SECRET", ("GBR",), id="our-mark-on-anothers-information"),
        pytest.param("(GEHEIM//REL TO USA, JPN)", ("DEU",), "SECRET", ("DEU",), id="anothers-word"),
        pytest.param("(VS-Nur für den Dienstgebrauch//REL TO USA, JPN)", ("DEU",), "CONFIDENTIAL", ("DEU",), id="words-with-accents"),
    ],
)
def test_a_marking_makes_a_label_of_our_level_and_its_originator(
    marking: str, originators: tuple[str, ...], level: str, whose: tuple[str, ...]
) -> None:
    label = taken(marking, *originators)
    assert (label.level, label.originators, label.releasable_to) == (level, whose, ("JPN", "USA"))


@pytest.mark.parametrize(
    ("marking", "originators", "at", "code", "message"),
    [
        pytest.param("(//GBR R//REL TO USA, JPN)", (), NOW, "unknown-level", "for other dates than 2026-11-22", id="out-of-use"),
        pytest.param("(//GBR C//REL TO USA, JPN)", (), datetime(2013, 1, 1, tzinfo=UTC), "unknown-level", "than 2013-01-01", id="not-yet"),
        pytest.param(
            "(//AUS S//REL TO USA, JPN)", (), NOW, "unknown-level", "of `AUS`, of whose levels the bundle says nothing", id="issuer"
        ),
        pytest.param("(GEHIEM//REL TO USA, JPN)", ("DEU",), NOW, "unknown-level", "expected one like `GEHEIM`", id="a-slip"),
        pytest.param("(//NS//REL TO USA, JPN)", (), NOW, "unknown-code", "originator `NATO` is a community", id="a-community"),
    ],
)
def test_what_the_table_does_not_say_waits_for_an_officer(
    marking: str, originators: tuple[str, ...], at: datetime, code: str, message: str
) -> None:
    with pytest.raises(Unresolved) as unresolved:
        taken(marking, *originators, at=at)
    assert unresolved.value.code == code
    assert message in str(unresolved.value)


def item(ref: str, marking: str, mark: str, **more: Any) -> dict[str, Any]:
    portions = [{"kind": "text", "marking": mark, "text": ref}]
    return {"ref": ref, "marking": marking, "categories": ["MARITIME"], **more, "portions": portions}


def test_a_foreign_mark_goes_through_import_decision_and_copy_under_its_originator(tmp_path: Path) -> None:
    items = [
        item("british", "//GBR SECRET//REL TO USA, GBR, JPN", "(//GBR S//REL TO USA, GBR, JPN)"),
        item("german", "GEHEIM//REL TO USA, GBR, JPN", "(GEHEIM//REL TO USA, GBR, JPN)", originators=["DEU"]),
        item("german-portion", "GEHEIM//REL TO USA, GBR, JPN", "(GEHEIM//REL TO USA, GBR, JPN)"),
        item("unknown", "//AUS SECRET//REL TO USA, JPN", "(//AUS S//REL TO USA, JPN)"),
    ]
    items[2]["portions"][0]["originators"] = ["DEU"]
    with serving(tmp_path / "data", FILES) as service:
        *lines, last = service.import_items(items)
        assert last == {"imported": 4, "quarantined": 1, "refused": 0}
        assert [(line["ref"], line["code"]) for line in lines] == [("unknown", "unknown-level")]
        # Britain is shown what is its own. Nobody else has its consent, nor Germany's.
        (own,) = service.list_all("gbr")
        assert own["level"] == "SECRET"
        assert service.list_all("jpn") == []
        labels = service.get("officer", f"/v1/officer/items/{own['id']}/labels").json()
        assert [(one["marking"], one["label"]["level"], one["label"]["originators"]) for one in labels["portions"]] == [
            ("(//GBR S//REL TO USA, GBR, JPN)", "SECRET", ["GBR"])
        ]
        answer = service.get("officer", f"/v1/officer/items/{own['id']}/labels")
        look = service.entry(answer)
        assert (look["log"], look["face"]["type"], look["face"]["items"]) == ("officers", "look.labels", [{"id": own["id"]}])
        (waiting,) = service.get("officer", "/v1/officer/quarantine").json()["quarantine"]
        assert service.get("officer", f"/v1/officer/items/{waiting['id']}/labels").json() == {"portions": []}
        assert service.get("officer", "/v1/officer/items/absent/labels").status_code == 404
        assert service.get("jpn", f"/v1/officer/items/{own['id']}/labels").status_code == 403
        # A relabelling is read in the same way, and the record of it holds both labels.
        relabelled = service.post(
            "officer", f"/v1/officer/items/{own['id']}/labels", {"marking": "(//GBR C//REL TO USA, GBR)", "reason": "a letter from London"}
        )
        assert relabelled.status_code < 300, relabelled.text
        (after,) = service.get("officer", f"/v1/officer/items/{own['id']}/labels").json()["portions"]
        assert (after["marking"], after["label"]["level"]) == ("(//GBR S//REL TO USA, GBR, JPN)", "SECRET")
        assert after["label"]["releasable_to"] == ["GBR", "USA"]
