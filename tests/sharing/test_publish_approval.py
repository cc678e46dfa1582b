"""A policy that releases more is put in force by two officers, who agree on exactly what it does, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.errors import Conflict, SecondOfficer, ServiceError
from service.identity.clients import Role
from service.policy import Bundle, read_bundle
from service.sharing import proposals
from service.sharing.acts import MACHINE, Actor
from service.sharing.examination import Examiner, Weighed
from service.sharing.ledger import OFFICERS
from service.sharing.publishing import Pending, Published, Publishing
from service.sharing.verification import verify_all
from service.store import logs, policies
from service.store.policies import ProposalState
from tests.conftest import new_postgresql_database
from tests.support.personal import record_in_words
from tests.support.store_bundles import IND_CONFIDENTIAL, IND_EXERCISE, JPN_SECRET, MODEL, OPEN, PARTNERS, SCHEME, bundle_files
from tests.support.store_world import OFFICER, World, item, text_portion, title
from tests.support.two_officers import publish_as_two, second_officer

ROWS = (OPEN, JPN_SECRET, IND_CONFIDENTIAL, IND_EXERCISE)
AUS_SECRET = "p, AGR-0010, allow, release, AUS, *, SECRET, MARITIME, none, *, , , Letter of the tests"
WIDER = bundle_files([*ROWS, AUS_SECRET])
FORBIDDEN = bundle_files(prohibitions=["p, PRO-0001, deny, *, JPN, *, SECRET, *, *, *, , , Order"])


def leaves(world: World) -> list[tuple[str, dict[str, Any], str]]:
    """(type, details, client) of every leaf of `officers`, oldest first."""
    with world.installation.database.reading() as connection:
        head = logs.head(connection, OFFICERS)
        assert head is not None
        rows = list(logs.entries(connection, head.id))
        return [(row.type, record_in_words(connection, row).get("details", {}), row.client) for row in rows]


def in_force(world: World) -> str | None:
    with world.installation.database.reading() as connection:
        return policies.in_force(connection).digest


def proposed(world: World, files: dict[str, bytes] = WIDER, actor: Actor = OFFICER) -> Pending:
    done = world.installation.publishing.publish(files, actor)
    assert isinstance(done, Pending), "it should have waited for a second officer"
    return done


def approve(world: World, waiting: Pending, actor: Actor | None = None) -> Published:
    actor = actor or second_officer(world.installation)
    return world.installation.publishing.approve(waiting.digest, actor, timeline=waiting.proposal.timeline)


def states(world: World) -> list[str]:
    return [str(one.state) for one in world.installation.publishing.history().proposals]


@pytest.fixture
def filled(world: World) -> World:
    world.load(item("open", title("open", "(U)")), item("sea", title("sea", "(S//REL TO USA, AUS, JPN)")))
    return world


# --- what waits ------------------------------------------------------------------------------------------------------------


def test_what_gains_at_the_approval_level_waits_and_changes_nothing_but_the_record(filled: World) -> None:
    before, force, seen = filled.everything(), in_force(filled), filled.listed("AUS", recorded=False)[0]
    waiting = proposed(filled)
    assert in_force(filled) == force
    assert filled.listed("AUS", recorded=False)[0] == seen
    after = filled.everything()
    assert {name for name in after if after[name] != before[name]} == {"proposal", "bundle_file", "log", "log_entry"}
    (told,) = waiting.weighed.reasons[:1]
    assert told == "AUS gains release and display up to SECRET"
    assert "AUS gains 1 stored items and 1 portions of SECRET" in waiting.weighed.reasons
    type_, details, client = leaves(filled)[-1]
    assert (type_, client) == ("policy.propose", OFFICER.client)
    assert (details["bundle"], details["before"], details["timeline"]) == (waiting.digest, force, waiting.proposal.timeline)


def test_another_officer_puts_it_in_force_and_both_are_on_record(filled: World) -> None:
    force, waiting = in_force(filled), proposed(filled)
    second = second_officer(filled.installation)
    done = approve(filled, waiting)
    assert in_force(filled) == waiting.digest == done.digest
    assert {line["title"] for line in filled.listed("AUS")[0]} == {"open", "sea"}
    (approval, details, approver), (publication, what, actor) = leaves(filled)[-2:]
    assert (approval, approver, publication, actor) == ("policy.approve", second.client, "policy.publish", second.client)
    assert (details["subject"], details["before"], details["timeline"]) == (waiting.digest, force, waiting.proposal.timeline)
    assert (what["bundle"], what["proposed_by"], what["approved_by"]) == (waiting.digest, OFFICER.client, second.client)
    history = filled.installation.publishing.history()
    assert (history.publications[-1].client, history.publications[-1].approver) == (OFFICER.client, second.client)
    assert history.publications[-1].timeline == history.proposals[-1].timeline == waiting.proposal.timeline
    assert history.proposals[-1].state is ProposalState.APPROVED
    assert verify_all(filled.installation).ok


@pytest.mark.parametrize("who", ["the proposer", "the machine", "an auditor", "a partner", "an officer disabled", "nobody known"])
def test_whoever_may_not_approve_is_told_why_and_nothing_changes(filled: World, who: str) -> None:
    registry = filled.installation.registry
    waiting = proposed(filled)
    actors = {"the proposer": OFFICER, "the machine": Actor(MACHINE, "cli"), "nobody known": Actor("c_nobody", "cli")}
    if who == "an auditor":
        actors[who] = Actor(registry.add("an-auditor", Role.AUDITOR, issuer="https://idp.test", subject="a")[0].id, "cli")
    elif who == "a partner":
        actors[who] = Actor(filled.client("AUS").id, "cli")
    elif who == "an officer disabled":
        actors[who] = second_officer(filled.installation)
        registry.disable("second-officer-of-the-tests")
    before = filled.everything()
    with pytest.raises(SecondOfficer) as refused:
        approve(filled, waiting, actors[who])
    assert ("proposed this" if who == "the proposer" else "no client of role `officer`") in str(refused.value)
    assert filled.everything() == before
    assert states(filled) == ["open"]


@pytest.mark.parametrize("role", [Role.OFFICER, Role.AUDITOR])
def test_an_auditors_proposal_is_approved_by_an_auditor_and_an_officers_by_an_officer(filled: World, role: Role) -> None:
    registry = filled.installation.registry
    auditor = Actor(registry.add("an-auditor", Role.AUDITOR, issuer="https://idp.test", subject="a")[0].id, "cli")
    officer = second_officer(filled.installation)
    proposal = proposed(filled).proposal
    may, may_not = (auditor, officer) if role is Role.AUDITOR else (officer, auditor)
    with filled.installation.database.reading() as connection:
        proposals.check_second(connection, proposal, may, role=role)
        with pytest.raises(SecondOfficer, match=f"no client of role `{role}` that is enabled"):
            proposals.check_second(connection, proposal, may_not, role=role)
        with pytest.raises(SecondOfficer, match=f"expected another {role}"):
            proposals.check_second(connection, proposal, OFFICER, role=role)


LOWER = SCHEME.replace('approval_level = "SECRET"', 'approval_level = "CONFIDENTIAL"')
HIGHER = SCHEME.replace('approval_level = "SECRET"', 'approval_level = "TOP SECRET"').replace(
    '{name = "SECRET", mark = "S"}', '{name = "SECRET", mark = "S"}, {name = "TOP SECRET", mark = "TS"}'
)
AUS_CONFIDENTIAL = AUS_SECRET.replace("SECRET", "CONFIDENTIAL")
LATER = AUS_SECRET.replace("none, *, , ,", "none, *, 2027-06-01, ,")
ENDING = "p, PRO-0001, deny, *, JPN, *, SECRET, *, *, *, , 2027-06-01, Order"
REFERRED = AUS_SECRET.replace("release", "refer")
SHOWN = AUS_SECRET.replace("release", "display")
MEMBER = [
    "g, AUS, ALL, ,",
    "g, IND, ALL, ,",
    "g, JPN, ALL, ,",
    "g, AUS, QUAD, 2027-01-01,",
    "g, IND, QUAD, 2020-01-01,",
    "g, JPN, QUAD, 2020-01-01,",
]
FOR_QUAD = "p, AGR-0011, allow, release, QUAD, *, SECRET, CYBER, none, *, , , Letter of the tests"
GBR = "g2, GBR, active, , , nation, Britain"
CASE = "C-01, 2026-11-22, AUS, release, none, SECRET, MARITIME, USA, , none, USA, none, none, withhold, none"
NAMED = b"r.partner in r.releasable_to"
UNDERSTOOD_BY_NOBODY = MODEL.replace(b'"active") &&', b'"active") && (' + NAMED + b" || !(" + NAMED + b")) &&")


@pytest.mark.parametrize(
    ("files", "asked"),
    [
        pytest.param(WIDER, True, id="an agreement at the level"),
        pytest.param(bundle_files([*ROWS, AUS_CONFIDENTIAL]), False, id="an agreement below it"),
        pytest.param(bundle_files([*ROWS, LATER]), True, id="an agreement that begins later"),
        pytest.param(bundle_files([*ROWS, REFERRED]), True, id="an agreement that a grant makes a release"),
        pytest.param(bundle_files([*ROWS, SHOWN]), True, id="an agreement to show"),
        pytest.param(bundle_files([OPEN, JPN_SECRET]), False, id="agreements taken out"),
        pytest.param(FORBIDDEN, False, id="a prohibition"),
        pytest.param(bundle_files([*ROWS, AUS_CONFIDENTIAL], scheme=LOWER), True, id="below the old level, at the new one"),
        pytest.param(bundle_files([*ROWS, AUS_SECRET], scheme=HIGHER), True, id="at the old level, below the new one"),
        pytest.param(bundle_files([OPEN, JPN_SECRET], scheme=HIGHER), False, id="another level, and nothing gained"),
        pytest.param(bundle_files(ROWS, partners=[*PARTNERS, GBR]), True, id="a partner, whose information others may now get"),
        pytest.param(bundle_files([OPEN], partners=[*PARTNERS, GBR]), False, id="a partner who gets nothing and of whom nobody does"),
        pytest.param(bundle_files(ROWS), False, id="the same again"),
        pytest.param({**bundle_files(ROWS), "model.conf": UNDERSTOOD_BY_NOBODY}, True, id="a matcher of which nothing can be proved"),
        pytest.param(bundle_files(ROWS, cases=[CASE]), False, id="a case more"),
    ],
)  # fmt: skip
def test_approval_is_asked_where_something_is_gained_at_the_level_of_either_scheme_or_nothing_is_known(
    filled: World, files: dict[str, bytes], asked: bool
) -> None:
    done = filled.installation.publishing.publish(files, OFFICER)
    assert isinstance(done, Pending) is asked
    assert bool(done.weighed.reasons) is asked
    if asked:
        approve(filled, done)  # type: ignore[arg-type]
    assert in_force(filled) == done.digest


def test_a_date_that_was_approved_is_not_asked_about_again(filled: World) -> None:
    ahead = bundle_files([*ROWS, LATER], prohibitions=[ENDING])
    publish_as_two(filled.installation, ahead, OFFICER)
    one_more = bundle_files([*ROWS, LATER, AUS_CONFIDENTIAL.replace("0010", "0012")], prohibitions=[ENDING])
    assert isinstance(filled.installation.publishing.publish(one_more, OFFICER), Published)
    earlier = bundle_files([*ROWS, LATER.replace("2027-06", "2027-05")], prohibitions=[ENDING])
    waiting = proposed(filled, earlier)
    assert waiting.weighed.reasons == ("from 2027-05-01 on AUS gains release and display up to SECRET",
                                       "from 2027-05-01 on AUS gains 1 stored items and 1 portions of SECRET")  # fmt: skip


def test_an_accession_is_a_gain_from_its_day_on(filled: World) -> None:
    publish_as_two(filled.installation, bundle_files([*ROWS, FOR_QUAD]), OFFICER)
    waiting = proposed(filled, bundle_files([*ROWS, FOR_QUAD], communities=MEMBER))
    assert waiting.weighed.reasons == ("from 2027-01-01 on AUS gains release and display up to SECRET",)


def test_who_is_suspended_gains_all_the_same(filled: World) -> None:
    """A suspension ends by an act that nobody has to approve."""
    filled.suspend("AUS")
    waiting = proposed(filled)
    assert "AUS gains 1 stored items and 1 portions of SECRET" in waiting.weighed.reasons
    filled.resume("AUS")
    approve(filled, waiting)


def test_rolling_back_to_more_is_approved_like_anything_else(filled: World) -> None:
    first = in_force(filled) or ""
    filled.publish(FORBIDDEN)
    done = filled.installation.publishing.publish_archived(first, OFFICER)
    assert isinstance(done, Pending) and done.proposal.kind == "policy.rollback"
    assert in_force(filled) != first
    approve(filled, done)
    assert leaves(filled)[-1][0] == "policy.rollback"
    assert in_force(filled) == first


# --- what makes it void ----------------------------------------------------------------------------------------------------


def test_it_is_void_when_what_it_would_do_has_changed(filled: World) -> None:
    waiting = proposed(filled)
    filled.store(item("deep", title("deep", "(S//REL TO USA, AUS)")))
    force = in_force(filled)
    with pytest.raises(Conflict, match="no longer what was proposed") as refused:
        approve(filled, waiting)
    assert refused.value.code == "timeline-changed"
    assert in_force(filled) == force
    assert states(filled) == ["void"]
    type_, details, _ = leaves(filled)[-1]
    assert (type_, details["reason"], details["timeline"]) == ("policy.void", "timeline-changed", waiting.proposal.timeline)
    with pytest.raises(Conflict) as again:
        approve(filled, waiting)
    assert again.value.code == "no-proposal"
    other = proposed(filled)
    assert other.proposal.timeline != waiting.proposal.timeline
    approve(filled, other)


def test_it_stands_when_the_store_changes_beside_it_and_time_passes(filled: World) -> None:
    waiting = proposed(filled)
    filled.store(item("aside", title("aside", "(S//REL TO USA, JPN)")))
    filled.suspend("IND")
    filled.clock.advance(days=2)
    approve(filled, waiting)
    assert in_force(filled) == waiting.digest


def test_it_is_void_when_one_of_its_dates_has_come(filled: World) -> None:
    waiting = proposed(filled, bundle_files([*ROWS, LATER]))
    filled.clock.advance(days=365)
    with pytest.raises(Conflict) as refused:
        approve(filled, waiting)
    assert refused.value.code == "timeline-changed"


def test_another_publication_makes_it_void(filled: World) -> None:
    waiting = proposed(filled)
    filled.publish(FORBIDDEN)
    assert states(filled) == ["void"]
    type_, details, _ = leaves(filled)[-1]
    assert (type_, details["subject"], details["reason"]) == ("policy.void", waiting.digest, "another publication")
    with pytest.raises(Conflict) as refused:
        approve(filled, waiting)
    assert refused.value.code == "no-proposal"


def test_proposing_again_takes_the_place_of_the_first_and_of_no_other(filled: World) -> None:
    other = proposed(filled, bundle_files([*ROWS, LATER]))
    first = proposed(filled)
    second = second_officer(filled.installation)
    again = proposed(filled, WIDER, second)
    assert states(filled) == ["open", "void", "open"]
    assert again.proposal.timeline == first.proposal.timeline
    with pytest.raises(SecondOfficer):
        approve(filled, again, second)
    third = second_officer(filled.installation, "third-officer-of-the-tests")
    approve(filled, again, third)
    assert states(filled) == ["void", "void", "approved"], "what waited beside it is void as well"
    assert in_force(filled) == first.digest != other.digest


def test_who_approves_another_timeline_than_was_proposed_is_told_and_it_waits_on(filled: World) -> None:
    waiting = proposed(filled)
    before = filled.everything()
    second = second_officer(filled.installation)
    before = filled.everything()
    with pytest.raises(Conflict) as refused:
        filled.installation.publishing.approve(waiting.digest, second, timeline="0" * 64)
    assert refused.value.code == "other-timeline"
    assert filled.everything() == before
    filled.installation.publishing.approve(waiting.digest[:8], second)
    assert in_force(filled) == waiting.digest


@pytest.mark.parametrize("by", ["the proposer", "another"])
def test_a_proposal_is_withdrawn_by_whoever_thinks_better_of_it(filled: World, by: str) -> None:
    waiting = proposed(filled)
    actor = OFFICER if by == "the proposer" else second_officer(filled.installation)
    filled.installation.publishing.withdraw(waiting.digest, actor, reason="not now")
    (found,) = filled.installation.publishing.history().proposals
    assert (found.state, found.closed_by, found.reason) == (ProposalState.WITHDRAWN, actor.client, "not now")
    assert (leaves(filled)[-1][0], leaves(filled)[-1][1]["reason"]) == ("policy.withdraw", "not now")
    before = filled.everything()
    for again in (lambda: approve(filled, waiting, second_officer(filled.installation, "third")),
                  lambda: filled.installation.publishing.withdraw(waiting.digest, actor, reason="again")):  # fmt: skip
        with pytest.raises(Conflict) as refused:
            again()
        assert refused.value.code == "no-proposal"
    after = filled.everything()
    assert before["proposal"] == after["proposal"] and before["publication"] == after["publication"]


# --- when acts come between --------------------------------------------------------------------------------------------------


class Interrupted(Examiner):
    """Something happens each time after it was weighed."""

    happens: Callable[[], object]

    def weigh(self, bundle: Bundle, *, at: Any) -> Weighed:
        weighed = super().weigh(bundle, at=at)
        self.happens()
        return weighed


def interrupted(world: World, happens: Callable[[], object]) -> Publishing:
    """Publishing of this installation, where `happens` comes between weighing and acting, every time."""
    one = world.installation
    examiner = Interrupted(database=one.database, world=one.world, read_bundle=read_bundle, compare_seconds=0.01)
    examiner.happens = happens
    return Publishing(acts=one.acts, database=one.database, ledger=one.ledger, world=one.world, examiner=examiner, clock=one.clock)


def numbered(world: World, marking: str) -> Callable[[], object]:
    """Stores another item each time."""
    count = iter(range(100))
    return lambda: world.store(item(f"between-{next(count)}", title("between", marking)))


def test_acts_that_come_between_every_time_do_not_keep_it_from_ending(filled: World) -> None:
    done = interrupted(filled, numbered(filled, "(S//REL TO USA, JPN)")).publish(FORBIDDEN, OFFICER)
    assert isinstance(done, Published)
    (jpn,) = (one for one in done.weighed.timeline.moments[0].stored.changes if one.purpose == "none")  # type: ignore[union-attr]
    assert sum(one.items for one in jpn.lost) == 4, "what was stored in between is reckoned with"
    assert filled.installation.publishing.history().publications[-1].timeline == done.weighed.timeline.digest  # type: ignore[union-attr]
    assert {line["title"] for line in filled.listed("JPN")[0]} == {"open"}


def test_an_approval_is_not_of_what_came_between(filled: World) -> None:
    waiting = proposed(filled)
    second = second_officer(filled.installation)
    with pytest.raises(Conflict) as refused:
        interrupted(filled, numbered(filled, "(S//REL TO USA, AUS)")).approve(waiting.digest, second)
    assert refused.value.code == "timeline-changed"
    assert states(filled) == ["void"]


def test_acts_beside_an_approval_do_not_keep_it_from_ending(filled: World) -> None:
    waiting = proposed(filled)
    second = second_officer(filled.installation)
    done = interrupted(filled, numbered(filled, "(S//REL TO USA, JPN)")).approve(waiting.digest, second)
    assert in_force(filled) == done.digest


def test_what_needed_no_approval_when_it_was_weighed_waits_if_it_does_by_now(filled: World) -> None:
    """Somebody narrows in between: the same bundle now gives back what was just forbidden."""
    unchanged = bundle_files([*ROWS, AUS_CONFIDENTIAL])
    turns = iter(
        [
            FORBIDDEN,
            {**FORBIDDEN, "never.csv": FORBIDDEN["never.csv"] + b"# again\n"},
            {**FORBIDDEN, "never.csv": FORBIDDEN["never.csv"] + b"# and again\n"},
        ]
    )
    publishing = interrupted(filled, lambda: filled.publish(next(turns)))
    done = publishing.publish(unchanged, OFFICER)
    assert isinstance(done, Pending)
    assert "JPN gains release and display up to SECRET" in done.weighed.reasons
    assert in_force(filled) != done.digest


# --- two workers, many approvers -----------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def two(request: pytest.FixtureRequest, tmp_path: Path, data_folder: Path) -> Iterator[tuple[World, World]]:
    """Two workers over one database of either kind."""
    url = None if request.param == "sqlite" else new_postgresql_database(request.getfixturevalue("postgresql_url"))
    one = World(tmp_path / "data", url=url, busy_timeout_seconds=20.0)
    one.publish(bundle_files())
    one.client("AUS")
    other = World(tmp_path / "data", url=url, clock=one.clock, busy_timeout_seconds=20.0)
    other.clients |= one.clients
    yield one, other
    one.close()
    other.close()


def test_what_one_worker_proposes_is_approved_by_another_and_decides_at_once_in_both(two: tuple[World, World]) -> None:
    one, other = two
    one.store(item("sea", title("sea", "(S//REL TO USA, AUS)"), text_portion("open")))
    assert [line.get("title") for line in other.listed("AUS")[0]] == [None]
    waiting = proposed(one)
    approve(other, waiting)
    for worker in two:
        assert [line["title"] for line in worker.listed("AUS")[0]] == ["sea"]
    publication = one.installation.publishing.history().publications[-1]
    assert (publication.client, publication.timeline) == (OFFICER.client, waiting.proposal.timeline)
    assert verify_all(other.installation).ok


def test_of_many_who_approve_at_once_one_does(two: tuple[World, World]) -> None:
    waiting = proposed(two[0])
    officers = [second_officer(two[0].installation, f"officer-{number}") for number in range(4)]
    outcomes: list[Published | ServiceError] = []
    ready = threading.Barrier(len(officers))

    def run(world: World, actor: Actor) -> None:
        ready.wait()
        try:
            outcomes.append(approve(world, waiting, actor))
        except ServiceError as refused:
            outcomes.append(refused)

    threads = [threading.Thread(target=run, args=(two[number % 2], actor)) for number, actor in enumerate(officers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [one for one in outcomes if isinstance(one, Published)]
    assert len(done) == 1, outcomes
    assert {one.code for one in outcomes if isinstance(one, Conflict)} == {"no-proposal"}
    assert len(outcomes) == len(officers)
    types = [type_ for type_, _, _ in leaves(two[0])]
    assert types.count("policy.approve") == 1 and types.count("policy.publish") == 2
    assert states(two[0]) == ["approved"]


def test_two_who_publish_at_once_both_publish_one_after_the_other(two: tuple[World, World]) -> None:
    files = [FORBIDDEN, bundle_files([OPEN, JPN_SECRET])]
    ready = threading.Barrier(2)
    outcomes: list[object] = []

    def run(world: World, own: dict[str, bytes]) -> None:
        ready.wait()
        try:
            outcomes.append(world.installation.publishing.publish(own, OFFICER))
        except ServiceError as refused:
            outcomes.append(refused)

    threads = [threading.Thread(target=run, args=one) for one in zip(two, files, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    published = [one for one in outcomes if isinstance(one, Published)]
    waiting = [one for one in outcomes if isinstance(one, Pending)]
    assert len(published) + len(waiting) == 2, outcomes
    assert published, "whoever is first narrows, and needs nobody"
    # Each differs from what was in force when it was done, never from what was when it was weighed.
    history = two[0].installation.publishing.history().publications
    assert [one.digest for one in history[1:]] == [one.digest for one in sorted(published, key=lambda one: one.act)]
