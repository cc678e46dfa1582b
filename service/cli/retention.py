"""`entente log hold`, `log prune`: what stays, and what two auditors let go. Each act is a leaf of `officers`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.difference import moment_asked
from service.cli.filters import Item, LogName, Partner, Since, Until
from service.cli.labelling import Number, Reason
from service.cli.session import REFUSED, AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.errors import Conflict, NotVisible
from service.identity.clients import Role
from service.settings import PAGE_LIMIT_DEFAULT
from service.sharing import holds, pruning
from service.store import holds as stored

hold_app = typer.Typer(help="Legal holds: what is not pruned, whatever else is.", no_args_is_help=True)
prune_app = typer.Typer(help="Whole tiles of old entries, taken out by two auditors; every proof holds as before.", no_args_is_help=True)


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
    _done(done, f"hold {done.hold.id} is on: {_conditions(holds.conditions_json(done.hold))}", as_json=as_json)


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
                found += holds.holds_json(connection, page)
                after = page[-1].id
    if as_json:
        say({"holds": found})
        return
    for line in found:
        let_go = f"; released at {line['released']['at']}: {line['released']['reason']}" if "released" in line else ""
        say(f"{line['hold']}: {_conditions(line)}, since {line['at']}: {line['reason']}{let_go}")
    if not found:
        say("nothing is held")


# --- pruning ----------------------------------------------------------------------------------------------------------


@prune_app.command("propose")
def propose(
    before: Annotated[str, typer.Option("--before", help="Entries before this day or time (UTC).", metavar="TIME", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.", show_default=False)] = "",
    log: LogName = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print all that would go, and what keeps the rest; do nothing.")] = False,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Propose to prune whole tiles of old entries; another auditor approves it, and what is more than one act takes is proposed again."""
    moment = moment_asked(before, option="--before")
    if moment is None:
        raise typer.BadParameter("expected a day or a time", param_hint="--before")
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.AUDITOR)
        if dry_run:
            plan = pruning.foreseen(installation, before=moment, log=log or None)
            installation.acts.reading("look.prunes", actor, {"before": moment.isoformat(), **({"log": log} if log else {})})
            _say_plan(pruning.plan_json(plan), as_json=as_json)
            return
        done = pruning.propose(installation, actor, before=moment, log=log or None, reason=reason)
    pending = {"proposal": done.proposal.id, "timeline": done.proposal.timeline, "event_id": done.entry.event_id}
    _say_plan({**pending, **pruning.plan_json(done.plan)}, as_json=as_json)
    if not as_json:
        say(f"not done: proposed, event {done.entry.event_id}; to be approved by another auditor with")
        say(f"  entente log prune approve {done.proposal.id} --timeline {done.proposal.timeline}")
    raise typer.Exit(REFUSED)


@prune_app.command("approve")
def approve(
    proposal: Number,
    timeline: Annotated[
        str, typer.Option("--timeline", help="The digest of what you have seen would go; default the one proposed.", show_default=False)
    ] = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Approve what another auditor proposed, and prune it; if something else would go by now, it is void."""
    with opened(settings_of(data, policies)) as installation:
        done = pruning.approve(installation, proposal, acting_as(installation, token, Role.AUDITOR), timeline=timeline or None)
    if as_json:
        say({"event_id": done.entry.event_id, "entries": done.plan.entries, "ranges": pruning.plan_json(done.plan)["ranges"]})
        return
    say(f"pruned {done.plan.entries} entries, event {done.entry.event_id}")
    if done.plan.more:
        say("there is more than one act takes: propose it again")


@prune_app.command("withdraw")
def withdraw(
    proposal: Number, reason: Reason, data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False
) -> None:
    """Close a proposal without doing it: you think better of it, or refuse another auditor's."""
    with opened(settings_of(data, policies)) as installation:
        entry = pruning.withdraw(installation, proposal, acting_as(installation, token, Role.AUDITOR), reason=reason)
    say({"result": "withdrawn", "event_id": entry.event_id} if as_json else f"withdrawn, event {entry.event_id}")


@prune_app.command("list")
def list_prunes(data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False) -> None:
    """Print every proposal to prune, oldest first, and how it ended."""
    with opened(settings_of(data, policies)) as installation:
        installation.acts.reading("look.prunes", acting_as(installation, token, Role.AUDITOR), {})
        with installation.database.reading() as connection:
            after, found = 0, []
            while page := pruning.proposed(connection, after=after, limit=PAGE_LIMIT_DEFAULT):
                found += pruning.proposals_json(connection, page)
                after = page[-1].id
    if as_json:
        say({"prunes": found})
        return
    for line in found:
        of = f" of log {line['log']}" if "log" in line else ""
        ended = f" at {line['ended']['at']}: {line['ended']['reason']}" if "ended" in line else ""
        why = f": {line['reason']}" if "reason" in line else ""
        say(f"{line['proposal']}: before {line['before']}{of}, proposed by {line['client']} at {line['at']}{why}; {line['state']}{ended}")
        for one in line["ranges"]:
            say(f"  {one['log']}: entries {one['start']} to {one['stop'] - 1}")
    if not found:
        say("nothing was ever proposed to be pruned")


def _say_plan(plan: dict[str, Any], *, as_json: bool) -> None:
    """What would go, and what keeps the rest."""
    if as_json:
        say(plan)
        return
    for one in plan["ranges"]:
        say(f"{one['log']}: entries {one['start']} to {one['stop'] - 1} would go")
    for one in plan["kept"]:
        say(f"{one['log']}: {one['entries']} entries stay: {one['why']}")
    say(f"{plan['entries']} entries in all" + ("; there is more than one act takes" if plan["more"] else ""))


def _done(done: holds.Held, told: str, *, as_json: bool) -> None:
    say({"hold": done.hold.id, "event_id": done.event_id} if as_json else f"{told} ({done.event_id})")


def _conditions(line: dict[str, Any]) -> str:
    """What a hold names, in words."""
    words = {"log": "log", "item": "item", "since": "from", "until": "before"}
    named = [f"{word} {line[name]}" for name, word in words.items() if name in line]
    return ", ".join(named) or "every entry of every log"
