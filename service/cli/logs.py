"""`entente log verify`, `log prove`: that the record is whole, and the proof for one entry of it."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.session import MACHINE_HERE, REFUSED, AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.errors import Conflict, NotVisible
from service.identity.clients import Role
from service.sharing.audit import receipt
from service.sharing.verification import verify_all
from service.store import logs

log_app = typer.Typer(help="Release logs: verify, prove.", no_args_is_help=True)


@log_app.command()
def verify(data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False) -> None:
    """Derive every seal, column, tree and checkpoint again; name the first entry that does not hold. Prints no content."""
    with opened(settings_of(data, policies)) as installation:
        report = verify_all(installation)
        problem = report.problem
        # Recorded afterwards, and only where all holds: to append to a log that may not would write over what is evidence now.
        if report.ok:
            installation.acts.look("log.verify", MACHINE_HERE, [], {"entries": sum(size for _, size, _ in report.logs)})
    if as_json:
        say(
            {
                "ok": report.ok,
                "logs": [{"log": name, "size": size, "root": root} for name, size, root in report.logs],
                "problem": None
                if problem is None
                else {"log": problem.log, "index": problem.index, "code": problem.code, "message": problem.message},
            }
        )
    else:
        for name, size, root in report.logs:
            say(f"{name}: {size} {'entry' if size == 1 else 'entries'}, root {root}")
        if problem is not None:
            place = f"{problem.log}: entry {problem.index}" if problem.index is not None else problem.log
            say(f"{place}: {problem.code}: {problem.message}")
        say("every log holds" if report.ok else "NOT whole: the entry named above is the first that does not hold")
    if not report.ok:
        raise typer.Exit(REFUSED)


@log_app.command()
def prove(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="Of an entry, as in `Release-Event`.")],
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Print the receipt of an entry: its leaf, the proof that it is in its log, and the key to check it with."""
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.AUDITOR)
        with installation.database.reading() as connection:
            row = logs.entry(connection, event_id)
            if row is None:
                raise Conflict(f"no event `{event_id[:80]}` in any log", code="no-event")
            try:
                proof = receipt(connection, installation.ledger, row.log, event_id)
            except NotVisible:
                raise Conflict(
                    f"event `{event_id}` is not covered by its log's checkpoint; run `entente log verify`", code="no-proof"
                ) from None
        installation.acts.look("look.receipt", actor, [], {"event_id": event_id, "log": row.log})
    if as_json:
        say(proof.to_json())
        return
    say(f"event {proof.event_id} is entry {row.position} of log {row.log}")
    say(f"key {proof.key}")
    say(f"leaf {proof.leaf}")
    say(proof.proof.rstrip("\n"))
