"""`entente log export`, `log verifier`: what the logs say, to take away, and what checks it elsewhere."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.cli import filters
from service.cli.filters import (
    BundleDigest,
    Categories,
    ClientId,
    Item,
    Levels,
    LogName,
    Outcomes,
    Partner,
    ReviewState,
    Rule,
    Since,
    Type,
    Until,
)
from service.cli.session import AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.errors import Rejected
from service.identity.clients import Role
from service.sharing.audit import filter_of, span_json
from service.sharing.exports.bundle import verifier_source
from service.sharing.exports.export import Export, Format, exporting
from service.sharing.exports.selection import Selection
from service.sharing.exports.tiles import static_tiles
from service.sharing.exports.writing import to_file, to_folder
from service.store.logs import AuditFilter


def export(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A new folder for a bundle (a file where it ends in `.zip`), else a new file."),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.BUNDLE,
    tiles: Annotated[Path | None, typer.Option("--tiles", help="A new folder for the log named by `--log`, as C2SP tlog-tiles.")] = None,
    log: LogName = "",
    partner: Partner = "",
    item: Item = "",
    level: Levels = None,
    category: Categories = None,
    outcome: Outcomes = None,
    type_: Type = "",
    rule: Rule = "",
    bundle: BundleDigest = "",
    client: ClientId = "",
    review: ReviewState = "",
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
    named = filters.given(
        partner=partner, item=item, level=level, category=category, outcome=outcome, type=type_, rule=rule, bundle=bundle, client=client,
        review=review, log=log, since=since, until=until,
    )  # fmt: skip
    asked = filter_of(**named) if named else AuditFilter()
    if asked is None:
        raise Rejected("`--partner` and `--log` name two logs, expected one of them", code="query")
    query = filters.as_json(named)
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
            pruned = [span_json(span) for span in exported.selection.pruned(exported.connection)]
            event_id = exported.entry.event_id
    if as_json:
        say(
            {
                "event_id": event_id,
                "format": written,
                "out": None if out is None else str(out),
                "tiles": None if tiles is None else str(tiles),
                "logs": [{"log": name, "size": size, "root": root} for name, size, root in sizes],
                **({"pruned": pruned} if pruned else {}),
            }
        )
        return
    for name, size, root in sizes:
        say(f"{name}: {size} {'entry' if size == 1 else 'entries'}, root {root}")
    for span in pruned:
        say(f"{span['log']}: entries {span['start']} to {span['stop'] - 1} were pruned, event {span['event_id']}")
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
    if format_ in (Format.BUNDLE, Format.COMPACT) and out.suffix != ".zip":
        to_folder(exported.pieces(compact=format_ is Format.COMPACT), out)
    else:
        to_file(exported.content(format_), out)
