"""Marking profiles: how labels are written and read, one profile to a scheme.

`profile_of(scheme)` is the door. Each profile stands behind `MarkingProfile`; a further one is a module of its own and
one line in the table below. `pages` rolls portion marks up into a banner and judges one; `register` is what a page is
judged against: a bundle's, or the published one of a profile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from service.labels.markings.base import Marking, MarkingError, MarkingProfile, Unresolved, marking_part
from service.labels.markings.ic2016 import Ic2016Profile
from service.labels.markings.nato import NatoProfile
from service.labels.markings.plain import PlainProfile
from service.labels.markings.tlp import TlpProfile
from service.labels.scheme import Profile, Scheme

__all__ = ["Marking", "MarkingError", "MarkingProfile", "Unresolved", "marking_part", "profile_of"]

_PROFILES: Mapping[Profile, Callable[[Scheme], MarkingProfile]] = MappingProxyType(
    {Profile.PLAIN: PlainProfile, Profile.IC_2016: Ic2016Profile, Profile.NATO_4774: NatoProfile, Profile.TLP_2: TlpProfile}
)

_PROFILES_HELD: Final = 16


@lru_cache(maxsize=_PROFILES_HELD)
def profile_of(scheme: Scheme) -> MarkingProfile:
    """The profile a scheme's labels are written and read in. The last few are held: they are immutable, and every copy asks for one.

    Raises:
        SchemeError: a ladder that is not the profile's, or caveats that the profile cannot tell apart.
    """
    return _PROFILES[scheme.profile](scheme)
