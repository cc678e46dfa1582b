"""Whole services in the test's own process under bundles of any marking profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from service.settings import Settings
from service.sharing.installation import open_installation
from tests.support.api import CLIENTS, MACHINE, START, Clock, Service, service_in


@contextmanager
def serving(folder: Path, files: Mapping[str, bytes], *, clock: Clock | None = None) -> Iterator[Service]:
    """A service with this bundle in force since the hour before `START`, and the clients whose partner it has."""
    codes = {line.split(", ")[1] for line in files["partners.csv"].decode().splitlines() if line.startswith("g2, ")}
    installation = open_installation(Settings(data=folder), clock=Clock(START - timedelta(hours=1)))
    try:
        installation.publishing.publish(files, MACHINE)
        for name, role, partner, _ in CLIENTS.values():
            if partner is None or partner in codes:
                installation.registry.add(name, role, partner=partner)
    finally:
        installation.close()
    with service_in(folder, clock=clock or Clock()) as service:
        yield service


def with_equivalences(files: Mapping[str, bytes], *rows: str) -> dict[str, bytes]:
    """The bundle with these rows in `equivalences.csv`."""
    return {**files, "equivalences.csv": files["equivalences.csv"] + "".join(f"{row}\n" for row in rows).encode()}
