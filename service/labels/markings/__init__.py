"""Marking profiles: how labels are written and read, one profile to a scheme.

`profile_of(scheme)` is the door. Each profile stands behind `MarkingProfile`; a further one is a module of its own and
one line in the table below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from service.labels.markings.base import Marking, MarkingError, MarkingProfile, Unresolved, marking_part
from service.labels.markings.ic2016 import Ic2016Profile
from service.labels.markings.plain import PlainProfile
from service.labels.scheme import Profile, Scheme, SchemeError

__all__ = ["Marking", "MarkingError", "MarkingProfile", "Unresolved", "marking_part", "profile_of"]

_PROFILES: Mapping[Profile, Callable[[Scheme], MarkingProfile]] = MappingProxyType(
    {Profile.PLAIN: PlainProfile, Profile.IC_2016: Ic2016Profile}
)


def profile_of(scheme: Scheme) -> MarkingProfile:
    """The profile a scheme's labels are written and read in.

    Raises:
        SchemeError: a profile that this version does not read, or caveats that the profile cannot tell apart.
    """
    profile = _PROFILES.get(scheme.profile)
    if profile is None:
        known = ", ".join(f"`{each}`" for each in _PROFILES)
        raise SchemeError("profile", f"marking profile `{scheme.profile}` is not read by this version, expected one of {known}")
    return profile(scheme)
