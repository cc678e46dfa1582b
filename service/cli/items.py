"""`entente items import`, items by the line, from a file or a pipe; and `calendar`, what their own dates will do.

(`labelling` has the commands about their labels, `obstructions` those about what stands in the way.)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from service.cli.labelling import approve, event, history, proposals, quarantined, relabel, withdraw_proposal
from service.cli.obstructions import obstacles, unshared
from service.cli.session import DONE, REFUSED, AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.demo import MAPPINGS
from service.errors import Broken
from service.identity.clients import Role
from service.settings import CALENDAR_DAYS_DEFAULT, CALENDAR_DAYS_MAX
from service.sharing.importing import import_items
from service.sharing.item_calendar import calendar_of_items
from service.sharing.item_files import LocalFiles, SentFiles

items_app = typer.Typer(help="Items: import, calendar; their labels, and what stands in the way.", no_args_is_help=True)
for _command in (relabel, event, approve, proposals, history, obstacles, unshared):
    items_app.command()(_command)
items_app.command("withdraw-proposal")(withdraw_proposal)
items_app.command("quarantine")(quarantined)

_BLOCK_BYTES = 1 << 18


@items_app.callback()
def items() -> None:
    """Items: import, calendar; their labels, and what stands in the way."""


@items_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="One item a line; `-` is stdin.")],
    mapping: Annotated[
        str | None, typer.Option("--mapping", help=f"The lines are foreign documents: {', '.join(sorted(MAPPINGS))}.", show_default=False)
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="An item stored already gets a new version.")] = False,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Store items, atomically each; a report line for every one refused or quarantined, then the totals. Exit 1 if any is refused."""
    if mapping is not None and mapping not in MAPPINGS:
        raise typer.BadParameter(f"unknown mapping `{mapping}`, expected one of `{'`, `'.join(sorted(MAPPINGS))}`", param_hint="--mapping")
    refused = False
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.OFFICER)
        from_pipe = str(file) == "-"
        folder = Path() if from_pipe else file.parent
        files = LocalFiles(folder, installation.files, SentFiles(installation.database))
        for report in import_items(
            installation,
            _blocks(sys.stdin.buffer) if from_pipe else _blocks_of(file),
            actor,
            files=files,
            mapping=None if mapping is None else MAPPINGS[mapping],
            update=update,
            own_process=True,
        ):
            refused = refused or report.get("result") == "refused"
            say(report)
    raise typer.Exit(REFUSED if refused else DONE)


@items_app.command()
def calendar(
    days: Annotated[int, typer.Option("--days", help="How far to look ahead.", min=1, max=CALENDAR_DAYS_MAX)] = CALENDAR_DAYS_DEFAULT,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Show what begins and ends in the days ahead by items' own dates: embargoes, downgrades, declassifications; and for whom."""
    with opened(settings_of(data, policies)) as installation:
        found, _ = calendar_of_items(installation, acting_as(installation, token, Role.OFFICER), days=days)
    if as_json:
        say(found)
        return
    for line in calendar_lines(found, days=days):
        say(line)


def calendar_lines(found: Mapping[str, Any], *, days: int) -> list[str]:
    """A calendar of items for people."""
    lines = [] if found["dates"] else [f"no label changes by itself in the next {days} days"]
    for date in found["dates"]:
        at = str(date["at"]).replace("T00:00:00.000000Z", "")
        lines.append(f"{at}: {date['items']} items, {date['portions']} portions")
        lines += [f"  {one['partner']} gains in {one['gains']} items, loses in {one['loses']}" for one in date["partners"]]
        lines += [] if date["partners"] else ["  nobody gains or loses anything"]
        for item in date["changes"]:
            told = [f"{way} {' '.join(item[way])}" for way in ("gain", "lose") if item[way]]
            lines.append(f"  {item['ref']}: {', '.join(told) or 'nobody gains or loses'}")
            lines += [f"    {one['kind']} {one['portion']}: {_label_told(one['before'], one['after'])}" for one in item["portions"]]
        if date["items"] > len(date["changes"]):
            lines.append(f"  and {date['items'] - len(date['changes'])} more items")
    if found["undated"]:
        lines.append(f"without a date: {found['undated_total']} portions")
        for one in found["undated"]:
            ((name, words),) = one["declassify_on"].items()
            lines.append(f"  {one['ref']}: {one['kind']} {one['portion']}: {name} {words}")
    return lines


def _label_told(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    def said(value: object) -> str:
        return (" ".join(value) or "nobody") if isinstance(value, list) else str(value)

    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return "; ".join(f"{name} {said(before.get(name, []))} -> {said(after.get(name, []))}" for name in names)


def _blocks_of(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            yield from _blocks(stream)
    except OSError as error:
        raise Broken(f"cannot read `{file}`: {(error.strerror or 'no reason given').lower()}") from None


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(_BLOCK_BYTES):
        yield block
