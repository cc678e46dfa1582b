"""Readers while policies are published: each of a million decisions of the engine is that of the policy in force when it was asked."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, product
from pathlib import Path

from service.labels.label import Label
from service.policy import Decision, EngineKind, Verdict, read_bundle, read_directory
from service.policy.snapshot import request_of
from tests.support.store_world import START, World

FILES = read_directory(Path(__file__).parents[2] / "policies")
DECISIONS = 1_000_000
PUBLICATIONS = 4
READERS = 4

Asked = tuple[str, str, Label]


def _editions() -> list[dict[str, bytes]]:
    """Policies that differ in what they release, the way edits do."""
    prohibition = b"p, PRO-9001, deny, *, ALL-PARTNERS, *, UNCLASSIFIED, MARITIME, *, *, , , an order\n"
    files = FILES | {"cases.csv": FILES["cases.csv"].split(b"\n")[0] + b"\n"}
    return [
        files,
        files | {"prohibitions.csv": files["prohibitions.csv"] + prohibition},
        files | {"agreements.csv": files["agreements.csv"].replace(b"JPN, *, SECRET, AIR", b"JPN, *, TOP SECRET, AIR")},
        files | {"communities.csv": files["communities.csv"].replace(b"g, IND, QUAD, 2017-11-12,\n", b"")},
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


def test_a_million_decisions_beside_continuous_publishing_are_each_that_of_their_policy(tmp_path: Path) -> None:
    """Published the way officers do, examination and second officer included; read the way partners are answered."""
    editions, questions = _editions(), _questions()
    requests = {asked: request_of(asked[0], asked[1], asked[2], "none") for asked in questions}
    expected: dict[str, dict[Asked, tuple[Verdict, Decision]]] = {}
    for files in editions:
        bundle = read_bundle(files)
        compiled, stock = bundle.snapshot(START), bundle.snapshot(START, engine=EngineKind.STOCK)
        said = {asked: (compiled.engine.evaluate(requests[asked]), compiled.decide(*asked)) for asked in questions}
        for asked in questions[::12]:
            assert said[asked] == (stock.engine.evaluate(requests[asked]), stock.decide(*asked))
        expected[bundle.digest] = said
    # They do not all say the same, or a wrong answer would not be seen.
    assert all(one != other for one, other in combinations(expected.values(), 2))

    world = World(tmp_path, publish_compare_seconds=0.01)
    world.publish(editions[0])
    known = world.installation.world.known
    wrong: list[tuple[str, Asked, object]] = []
    published, decisions, seen = [0], [0] * READERS, set[str]()
    done = threading.Event()

    def publish() -> None:
        while not done.is_set():
            world.clock.advance(seconds=1)
            world.publish(editions[(published[0] + 1) % len(editions)])
            published[0] += 1

    def read(number: int) -> None:
        chance = random.Random(number)
        while (decisions[number] < DECISIONS // READERS or published[0] < PUBLICATIONS) and not publishing.done():
            state = known()
            assert state is not None
            snapshot = state.snapshot(START)
            evaluate, should = snapshot.engine.evaluate, expected[state.bundle.digest]
            seen.add(state.bundle.digest)
            asked = chance.choice(questions)
            if snapshot.decide(*asked) != should[asked][1]:
                wrong.append((state.bundle.digest, asked, snapshot.decide(*asked)))
            # What a snapshot remembers is not counted: its engine decides each time.
            for asked in questions:
                verdict = evaluate(requests[asked])
                if verdict != should[asked][0]:
                    wrong.append((state.bundle.digest, asked, verdict))
            decisions[number] += len(questions)

    with ThreadPoolExecutor(READERS + 1) as threads:
        publishing = threads.submit(publish)
        for reader in [threads.submit(read, number) for number in range(READERS)]:
            reader.result()
        done.set()
        publishing.result()
    world.close()
    assert wrong == []
    assert sum(decisions) >= DECISIONS
    assert published[0] >= PUBLICATIONS
    assert len(seen) == len(editions)
