"""`entente log erase`: `propose`, `approve`, `withdraw`, `list`: personal texts of an entry, erased by two auditors.

Exit 1 is a refusal, or an erasure that waits for another auditor.
"""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.labelling import Limit, Number, Reason
from service.cli.logs import IDS
from service.cli.session import REFUSED, AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.identity.clients import Role
from service.settings import PAGE_LIMIT_DEFAULT
from service.sharing import erasure
from service.sharing.personal import KINDS

erase_app = typer.Typer(help="Erase personal texts of an entry, by two auditors; every seal and proof stays.", no_args_is_help=True)


@erase_app.command("propose", context_settings=IDS)
def propose(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The entry, by its event.")],
    reason: Reason,
    kind: Annotated[str | None, typer.Option("--kind", help=f"One of {', '.join(KINDS)}; default all.", show_default=False)] = None,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Propose to erase what an entry's record commits to; another auditor approves it."""
    with opened(settings_of(data, policies)) as installation:
        pending = erasure.propose(installation, acting_as(installation, token, Role.AUDITOR), event_id, kind=kind, reason=reason)
    body = erasure.pending_json(pending)
    if as_json:
        say(body)
    else:
        say(f"{len(body['commitments'])} texts of kind {', '.join(body['kinds'])} of event {body['about']} would be erased")
        say(f"waits for another auditor: `entente log erase approve {body['proposal']} --timeline {body['timeline']}`")
    raise typer.Exit(REFUSED)


@erase_app.command("approve")
def approve(
    proposal: Number,
    timeline: Annotated[
        str, typer.Option("--timeline", help="The digest of what you have seen; default what was proposed.", show_default=False)
    ] = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Approve what another auditor proposed, and erase it, for good."""
    with opened(settings_of(data, policies)) as installation:
        done = erasure.approve(installation, proposal, acting_as(installation, token, Role.AUDITOR), timeline=timeline or None)
    say({"event_id": done.entry.event_id, "texts": done.texts} if as_json else f"{done.texts} texts erased, event {done.entry.event_id}")


@erase_app.command("withdraw")
def withdraw(
    proposal: Number, reason: Reason, data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False
) -> None:
    """Close a proposal without erasing: you think better of it, or refuse another auditor's."""
    with opened(settings_of(data, policies)) as installation:
        entry = erasure.withdraw(installation, proposal, acting_as(installation, token, Role.AUDITOR), reason=reason)
    say({"result": "withdrawn", "event_id": entry.event_id} if as_json else f"withdrawn, event {entry.event_id}")


@erase_app.command("list")
def list_(
    limit: Limit = PAGE_LIMIT_DEFAULT, data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False
) -> None:
    """What waits for another auditor."""
    with opened(settings_of(data, policies)) as installation:
        found, _ = erasure.waiting(installation, acting_as(installation, token, Role.AUDITOR), after=0, limit=limit)
    lines = [erasure.waiting_json(one) for one in found]
    if as_json:
        say({"erasures": lines})
        return
    for line in lines:
        what = f"{', '.join(line['kinds'])} of event {line['about']} ({line['log']} {line['index']})"
        say(f"{line['proposal']}: {what}, proposed by {line['client']} at {line['at']}: {line['reason']}")
    if not lines:
        say("nothing waits for another auditor")
