"""The command line: `entente`. Every command of it, mounted (DESIGN section 9).

Options come after the command. What they share, and how they end, is in `session`.
"""

from __future__ import annotations

import typer

from service.cli import audit as _audit  # noqa: F401  (its commands stand on `log`)
from service.cli.clients import client_app, partner_app, token_command
from service.cli.erasures import erase_app
from service.cli.exports import export, verifier
from service.cli.items import items_app
from service.cli.keys import keys_app
from service.cli.logs import log_app
from service.cli.marking import marking_app
from service.cli.publishing import policy_app
from service.cli.replay import replay
from service.cli.retention import hold_app, prune_app
from service.cli.serve import serve
from service.cli.session import Commands
from service.cli.witness import witness_app, witnesses_app

app = typer.Typer(
    cls=Commands,
    name="entente",
    help="Entente: partners get what written policy allows, nothing else, and every release is on record.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve)
app.command("token")(token_command)
app.add_typer(client_app, name="client")
app.add_typer(partner_app, name="partner")
app.add_typer(items_app, name="items")
app.add_typer(policy_app, name="policy")
app.add_typer(marking_app, name="marking")
log_app.add_typer(keys_app, name="keys")
log_app.command("export")(export)
log_app.command("verifier")(verifier)
log_app.add_typer(witnesses_app, name="witness")
log_app.add_typer(erase_app, name="erase")
log_app.add_typer(hold_app, name="hold")
log_app.add_typer(prune_app, name="prune")
log_app.command()(replay)
app.add_typer(log_app, name="log")
app.add_typer(witness_app, name="witness")


def main() -> None:
    """Run a command line; ends the process with its exit code."""
    app()
