"""Casbin's policy effects over masks: when stock Casbin stops looking, and what follows from the rows that are true.

Pure. Stock goes through the rows from the first to the last and stops at the one that *settles* the effect; a row behind it is never
evaluated, so whatever it would raise does not count.
"""

from __future__ import annotations

from enum import StrEnum

from casbin.effect import AllowAndDenyEffector, AllowOverrideEffector, DenyOverrideEffector, PriorityEffector


class Effect(StrEnum):
    """The effects pycasbin has, each by what it is written as."""

    ALLOW_AND_DENY = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
    ALLOW_OVERRIDE = "some(where (p.eft == allow))"
    DENY_OVERRIDE = "!some(where (p.eft == deny))"
    PRIORITY = "priority(p.eft) || deny"

    def settled(self, allowing: int, denying: int) -> int:
        """The row that settles it, as a mask of one bit; 0 where all rows are looked at.

        Args:
            allowing: the allow rows that are true.
            denying: the deny rows that are true.
        """
        match self:
            case Effect.ALLOW_AND_DENY | Effect.DENY_OVERRIDE:
                settling = denying
            case Effect.ALLOW_OVERRIDE:
                settling = allowing
            case Effect.PRIORITY:
                settling = allowing | denying
        return settling & -settling

    def allows(self, allowing: int, denying: int) -> bool:
        """Whether it allows, where no row raises."""
        match self:
            case Effect.ALLOW_AND_DENY:
                return bool(allowing) and not denying
            case Effect.ALLOW_OVERRIDE:
                return bool(allowing)
            case Effect.DENY_OVERRIDE:
                return not denying
            case Effect.PRIORITY:
                return bool(self.settled(allowing, denying) & allowing)


_BY_EFFECTOR: dict[type, Effect] = {
    AllowAndDenyEffector: Effect.ALLOW_AND_DENY,
    AllowOverrideEffector: Effect.ALLOW_OVERRIDE,
    DenyOverrideEffector: Effect.DENY_OVERRIDE,
    PriorityEffector: Effect.PRIORITY,
}


def effect_of(effector: object) -> Effect | None:
    """The effect that one of pycasbin's effectors computes; None for somebody else's."""
    return _BY_EFFECTOR.get(type(effector))
