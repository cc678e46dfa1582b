"""`entente witness ...`, to be a witness, and `entente log witness ...`, to have some.

A witness is run by somebody else than whoever runs the service: a partner, an inspector. It needs a folder of its own and nothing of
Entente's data. It remembers one checkpoint for each log it trusts, and signs another only if that one is its beginning; what it
remembers is durable before it answers. It learns how large a root log is, and nothing of what is in any log.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.cli.session import MACHINE_HERE, AsJson, Data, Policies, Token, opened, say, settings_of
from service.errors import Broken, Conflict, ProofError
from service.releaselog.checkpoint import Checkpoint
from service.releaselog.cosign import Cosigner
from service.releaselog.notes import VerifierKey
from service.releaselog.witness import REQUEST_BYTES_MAX, Answer, add_checkpoint
from service.sharing.witnessing import add_witness, remove_witness
from service.store import roots
from service.store.files import replace_file

witness_app = typer.Typer(help="Be a witness of somebody's log: init, trust, forget, serve. Needs no data folder.", no_args_is_help=True)
witnesses_app = typer.Typer(help="Witnesses of our root log: add, remove, list.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The witness's own folder.")]
_STATE_BYTES_MAX: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class _State:
    """Who the witness is, whom it trusts, and the checkpoint it signed last of each log."""

    name: str
    private: bytes
    trusted: dict[str, tuple[str, ...]]
    latest: dict[str, Checkpoint]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "key": base64.b64encode(self.private).decode("ascii"),
            "trusted": {origin: list(vkeys) for origin, vkeys in self.trusted.items()},
            "latest": {origin: {"size": one.size, "root": one.root.hex()} for origin, one in self.latest.items()},
        }


class WitnessFolder:
    """A witness's folder: one file, replaced as a whole, under a lock that holds between processes too."""

    def __init__(self, folder: Path) -> None:
        self._path: Final = folder / "witness.json"
        self._lock_path: Final = folder / "lock"
        self._lock: Final = threading.Lock()

    def create(self, name: str) -> str:
        """Make a witness of this name; its verifier's key.

        Raises:
            Conflict: there is one already.
            Broken: the folder cannot be used.
        """
        private = secrets.token_bytes(32)
        vkey = Cosigner(name, private).vkey
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._locked():
                if self._path.exists():
                    raise Conflict(f"there is a witness in `{self._path.parent}` already", code="witness")
                self._write(_State(name, private, {}, {}))
        except OSError as error:
            raise Broken(f"cannot use the folder `{self._path.parent}`: {error.strerror}") from error
        return vkey

    def vkey(self) -> str:
        state = self._read()
        return Cosigner(state.name, state.private).vkey

    def trust(self, vkey: str) -> str:
        """Sign checkpoints of this key's log from now on; its origin."""
        origin = VerifierKey.parse(vkey).name
        with self._locked():
            state = self._read()
            vkeys = tuple(sorted({*state.trusted.get(origin, ()), vkey}))
            self._write(_State(state.name, state.private, {**state.trusted, origin: vkeys}, state.latest))
        return origin

    def forget(self, origin: str) -> int:
        """Forget what was signed of a log, so that it can begin anew; the size forgotten.

        Raises:
            Conflict: nothing was signed of it.
        """
        with self._locked():
            state = self._read()
            known = state.latest.get(origin)
            if known is None:
                raise Conflict(f"nothing was signed of log `{origin[:200]}`", code="witness")
            rest = {name: one for name, one in state.latest.items() if name != origin}
            self._write(_State(state.name, state.private, state.trusted, rest))
        return known.size

    def answer(self, body: bytes, *, time: int) -> Answer:
        """The answer to a request; what is to be remembered is durable when this returns."""
        with self._locked():
            state = self._read()
            cosigner = Cosigner(state.name, state.private)
            answer = add_checkpoint(body, trusted=state.trusted, latest=state.latest, cosigner=cosigner, time=time)
            if answer.remember is not None:
                latest = {**state.latest, answer.remember.origin: answer.remember}
                self._write(_State(state.name, state.private, state.trusted, latest))
        return answer

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        # Checking and remembering are one step: of two requests at once, the second sees what the first was given.
        with self._lock, self._lock_path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _read(self) -> _State:
        try:
            with self._path.open("rb") as file:
                value = json.loads(file.read(_STATE_BYTES_MAX))
            latest = {origin: Checkpoint(origin, one["size"], bytes.fromhex(one["root"])) for origin, one in value["latest"].items()}
            trusted = {origin: tuple(vkeys) for origin, vkeys in value["trusted"].items()}
            return _State(value["name"], base64.b64decode(value["key"], validate=True), trusted, latest)
        except FileNotFoundError:
            raise Broken(f"no witness in `{self._path.parent}`; `entente witness init DIR --name NAME` makes one") from None
        except OSError as error:
            raise Broken(f"cannot read `{self._path}`: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, ProofError):
            raise Broken(f"`{self._path}` is damaged; a witness that does not know what it signed must not sign") from None

    def _write(self, state: _State) -> None:
        replace_file(self._path, json.dumps(state.to_json(), indent=1).encode("utf-8") + b"\n")


def witness_application(folder: WitnessFolder) -> Starlette:
    """The witness over HTTP: `POST /add-checkpoint`, and nothing else."""

    async def add(request: Request) -> Response:
        body = b""
        async for block in request.stream():
            body += block
            if len(body) > REQUEST_BYTES_MAX:
                return Response(f"a request of more than {REQUEST_BYTES_MAX} bytes\n", 413, media_type="text/plain")
        try:
            answer = await run_in_threadpool(folder.answer, body, time=int(time.time()))
        except (Broken, OSError):
            # What could not be remembered was not signed.
            return Response("the witness cannot remember, and so does not sign\n", 503, media_type="text/plain")
        return Response(answer.body, answer.status, {"content-type": answer.media_type, "cache-control": "no-store"})

    return Starlette(routes=[Route("/add-checkpoint", add, methods=["POST"])])


# --- to be a witness --------------------------------------------------------------------------------------------------


@witness_app.command("init")
def init(
    folder: Folder,
    name: Annotated[str, typer.Option("--name", help="Under which it signs, like `witness.example/w1`.", show_default=False)],
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Make a witness, and print the key by which its signatures are checked."""
    vkey = WitnessFolder(folder).create(name)
    say({"name": name, "vkey": vkey} if as_json else vkey)


@witness_app.command("trust")
def trust(
    folder: Folder,
    vkey: Annotated[str, typer.Argument(metavar="VKEY", help="The key of a root log, from its operator.")],
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Sign checkpoints of a log that this key has signed. A running witness takes it up at once."""
    origin = WitnessFolder(folder).trust(vkey)
    say({"origin": origin} if as_json else f"checkpoints of {origin} will be signed")


@witness_app.command("forget")
def forget(
    folder: Folder,
    origin: Annotated[str, typer.Argument(metavar="ORIGIN", help="The first line of the log's checkpoints.")],
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Forget what was signed of a log, so that it can begin anew. Only after its operator has said, on record, what was lost."""
    size = WitnessFolder(folder).forget(origin)
    say({"origin": origin, "size": size} if as_json else f"forgotten: {origin} at {size} entries")


@witness_app.command("serve")
def serve(
    folder: Folder,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on.", min=1, max=65535)] = 8100,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Answer on an address until told to end."""
    witness = WitnessFolder(folder)
    vkey = witness.vkey()
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    say({"address": address, "vkey": vkey} if as_json else f"the witness {vkey} answers on {address}; Ctrl-C ends it")
    config = uvicorn.Config(
        witness_application(witness), host=host, port=port, log_level="warning", access_log=False, server_header=False, date_header=False
    )
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise Broken("the witness did not start; the log above says why")


# --- to have witnesses ------------------------------------------------------------------------------------------------


@witnesses_app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What we call it; `a-z`, `0-9` and `-`.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Below which its `add-checkpoint` is.")],
    vkey: Annotated[str, typer.Argument(metavar="VKEY", help="The key it printed.")],
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Send every root to this witness from now on."""
    with opened(settings_of(data, policies)) as installation:
        add_witness(installation.acts, MACHINE_HERE, name=name, url=url, vkey=vkey)
        with installation.database.reading() as connection:
            installation.ledger.refresh(connection)
            origin = installation.rootlog.origin(connection)
    keys = [] if origin is None else list(installation.ledger.vkeys(origin))
    if as_json:
        say({"name": name, "trust": keys})
        return
    say(f"roots are sent to {name} from the next one on; have it trust" + (" them:" if keys else " the root log's key, once there is one"))
    for key in keys:
        say(key)


@witnesses_app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As it was added.")],
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Ask this witness no more; what it signed stays."""
    with opened(settings_of(data, policies)) as installation:
        remove_witness(installation.acts, MACHINE_HERE, name=name)
    say({"removed": name} if as_json else f"{name} is asked no more")


@witnesses_app.command("list")
def list_(data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False) -> None:
    """Print the witnesses, and up to which size of the root log each has signed."""
    with opened(settings_of(data, policies)) as installation, installation.database.reading() as connection:
        lines = [
            {"name": one.name, "url": one.url, "vkey": one.vkey, "signed": roots.cosigned_size(connection, one.vkey)}
            for one in roots.witnesses(connection)
        ]
    if as_json:
        say({"witnesses": lines})
        return
    for line in lines:
        say(f"{line['name']}  {line['url']}  {line['vkey']}  signed up to {line['signed']} roots")
