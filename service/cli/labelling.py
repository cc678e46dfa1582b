"""`entente items relabel`, `event`, `approve`, `withdraw-proposal`, `proposals`, `history`, `quarantine`: labels of what is stored.

Exit 1 is a refusal, or another label that waits for another officer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from service.cli.session import DONE, REFUSED, AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.errors import Conflict
from service.identity.clients import Role
from service.settings import PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX
from service.sharing import quarantine, relabelling
from service.sharing.acts import Actor
from service.sharing.installation import Installation
from service.sharing.label_history import label_history_of
from service.sharing.told import (
    label_decided_json,
    label_done_json,
    label_foreseen_json,
    label_pending_json,
    label_proposal_json,
    quarantined_json,
)
from service.store import catalogue
from service.store.catalogue import ItemRecord

ItemNamed = Annotated[str, typer.Argument(metavar="ITEM", help="An item, by id or `ref`.")]
Number = Annotated[int, typer.Argument(metavar="PROPOSAL", help="Its number, as the list of them tells it.", min=1)]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show who would see it, before and after; do nothing.")]
Limit = Annotated[int, typer.Option("--limit", help="So many at most.", min=1, max=PAGE_LIMIT_MAX)]


def item_named(installation: Installation, named: str) -> ItemRecord:
    """An item by id or `ref`.

    Raises:
        Conflict: there is none.
    """
    with installation.database.reading() as connection:
        found = catalogue.item_by_id(connection, named) or catalogue.item_by_ref(connection, named)
    if found is None:
        raise Conflict(f"no item `{named[:80]}`", code="no-item")
    return found


def relabel(
    item: ItemNamed,
    reason: Reason,
    marking: Annotated[str | None, typer.Option("--marking", help="A portion's marking.", show_default=False)] = None,
    label: Annotated[str | None, typer.Option("--label", help="Or a label, as JSON.", show_default=False)] = None,
    portion: Annotated[
        str | None, typer.Option("--portion", help="One portion, by id; in quarantine a place; default all.", show_default=False)
    ] = None,
    version: Annotated[int | None, typer.Option("--version", help="A version that waits in quarantine.", show_default=False, min=1)] = None,
    dry_run: DryRun = False,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Give an item, or one portion, another label; or propose it, where anything widens and another officer must approve."""
    value = None if label is None else _label_of(label)
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.OFFICER)
        found = item_named(installation, item)
        if version is not None or (found.version == 0 and found.withdrawn_at is None):
            if dry_run:
                raise Conflict("a version in quarantine is shown to nobody, so that there is no difference to show", code="in-quarantine")
            decided = quarantine.decide(
                installation, found.id, actor, version=version, portion=portion, marking=marking, label=value, reason=reason
            )
            body = label_decided_json(decided)
            if as_json:
                say(body)
            elif decided.version is None:
                say(f"decided, event {decided.entry.event_id}; it still waits: {'; '.join(decided.holds)}")
            else:
                say(f"in force as version {decided.version}, event {decided.entry.event_id}")
            return
        asked = relabelling.Relabel(found.id, reason, marking, value, portion)
        _do(installation, asked, actor, dry_run=dry_run, as_json=as_json)


def event(
    words: Annotated[str, typer.Argument(metavar="EVENT", help="What came about, in the words of `declassify_on`.")],
    reason: Reason,
    at: Annotated[str, typer.Option("--at", help="A date or time to come from which it counts; default now.", show_default=False)] = "",
    dry_run: DryRun = False,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Say that what declassifications wait for has come about; another officer approves it, and their levels fall."""
    asked = relabelling.Event(words, reason, relabelling.read_time(at) if at else None)
    with opened(settings_of(data, policies)) as installation:
        _do(installation, asked, acting_as(installation, token, Role.OFFICER), dry_run=dry_run, as_json=as_json)


def approve(
    proposal: Number,
    timeline: Annotated[
        str, typer.Option("--timeline", help="The digest of the difference you have seen; default the one proposed.", show_default=False)
    ] = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Approve what another officer proposed of labels, and do it; if it would do something else by now, it is void."""
    with opened(settings_of(data, policies)) as installation:
        done = relabelling.approve(installation, proposal, acting_as(installation, token, Role.OFFICER), timeline=timeline or None)
    say(label_done_json(done) if as_json else f"done, event {done.entry.event_id}")


def withdraw_proposal(
    proposal: Number,
    reason: Reason,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Close a proposal without doing it: you think better of it, or refuse another officer's."""
    with opened(settings_of(data, policies)) as installation:
        entry = relabelling.withdraw_proposal(installation, proposal, acting_as(installation, token, Role.OFFICER), reason=reason)
    say({"result": "withdrawn", "event_id": entry.event_id} if as_json else f"withdrawn, event {entry.event_id}")


def proposals(
    limit: Limit = PAGE_LIMIT_DEFAULT, data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False
) -> None:
    """What waits for another officer: what it is about, and who would see what."""
    with opened(settings_of(data, policies)) as installation:
        found, _ = relabelling.waiting(installation, acting_as(installation, token, Role.OFFICER), after=0, limit=limit)
    lines = [label_proposal_json(one) for one in found]
    if as_json:
        say({"proposals": lines})
        return
    for line in lines:
        about = f"event {line['event']}" if "event" in line else f"item {line['item']}"
        say(f"{line['proposal']}: {about}, proposed by {line['client']} at {line['at']}: {line['reason']}")
        for told in _difference_lines(line):
            say(told)
    if not lines:
        say("nothing waits for another officer")


def history(item: ItemNamed, data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False) -> None:
    """Every label that each portion of an item had: from when until when, by whom and why."""
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.OFFICER)
        lines, _ = label_history_of(installation, actor, item_named(installation, item).id)
    if as_json:
        say({"portions": lines})
        return
    for line in lines:
        say(f"{line['kind']} {line['portion']}: came as {line['marking'] or 'nothing'}")
        for had in line["labels"]:
            until = f" until {had['until']}" if "until" in had else ""
            by = f" by {had['client']}" if "client" in had else ""
            by += f", approved by {had['approver']}" if "approver" in had else ""
            why = f": {had['reason']}" if "reason" in had else ""
            say(f"  {had['from']}{until} {label_told(had['label'])} ({had['act']}{by}{why})")


def quarantined(
    limit: Limit = PAGE_LIMIT_DEFAULT, data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False
) -> None:
    """Versions that wait for a decision, oldest first: why, since when, and every marking they came with."""
    with opened(settings_of(data, policies)) as installation:
        rows, _ = quarantine.waiting(installation, acting_as(installation, token, Role.OFFICER), after=(0, 0), limit=limit)
    if as_json:
        say({"quarantine": [quarantined_json(row) for row in rows]})
        return
    for row in map(quarantined_json, rows):
        say(f"{row['ref']} (version {row['version']}, {row['id']}) since {row['at']}: {row['reason']}")
        for place in row["markings"]:
            say(f"  {place['portion']} {place['kind']}: {place['marking'] or 'nothing'}")
    if not rows:
        say("nothing waits in quarantine")


# --- in words ---------------------------------------------------------------------------------------------------------


def label_told(label: Mapping[str, Any]) -> str:
    """A label in one line."""
    parts = [str(label["level"]), " ".join(label["categories"]) or "no category"]
    parts.append("to everyone" if label["releasable_to"] == ["*"] else f"to {' '.join(label['releasable_to']) or 'nobody'}")
    parts += [f"displayed to {' '.join(label['display_to'])}"] if "display_to" in label else []
    parts += [" ".join(label["caveats"])] if label["caveats"] else []
    return ", ".join([*parts, f"from {' '.join(label['originators'])}"])


def _label_of(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise typer.BadParameter('expected a label as JSON, like `{"level":"SECRET",...}`', param_hint="--label") from None


def _do(installation: Installation, asked: relabelling.Wanted, actor: Actor, *, dry_run: bool, as_json: bool) -> None:
    if dry_run:
        planned, entry = relabelling.foreseen(installation, asked, actor)
        body = label_foreseen_json(planned, entry)
        _say(body, as_json, "another officer would have to approve it" if planned.reasons else "one officer may do it")
        raise typer.Exit(REFUSED if planned.reasons else DONE)
    done = relabelling.relabel(installation, asked, actor)
    if isinstance(done, relabelling.Done):
        say(label_done_json(done) if as_json else f"done, event {done.entry.event_id}")
        return
    _say(label_pending_json(done), as_json, f"not done: proposed, event {done.entry.event_id}; to be approved by another officer with")
    if not as_json:
        say(f"  entente items approve {done.proposal.id} --timeline {done.proposal.timeline}")
    raise typer.Exit(REFUSED)


def _say(body: Mapping[str, Any], as_json: bool, ending: str) -> None:
    if as_json:
        say(body)
        return
    for line in _difference_lines(body):
        say(line)
    for reason in body["needs_approval"]:
        say(f"wider: {reason}")
    say(ending)


def _difference_lines(body: Mapping[str, Any]) -> Iterator[str]:
    """Who would see what, before and after, from each moment on."""
    for moment in body["difference"]:
        yield f"from {str(moment['from']).replace('T00:00:00.000000Z', '')} on:"
        if not moment["partners"]:
            yield "  nobody sees anything else"
        for one in moment["partners"]:
            purpose = "" if one["purpose"] == "none" else f" for {one['purpose']}"
            yield f"  {one['partner']}{purpose}: {_seen(one['before'])} -> {_seen(one['after'])}"


def _seen(seen: Mapping[str, Any]) -> str:
    by = f" by {' '.join(seen['rules'])}" if seen["rules"] else ""
    portions = f", {len(seen['portions'])} portions" if seen["portions"] else ""
    return f"{seen['outcome']}{portions}{by} (display {seen['display']})"
