"""The compiled engine agrees with stock Casbin on whatever Casbin accepts, and with Cedar, an engine by other people, on the shipped model.

100,000 decisions on random models here, ten million in `make campaign`; outcome, explaining row, refusals, and the whole list of rows.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.labels.label import Label
from service.policy import load_bundle, read_bundle
from service.policy.compiled import CompiledEngine
from service.policy.snapshot import request_of
from tests.support import big_bundle
from tests.support.casbin_models import Generated, difference, generated, pair
from tests.support.cedar import ACTIONS, Cedar

BUNDLE = load_bundle(Path(__file__).parents[2] / "policies")
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
REQUESTS = 64
MODELS = 1_600
CHUNKS = 16


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_agrees_with_stock_casbin_on_random_models(chunk: int) -> None:
    for seed in range(chunk * MODELS // CHUNKS, (chunk + 1) * MODELS // CHUNKS):
        of = generated(seed, requests=REQUESTS, uncompiled=seed % 12 == 0)
        differs = difference(of, whole_every=16)
        assert differs is None, f"model {seed}: {differs}\n{of.model}{of.rows}"


def test_the_random_models_reach_every_way_to_an_answer() -> None:
    """What agrees only where nothing happens is no agreement: outcomes of both kinds, refusals, near all of them compiled."""
    outcomes: dict[object, int] = {}
    compiled = 0
    for seed in range(1, 100):
        of = generated(seed)
        engine, _ = pair(of)
        compiled += engine.uncompiled is None
        for request in of.requests:
            verdict = engine.evaluate(request)
            outcome = "error" if verdict.error is not None else verdict.allowed
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert compiled > 90
    assert min(outcomes.get(outcome, 0) for outcome in (True, False, "error")) > 500, outcomes


@pytest.mark.parametrize(
    ("matcher", "request_", "raises"),
    [
        # A row that raises counts only where stock Casbin comes to it.
        ("at_most(r.level, p.level) && g(r.partner, p.grantee)", ("JPN", "BOGUS"), True),
        ("g(r.partner, p.grantee) && at_most(r.level, p.level)", ("IND", "BOGUS"), False),
        ('p.level == "SECRET" || at_most(r.level, p.level)', ("JPN", "BOGUS"), False),
        ('!(p.level == "SECRET") || !at_most(r.level, p.level)', ("JPN", "BOGUS"), True),
        ('p.level == "UNCLASSIFIED" && at_most(r.level, p.level)', ("JPN", "BOGUS"), False),
        # Its value does not matter to the outcome, but stock Casbin comes to it.
        ('at_most(r.level, p.level) && p.level == "UNCLASSIFIED"', ("JPN", "BOGUS"), True),
        ('at_most(r.level, p.level) || g(r.partner, "JPN")', ("JPN", "BOGUS"), True),
        ('g(r.partner, "JPN") || at_most(r.level, p.level)', ("JPN", "BOGUS"), False),
    ],
)
def test_raises_exactly_where_stock_casbin_comes_to_a_row_that_raises(matcher: str, request_: tuple[str, ...], raises: bool) -> None:
    model = (
        "[request_definition]\nr = partner, level\n[policy_definition]\np = id, eft, grantee, level\n[role_definition]\ng = _, _\n"
        f"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = {matcher}\n"
    )
    of = Generated(model, "g, GBR, QUAD\np, RUL-0001, allow, JPN, SECRET\n", (request_, ("JPN", "SECRET"), ("IND", "SECRET")) * 2)
    assert difference(of, whole_every=1) is None
    compiled, _ = pair(of)
    assert compiled.uncompiled is None
    assert (compiled.evaluate(request_).error is not None) == raises


@pytest.mark.parametrize("name", ["covers", "touches"])
def test_a_set_that_is_taken_by_no_row_as_a_whole_is_refused_also_where_each_of_its_words_is_known(name: str) -> None:
    """Categories and caveats in one set: with each of its words remembered, the set itself still has to be asked about."""
    model = (
        "[request_definition]\nr = partner, categories\n[policy_definition]\np = id, eft, grantee, categories\n"
        "[role_definition]\ng = _, _\n"
        "[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\n"
        f"m = g(r.partner, p.grantee) && {name}(p.categories, r.categories)\n"
    )
    sets = (("MARITIME",), ("ORCON",), (), ("CYBER", "MARITIME"), ("MARITIME", "ORCON"), ("AIR", "ORCON"), ("CYBER", "RELIDO"))
    of = Generated(model, "p, RUL-0001, allow, JPN, *\n", tuple(("JPN", words) for words in sets * 2))
    assert difference(of, whole_every=1) is None
    compiled, _ = pair(of)
    assert compiled.uncompiled is None
    assert [compiled.evaluate(("JPN", words)).error is not None for words in sets] == [False, False, False, False, True, False, True]


def test_agrees_with_cedar_on_the_shipped_model() -> None:
    """Every partner and action; the rules that decided are the same, too."""
    chance = random.Random(4774)
    scheme, cedar, snapshot = BUNDLE.scheme, Cedar(BUNDLE, NOW), BUNDLE.snapshot(NOW)
    assert isinstance(snapshot.engine, CompiledEngine)
    codes = [*sorted(scheme.partners), *scheme.expandable, "USA"]
    outcomes: set[tuple[str, bool]] = set()
    for _ in range(75):
        originators = tuple({"USA"} if chance.random() < 0.7 else {chance.choice(codes[:-3]), chance.choice(("USA", "FRA", "GBR"))})
        for partner in sorted(scheme.partners):
            label = Label(
                level=chance.choice(scheme.levels).name,
                categories=tuple(chance.sample(scheme.categories, chance.choice((0, 1, 1, 2, 3)))),
                releasable_to=chance.choice([("*",), (), ("USA", partner), tuple(chance.sample(codes, 3)), ("QUAD",)]),
                caveats=tuple(chance.sample(scheme.caveats, chance.choice((0, 0, 0, 1, 2)))),
                originators=originators,
                display_to=None if chance.random() < 0.7 else (partner, "USA"),
                consents=tuple(f"{of}:{partner}" for of in originators if of != "USA" and chance.random() < 0.6),
                grants=tuple(f"{action}:{partner}" for action in ("release", "display") if chance.random() < 0.2),
            )
            purpose = chance.choice(("none", "none", *scheme.purposes))
            for action in ACTIONS:
                verdict = snapshot.engine.evaluate(request_of(partner, action, label, purpose))
                allowed, why = cedar.decide(partner, action, label, purpose)
                assert verdict.error is None
                assert verdict.allowed == allowed, (partner, action, label, purpose)
                assert frozenset(verdict.matched if allowed else verdict.denied) == why, (partner, action, label, purpose)
                outcomes.add((action, allowed))
    assert len(outcomes) == 2 * len(ACTIONS)


def test_agrees_with_cedar_on_a_bundle_of_440_rules() -> None:
    chance = random.Random(440)
    bundle = read_bundle(big_bundle.big_bundle(440, 60))
    cedar, engine = Cedar(bundle, big_bundle.NOW), bundle.snapshot(big_bundle.NOW).engine
    partners = big_bundle.partners_of(60)
    allowed_of = 0
    for label in big_bundle.big_labels(250, 60):
        partner, action = chance.choice(partners), chance.choice(ACTIONS)
        verdict = engine.evaluate(request_of(partner, action, label, "none"))
        allowed, why = cedar.decide(partner, action, label, "none")
        assert (verdict.allowed, frozenset(verdict.matched if allowed else verdict.denied)) == (allowed, why), (partner, action, label)
        allowed_of += allowed
    assert allowed_of > 10
