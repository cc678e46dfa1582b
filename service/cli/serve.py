"""`entente serve`: set up what is new, publish the first policy, and answer on an address until told to end.

The parent does the set-up, once, before any worker starts; settings reach the workers as `ENTENTE_` variables, the way an
operator gives them. Ctrl-C and SIGTERM end it cleanly: what was asked is answered, what is on record stays, exit 0.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

from service.cli.session import MACHINE_HERE, AsJson, Data, Policies, Token, opened, say, settings_of
from service.demo.setup import Examples, Loaded, examples, set_up_demo
from service.errors import Broken
from service.policy import read_directory
from service.settings import Settings
from service.sharing.installation import Installation

KEEP_ALIVE_SECONDS: Final = 30
SHUTDOWN_SECONDS: Final = 10
"""How long a body still being sent may go on after Ctrl-C."""
WORKERS_MAX: Final = 64
_BACKLOG: Final = 2048
_TITLE_CHARACTERS_MAX: Final = 70


@dataclass(frozen=True, slots=True)
class Shows:
    """A command to paste, and what to look for in its answer."""

    look_for: str
    command: str


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0 for any.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option("--workers", help="Processes that answer.", min=1, max=WORKERS_MAX)] = 1,
    demo: Annotated[bool, typer.Option("--demo", help="Load sample items and clients, and print commands that show them.")] = False,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Serve the API. The first start publishes `--policies`."""
    settings = settings_of(data, policies)
    try:
        # SIGTERM is what supervisors send: it ends this as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with _listening(host, port) as listener:
            address = _url(host, listener.getsockname()[1])
            with opened(settings, set_up=True) as installation:
                if installation.ledger.refusal is not None:
                    raise Broken(installation.ledger.refusal)
                installation.note_missing_mark(MACHINE_HERE)
                first_policy = publish_first(installation, settings)
                loaded = set_up_demo(installation) if demo else None
                shows = demo_commands(examples(installation), address=address, settings=settings) if demo else []
                installation.acts.look("serve", MACHINE_HERE, [], {"address": address, "workers": workers})
            _say_start(address, settings, first_policy, loaded, shows, as_json)
            _run(settings, listener, workers)
    except KeyboardInterrupt:
        return


def publish_first(installation: Installation, settings: Settings) -> str | None:
    """Publish the bundle in `--policies` where nothing is in force; its digest, or None where there is a policy already.

    Raises:
        Rejected: no such folder, or a bundle with findings.
    """
    if installation.published():
        return None
    return installation.publishing.publish(read_directory(settings.policies), MACHINE_HERE).digest


# --- the server -----------------------------------------------------------------------------------------------------


def _listening(host: str, port: int) -> socket.socket:
    """A listening socket, made before anything else: a port that is taken is told at once, and nobody is refused meanwhile."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise Broken(f"cannot listen on `{host}`, port `{port}`: {_reason(error)}") from None
    listener.set_inheritable(True)
    return listener


def _reason(error: OSError) -> str:
    # `create_server` adds words of its own to the system's, in brackets.
    return (error.strerror or "no reason given").partition(" (")[0].lower()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _run(settings: Settings, listener: socket.socket, workers: int) -> None:
    os.environ["ENTENTE_DATA"] = str(settings.data.absolute())
    os.environ["ENTENTE_POLICIES"] = str(settings.policies.absolute())
    config = uvicorn.Config(
        "service.app:from_environment",
        factory=True,
        workers=workers,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        # What a partner can observe names neither the software nor its clock.
        server_header=False,
        date_header=False,
        # Nothing is believed about where a request came from; policy asks only for the token.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        backlog=_BACKLOG,
    )
    if workers > 1:
        # Where workers share their counts, so that any of them answers for all; made anew at each start, as the counts are.
        with TemporaryDirectory(prefix="entente-metrics-") as shared:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
            Multiprocess(config, sockets=[listener]).run()
        return
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    if not server.started:
        raise Broken("the service did not start; the log above says why")


# --- what is printed ------------------------------------------------------------------------------------------------


def _say_start(
    address: str, settings: Settings, first_policy: str | None, loaded: Loaded | None, shows: Sequence[Shows], as_json: bool
) -> None:
    if as_json:
        say(
            {
                "address": address,
                "published": first_policy,
                "loaded": None
                if loaded is None
                else {"imported": loaded.imported, "quarantined": loaded.quarantined, "refused": loaded.refused},
                "demo": [{"look_for": one.look_for, "command": one.command} for one in shows],
            }
        )
    else:
        if first_policy is not None:
            say(f"published {settings.policies}: {first_policy}")
        if loaded is not None and loaded.imported:
            say(f"loaded {loaded.imported} sample items, {loaded.quarantined} of them in quarantine, and {loaded.clients} clients")
        if shows:
            say("\nTry these in another terminal:\n")
        for one in shows:
            say(f"{_dimmed('# ' + one.look_for)}\n{one.command}\n")
        say(f"Entente answers on {address}; Ctrl-C ends it.")
    sys.stdout.flush()


def _dimmed(text: str) -> str:
    return typer.style(text, dim=True) if sys.stdout.isatty() else text


def demo_commands(found: Examples, *, address: str, settings: Settings) -> list[Shows]:
    """Commands to paste, each whole in itself: tokens last ten minutes, so each asks for its own."""
    entente = _shown_path(Path(sys.executable).parent / "entente")
    data = f" --data {_shown_path(settings.data)}"

    def token(name: str) -> str:
        return f"$({entente} token {name}{data})"

    def get(name: str, path: str, *options: str) -> str:
        return " ".join(["curl -s", *options, f'-H "Authorization: Bearer {token(name)}"', f'"{address}{path}"'])

    shows = [
        Shows(
            "JPN sees what it may; a marking names us, JPN and public communities, never who else may have it",
            get("demo-jpn", "/v1/items?limit=5"),
        ),
        Shows("IND sees something else, and cannot tell that there is more", get("demo-ind", "/v1/items?limit=5")),
    ]
    if found.one_only is not None and found.other is not None:
        one, other = found.one_only, found.other
        shows += [
            Shows(f"{one.client.partner} may have this one: {_cut(one.title)}", get(one.client.name, f"/v1/items/{one.item_id}")),
            Shows(
                f"for {other.partner} it does not exist: the same 404 as for any id that never was",
                get(other.name, f"/v1/items/{one.item_id}"),
            ),
        ]
    part = found.in_part
    if part is not None:
        path = f"/v1/items/{part.item_id}"
        name = part.client.name
        # The header names the event; `cut` and `tr` are everywhere.
        event = f"EVENT=$({get(name, path, '-D -', '-o /dev/null')} | grep -i '^release-event:' | cut -d ' ' -f 2 | tr -d '\\r')"
        shows += [
            Shows(
                f"{_cut(part.title)}: {part.portions - part.held_back} of {part.portions} portions for {part.client.partner}; two are held "
                "back, and nothing shows where",
                get(name, path),
            ),
            Shows(
                "who can have it and by which rules, and who has received it (an officer asks)",
                get("demo-officer", f"/v1/officer{path[3:]}/audience"),
            ),
            Shows(
                "why, portion by portion, and what would have to change",
                f"ENTENTE_TOKEN={token('demo-officer')} "
                f"{entente} policy explain --partner {part.client.partner} --item {part.item_id}{data}",
            ),
            Shows(
                "the log entry of what just happened: the face that the partner reads, the record that only auditors open",
                get("demo-auditor", f"/v1/audit/releases?partner={part.client.partner}&limit=1"),
            ),
            Shows(
                "a release and its receipt: leaf, proof and signed checkpoint, which the partner keeps",
                f"{event} && {get(name, '/v1/releases/$EVENT/receipt')}",
            ),
        ]
    shows.append(Shows("every seal, tree and checkpoint derived again: every log holds", f"{entente} log verify{data}"))
    return shows


def _cut(title: str) -> str:
    return title if len(title) <= _TITLE_CHARACTERS_MAX else title[: _TITLE_CHARACTERS_MAX - 3].rstrip() + "..."


def _shown_path(path: Path) -> str:
    """A path as it can be pasted here: relative where it is below the working folder."""
    absolute = path.absolute()
    here = Path.cwd()
    return shlex.quote(str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute))
