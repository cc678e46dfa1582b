"""What you may not have does not exist (promise 4): two worlds that differ in one withheld thing are answered alike, byte for byte."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from service.app import build_routes
from service.sharing import catalogue
from service.sharing.intake import ItemDraft
from tests.support.worlds import Base, Request, make_base, pair_of
from tests.support.worlds_drive import Drive, document, operations
from tests.support.worlds_story import DIFFERENCES, Difference, tell

WHOLE = {"item", "portion-of-file"}
"""These are asked with every value there is; the others with fewer of those that have nothing to do with what is hidden."""
DATED = {"item-withdrawn-before-it-was-visible", "partner", "prohibition-on-another", "agreement-of-another", "acts-meanwhile"}
"""What is withheld here changes at midnight, which passes while the partner asks: these are asked all over again the day after."""


@pytest.mark.parametrize("difference", DIFFERENCES, ids=str)
def test_no_request_tells_whether_it_is_there(difference: Difference, base: Base, tmp_path: Path) -> None:
    other = None if difference.bundle is None else make_base(tmp_path, difference.bundle(), keys_of=base)
    with pair_of(base, tmp_path, other_base=other) as pair:
        tell(pair, difference)
        drive = Drive(pair, base, lambda asked: difference.between(pair.having, asked))
        drive.everything(few=difference.name not in WHOLE, again=difference.name in WHOLE | DATED)
    assert drive.driven == operations(document())


def test_items_of_one_act_stand_in_the_same_order(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items of one act stand at one time, by their random ids; with ids made of `ref`s, the order itself can be compared.

    Patched here alone: with ids that are random in each world, two orders of one act could not be told from a leak.
    """
    store = catalogue._Writer.store
    counts: dict[str, int] = {}
    under_way: list[str] = []

    def storing(self: catalogue._Writer, draft: ItemDraft, *, update: bool) -> catalogue.Outcome:
        under_way[:], counts[draft.ref] = [draft.ref], 0
        return store(self, draft, update=update)

    def new_id() -> str:
        ref = under_way[0]
        counts[ref] += 1
        return base64.urlsafe_b64encode(hashlib.sha256(f"{ref} {counts[ref]}".encode()).digest()[:16]).decode("ascii").rstrip("=")

    monkeypatch.setattr(catalogue._Writer, "store", storing)
    monkeypatch.setattr(catalogue, "new_id", new_id)
    with pair_of(base, tmp_path) as pair:
        pair.tick()
        pair.without.store_at_once([shown(number) for number in range(12)])
        pair.having.store_at_once([item for number in range(12) for item in (hidden(number), shown(number), hidden(number + 50))])
        drive = Drive(pair, base, lambda _: None)
        drive.plain()
        drive.paging()
        drive.own_account()
        ids = json.loads(pair.having.ask(Request("GET", "/v1/items")).body)["items"]
    assert len(ids) == 12
    assert [one["title"] for one in ids] != sorted(one["title"] for one in ids)  # by id, which is by no order of ours


def shown(number: int) -> dict[str, Any]:
    portion = {"kind": "title", "marking": "(S//REL TO USA, JPN)", "text": f"Shown {number:02d}"}
    return {"ref": f"story/{number}", "marking": "SECRET//REL TO USA, JPN", "categories": ["AIR"], "portions": [portion]}


def hidden(number: int) -> dict[str, Any]:
    portion = {"kind": "title", "marking": "(S//NF)", "text": f"Hidden {number:02d}"}
    return {"ref": f"hidden/{number}", "marking": "SECRET//NOFORN", "categories": ["AIR"], "portions": [portion]}


def test_the_document_has_every_route_and_method_that_is_served() -> None:
    served = {(method, getattr(route, "path_format", "")) for route in build_routes().routes for method in getattr(route, "methods", ())}
    assert operations(document()) == served
