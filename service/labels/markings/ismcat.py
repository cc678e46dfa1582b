"""The published codes of partners and communities: ODNI's ISMCAT V2022-NOV (public release without restriction).

Pure but for the package's own table, read once: `ismcat_2022.csv`, with each community's members where it may be expanded.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from service.labels.scheme import CODE

TABLE: Final = "ismcat_2022.csv"


@cache
def codes() -> frozenset[str]:
    """Every code there is."""
    return frozenset(row["code"] for row in _rows() if CODE.fullmatch(row["code"]))


@cache
def members() -> Mapping[str, frozenset[str]]:
    """The members of those communities that may be expanded."""
    found = {row["code"]: frozenset(row["members"].split()) for row in _rows() if row["members"]}
    return MappingProxyType({code: own for code, own in found.items() if code in codes()})


@cache
def _rows() -> tuple[Mapping[str, str], ...]:
    text = resources.files("service.labels.markings").joinpath(TABLE).read_text(encoding="utf-8")
    return tuple(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
