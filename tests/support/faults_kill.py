"""Kill -9 at random moments under load, again and again over one data folder; what was received is compared with what is on record."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from service.sharing.verification import verify_all
from service.store import catalogue, logs
from tests.support.faults import Small, face, small
from tests.support.faults_server import Server

READERS: Final = 8
_VERIFIED_EVERY: Final = 8
_LOAD_SECONDS: Final = (0.1, 1.2)
_STARTING_SECONDS: Final = (0.0, 1.5)
_KEY: Final = "a-key-for-all-rounds-"


@dataclass(slots=True)
class Received:
    """What clients of one round got whole, before and after the kill."""

    bodies: list[tuple[str, int, str, bytes]] = field(default_factory=list)
    """(method and path, status, event, SHA-256)."""
    keyed: dict[str, str] = field(default_factory=dict)
    """Event by `Idempotency-Key`."""
    acts: list[tuple[int, str]] = field(default_factory=list)
    """(status, event or item id) of officers' acts."""
    unexpected: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Summary:
    """What all rounds came to."""

    rounds: int = 0
    bodies: int = 0
    acts: int = 0
    entries: int = 0
    rounds_cut_under_load: int = 0


def kill_rounds(folder: Path, *, rounds: int, seed: int) -> Summary:
    """Run the rounds.

    Raises:
        AssertionError: a body without a record, a log that does not verify, a start that needed help.
    """
    randomness = random.Random(seed)
    folder.mkdir()
    world = small(folder)
    server = Server(folder)
    summary = Summary()
    keyed: dict[str, str] = {}
    try:
        for number in range(rounds):
            # No connection of ours is open, so that the next start has to recover the database by itself.
            world.installation.database.close()
            if number % 5 == 4:
                server.start_and_kill(randomness.uniform(*_STARTING_SECONDS))
            server.start()
            received = Received()
            asyncio.run(_round(world, server, received, randomness, seconds=randomness.uniform(*_LOAD_SECONDS)))
            assert not received.unexpected, received.unexpected[:3]
            _compare(world, received, keyed)
            summary.rounds += 1
            summary.bodies += len(received.bodies)
            summary.acts += len(received.acts)
            summary.rounds_cut_under_load += bool(received.bodies)
            if number % _VERIFIED_EVERY == _VERIFIED_EVERY - 1 or number == rounds - 1:
                report = verify_all(world.installation)
                assert report.ok, report.problem
                summary.entries = sum(log.size for log in report.logs)
    finally:
        server.kill()
        world.installation.close()
    return summary


async def _round(world: Small, server: Server, received: Received, randomness: random.Random, *, seconds: float) -> None:
    limits = httpx.Limits(max_connections=READERS + 2, max_keepalive_connections=READERS + 2)
    async with httpx.AsyncClient(base_url=server.url, timeout=20, limits=limits) as client:
        readers = [asyncio.create_task(_read(client, world, received, random.Random(randomness.random()))) for _ in range(READERS)]
        officer = asyncio.create_task(_act(client, world, received, random.Random(randomness.random())))
        # The moment counts from the first answer on, so that it falls into the load and not before it.
        begun = time.monotonic()
        while not received.bodies and time.monotonic() - begun < 20:
            await asyncio.sleep(0.005)
        await asyncio.sleep(seconds)
        server.kill()
        await asyncio.gather(*readers, officer)


def _paths(world: Small) -> Iterator[str]:
    yield "/v1/items"
    yield "/v1/items?limit=1"
    yield f"/v1/items/{world.items['open']}"
    yield f"/v1/items/{world.items['sea']}"
    yield f"/v1/items/{world.items['hidden']}"
    yield f"/v1/items/{world.items['chart']}/files/{world.file}"


async def _read(client: httpx.AsyncClient, world: Small, received: Received, randomness: random.Random) -> None:
    headers = world.headers("jpn")
    paths = list(_paths(world))
    while True:
        path, key = randomness.choice(paths), None
        if randomness.random() < 0.2:
            # This one reads the same to the partner whatever the officer does meanwhile.
            path, key = f"/v1/items/{world.items['open']}", f"{_KEY}{randomness.randrange(50)}"
        try:
            answer = await client.get(path, headers=headers if key is None else {**headers, "Idempotency-Key": key})
        except httpx.TransportError:
            return
        if answer.status_code not in (200, 404):
            received.unexpected.append(f"{path}: {answer.status_code} {answer.text[:200]}")
            continue
        event = answer.headers["release-event"]
        received.bodies.append((path, answer.status_code, event, hashlib.sha256(answer.content).digest()))
        if key is not None and received.keyed.setdefault(key, event) != event:
            received.unexpected.append(f"key `{key}` was told of two events")


async def _act(client: httpx.AsyncClient, world: Small, received: Received, randomness: random.Random) -> None:
    headers = world.headers("officer")
    sea = f"/v1/officer/items/{world.items['sea']}/labels"
    turn = 0
    while True:
        turn += 1
        try:
            if turn % 2:
                # No wider than it is, so that one officer may.
                body = {"marking": "(S//REL TO USA, JPN)", "reason": "under load"}
                answer = await client.post(sea, headers=headers, json=body)
            else:
                item = {
                    "ref": f"loaded {randomness.getrandbits(64):x}",
                    "marking": "SECRET//NOFORN",
                    "categories": ["MARITIME"],
                    "portions": [{"kind": "text", "marking": "(S//NF)", "text": "under load"}],
                }
                answer = await client.post("/v1/officer/items", headers=headers, json=item)
        except httpx.TransportError:
            return
        if answer.status_code not in (200, 201):
            received.unexpected.append(f"act: {answer.status_code} {answer.text[:200]}")
            continue
        received.acts.append((answer.status_code, json.loads(answer.content)["event_id" if turn % 2 else "id"]))
        await asyncio.sleep(0.02)


def _compare(world: Small, received: Received, keyed: dict[str, str]) -> None:
    with world.installation.database.reading() as connection:
        for path, status, event, sha256 in received.bodies:
            row = logs.entry(connection, event)
            assert row is not None, f"a body of {path} was received without a record"
            shown = face(row)
            assert shown["body_sha256"] == sha256.hex(), f"the record of {path} is of another body"
            assert shown["result"] == ("sent" if status == 200 else "refused")
            assert row.log == "JPN"
        for status, named in received.acts:
            if status == 200:
                assert logs.entry(connection, named) is not None, "an act was answered and is not there"
            else:
                assert catalogue.item_by_id(connection, named) is not None, "an item was answered for and is not there"
        for key, event in received.keyed.items():
            assert keyed.setdefault(key, event) == event, "a retry after the kill was told of another event"
