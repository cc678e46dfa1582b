"""After any acts, at any time, every partner's pages are what deciding from nothing gives; and nothing released is missed.

One random history drives the service and, beside it, a model that remembers acts and derives nothing (`store_model`). After
each step every lane is listed in full, from old bookmarks, with filters, and item by item.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from service.errors import Conflict
from service.labels.effective import DatedLabel, timeline
from service.labels.intake import label_of
from service.labels.label import UNRESTRICTED, Label
from service.labels.markings import profile_of
from service.policy import Bundle, read_bundle
from service.sharing.catalogue import WIDENS
from service.sharing.intake import Refusal
from service.sharing.visibility import offers, rebuild
from service.sharing.words import read_query
from service.store import catalogue, policies, search, visibility
from service.store.search import Effort
from service.store.tables import FOREVER
from service.store.times import micros, moment_of, text_of
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
from tests.support.store_model import Model, ModelItem, ModelPortion, Row, Standing, from_now
from tests.support.store_world import World, item

LANES = (("AUS", "none"), ("IND", "none"), ("IND", "EXERCISE-KEEN"), ("JPN", "none"))
LADDER = SCHEME.replace('{name = "CONFIDENTIAL"', '{name = "RESTRICTED", mark = "R"}, {name = "CONFIDENTIAL"')

BUNDLES = {
    "plain": bundle_files(),
    "dated": bundle_files(
        [
            OPEN,
            "p, AGR-0002, allow, release, JPN, *, SECRET, CYBER MARITIME, RELIDO, *, 2020-01-01, 2026-12-15, Ends",
            "p, AGR-0003, allow, release, JPN, *, SECRET, MARITIME, none, *, 2026-12-10, 2027-03-01, Goes on in part",
            "p, AGR-0004, allow, release, IND, EXERCISE-KEEN, SECRET, MARITIME, none, *, 2026-12-01, 2027-01-01, Exercise",
            "p, AGR-0005, allow, release, QUAD, *, CONFIDENTIAL, MARITIME, none, *, 2027-01-01, , Accession",
        ]
    ),
    "forbidding": bundle_files(
        prohibitions=[
            "p, PRO-0001, deny, *, JPN, *, SECRET, MARITIME, *, *, , , Order",
            "p, PRO-0002, deny, *, ALL, *, UNCLASSIFIED, CYBER, *, *, 2026-12-05, 2026-12-20, Order for a fortnight",
        ]
    ),
    "without AUS": bundle_files(
        [OPEN, JPN_SECRET, IND_CONFIDENTIAL, IND_EXERCISE], partners=PARTNERS[1:], communities=COMMUNITIES[1:]
    ),
    "another ladder": bundle_files(scheme=LADDER),
}  # fmt: skip
READ: dict[str, Bundle] = {name: read_bundle(files) for name, files in BUNDLES.items()}

# A marking, and the dates beside it.
LABELLINGS: tuple[dict[str, Any], ...] = (
    {"marking": "(U)"},
    {"marking": "(U)", "categories": ["CYBER"]},
    {"marking": "(C//REL TO USA, IND, JPN)"},
    {"marking": "(C//REL TO USA, QUAD)"},
    {"marking": "(S//REL TO USA, JPN)"},
    {"marking": "(S//REL TO USA, IND, JPN)"},
    {"marking": "(S//NF)"},
    {"marking": "(S//REL TO USA, IND, JPN)", "downgrade_on": {"at": "2026-12-08", "level": "CONFIDENTIAL"}},
    {"marking": "(S//REL TO USA, AUS, JPN)", "declassify_on": "2026-12-12"},
    {"marking": "(C//REL TO USA, IND, JPN)", "not_before": {"*": "2026-12-20", "JPN": "2026-12-03"}},
    {"marking": "(U)", "not_before": {"*": "2026-12-02"}},
)
CONTENTS = ("alpha", "bravo", "charlie", "delta")
INDEX = Effort(walked_first=0, indexed_first=1000, walked_then=0)


def _portion(content: str, labelling: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "text", "text": content, **labelling}


def _labels(bundle: Bundle, labelling: dict[str, Any], at: int) -> list[Row]:
    scheme = bundle.scheme
    label = label_of(
        profile_of(scheme).parse_portion(labelling["marking"]),
        categories=labelling.get("categories", ["MARITIME"]),
        originators=["USA"],
        scheme=scheme,
        known_codes=bundle.known_codes,
    )
    dates = {name: labelling[name] for name in ("not_before", "downgrade_on", "declassify_on") if name in labelling}
    dated = DatedLabel.read(label, scheme=scheme, partners=[partner.code for partner in bundle.partners], **dates)
    return [
        (micros(one.from_), FOREVER if one.until is None else micros(one.until), one.label)
        for one in timeline(dated, moment_of(at), scheme=scheme)
    ]


class Poller:
    """A partner's system that asks for what is new, and keeps the last copy of each item it was told of."""

    def __init__(self, partner: str, purpose: str) -> None:
        self.partner, self.purpose = partner, purpose
        self.bookmark: str | None = None
        self.held: dict[str, set[str]] = {}
        self.bookmarks: list[tuple[int, str]] = []


class History:
    """The service and the model, kept in step."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.world = World(folder, url=url)
        self.model = Model()
        self.refs: dict[str, str] = {}
        self.publish("plain")
        self.world.client("IND", purposes=["EXERCISE-KEEN"])
        for partner in ("AUS", "JPN"):
            self.world.client(partner)
        self.pollers = [Poller(*lane) for lane in LANES]

    @property
    def bundle(self) -> Bundle:
        return self.model.policies[-1][1]

    @property
    def suspended(self) -> frozenset[str]:
        return self.model.policies[-1][2]

    def acted(self) -> int:
        """When the last act was."""
        with self.world.installation.database.reading() as connection:
            return policies.fence(connection).at

    # --- steps ----------------------------------------------------------------------------------------------------

    def publish(self, name: str) -> None:
        self.world.publish(BUNDLES[name])
        suspended = self.model.policies[-1][2] if self.model.policies else frozenset()
        self.model.policies.append((self.acted(), READ[name], suspended))

    def suspend_or_resume(self, partner: str) -> None:
        if partner not in {known.code for known in self.bundle.partners}:
            return
        if partner in self.suspended:
            self.world.resume(partner)
            after = self.suspended - {partner}
        else:
            self.world.suspend(partner)
            after = self.suspended | {partner}
        self.model.policies.append((self.acted(), self.bundle, after))

    def load(self, portions: list[tuple[str, int]], *, whole: bool, compiled: bool, target: str | None, update_by_import: bool) -> None:
        """A new item, or a new version of `target`."""
        labellings = [(content, LABELLINGS[number]) for content, number in portions]
        if "AUS" not in self.bundle.known_codes:
            labellings = [(content, one) for content, one in labellings if "AUS" not in one["marking"]] or [("alpha", LABELLINGS[0])]
        members: dict[str, Any] = {"releasable_in": "whole" if whole else "portions"}
        if compiled:
            members["compilation"] = "SECRET//NOFORN" if len(portions) == 4 else "SECRET//REL TO USA, JPN"
        ref = f"item-{len(self.model.items)}" if target is None else self.refs[target]
        value = item(ref, *(_portion(content, one) for content, one in labellings), **members)
        before = self.acted()
        outcome, refused = None, None
        try:
            if target is None:
                outcome = self.world.store(value)
            elif update_by_import:
                *reports, totals = self.world.load(value, update=True)
                assert totals["refused"] in (0, 1)
                refused = reports[0]["code"] if totals["refused"] else None
            else:
                outcome = self.world.store(value, item_id=target)
        except Refusal as refusal:
            assert refusal.code == "compilation-too-loose"
            return
        except Conflict as conflict:
            assert conflict.code == WIDENS
            refused = conflict.code
        at = self.acted()
        if target is not None:
            opened = self._opened(target, [(content, _labels(self.bundle, one, at)) for content, one in labellings], at + 1)
            assert at == before or not opened, "a version opened what is stored already"
        if refused == WIDENS:
            assert at == before
            # What is stored already no version opens; words that are not stored may come with any label.
            anew = [(f"{content}x", number) for content, number in portions]
            self.load(anew, whole=whole, compiled=compiled, target=target, update_by_import=update_by_import)
            return
        if at == before:
            return  # refused by the importer, so nothing happened
        compilation = None
        if compiled:
            codes = () if len(portions) == 4 else ("JPN", "USA")
            categories = {"MARITIME"} | {name for _, one in labellings for name in one.get("categories", [])}
            compilation = [(at, FOREVER, Label("SECRET", tuple(categories), codes, originators=("USA",)))]
        if target is None:
            assert outcome is not None and outcome.item_id is not None
            self.refs[outcome.item_id] = ref
            parts = [ModelPortion(content, at, _labels(self.bundle, one, at)) for content, one in labellings]
            self.model.items[outcome.item_id] = ModelItem(whole, parts, compilation)
            return
        portions = [(content, _labels(self.bundle, one, at)) for content, one in labellings]
        self.model.new_version(target, whole=whole, portions=portions, compilation=compilation, at=at)

    def _opened(self, target: str, portions: list[tuple[str, list[Row]]], at: int) -> bool:
        """Whether content that is in force goes to somebody, by name or not, whom its label did not name; or is under fewer categories."""
        stored = {one.content: _label_at(one.rows, at) for one in self.model.items[target].portions}
        for content, rows in portions:
            old, new = stored.get(content), _label_at(rows, at)
            if old is not None and old.releasable_to != UNRESTRICTED and not set(new.releasable_to) <= set(old.releasable_to):
                return True
            if old is not None and not set(old.categories) <= set(new.categories):
                return True
        return False

    def relabel(self, target: str, portion: int | None, number: int) -> None:
        if "AUS" in LABELLINGS[number]["marking"] and "AUS" not in self.bundle.known_codes:
            return
        held = self.model.items[target]
        with self.world.installation.database.reading() as connection:
            version = catalogue.version_in_force(connection, target)
            assert version is not None
            ids = [one.id for one, _ in catalogue.portions_of_version(connection, version.id)]
        chosen = held.portions if portion is None else [held.portions[portion % len(ids)]]
        before = {id(one): _label_at(one.rows, self.acted() + 1) for one in chosen}
        marking = LABELLINGS[number]["marking"]
        self.world.relabel(target, marking, portion=None if portion is None else ids[portion % len(ids)])
        at = self.acted()
        for one in chosen:
            _, _, label = _labels(self.bundle, {"marking": marking}, at)[0]
            # Categories are not in the marking: they stay what they were.
            label = replace(label, categories=before[id(one)].categories)
            one.rows = from_now(one.rows, [(at, FOREVER, label)], at)

    def withdraw(self, target: str) -> None:
        self.world.withdraw(target)
        self.model.items[target].withdrawn = True

    def quarantined_version(self, target: str) -> None:
        outcome = self.world.store(item(self.refs[target], {"kind": "text", "text": "unmarked"}), item_id=target)
        assert outcome.result == "quarantined"

    # --- checks ---------------------------------------------------------------------------------------------------

    def check(self, seed: int) -> None:
        at = max(self.world.clock.micros, self.acted())
        for number, poller in enumerate(self.pollers):
            expected = self.model.standings(poller.partner, poller.purpose, at)
            self._check_list(poller, expected)
            self._check_filters(poller, expected, seed + number)
            self._check_search(poller, expected, seed + number, at)
            self._check_old_bookmarks(poller, expected)
            self._poll(poller, expected, at)

    def _check_list(self, poller: Poller, expected: list[Standing]) -> None:
        lines, _ = self.world.listed(poller.partner, purpose=poller.purpose, limit=2, recorded=False)
        seen = [(line["visible_since"], line["id"], line["level"], tuple(line["categories"])) for line in lines]
        assert seen == [(text_of(one.visible_since), one.item_id, one.level, one.categories) for one in expected]
        digests = {line["id"]: line["copy_sha256"] for line in lines}
        standing = {one.item_id: one for one in expected}
        for item_id in self.model.items:
            shown = self.world.shown(self.world.item_ask(poller.partner, item_id, purpose=poller.purpose))
            if item_id in standing:
                assert shown.body_sha256.hex() == digests[item_id]
                assert self._contents(poller, item_id) == list(standing[item_id].contents)
            else:
                assert shown.status == 404

    def _contents(self, poller: Poller, item_id: str) -> list[str]:
        shown = self.world.shown(self.world.item_ask(poller.partner, item_id, purpose=poller.purpose))
        return [portion["text"] for portion in json.loads(shown.body)["portions"]]

    def _check_filters(self, poller: Poller, expected: list[Standing], seed: int) -> None:
        levels = (("UNCLASSIFIED",), ("CONFIDENTIAL", "SECRET"), ("SECRET",), None)[seed % 4]
        categories = (("CYBER",), None, ("CYBER", "MARITIME"), ("MARITIME", "ABSENT"))[seed // 4 % 4]
        lines, _ = self.world.listed(poller.partner, purpose=poller.purpose, limit=3, levels=levels, categories=categories, recorded=False)
        assert [line["id"] for line in lines] == [
            one.item_id
            for one in expected
            if (levels is None or one.level in levels) and (categories is None or set(one.categories) & set(categories))
        ]

    def _check_search(self, poller: Poller, expected: list[Standing], seed: int, at: int) -> None:
        word = CONTENTS[seed % len(CONTENTS)]
        levels = (None, ("CONFIDENTIAL", "SECRET"))[seed // 4 % 2]
        found = [one.item_id for one in expected if word in one.contents and (levels is None or one.level in levels)]
        query = {"q": word, "sought": read_query(word), "levels": levels}
        lines, _ = self.world.listed(poller.partner, purpose=poller.purpose, limit=2, recorded=False, **query)
        assert [line["id"] for line in lines] == found
        if levels is None:
            with self.world.installation.database.reading() as connection:
                lane = visibility.lane_id(connection, poller.partner, poller.purpose)
                indexed = search.found_page(connection, read_query(word), lane=lane, at=at, after=visibility.START, limit=99, effort=INDEX)
            assert [line.item_id for line, _ in indexed] == found

    def _check_old_bookmarks(self, poller: Poller, expected: list[Standing]) -> None:
        for asked_at, bookmark in poller.bookmarks[:1] + poller.bookmarks[-2:]:
            lines, _ = self.world.listed(poller.partner, purpose=poller.purpose, limit=2, since=bookmark, recorded=False)
            assert [line["id"] for line in lines] == [one.item_id for one in expected if one.visible_since > asked_at]

    def _poll(self, poller: Poller, expected: list[Standing], at: int) -> None:
        query = {} if poller.bookmark is None else {"since": poller.bookmark}
        lines, poller.bookmark = self.world.listed(poller.partner, purpose=poller.purpose, limit=2, **query)
        poller.bookmarks.append((at, poller.bookmark))
        for line in lines:
            poller.held[line["id"]] = set(self._contents(poller, line["id"]))
        for one in expected:
            assert set(one.contents) <= poller.held[one.item_id], "something released was never told to the poller"

    def check_derived_rows(self) -> None:
        """Offers follow from entitlements, and both follow from publications, suspensions and timelines alone."""
        installation = self.world.installation
        at = self.acted()
        with installation.database.reading() as connection:
            state = installation.world.current(connection)
            labels = installation.world.labels
            lanes = visibility.lanes(connection)
            entitled = visibility.entitlements(connection, labels)
            kept, findable = _stored_offers(connection, at), _findable(connection, at)
            for one in catalogue.item_timelines(connection, list(self.model.items), at=at):
                for lane in lanes:
                    own = {label: stretches for (lane_id, label), stretches in entitled.items() if lane_id == lane.id}
                    again = offers(one, own, labels, state.bundle.scheme, at=at)
                    assert _at_or_after(again, at) == kept.get((lane.id, one.item_id), [])
        try:
            with installation.database.acting() as connection:
                rebuild(connection, history=installation.world.history(connection), labels=labels, at=at)
                assert _stored_offers(connection, at) == kept
                assert _findable(connection, at) == findable
                raise _UndoneOnPurpose
        except _UndoneOnPurpose:
            pass


class _UndoneOnPurpose(Exception):
    pass


def _label_at(rows: list[Row], at: int) -> Label:
    return next(label for begin, end, label in rows if begin <= at < end)


Line = tuple[int, int, int, int]


def _at_or_after(found: tuple[visibility.Offer, ...], at: int) -> list[Line]:
    return [(max(one.from_at, at), one.until, one.visible_since, one.level) for one in found if one.until > at]


def _stored_offers(connection: Any, at: int) -> dict[tuple[int, str], list[Line]]:
    found: dict[tuple[int, str], list[Line]] = {}
    for lane, item_id, from_at, until, since, level in visibility.all_offers(connection, at=at):
        found.setdefault((lane, item_id), []).append((max(from_at, at), until, since, level))
    return found


def _findable(connection: Any, at: int) -> set[tuple[Any, ...]]:
    """(lane, portion, words, from, until) of all that can be found, now or later."""
    rows = connection.execute(
        text(
            "SELECT s.lane_id, r.portion_id, r.body, s.from_at, s.until FROM search_grant s JOIN search_row r ON r.group_id = s.group_id "
            "WHERE s.until > :at"
        ),
        {"at": at},
    )
    return {(row[0], row[1], row[2], max(row[3], at), row[4]) for row in rows}


def _drive(history: History, draw: st.DataObject, steps: int) -> None:
    portions = st.lists(st.sampled_from(CONTENTS), min_size=1, max_size=4, unique=True).flatmap(
        lambda contents: st.tuples(*(st.tuples(st.just(content), st.integers(0, len(LABELLINGS) - 1)) for content in contents)).map(list)
    )
    for number in range(steps):
        there = [item_id for item_id, one in history.model.items.items() if not one.withdrawn]
        kinds = ["load", "load", "publish", "suspend"]
        if there:
            kinds += ["version", "version", "relabel", "relabel", "withdraw", "quarantine"]
        kind = draw.draw(st.sampled_from(kinds), label="step")
        if kind == "load" or kind == "version":
            target = draw.draw(st.sampled_from(there)) if kind == "version" else None
            whole, compiled = draw.draw(st.sampled_from([(False, False), (False, False), (True, False), (False, True)]))
            history.load(draw.draw(portions), whole=whole, compiled=compiled, target=target, update_by_import=draw.draw(st.booleans()))
        elif kind == "publish":
            history.publish(draw.draw(st.sampled_from(_publishable(history))))
        elif kind == "suspend":
            history.suspend_or_resume(draw.draw(st.sampled_from(["AUS", "IND", "JPN"])))
        elif kind == "relabel":
            target = draw.draw(st.sampled_from(there))
            history.relabel(target, draw.draw(st.none() | st.integers(0, 3)), draw.draw(st.integers(0, len(LABELLINGS) - 1)))
        elif kind == "withdraw":
            history.withdraw(draw.draw(st.sampled_from(there)))
        else:
            history.quarantined_version(draw.draw(st.sampled_from(there)))
        if draw.draw(st.booleans(), label="look now"):
            history.check(number)
        passed = draw.draw(st.sampled_from([0, 1, 3 * 86400, 5 * 86400 - 1, 11 * 86400]), label="seconds")
        history.world.clock.advance(seconds=passed)
    history.check(steps)
    history.check_derived_rows()
    # To an exact boundary, its last moment before, and beyond all of them.
    for moment in ("2026-12-20", "2027-01-01"):
        boundary = moment_of(micros(history.world.clock.now))
        wanted = boundary.fromisoformat(f"{moment}T00:00:00+00:00")
        for shift in (-1, 0):
            if wanted + timedelta(microseconds=shift) > history.world.clock.now:
                history.world.clock.now = wanted + timedelta(microseconds=shift)
                history.check(steps)


def _publishable(history: History) -> list[str]:
    """A stored label that names AUS rules a bundle without it out (tested elsewhere)."""
    labels = history.world.installation.world.labels.values()
    named = any("AUS" in {*label.releasable_to, *label.shown_to} for label in labels)
    return [name for name in BUNDLES if not (named and name == "without AUS")]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate))
@given(st.data())
def test_pages_are_what_deciding_from_nothing_gives_after_any_acts_at_any_time(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "data")
        try:
            _drive(history, data, data.draw(st.integers(3, 9), label="steps"))
        finally:
            history.world.close()
