"""The compiled engine means what stock Casbin means: on the shipped model, on others, for rows that raise and requests that are odd."""

from __future__ import annotations

import ast
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import combinations, product
from pathlib import Path
from typing import Any

import casbin
import pytest
from casbin.persist.adapters.string_adapter import StringAdapter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import Broken
from service.labels.label import Label
from service.policy import EngineKind, build_engine, load_bundle, read_bundle
from service.policy import compiled as compiled_module
from service.policy import engine as engine_module
from service.policy import masks as masks_module
from service.policy.engine import CompiledEngine, Verdict, engine_digest
from service.policy.functions import register
from service.policy.matcher import Request
from service.policy.model_check import EFFECT
from service.policy.snapshot import request_of
from tests.support.big_bundle import big_bundle, partners_of

POLICIES = Path(__file__).parents[2] / "policies"
BUNDLE = load_bundle(POLICIES)
NOW = datetime(2026, 11, 22, tzinfo=UTC)

HEAD = """[request_definition]
r = partner, action, purpose, level, categories, releasable_to, display_to, caveats, originators, consents, grants
[policy_definition]
p = id, eft, action, grantee, purpose, level, categories, caveats, originator, from, until, basis
[role_definition]
g = _, _
g2 = _, _
"""
SHIPPED = (POLICIES / "model.conf").read_text().partition("m = ")[2].strip()
MATCHERS = {
    "shipped": SHIPPED,
    "equality": 'g2(r.partner, "active") && r.partner == p.grantee && p.action == r.action && at_most(r.level, p.level)',
    "negation": "g(r.partner, p.grantee) && !touches(p.categories, r.categories) && "
    "!(permits(p.action, r.action) || r.purpose != p.purpose)",
    "prohibition first": '(p.eft == "deny" && at_least(r.level, p.level) && touches(p.caveats, r.caveats)) || (p.eft == "allow" && '
    "(covers(p.categories, r.categories) || !addressed(r.action, r.releasable_to, r.display_to, r.partner)))",
    "membership in lists": 'r.level in (p.level, "SECRET") && p.grantee not in ("IND", "QUAD") && g(r.partner, p.grantee)',
    "casbin's own functions": "keyMatch(r.partner, p.grantee) || regexMatch(r.level, p.level) && globMatch(p.action, r.action)",
    "order of words": "r.level <= p.level && (r.action != p.action || r.partner < p.grantee)",
    "what is no truth value": "p.basis && g(r.partner, p.grantee) && (p.purpose == r.purpose || r.categories)",
    "third parties": '(p.eft == "allow" && only_from(p.originator, r.originators) && consented(r.originators, r.consents, r.partner) && '
    'granted(r.grants, r.action, r.partner)) || (p.eft == "deny" && issued_by(p.originator, r.originators) && forbids(p.action, r.action))',
    "the request alone": 'g2(r.partner, "active") && r.action == "release"',
    "the row alone": 'p.action == "release" && p.level != "TOP SECRET"',
}
EFFECTS = (
    EFFECT,
    "some(where (p.eft == allow))",
    "!some(where (p.eft == deny))",
    "priority(p.eft) || deny",
)


def _model(matcher: str, effect: str = EFFECT) -> str:
    return f"{HEAD}[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"


def _labels() -> Iterator[Label]:
    audiences = [("*",), (), ("JPN", "USA"), ("IND", "USA"), ("QUAD",), ("NATO",), ("AUS", "DEU", "GBR", "JPN", "UN-DPO")]
    subjects = [(), ("MARITIME",), ("DIPLOMATIC",), ("INTEL-SOURCES", "MARITIME"), ("NUCLEAR",), ("CYBER", "LOGISTICS")]
    extras = [
        ((), ("USA",), (), ()),
        (("EXDIS",), ("USA",), (), ("release:JPN",)),
        (("NODIS",), ("USA",), (), ()),
        ((), ("GBR", "USA"), ("GBR:JPN",), ()),
        (("RELIDO",), ("FRA",), (), ("display:IND",)),
    ]
    for level, categories, audience, (caveats, originators, consents, grants) in product(
        ("UNCLASSIFIED", "CONFIDENTIAL", "SECRET", "TOP SECRET"), subjects, audiences, extras
    ):
        yield Label(
            level=level,
            categories=categories,
            releasable_to=audience,
            caveats=caveats,
            originators=originators,
            display_to=("FRA",) if level == "SECRET" and audience == () else None,
            consents=consents,
            grants=grants,
        )


def _files_in_force(folder: Path, on: date) -> str:
    """The Casbin files put together, rows not in force left out, by nothing of ours."""
    kept = []
    for name, begins, ends in (("partners", 3, 4), ("communities", 3, 4), ("agreements", 10, 11), ("prohibitions", 10, 11)):
        for line in (folder / f"{name}.csv").read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            cells = [cell.strip() for cell in line.split(",")]
            if (not cells[begins] or cells[begins] <= on.isoformat()) and (not cells[ends] or on.isoformat() < cells[ends]):
                kept.append(line)
    return "\n".join(kept) + "\n"


@pytest.mark.parametrize("at", [NOW, datetime(2018, 1, 1, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC)])
def test_agrees_with_stock_casbin_over_the_shipped_files(at: datetime, tmp_path: Path) -> None:
    """Every partner, every action, and of the sample labels every n-th, another one for each partner: all labels in the whole."""
    rows = tmp_path / "rows.csv"
    rows.write_text(_files_in_force(POLICIES, at.date()), encoding="utf-8")
    stock = casbin.Enforcer(str(POLICIES / "model.conf"), str(rows))
    register(stock, BUNDLE.scheme)
    snapshot = BUNDLE.snapshot(at)
    labels = list(_labels())
    outcomes = set()
    for index, partner in enumerate(sorted(BUNDLE.scheme.partners)):
        for label, action in product(labels[index % 25 :: 25], ("release", "display")):
            sets = (label.categories, label.releasable_to, label.shown_to, label.caveats, label.originators, label.consents, label.grants)
            decision = snapshot.decide(partner, action, label)
            if stock.enforce(partner, action, "none", label.level, *sets):
                expected = "release"
            else:
                expected = "refer" if stock.enforce(partner, "refer", "none", label.level, *sets) else "withhold"
            assert decision.outcome == expected, (partner, action, label, decision)
            outcomes.add(expected)
    assert outcomes == {"release", "refer", "withhold"}


CODES = ("JPN", "IND", "GBR", "QUAD", "PACIFIC")
_cells = {
    "eft": st.sampled_from(("allow", "allow", "deny", "other")),
    "action": st.sampled_from(("release", "display", "refer", "*")),
    "grantee": st.sampled_from((*CODES, "nobody")),
    "purpose": st.sampled_from(("*", "none", "EXERCISE-KEEN", "BOGUS")),
    "level": st.sampled_from(("UNCLASSIFIED", "SECRET", "TOP SECRET", "BOGUS")),
    "categories": st.sampled_from(("*", "none", "MARITIME", "AIR CYBER", "MARITIME AIR", "BOGUS")),
    "caveats": st.sampled_from(("*", "none", "ORCON", "RELIDO ORCON", "AIR")),
    "originator": st.sampled_from(("*", "USA", "USA GBR", "BOGUS")),
}


@st.composite
def _rows(draw: st.DrawFn) -> str:
    lines = ["g2, JPN, active", "g2, IND, suspended", "g2, GBR, active", "g, JPN, QUAD", "g, IND, QUAD", "g, QUAD, PACIFIC"]
    for index in range(draw(st.integers(0, 6))):
        cells = [draw(strategy) for strategy in _cells.values()]
        basis = draw(st.sampled_from(("basis", "")))
        lines.append(f"p, RUL-{index:04}, {', '.join(cells)}, , , {basis}")
    return "\n".join(lines) + "\n"


def _sets(*names: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), max_size=2, unique=True).map(lambda found: tuple(sorted(found)))


_requests = st.tuples(
    st.sampled_from(("JPN", "IND", "GBR", "BOGUS")),
    st.sampled_from(("release", "display", "refer", "BOGUS")),
    st.sampled_from(("none", "EXERCISE-KEEN", "BOGUS")),
    st.sampled_from(("UNCLASSIFIED", "SECRET", "TOP SECRET", "BOGUS")),
    _sets("MARITIME", "AIR", "CYBER", "BOGUS"),
    st.one_of(st.just(("*",)), _sets("JPN", "QUAD", "USA", "BOGUS")),
    st.one_of(st.just(("*",)), _sets("JPN", "PACIFIC", "BOGUS")),
    _sets("ORCON", "RELIDO", "BOGUS"),
    _sets("USA", "GBR", "JPN", "BOGUS"),
    _sets("GBR:JPN", "JPN:IND", "BOGUS"),
    _sets("release:JPN", "display:IND", "BOGUS"),
)


_SHIPPED = build_engine(
    EngineKind.COMPILED, model=(POLICIES / "model.conf").read_text(), rows=BUNDLE.casbin_rows(NOW), scheme=BUNDLE.scheme
)
assert isinstance(_SHIPPED, CompiledEngine)


def _assert_agreement(matcher: str, effect: str, rows: str, requests: list[Request]) -> None:
    model = _model(matcher, effect)
    compiled = build_engine(EngineKind.COMPILED, model=model, rows=rows, scheme=BUNDLE.scheme)
    stock = build_engine(EngineKind.STOCK, model=model, rows=rows, scheme=BUNDLE.scheme)
    assert isinstance(compiled, CompiledEngine)
    assert compiled.uncompiled is None or "no truth value" in compiled.uncompiled
    for request in requests:
        ours, theirs = compiled.evaluate(request), stock.evaluate(request)
        assert (ours.allowed, ours.matched, ours.denied, ours.error is None) == (
            theirs.allowed,
            theirs.matched,
            theirs.denied,
            theirs.error is None,
        ), request
        if ours.error is not None and "RUL-" in ours.error:
            assert ours.error == theirs.error


@pytest.mark.parametrize("matcher", MATCHERS.values(), ids=MATCHERS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=_rows(), requests=st.lists(_requests, min_size=1, max_size=4), effect=st.sampled_from(EFFECTS))
def test_agrees_with_stock_casbin_on_random_rows(matcher: str, rows: str, requests: list[Request], effect: str) -> None:
    _assert_agreement(matcher, effect, rows, requests)


_atoms = st.sampled_from(
    (
        'p.eft == "allow"',
        'p.eft == "deny"',
        "g(r.partner, p.grantee)",
        'g2(r.partner, "active")',
        "at_most(r.level, p.level)",
        "covers(p.categories, r.categories)",
        "touches(p.caveats, r.caveats)",
        "permits(p.action, r.action)",
        "issued_by(p.originator, r.originators)",
        "r.purpose in (p.purpose, p.action)",
        "keyMatch(r.partner, p.grantee)",
    )
)
_matchers = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} && {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} || {pair[1]})"),
        inner.map(lambda one: f"!({one})"),
    ),
    max_leaves=7,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(matcher=_matchers, rows=_rows(), requests=st.lists(_requests, min_size=1, max_size=3))
def test_agrees_with_stock_casbin_on_random_matchers(matcher: str, rows: str, requests: list[Request]) -> None:
    _assert_agreement(matcher, EFFECT, rows, requests)


@pytest.mark.parametrize(
    "request_",
    [
        ("JPN", "release"),
        (),
        ("JPN", "release", "none", "SECRET", ["MARITIME"], ("*",), ("*",), (), ("USA",), (), ()),
        ("JPN", "release", "none", "SECRET", ("MARITIME",), {"*"}, {"*"}, (), ["USA"], (), ()),
        ("JPN", "release", "none", "SECRET", (1,), ("*",), ("*",), (), ("USA",), (), ()),
        ("JPN", "release", "none", 3, ("MARITIME",), ("*",), ("*",), (), ("USA",), (), ()),
        ("JPN", "release", "none", "SECRET", "MARITIME", "*", "*", "", "USA", "", ""),
        (None,) * 11,
    ],
)
def test_agrees_with_stock_casbin_on_requests_that_are_none(request_: Request) -> None:
    engines = [
        build_engine(kind, model=(POLICIES / "model.conf").read_text(), rows=BUNDLE.casbin_rows(NOW), scheme=BUNDLE.scheme)
        for kind in EngineKind
    ]
    compiled, stock = (engine.evaluate(request_) for engine in engines)
    assert (compiled.allowed, compiled.error is None) == (stock.allowed, stock.error is None)


@pytest.mark.parametrize(
    ("matcher", "reason"),
    [
        ('timeMatch(p.from, p.until) && p.eft == "allow"', "`timeMatch`"),
        ("r.level.upper() == p.level", "a call of something else"),
        ("eval(p.basis)", "`eval()`"),
    ],
)
def test_says_what_it_cannot_compile_and_asks_stock_casbin(matcher: str, reason: str) -> None:
    rows = 'g2, JPN, active\np, RUL-0001, allow, release, JPN, *, SECRET, *, *, *, 2020-01-01 00:00:00, _, r.action == "release"\n'
    engines = [build_engine(kind, model=_model(matcher), rows=rows, scheme=BUNDLE.scheme) for kind in EngineKind]
    assert engines[0].uncompiled is not None
    assert reason in engines[0].uncompiled
    request: Request = ("JPN", "release", "none", "SECRET", (), ("*",), ("*",), (), ("USA",), (), ())
    assert engines[0].evaluate(request) == engines[1].evaluate(request)


def test_answers_through_casbins_own_entry_points_as_stock_does() -> None:
    rows = BUNDLE.casbin_rows(NOW)
    model = (POLICIES / "model.conf").read_text()
    compiled = build_engine(EngineKind.COMPILED, model=model, rows=rows, scheme=BUNDLE.scheme)
    assert isinstance(compiled, casbin.Enforcer)
    stock = casbin.Enforcer(casbin.Enforcer.new_model(text=model), casbin.persist.adapters.string_adapter.StringAdapter(rows))
    register(stock, BUNDLE.scheme)
    requests = [
        ("JPN", "release", "none", "SECRET", ("MARITIME",), ("JPN", "USA"), ("JPN", "USA"), (), ("USA",), (), ()),
        ("PUBLIC", "release", "none", "SECRET", ("CYBER",), ("*",), ("*",), (), ("USA",), (), ()),
        ("SGP", "release", "none", "UNCLASSIFIED", (), ("*",), ("*",), (), ("USA",), (), ()),
        ("JPN", "release", "none", "SECRET", ("MARITIME",), (), (), (), ("USA",), (), ()),
    ]
    for request in requests:
        assert compiled.enforce_ex(*request) == stock.enforce_ex(*request)
        assert compiled.enforce(*request) == stock.enforce(*request)
    assert compiled.batch_enforce(requests) == stock.batch_enforce(requests)
    bad = ("JPN", "release", "none", "BOGUS", ("MARITIME",), ("*",), ("*",), (), ("USA",), (), ())
    with pytest.raises(Exception, match="unknown level `BOGUS`"):
        stock.enforce(*bad)
    with pytest.raises(Broken, match="unknown level `BOGUS`"):
        compiled.enforce(*bad)


def test_cannot_be_changed_once_built() -> None:
    engine = build_engine(
        EngineKind.COMPILED, model=(POLICIES / "model.conf").read_text(), rows=BUNDLE.casbin_rows(NOW), scheme=BUNDLE.scheme
    )
    assert isinstance(engine, casbin.Enforcer)
    changes = [
        engine.load_policy,
        lambda: engine.load_filtered_policy(None),
        lambda: engine.load_increment_filtered_policy(None),
        engine.clear_policy,
        engine.build_role_links,
        lambda: engine.set_model(None),
        lambda: engine.enable_enforce(False),
        lambda: engine.add_function("covers", lambda *_: True),
        lambda: engine.add_policy("RUL-0001", "allow"),
        lambda: engine.add_policies([["RUL-0001", "allow"]]),
        lambda: engine.remove_filtered_policy(0, "PRO-0001"),
        lambda: engine.add_named_grouping_policy("g2", "XXX", "active"),
        lambda: engine.remove_named_grouping_policy("g", "JPN", "QUAD"),
        lambda: engine.delete_user("JPN"),
    ]
    before = BUNDLE.casbin_rows(NOW)
    for change in changes:
        with pytest.raises(Broken):
            change()
    policy = engine.get_policy()
    assert sum(1 for line in before.splitlines() if line.startswith("p, ")) == len(policy)


def _shipped() -> CompiledEngine:
    engine = build_engine(
        EngineKind.COMPILED, model=(POLICIES / "model.conf").read_text(), rows=BUNDLE.casbin_rows(NOW), scheme=BUNDLE.scheme
    )
    assert isinstance(engine, CompiledEngine)
    return engine


def test_near_misses_name_the_one_condition_that_failed() -> None:
    request: Request = ("SGP", "release", "none", "SECRET", ("MARITIME",), ("SGP", "USA"), ("SGP", "USA"), (), ("USA",), (), ())
    engine = _shipped()
    misses = {miss.rule: miss for miss in engine.near_misses(request)}
    assert misses["AGR-0021"].condition == "at_most(r.level, p.level)"
    assert misses["AGR-0021"].reason == "its ceiling is CONFIDENTIAL, the label is SECRET"
    assert misses["AGR-0021"].mend == "its ceiling were SECRET"
    # Changing that condition, and no other, makes it true: the level is lowered to the ceiling.
    lowered = (*request[:3], "CONFIDENTIAL", *request[4:])
    assert "AGR-0021" in engine.evaluate(lowered).matched
    # A rule for somebody else is none.
    assert not {miss.rule for miss in engine.near_misses(request)} & {"AGR-0002", "AGR-0011"}


@pytest.mark.parametrize(
    ("changed", "rule", "mend"),
    [
        ({"level": "TOP SECRET"}, "AGR-0002", "its ceiling were TOP SECRET"),
        ({"categories": ("INTELLIGENCE", "MARITIME", "PEACEKEEPING")}, "AGR-0002", "it covered INTELLIGENCE and PEACEKEEPING"),
        ({"caveats": ("LIMDIS",)}, "AGR-0002", "it covered LIMDIS"),
        ({"releasable_to": ("GBR", "USA")}, "AGR-0002", "the label were addressed to JPN"),
        ({"originators": ("FRA", "GBR", "USA"), "consents": ("FRA:JPN",)}, "AGR-0002", "GBR consented to JPN having it"),
        (
            {"categories": ("CYBER",), "originators": ("GBR", "JPN"), "consents": ("GBR:JPN",)},
            "AGR-0003",
            "it were for information of GBR and JPN too",
        ),
        ({"releasable_to": (), "display_to": ()}, "AGR-0004", "an officer granted release to JPN"),
        ({"partner": "FRA", "releasable_to": ("FRA",)}, "AGR-0024", "it allowed release"),
        (
            {"partner": "IND", "categories": ("EXERCISE",), "releasable_to": ("IND",)},
            "AGR-0006",
            "it were asked for the purpose EXERCISE-KEEN",
        ),
        ({"partner": "KOR", "suspended": "KOR", "level": "CONFIDENTIAL", "releasable_to": ("KOR",)}, "AGR-0014", "KOR were active"),
    ],
)  # fmt: skip
def test_says_what_would_mend_each_kind_of_condition(changed: dict[str, Any], rule: str, mend: str) -> None:
    suspended = frozenset({changed.pop("suspended", "")})
    label: dict[str, Any] = {
        "partner": "JPN", "action": "release", "purpose": "none", "level": "SECRET", "categories": ("MARITIME",),
        "releasable_to": ("JPN", "USA"), "display_to": None, "caveats": (), "originators": ("USA",), "consents": (), "grants": (),
    } | changed  # fmt: skip
    label["display_to"] = label["releasable_to"] if label["display_to"] is None else label["display_to"]
    engine = BUNDLE.snapshot(NOW, suspended).engine
    request = tuple(label.values())
    assert rule not in engine.evaluate(request).matched
    assert {miss.rule: miss.mend for miss in engine.near_misses(request)}[rule] == mend


@settings(max_examples=150, deadline=None)
@given(requests=st.lists(_requests, min_size=1, max_size=6))
def test_a_near_miss_is_one_condition_away_and_found_on_every_way(requests: list[Request]) -> None:
    """By the masks of one asker, and by going the whole matcher with each atom turned round."""
    engine = _SHIPPED
    for request in requests:
        verdict, near = engine.explain(request)
        assert verdict == engine.evaluate(request)
        misses = engine.near_misses(request)
        by_rule = {(miss.rule, miss.condition) for miss in misses}
        assert list(misses) == sorted(misses, key=lambda miss: (miss.rule, miss.condition))
        if verdict.error is None:
            assert not {miss.rule for miss in misses} & set(verdict.matched)
            assert {(engine.ids[index], atom.text) for index, atom in engine._nearest(request)} == by_rule
        if verdict.error is not None or verdict.allowed:
            assert near == ()
        else:
            assert {(rule, condition) for condition, rules in near for rule in rules} == by_rule


def test_the_digest_is_of_this_engine() -> None:
    assert len(bytes.fromhex(engine_digest())) == 32
    assert engine_digest() == BUNDLE.snapshot(NOW).engine_digest


def test_the_digest_covers_every_module_that_makes_up_the_meaning() -> None:
    """Whoever adds a module to the engine adds it to the digest."""
    sources = {Path(module.__file__ or "").name for module in engine_module._MEANING} | {"engine.py"}
    reached, waiting = set[str](), ["engine.py"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        for node in ast.walk(ast.parse((Path(engine_module.__file__).parent / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("service.policy"):
                inside = (
                    [f"{node.module.rpartition('.')[2]}.py"] if node.module != "service.policy" else [f"{n.name}.py" for n in node.names]
                )
                waiting.extend(set(inside) - reached)
    assert reached == sources


class _Counting:
    """Registers functions that count how often they are called, on an enforcer."""

    def __init__(self, enforcer: CompiledEngine) -> None:
        self._enforcer = enforcer
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._enforcer, name)

    def add_function(self, name: str, function: Any) -> None:
        def counted(*arguments: Any) -> Any:
            self.calls[name] += 1
            return function(*arguments)

        self._enforcer.add_function(name, counted)


def test_labels_of_known_words_cost_no_evaluation_of_rows_however_many_there_are() -> None:
    """A set never seen is tried once, for whether the function takes it; what each row makes of it is known from its words."""
    spent = []
    for rules in (60, 440):
        bundle = read_bundle(big_bundle(rules, 8))
        engine = CompiledEngine(casbin.Enforcer.new_model(text=bundle.files["model.conf"].decode()), StringAdapter(bundle.casbin_rows(NOW)))
        counting = _Counting(engine)
        register(counting, bundle.scheme)
        engine.compile()
        partner = partners_of(8)[0]
        levels, categories = [level.name for level in bundle.scheme.levels], bundle.scheme.categories[:6]
        for level in levels:
            for category in ((), *((one,) for one in categories)):
                for caveat in ((), (bundle.scheme.caveats[0],)):
                    engine.evaluate((partner, "release", "none", level, category, ("*",), ("*",), caveat, ("USA",), (), ()))
        assert sum(counting.calls.values()) > 20
        counting.calls.clear()
        unseen = [
            (partner, "release", "none", level, pair, ("*",), ("*",), (), ("USA",), (), ())
            for level in levels
            for pair in combinations(categories, 2)
        ]
        verdicts = [engine.evaluate(request) for request in unseen]
        assert all(verdict.error is None for verdict in verdicts)
        # Once a set for `covers` and once for `touches`, whatever the level; nothing for what was met before.
        sets = len(list(combinations(categories, 2)))
        assert set(counting.calls) <= {"covers", "touches"}
        assert all(calls <= sets for calls in counting.calls.values())
        spent.append(sum(counting.calls.values()))
    assert spent[0] == spent[1] > 0


def test_remembers_up_to_a_limit() -> None:
    engine = _shipped()
    kept = engine._policy.kept
    kept.most = 300
    for index in range(2_000):
        # Audiences nobody has seen before, one after the other, of askers that are known.
        code = sorted(BUNDLE.scheme.partners)[index % 5]
        audience = tuple(sorted({f"{code}", "USA", sorted(BUNDLE.known_codes)[index % 20], sorted(BUNDLE.known_codes)[index // 20 % 20]}))
        engine.explain((code, "release", "none", "SECRET", (), audience, audience, (), ("USA",), (), ()))
        assert kept.count <= 400
    remembered = sum(len(factor.table) + len(factor.near) for asker in engine._askers.values() if asker for factor in asker._factors)
    assert remembered <= 400


def test_remembers_askers_and_masks_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_module, "ASKERS_MAX", 8)
    monkeypatch.setattr(masks_module, "MASK_BYTES_MAX", 1)
    engine = _shipped()
    for index in range(600):
        # Values nobody knows: every row raises, and the exact way is gone.
        verdict = engine.evaluate((f"X{index}", "release", "none", f"L{index}", (), ("*",), ("*",), (), ("USA",), (), ()))
        assert verdict.error is None
        assert engine.evaluate(("JPN", "release", "none", f"L{index}", (), ("*",), ("*",), (), ("USA",), (), ())).error is not None
    assert len(engine._askers) <= 8
    assert len(engine._deciding) <= 8
    assert all(len(table) <= 256 for table in engine._policy.rows.tables.values())


def test_one_asker_is_answered_the_fast_way() -> None:
    """Nothing is slower without anyone noticing: asked again, the shipped model is decided without a detour, for everybody."""
    engine = _shipped()
    for partner in sorted(BUNDLE.scheme.partners):
        for action in ("release", "display", "refer"):
            for label in list(_labels())[::37]:
                request = request_of(partner, action, label, "none")
                verdict, explained = engine.evaluate(request), engine.explain(request)
                key = engine._key(request)
                assert engine._deciding[key](request) is verdict
                assert engine._explaining[key](request) == explained


def test_near_misses_read_later_are_those_of_their_moment() -> None:
    """Their rules are written when they are read: also after everything remembered has been forgotten, and others have been asked."""
    engine, fresh = _shipped(), _shipped()
    requests = [
        request_of(partner, "release", label, "none") for partner in sorted(BUNDLE.scheme.partners) for label in list(_labels())[::37]
    ]
    kept = [engine.explain(request) for request in requests]
    for asker in engine._askers.values():
        assert asker is not None
        asker.forget()
    again = [engine.explain(request) for request in requests]
    found = [(verdict, tuple(near)) for verdict, near in kept]
    assert found == [(verdict, tuple(near)) for verdict, near in again]
    assert found == [(verdict, tuple(near)) for verdict, near in (fresh.explain(request) for request in reversed(requests))][::-1]
    assert any(near for _, near in found)


def test_stock_casbin_is_safe_to_ask_from_many_threads() -> None:
    """Concurrent `ast.parse` raises spurious errors on Python 3.11; here a spurious error would be a spurious refusal."""
    engine = build_engine(EngineKind.STOCK, model=(POLICIES / "model.conf").read_text(), rows=BUNDLE.casbin_rows(NOW), scheme=BUNDLE.scheme)
    request: Request = ("JPN", "release", "none", "SECRET", ("MARITIME",), ("JPN", "USA"), ("JPN", "USA"), (), ("USA",), (), ())
    answers: list[Verdict] = []

    def ask() -> None:
        answers.extend(engine.evaluate(request) for _ in range(3))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 24
    assert {(answer.allowed, answer.matched, answer.error) for answer in answers} == {(True, ("AGR-0002",), None)}
