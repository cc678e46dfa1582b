"""`entente policy publish`, `approve`, `withdraw`, `rollback`, `history`, `explain`: policy as it is in force.

(`policy` has the commands that read files only, `difference` those that show what an edit or time would do.) Exit 1 is a refusal, or a
publication that waits for another officer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.difference import calendar, diff
from service.cli.policy import At, check, decide, explanation_json, explanation_lines, format_, test
from service.cli.policy import explain as explain_marking
from service.cli.report import difference_text, findings_told
from service.cli.session import DONE, REFUSED, AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.errors import Conflict
from service.identity.clients import Role
from service.policy import Bundle, Explanation, read_directory
from service.sharing.copies import decide_item
from service.sharing.examination import difference_json
from service.sharing.installation import Installation
from service.sharing.publishing import Examined, Pending, Published
from service.sharing.told import history_json, pending_json, published_json
from service.store import catalogue
from service.store.times import micros, moment_of

Digest = Annotated[str, typer.Argument(metavar="DIGEST", help="Of a bundle in the archive, or its first 8 characters or more.")]

policy_app = typer.Typer(help="Policy: check, test and decide from files; publish, and what is in force.", no_args_is_help=True)
for _command in (check, test, decide, diff, calendar):
    policy_app.command()(_command)
policy_app.command("format")(format_)


@policy_app.command()
def publish(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The bundle's folder; default `--policies`.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and show what it would do; do nothing.")] = False,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Put a bundle in force, or propose it where another officer must approve. Whatever is wrong, the one in force stays."""
    settings = settings_of(data, policies)
    files = read_directory(directory or settings.policies)
    with opened(settings) as installation, findings_told(as_json):
        actor = acting_as(installation, token, Role.OFFICER)
        if dry_run:
            examined = installation.publishing.examine(files, actor)
            _say_examined(examined, as_json)
            raise typer.Exit(REFUSED if examined.weighed.reasons else DONE)
        done = installation.publishing.publish(files, actor)
    _say_done(done, as_json)


@policy_app.command()
def rollback(
    digest: Digest,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Put an archived bundle in force again; where that gains what must be approved, another officer does."""
    with opened(settings_of(data, policies)) as installation, findings_told(as_json):
        done = installation.publishing.publish_archived(digest, acting_as(installation, token, Role.OFFICER))
    _say_done(done, as_json)


@policy_app.command()
def approve(
    digest: Digest,
    timeline: Annotated[
        str, typer.Option("--timeline", metavar="HEX", help="The timeline you have seen; default the one proposed.", show_default=False)
    ] = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Approve what another officer proposed, and put it in force; if it would do something else by now, it is void."""
    with opened(settings_of(data, policies)) as installation, findings_told(as_json):
        done = installation.publishing.approve(digest, acting_as(installation, token, Role.OFFICER), timeline=timeline or None)
    _say_done(done, as_json)


@policy_app.command()
def withdraw(
    digest: Digest,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.", show_default=False)] = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Close a proposal without publishing: you think better of it, or refuse another officer's."""
    with opened(settings_of(data, policies)) as installation:
        entry = installation.publishing.withdraw(digest, acting_as(installation, token, Role.OFFICER), reason=reason)
    say({"result": "withdrawn", "event_id": entry.event_id} if as_json else f"withdrawn, event {entry.event_id}")


@policy_app.command()
def history(data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False) -> None:
    """Every publication, oldest first, the last one in force; and every proposal that is not one of them, with how it stands."""
    with opened(settings_of(data, policies)) as installation:
        found = history_json(installation.publishing.history())
    if as_json:
        say(found)
        return
    for line in found["publications"]:
        approved = f", approved by {line['approver']}" if "approver" in line else ""
        say(f"{line['at']}  {line['digest']}  act {line['act']}  by {line['client']}{approved}")
    for line in found["proposals"]:
        if line["state"] != "approved":
            ended = f" by {line['closed_by']}: {line['reason']}" if "closed_by" in line else ", waits for another officer"
            say(f"{line['at']}  {line['digest']}  proposed by {line['client']}, {line['state']}{ended}")


@policy_app.command()
def explain(
    partner: Annotated[str, typer.Option("--partner", help="Who asks.")],
    item: Annotated[
        str | None, typer.Option("--item", help="An item, by id or `ref`, under the policy in force.", show_default=False)
    ] = None,
    marking: Annotated[
        str | None, typer.Option("--marking", help="Or a marking, under the bundle in `--policies`.", show_default=False)
    ] = None,
    category: Annotated[list[str] | None, typer.Option("--category", help="With a marking; repeatable.", show_default=False)] = None,
    originator: Annotated[
        list[str] | None, typer.Option("--originator", help="With a marking; default ourselves.", show_default=False)
    ] = None,
    action: Annotated[str, typer.Option("--action", help="release or display.")] = "release",
    purpose: Annotated[str, typer.Option("--purpose", help="none, or one of the scheme's.")] = "none",
    at: At = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Say why, why not, and what would have to change: portion by portion for an item, or for a marking."""
    if (item is None) == (marking is None):
        raise typer.BadParameter("expected one of `--item` and `--marking`")
    settings = settings_of(data, policies)
    if marking is not None:
        explain_marking(
            partner=partner, marking=marking, category=category, originator=originator, action=action, purpose=purpose, at=at,
            policies=settings.policies, as_json=as_json,
        )  # fmt: skip
        return
    if at:
        raise typer.BadParameter("`--at` goes with `--marking`; an item is explained as it is now", param_hint="--at")
    with opened(settings) as installation:
        actor = acting_as(installation, token, Role.OFFICER)
        item_id, told, lines = _explained(installation, str(item), partner=partner, action=action, purpose=purpose)
        # On record before it is shown.
        installation.acts.look(
            "look.explain", actor, [item_id], {"partner": partner, "action": action, "purpose": purpose, "item": item_id}
        )
    if as_json:
        say(told)
    else:
        for line in lines:
            say(line)


def _explained(installation: Installation, named: str, *, partner: str, action: str, purpose: str) -> tuple[str, dict[str, Any], list[str]]:
    """(item id, for programs, for people). Markings, labels and rules; no content."""
    with installation.database.reading() as connection:
        item = catalogue.item_by_id(connection, named) or catalogue.item_by_ref(connection, named)
        if item is None:
            raise Conflict(f"no item `{named[:80]}`", code="no-item")
        state = installation.world.current(connection)
        bundle = state.bundle
        if partner not in {known.code for known in bundle.partners}:
            raise Conflict(f"no partner `{partner[:80]}` in the policy in force", code="no-partner")
        at = max(micros(installation.clock()), state.at)
        version = catalogue.versions_at(connection, [item.id], at=at).get(item.id)
        held = catalogue.quarantined_of(connection, item.id)
        version_record = catalogue.version_in_force(connection, item.id)
        markings = {} if version_record is None else {
            portion.id: marking for portion, marking in catalogue.portions_of_version(connection, version_record.id)
        }  # fmt: skip
    told: dict[str, Any] = {"item": item.id, "ref": item.ref, "partner": partner, "action": action, "purpose": purpose}
    if item.withdrawn_at is not None or version is None:
        why = "withdrawn" if item.withdrawn_at is not None else f"in quarantine: {held.reason if held else 'no version in force'}"
        return item.id, {**told, "outcome": "withhold", "why": why}, [f"{action} to {partner}: withhold, {item.ref} is {why}"]
    snapshot = state.snapshot(moment_of(at))
    labels = installation.world.labels
    decision = decide_item(version, labels, snapshot, partner=partner, purpose=purpose, action=action)
    lines = [f"{action} of {item.ref} (version {version.version}) to {partner}: {decision.outcome}"]
    if partner in state.suspended:
        lines.append(f"{partner} is suspended")
    if version.whole:
        lines.append("it goes out as a whole or not at all")
    parts: list[dict[str, Any]] = []
    decided = [(one.portion.id, one.portion.kind, markings.get(one.portion.id, ""), one.label_id) for one in version.portions]
    if version.compilation is not None:
        decided.append((item.id, "compilation", "", version.compilation[0]))
    for part_id, kind, marking, label_id in decided:
        explanation = snapshot.explain(partner, action, labels[label_id], purpose)
        parts.append({"id": part_id, "kind": kind, "marking": marking, **explanation_json(explanation, labels[label_id])})
        lines += _part_lines(bundle, explanation, kind, marking, partner=partner, action=action)
    told |= {"version": version.version, "whole": version.whole, "outcome": decision.outcome, "rules": list(decision.rules), "parts": parts}
    return item.id, told, lines


def _part_lines(bundle: Bundle, explanation: Explanation, kind: str, marking: str, *, partner: str, action: str) -> list[str]:
    first, *rest = explanation_lines(bundle, explanation, partner=partner, action=action)
    return [f"{kind} {marking}".rstrip() + f": {first}", *rest]


def _say_done(done: Published | Pending, as_json: bool) -> None:
    """What was done; exit 1 where it waits for another officer."""
    pending = isinstance(done, Pending)
    body = pending_json(done) if isinstance(done, Pending) else published_json(done)
    difference = difference_json(done.bundle, done.weighed)
    if as_json:
        say(body | ({"difference": difference} if pending else {}))
    else:
        for finding in done.findings:
            say(f"{finding} ({finding.severity})")
        if isinstance(done, Pending):
            for line in difference_text(difference, witnesses=True):
                say(line)
            say(f"not in force: proposed, event {done.entry.event_id}; to be approved by another officer with")
            say(f"  entente policy approve {done.digest} --timeline {done.proposal.timeline}")
        else:
            say(f"in force: {done.digest}, act {done.act}, event {done.entry.event_id}")
    if pending:
        raise typer.Exit(REFUSED)


def _say_examined(examined: Examined, as_json: bool) -> None:
    difference = difference_json(examined.bundle, examined.weighed)
    findings = examined.checked.findings
    if as_json:
        say({**difference, "digest": examined.bundle.digest, "findings": [finding.to_json() for finding in findings]})
        return
    for finding in findings:
        say(f"{finding} ({finding.severity})")
    for line in difference_text(difference, witnesses=True):
        say(line)
    say(f"every check passed; compared with stock casbin on {examined.checked.compared.asked} questions; nothing was done")
