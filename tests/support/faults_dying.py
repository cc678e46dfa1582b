"""Asks one thing of a service again and again, killing the process one step later each time, until it lives.

Run as a program: `python -m tests.support.faults_dying DATA`, requests as lines of JSON on standard input. Each try is a process of
its own, forked from this one, which has the policy compiled but no connection open. Steps are the statements of the writing
transaction, its commit, and the first message of the answer. A line of JSON for each try: where it died, and what had left by then.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import event

from service.app import create_app
from service.settings import Settings
from service.sharing.installation import Installation, open_installation
from tests.support.faults import ask, state_digest

_STEPS_MAX = 200


class _Steps:
    """Counts the steps of the first writing transaction and dies at one."""

    def __init__(self, die_at: int, told: int) -> None:
        self._die_at = die_at
        self._told = told
        self._taken = 0
        self._writing = False

    def listen(self, engine: Any) -> None:
        event.listen(engine, "before_cursor_execute", self._statement)
        event.listen(engine, "commit", self._commit)

    def _statement(self, _c: Any, _cursor: Any, statement: str, _p: Any, _context: Any, _many: bool) -> None:
        if statement == "BEGIN IMMEDIATE":
            self._writing = True
        if self._writing:
            self.step("statement")

    def _commit(self, _connection: Any) -> None:
        if self._writing:
            self.step("commit")
            self._writing = False

    def step(self, at: str) -> None:
        if self._taken == self._die_at:
            os.write(self._told, json.dumps({"at": at}).encode() + b"\n")
            os.kill(os.getpid(), signal.SIGKILL)
        self._taken += 1


def _child(installation: Installation, app: Any, command: Mapping[str, Any], die_at: int, told: int) -> NoReturn:
    steps = _Steps(die_at, told)
    steps.listen(installation.database.engine)
    installation.gate.start()
    started = False

    async def sent(message: Mapping[str, Any]) -> None:
        nonlocal started
        if not started:
            started = True
            steps.step("answer")
        body = base64.b64encode(message.get("body", b"")).decode()
        named = {name.decode("latin-1"): value.decode("latin-1") for name, value in message.get("headers", [])}
        os.write(told, json.dumps({"message": message["type"], "body": body, "event": named.get("release-event")}).encode() + b"\n")

    asyncio.run(ask(app, command["method"], command["path"], command["headers"], command["body"].encode(), sent=sent))
    installation.close()
    os._exit(0)


def _try(installation: Installation, app: Any, command: Mapping[str, Any], die_at: int) -> dict[str, Any]:
    database = installation.settings.data / "entente.db"
    before = state_digest(database)
    reading, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            _child(installation, app, command, die_at, told)
        finally:
            os._exit(1)
    os.close(told)
    with os.fdopen(reading, "rb") as lines:
        said = [json.loads(line) for line in lines]
    _, status = os.waitpid(child, 0)
    messages = [line for line in said if "message" in line]
    return {
        "step": die_at,
        "died": os.WIFSIGNALED(status),
        "at": next((line["at"] for line in said if "at" in line), None),
        "messages": len(messages),
        "sent": base64.b64encode(b"".join(base64.b64decode(line["body"]) for line in messages)).decode(),
        "event": next((line["event"] for line in messages if line["event"]), None),
        "before": before,
        "after": state_digest(database),
    }


def main() -> None:
    commands = [json.loads(line) for line in sys.stdin]
    installation = open_installation(Settings(data=Path(sys.argv[1])))
    with installation.database.reading() as connection:
        installation.world.current(connection)
    app = create_app(installation)
    # A connection must not be shared by two processes: from here on each child opens its own.
    installation.close()
    for command in commands:
        for die_at in range(_STEPS_MAX):
            tried = _try(installation, app, command, die_at)
            print(json.dumps(tried), flush=True)
            if not tried["died"]:
                break


if __name__ == "__main__":
    main()
