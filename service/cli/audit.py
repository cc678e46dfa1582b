"""What an auditor asks of the logs from the command line: who got what, what was refused, what stands out. Each reading is on record."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from service.cli import filters
from service.cli.difference import moment_asked
from service.cli.filters import (
    BundleDigest,
    Categories,
    ClientId,
    Item,
    Levels,
    LogName,
    Outcomes,
    Partner,
    ReviewState,
    Rule,
    Since,
    Type,
    Until,
)
from service.cli.logs import IDS, log_app
from service.cli.session import AsJson, Data, Policies, Token, acting_as, complain, opened, say, settings_of
from service.errors import Conflict, NotVisible, Pruned
from service.identity.clients import Role
from service.releaselog.personal import members
from service.releaselog.reviews import Mark, State
from service.settings import AUDIT_DAYS_MAX, PAGE_LIMIT_DEFAULT
from service.sharing import answers, audit, reviews
from service.sharing.installation import Installation
from service.sharing.signals import Thresholds, signals
from service.store import Connection, log_answers, log_pages
from service.store import reviews as stored
from service.store.logs import AuditFilter, Position
from service.store.times import micros, text_of

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")


@log_app.command()
def releases(
    partner: Partner = "",
    item: Item = "",
    level: Levels = None,
    category: Categories = None,
    outcome: Outcomes = None,
    type_: Type = "",
    rule: Rule = "",
    bundle: BundleDigest = "",
    client: ClientId = "",
    review: ReviewState = "",
    log: LogName = "",
    since: Since = "",
    until: Until = "",
    denied: Annotated[bool, typer.Option("--denied", help="What was refused: `--outcome withhold --outcome refer`.")] = False,
    saved: Annotated[str, typer.Option("--saved", help="The filters kept under this name, and those given here.", show_default=False)] = "",
    save: Annotated[str, typer.Option("--save", help="Keep these filters under this name.", show_default=False)] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="The newest that match.")] = PAGE_LIMIT_DEFAULT,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Entries of the release logs that match every filter, newest first; with `--json` one a line, opened."""
    outcomes = sorted({*(outcome or []), *(audit.DENIALS if denied else ())})
    named = filters.given(
        partner=partner, item=item, level=level, category=category, outcome=outcomes, type=type_, rule=rule, bundle=bundle, client=client,
        review=review, log=log, since=since, until=until,
    )  # fmt: skip
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.AUDITOR)
        asked = _saved(installation, saved) | named
        filter_ = audit.filter_of(**asked)
        told = filters.as_json(asked)
        if save:
            if not _NAME.fullmatch(save):
                raise typer.BadParameter("expected letters, digits, spaces and `._-`, at most 100", param_hint="--save")
            reviews.save(installation.acts, actor, save, told)
        installation.acts.reading("look.releases", actor, told)
        place: Position | None = None
        left = limit
        with installation.database.reading() as connection:
            while filter_ is not None and left:
                page = log_pages.page(connection, filter_, before=place, limit=min(left, 100))
                for entry in audit.audit_entries(connection, page.rows):
                    _tell(entry, as_json=as_json)
                left -= len(page.rows)
                if page.next is None:
                    break
                place = page.next
            if filter_ is not None:
                _remark(connection, filter_)


def _tell(entry: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say(entry)
        return
    face, record = entry["face"], entry["record"]
    named = " ".join(item["id"] for item in face["items"][:3]) + (" …" if len(face["items"]) > 3 else "")
    rules = sorted({rule for item in record.get("items", []) for rule in item.get("rules", [])})
    by = f" by {' '.join(rules)}" if rules else ""
    what = f"{face['type']} {named}".rstrip()
    say(f"{face['at']} {entry['log']} {entry['index']} {face['client']} {what}: {record['outcome']}{by} ({face['event_id']})")
    kinds = members(record)
    for commitment, kept in entry.get("personal", {}).items():
        say(f"  {kinds.get(commitment, 'text')}: {json.dumps(kept['value'], ensure_ascii=False)}")


def _saved(installation: Installation, name: str) -> dict[str, Any]:
    """The filters kept under a name; none for no name.

    Raises:
        Conflict: none are.
    """
    if not name:
        return {}
    with installation.database.reading() as connection:
        found = stored.saved_query(connection, name)
    if found is None:
        raise Conflict(f"no query is saved as `{name[:80]}`; `entente log queries` lists them", code="no-query")
    query: dict[str, Any] = json.loads(found.query)
    return query | {end: datetime.fromisoformat(query[end]) for end in ("since", "until") if end in query}


# --- answers ----------------------------------------------------------------------------------------------------------


@log_app.command(context_settings=IDS)
def recipients(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An item's id.")],
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Who was sent which version of an item, and how often."""
    with _reading(data, policies, token, "look.recipients", {"item": item}) as connection:
        for line in answers.recipients(connection, item):
            times = f"{line['count']} times, from {line['first']} to {line['last']}" if line["count"] > 1 else line["first"]
            _line(line, f"{line['partner']} version {line['version']} {line['type']}: {times} ({line['event_id']})", as_json=as_json)
        _remark(connection, AuditFilter(partners_only=True))


@log_app.command(context_settings=IDS)
def activity(
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="A client's id.")],
    since: Since = "",
    until: Until = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """What a client did, day by day (UTC)."""
    begin, end = _stretch(since, until)
    asked = {"client": client, "since": begin.isoformat(), "until": end.isoformat()}
    with _reading(data, policies, token, "look.activity", asked) as connection:
        for line in answers.activity(connection, client, since=micros(begin), until=micros(end)):
            _line(line, f"{line['day']} {line['log']} {line['type']} {line['result']}: {line['count']}", as_json=as_json)
        _remark(connection, AuditFilter(since=micros(begin), until=micros(end)))


@log_app.command("firsts")
def first_releases(
    partner: Annotated[str, typer.Argument(metavar="PARTNER", help="A partner's code.")],
    since: Since = "",
    until: Until = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """What a partner was sent for the first time: items, versions, levels, categories; oldest first."""
    begin, end = moment_asked(since, option="--since"), moment_asked(until, option="--until")
    asked = {name: moment.isoformat() for name, moment in (("since", begin), ("until", end)) if moment is not None}
    with _reading(data, policies, token, "look.firsts", {"partner": partner, **asked}) as connection:
        place: int | None = 0
        while place is not None:
            found = answers.first_releases(connection, partner, since=begin, until=end, from_position=place, limit=PAGE_LIMIT_DEFAULT)
            for line in found.lines:
                _line(line, f"{line['at']} {line['kind']} {line['value']} with {line['item']} ({line['event_id']})", as_json=as_json)
            place = found.next
        _remark(connection, AuditFilter(log=partner, partners_only=True, until=None if end is None else micros(end)))


@log_app.command("signals")
def find_signals(
    since: Since = "",
    until: Until = "",
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=1440, help="The window.")] = Thresholds().minutes,
    absent_ids: Annotated[int, typer.Option("--absent-ids", min=1, help="Distinct ids that never were.")] = Thresholds().absent_ids,
    withheld_ids: Annotated[int, typer.Option("--withheld-ids", min=1, help="Distinct ids withheld.")] = Thresholds().withheld_ids,
    requests: Annotated[int, typer.Option("--requests", min=1, help="Requests of any kind.")] = Thresholds().requests,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Bursts and attempts at enumeration, each with its rule and numbers."""
    begin, end = _stretch(since, until)
    thresholds = Thresholds(minutes, absent_ids, withheld_ids, requests)
    asked = {"since": begin.isoformat(), "until": end.isoformat(), **asdict(thresholds)}
    with _reading(data, policies, token, "look.signals", asked) as connection:
        for signal in signals(log_answers.requests(connection, since=micros(begin), until=micros(end)), thresholds):
            _line(signal.to_json(), f"{text_of(signal.first)} to {text_of(signal.last)}: {signal.says()}", as_json=as_json)
        _remark(connection, AuditFilter(partners_only=True, since=micros(begin), until=micros(end)))


# --- what auditors note ---------------------------------------------------------------------------------------------------


@log_app.command(context_settings=IDS)
def review(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="Of the entry.")],
    mark: Annotated[Mark, typer.Argument(help="An escalation is closed by two different persons.")],
    note: Annotated[str, typer.Option("--note", help="Why.", show_default=False)] = "",
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Mark an entry; the mark is a leaf of `officers`."""
    with opened(settings_of(data, policies)) as installation:
        actor = acting_as(installation, token, Role.AUDITOR)
        try:
            done = reviews.mark(installation.acts, actor, event_id, mark, note=note)
        except Pruned as pruned:
            raise Conflict(str(pruned), code="pruned") from None
        except NotVisible:
            raise Conflict(f"no event `{event_id[:80]}` in any log", code="no-event") from None
    _line({"event_id": done.event_id, "state": str(done.state)}, f"event {event_id} is {done.state} ({done.event_id})", as_json=as_json)


@log_app.command("reviews")
def list_reviews(
    state: Annotated[State | None, typer.Option("--state", help="Where the marks brought it.", show_default=False)] = None,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Entries under review, newest entry first, with their marks."""
    asked = {} if state is None else {"state": str(state)}
    with _reading(data, policies, token, "look.reviews", asked) as connection:
        place: Position | None = None
        while found := stored.reviews(connection, state=None if state is None else str(state), before=place, limit=PAGE_LIMIT_DEFAULT):
            for one in found:
                line = reviews.review_json(connection, one)
                told = "; ".join(f"{each['at']} {each['client']} {each['mark']}" for each in line["marks"])
                _line(line, f"{line['log']} {line['index']} {line['state']}: {told} ({line['event_id']})", as_json=as_json)
            place = Position(found[-1].at, found[-1].log_id, found[-1].position)


@log_app.command("queries")
def list_queries(data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False) -> None:
    """Queries that are kept, by name; `entente log releases --saved NAME` asks one."""
    with _reading(data, policies, token, "look.queries", {}) as connection:
        after = ""
        while found := stored.saved_queries(connection, after=after, limit=PAGE_LIMIT_DEFAULT):
            for one in found:
                _line(reviews.saved_json(one), f"{one.name}: {one.query}", as_json=as_json)
            after = found[-1].name


def _remark(connection: Connection, asked: AuditFilter) -> None:
    """Say, beside an answer, what was pruned of the logs and the time it is about: of that nobody can say whether it belonged there."""
    for span in audit.pruned_of(connection, asked).get("pruned", ()):
        stretch = f"entries {span['start']} to {span['stop'] - 1}, of {span['first_at']} to {span['last_at']}"
        complain(f"log {span['log']}: {stretch}, were pruned (event {span['event_id']} of officers)")


def _line(line: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    say(line if as_json else text)


def _stretch(since: str, until: str) -> tuple[datetime, datetime]:
    """Both ends of a stretch of time.

    Raises:
        BadParameter: one is missing, or they are further apart than is read at once.
    """
    begin, end = moment_asked(since, option="--since"), moment_asked(until, option="--until")
    if begin is None or end is None:
        raise typer.BadParameter("expected both ends of a stretch of time", param_hint="--since, --until")
    if end - begin > timedelta(days=AUDIT_DAYS_MAX):
        raise typer.BadParameter(f"expected a stretch of at most {AUDIT_DAYS_MAX} days", param_hint="--since, --until")
    return begin, end


@contextmanager
def _reading(data: Path | None, policies: Path | None, token: str, type_: str, asked: Mapping[str, Any]) -> Iterator[Connection]:
    """What an auditor reads, once it is on record that he does."""
    with opened(settings_of(data, policies)) as installation:
        installation.acts.reading(type_, acting_as(installation, token, Role.AUDITOR), asked)
        with installation.database.reading() as connection:
            yield connection
