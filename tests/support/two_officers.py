"""Publishing and relabelling as two officers do it: one proposes, another approves where that is needed.

There is no other way to widen a policy, or what a label lets go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from service.errors import Conflict
from service.identity.clients import Role
from service.labels.label import Label
from service.sharing import relabelling
from service.sharing.acts import Act, Actor
from service.sharing.catalogue import give_labels, item_in_force, new_label
from service.sharing.installation import Installation
from service.sharing.publishing import Pending, Published
from service.store import catalogue
from service.store.tables import FOREVER
from service.store.times import moment_of

FIRST: Final = "first-officer-of-the-tests"
SECOND: Final = "second-officer-of-the-tests"


def second_officer(installation: Installation, name: str = SECOND) -> Actor:
    """An officer, registered at the first call. His tokens are an external issuer's, so that no secret has to be hashed."""
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


def relabel_as_two(
    installation: Installation, item_id: str, marking: str | None, *, portion: str | None = None, label: object = None
) -> relabelling.Done:
    """Give other labels, with a second officer's approval where it is needed."""
    asked = relabelling.Relabel(item_id, "a test", marking, label, portion)
    done = relabelling.relabel(installation, asked, second_officer(installation, FIRST))
    if isinstance(done, relabelling.Done):
        return done
    return relabelling.approve(installation, done.proposal.id, second_officer(installation), timeline=done.planned.digest)


def relabel_within(act: Act, item_id: str, marking: str | None, *, portion: str | None = None, label: object = None) -> None:
    """What relabelling writes, and nothing of what it asks before: for tests of acts as such, and of what follows from them."""
    item_in_force(act.connection, item_id)
    held = catalogue.versions_at(act.connection, [item_id], at=act.at)[item_id]
    targets = [one for one in held.portions if portion is None or one.portion.id == portion]
    if not targets:
        raise Conflict(f"item `{item_id}` has no portion `{portion}`", code="no-portion")

    def given(label_id: int) -> Label:
        return new_label(act.policy().bundle, marking, label, before=act.labels[label_id], at=moment_of(act.at))

    give_labels(act, {item_id: {one.portion.id: [(act.at, FOREVER, given(one.label_id))] for one in targets}})
