"""What commands share: their options, the data folder, who acts, and how they end.

The command line opens the data folder itself, and may do so beside a server: every act goes through the same locks and fence.
It trusts the machine no further than the design says: acts and looks at items need an officer's token, proofs an auditor's.

Exit codes: 0 clean or warnings only; 1 errors found in the input, or a refusal; 2 could not do it. An error is one line on
stderr, whatever happened.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from service.errors import Broken, Forbidden, Rejected, ServiceError, Unauthenticated
from service.identity.clients import Role
from service.settings import Settings
from service.sharing.acts import MACHINE, Actor
from service.sharing.installation import Installation, open_installation

log = logging.getLogger(__name__)

DONE, REFUSED, COULD_NOT = 0, 1, 2
MACHINE_HERE: Final = Actor(MACHINE, "cli")
"""Acts on the machine's own authority, from here."""

_NOT_FOUND: Final = frozenset({"no-such-folder", "unreadable"})
"""Codes of `Rejected` that mean there was nothing to read, rather than something wrong in it."""

Data = Annotated[Path | None, typer.Option("--data", envvar="ENTENTE_DATA", help="The data folder; default `data`.", show_default=False)]
Policies = Annotated[
    Path | None, typer.Option("--policies", envvar="ENTENTE_POLICIES", help="The bundle's folder; default `policies`.", show_default=False)
]
Token = Annotated[str, typer.Option("--token", envvar="ENTENTE_TOKEN", help="The token of whoever acts.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


class Commands(TyperGroup):
    """The top of the tree of commands: where whatever goes wrong becomes one line and an exit code."""

    def main(self, *args: Any, **extra: Any) -> Any:
        # Not in click's own mode, which prints usage errors over several lines; the code of `typer.Exit` comes back as an answer.
        extra["standalone_mode"] = False
        code: int = DONE
        try:
            answer = super().main(*args, **extra)
            code = answer if isinstance(answer, int) else DONE
        except typer.TyperException as error:
            complain(error.format_message())
            code = COULD_NOT
        except typer.Abort:
            code = COULD_NOT
        except ServiceError as error:
            complain(_told(error))
            code = exit_code(error)
        # The very edge: a traceback is for the log, and what cannot be named is "could not do it", never a success.
        except Exception as error:
            log.debug("a command failed", exc_info=True)
            complain(f"could not do it: {type(error).__name__}: {error}")
            code = COULD_NOT
        sys.exit(code)


def exit_code(error: ServiceError) -> int:
    """1 where the answer is no, 2 where there is none."""
    if isinstance(error, Broken) or (isinstance(error, Rejected) and error.code in _NOT_FOUND):
        return COULD_NOT
    return REFUSED


def _told(error: ServiceError) -> str:
    if isinstance(error, Unauthenticated):
        return "not authenticated, expected a token in force in `--token` or `ENTENTE_TOKEN`; `entente token NAME` prints one"
    return str(error) or "no such thing"


def complain(message: str) -> None:
    """Say what went wrong, in one line. Nothing, where the help that was printed says it."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if lines:
        typer.echo(f"entente: {' '.join(lines)}", err=True)


def say(value: str | Mapping[str, Any]) -> None:
    """Print a line: text as it is, anything else as JSON. What UTF-8 cannot hold is escaped."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    typer.echo(text.encode("utf-8", "backslashreplace"))


def settings_of(data: Path | None, policies: Path | None = None) -> Settings:
    """Settings from the environment, options first.

    Raises:
        Broken: one of them is not valid.
    """
    given = {name: value for name, value in (("data", data), ("policies", policies)) if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise Broken(f"setting `ENTENTE_{name}`: {first['msg'].lower()}") from None


@contextmanager
def opened(settings: Settings, *, set_up: bool = False) -> Iterator[Installation]:
    """An installation, closed when the block ends.

    Args:
        set_up: make it where there is none; without, that is a mistake in `--data`, and a new one would only hide it.

    Raises:
        Broken: there is none, or it cannot be opened.
    """
    if not set_up and not (settings.data / "keys").is_dir():
        raise Broken(f"no installation in `{settings.data}`; `entente serve` or `entente client add` sets one up")
    installation = open_installation(settings)
    try:
        yield installation
    finally:
        installation.close()


def acting_as(installation: Installation, token: str, role: Role) -> Actor:
    """Who the token proves to act, if it is one of this role.

    Raises:
        Unauthenticated: no token, or not one that is in force.
        Forbidden: of another role; roles do not include one another.
    """
    if not token:
        raise Unauthenticated
    caller = installation.verifier.verify(token.strip(), installation.clock())
    if caller.role is not role:
        raise Forbidden(f"this command is for clients of role `{role}`, the token is of role `{caller.role}`")
    return Actor(caller.id, "cli")
