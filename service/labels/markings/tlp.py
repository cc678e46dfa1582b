"""The profile `TLP-2`: the Traffic Light Protocol 2.0 of FIRST, for cyber items; and its fixed ids in STIX 2.1.

    TLP:AMBER+STRICT                    TLP:AMBER//REL TO DEU, JPN              (TLP:GREEN//REL TO JPN)

What each means as a label. The scheme's ladder says which level a colour is; silence is no.

| colour | without a list | with `REL TO` |
|---|---|---|
| `CLEAR` | unrestricted | those listed |
| `GREEN` | as the scheme has it: unrestricted below `audience_required_from`, quarantine from there | those listed |
| `AMBER`, `AMBER+STRICT`, `RED` | nobody: recipients are named | those listed |

The protocol restricts what a recipient passes on; whom the source sends it to it leaves to the source, and has no words
for it. The list, and the caveats a scheme adds, are therefore written as in `PLAIN`, after `//`. `AMBER` lets a recipient
pass on to his clients, which is his to do and names nobody here; so for us it is as `AMBER+STRICT`, one step below it.
An unrestricted audience from `AMBER` on contradicts itself, and has no marking.

A level is a colour by its name (`CLEAR`, `AMBER STRICT`, `TLP RED`), or else by its portion mark. Banner and portion mark
are alike but for the parentheses. `TLP:WHITE`, the colour of TLP 1, is read as `CLEAR`; an id of a STIX marking
definition of either version is read in place of the colour.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from service.errors import Rejected
from service.labels.label import UNRESTRICTED, Label
from service.labels.markings.base import Marking, MarkingError, Unresolved, closest, shown
from service.labels.markings.plain import PlainProfile
from service.labels.scheme import Level, Scheme, SchemeError


class Tlp(StrEnum):
    """The colours of TLP 2.0, the most open first."""

    CLEAR = "TLP:CLEAR"
    GREEN = "TLP:GREEN"
    AMBER = "TLP:AMBER"
    AMBER_STRICT = "TLP:AMBER+STRICT"
    RED = "TLP:RED"

    @property
    def names_recipients(self) -> bool:
        """Whether without a list it is for nobody."""
        return self in (Tlp.AMBER, Tlp.AMBER_STRICT, Tlp.RED)


STIX_EXTENSION: Final = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
STIX_CREATED: Final = "2022-10-01T00:00:00.000Z"
STIX_IDS: Final[Mapping[Tlp, str]] = MappingProxyType(
    {
        Tlp.CLEAR: "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
        Tlp.GREEN: "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
        Tlp.AMBER: "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
        Tlp.AMBER_STRICT: "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
        Tlp.RED: "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
    }
)
"""TLP 2.0 in STIX 2.1, as OASIS has fixed them."""

STIX_IDS_OF_TLP_1: Final[Mapping[str, Tlp]] = MappingProxyType(
    {
        "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": Tlp.CLEAR,
        "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": Tlp.GREEN,
        "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": Tlp.AMBER,
        "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Tlp.RED,
    }
)
"""TLP 1 in STIX 2.1; read and not written."""

_OF_ID: Final = MappingProxyType({**{each: tlp for tlp, each in STIX_IDS.items()}, **STIX_IDS_OF_TLP_1})
_PREFIX: Final = "TLP:"
_OF_WORD: Final = {tlp.removeprefix(_PREFIX): tlp for tlp in Tlp} | {"WHITE": Tlp.CLEAR, "AMBER STRICT": Tlp.AMBER_STRICT}
_BLANK: Final = " \t\r\n"
_NOBODY: Final = "//NOFORN"
_ID: Final = re.compile(r"marking-definition--[0-9A-Fa-f-]+")
_PROTOCOL: Final = re.compile(r"TLP(?:[ \t]*:[ \t]*|[ \t]+)", re.IGNORECASE)
_WORD: Final = re.compile(r"[^/() \t\r\n]*")
_PLACE: Final = re.compile(r"at character ([0-9]+) of marking")


class TlpProfile:
    """Reads and writes `TLP-2` markings over a scheme; immutable, safe from many threads.

    Raises:
        SchemeError: a level that is no colour, two that are one, or levels not in the order of the protocol.
    """

    def __init__(self, scheme: Scheme) -> None:
        self._scheme = scheme
        self._colour_of: dict[str, Tlp] = {}
        for level in scheme.levels:
            tlp = _colour(level.name) or _colour(level.mark)
            if tlp is None:
                found = f"level `{level.name}` is no colour of profile `{scheme.profile}`, nor is its mark `{level.mark}`"
                raise SchemeError("levels", f"{found}, expected one of {_listed(Tlp)}")
            self._colour_of[level.name] = tlp
        colours = list(self._colour_of.values())
        if colours != [tlp for tlp in Tlp if tlp in colours]:
            raise SchemeError("levels", f"the levels of profile `{scheme.profile}` are each another colour, in the order {_listed(Tlp)}")
        self._level_of = {tlp: name for name, tlp in self._colour_of.items()}
        self._word = {**_OF_WORD, **{word: self._colour_of[level.name] for level in scheme.levels for word in (level.mark, level.name)}}
        longest = sorted(self._word, key=len, reverse=True)
        self._head = re.compile("|".join(r"[ \t]*".join(map(re.escape, re.split(r"[ ]|(?=\+)|(?<=\+)", word))) for word in longest), re.I)
        # What stands after the colour is written as in `PLAIN`: its words, its order and its refusals are ours.
        self._plain = PlainProfile(replace(scheme, levels=tuple(Level(_plain(tlp), _plain(tlp)) for tlp in Tlp)))

    def parse_banner(self, text: str) -> Marking:
        """Read a marking: `TLP:AMBER//REL TO JPN`.

        Raises:
            MarkingError: malformed.
            Unresolved: well-formed, but unmarked or holding an unknown word.
        """
        start, end, tlp = self._colour_in(text)
        level = self._level_of.get(tlp)
        if level is None:
            message = f"unknown level {shown(tlp)}, expected one of {_listed(self._level_of)}, at character {start} of marking"
            raise Unresolved(message, text=text, offset=start, code="unknown-level")
        try:
            said = self._plain.parse_banner(text[:start] + _plain(tlp) + text[end:])
        except MarkingError as error:
            raise _moved(error, text, start, len(_plain(tlp)) - (end - start)) from None
        released = () if said.releasable_to is None and tlp.names_recipients else said.releasable_to
        return replace(said, level=level, releasable_to=released, text=text)

    def parse_portion(self, text: str) -> Marking:
        """Read a portion mark: `(TLP:AMBER//REL TO JPN)`; as `parse_banner`, which reads the same texts."""
        return self.parse_banner(text)

    def write_banner(self, label: Label) -> str:
        """The banner of a label.

        Raises:
            Rejected: a name the scheme does not hold, or an audience that no marking can say.
        """
        tlp = self.colour(label)
        if tlp.names_recipients and label.releasable_to == UNRESTRICTED:
            raise Rejected(f"an unrestricted audience at {shown(tlp)} has no marking, expected codes", code="unmarkable")
        return _coloured(self._plain.write_banner(replace(label, level=_plain(tlp))))

    def write_portion(self, label: Label) -> str:
        """The portion mark of a label, in its parentheses; errors as `write_banner`."""
        return f"({self.write_banner(label)})"

    def colour(self, label: Label) -> Tlp:
        """The colour of a label's level.

        Raises:
            UnknownName: a level that the scheme does not hold.
        """
        self._scheme.rank(label.level)
        return self._colour_of[label.level]

    def _colour_in(self, text: str) -> tuple[int, int, Tlp]:
        """Where the colour of a marking stands, and which it is."""
        start = len(text) - len(text.lstrip(_BLANK))
        if text[start : start + 1] == "(":
            start += 1 + len(text[start + 1 :]) - len(text[start + 1 :].lstrip(_BLANK))
        if not text.strip(_BLANK + "()"):
            raise Unresolved(
                f"unmarked, expected one of {_listed(Tlp)}, at character {min(start, len(text))} of marking", text=text, code="unmarked"
            )
        identity = _ID.match(text, start)
        if identity:
            try:
                return start, identity.end(), of_stix_id(identity.group())
            except Unresolved as unknown:
                raise Unresolved(str(unknown), text=text, offset=start, code=unknown.code) from None
        protocol = _PROTOCOL.match(text, start)
        begin = protocol.end() if protocol else start
        found = self._head.match(text, begin)
        if found and (found.end() == len(text) or text[found.end()] in _BLANK + "/)(,"):
            word = re.sub(r"[ \t]*\+[ \t]*", "+", " ".join(found.group().upper().split()))
            if word in self._word:
                return start, found.end(), self._word[word]
        stop = _WORD.match(text, begin)
        end = stop.end() if stop else begin
        nearest = self._nearest(text, start, end, text[begin:end].upper())
        message = f"unknown level {shown(text[start:end])}, expected one of {_listed(Tlp)}, at character {start} of marking"
        raise Unresolved(message, text=text, offset=start, code="unknown-level", nearest=nearest)

    def _nearest(self, text: str, start: int, end: int, word: str) -> str | None:
        for near in closest(word, self._word):
            try:
                said = self._plain.parse_banner(text[:start] + _plain(self._word[near]) + text[end:])
            except MarkingError:
                continue
            released = UNRESTRICTED if said.releasable_to is None else said.releasable_to
            displayed = None if said.display_to is None else (*released, *said.display_to)
            return _coloured(self._plain.write_banner(Label(said.level, (), released, said.caveats, (self._scheme.own,), displayed)))
        return None


def of_stix_id(identity: str) -> Tlp:
    """The colour of a STIX 2.1 marking definition, of TLP 2.0 or TLP 1.

    Raises:
        Unresolved: an id that is none of these.
    """
    tlp = _OF_ID.get(identity.lower())
    if tlp is None:
        raise Unresolved(f"unknown marking definition {shown(identity)}, expected one of TLP", text=identity, code="unknown-token")
    return tlp


def of_stix_refs(identities: Iterable[str]) -> Tlp:
    """The colour of a STIX object by its `object_marking_refs`: the strictest of them.

    Raises:
        Unresolved: there is none, or one that is not TLP: what it asks for is not known here.
    """
    colours = [of_stix_id(identity) for identity in identities]
    if not colours:
        raise Unresolved("no marking definition, expected one of TLP", text="", code="unmarked")
    return max(colours, key=list(Tlp).index)


def stix_definition(tlp: Tlp) -> dict[str, Any]:
    """The STIX 2.1 marking definition of a colour, as the extension for TLP 2.0 gives it."""
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": STIX_IDS[tlp],
        "created": STIX_CREATED,
        "name": str(tlp),
        "extensions": {STIX_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": tlp.removeprefix(_PREFIX).lower()}},
    }


def _colour(word: str) -> Tlp | None:
    """The colour that a scheme's word names."""
    return _OF_WORD.get(word.removeprefix("TLP "))


def _plain(tlp: Tlp) -> str:
    """A colour as a level of the plain profile."""
    return tlp.removeprefix(_PREFIX).replace("+", " ")


def _coloured(plain: str) -> str:
    """A plain banner in the words of the protocol; from `AMBER` on, naming nobody says that it is for nobody."""
    level, separator, rest = plain.partition("//")
    tlp = _OF_WORD[level]
    text = f"{tlp}{separator}{rest}"
    return text.removesuffix(_NOBODY) if tlp.names_recipients else text


def _listed(colours: Iterable[Tlp]) -> str:
    return ", ".join(f"`{tlp}`" for tlp in colours)


def _moved(error: MarkingError, text: str, start: int, shift: int) -> MarkingError:
    """An error of the plain marking, as one of the text that was given."""

    def back(offset: int) -> int:
        return max(start, offset - shift) if offset > start else offset

    message = str(error).partition("; nearest legal marking `")[0]
    message = _PLACE.sub(lambda place: f"at character {back(int(place[1]))} of marking", message)
    nearest = None if error.nearest is None else _coloured(error.nearest)
    return type(error)(message, text=text, offset=back(error.offset), code=error.code, nearest=nearest)
