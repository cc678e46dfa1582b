"""`entente policy diff` and `calendar`: what an edit would do, and what time will do, to what is stored and to every possible label.

Folders need no store; what is said then is proved of all possible labels, and nothing is said of stored items. Where there is a store,
what is shown of it is a look: it needs an officer's token, and is on record before it is shown. Exit 0 whatever the difference is; only
a bundle that cannot be read, or a refusal, is 1.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from service.cli.policy import At
from service.cli.report import calendar_text, difference_html, difference_text, findings_told
from service.cli.session import AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.errors import Rejected
from service.identity.clients import Role
from service.policy import Bundle, read_bundle, read_directory
from service.policy.reader import moment_of
from service.settings import CALENDAR_DAYS_DEFAULT, CALENDAR_DAYS_MAX, Settings
from service.sharing.calendar import calendar as calendar_of
from service.sharing.calendar import calendar_in_force
from service.sharing.difference import Timeline, timeline_json
from service.sharing.examination import differ
from service.sharing.installation import Installation, system_clock

NOT_LOOKED: Final = "stored items were not looked at: that needs a data folder and an officer's token (`--data`, `--token`)"

Which = "A bundle's folder, or the digest of one in the archive (8 characters of it are enough)."


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=Which)],
    new: Annotated[str, typer.Argument(metavar="NEW", help=Which)],
    all_labels: Annotated[
        bool, typer.Option("--all-labels", help="Show what is proved of all possible labels, witness by witness.")
    ] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a report to this file.", show_default=False)] = None,
    at: At = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Show what putting NEW in the place of OLD would do: who gains and loses what, now and at every later date."""
    settings = settings_of(data, policies)
    moment = moment_asked(at) or system_clock()
    archive = [named for named in (old, new) if not Path(named).is_dir()]
    with findings_told(as_json):
        if archive or (token and has_store(settings)):
            with opened(settings) as installation:
                before, after = (_named(installation, named) for named in (old, new))
                if token and installation.published():
                    actor = acting_as(installation, token, Role.OFFICER)
                    found, reasons = installation.publishing.between(before, after, actor, at=moment)
                else:
                    found, reasons = differ(before, after, effect=None, at=moment)
        else:
            before, after = (read_bundle(read_directory(named)) for named in (old, new))
            found, reasons = differ(before, after, effect=None, at=moment)
    body = diff_json(found, reasons, before, after)
    if html is not None:
        _write(html, difference_html(body, levels=_levels(before, after), since=at or None, made=system_clock()))
    if as_json:
        say(body)
        return
    for line in difference_text(body, witnesses=all_labels or not found.stored, since=at or None):
        say(line)
    if not found.stored:
        say(NOT_LOOKED)


def calendar(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A bundle's folder; default the policy in force.", show_default=False)
    ] = None,
    days: Annotated[int, typer.Option("--days", help="How far to look ahead.", min=1, max=CALENDAR_DAYS_MAX)] = CALENDAR_DAYS_DEFAULT,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Show what begins and ends in the days ahead, and what that releases or withdraws."""
    settings = settings_of(data, policies)
    with findings_told(as_json):
        bundle = None if directory is None else read_bundle(read_directory(directory))
    if bundle is not None and not (token and has_store(settings)):
        found = calendar_of(bundle, at=system_clock(), days=days, effect=None)
    else:
        with opened(settings) as installation:
            if token:
                actor = acting_as(installation, token, Role.OFFICER)
                found, _ = calendar_in_force(installation, actor, days=days, bundle=bundle)
            else:
                with installation.database.reading() as connection:
                    in_force = installation.world.current(connection).bundle
                found = calendar_of(in_force, at=installation.clock(), days=days, effect=None)
    if as_json:
        say({**found.to_json(), "stored": found.stored})
        return
    for line in calendar_text(found.to_json(), days=days):
        say(line)
    if not found.stored:
        say(NOT_LOOKED)


def diff_json(found: Timeline, reasons: tuple[str, ...], old: Bundle, new: Bundle) -> dict[str, Any]:
    """The difference of two bundles for programs; `stored` says whether what is stored was looked at."""
    return {
        "bundle": new.digest,
        "in_force": old.digest,
        "timeline": found.digest,
        "needs_approval": bool(reasons),
        "approval_level": new.scheme.approval_level,
        "reasons": list(reasons),
        "stored": found.stored,
        **timeline_json(found, old=old, new=new),
    }


def moment_asked(text: str, *, option: str = "--at") -> datetime | None:
    """The time of an option.

    Raises:
        BadParameter: it is none.
    """
    if not text:
        return None
    moment = moment_of(text)
    if moment is None:
        raise typer.BadParameter(
            f"`{text}` is neither a day nor a time, expected `2026-11-22` or `2026-11-22T10:00:00Z`", param_hint=option
        )
    return moment


def has_store(settings: Settings) -> bool:
    """Whether there is an installation in the data folder."""
    return (settings.data / "keys").is_dir()


def _named(installation: Installation, named: str) -> Bundle:
    """A bundle by folder or by digest."""
    return read_bundle(read_directory(named) if Path(named).is_dir() else installation.publishing.archived(named))


def _levels(old: Bundle, new: Bundle) -> list[str]:
    """The ladder of the new bundle, lowest first, and what it lacks of the old one."""
    levels = [level.name for level in new.scheme.levels]
    return levels + [level.name for level in old.scheme.levels if level.name not in levels]


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Rejected(f"cannot write `{file}`: {(error.strerror or 'no reason given').lower()}", code="unreadable") from None
