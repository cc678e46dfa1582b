"""`entente items obstacles`, `unshared`: what stands in the way of more, and what was on offer and never fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from service.cli.labelling import Limit, item_named
from service.cli.session import AsJson, Data, Policies, Token, acting_as, complain, opened, say, settings_of
from service.errors import Conflict
from service.identity.clients import NO_PURPOSE, Role
from service.settings import OBSTACLES_TOP_DEFAULT, OBSTACLES_TOP_MAX, PAGE_LIMIT_DEFAULT
from service.sharing.installation import Installation
from service.sharing.obstacles import obstacles_of_item, obstacles_of_store, unshared_json
from service.sharing.obstacles import unshared as unshared_items

Partner = Annotated[str | None, typer.Option("--partner", help="For this partner; needed with an item.", show_default=False)]


def obstacles(
    item: Annotated[str | None, typer.Argument(metavar="[ITEM]", help="An item, by id or `ref`; default all.", show_default=False)] = None,
    partner: Partner = None,
    purpose: Annotated[str, typer.Option("--purpose", help="With an item: none, or one of the scheme's.")] = NO_PURPOSE,
    top: Annotated[int, typer.Option("--top", help="So many lines at most.", min=1, max=OBSTACLES_TOP_MAX)] = OBSTACLES_TOP_DEFAULT,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Say what to hold back of an item for a partner and what stands in the way of it; or of most of what is stored."""
    if item is not None and partner is None:
        raise typer.BadParameter("expected for whom, with an item", param_hint="--partner")
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.OFFICER)
        _partner_must_exist(installation, partner)
        if item is not None:
            found = item_named(installation, item)
            body, _ = obstacles_of_item(installation, actor, found.id, partner=str(partner), purpose=purpose)
        else:
            body, _ = obstacles_of_store(installation, actor, top=top, partner=partner)
    if as_json:
        say(body)
        return
    for line in _store_lines(body) if item is None else _item_lines(body):
        say(line)


def unshared(
    partner: Partner = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """What partners may have and were never sent, oldest first."""
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.OFFICER)
        _partner_must_exist(installation, partner)
        found, _, pruned = unshared_items(installation, actor, partner=partner, limit=limit)
    lines = [unshared_json(one) for one in found]
    if as_json:
        say({"unshared": lines, **pruned})
        return
    for line in lines:
        say(f"{line['visible_since']}  {line['partner']}  {line['ref']}")
    if not lines:
        say("everything on offer was fetched")
    for gone in pruned.get("pruned", ()):
        stretch = f"its log from {gone['first_at']} to {gone['last_at']} was pruned"
        complain(f"{gone['partner']}: {stretch}, so that what it fetched then stands here too")


def _partner_must_exist(installation: Installation, partner: str | None) -> None:
    with installation.database.reading() as connection:
        state = installation.world.current(connection)
    if partner is not None and partner not in {known.code for known in state.bundle.partners}:
        raise Conflict(f"no partner `{partner[:80]}` in the policy in force", code="no-partner")


def _item_lines(body: Mapping[str, Any]) -> list[str]:
    lines = [f"release of {body['ref']} (version {body['version']}) to {body['partner']}: {body['outcome']}"]
    if not body["withheld"]:
        lines.append("nothing stands in the way")
    elif body["compilation"]:
        lines.append("it goes as it is or not at all, for what its parts reveal together: nothing can be held back of it")
    elif not body["possible"]:
        lines.append("nothing of it may go")
    elif not body["hold_back"]:
        lines.append("nothing must be held back: tear-lines stand in the place of what is withheld")
    else:
        lines.append(f"hold back {len(body['hold_back'])} portions, so that the other {len(body['goes'])} may go:")
        lines += [f"  {portion}" for portion in body["hold_back"]]
        if body["whole"]:
            lines.append("it goes out whole: that takes a version without them, or one releasable in portions")
    for one in body["withheld"]:
        lines.append(f"{one['kind']} {one['portion']} {one['marking']}".rstrip() + f": {one['outcome']}")
    if body["for_all"]:
        lines.append("for all of it:")
    for one in body["for_all"]:
        lines.append(f"  {_obstacle(one)} ({len(one['portions'])} portions)")
    return lines


def _store_lines(body: Mapping[str, Any]) -> list[str]:
    lines = []
    for one in body["obstacles"]:
        lines.append(f"{one['items']} items, {one['portions']} portions: {_obstacle(one)}")
        lines += [f"  {each['partner']}: {each['items']} items, {each['portions']} portions" for each in one["partners"]]
    if body["obstacles_total"] > len(body["obstacles"]):
        lines.append(f"and {body['obstacles_total'] - len(body['obstacles'])} more that stand in the way of less")
    if body["left_out"]:
        lines.append(f"not looked into: {body['left_out']} pairs of a label and a partner, those that fewest portions bear")
    return lines or ["nothing stands in the way of anything"]


def _obstacle(one: Mapping[str, Any]) -> str:
    return f"{one['rule']}: {one['reason']}" if one["kind"] == "condition" else str(one["reason"])
