"""`entente client add`, `client disable`, `token`, `partner suspend`, `partner resume`: who may ask, and who may not for now.

Clients and tokens are given out on the machine's own authority, each a leaf of `officers`; suspending a partner is an act.
"""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.session import MACHINE_HERE, AsJson, Data, Policies, Token, acting_as, opened, say, settings_of
from service.errors import Conflict, Rejected
from service.identity.clients import Role
from service.identity.rights import Rights
from service.settings import TOKEN_LIFETIME_SECONDS

client_app = typer.Typer(help="Clients: the systems and people who may ask.", no_args_is_help=True)
partner_app = typer.Typer(help="Partners: suspend, resume.", no_args_is_help=True)

Reason = Annotated[str, typer.Option("--reason", help="Why, for the record.", show_default=False)]
Code = Annotated[str, typer.Argument(metavar="CODE", help="The partner's code.")]


@client_app.callback()
def clients() -> None:
    """Clients: the systems and people who may ask."""


@client_app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="For people; never in the release log.")],
    role: Annotated[Role, typer.Option("--role", help="What it is here for.")],
    partner: Annotated[str | None, typer.Option("--partner", help="Whose it is, for role `partner`.", show_default=False)] = None,
    purpose: Annotated[
        list[str] | None, typer.Option("--purpose", help="A purpose it may state beyond `none`; repeatable.", show_default=False)
    ] = None,
    issuer: Annotated[str | None, typer.Option("--issuer", help="`iss` of an external client's tokens.", show_default=False)] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="`sub` of an external client's tokens.", show_default=False)] = None,
    level: Annotated[
        str | None,
        typer.Option("--level", help="For role `officer`: the highest level of labels he may give and take.", show_default=False),
    ] = None,
    categories: Annotated[
        str | None, typer.Option("--categories", help="Likewise the categories, between spaces; default all.", show_default=False)
    ] = None,
    originators: Annotated[
        str | None, typer.Option("--originators", help="Likewise the originators, between spaces; default all.", show_default=False)
    ] = None,
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Register a client, and print its id and, this once, its secret."""
    rights = Rights(level, _names(categories), _names(originators))
    with opened(settings_of(data, policies), set_up=True) as installation:
        client, secret = installation.registry.add(
            name, role, partner=partner, purposes=purpose or (), issuer=issuer, subject=subject, rights=rights
        )
    if as_json:
        say({"client_id": client.id} | ({} if secret is None else {"client_secret": secret}))
        return
    say(f"client_id: {client.id}")
    if secret is not None:
        say(f"client_secret: {secret}")


def _names(given: str | None) -> tuple[str, ...] | None:
    """A set as policy files write one: words between spaces, `none` being the empty set; None where nothing was given."""
    if given is None:
        return None
    return () if given.strip() == "none" else tuple(given.split())


@client_app.command()
def disable(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The client's name.")],
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Let a client ask no more, its tokens in force included: for a secret that was lost."""
    with opened(settings_of(data, policies)) as installation:
        client = installation.registry.disable(name)
    say({"client_id": client.id, "result": "disabled"} if as_json else f"{client.id} disabled")


def token_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The client's name.")],
    data: Data = None,
    policies: Policies = None,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Print a token of ten minutes for a client."""
    with opened(settings_of(data, policies)) as installation:
        client = installation.registry.named(name)
        if client.issuer != installation.issuer.issuer:
            raise Rejected(f"client `{name}` gets its tokens from `{client.issuer}`", code="external-client")
        if not client.enabled:
            raise Conflict(f"client `{name}` is disabled", code="disabled")
        # On record before it is shown.
        installation.acts.look("token.issue", MACHINE_HERE, [], {"client": client.id})
        issued = installation.issuer.issue(client, installation.clock())
    say({"access_token": issued, "token_type": "Bearer", "expires_in": TOKEN_LIFETIME_SECONDS} if as_json else issued)


@partner_app.command()
def suspend(
    code: Code, reason: Reason = "", data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False
) -> None:
    """Release nothing to a partner until it is resumed."""
    with opened(settings_of(data, policies)) as installation:
        entry = installation.publishing.suspend(code, acting_as(installation, token, Role.OFFICER), reason=reason)
    _done(code, "suspended", None if entry is None else entry.event_id, as_json)


@partner_app.command()
def resume(
    code: Code, reason: Reason = "", data: Data = None, policies: Policies = None, token: Token = "", as_json: AsJson = False
) -> None:
    """Let policy decide for a partner again."""
    with opened(settings_of(data, policies)) as installation:
        entry = installation.publishing.resume(code, acting_as(installation, token, Role.OFFICER), reason=reason)
    _done(code, "resumed", None if entry is None else entry.event_id, as_json)


def _done(code: str, what: str, event_id: str | None, as_json: bool) -> None:
    say({"partner": code, "result": what, "event_id": event_id} if as_json else f"{code} {what}, event {event_id}")
