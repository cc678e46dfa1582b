"""Readers against acts: what each act allows is written down as it answers, and every leaf is compared with it afterwards.

The oracle is small and of its own: which of a handful of items JPN may have under which acts. It shares nothing with the service.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx

from service.errors import Busy
from service.sharing import catalogue
from service.sharing.asks import Asker, FileAsk, ItemAsk, ListAsk
from service.sharing.gate import Ask
from service.sharing.installation import Installation
from service.store import logs
from tests.support.faults import MACHINE_HERE, OPEN, Small, act_of, bundle_files, entries, face, log_size
from tests.support.two_officers import publish_as_two, relabel_as_two

READERS: Final = 16
READ_BETWEEN_ACTS: Final = 6
_READ_SECONDS_MAX: Final = 30


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is so as of an act. `others` are open items made on the way and not withdrawn."""

    prohibited: bool = False
    suspended: bool = False
    sea_is_japans: bool = True
    others: frozenset[str] = frozenset()

    def refs(self) -> frozenset[str]:
        """The items JPN may have."""
        if self.suspended:
            return frozenset()
        maritime = set() if self.prohibited else {"chart"} | ({"sea"} if self.sea_is_japans else set())
        return frozenset(maritime | {"open"} | self.others)


@dataclass(frozen=True, slots=True)
class Answered:
    """An act that has answered: its number, and how long JPN's log was when its answer was in hand."""

    number: int
    log_size: int


@dataclass(slots=True)
class Story:
    """What happened: by act number what was allowed from then on, and what was seen when each act answered."""

    allowed: dict[int, Allowed] = field(default_factory=dict)
    answered: list[Answered] = field(default_factory=list)


Post = Callable[[str, dict[str, str]], str]
"""Does an act by HTTP: path below `/v1/officer`, body; the event's id."""


def tell(world: Small, *, cycles: int, post: Post | None = None) -> Story:
    """Publish, withdraw, relabel, suspend and resume in a loop, each waiting for the answer of the one before.

    Args:
        post: how every other cycle's withdrawals and suspensions are done; else all in this process, as a command would.
    """
    installation = world.installation
    story = Story()
    with installation.database.reading() as connection:
        story.allowed[installation.world.current(connection).act] = now = Allowed()

    def noted(number: int, allowed: Allowed) -> Allowed:
        story.allowed[number] = allowed
        size = log_size(installation, "JPN")
        story.answered.append(Answered(number, size))
        # The next act comes when readers are at work again: an act alone would not meet anybody.
        end = time.monotonic() + _READ_SECONDS_MAX
        while log_size(installation, "JPN") < size + READ_BETWEEN_ACTS:
            assert time.monotonic() < end, "readers were not answered"
            time.sleep(0.005)
        return allowed

    def number_of(event: str) -> int:
        with installation.database.reading() as connection:
            row = logs.entry(connection, event)
        assert row is not None
        return act_of(row)

    for cycle in range(cycles):
        through = post if cycle % 2 else None
        for prohibited in (True, False):
            published = publish_as_two(installation, bundle_files(prohibited=prohibited), MACHINE_HERE)
            now = noted(published.act, replace(now, prohibited=prohibited))
        for suspended in (True, False):
            event = _suspension(installation, through, suspended=suspended)
            now = noted(number_of(event), replace(now, suspended=suspended))
        for audience in ("AUS", "JPN"):
            event = _relabelled(world, audience)
            now = noted(number_of(event), replace(now, sea_is_japans=audience == "JPN"))
        ref = f"made {cycle}"
        item = world.add({**OPEN, "ref": ref})
        with installation.database.reading() as connection:
            act = installation.world.current(connection).act  # nobody else acts
        now = noted(act, replace(now, others=now.others | {ref}))
        event = _withdrawn(installation, through, item)
        now = noted(number_of(event), replace(now, others=now.others - {ref}))
    return story


def _suspension(installation: Installation, post: Post | None, *, suspended: bool) -> str:
    if post is not None:
        return post(f"/partners/JPN/{'suspend' if suspended else 'resume'}", {"reason": "a test"})
    change = installation.publishing.suspend if suspended else installation.publishing.resume
    return change("JPN", MACHINE_HERE, reason="a test").event_id


def _relabelled(world: Small, audience: str) -> str:
    # Another audience is not a narrower one: it takes two officers.
    return relabel_as_two(world.installation, world.items["sea"], f"(S//REL TO USA, {audience})").entry.event_id


def _withdrawn(installation: Installation, post: Post | None, item: str) -> str:
    if post is not None:
        return post(f"/items/{item}/withdraw", {"reason": "a test"})
    with installation.acts.act("item.withdraw", MACHINE_HERE) as act:
        catalogue.withdraw(act, item, reason="a test")
    return act.event_id()


def check(world: Small, story: Story) -> None:
    """Compare JPN's log with what was allowed.

    Raises:
        AssertionError: a leaf names an older act than one that had answered, or says what its act did not allow.
    """
    rows = entries(world.installation, "JPN")
    acts = [(row.at, act_of(row)) for row in entries(world.installation, "officers") if not face(row)["type"].startswith("look.")]
    names = {item: ref for ref, item in world.items.items()}
    for one in story.answered:
        older = [row.position for row in rows[one.log_size :] if act_of(row) < one.number]
        assert not older, f"act {one.number} had answered, and entries {older[:5]} rest on what was before it"
    for row in rows:
        shown, number = face(row), act_of(row)
        in_force = max(act for at, act in acts if at <= row.at)
        assert number == in_force, f"entry {row.position} rests on act {number}, and act {in_force} was in force"
        may_have = story.allowed[number].refs()
        named = {names[item["id"]] for item in shown["items"]}
        if shown["type"] == "list":
            assert named == may_have, f"a list under act {number} holds {sorted(named ^ may_have)} wrongly, or not"
        else:
            (ref,) = named
            sent = shown["result"] == "sent"
            assert sent == (ref in may_have), f"`{ref}` {shown['result']} under act {number}"


# --- readers in this process ------------------------------------------------------------------------------------------------


def asks(world: Small, installation: Installation) -> Iterator[Ask]:
    """What readers ask, in turn, without end."""
    asker = Asker("JPN", "none", world.clients["jpn"].id, "JPN")
    common: dict[str, Any] = {"asker": asker, "copies": installation.copies, "retry": None}
    portion = world.file.encode()
    for turn in itertools.count():
        made = [item for ref, item in list(world.items.items()) if ref.startswith("made")][-2:]
        kind = turn % 6
        if kind == 0:
            yield ListAsk(**common, route="/v1/items", limit=100, cursors=installation.cursors)
        elif kind == 1:
            yield FileAsk(**common, route="/v1/items/{id}/files/{portion}", item=world.items["chart"].encode(), portion=portion)
        else:
            chosen = [world.items["sea"], world.items["open"], *made][turn % (2 + len(made))]
            yield ItemAsk(**common, route="/v1/items/{id}", item=chosen.encode())


def read_in_threads(world: Small, installations: Sequence[Installation], tale: Callable[[], Story], *, readers: int = READERS) -> Story:
    """Run the tale while threads read through the gates of these installations, each a worker of its own."""
    done = threading.Event()
    failures: list[Exception] = []

    def read(number: int) -> None:
        installation = installations[number % len(installations)]
        try:
            for ask in asks(world, installation):
                if done.is_set():
                    return
                try:
                    installation.gate.release_and_wait(ask)
                except Busy:
                    continue
        except Exception as failure:  # noqa: BLE001  told to the test, which raises it
            failures.append(failure)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(readers)]
    for thread in threads:
        thread.start()
    try:
        story = tale()
    finally:
        done.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    return story


# --- readers of other processes -----------------------------------------------------------------------------------------------


async def read_from_servers(world: Small, urls: Sequence[str], tale: Callable[[], Story], *, readers: int = READERS) -> Story:
    """Run the tale in a thread while tasks read from these servers over HTTP."""
    done = asyncio.Event()
    token = world.headers("jpn")

    async def read(client: httpx.AsyncClient, url: str, randomness: random.Random) -> None:
        while not done.is_set():
            made = [item for ref, item in list(world.items.items()) if ref.startswith("made")][-2:]
            items = [world.items["sea"], world.items["open"], *made]
            path = randomness.choice(
                ["?limit=100", f"/{world.items['chart']}/files/{world.file}", *(f"/{item}" for item in items)],
            )
            answer = await client.get(f"{url}/v1/items{path}", headers=token)
            assert answer.status_code in (200, 404), (answer.status_code, answer.text)

    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=readers)) as client:
        waiting: list[Awaitable[None]] = [
            asyncio.ensure_future(read(client, url, random.Random(number)))
            for number, url in zip(range(readers), itertools.cycle(urls), strict=False)
        ]
        try:
            story = await asyncio.to_thread(tale)
        finally:
            done.set()
            await asyncio.gather(*waiting)
    return story


def poster(world: Small, url: str) -> Post:
    """Acts by HTTP at one server."""
    headers = world.headers("officer")

    def post(path: str, body: dict[str, str]) -> str:
        answer = httpx.post(f"{url}/v1/officer{path}", headers=headers, json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        event: str = json.loads(answer.content)["event_id"]
        return event

    return post
