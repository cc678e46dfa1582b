"""`entente log verify`, `log prove`, `log restored`: that the record is whole, the proof for one entry of it, and a loss accepted."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from service.cli.session import MACHINE_HERE, REFUSED, AsJson, Data, Policies, Token, acting_as, complain, opened, say, settings_of
from service.errors import Conflict, NotVisible, Pruned, Rejected
from service.identity.clients import Role
from service.sharing.audit import opened_entry, receipt
from service.sharing.ledger import ROOT
from service.sharing.rootlog import rooted
from service.sharing.verification import verify_all
from service.store import Connection
from service.store.logs import StoredRow

IDS: Final = {"ignore_unknown_options": True}
"""Of commands that take an id: one in 64 begins with a dash, and is no option."""

log_app = typer.Typer(help="Release logs: verify, prove, export, accept a restored database.", no_args_is_help=True)


@log_app.command()
def verify(data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False) -> None:
    """Derive every seal, column, tree and checkpoint again; name the first entry that does not hold. Prints no content."""
    with opened(settings_of(data, policies)) as installation:
        report = verify_all(installation)
        with installation.database.reading() as connection:
            refusal = installation.ledger.halted(connection)
        behind = installation.ledger.refusal is not None
        problem = report.problem
        # Recorded afterwards, and only where all holds: to append to a log that may not would write over what is evidence now.
        # Nor where nothing may be signed, as the database is not the newest (`log restored`).
        if report.ok and refusal is None:
            installation.acts.look("log.verify", MACHINE_HERE, [], {"entries": sum(log.size for log in report.logs)})
    if as_json:
        say(
            {
                "ok": report.ok and refusal is None,
                "refusal": refusal,
                "logs": [{"log": log.name, "size": log.size, "root": log.root, "pruned": log.pruned} for log in report.logs],
                "problem": None
                if problem is None
                else {"log": problem.log, "index": problem.index, "code": problem.code, "message": problem.message},
            }
        )
    else:
        for log in report.logs:
            pruned = f", {log.pruned} of them pruned" if log.pruned else ""
            say(f"{log.name}: {log.size} {'entry' if log.size == 1 else 'entries'}{pruned}, root {log.root}")
        if problem is not None:
            place = f"{problem.log}: entry {problem.index}" if problem.index is not None else problem.log
            say(f"{place}: {problem.code}: {problem.message}")
        if not report.ok:
            say("NOT whole: the entry named above is the first that does not hold")
        elif refusal is None:
            say("every log holds")
        else:
            say("every log holds in itself, and is NOT the newest" if behind else "every log holds in itself, but nothing is signed")
    if refusal is not None:
        complain(refusal)
    if not report.ok or refusal is not None:
        raise typer.Exit(REFUSED)


@log_app.command(context_settings=IDS)
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
            row = _entry(connection, event_id)
            try:
                proof = receipt(connection, installation.ledger, row.log, event_id)
            except NotVisible:
                raise Conflict(
                    f"event `{event_id}` is not covered by its log's checkpoint; run `entente log verify`", code="no-proof"
                ) from None
            try:
                under = None if row.log == ROOT else rooted(connection, installation.ledger, row.log)
            except NotVisible:
                under = None
        installation.acts.look("look.receipt", actor, [], {"event_id": event_id, "log": row.log})
    if as_json:
        say({**proof.to_json(), **({} if under is None else {"root_proof": under})})
        return
    say(f"event {proof.event_id} is entry {row.position} of log {row.log}")
    say(f"key {proof.key}")
    say(f"leaf {proof.leaf}")
    say(proof.proof.rstrip("\n"))
    if under is None:
        say("no root holds this log yet; one comes every minute while the service runs")
        return
    say(f"root {under['root']['origin']}, key {under['root']['key']}; the whole root proof is in the answer to --json")
    say(under["proof"].rstrip("\n"))


def _entry(connection: Connection, event_id: str) -> StoredRow:
    """An entry by its event.

    Raises:
        Conflict: there is none, or none any more.
    """
    try:
        return opened_entry(connection, event_id)
    except Pruned as pruned:
        raise Conflict(str(pruned), code="pruned") from None
    except NotVisible:
        raise Conflict(f"no event `{event_id[:80]}` in any log", code="no-event") from None


@log_app.command()
def restored(
    reason: Annotated[str, typer.Option("--reason", help="Why an older database is gone on with; on record.", show_default=False)],
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Accept, on record, that the database is older than its high-water mark: what came after it is lost here."""
    if not reason.strip():
        raise Rejected("`--reason` is empty, expected why an older database is gone on with", code="reason")
    with opened(settings_of(data, policies)) as installation:
        lost = installation.accept_restored(MACHINE_HERE, reason.strip())
    if as_json:
        say({"lost": [{"log": one.log, "expected": one.expected, "found": one.found, "forked": one.forked} for one in lost]})
        return
    for one in lost:
        say(str(one))
    if lost:
        say("accepted, on record; tell these partners and the auditor: their receipts name entries that are not here")
    else:
        say("accepted, on record: signing goes on, whatever a witness said")
