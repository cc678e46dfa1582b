"""`entente log hold`: what stays, whatever else is pruned. An auditor's acts, each a leaf of `officers`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.difference import moment_asked
from service.cli.filters import Item, LogName, Partner, Since, Until
from service.cli.session import AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.errors import Conflict, NotVisible
from service.identity.clients import Role
from service.settings import PAGE_LIMIT_DEFAULT
from service.sharing import holds
from service.store import holds as stored

hold_app = typer.Typer(help="Legal holds: what is not pruned, whatever else is.", no_args_is_help=True)

Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.", show_default=False)]


@hold_app.command("add")
def add(
    reason: Reason,
    log: LogName = "",
    partner: Partner = "",
    item: Item = "",
    since: Since = "",
    until: Until = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Hold the entries that match every condition given, also those still to come; without any, all."""
    wanted = holds.conditions(
        log=log or None,
        partner=partner or None,
        item=item or None,
        since=moment_asked(since, option="--since"),
        until=moment_asked(until, option="--until"),
    )
    with opened(settings_of(data, policies)) as installation:
        done = holds.add(installation.acts, acting_as(installation, token, Role.AUDITOR), wanted, reason=reason)
    _done(done, f"hold {done.hold.id} is on: {_conditions(holds.hold_json(done.hold))}", as_json=as_json)


@hold_app.command("release")
def release(
    hold: Annotated[int, typer.Argument(metavar="HOLD", help="Its number, as `list` tells it.", min=1)],
    reason: Reason,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Let go what a hold held."""
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.AUDITOR)
        try:
            done = holds.release(installation.acts, actor, hold, reason=reason)
        except NotVisible:
            raise Conflict(f"no hold `{hold}`; `entente log hold list` tells those there are", code="no-hold") from None
    _done(done, f"hold {done.hold.id} is released", as_json=as_json)


@hold_app.command("list")
def list_(
    ended: Annotated[bool, typer.Option("--ended", help="Those that were released too.")] = False,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Print the holds that are on, oldest first."""
    with opened(settings_of(data, policies)) as installation:
        installation.acts.reading("look.holds", acting_as(installation, token, Role.AUDITOR), {"ended": ended})
        with installation.database.reading() as connection:
            after, found = 0, []
            while page := stored.page(connection, after=after, limit=PAGE_LIMIT_DEFAULT, ended=ended):
                found += [holds.hold_json(one) for one in page]
                after = page[-1].id
    if as_json:
        say({"holds": found})
        return
    for line in found:
        let_go = f"; released at {line['released']['at']}: {line['released']['reason']}" if "released" in line else ""
        say(f"{line['hold']}: {_conditions(line)}, since {line['at']}: {line['reason']}{let_go}")
    if not found:
        say("nothing is held")


def _done(done: holds.Held, told: str, *, as_json: bool) -> None:
    say({"hold": done.hold.id, "event_id": done.event_id} if as_json else f"{told} ({done.event_id})")


def _conditions(line: dict[str, Any]) -> str:
    """What a hold names, in words."""
    words = {"log": "log", "item": "item", "since": "from", "until": "before"}
    named = [f"{word} {line[name]}" for name, word in words.items() if name in line]
    return ", ".join(named) or "every entry of every log"
