"""Other people's verifiers accept what the service hands out, and refuse it changed: seven of them, from Debian, npm and PyPI."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import Database
from service.store.migrate import migrate
from tests.support import debian, interop
from tests.support.interop import VERIFIERS, Verifier
from tests.support.interop_cases import Case, cases, write

SEED = 20261129


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Case]]:
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('interop') / 'log.db'}")
    migrate(database)
    yield cases(write(database), seed=SEED, mutations=2)
    database.close()


@pytest.mark.parametrize("verifier", VERIFIERS, ids=[verifier.name for verifier in VERIFIERS])
def test_accepts_what_is_whole_and_refuses_what_was_changed(verifier: Verifier, asked: list[Case]) -> None:
    offered = [case for case in asked if case.kind in verifier.kinds]
    said = verifier.ask(offered)
    assert len(said) == len(offered)
    assert "not offered" not in said
    refused = [f"{case.kind}: {why}" for case, why in zip(offered, said, strict=True) if case.mutated is None and why]
    assert refused == [], "refuses what is whole"
    accepted = [f"{case.kind} with {case.mutated}" for case, why in zip(offered, said, strict=True) if case.mutated is not None and not why]
    assert accepted == [], "accepts what was changed"
    assert {case.kind for case in offered} == verifier.kinds
    assert sum(case.mutated is not None for case in offered) > 500


def test_every_kind_of_evidence_has_several_verifiers_and_every_proof_at_least_five() -> None:
    count = Counter(kind for verifier in VERIFIERS for kind in verifier.kinds)
    assert count["inclusion"] >= 5 and count["consistency"] >= 5
    assert count["checkpoint"] >= 5 and count["receipt"] >= 4 and count["tiles"] >= 2 and count["entries"] >= 2


def test_versions_are_those_that_were_looked_at() -> None:
    assert interop.pypi_versions() == interop.PYPI
    assert interop.npm_versions() == interop.NPM
    assert debian.packages(interop.DEBIAN).keys() == interop.DEBIAN.keys()


def test_the_npm_lock_has_hashes_and_no_addresses() -> None:
    lock = json.loads((Path(__file__).parent / "npm" / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
