"""The words of `IC-2016`: levels of others, control systems, programmes, atomic energy, controls, in the manual's order.

Pure, published data. After the Intelligence Community Markings System Register and Manual, 31 December 2016 (public
release DF-2019-00061), and ODNI's ISM.XML V10 tests where those go beyond it. A tuple's order is the order of writing.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from service.labels.markings.slashed import Control

BEFORE_RELEASE: Final = (
    Control("RSEN", "RSEN", "RS", ("RISK SENSITIVE",)),
    Control("FOUO", "FOUO", "FOUO", ("FOR OFFICIAL USE ONLY",)),
    Control("ORCON", "ORCON", "OC", ("ORIGINATOR CONTROLLED",)),
    Control("ORCON-USGOV", "ORCON-USGOV", "OC-USGOV", ("ORIGINATOR CONTROLLED-USGOV",)),
    Control("IMCON", "IMCON", "IMC", ("CONTROLLED IMAGERY",)),
)
"""Dissemination controls that the register lists before `NOFORN`."""

BETWEEN: Final = (Control("PROPIN", "PROPIN", "PR", ("CAUTION-PROPRIETARY INFORMATION INVOLVED",)),)
"""Between `NOFORN` and `REL TO`."""

AFTER_RELEASE: Final = (
    Control("RELIDO", "RELIDO", "RELIDO", ("RELEASABLE BY INFORMATION DISCLOSURE OFFICIAL",)),
    Control("DEA-SENSITIVE", "DEA SENSITIVE", "DSEN"),
    Control("FISA", "FISA", "FISA", ("FOREIGN INTELLIGENCE SURVEILLANCE ACT",)),
)
"""Between `REL TO` and `DISPLAY ONLY`."""

OTHER: Final = (
    Control("LIMDIS", "LIMITED DISTRIBUTION", "DS"),
    Control("EXDIS", "EXDIS", "XD", ("EXCLUSIVE DISTRIBUTION",)),
    Control("NODIS", "NODIS", "ND", ("NO DISTRIBUTION",)),
    Control("SBU", "SBU", "SBU", ("SENSITIVE BUT UNCLASSIFIED",)),
    Control("LES", "LES", "LES", ("LAW ENFORCEMENT SENSITIVE",)),
    Control("SSI", "SSI", "SSI", ("SENSITIVE SECURITY INFORMATION",)),
)
"""Non-IC dissemination controls: a block of their own, the last."""

CONTROLS: Final = (*BEFORE_RELEASE, *BETWEEN, *AFTER_RELEASE, *OTHER)

CONTROL_CODES: Final = frozenset(control.code for control in CONTROLS)

WITH_NOFORN: Final = ("SBU", "LES")
"""Controls that have a form of their own with NOFORN: `SBU-NF` in a portion, `SBU NOFORN` in a banner."""

FOREIGN_LEVELS: Final = MappingProxyType({"TS": "TOP SECRET", "S": "SECRET", "C": "CONFIDENTIAL", "R": "RESTRICTED", "U": "UNCLASSIFIED"})
"""Portion mark and name of the level of foreign government information: the source's, in English."""

LADDER: Final = ("UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET", "TOP SECRET")
"""The order of those levels, lowest first."""

NATO: Final = "NATO"

NATO_LEVELS: Final = MappingProxyType(
    {
        "CTS": "COSMIC TOP SECRET",
        "NS": "NATO SECRET",
        "NC": "NATO CONFIDENTIAL",
        "NR": "NATO RESTRICTED",
        "NU": "NATO UNCLASSIFIED",
    }
)
"""Portion mark and name of the Alliance's levels (appendix B), which name their owner themselves."""

NATO_ISAF: Final = "ISAF"

NATO_ISAF_LEVELS: Final = MappingProxyType({"NIS": "NATO ISAF SECRET"})
"""The same of a NATO-led operation; the manual prints this one (page 59)."""

NATO_WITH_CONTROL: Final = MappingProxyType(
    {"CTSA": ("CTS", "ATOMAL"), "NSAT": ("NS", "ATOMAL"), "NCA": ("NC", "ATOMAL"), "CTS-B": ("CTS", "BOHEMIA"), "CTS-BALK": ("CTS", "BALK")}
)
"""Older portion marks of level and control in one; read, not written."""

NATO_CONTROLS: Final = ("ATOMAL", "BALK", "BOHEMIA")

SYSTEMS: Final = MappingProxyType(
    {
        "BUR": "BUR",
        "EL": "EL",
        "ENDSEAL": "EL",
        "HCS": "HCS",
        "HUMINT CONTROL SYSTEM": "HCS",
        "KDK": "KDK",
        "KLONDIKE": "KDK",
        "RSV": "RSV",
        "RESERVE": "RSV",
        "SI": "SI",
        "SPECIAL INTELLIGENCE": "SI",
        "COMINT": "SI",
        "TK": "TK",
        "TALENT KEYHOLE": "TK",
    }
)
"""Words for the control systems of sensitive compartmented information, and the word that is written."""

COMPARTMENTS: Final = MappingProxyType({"GAMMA": "G", "BLUEFISH": "BLFH", "IDITAROD": "IDIT", "KANDIK": "KAND"})
"""Compartments by their title, and the word that is written."""

PROGRAMMES: Final = ("SAR-", "SPECIAL ACCESS REQUIRED-")
"""What opens a list of special access programmes."""

ATOMIC: Final = MappingProxyType(
    {
        "RD": "RD",
        "RESTRICTED DATA": "RD",
        "FRD": "FRD",
        "FORMERLY RESTRICTED DATA": "FRD",
        "DOD UCNI": "DOD UCNI",
        "DCNI": "DOD UCNI",
        "DOD UNCLASSIFIED CONTROLLED NUCLEAR INFORMATION": "DOD UCNI",
        "DOE UCNI": "DOE UCNI",
        "UCNI": "DOE UCNI",
        "DOE UNCLASSIFIED CONTROLLED NUCLEAR INFORMATION": "DOE UCNI",
        "TFNI": "TFNI",
        "TRANSCLASSIFIED FOREIGN NUCLEAR INFORMATION": "TFNI",
    }
)
"""Words for information under the Atomic Energy Act, and the word of the banner, in the order of writing."""

ATOMIC_PORTIONS: Final = MappingProxyType({"DOD UCNI": "DCNI", "DOE UCNI": "UCNI"})
"""Where a portion has another word than the banner."""

WEAPON_DESIGN: Final = "CNWDI"
WEAPON_DESIGN_WORDS: Final = (WEAPON_DESIGN, "N", "CRITICAL NUCLEAR WEAPON DESIGN INFORMATION")
SIGMA: Final = "SIGMA"
SIGMA_PORTION: Final = "SG"

GIVING_WAY_TO_RESTRICTED_DATA: Final = ("FRD", "TFNI")
"""What `RD` takes precedence over in a banner (page 104)."""

NICKNAME: Final = "ACCM-"
NICKNAMES: Final = ("FICTICIOUS EFFORT", "TEA LEAF")
"""Alternative compensatory control measures are known by nicknames, which no grammar can tell from a slip. These two are
the specimens of ODNI's tests; another is read with `ACCM-` before it."""

FOREIGN_GOVERNMENT: Final = ("FGI", "FOREIGN GOVERNMENT INFORMATION")
JOINT: Final = "JOINT"
EYES_ONLY: Final = "EYES ONLY"
REL: Final = "REL"
