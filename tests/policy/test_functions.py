"""The functions a matcher may name: true, false, or an exception, on a stock enforcer."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import casbin
import pytest
from casbin.persist.adapters.string_adapter import StringAdapter

from service.labels.scheme import Scheme
from service.policy import load_bundle
from service.policy.functions import DECLARED, register

POLICIES = Path(__file__).parents[2] / "policies"
ROWS = """g2, JPN, active
g2, IND, suspended
g2, GBR, active
g, JPN, QUAD
g, IND, QUAD
g, QUAD, PACIFIC
g, GBR, NATO
p, AGR-0001, allow, release, JPN, *, SECRET, MARITIME, none, *, , , basis
"""


def _plain_scheme() -> Scheme:
    scheme = load_bundle(POLICIES).scheme
    return Scheme(**{field.name: getattr(scheme, field.name) for field in fields(Scheme) if field.init})


def _call(name: str, *arguments: Any) -> bool:
    model = casbin.Enforcer.new_model(text=(POLICIES / "model.conf").read_text())
    enforcer = casbin.Enforcer(model, StringAdapter(ROWS))
    register(enforcer, _plain_scheme())
    answer = enforcer.fm.get_functions()[name](*arguments)
    assert type(answer) is bool
    return answer


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("at_most", ("SECRET", "SECRET"), True),
        ("at_most", ("UNCLASSIFIED", "SECRET"), True),
        ("at_most", ("TOP SECRET", "SECRET"), False),
        ("at_least", ("SECRET", "SECRET"), True),
        ("at_least", ("CONFIDENTIAL", "SECRET"), False),
        ("covers", ("MARITIME CYBER", ("CYBER", "MARITIME")), True),
        ("covers", ("MARITIME", ("CYBER", "MARITIME")), False),
        ("covers", ("MARITIME", ()), True),
        ("covers", ("*", ("CYBER",)), True),
        ("covers", ("none", ()), True),
        ("covers", ("none", ("RELIDO",)), False),
        ("touches", ("MARITIME CYBER", ("CYBER", "AIR")), True),
        ("touches", ("MARITIME", ("CYBER",)), False),
        ("touches", ("MARITIME", ()), False),
        ("touches", ("*", ()), True),
        ("touches", ("none", ("NODIS",)), False),
        ("addressed", ("release", ("*",), ("*",), "JPN"), True),
        ("addressed", ("release", ("JPN", "USA"), (), "JPN"), True),
        ("addressed", ("release", (), ("JPN",), "JPN"), False),
        ("addressed", ("display", (), ("JPN",), "JPN"), True),
        ("addressed", ("display", ("JPN",), (), "JPN"), True),
        ("addressed", ("release", ("QUAD",), (), "JPN"), True),
        ("addressed", ("release", ("NATO",), (), "GBR"), False),
        ("addressed", ("release", ("PACIFIC",), (), "JPN"), False),
        ("addressed", ("release", ("USA",), (), "JPN"), False),
        ("addressed", ("refer", ("JPN",), ("JPN",), "JPN"), False),
        ("consented", (("USA",), (), "JPN"), True),
        ("consented", (("JPN",), (), "JPN"), True),
        ("consented", (("GBR", "USA"), (), "JPN"), False),
        ("consented", (("GBR", "USA"), ("GBR:JPN",), "JPN"), True),
        ("consented", (("GBR",), ("GBR:IND",), "JPN"), False),
        ("consented", ((), (), "JPN"), False),
        ("granted", (("release:JPN",), "release", "JPN"), True),
        ("granted", (("release:JPN",), "display", "JPN"), True),
        ("granted", (("display:JPN",), "release", "JPN"), False),
        ("granted", (("release:IND",), "release", "JPN"), False),
        ("granted", (("release:JPN",), "refer", "JPN"), False),
        ("only_from", ("*", ()), True),
        ("only_from", ("USA", ("USA",)), True),
        ("only_from", ("USA GBR", ("USA", "GBR")), True),
        ("only_from", ("USA", ("USA", "GBR")), False),
        ("only_from", ("USA", ()), False),
        ("issued_by", ("*", ()), True),
        ("issued_by", ("GBR", ("USA", "GBR")), True),
        ("issued_by", ("GBR", ("USA",)), False),
        ("issued_by", ("GBR", ()), False),
        ("permits", ("release", "release"), True),
        ("permits", ("release", "display"), True),
        ("permits", ("display", "release"), False),
        ("permits", ("refer", "release"), False),
        ("permits", ("release", "refer"), False),
        ("forbids", ("*", "display"), True),
        ("forbids", ("release", "release"), True),
        ("forbids", ("release", "refer"), True),
        ("forbids", ("release", "display"), False),
        ("forbids", ("display", "release"), False),
        ("forbids", ("refer", "release"), False),
        ("for_purpose", ("*", "none"), True),
        ("for_purpose", ("none", "none"), True),
        ("for_purpose", ("none", "EXERCISE-KEEN"), False),
        ("for_purpose", ("EXERCISE-KEEN", "none"), False),
        ("for_purpose", ("EXERCISE-KEEN PEACEKEEPING-UN", "PEACEKEEPING-UN"), True),
    ],
)
def test_means_what_the_table_of_functions_says(name: str, arguments: tuple[Any, ...], expected: bool) -> None:
    assert _call(name, *arguments) is expected


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("at_most", ("COSMIC", "SECRET")),
        ("at_most", ("SECRET", "*")),
        ("at_least", ("SECRET", "")),
        ("at_least", ("secret", "SECRET")),
        ("covers", ("*", ("BOGUS",))),
        ("covers", ("MARITIM", ())),
        ("covers", ("", ())),
        ("covers", ("MARITIME", "MARITIME")),
        ("covers", ("MARITIME", ("ORCON",))),
        ("touches", ("*", ("BOGUS",))),
        ("touches", ("INTEL-SOURCES", ("ORCON",))),
        ("touches", ("", ("AIR",))),
        ("addressed", ("release", ("*", "JPN"), (), "JPN")),
        ("addressed", ("release", ("*",), ("XXX",), "JPN")),
        ("addressed", ("copy", ("*",), ("*",), "JPN")),
        ("addressed", ("release", ("*",), ("*",), "QUAD")),
        ("addressed", ("release", ("jpn",), (), "JPN")),
        ("consented", (("XXX",), (), "JPN")),
        ("consented", (("USA",), ("XXX:JPN",), "JPN")),
        ("consented", (("USA",), ("GBR",), "JPN")),
        ("consented", (("USA",), (), "XXX")),
        ("granted", (("copy:JPN",), "release", "JPN")),
        ("granted", (("refer:JPN",), "release", "JPN")),
        ("granted", (("release:XXX",), "release", "JPN")),
        ("only_from", ("*", ("XXX",))),
        ("only_from", ("", ("USA",))),
        ("issued_by", ("*", ("QUAD",))),
        ("issued_by", ("XXX", ("USA",))),
        ("permits", ("*", "release")),
        ("permits", ("release", "copy")),
        ("permits", ("", "release")),
        ("forbids", ("*", "copy")),
        ("forbids", ("", "release")),
        ("for_purpose", ("*", "HOLIDAY")),
        ("for_purpose", ("HOLIDAY", "none")),
        ("for_purpose", ("", "none")),
    ],
)
def test_raises_on_a_name_it_does_not_know_also_beside_a_star(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(Exception, match=r"unknown|expected"):
        _call(name, *arguments)


def test_declares_each_function_with_its_parameters() -> None:
    assert len(DECLARED) == 12
    for declared in DECLARED.values():
        assert declared.miss.format(**dict.fromkeys(declared.parameters, "X"))


def test_knows_codes_from_the_rows_of_the_enforcer_as_they_are_when_asked() -> None:
    model = casbin.Enforcer.new_model(text=(POLICIES / "model.conf").read_text())
    enforcer = casbin.Enforcer(model, StringAdapter(ROWS))
    register(enforcer, _plain_scheme())
    consented = enforcer.fm.get_functions()["consented"]
    with pytest.raises(Exception, match="unknown partner `AUS`"):
        consented(("USA",), (), "AUS")
    enforcer.enable_auto_save(False)
    enforcer.add_named_grouping_policy("g2", "AUS", "active")
    assert consented(("USA",), (), "AUS") is True
    enforcer.remove_named_grouping_policy("g2", "AUS", "active")
    with pytest.raises(Exception, match="unknown partner `AUS`"):
        consented(("USA",), (), "AUS")


def test_knows_the_codes_of_its_bundle_also_those_whose_rows_are_not_in_force() -> None:
    model = casbin.Enforcer.new_model(text=(POLICIES / "model.conf").read_text())
    enforcer = casbin.Enforcer(model, StringAdapter("g2, JPN, active\n"))
    register(enforcer, load_bundle(POLICIES).scheme)
    assert enforcer.fm.get_functions()["addressed"]("release", ("UN-DPO", "JPN"), (), "JPN") is True
