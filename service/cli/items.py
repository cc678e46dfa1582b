"""`entente items import`: items by the line, from a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from service.cli.session import DONE, REFUSED, AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.demo import MAPPINGS
from service.errors import Broken
from service.identity.clients import Role
from service.sharing.importing import LocalFiles, SentFiles, import_items

items_app = typer.Typer(help="Items: import.", no_args_is_help=True)

_BLOCK_BYTES = 1 << 18


@items_app.callback()
def items() -> None:
    """Items: import."""


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
        ):
            refused = refused or report.get("result") == "refused"
            say(report)
    raise typer.Exit(REFUSED if refused else DONE)


def _blocks_of(file: Path) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            yield from _blocks(stream)
    except OSError as error:
        raise Broken(f"cannot read `{file}`: {(error.strerror or 'no reason given').lower()}") from None


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(_BLOCK_BYTES):
        yield block
