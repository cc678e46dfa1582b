"""The profile `IC-2016`, its plain part: level, dissemination controls, `REL TO`, `NOFORN`, `DISPLAY ONLY`.

After the Intelligence Community Markings System Register and Manual, 31 December 2016 (public release DF-2019-00061).
Banners name the level and the controls, portions carry their marks: `SECRET//ORCON/REL TO USA, JPN`, `(S//OC/NF)`.

A caveat is written only if the scheme has it; the manual's controls stand in the manual's order, those the scheme adds
of its own after them. Foreign government information, JOINT, SCI, SAP and atomic energy markings are well-formed here
and not understood: quarantine, verbatim, until an officer decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.labels.label import Label
from service.labels.markings.base import Marking, marking_part
from service.labels.markings.slashed import Control, Fault, SlashedProfile, Titles, Token
from service.labels.scheme import Scheme

BEFORE_RELEASE = (
    Control("RSEN", "RSEN", "RS", ("RISK SENSITIVE",)),
    Control("FOUO", "FOUO", "FOUO", ("FOR OFFICIAL USE ONLY",)),
    Control("ORCON", "ORCON", "OC", ("ORIGINATOR CONTROLLED",)),
    Control("ORCON-USGOV", "ORCON-USGOV", "OC-USGOV", ("ORIGINATOR CONTROLLED-USGOV",)),
    Control("IMCON", "IMCON", "IMC", ("CONTROLLED IMAGERY",)),
)
"""Dissemination controls that the register lists before `NOFORN`, in its order."""

BETWEEN = (Control("PROPIN", "PROPIN", "PR", ("CAUTION-PROPRIETARY INFORMATION INVOLVED",)),)
"""Between `NOFORN` and `REL TO`."""

AFTER_RELEASE = (
    Control("RELIDO", "RELIDO", "RELIDO", ("RELEASABLE BY INFORMATION DISCLOSURE OFFICIAL",)),
    Control("DEA-SENSITIVE", "DEA SENSITIVE", "DSEN"),
    Control("FISA", "FISA", "FISA", ("FOREIGN INTELLIGENCE SURVEILLANCE ACT",)),
)
"""Between `REL TO` and `DISPLAY ONLY`."""

OTHER = (
    Control("LIMDIS", "LIMITED DISTRIBUTION", "DS"),
    Control("EXDIS", "EXDIS", "XD", ("EXCLUSIVE DISTRIBUTION",)),
    Control("NODIS", "NODIS", "ND", ("NO DISTRIBUTION",)),
    Control("SBU", "SBU", "SBU", ("SENSITIVE BUT UNCLASSIFIED",)),
    Control("LES", "LES", "LES", ("LAW ENFORCEMENT SENSITIVE",)),
    Control("SSI", "SSI", "SSI", ("SENSITIVE SECURITY INFORMATION",)),
)
"""Non-IC dissemination controls: a block of their own, the last."""

_TITLES = Titles(
    no_foreign=("NOT RELEASABLE TO FOREIGN NATIONALS",),
    release_to=("AUTHORIZED FOR RELEASE TO",),
    release_as_banner=("REL",),
)


class Ic2016Profile(SlashedProfile):
    """Reads and writes the plain part of `IC-2016` markings over a scheme."""

    def __init__(self, scheme: Scheme) -> None:
        known = (*BEFORE_RELEASE, *BETWEEN, *AFTER_RELEASE, *OTHER)
        super().__init__(scheme, known, _TITLES)
        added = sorted(set(scheme.caveats) - {control.code for control in known})
        self._other = (*(control.code for control in OTHER), *added)

    def _part(self, label: Label) -> Marking:
        # The manual's list is `REL TO [USA, LIST]`: it names its owner always.
        return marking_part(label, scheme=self._scheme, names_own=True)

    def _listed(self, codes: Sequence[str]) -> str:
        own = self._scheme.own
        # The manual's order: the owner, then trigraphs, then the codes of groups.
        return ", ".join(sorted(codes, key=lambda code: (code != own, len(code) != 3, code)))

    def _compose(self, marking: Marking, *, portion: bool) -> str:
        def words(controls: tuple[Control, ...]) -> list[str]:
            return [self._word(control.code, portion=portion) for control in controls if control.code in marking.caveats]

        controls = words(BEFORE_RELEASE)
        if marking.releasable_to == () and not marking.display_to:
            controls.append("NF" if portion else "NOFORN")
        controls += words(BETWEEN)
        if marking.releasable_to:
            # A mark that leaves its owner out is read; none is written.
            controls.append(f"REL TO {self._listed(tuple({self._scheme.own, *marking.releasable_to}))}")
        controls += words(AFTER_RELEASE)
        if marking.display_to:
            controls.append(f"DISPLAY ONLY {self._listed(marking.display_to)}")
        others = [self._word(code, portion=portion) for code in self._other if code in marking.caveats]
        blocks = [[self._level_word(marking, portion=portion)], controls, others]
        text = "//".join("/".join(block) for block in blocks if block)
        return f"({text})" if portion else text

    def _word(self, code: str, *, portion: bool) -> str:
        control = self._controls[code]
        return control.portion if portion else control.banner

    def _no_level(self, token: Token) -> Fault:
        # `//NATO SECRET`, `//JOINT S CAN GBR USA`: legal by the manual, of another owner's ladder.
        message = "a classification not our own, expected a level before the first slash,"
        return Fault(message, offset=token.offset, code="unknown-level")
