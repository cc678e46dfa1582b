"""`entente log export`, `log verifier`: what the logs say, to take away, and what checks it elsewhere."""

from __future__ import annotations

import hashlib
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from service.cli.audit import Partner, Since, Until
from service.cli.difference import moment_asked
from service.cli.session import AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.errors import Rejected
from service.identity.clients import Role
from service.sharing.audit import filter_of
from service.sharing.exports.bundle import verifier_source
from service.sharing.exports.export import Export, Format, exporting
from service.sharing.exports.selection import Selection
from service.sharing.exports.tiles import static_tiles
from service.sharing.exports.writing import to_file, to_folder
from service.store.logs import AuditFilter

_FILTER: Final[dict[str, Any]] = {"show_default": False}


def export(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A new folder for a bundle (a file where it ends in `.zip`), else a new file."),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.BUNDLE,
    tiles: Annotated[Path | None, typer.Option("--tiles", help="A new folder for the log named by `--log`, as C2SP tlog-tiles.")] = None,
    log: Annotated[str, typer.Option("--log", help="A log by name, `officers` among them.", **_FILTER)] = "",
    partner: Partner = "",
    item: Annotated[str, typer.Option("--item", help="Entries that name this item.", **_FILTER)] = "",
    level: Annotated[list[str] | None, typer.Option("--level", help="Among the labels decided on; may be repeated.", **_FILTER)] = None,
    category: Annotated[list[str] | None, typer.Option("--category", help="Among their categories; may be repeated.", **_FILTER)] = None,
    outcome: Annotated[
        list[str] | None, typer.Option("--outcome", help="`release`, `in_part`, `refer`, `withhold`; may be repeated.", **_FILTER)
    ] = None,
    type_: Annotated[str, typer.Option("--type", help="`list`, `item`, `file`, or an act's or look's.", **_FILTER)] = "",
    rule: Annotated[str, typer.Option("--rule", help="A rule that made the outcome of an item.", **_FILTER)] = "",
    bundle: Annotated[str, typer.Option("--bundle", help="The digest of the policy decided by.", **_FILTER)] = "",
    client: Annotated[str, typer.Option("--client", help="Who asked.", **_FILTER)] = "",
    review: Annotated[str, typer.Option("--review", help="Where auditors' marks brought it.", **_FILTER)] = "",
    since: Since = "",
    until: Until = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Export entries that match, in the order of their logs; every log whole where nothing is asked for."""
    if out is None and tiles is None:
        raise typer.BadParameter("expected `--out` or `--tiles`, or both")
    if tiles is not None and not (log or partner):
        raise typer.BadParameter("`--tiles` writes one log, expected `--log`")
    given: dict[str, Any] = {
        "partner": partner, "item": item, "level": level, "category": category, "outcome": outcome, "type": type_, "rule": rule,
        "bundle": bundle, "client": client, "review": review, "log": log, "since": moment_asked(since, option="--since"),
        "until": moment_asked(until, option="--until"),
    }  # fmt: skip
    named = {name: value for name, value in given.items() if value}
    asked = filter_of(**named) if named else AuditFilter()
    if asked is None:
        raise Rejected("`--partner` and `--log` name two logs, expected one of them", code="query")
    query = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in named.items()}
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.AUDITOR)
        written = format_ if out is not None else "tiles"
        with exporting(installation, actor, Selection(asked, query), written) as exported:
            if out is not None:
                _write(exported, format_, out)
            if tiles is not None:
                (head,) = exported.selection.heads(exported.connection)
                to_folder(static_tiles(exported.connection, head), tiles)
            sizes = [(head.name, head.size, head.root.hex()) for head in exported.selection.heads(exported.connection)]
            event_id = exported.entry.event_id
    if as_json:
        say(
            {
                "event_id": event_id,
                "format": written,
                "out": None if out is None else str(out),
                "tiles": None if tiles is None else str(tiles),
                "logs": [{"log": name, "size": size, "root": root} for name, size, root in sizes],
            }
        )
        return
    for name, size, root in sizes:
        say(f"{name}: {size} {'entry' if size == 1 else 'entries'}, root {root}")
    for kind, place in ((format_, out), ("tiles", tiles)):
        if place is not None:
            say(f"wrote {kind} to {place}")
    say(f"on record as {event_id}")


def verifier(
    sha256: Annotated[bool, typer.Option("--sha256", help="Print the digest of the verifier, and not the verifier.")] = False,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Print the offline verifier: one file, to be taken to another machine. `entente log verifier > verify_entente.py`."""
    source = verifier_source()
    digest = hashlib.sha256(source).hexdigest()
    if as_json:
        say({"sha256": digest} if sha256 else {"sha256": digest, "source": source.decode("utf-8")})
    elif sha256:
        say(digest)
    else:
        sys.stdout.buffer.write(source)


def _write(exported: Export, format_: Format, out: Path) -> None:
    if format_ is Format.BUNDLE and out.suffix != ".zip":
        to_folder(exported.pieces(), out)
    else:
        to_file(exported.content(format_), out)
