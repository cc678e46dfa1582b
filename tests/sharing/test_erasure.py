"""Personal texts stand in records as commitments; two auditors erase one, and every seal and proof holds as before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from service.errors import Conflict, NotVisible, Rejected, SecondOfficer
from service.identity.clients import Role
from service.releaselog.receipt import verify_receipt
from service.releaselog.reviews import Mark
from service.sharing import audit, erasure, holds, quarantine, relabelling, reviews
from service.sharing.acts import MACHINE, Actor
from service.sharing.asks import ListAsk
from service.sharing.exports.bundle import EvidenceBundle
from service.sharing.exports.entries import lines
from service.sharing.exports.selection import Selection
from service.sharing.exports.writing import to_folder
from service.sharing.label_history import history_of_labels
from service.sharing.ledger import OFFICERS
from service.sharing.personal import ERASED, personal
from service.sharing.replay import Replay, Run
from service.sharing.verification import verify_all
from service.sharing.words import read_query
from service.store import catalogue, logs
from service.store import holds as stored_holds
from service.store import reviews as stored_reviews
from service.store.logs import AuditFilter
from service.store.reviews import saved_query
from tests.conftest import new_postgresql_database
from tests.support.exported import DOES_NOT_HOLD, HOLDS, settle_manifest, verify, vkeys, write_lines
from tests.support.exported import lines as exported_lines
from tests.support.store_bundles import bundle_files
from tests.support.store_world import OFFICER, START, World, item, text_portion, title
from tests.support.two_officers import second_officer

WORDS = "zanzibar whispering"
WHY = "because colonel Okonkwo-Smythe said so"
Q = "zanzibar"
LOOK = {"event_id": "e", "at": "2026-11-22T10:00:00.000000Z", "client": "c_auditor", "route": "cli"}


@dataclass(frozen=True)
class Told:
    """A world with texts on record: of a search, and of an officer's and an auditor's acts; by kind, the event and what was said."""

    world: World
    events: dict[str, str]
    first: Actor
    second: Actor

    def erased(self, event_id: str, kind: str | None = None) -> erasure.Erased:
        pending = erasure.propose(self.world.installation, self.first, event_id, kind=kind, reason="a person asked")
        return erasure.approve(self.world.installation, pending.proposal.id, self.second, timeline=pending.proposal.timeline)

    def entry(self, event_id: str) -> dict[str, Any]:
        with self.world.installation.database.reading() as connection:
            row = logs.entry(connection, event_id)
            assert row is not None
            return audit.audit_entry(connection, row)

    def execute(self, statement: str, **values: object) -> None:
        with self.world.installation.database.acting() as connection:
            assert connection.execute(text(statement), values).rowcount == 1


def auditor(world: World, name: str) -> Actor:
    return Actor(world.installation.registry.add(name, Role.AUDITOR, issuer="https://idp.test", subject=name)[0].id, "cli")


def search(world: World, q: str = WORDS) -> ListAsk:
    return world.list_ask("JPN", limit=5, q=q, sought=read_query(q))


@pytest.fixture(params=["sqlite", "postgresql"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Told]:
    url = None if request.param == "sqlite" else new_postgresql_database(request.getfixturevalue("postgresql_url"))
    world = World(tmp_path / "data", url=url)
    world.publish(bundle_files())
    world.client("JPN")
    installation = world.installation
    first, second = auditor(world, "first-auditor"), auditor(world, "second-auditor")
    stored = world.store(item("open", title("zanzibar and its whispering trees", "(U)")))
    assert stored.item_id is not None
    found = world.ask(search(world))
    assert len(json.loads(found.prepared.body)["items"]) == 1
    events = {
        "q": found.entry.event_id,
        "reason": installation.publishing.suspend("AUS", OFFICER, reason=WHY).event_id,
        "note": reviews.mark(installation.acts, first, found.entry.event_id, Mark.QUESTIONED, note=WHY).event_id,
        "query": reviews.save(installation.acts, first, "of the colonel", {"client": "c_colonel_okonkwo"}),
    }
    world.clock.advance(seconds=1)
    yield Told(world, events, first, second)
    world.close()


TEXTS = {"q": (WORDS,), "reason": (WHY,), "note": (WHY,), "query": ("of the colonel", "c_colonel_okonkwo")}


def everything_kept(world: World) -> bytes:
    """All that the database holds: the bytes of its files, or every column of every row."""
    database = world.installation.database
    if not database.postgres:
        database.forget_deleted()
        return b"".join(path.read_bytes() for path in sorted(Path(str(database.engine.url.database)).parent.glob("*.db*")))
    rows = world.everything().values()
    return b"".join(value if isinstance(value, bytes) else str(value).encode() for table in rows for row in table for value in row)


# --- on record ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(TEXTS))
def test_the_record_holds_a_commitment_and_auditors_are_shown_value_and_salt(told: Told, kind: str) -> None:
    entry = told.entry(told.events[kind])
    assert not any(said in json.dumps(entry["record"]) for said in TEXTS[kind])
    beside = entry["personal"]
    for commitment, kept in beside.items():
        assert commitment == hashlib.sha256(bytes.fromhex(kept["salt"]) + kept["value"].encode()).hexdigest()
    assert len({kept["salt"] for kept in beside.values()}) == len(beside)
    assert all(any(said in kept["value"] for kept in beside.values()) for said in TEXTS[kind])
    assert verify_all(told.world.installation).ok


def test_the_same_words_twice_are_two_commitments(told: Told) -> None:
    again = told.world.ask(search(told.world)).entry.event_id
    assert told.entry(again)["record"]["query"]["q"] != told.entry(told.events["q"])["record"]["query"]["q"]


def test_a_list_without_words_and_an_item_cost_no_statement_more(told: Told) -> None:
    statements: list[str] = []
    engine = told.world.installation.database.engine

    def note(_c: object, _k: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    told.world.page("JPN")
    assert not any("personal" in statement for statement in statements)
    told.world.ask(search(told.world))
    assert sum("INTO personal" in statement for statement in statements) == 1


def test_systems_own_reasons_stay_words(told: Told) -> None:
    world = told.world
    stored = world.store(item("sea", title("s", "(S//REL TO USA, JPN)")))
    assert stored.item_id is not None
    officer = second_officer(world.installation)
    for _ in range(2):
        done = relabelling.relabel(world.installation, relabelling.Relabel(stored.item_id, WHY, "(U)"), officer)
        assert isinstance(done, relabelling.Pending)
    with world.installation.database.reading() as connection:
        (void,) = logs.of_type(connection, OFFICERS, "item.void")
    assert json.loads(void.record)["details"]["reason"] == "proposed again"


def test_what_was_written_in_words_before_is_read_as_it_is(told: Told) -> None:
    world = told.world
    with world.installation.acts.registering("review.mark", told.first) as act:
        row = logs.entry(act.connection, told.events["reason"])
        officers = logs.head(act.connection, OFFICERS)
        assert row is not None
        assert officers is not None
        review = reviews.marked(None, Mark.REVIEWED, told.first.client)
        stored_reviews.put_review(act.connection, row.log_id, row.position, at=row.at, review=review, mark_position=officers.size)
        act.details |= {
            "log": row.log, "index": row.position, "event_id": row.event_id, "mark": "reviewed", "note": "in words", "state": "reviewed",
        }  # fmt: skip
    with world.installation.database.reading() as connection:
        (one,) = stored_reviews.reviews(connection, state="reviewed", before=None, limit=5)
        assert reviews.review_json(connection, one)["marks"][0]["note"] == "in words"
    assert verify_all(world.installation).ok
    with pytest.raises(Conflict, match="no personal text is kept of event"):
        erasure.propose(world.installation, told.first, act.event_id(), reason="r")


# --- erased ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(TEXTS))
def test_an_erased_text_is_nowhere_and_all_holds_as_before(told: Told, kind: str, tmp_path: Path) -> None:
    world = told.world
    if kind in ("reason", "note"):  # the same words, said twice: erased twice
        told.erased(told.events["note" if kind == "reason" else "reason"])
    before = told.entry(told.events[kind])
    assert any(said.encode() in everything_kept(world) for said in TEXTS[kind])
    done = told.erased(told.events[kind])
    after = told.entry(told.events[kind])
    assert "personal" not in after
    assert after == {name: value for name, value in before.items() if name != "personal"}
    kept = everything_kept(world)
    said = [said for said in TEXTS[kind] if kind != "q"] or [WORDS]
    assert not any(one.encode() in kept for one in said)
    assert not any(bytes.fromhex(one["salt"]) in kept for one in before["personal"].values())
    assert verify_all(world.installation).ok
    leaf = told.entry(done.entry.event_id)
    assert leaf["face"]["type"] == "log.erase"
    details = leaf["record"]["details"]
    assert sorted(details["commitments"]) == sorted(before["personal"])
    assert details["event_id"] == told.events[kind]
    assert kind in details["kinds"]
    assert [one["value"] for one in leaf["personal"].values()] == ["a person asked"]
    with pytest.raises(Conflict, match="it never had any, or it was erased"):
        erasure.propose(world.installation, told.first, told.events[kind], reason="again")


def test_the_receipt_of_an_erased_search_proves_what_it_did(told: Told) -> None:
    told.erased(told.events["q"])
    installation = told.world.installation
    with installation.database.reading() as connection:
        receipt = audit.receipt(connection, installation.ledger, "JPN", told.events["q"])
        head = audit.head_of(connection, "JPN")
    verify_receipt(receipt.leaf.encode(), receipt.proof, receipt.key, origin=head.origin)


def test_an_export_shows_what_is_kept_and_is_checked_offline(told: Told, tmp_path: Path) -> None:
    world = told.world
    told.erased(told.events["reason"])

    def exported(name: str) -> Path:
        with world.installation.database.reading() as connection:
            pieces = EvidenceBundle(connection, world.installation.ledger, Selection(AuditFilter(), {}), LOOK).pieces()
            to_folder(pieces, tmp_path / name)
            block = b"".join(lines(connection, Selection(AuditFilter(), {})))
        assert (tmp_path / name / "entries.jsonl").read_bytes() == block
        return tmp_path / name

    folder = exported("bundle")
    assert verify("export", folder, *vkeys(folder)).code == HOLDS
    shown = {line["face"]["event_id"]: line for line in exported_lines(folder)}
    assert [one["value"] for one in shown[told.events["q"]]["personal"].values()] == [WORDS]
    assert "personal" not in shown[told.events["reason"]]
    for number, (change, why) in enumerate(FORGERIES):
        forged = exported(f"forged{number}")
        entries = exported_lines(forged)
        change(next(line["personal"] for line in entries if line["face"]["event_id"] == told.events["q"]))
        write_lines(forged, entries)
        settle_manifest(forged)
        verdict = verify("export", forged, *vkeys(forged))
        assert verdict.code == DOES_NOT_HOLD
        assert why in verdict.said


def _only(personal: dict[str, Any]) -> dict[str, str]:
    (kept,) = personal.values()
    found: dict[str, str] = kept
    return found


def _beside(personal: dict[str, Any]) -> None:
    personal[hashlib.sha256(bytes(32) + b"x").hexdigest()] = {"salt": "00" * 32, "value": "x"}


FORGERIES: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda personal: _only(personal).update(value="otherwise"), "a personal text and its salt make commitment"),
    (lambda personal: _only(personal).update(salt="00" * 32), "a personal text and its salt make commitment"),
    (lambda personal: _only(personal).pop("salt"), "a personal text without `salt`"),
    (_beside, "which its record does not hold"),
]


def test_a_search_is_replayed_and_an_erased_one_is_counted_and_no_finding(told: Told) -> None:
    world = told.world

    def replayed() -> tuple[int, int, int]:
        with world.installation.database.reading() as connection:
            replay = Replay(connection, world.installation.world)
            assert list(replay.run([Run("JPN", 0, 1)])) == []
            return replay.tally.replayed, replay.tally.equal, replay.tally.erased

    assert replayed() == (1, 1, 0)
    told.erased(told.events["q"])
    assert replayed() == (1, 1, 1)


def test_whoever_reads_an_erased_text_is_told_that_it_was(told: Told) -> None:
    world = told.world
    installation = world.installation
    stored = world.store(item("sea", title("s", "(S//REL TO USA, JPN)")))
    assert stored.item_id is not None
    one, two = second_officer(installation), second_officer(installation, "third-officer-of-the-tests")
    pending = relabelling.relabel(installation, relabelling.Relabel(stored.item_id, WHY, "(U)"), one)
    assert isinstance(pending, relabelling.Pending)
    assert [line.reason for line in relabelling.waiting(installation, two, after=0, limit=5)[0]] == [WHY]
    done = relabelling.approve(installation, pending.proposal.id, two, timeline=pending.proposal.timeline)

    def reason() -> str:
        with installation.database.reading() as connection:
            installation.world.current(connection)
            (line,) = history_of_labels(connection, installation.world.labels, stored.item_id or "")
        said: str = line["labels"][-1]["reason"]
        return said

    assert reason() == WHY
    assert [kept["value"] for kept in told.entry(done.entry.event_id)["personal"].values()] == [WHY], "by the entry of the act as well"
    told.erased(done.entry.event_id)
    assert reason() == ERASED
    assert "personal" not in told.entry(pending.entry.event_id), "it was kept once"
    told.erased(told.events["note"])
    told.erased(told.events["query"])
    with installation.database.reading() as connection:
        (review,) = stored_reviews.reviews(connection, state=None, before=None, limit=5)
        assert reviews.review_json(connection, review)["marks"][0]["note"] == ERASED
        assert saved_query(connection, "of the colonel") is None
    assert verify_all(installation).ok


def test_reasons_of_holds_are_erased_and_the_holds_stay(told: Told) -> None:
    world, acts = told.world, told.world.installation.acts
    installation = world.installation
    held = holds.add(acts, told.first, holds.Conditions(log="AUS"), reason=WHY)
    other = holds.add(acts, told.first, holds.Conditions(log="AUS"), reason="to be released")
    released = holds.release(acts, told.second, other.hold.id, reason=WHY)

    def shown() -> list[dict[str, Any]]:
        with installation.database.reading() as connection:
            return holds.holds_json(connection, stored_holds.page(connection, after=0, limit=5, ended=True))

    assert (shown()[0]["reason"], shown()[1]["released"]["reason"]) == (WHY, WHY)
    for done in (held, released):
        entry = told.entry(done.event_id)
        assert WHY not in json.dumps(entry["record"])
        assert [kept["value"] for kept in entry["personal"].values()] == [WHY]
    told.erased(held.event_id)
    told.erased(released.event_id)
    told.erased(told.events["reason"])
    told.erased(told.events["note"])
    assert WHY.encode() not in everything_kept(world)
    assert (shown()[0]["reason"], shown()[1]["reason"], shown()[1]["released"]["reason"]) == (ERASED, "to be released", ERASED)
    assert verify_all(installation).ok
    with installation.database.reading() as connection:
        assert [hold.id for hold in stored_holds.in_force(connection)] == [held.hold.id]


def test_a_hold_of_before_keeps_its_words(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holds, "personal", lambda kind, value: value)
    held = holds.add(told.world.installation.acts, told.first, holds.Conditions(log="AUS"), reason="in words")
    with told.world.installation.database.reading() as connection:
        assert [one["reason"] for one in holds.holds_json(connection, stored_holds.every(connection))] == ["in words"]
    assert told.entry(held.event_id)["record"]["details"]["reason"] == "in words"
    assert verify_all(told.world.installation).ok


def test_what_waits_for_a_reason_that_was_erased_is_still_approved(told: Told) -> None:
    installation = told.world.installation
    stored = told.world.store(item("sea", title("s", "(S//REL TO USA, JPN)")))
    assert stored.item_id is not None
    one, two = second_officer(installation), second_officer(installation, "third-officer-of-the-tests")
    pending = relabelling.relabel(installation, relabelling.Relabel(stored.item_id, WHY, "(U)"), one)
    assert isinstance(pending, relabelling.Pending)
    told.erased(pending.entry.event_id)
    assert [line.reason for line in relabelling.waiting(installation, two, after=0, limit=5)[0]] == [ERASED]
    relabelling.approve(installation, pending.proposal.id, two, timeline=pending.proposal.timeline)
    assert verify_all(installation).ok


def test_a_decision_about_quarantine_keeps_no_words(told: Told) -> None:
    world, installation = told.world, told.world.installation
    stored = world.store(item("held", text_portion("x", "(S//REL TO XYZ)")))
    assert stored.item_id is not None
    done = quarantine.decide(installation, stored.item_id, second_officer(installation), marking="(S//NF)", reason="heldwords", portion="0")
    told.erased(told.events["reason"])
    told.erased(told.events["note"])
    told.erased(done.entry.event_id)
    kept = everything_kept(world)
    assert b"heldwords" not in kept
    assert b"Okonkwo" not in kept
    assert verify_all(installation).ok


def test_many_erased_one_by_one_leave_nothing_in_any_page(told: Told) -> None:
    """Of every length, so that some fill pages of their own and others are moved about when their neighbours go."""
    installation = told.world.installation
    # The longer ones end in pages of their own, which fall free as a whole; and nothing comes after the last that would use them again.
    texts = [f"unmistakable{number:04d}{'x' * (number * 300)}unforgettable{number:04d}" for number in range(60)]
    events = []
    for words in texts:
        with installation.acts.registering("partner.resume-nothing", told.first) as act:
            act.details["reason"] = personal("reason", words)
        events.append(act.event_id())
    for number in range(0, len(texts), 2):
        told.erased(events[number])
    kept = everything_kept(told.world)
    for number, words in enumerate(texts):
        for part in (words[:16], words[-17:]):
            assert (part.encode() in kept) is (number % 2 == 1), part


# --- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["the proposer", "an officer", "a partner", "the machine", "an auditor disabled"])
def test_whoever_may_not_approve_is_told_why_and_nothing_is_erased(told: Told, who: str) -> None:
    world = told.world
    pending = erasure.propose(world.installation, told.first, told.events["reason"], reason="r")
    actors = {
        "the proposer": told.first,
        "an officer": second_officer(world.installation),
        "a partner": Actor(world.client("JPN").id, "cli"),
        "the machine": Actor(MACHINE, "cli"),
        "an auditor disabled": told.second,
    }
    if who == "an auditor disabled":
        world.installation.registry.disable("second-auditor")
    before = world.everything()
    with pytest.raises(SecondOfficer, match="expected another auditor" if who == "the proposer" else "no client of role `auditor`"):
        erasure.approve(world.installation, pending.proposal.id, actors[who])
    assert world.everything() == before


def test_only_the_kind_that_was_named_goes(told: Told) -> None:
    event_id = told.events["query"]
    told.erased(event_id, "query")
    assert [kept["value"] for kept in told.entry(event_id)["personal"].values()] == ["of the colonel"]
    with pytest.raises(Conflict, match="no personal text of kind `query` is kept"):
        erasure.propose(told.world.installation, told.first, event_id, kind="query", reason="r")
    assert verify_all(told.world.installation).ok


def test_what_cannot_be_proposed_is_refused_and_leaves_everything_as_it_was(told: Told) -> None:
    installation = told.world.installation
    before = told.world.everything()
    with pytest.raises(NotVisible):
        erasure.propose(installation, told.first, "no-such-event", reason="r")
    with pytest.raises(Rejected, match="unknown kind `colour`"):
        erasure.propose(installation, told.first, told.events["q"], kind="colour", reason="r")
    with pytest.raises(Conflict, match="no personal text of kind `note`"):
        erasure.propose(installation, told.first, told.events["q"], kind="note", reason="r")
    assert told.world.everything() == before


@pytest.mark.parametrize(
    "conditions", [{}, {"log": "JPN"}, {"item": "the one found"}, {"since": START, "until": START + timedelta(days=1)}]
)
def test_what_a_legal_hold_keeps_is_not_erased_until_it_is_released(told: Told, conditions: dict[str, Any]) -> None:
    installation = told.world.installation
    pending = erasure.propose(installation, told.first, told.events["q"], reason="r")
    with installation.database.reading() as connection:
        found = catalogue.item_by_ref(connection, "open")
    assert found is not None
    if "item" in conditions:
        conditions = {"item": found.id}
    hold = holds.add(installation.acts, told.first, holds.Conditions(**conditions), reason="an inquiry").hold.id
    other = holds.add(installation.acts, told.first, holds.Conditions(log="AUS", item="another", until=START), reason="elsewhere").hold.id
    with pytest.raises(Conflict, match=f"hold `{hold}` keeps this entry whole"):
        erasure.approve(installation, pending.proposal.id, told.second)
    with pytest.raises(Conflict, match=f"hold `{hold}` keeps this entry whole"):
        erasure.propose(installation, told.first, told.events["q"], reason="r")
    assert "personal" in told.entry(told.events["q"])
    holds.release(installation.acts, told.second, hold, reason="it is over")
    assert erasure.approve(installation, pending.proposal.id, told.second).texts == 1, other
    assert verify_all(installation).ok


def test_a_proposal_is_approved_as_it_was_seen_or_withdrawn(told: Told) -> None:
    installation = told.world.installation
    pending = erasure.propose(installation, told.first, told.events["q"], reason="r")
    with pytest.raises(Conflict, match="what was proposed is"):
        erasure.approve(installation, pending.proposal.id, told.second, timeline="0" * 64)
    (waits,), _ = erasure.waiting(installation, told.second, after=0, limit=5)
    assert (waits.proposal.id, waits.reason) == (pending.proposal.id, "r")
    erasure.withdraw(installation, pending.proposal.id, told.second, reason="no")
    assert erasure.waiting(installation, told.second, after=0, limit=5)[0] == []
    with pytest.raises(Conflict, match="it is withdrawn"):
        erasure.approve(installation, pending.proposal.id, told.second)
    assert "personal" in told.entry(told.events["q"])


def test_a_part_that_went_meanwhile_makes_it_another_erasure(told: Told) -> None:
    installation = told.world.installation
    pending = erasure.propose(installation, told.first, told.events["query"], reason="r")
    told_again = erasure.propose(installation, told.first, told.events["query"], kind="name", reason="r")
    assert told_again.proposal.id != pending.proposal.id
    with pytest.raises(Conflict, match="it is void"):
        erasure.approve(installation, pending.proposal.id, told.second)


# --- tampered with -----------------------------------------------------------------------------------------------------

TAMPERING = {
    "a value": ("UPDATE personal SET value = :value WHERE kind = 'q'", "make another one"),
    "a salt": ("UPDATE personal SET salt = :salt WHERE kind = 'q'", "make another one"),
    "a kind": ("UPDATE personal SET kind = 'note' WHERE kind = 'q'", "said to be of kind `note`, expected `q`"),
    "a row deleted": ("DELETE FROM personal WHERE kind = 'q'", "is not there, and no entry says that it was erased"),
    "a row moved": (
        "UPDATE personal SET log_id = (SELECT id FROM log WHERE name = 'officers'), position = 0 WHERE kind = 'q'",
        "is kept beside",
    ),
    "a row of no entry": ("UPDATE personal SET position = 1000 WHERE kind = 'q'", "a personal value that is in no log"),
}


@pytest.mark.parametrize("what", list(TAMPERING))
def test_what_was_changed_behind_the_logs_back_is_found_by_name(told: Told, what: str) -> None:
    statement, why = TAMPERING[what]
    values = {"value": {"value": b"otherwise"}, "salt": {"salt": bytes(32)}}
    told.execute(statement, **values.get(what.removeprefix("a "), {}))
    problem = verify_all(told.world.installation).problem
    assert problem is not None
    assert problem.code == ("stray" if what == "a row of no entry" else "personal")
    assert why in problem.message
    assert WORDS not in problem.message


def test_an_erased_value_put_back_is_found(told: Told) -> None:
    database = told.world.installation.database
    with database.reading() as connection:
        rows = [tuple(row) for row in connection.execute(text("SELECT * FROM personal WHERE kind = 'q'"))]
    told.erased(told.events["q"])
    (row,) = rows
    names = ("commitment", "salt", "value", "kind", "log_id", "position")
    told.execute(f"INSERT INTO personal VALUES ({', '.join(f':{name}' for name in names)})", **dict(zip(names, row, strict=True)))
    problem = verify_all(told.world.installation).problem
    assert problem is not None
    assert "was erased on record, and is there again" in problem.message
