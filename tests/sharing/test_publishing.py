"""Policy takes effect only by publication, whole or not at all; suspension and rollback are acts like it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from service.errors import Conflict
from service.identity.clients import Role
from service.policy import PolicyRejected
from service.sharing.ledger import OFFICERS
from service.sharing.publishing import Published
from service.sharing.visibility import rebuild
from service.store import logs, visibility
from tests.support.personal import record_in_words
from tests.support.store_bundles import (
    COMMUNITIES,
    IND_CONFIDENTIAL,
    IND_EXERCISE,
    JPN_SECRET,
    OPEN,
    PARTNERS,
    SCHEME,
    bundle_files,
)
from tests.support.store_world import OFFICER, World, item, text_portion, title
from tests.support.two_officers import roll_back_as_two

CASE = "C-01, 2026-11-22, JPN, release, none, SECRET, MARITIME, USA JPN, , none, USA, none, none, release, AGR-0002"
FORBIDDING = bundle_files(prohibitions=["p, PRO-0001, deny, *, JPN, *, SECRET, *, *, *, , , Order"])


def last_leaf(world: World) -> logs.StoredRow:
    with world.installation.database.reading() as connection:
        head = logs.head(connection, OFFICERS)
        assert head is not None
        return list(logs.entries(connection, head.id))[-1]


def refs(world: World, partner: str, purpose: str = "none") -> set[str]:
    """The titles a partner sees, which are the refs here."""
    return {line["title"] for line in world.listed(partner, purpose=purpose, recorded=False)[0]}


@pytest.fixture
def filled(world: World) -> World:
    """Three items: for all, for JPN, for IND on exercise."""
    world.load(
        item("open", title("open", "(U)")),
        item("jpn", title("jpn", "(S//REL TO USA, JPN)")),
        item("ind", title("ind", "(S//REL TO USA, IND)")),
    )
    return world


def test_what_is_published_decides_from_then_on_and_for_every_purpose(filled: World) -> None:
    assert refs(filled, "JPN") == {"open", "jpn"}
    assert refs(filled, "IND") == {"open"}
    assert refs(filled, "IND", "EXERCISE-KEEN") == {"open", "ind"}
    assert refs(filled, "AUS") == {"open"}
    filled.publish(bundle_files([OPEN, IND_CONFIDENTIAL]))
    assert refs(filled, "JPN") == refs(filled, "IND", "EXERCISE-KEEN") == {"open"}


def _without(name: str) -> Mapping[str, bytes]:
    files = bundle_files()
    del files[name]
    return files


@pytest.mark.parametrize(
    ("files", "code"),
    [
        pytest.param(bundle_files(["p, AGR-0001, Allow, release, ALL, *, SECRET, *, *, *, , , x"]), None, id="a word that is none"),
        pytest.param(bundle_files(["p, AGR-0001, allow, release, JPN, *, COSMIC, *, *, *, , , x"]), None, id="an unknown level"),
        pytest.param(_without("prohibitions.csv"), None, id="a file missing"),
        pytest.param({**bundle_files(), "model.conf": b"[matchers]\nm = true\n"}, None, id="another model, half"),
        pytest.param({}, None, id="nothing"),
        pytest.param(bundle_files(cases=[CASE.replace("release, AGR-0002", "withhold, none")]), "case", id="a case of its own fails"),
        pytest.param(bundle_files(cases=[CASE.replace("AGR-0002", "AGR-0001")]), "case", id="right for the wrong reason"),
    ],
)
def test_a_bundle_with_findings_is_refused_and_nothing_changes(filled: World, files: Mapping[str, bytes], code: str | None) -> None:
    before, page = filled.everything(), filled.page("JPN", recorded=False)
    with pytest.raises(PolicyRejected) as refused:
        filled.publish(files)
    assert refused.value.findings
    assert code is None or {finding.code for finding in refused.value.findings} == {code}
    assert filled.everything() == before
    assert filled.page("JPN", recorded=False) == page
    if code != "case":  # a failing case is no finding of the files: it may be archived, and is refused when it is published
        with pytest.raises(PolicyRejected):
            filled.installation.publishing.upload(files, OFFICER)
        assert filled.everything() == before


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param(
            bundle_files(
                scheme=SCHEME.replace(', {name = "SECRET", mark = "S"}', "").replace('= "SECRET"', '= "CONFIDENTIAL"'),
                agreements=[OPEN, IND_CONFIDENTIAL],
            ),
            "level `SECRET` (2 labels)",
            id="a level",
        ),
        pytest.param(
            bundle_files([OPEN], scheme=SCHEME.replace('"MARITIME", ', "")), "category `MARITIME` (3 labels)", id="a category"
        ),
        pytest.param(
            bundle_files([OPEN, JPN_SECRET], partners=PARTNERS[::2], communities=COMMUNITIES[::2]),
            "code `IND` (1 labels)",
            id="a partner",
        ),
    ],
)  # fmt: skip
def test_a_bundle_that_lacks_a_name_of_a_stored_label_is_refused_with_the_count(
    filled: World, files: Mapping[str, bytes], told: str
) -> None:
    before = filled.everything()
    with pytest.raises(Conflict) as refused:
        filled.publish(files)
    assert refused.value.code == "stored-labels"
    assert told in str(refused.value)
    assert filled.everything() == before


def test_an_upload_is_kept_and_changes_nothing_until_it_is_published(filled: World) -> None:
    uploaded = filled.installation.publishing.upload(FORBIDDING, OFFICER)
    assert refs(filled, "JPN") == {"open", "jpn"}
    assert (last_leaf(filled).type, json.loads(last_leaf(filled).record)["details"]) == ("policy.upload", {"bundle": uploaded.digest})
    published = filled.installation.publishing.publish_archived(uploaded.digest, OFFICER)
    assert isinstance(published, Published) and published.digest == uploaded.digest
    assert last_leaf(filled).type == "policy.publish"
    assert refs(filled, "JPN") == {"open"}


def test_rolling_back_is_publishing_an_older_one(filled: World) -> None:
    (first,) = filled.installation.publishing.history().publications
    before = refs(filled, "JPN")
    filled.publish(FORBIDDING)
    assert refs(filled, "JPN") != before
    filled.clock.advance(hours=1)
    roll_back_as_two(filled.installation, first.digest, OFFICER)
    assert last_leaf(filled).type == "policy.rollback"
    assert refs(filled, "JPN") == before
    history = filled.installation.publishing.history().publications
    assert [one.digest == first.digest for one in history] == [True, False, True]
    details = json.loads(last_leaf(filled).record)["details"]
    assert (details["bundle"], details["before"]) == (first.digest, history[1].digest)
    assert details["timeline"] == history[2].timeline
    assert (details["proposed_by"], details["approved_by"]) == (history[2].client, history[2].approver)
    assert history[2].client != history[2].approver, "it gives back what was forbidden"
    # What was forbidden in between is newly visible; what was not stands where it stood.
    stands = {line["title"]: line["visible_since"] for line in filled.listed("JPN")[0]}
    assert stands["open"] < "2026-11-22T10:30" < stands["jpn"]


@pytest.mark.parametrize("digest", ["", "0" * 64, "\x00", "x" * 1000])
def test_a_digest_that_is_not_in_the_archive_is_refused(filled: World, digest: str) -> None:
    before = filled.everything()
    with pytest.raises(Conflict) as refused:
        filled.installation.publishing.publish_archived(digest, OFFICER)
    assert refused.value.code == "no-bundle"
    assert filled.everything() == before


def test_publishing_the_same_again_is_an_act_that_moves_nothing(filled: World) -> None:
    lists = {lane: filled.listed(*lane, recorded=False)[0] for lane in (("JPN",), ("IND",), ("AUS",))}
    filled.clock.advance(days=1)
    filled.publish(bundle_files())
    assert {lane: filled.listed(*lane, recorded=False)[0] for lane in lists} == lists
    assert len(filled.installation.publishing.history().publications) == 2


def test_a_new_partner_gets_a_log_and_a_list(world: World) -> None:
    world.store(item("open", title("open")))
    partner = "g2, GBR, active, , , nation, United Kingdom"
    world.publish(bundle_files(partners=[*PARTNERS, partner], communities=[*COMMUNITIES, "g, GBR, ALL, ,"]))
    with world.installation.database.reading() as connection:
        assert logs.head(connection, "GBR") is not None
    assert refs(world, "GBR") == {"open"}


def test_a_partner_left_out_sees_nothing_and_is_back_when_it_is_back(filled: World) -> None:
    filled.publish(bundle_files([OPEN, JPN_SECRET, IND_CONFIDENTIAL, IND_EXERCISE], partners=PARTNERS[1:], communities=COMMUNITIES[1:]))
    assert refs(filled, "AUS") == set()
    filled.publish(bundle_files())
    assert refs(filled, "AUS") == {"open"}


def test_another_ladder_moves_the_levels_that_filters_go_by(filled: World) -> None:
    ladder = SCHEME.replace('{name = "CONFIDENTIAL"', '{name = "RESTRICTED", mark = "R"}, {name = "CONFIDENTIAL"')
    filled.publish(bundle_files(scheme=ladder))
    assert {line["title"] for line in filled.page("JPN", levels=("SECRET",))["items"]} == {"jpn"}
    assert filled.page("JPN", levels=("CONFIDENTIAL", "RESTRICTED"))["items"] == []


# --- suspension ----------------------------------------------------------------------------------------------------------


def test_a_suspended_partner_is_one_to_whom_nothing_is_released(filled: World) -> None:
    (shown,) = (line["id"] for line in filled.listed("JPN")[0] if line["title"] == "jpn")
    filled.suspend("JPN")
    assert refs(filled, "JPN") == set()
    assert filled.item("JPN", shown) is None
    assert refs(filled, "IND", "EXERCISE-KEEN") == {"open", "ind"}
    filled.clock.advance(minutes=1)
    filled.resume("JPN")
    assert refs(filled, "JPN") == {"open", "jpn"}
    assert all(line["visible_since"] > "2026-11-22T10:00:30" for line in filled.listed("JPN")[0])
    with filled.installation.database.reading() as connection:
        details = record_in_words(connection, last_leaf(filled))["details"]
    assert (last_leaf(filled).type, details) == ("partner.resume", {"partner": "JPN", "reason": "a test"})


def test_a_suspension_outlasts_publications_and_arrivals(filled: World) -> None:
    filled.suspend("JPN")
    filled.publish(bundle_files())
    filled.store(item("later", title("later")))
    assert refs(filled, "JPN") == set()
    filled.resume("JPN")
    assert refs(filled, "JPN") == {"open", "jpn", "later"}


def test_suspending_twice_is_refused(filled: World) -> None:
    filled.suspend("JPN")
    before = filled.everything()
    with pytest.raises(Conflict) as refused:
        filled.suspend("JPN")
    assert refused.value.code == "suspension"
    assert filled.everything() == before


def test_what_publication_writes_is_what_its_difference_names(filled: World) -> None:
    """Rows of those who gain or lose nothing are not touched."""

    def rows() -> list[Any]:
        with filled.installation.database.reading() as connection:
            return visibility.all_offers(connection, at=0)

    before = rows()
    filled.publish(FORBIDDING)
    gone = set(before) - set(rows())
    assert len(gone) == 1
    assert set(rows()) < set(before)


def test_what_is_on_offer_can_be_made_again_from_publications_suspensions_timelines_and_clients(filled: World) -> None:
    for act in (
        lambda: filled.suspend("JPN"),
        lambda: filled.publish(FORBIDDING),
        lambda: filled.resume("JPN"),
        lambda: filled.installation.registry.add("more", Role.PARTNER, partner="JPN", purposes=["EXERCISE-KEEN"]),
        lambda: filled.publish(bundle_files()),
        lambda: filled.store(item("later", title("later", "(U)", not_before={"*": "2027-01-01"}))),
    ):
        filled.clock.advance(hours=1)
        act()
    installation, at = filled.installation, filled.clock.micros
    with installation.database.acting() as connection:
        before = visibility.all_offers(connection, at=at)
        installation.world.current(connection)
        visibility.clear(connection)
        rebuild(connection, history=installation.world.history(connection), labels=installation.world.labels, at=at)
        again = visibility.all_offers(connection, at=at)
    # When a row was written may differ; from now on they say the same.
    assert [(*row[:2], max(row[2], at), *row[3:]) for row in again] == [(*row[:2], max(row[2], at), *row[3:]) for row in before]
    assert {line["title"] for line in filled.listed("JPN", purpose="EXERCISE-KEEN")[0]} == {"open", "jpn"}


def test_text_portions_come_and_go_with_the_policy(filled: World) -> None:
    stored = filled.store(item("mixed", title("mixed"), text_portion("secret", "(S//REL TO USA, JPN)"))).item_id or ""
    assert len(filled.item("JPN", stored)["portions"]) == 1  # type: ignore[index]
    filled.publish(FORBIDDING)
    assert filled.item("JPN", stored)["portions"] == []  # type: ignore[index]
