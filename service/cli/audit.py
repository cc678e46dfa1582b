"""What an auditor asks of the logs from the command line: who got what, what was refused, what stands out. Each reading is on record."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import typer

from service.cli.difference import moment_asked
from service.cli.logs import log_app
from service.cli.session import AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.identity.clients import Role
from service.settings import PAGE_LIMIT_DEFAULT
from service.sharing import audit
from service.store import log_pages
from service.store.logs import Position

_FILTER: Final = {"show_default": False}
Partner = Annotated[str, typer.Option("--partner", help="The log of this partner.", **_FILTER)]
Since = Annotated[str, typer.Option("--since", help="From this day or time (UTC) on.", metavar="TIME", **_FILTER)]
Until = Annotated[str, typer.Option("--until", help="Before this day or time (UTC).", metavar="TIME", **_FILTER)]


@log_app.command()
def releases(
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
    log: Annotated[str, typer.Option("--log", help="A log by name, `officers` among them.", **_FILTER)] = "",
    since: Since = "",
    until: Until = "",
    denied: Annotated[bool, typer.Option("--denied", help="What was refused: `--outcome withhold --outcome refer`.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="The newest that match.")] = PAGE_LIMIT_DEFAULT,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Entries of the release logs that match every filter, newest first; with `--json` one a line, opened."""
    outcomes = sorted({*(outcome or []), *(audit.DENIALS if denied else ())})
    given: dict[str, Any] = {
        "partner": partner, "item": item, "level": level, "category": category, "outcome": outcomes, "type": type_, "rule": rule,
        "bundle": bundle, "client": client, "review": review, "log": log, "since": moment_asked(since, option="--since"),
        "until": moment_asked(until, option="--until"),
    }  # fmt: skip
    asked = {name: value for name, value in given.items() if value}
    filter_ = audit.filter_of(**asked)
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.AUDITOR)
        told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asked.items()}
        installation.acts.look("look.releases", actor, [], told)
        place: Position | None = None
        left = limit
        with installation.database.reading() as connection:
            while filter_ is not None and left:
                page = log_pages.page(connection, filter_, before=place, limit=min(left, 100))
                for row in page.rows:
                    _tell(audit.audit_entry(row), as_json=as_json)
                left -= len(page.rows)
                if page.next is None:
                    break
                place = page.next


def _tell(entry: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say(entry)
        return
    face, record = entry["face"], entry["record"]
    named = " ".join(item["id"] for item in face["items"][:3]) + (" …" if len(face["items"]) > 3 else "")
    rules = sorted({rule for item in record.get("items", []) for rule in item.get("rules", [])})
    by = f" by {' '.join(rules)}" if rules else ""
    what = f"{face['type']} {named}".rstrip()
    say(f"{face['at']} {entry['log']} {entry['index']} {face['client']} {what}: {record['outcome']}{by} ({face['event_id']})")
