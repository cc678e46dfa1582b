"""Readers while policies are published: each of a million decisions is that of the snapshot asked, and none waits for a publication."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, product
from pathlib import Path

from service.labels.label import Label
from service.policy import Bundle, Decision, EngineKind, Outcome, Snapshot, Verdict, build_engine, read_bundle, read_directory
from service.policy.compiled import CompiledEngine
from service.policy.matcher import PARSING
from service.policy.snapshot import request_of

FILES = read_directory(Path(__file__).parents[2] / "policies")
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
DECISIONS = 1_000_000
READERS = 4

Asked = tuple[str, str, Label]
Expected = dict[Asked, tuple[Decision, Verdict]]
"""By question: what the snapshot decides, and what its engine says of the action asked."""


def _editions() -> list[dict[str, bytes]]:
    """Policies that differ in what they release, the way edits do."""
    prohibition = b"p, PRO-9001, deny, *, ALL-PARTNERS, *, UNCLASSIFIED, MARITIME, *, *, , , an order\n"
    return [
        FILES,
        FILES | {"prohibitions.csv": FILES["prohibitions.csv"] + prohibition},
        FILES | {"agreements.csv": FILES["agreements.csv"].replace(b"JPN, *, SECRET, AIR", b"JPN, *, TOP SECRET, AIR")},
        FILES | {"communities.csv": FILES["communities.csv"].replace(b"g, IND, QUAD, 2017-11-12,\n", b""), "cases.csv": b""},
    ]


def _questions() -> list[Asked]:
    labels = [
        Label(level=level, categories=categories, releasable_to=audience, caveats=caveats, originators=("USA",))
        for level, categories, audience, caveats in product(
            ("UNCLASSIFIED", "CONFIDENTIAL", "SECRET", "TOP SECRET"),
            (("MARITIME",), ("AIR", "MARITIME"), ("INTEL-SOURCES", "MARITIME"), ("NUCLEAR",)),
            (("*",), ("JPN", "USA"), ("QUAD", "USA"), ("GBR", "IND")),
            ((), ("RELIDO",)),
        )
    ]
    return list(product(("JPN", "IND", "GBR", "PUBLIC"), ("release", "display"), labels))


def _read(files: dict[str, bytes]) -> Bundle:
    head = FILES["cases.csv"].split(b"\n")[0] + b"\n"
    return read_bundle(files | {"cases.csv": head})


@dataclass
class InForce:
    """One reference, exchanged whole."""

    snapshot: Snapshot
    edition: int


def test_a_million_decisions_beside_continuous_publishing_are_each_that_of_their_snapshot() -> None:
    editions, questions = _editions(), _questions()
    requests = {asked: request_of(asked[0], asked[1], asked[2], "none") for asked in questions}
    expected: list[Expected] = []
    for files in editions:
        compiled, stock = _read(files).snapshot(NOW), _read(files).snapshot(NOW, engine=EngineKind.STOCK)
        expected.append({asked: (compiled.decide(*asked), compiled.engine.evaluate(requests[asked])) for asked in questions})
        for asked in questions[::12]:
            assert expected[-1][asked] == (stock.decide(*asked), stock.engine.evaluate(requests[asked]))
    # They do not all say the same, or a wrong answer would not be seen.
    assert all(one != other for one, other in combinations(expected, 2))

    in_force = InForce(_read(editions[0]).snapshot(NOW), 0)
    wrong: list[tuple[Asked, object]] = []
    published, decisions = [0], [0] * READERS
    done = threading.Event()

    def publish() -> None:
        nonlocal in_force
        while not done.is_set():
            number = (published[0] + 1) % len(editions)
            # A new bundle each time, read and compiled aside, then one assignment.
            in_force = InForce(_read(editions[number]).snapshot(NOW), number)
            published[0] += 1

    def read(number: int) -> None:
        chance = random.Random(number)
        while decisions[number] < DECISIONS // READERS:
            taken = in_force
            decide, evaluate, should = taken.snapshot.decide, taken.snapshot.engine.evaluate, expected[taken.edition]
            for _ in range(4):
                start = chance.randrange(len(questions))
                for asked in questions[start : start + 250]:
                    # A snapshot remembers what it decided; its engine decides each time.
                    answered = decide(*asked), evaluate(requests[asked])
                    if answered != should[asked]:
                        wrong.append((asked, answered))
                decisions[number] += 2 * len(questions[start : start + 250])

    publisher = threading.Thread(target=publish, daemon=True)
    readers = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(READERS)]
    for thread in (publisher, *readers):
        thread.start()
    for reader in readers:
        reader.join()
    done.set()
    publisher.join()
    assert wrong == []
    assert sum(decisions) >= DECISIONS
    assert published[0] > 3


def test_no_lock_that_a_publication_holds_is_taken_by_a_reader() -> None:
    """All that a publication may hold is held, by somebody who does not let go; whoever decides or explains does not notice."""
    bundle = _read(FILES)
    snapshot = bundle.snapshot(NOW)
    label = Label(level="SECRET", categories=("MARITIME",), releasable_to=("JPN", "USA"), originators=("USA",))
    answers: list[object] = []

    def ask() -> None:
        decide = snapshot.engine
        assert isinstance(decide, CompiledEngine)
        answers.append(bundle.snapshot(NOW))
        answers.append(snapshot.decide("JPN", "release", label).outcome)
        answers.append(snapshot.explain("GBR", "release", label).decision.outcome)
        request = ("JPN", "release", "none", "SECRET", ("MARITIME",), ("JPN",), ("JPN",), (), ("USA",), (), ())
        # Ways that are rarer: a value that raises on every row, one that is no set, too few values; each is answered, without a lock.
        answers.append(decide.evaluate((*request[:3], "BOGUS", *request[4:])).error)
        answers.append(decide.evaluate((*request[:4], ["MARITIME"], *request[5:])).allowed)  # type: ignore[arg-type]
        answers.append(decide.evaluate(request[:3]).error)

    with PARSING, bundle._building:
        asker = threading.Thread(target=ask, daemon=True)
        asker.start()
        asker.join(timeout=30)
        assert not asker.is_alive(), "a reader waits for a publication"
    assert answers[0] is snapshot
    assert answers[1:3] == [Outcome.RELEASE, Outcome.WITHHOLD]
    assert "unknown level `BOGUS`" in str(answers[3])
    assert answers[4] is True
    assert "invalid policy or request size" in str(answers[5])


def test_an_uncompiled_matcher_is_decided_without_a_lock_too() -> None:
    """Stock Casbin parses for every decision; on a compiled engine the parsing is done ahead, rules in rows included."""
    model = (
        FILES["model.conf"].decode().partition("m = ")[0]
        + 'm = g2(r.partner, "active") && p.eft == "allow" && r.level.upper() == p.level\n'
    )
    by_row = FILES["model.conf"].decode().partition("m = ")[0] + 'm = p.eft == "allow" && eval(p.basis)\n'
    rows = 'g2, JPN, active\np, RUL-0001, allow, release, JPN, *, SECRET, *, *, *, , , r.level == "SECRET"\n'
    engines = [build_engine(EngineKind.COMPILED, model=text, rows=rows, scheme=_read(FILES).scheme) for text in (model, by_row)]
    assert all(engine.uncompiled is not None for engine in engines)
    request = ("JPN", "release", "none", "SECRET", (), ("*",), ("*",), (), ("USA",), (), ())
    answers: list[bool] = []

    def ask() -> None:
        for engine in engines:
            answers.append(engine.evaluate(request).allowed)
            answers.append(engine.evaluate((*request[:3], "CONFIDENTIAL", *request[4:])).allowed)

    with PARSING:
        asker = threading.Thread(target=ask, daemon=True)
        asker.start()
        asker.join(timeout=30)
        assert not asker.is_alive(), "a reader parses"
    assert answers == [True, False, True, False]
