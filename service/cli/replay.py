"""`entente log replay`: past decisions taken again from their records, and what another policy would have decided.

Findings are printed as they are found, and nothing is held: a log of any size can be replayed. With `--json` each is a line, and the
last line says what came of it all. Exit 1 where a decision taken again is another.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.difference import moment_asked
from service.cli.policy import At
from service.cli.report import findings_told
from service.cli.session import REFUSED, AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.errors import Rejected
from service.identity.clients import Role
from service.policy import Bundle, read_bundle, read_directory
from service.sharing.acts import Actor
from service.sharing.installation import Installation
from service.sharing.replay import Asked, Change, Replay, Tally, WhatIf, choose, look_what_if

_LAST: int = 1000


def replay(
    event_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[EVENT_ID]...", help="Of decisions, as in `Release-Event`.", show_default=False)
    ] = None,
    log: Annotated[str | None, typer.Option("--log", help="All decisions of this log.", show_default=False)] = None,
    start: Annotated[int | None, typer.Option("--from", help="With `--log`: from this entry on.", show_default=False)] = None,
    stop: Annotated[int | None, typer.Option("--to", help="With `--log`: before this entry.", show_default=False)] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", help="So many, drawn at random, of all partners' logs or of `--log`.", show_default=False)
    ] = None,
    seed: Annotated[
        str | None, typer.Option("--seed", help="Of the sample; the same one draws the same. Default: a new one.", show_default=False)
    ] = None,
    what_if: Annotated[
        str | None,
        typer.Option(
            "--what-if", metavar="DIR_OR_DIGEST", help="Decide the newest under this bundle and show what would differ.", show_default=False
        ),
    ] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="With `--what-if`: how many of the newest entries.")] = _LAST,
    at: At = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Take past decisions again from their records: the archived policy, the sealed labels, the time. A difference is a finding."""
    asked = Asked(tuple(event_ids or ()), log, start, stop, sample, seed)
    if what_if is not None and asked != Asked():
        raise Rejected("`--what-if` takes the newest entries, expected it without events, `--log` and `--sample`", code="replay")
    if what_if is None and at:
        raise Rejected("a decision is taken again as of its own time, expected `--at` with `--what-if` alone", code="replay")
    with opened(settings_of(data, policies)) as installation, findings_told(as_json):
        actor = acting_as(installation, token, Role.AUDITOR)
        if what_if is not None:
            _what_if(installation, actor, _bundle(installation, what_if), last, at, as_json)
            return
        tally = _replay(installation, actor, asked, as_json)
    if tally.replayed != tally.equal:
        raise typer.Exit(REFUSED)


def _replay(installation: Installation, actor: Actor, asked: Asked, as_json: bool) -> Tally:
    chosen = choose(installation, actor, asked)
    with installation.database.reading() as connection:
        run = Replay(connection, installation.world)
        for finding in run.run(chosen.runs):
            say(finding.to_json() if as_json else str(finding))
    tally = run.tally
    if as_json:
        say(tally.to_json() | ({} if chosen.seed is None else {"seed": chosen.seed}) | {"release_event": chosen.entry.event_id})
        return tally
    if chosen.seed is not None:
        say(f"a sample of {chosen.size}, seed {chosen.seed}")
    if tally.other_engine:
        say(f"{tally.other_engine} of them were decided by another engine than this one")
    if tally.erased:
        say(f"{tally.erased} are searches whose words were erased: what they listed was decided again, that it was found by them cannot be")
    if tally.other or tally.pruned:
        say(f"not replayed: {tally.other} without a decision, {tally.pruned} pruned")
    differ = tally.replayed - tally.equal
    say(f"{_decisions(tally.replayed)} taken again: {tally.equal} equal, {differ} {'differs' if differ == 1 else 'differ'}")
    return tally


def _what_if(installation: Installation, actor: Actor, bundle: Bundle, last: int, at: str, as_json: bool) -> None:
    moment = moment_asked(at)
    entry = look_what_if(installation, actor, bundle, last=last, at=moment)
    with installation.database.reading() as connection:
        run = WhatIf(connection, installation.world, bundle, at=moment)
        for difference in run.run(last):
            if as_json:
                say(difference.to_json())
                continue
            rules = " ".join(difference.rules_after or difference.rules_before)
            told = f"{_WORDS[difference.change]}: {difference.ref} version {difference.version}, event {difference.event_id}"
            say(f"{difference.log}: {told} ({rules or 'no rule allows it'})")
    if as_json:
        told_json: dict[str, Any] = {"bundle": bundle.digest, "last": last, "release_event": entry.event_id}
        say(told_json | {"partners": [tally.to_json(partner) for partner, tally in sorted(run.partners.items())]})
        return
    for line in _summary(run):
        say(line)


_WORDS = {
    Change.NO_LONGER: "no longer released",
    Change.LESS: "less released",
    Change.MORE: "more released",
    Change.NEWLY: "newly released",
}


def _summary(run: WhatIf) -> Iterator[str]:
    for partner, tally in sorted(run.partners.items()):
        changes = ", ".join(f"{tally.changes[change]} {_WORDS[change]}" for change in Change if change in tally.changes)
        yield f"{partner}: {tally.entries} entries, {tally.items} items: {changes or 'nothing would differ'}"
    if not run.partners:
        yield "no entries in any partner's log"


def _decisions(count: int) -> str:
    return f"{count} decision" if count == 1 else f"{count} decisions"


def _bundle(installation: Installation, named: str) -> Bundle:
    """A bundle's folder, read; or one of the archive."""
    if Path(named).is_dir():
        return read_bundle(read_directory(Path(named)))
    return installation.publishing.archived_bundle(named)
