"""`entente log keys rotate`, `log keys list`: the keys that the logs are signed with."""

from __future__ import annotations

from datetime import timedelta

import typer

from service.cli.session import MACHINE_HERE, AsJson, Data, Policies, Token, opened, say, settings_of
from service.releaselog.keys import OPEN_ENDED
from service.sharing.ledger import OFFICERS
from service.sharing.rotation import rotate as rotated
from service.store import logs
from service.store.times import micros, text_of

keys_app = typer.Typer(help="Keys of the logs: list, rotate.", no_args_is_help=True)


@keys_app.command("rotate")
def rotate(data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False) -> None:
    """Sign with a new key from now on, and with the one before it until the overlap ends. Running workers take it up by themselves."""
    settings = settings_of(data, policies)
    with opened(settings) as installation:
        overlap = timedelta(days=settings.log_key_overlap_days)
        done = rotated(installation.acts, installation.ledger, settings.data / "keys", MACHINE_HERE, overlap=overlap)
    if as_json:
        say({"event_id": done.event_id, "key": done.key.hex(), "overlap_until": text_of(done.until), "heads": done.heads})
        return
    say(f"the logs are signed with key {done.key.hex()}; {done.heads} heads were signed anew")
    say(f"the key before it signs too until {text_of(done.until)}; back up `keys` now")


@keys_app.command("list")
def list_(data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False) -> None:
    """Print every key that ever signed, the current one first, as the `officers` log's verifier's key."""
    with opened(settings_of(data, policies)) as installation:
        with installation.database.reading() as connection:
            head = logs.head(connection, OFFICERS)
            installation.ledger.refresh(connection)
        periods = installation.ledger.periods(head.origin) if head is not None else ()
        now = micros(installation.clock())
    lines = [
        {
            "key": period.vkey,
            "from": text_of(period.from_at),
            "until": None if period.until == OPEN_ENDED else text_of(period.until),
            "signs": period.in_force(now),
        }
        for period in periods
    ]
    if as_json:
        say({"keys": lines})
        return
    for line in lines:
        state = "signs" if line["signs"] else "retired"
        say(f"{line['key']}  {state}, from {line['from']}" + ("" if line["until"] is None else f", until {line['until']}"))
