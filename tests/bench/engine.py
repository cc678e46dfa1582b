"""The compiled engine beside stock Casbin and Cedar: decisions at 440 and 11,000 rules, explanations, decisions beside publications.

Sides alternate, one process, and every answer of every side is compared. Stock is `casbin.Enforcer.enforce`; Cedar is `cedarpy` with all
that can be made ahead made ahead (entities and a set of policies for each partner as handles, the context serialised), once call by call
and once in batches. Ours is `enforce`, the same call on the same kind of object. Three regimes, as they differ:

- *known*: the request was asked before;
- *new label*: the label was not, the values it is made of were, in other labels;
- *all new*: an engine just built, its first questions.

The ratios asked for are those of *new label*.
"""

from __future__ import annotations

import gc
import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import cedarpy

from service.labels.label import Label
from service.policy import Bundle, EngineKind, read_bundle
from service.policy.compiled import CompiledEngine
from service.policy.engine import build_engine
from service.policy.snapshot import request_of
from tests.support.big_bundle import NOW, big_bundle, big_labels, partners_of
from tests.support.cedar import Cedar

PARTNERS = 60
SIZES = (440, 11_000)
ASKED = 6_000
"""Requests a round to ours."""
BATCH = 100
SENTENCES = 200
"""Explanations a round of which the words are read."""


def run(*, rounds: int) -> None:
    """Measure and print."""
    print("engine: one decision, microseconds of processor time (median of rounds; sides alternating)")
    for rules in SIZES:
        _decisions(rules, rounds)
    print("engine: beside publications")
    _publishing()


def _decisions(rules: int, rounds: int) -> None:
    bundle = read_bundle(big_bundle(rules, PARTNERS))
    ours = _engine(bundle, EngineKind.COMPILED)
    stock = _engine(bundle, EngineKind.STOCK)._enforcer
    cedar = Cedar(bundle, NOW)
    chance = random.Random(rules)
    known, fresh = _questions(chance, rounds)
    for request in known:
        ours.enforce(*request)
        ours.explain(request)
    figures: dict[str, list[float]] = {}
    rare = 12 if rules < 1_000 else 3
    for turn in range(rounds):
        new = fresh[turn * ASKED : (turn + 1) * ASKED]
        asked = [new[chance.randrange(len(new))] for _ in range(rare)]
        expected = [bool(stock.enforce(*request)) for request in asked]
        if [ours.enforce(*request) for request in asked] != expected:
            raise SystemExit("the engines differ")
        # Those asked above are known by now; all others are seen for the first time.
        of_cedar = [(cedar.request(*_as_label(request)), cedar.policies[request[0]], cedar.entities) for request in asked]
        if [cedarpy.is_authorized(*question).allowed for question in of_cedar] != expected:
            raise SystemExit("cedar differs")
        partner = asked[0][0]
        batch = [cedar.request(*_as_label((partner, *request[1:]))) for request in new[:BATCH]]
        gc.collect()
        gc.disable()
        _timed(figures, "stock", stock.enforce, asked)
        _timed(figures, "new label", ours.enforce, new)
        _timed(figures, "known", ours.enforce, known)
        _timed(figures, "evaluated, known", ours.evaluate, [(request,) for request in known])
        _timed(figures, "explained, known", ours.explain, [(request,) for request in known])
        _timed(figures, "evaluated, new label", ours.evaluate, [(request,) for request in new])
        _timed(figures, "explained, new label", ours.explain, [(request,) for request in new])
        misses = [(ours.explain(request)[1],) for request in new]
        _timed(figures, "its near misses' rules read", len, misses)
        few = [(request,) for request in known[:SENTENCES]]
        _timed(figures, "explained in sentences", ours.near_misses, few)
        _timed(figures, "cedarpy", cedarpy.is_authorized, of_cedar)
        _timed(figures, "cedarpy, batch", cedarpy.is_authorized_batch, [(batch, cedar.policies[partner], cedar.entities)], each=BATCH)
        gc.enable()
    new_engine = _engine(bundle, EngineKind.COMPILED)
    _timed(figures, "all new, an asker's first", new_engine.enforce, list({request[0]: request for request in known}.values()))
    _timed(figures, "all new, his next hundred", new_engine.enforce, known)
    mid = {name: statistics.median(times) for name, times in figures.items()}
    near = [len(rules_) for request in known for _, rules_ in ours.explain(request)[1]]
    print(f"  {rules:,} rules, {PARTNERS} partners; {sum(near) / len(known):.1f} near misses a question on average")
    for name, value in mid.items():
        print(f"    {name:28} {value:12,.2f}")
    for name in ("new label", "known"):
        print(
            f"    {name}: {mid['stock'] / mid[name]:,.0f} times stock, {mid['cedarpy'] / mid[name]:,.0f} times cedarpy, "
            f"{mid['cedarpy, batch'] / mid[name]:,.0f} times cedarpy in batches of {BATCH}"
        )
    for of in ("known", "new label"):
        ratio = mid[f"explained, {of}"] / mid[f"evaluated, {of}"]
        print(
            f"    an explanation, with all rules that decide and the rows that miss by one condition, is {ratio:.2f} bare decisions ({of})"
        )
    ratio = mid["its near misses' rules read"] / mid["evaluated, new label"]
    print(f"    writing the rules of its near misses, done when they are first read, is {ratio:.2f} bare decisions more (new label)")
    ratio = mid["explained in sentences"] / mid["evaluated, known"]
    print(f"    its near misses as sentences, made when they are read, are {ratio:,.0f} bare decisions more")


def _engine(bundle: Bundle, kind: EngineKind) -> Any:
    return build_engine(kind, model=bundle.files["model.conf"].decode(), rows=bundle.casbin_rows(NOW), scheme=bundle.scheme)


def _questions(chance: random.Random, rounds: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Requests to be known, and others of the same values: per partner a level with other categories, caveats, audience, originators."""
    known: list[tuple[Any, ...]] = []
    fresh: list[tuple[Any, ...]] = []
    labels = list(big_labels(ASKED, PARTNERS))
    each = ASKED // PARTNERS
    seen = set()
    for number, partner in enumerate(partners_of(PARTNERS)):
        own = [request_of(partner, "release", label, "none") for label in labels[number * each : (number + 1) * each]]
        known += own
        seen.update(own)
        made: set[tuple[Any, ...]] = set()
        while len(made) < each * rounds:
            of = [chance.choice(own) for _ in range(5)]
            made.add((*of[0][:3], of[0][3], of[1][4], of[2][5], of[2][6], of[3][7], of[4][8], of[4][9], of[2][10]))
        fresh += [request for request in made if request not in seen]
    chance.shuffle(known)
    chance.shuffle(fresh)
    return known, (fresh * 2)[: ASKED * rounds]


def _as_label(request: Sequence[Any]) -> tuple[str, str, Any, str]:
    """A request taken apart again, for `Cedar.request`."""
    partner, action, purpose, level, categories, releasable_to, display_to, caveats, originators, consents, grants = request
    label = Label(
        level=level, categories=categories, releasable_to=releasable_to, caveats=caveats, originators=originators, display_to=display_to,
        consents=consents, grants=grants,
    )  # fmt: skip
    return partner, action, label, purpose


def _timed(
    figures: dict[str, list[float]], name: str, ask: Callable[..., object], questions: Sequence[Sequence[Any]], *, each: int = 1
) -> None:
    # Of this thread alone: the machine may be shared.
    began = time.thread_time()
    for question in questions:
        ask(*question)
    figures.setdefault(name, []).append((time.thread_time() - began) / len(questions) / each * 1e6)


def _publishing() -> None:
    """One reader, beside a thread that reads and compiles one bundle after the other, and beside one that only counts."""
    files = big_bundle(440, PARTNERS)
    snapshot = read_bundle(files).snapshot(NOW)
    engine = snapshot.engine
    if not isinstance(engine, CompiledEngine):
        raise SystemExit("the bundle is not compiled")
    known, _ = _questions(random.Random(7), 1)
    for request in known:
        engine.evaluate(request)
    # As the service does when it starts.
    gc.collect()
    gc.freeze()
    stop = threading.Event()
    published = [0]

    def publish() -> None:
        while not stop.is_set():
            fresh = read_bundle(files).snapshot(NOW)
            fresh.engine.evaluate(known[0])
            published[0] += 1

    def count() -> None:
        number = 0
        while not stop.is_set():
            for _ in range(10_000):
                number += 1

    found: dict[str, list[list[float]]] = {}
    for _ in range(3):
        for name, beside in (("beside a thread that counts", count), ("beside publications", publish)):
            stop.clear()
            other = threading.Thread(target=beside, daemon=True)
            other.start()
            found.setdefault(name, []).append(_latencies(engine, known))
            found.setdefault(f"{name}, woken every millisecond", []).append(_woken(engine, known))
            stop.set()
            other.join()
    shown: dict[str, float] = {}
    for name, runs in found.items():
        times = sorted(one for run_ in runs for one in run_)
        shown[name], middle = times[int(len(times) * 0.99)], times[len(times) // 2]
        print(f"    {name:55} p50 {middle:9.2f}  p99 {shown[name]:9.2f} microseconds")
    for kind in ("", ", woken every millisecond"):
        ratio = shown[f"beside publications{kind}"] / shown[f"beside a thread that counts{kind}"]
        print(f"    p99{kind}: {ratio:.2f} times that beside an unrelated thread ({published[0]} publications)")


def _latencies(engine: CompiledEngine, known: Sequence[tuple[Any, ...]]) -> list[float]:
    """Each decision's time, one after the other."""
    found, clock, evaluate = [], time.perf_counter, engine.evaluate
    for _ in range(20):
        for request in known:
            began = clock()
            evaluate(request)
            found.append((clock() - began) * 1e6)
    return found


def _woken(engine: CompiledEngine, known: Sequence[tuple[Any, ...]]) -> list[float]:
    """From the moment at which a reader wanted to be woken to the answer: with what waiting for the interpreter costs."""
    found, clock = [], time.perf_counter
    for number in range(2_000):
        wanted = clock() + 0.001
        time.sleep(0.001)
        engine.evaluate(known[number % len(known)])
        found.append((clock() - wanted) * 1e6)
    return found
