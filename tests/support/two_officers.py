"""Publishing as two officers do it: one proposes, another approves where that is needed. There is no other way to widen a policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from service.errors import Conflict
from service.identity.clients import Role
from service.sharing.acts import Actor
from service.sharing.installation import Installation
from service.sharing.publishing import Pending, Published

SECOND: Final = "second-officer-of-the-tests"


def second_officer(installation: Installation, name: str = SECOND) -> Actor:
    """Another officer, registered at the first call. His tokens are an external issuer's, so that no secret has to be hashed."""
    try:
        client = installation.registry.named(name)
    except Conflict:
        client, _ = installation.registry.add(name, Role.OFFICER, issuer="https://idp.test", subject=name)
    return Actor(client.id, "/v1/officer")


def publish_as_two(installation: Installation, files: Mapping[str, bytes], actor: Actor) -> Published:
    """Put a bundle in force, with a second officer's approval where it is needed."""
    return approved(installation, installation.publishing.publish(files, actor))


def roll_back_as_two(installation: Installation, digest: str, actor: Actor) -> Published:
    """Put an archived bundle in force, likewise."""
    return approved(installation, installation.publishing.publish_archived(digest, actor))


def approved(installation: Installation, done: Published | Pending) -> Published:
    """What was published, once it is approved if it waits."""
    if isinstance(done, Published):
        return done
    return installation.publishing.approve(done.digest, second_officer(installation), timeline=done.proposal.timeline)
