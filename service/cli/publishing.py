"""`entente policy publish`, `history`, `rollback`, `explain`: policy as it is in force. (`policy` has those that read files only.)"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.policy import At, check, decide, explanation_json, explanation_lines, test
from service.cli.policy import explain as explain_marking
from service.cli.session import REFUSED, AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.errors import Conflict
from service.identity.clients import Role
from service.policy import Bundle, Explanation, PolicyRejected, check_files, read_directory
from service.sharing.copies import decide_item
from service.sharing.installation import Installation, system_clock
from service.sharing.publishing import Published
from service.store import catalogue
from service.store.times import micros, moment_of, text_of

policy_app = typer.Typer(help="Policy: check, test and decide from files; publish, and what is in force.", no_args_is_help=True)
for _command in (check, test, decide):
    policy_app.command()(_command)


@policy_app.command()
def publish(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The bundle's folder; default `--policies`.", show_default=False)
    ] = None,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Put a bundle in force: read, checked, its cases run. Whatever is wrong, the one in force stays."""
    settings = settings_of(data, policies)
    files = read_directory(directory or settings.policies)
    with opened(settings) as installation:
        actor = acting_as(installation, token, Role.OFFICER)
        try:
            published = installation.publishing.publish(files, actor)
        except PolicyRejected as rejected:
            _say_rejected(rejected, as_json)
            raise typer.Exit(REFUSED) from None
    findings = check_files(files, at=system_clock())
    if as_json:
        say({**_published_json(published), "findings": [finding.to_json() for finding in findings]})
        return
    for finding in findings:
        say(f"{finding} ({finding.severity})")
    say(f"in force: {published.digest}, act {published.act}, event {published.entry.event_id}")


@policy_app.command()
def rollback(
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="Of a bundle in the archive; `history` names them.")],
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Put an archived bundle in force again."""
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.OFFICER)
        try:
            published = installation.publishing.publish_archived(digest, actor)
        except PolicyRejected as rejected:
            _say_rejected(rejected, as_json)
            raise typer.Exit(REFUSED) from None
    line = f"in force: {published.digest}, act {published.act}, event {published.entry.event_id}"
    say(_published_json(published) if as_json else line)


@policy_app.command()
def history(data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False) -> None:
    """Every publication, oldest first; the last one is in force."""
    with opened(settings_of(data, policies)) as installation:
        publications = installation.publishing.history()
    lines = [{"act": one.act, "at": text_of(one.at), "digest": one.digest, "client": one.client} for one in publications]
    if as_json:
        say({"publications": lines})
        return
    for line in lines:
        say(f"{line['at']}  {line['digest']}  act {line['act']}  by {line['client']}")


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


def _published_json(published: Published) -> dict[str, Any]:
    return {"digest": published.digest, "act": published.act, "event_id": published.entry.event_id}


def _say_rejected(rejected: PolicyRejected, as_json: bool) -> None:
    if as_json:
        say({"digest": None, "findings": [finding.to_json() for finding in rejected.findings]})
        return
    for finding in rejected.findings:
        say(f"{finding} ({finding.severity})" if finding.severity == "warning" else str(finding))
