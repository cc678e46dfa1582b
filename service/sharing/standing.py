"""How the service stands: whether it could release now, why not in words, and how old what others hold us to is."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import ServiceError
from service.sharing.installation import Installation
from service.sharing.ledger import ROOT
from service.store import logs, roots
from service.store.times import micros


@dataclass(frozen=True, slots=True)
class Standing:
    """`reasons` is empty where a release could be recorded now. Ages are None where there is no root."""

    reasons: tuple[str, ...]
    root_age_seconds: float | None
    unwitnessed_seconds: float | None
    witnesses: int
    roots: int


def standing(installation: Installation) -> Standing:
    """As of now; a database that cannot be read is a reason."""
    try:
        with installation.database.reading() as connection:
            now = micros(installation.clock())
            reasons = []
            if not installation.world.in_force(connection):
                reasons.append("no policy is in force; publish one with `entente policy publish DIR`")
            refused = installation.ledger.refused(connection, at=now)
            if refused is not None:
                reasons.append(refused)
            head = logs.head(connection, ROOT)
            since = installation.ledger.unwitnessed_since(connection)
            found = len(roots.witnesses(connection))
    except ServiceError as error:
        return Standing((f"{error}",), None, None, 0, 0)
    size = 0 if head is None else head.size
    age = None if head is None or size == 0 else max(0, now - head.at) / 1_000_000
    return Standing(tuple(reasons), age, None if since is None else max(0, now - since) / 1_000_000, found, size)
