"""The laws by which a compiled engine knows a set by its elements (`functions.Declared`), for every declared function."""

from __future__ import annotations

from itertools import product
from typing import Any

import casbin
import pytest
from casbin.persist.adapters.string_adapter import StringAdapter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.policy.functions import DECLARED, Declared, register
from tests.support.casbin_models import CATEGORIES, CAVEATS, COMMUNITIES, LEVELS, PARTNERS, SCHEME

_MODEL = """[request_definition]
r = partner
[policy_definition]
p = grantee
[role_definition]
g = _, _
g2 = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.partner == p.grantee
"""
_ENFORCER = casbin.Enforcer(
    casbin.Enforcer.new_model(text=_MODEL),
    StringAdapter("g2, JPN, active\ng, JPN, QUAD\ng, IND, PACIFIC\ng, QUAD, FAR\np, JPN\n"),
)
register(_ENFORCER, SCHEME)
_FUNCTIONS = dict(_ENFORCER.fm.get_functions())

_codes = (*PARTNERS, *COMMUNITIES, "USA", "*", "BOGUS")
# AIR is a category and a caveat in this scheme, so that a set may be within both families.
_words: dict[str, tuple[str, ...]] = {
    "level": (*LEVELS, "BOGUS"),
    "ceiling": (*LEVELS, "BOGUS"),
    "floor": (*LEVELS, "BOGUS"),
    "action": ("release", "display", "refer", "BOGUS"),
    "partner": (*PARTNERS, "QUAD", "BOGUS"),
    "purpose": ("none", "EXERCISE-KEEN", "BOGUS"),
    "forbidden": ("*", "release", "display", "refer", "BOGUS"),
}
_cells: dict[str, tuple[str, ...]] = {
    "covers": ("*", "none", "MARITIME", "AIR", "AIR CYBER", "ORCON", "ORCON AIR", "MARITIME ORCON", "BOGUS", ""),
    "touches": ("*", "none", "MARITIME", "AIR", "AIR CYBER", "ORCON", "ORCON AIR", "MARITIME ORCON", "BOGUS", ""),
    "only_from": ("*", "USA", "USA GBR", "JPN", "BOGUS", ""),
    "issued_by": ("*", "USA", "USA GBR", "JPN", "BOGUS", ""),
    "permits": ("release", "display", "refer", "*"),
    "for_purpose": ("*", "none", "EXERCISE-KEEN", "BOGUS", ""),
}
_sets: dict[str, tuple[str, ...]] = {
    "present": (*CATEGORIES, *CAVEATS, "BOGUS"),
    "releasable_to": _codes,
    "display_to": _codes,
    "originators": ("USA", *PARTNERS, "BOGUS"),
    "consents": ("GBR:JPN", "GBR:IND", "JPN:IND", "IND:JPN", "USA:JPN", "BOGUS", "BOGUS:JPN"),
    "grants": ("release:JPN", "display:JPN", "display:IND", "release:GBR", "refer:JPN", "BOGUS"),
}


def _says(declared: Declared, arguments: dict[str, Any]) -> bool | None:
    """What the function says; None where it raises."""
    try:
        return bool(_FUNCTIONS[declared.name](*(arguments[parameter] for parameter in declared.parameters)))
    except Exception:  # noqa: BLE001  the law is about where it raises, whatever it raises
        return None


def _set_parameters(declared: Declared) -> tuple[str, ...]:
    return (*declared.some_of, *(() if declared.all_of is None else (declared.all_of,)))


def _arguments(declared: Declared) -> st.SearchStrategy[dict[str, Any]]:
    strategies: dict[str, st.SearchStrategy[Any]] = {}
    for parameter in declared.parameters:
        if parameter in _set_parameters(declared):
            known = [word for word in _sets[parameter] if not word.startswith("BOGUS")]
            few = st.lists(st.sampled_from(known), max_size=4, unique=True)
            strategies[parameter] = st.one_of(few, few, st.lists(st.sampled_from(_sets[parameter]), max_size=4, unique=True)).map(tuple)
        elif parameter in _words:
            strategies[parameter] = st.sampled_from(_words[parameter])
        else:
            strategies[parameter] = st.sampled_from(_cells[declared.name])
    return st.fixed_dictionaries(strategies)


def _by_elements(declared: Declared, arguments: dict[str, Any]) -> tuple[bool, bool]:
    """What the law says the function says, and whether it raises for an element."""
    none = arguments | dict.fromkeys(_set_parameters(declared), ())
    raised = False

    def says(**changed: Any) -> bool:
        nonlocal raised
        said = _says(declared, none | changed)
        raised = raised or said is None
        return bool(said)

    def some(**changed: Any) -> bool:
        # Not cut short: each element has to be looked at, as it may raise.
        said = [says(**changed, **{set_: (element,)}) for set_ in declared.some_of for element in arguments[set_]]
        return says(**changed) or any(said)

    if declared.all_of is None or not arguments[declared.all_of]:
        return some(), raised
    held = [some(**{declared.all_of: (element,)}) for element in arguments[declared.all_of]]
    return all(held), raised


_OF_SETS = [declared for declared in DECLARED.values() if _set_parameters(declared)]


@pytest.mark.parametrize("declared", _OF_SETS, ids=[declared.name for declared in _OF_SETS])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_function_is_known_by_its_elements(declared: Declared, data: st.DataObject) -> None:
    arguments = data.draw(_arguments(declared))
    said = _says(declared, arguments)
    if said is not None:
        expected, raised = _by_elements(declared, arguments)
        if not raised:
            assert said == expected


@pytest.mark.parametrize("declared", _OF_SETS, ids=[declared.name for declared in _OF_SETS])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_sets_that_are_taken_once_are_taken_wherever_each_element_is(declared: Declared, data: st.DataObject) -> None:
    """The law on raising: with whatever other arguments the whole sets were taken, here they raise only if an element does."""
    arguments, others = data.draw(_arguments(declared)), data.draw(_arguments(declared))
    sets = {parameter: arguments[parameter] for parameter in _set_parameters(declared)}
    if _says(declared, others | sets) is not None and not _by_elements(declared, arguments)[1]:
        assert _says(declared, arguments) is not None, (arguments, others)


def test_categories_and_caveats_together_are_taken_nowhere() -> None:
    """Each word of the set is taken by a cell `*`; the set is not. One call on the whole set says so, and it is the only one needed."""
    for name, cell in product(("covers", "touches"), ("*", "none", "MARITIME", "ORCON")):
        assert _says(DECLARED[name], {"allowed": cell, "named": cell, "present": ("MARITIME", "ORCON")}) is None
    assert _says(DECLARED["covers"], {"allowed": "*", "present": ("MARITIME",)}) is True
    assert _says(DECLARED["covers"], {"allowed": "*", "present": ("ORCON",)}) is True
    # A word of both families is at home in either.
    assert _says(DECLARED["covers"], {"allowed": "*", "present": ("AIR", "ORCON")}) is True
    assert _says(DECLARED["covers"], {"allowed": "MARITIME", "present": ("AIR", "CYBER")}) is False
