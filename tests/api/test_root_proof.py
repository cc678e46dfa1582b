"""Over HTTP: a partner proves its head under a root and learns of nobody else; an auditor opens all slots, on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.releaselog.heads import RootProof, RootProven, slot_hashes, verify_root_proof
from service.releaselog.merkle import root
from tests.support.api import FORBIDDEN, NOT_FOUND, Clock, Service, service_in, set_up


@pytest.fixture(scope="module")
def rooted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("rooted") / "data"
    set_up(folder, demo=False)
    with service_in(folder, clock=Clock()) as service:
        yield service


def tick(service: Service) -> None:
    service.clock.advance(seconds=60)
    assert service.installation.rootlog.append() is not None


def proof_of(service: Service, who: str) -> dict[str, Any]:
    answer = service.get(who, "/v1/log/self/root-proof")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def proven(service: Service, who: str) -> RootProven:
    me, proof = service.get(who, "/v1/me").json()["log"], proof_of(service, who)
    assert (proof["origin"], proof["keys"]) == (me["origin"], me["keys"])
    return verify_root_proof(
        RootProof.from_json(proof), vkey=me["key"], origin=me["origin"], root_vkey=proof["root"]["key"], root_origin=proof["root"]["origin"]
    )


def test_before_the_first_root_there_is_none(rooted: Service) -> None:
    assert rooted.get("jpn", "/v1/log/self/root-proof").content == NOT_FOUND
    assert rooted.get("auditor", "/v1/log/root/heads/0").content == NOT_FOUND


def test_a_partner_proves_its_head_and_others_do_not_show(rooted: Service) -> None:
    for _ in range(2):
        rooted.get("jpn", "/v1/items/absent")
    tick(rooted)
    size = rooted.size("JPN")
    assert proven(rooted, "jpn").head.size == size
    before = proof_of(rooted, "ind")
    # While IND does nothing, JPN does much: but for what is random, IND's next proof is what it would have been anyway.
    for _ in range(20):
        rooted.get("jpn", "/v1/items/absent")
    tick(rooted)
    after = proof_of(rooted, "ind")
    assert proven(rooted, "ind").head.size == rooted.size("IND")
    assert after["head"] == before["head"] and len(after["path"]) == len(before["path"]) == 10
    assert not set(before["path"]) & set(after["path"]), "no part of the way says whether a neighbour's slot stayed as it was"
    assert len(after["leaf"]) == len(before["leaf"])
    for name in ("JPN", "GBR", "officers"):
        assert name not in str(after)


def test_an_auditor_opens_every_slot_and_is_on_record(rooted: Service) -> None:
    tick(rooted)
    size = rooted.size("root")
    answer = rooted.get("auditor", f"/v1/log/root/heads/{size - 1}")
    opened = answer.json()
    heads = {one["slot"]: one["head"] for one in opened["heads"]}
    assert root(slot_hashes(bytes.fromhex(opened["secret"]), heads)).hex() == opened["heads_root"]
    assert {note.split("\n")[0].rpartition("/")[2] for note in heads.values()} >= {"JPN", "IND", "GBR", "officers"}
    assert rooted.entry(answer)["record"]["details"] == {"index": size - 1}
    for index in (size, 10**15, "00", "-1", "x", "1.0"):
        assert rooted.get("auditor", f"/v1/log/root/heads/{index}").content == NOT_FOUND


@pytest.mark.parametrize("who", ["jpn", "officer", "operator"])
def test_nobody_else_opens_slots(rooted: Service, who: str) -> None:
    assert rooted.get(who, "/v1/log/root/heads/0").content == FORBIDDEN


@pytest.mark.parametrize("who", ["officer", "auditor", "operator"])
def test_a_root_proof_is_for_partners(rooted: Service, who: str) -> None:
    assert rooted.get(who, "/v1/log/self/root-proof").content == FORBIDDEN
