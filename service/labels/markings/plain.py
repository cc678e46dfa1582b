"""The profile `PLAIN`: markings for anyone who has no manual of his own.

    LEVEL[//CAVEAT[/CAVEAT]][//REL TO A, B | //NOFORN][//DISPLAY ONLY A, B]

Banners name the level; portions carry its mark and parentheses, `(S//REL TO USA, JPN)`. Levels and caveats are those of
the scheme, in alphabetical order; a list names the own code first where it names it at all.
"""

from __future__ import annotations

from service.labels.markings.base import Marking
from service.labels.markings.slashed import SlashedProfile, Titles
from service.labels.scheme import Scheme


class PlainProfile(SlashedProfile):
    """Reads and writes `PLAIN` markings over a scheme."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__(scheme, (), Titles())

    def _compose(self, marking: Marking, *, portion: bool) -> str:
        blocks = [self._level_word(marking, portion=portion)]
        if marking.caveats:
            blocks.append("/".join(marking.caveats))
        if marking.releasable_to:
            blocks.append(f"REL TO {self._listed(marking.releasable_to)}")
        if marking.display_to:
            blocks.append(f"DISPLAY ONLY {self._listed(marking.display_to)}")
        if marking.releasable_to == () and not marking.display_to:
            blocks.append("NOFORN")
        text = "//".join(blocks)
        return f"({text})" if portion else text
