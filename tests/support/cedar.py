"""A bundle over the shipped model, written anew in Cedar: an engine by other people, in another language, to compare with.

Every row becomes a `permit` or a `forbid` for each action it speaks of. What Cedar's language cannot say is prepared as data: there are no
quantifiers, so each originator's consent is a set inclusion (`foreign` in `consented`), and levels are numbers. Everything else is Cedar's:
membership by its entity hierarchy, sets by `containsAll` and `containsAny`, effects by its own rule (some permit, and no forbid).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import cedarpy

from service.labels.label import Label
from service.policy import Bundle
from service.policy.rows import Rule

ACTIONS = ("release", "display", "refer")
_ASKED_BY_AGREEMENT = {"release": ("release", "display"), "display": ("display",), "refer": ("refer", "release", "display")}
_ASKED_BY_PROHIBITION = {"*": ACTIONS, "release": ("release", "refer"), "display": ("display",), "refer": ("refer",)}
RESOURCE = 'Thing::"it"'


class Cedar:
    """A bundle at a moment, in Cedar: entities once, and for each partner the policies that name him or his communities."""

    def __init__(self, bundle: Bundle, at: datetime) -> None:
        self._bundle = bundle
        self._scheme = bundle.scheme
        self._ranks = {level.name: rank for rank, level in enumerate(bundle.scheme.levels)}
        self._members = bundle.members(at)
        self._active = {row.code for partner in bundle.partners for row in partner.status if row.active and row.period.holds(at)}
        self._rules = [rule for rule in bundle.rules if rule.period.holds(at)]
        links: dict[str, set[str]] = {}
        for row in bundle.memberships:
            if row.period.holds(at):
                links.setdefault(row.member, set()).add(row.community)
        parents = {code: {*links.get(code, ()), *(("active",) if code in self._active else ())} for code in bundle.known_codes}
        self.entities = cedarpy.Entities.from_json_str(
            json.dumps(
                [
                    {
                        "uid": {"type": "Code", "id": code},
                        "attrs": {},
                        "parents": [{"type": "Code", "id": parent} for parent in sorted(above)],
                    }
                    for code, above in {**parents, "active": set()}.items()
                ]
            )
        )
        self.policies = {code: cedarpy.PolicySet.from_str(self.text(code)) for code in sorted(bundle.scheme.partners)}

    def text(self, partner: str) -> str:
        """The policies that can concern a partner."""
        of_partner = {partner, *(community for community, members in self._members.items() if partner in members)}
        return "\n".join(line for rule in self._rules if rule.grantee in of_partner for line in self._policies(rule, partner))

    def request(self, partner: str, action: str, label: Label, purpose: str) -> dict[str, Any]:
        """A question, its context serialised already."""
        own, foreign = self._scheme.own, [code for code in label.originators if code not in (self._scheme.own, partner)]
        context = {
            "purpose": purpose,
            "level": self._ranks[label.level],
            "categories": list(label.categories),
            "caveats": list(label.caveats),
            "releasable_to": list(label.releasable_to),
            "display_to": list(label.shown_to),
            "originators": list(label.originators),
            "foreign": foreign,
            "consented": [of for of, _, to in (consent.partition(":") for consent in label.consents) if to == partner and of != own],
            "grants": list(label.grants),
        }
        return {"principal": f'Code::"{partner}"', "action": f'Action::"{action}"', "resource": RESOURCE, "context": json.dumps(context)}

    def decide(self, partner: str, action: str, label: Label, purpose: str) -> tuple[bool, frozenset[str]]:
        """Whether it allows, and the ids of the rows that made it so."""
        request = self.request(partner, action, label, purpose)
        result = cedarpy.is_authorized(request, self.policies[partner], self.entities)
        if result.diagnostics.errors:
            raise ValueError(str(result.diagnostics.errors))
        return bool(result.allowed), frozenset(result.diagnostics.id_annotations_by_reason.values())

    def _policies(self, rule: Rule, partner: str) -> Iterable[str]:
        asked_by = _ASKED_BY_AGREEMENT if rule.effect == "allow" else _ASKED_BY_PROHIBITION
        for asked in asked_by[rule.action]:
            conditions = [f'principal in Code::"{rule.grantee}"', 'principal in Code::"active"']
            if rule.effect == "allow":
                conditions += self._allowing(rule, asked, partner)
            else:
                conditions += self._denying(rule)
            effect = "permit" if rule.effect == "allow" else "forbid"
            yield f'@id("{rule.id}") {effect}(principal, action == Action::"{asked}", resource) when {{ {" && ".join(conditions)} }};'

    def _allowing(self, rule: Rule, asked: str, partner: str) -> list[str]:
        conditions = [f"context.level <= {self._ranks[rule.level]}"]
        if rule.purpose != "*":
            conditions.append(f"{_set(rule.purpose)}.contains(context.purpose)")
        if rule.originator != "*":
            conditions += [f"{_set(rule.originator)}.containsAll(context.originators)", "!context.originators.isEmpty()"]
        for column, cell in (("categories", rule.categories), ("caveats", rule.caveats)):
            if cell == "none":
                conditions.append(f"context.{column}.isEmpty()")
            elif cell != "*":
                conditions.append(f"{_set(cell)}.containsAll(context.{column})")
        if asked == "refer":
            return conditions
        conditions += ["!context.originators.isEmpty()", "context.consented.containsAll(context.foreign)"]
        if rule.action == "refer":
            granted = ["release"] if asked == "release" else ["release", "display"]
            return [*conditions, f"context.grants.containsAny([{', '.join(_quoted(f'{action}:{partner}') for action in granted)}])"]
        names = ["*", partner, *(code for code in self._scheme.expandable if partner in self._members.get(code, ()))]
        audience = f"[{', '.join(map(_quoted, names))}]"
        addressed = f"context.releasable_to.containsAny({audience})"
        if asked == "display":
            addressed = f"({addressed} || context.display_to.containsAny({audience}))"
        return [*conditions, addressed]

    def _denying(self, rule: Rule) -> list[str]:
        conditions = [f"context.level >= {self._ranks[rule.level]}"]
        for column, cell in (("originators", rule.originator), ("categories", rule.categories), ("caveats", rule.caveats)):
            if cell != "*":
                conditions.append(f"context.{column}.containsAny({_set(cell)})")
        return conditions


def _quoted(word: str) -> str:
    return f'"{word}"'


def _set(cell: str) -> str:
    return f"[{', '.join(map(_quoted, cell.split(' ')))}]"
