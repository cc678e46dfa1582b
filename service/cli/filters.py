"""Filters of the release logs as options, the same for whoever reads entries and whoever exports them (DESIGN section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from service.cli.difference import moment_asked

_HIDDEN: Final[dict[str, Any]] = {"show_default": False}
Partner = Annotated[str, typer.Option("--partner", help="The log of this partner.", **_HIDDEN)]
Item = Annotated[str, typer.Option("--item", help="Entries that name this item.", **_HIDDEN)]
Levels = Annotated[list[str] | None, typer.Option("--level", help="Among the labels decided on; may be repeated.", **_HIDDEN)]
Categories = Annotated[list[str] | None, typer.Option("--category", help="Among their categories; may be repeated.", **_HIDDEN)]
Outcomes = Annotated[
    list[str] | None, typer.Option("--outcome", help="`release`, `in_part`, `refer`, `withhold`; may be repeated.", **_HIDDEN)
]
Type = Annotated[str, typer.Option("--type", help="`list`, `item`, `file`, or an act's or look's.", **_HIDDEN)]
Rule = Annotated[str, typer.Option("--rule", help="A rule that made the outcome of an item.", **_HIDDEN)]
BundleDigest = Annotated[str, typer.Option("--bundle", help="The digest of the policy decided by.", **_HIDDEN)]
ClientId = Annotated[str, typer.Option("--client", help="Who asked.", **_HIDDEN)]
ReviewState = Annotated[str, typer.Option("--review", help="Where auditors' marks brought it.", **_HIDDEN)]
LogName = Annotated[str, typer.Option("--log", help="A log by name, `officers` among them.", **_HIDDEN)]
Since = Annotated[str, typer.Option("--since", help="From this day or time (UTC) on.", metavar="TIME", **_HIDDEN)]
Until = Annotated[str, typer.Option("--until", help="Before this day or time (UTC).", metavar="TIME", **_HIDDEN)]


def given(*, since: str, until: str, **others: Any) -> dict[str, Any]:
    """The filters that were given, by the names that the API has for them.

    Raises:
        typer.BadParameter: a time that is none.
    """
    times = {"since": moment_asked(since, option="--since"), "until": moment_asked(until, option="--until")}
    return {name: value for name, value in {**others, **times}.items() if value}


def as_json(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Filters as they stand in a record."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in filters.items()}
