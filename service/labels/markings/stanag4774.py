"""Confidentiality labels of STANAG 4774 as XML, read and written; and read out of a STANAG 4778 binding.

Pure: text in, value out; it knows no scheme. After ADatP-4774 edition A version 1 (the label) and ADatP-4778 (the
binding), as far as published samples show them, and after the numbered form in which `spiffing` keeps the same labels.

A label comes from outside, so it is read by `defusedxml` and strictly: no document type, no entity, no comment or
instruction inside a value (readers disagree about what such a value says), each element at most once, each in its
namespace, bounded in size and depth. What is malformed is a `MarkingError` with its place; what is well-formed and of
unknown meaning is `Unresolved`. Nothing is passed over but a foreign metadata element beside a label in a binding.

What is written is deterministic to the byte: UTF-8 without declaration or blanks between elements, values in the
policy's order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from service.labels.markings.base import MarkingError, Unresolved, closest, shown
from service.labels.markings.nato_spif import (
    CATEGORIES,
    CLASSIFICATIONS,
    CONTEXT_AUDIENCES,
    NATO,
    POLICY,
    POLICY_OID,
    RELEASABLE,
    TAG_SET_OIDS,
    TYPES,
    TagSet,
    code_of,
    in_order,
    value_of,
)
from service.labels.scheme import CODE

LABEL_NAMESPACE: Final = "urn:nato:stanag:4774:confidentialitymetadatalabel:1:0"
BINDING_NAMESPACE: Final = "urn:nato:stanag:4778:bindinginformation:1:0"
MIME_NAMESPACE: Final = "http://www.w3.org/2005/05/xmlmime"
NUMBERED_NAMESPACE: Final = "http://surevine.com/xmlns/spiffy"

PUBLIC: Final = "the Public"
"""The value of `Releasable To` for an unrestricted audience. Ours: the policy has none. No code can be mistaken for it."""

XML_CHARACTERS_MAX: Final = 65_536
"""Characters of the longest label or binding that is read: several hundred values."""

XML_DEPTH_MAX: Final = 16
"""Elements within one another; a binding of a label needs eight."""

XML_ELEMENTS_MAX: Final = 4_096
"""Elements of a label or binding."""

_LABEL_ROOTS: Final = ("originatorConfidentialityLabel", "ConfidentialityLabel")
_OTHER_LABELS: Final = ("alternativeConfidentialityLabel", "metadataConfidentialityLabel")
_DECLARED: Final = re.compile(r"<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)[\"']")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")
_NUMBER: Final = re.compile(r"[0-9]{1,6}")
_NUMBERED_TYPES: Final = {
    "restrictive": "RESTRICTIVE",
    "enumeratedRestrictive": "RESTRICTIVE",
    "permissive": "PERMISSIVE",
    "enumeratedPermissive": "PERMISSIVE",
    "informative": "INFORMATIVE",
}


@dataclass(frozen=True, slots=True)
class ConfidentialityLabel:
    """What a label says, in our codes; sets in the policy's order.

    `context` is `NATO` where none is stated. At most one of `releasable_to` and `only` is not empty; `public` says that
    `releasable_to` is everybody, and then both are. For another policy than NATO's, `classification` is that policy's
    word, and there is nothing else. `created` is aware and UTC. `places` says at which character of its text a name
    stands, for messages; it is no part of the value.
    """

    policy: str
    classification: str
    context: str = NATO
    releasable_to: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    public: bool = False
    sensitivities: tuple[str, ...] = ()
    administrative: tuple[str, ...] = ()
    created: datetime | None = None
    places: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "releasable_to", in_order(TagSet.RELEASABLE_TO, self.releasable_to))
        put(self, "only", in_order(TagSet.ONLY, self.only))
        put(self, "sensitivities", in_order(TagSet.SENSITIVITY, self.sensitivities))
        put(self, "administrative", in_order(TagSet.ADMINISTRATIVE, self.administrative))
        put(self, "places", MappingProxyType(dict(self.places)))

    @property
    def audience(self) -> tuple[str, ...] | None:
        """The codes it names, sorted; `None` for everybody. A list says all: a context adds nobody to it."""
        if self.public:
            return None
        named = self.only or self.releasable_to or CONTEXT_AUDIENCES[self.context]
        return tuple(sorted(named))


@dataclass(frozen=True, slots=True)
class Reference:
    """What a binding binds a label to: an address as written, and a media type where it states one."""

    uri: str
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Binding:
    """A label and what it is bound to."""

    label: ConfidentialityLabel
    references: tuple[Reference, ...]


def read_label(given: str | bytes) -> ConfidentialityLabel:
    """Read a label: STANAG 4774, or the numbered form.

    Raises:
        MarkingError: not such a label; with the place.
        Unresolved: well-formed, but with a classification, category or value of unknown meaning.
    """
    text, root = _parsed(given)
    return _label(text, root)


def read_binding(given: str | bytes) -> tuple[Binding, ...]:
    """Read the labels out of a STANAG 4778 binding, in order; at least one.

    Raises:
        MarkingError: not such a binding, or one without a label; with the place.
        Unresolved: as `read_label`.
    """
    text, root = _parsed(given)
    return _bindings(text, root)


def read_bound(given: str | bytes) -> tuple[Binding, ...]:
    """Read what is given of labels: those of a binding, in order, or one that stands by itself and is bound to nothing.

    Raises:
        MarkingError: neither; with the place.
        Unresolved: as `read_label`.
    """
    text, root = _parsed(given)
    return _bindings(text, root) if root.name == (BINDING_NAMESPACE, "BindingInformation") else (Binding(_label(text, root), ()),)


def read_xml(given: str | bytes) -> ConfidentialityLabel:
    """Read a label that stands by itself or in a binding of one.

    Raises:
        MarkingError: neither, or a binding of several labels.
        Unresolved: as `read_label`.
    """
    text, root = _parsed(given)
    if root.name != (BINDING_NAMESPACE, "BindingInformation"):
        return _label(text, root)
    bindings = _bindings(text, root)
    if len(bindings) > 1:
        raise _malformed(f"{len(bindings)} labels in one binding, expected one", text, root.offset)
    return bindings[0].label


def write_label(label: ConfidentialityLabel) -> bytes:
    """The label as XML, the same bytes for the same label. Reading them gives it again.

    `Releasable To` brings the context value `Releasable` with it, as the policy asks.
    """
    context = [value_of(TagSet.CONTEXT, label.context)]
    released = (*(value_of(TagSet.RELEASABLE_TO, code) for code in _context_first(label)), *([PUBLIC] if label.public else []))
    if released:
        context.append(RELEASABLE)
    categories = (
        (TagSet.SENSITIVITY, [value_of(TagSet.SENSITIVITY, code) for code in label.sensitivities]),
        (TagSet.CONTEXT, context),
        (TagSet.RELEASABLE_TO, released),
        (TagSet.ONLY, [value_of(TagSet.ONLY, code) for code in label.only]),
        (TagSet.ADMINISTRATIVE, [value_of(TagSet.ADMINISTRATIVE, code) for code in label.administrative]),
    )
    uri = f' URI="urn:oid:{POLICY_OID}"' if label.policy == POLICY else ""
    parts = [
        f'<originatorConfidentialityLabel xmlns="{LABEL_NAMESPACE}"><ConfidentialityInformation>',
        f"<PolicyIdentifier{uri}>{escape(label.policy)}</PolicyIdentifier>",
        f"<Classification>{escape(label.classification)}</Classification>",
        *(_category(tag_set, values) for tag_set, values in categories if values and label.policy == POLICY),
        "</ConfidentialityInformation>",
    ]
    if label.created is not None:
        stamp = label.created.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        parts.append(f"<CreationDateTime>{stamp}</CreationDateTime>")
    return ("".join(parts) + "</originatorConfidentialityLabel>").encode("utf-8")


def objections(label: ConfidentialityLabel) -> tuple[str, ...]:
    """What the published demonstration policy holds against a label, in words for an officer; nothing is decided on it."""
    found = []
    sets = (
        (TagSet.SENSITIVITY, label.sensitivities),
        (TagSet.RELEASABLE_TO, label.releasable_to),
        (TagSet.ONLY, label.only),
        (TagSet.ADMINISTRATIVE, label.administrative),
        (TagSet.CONTEXT, (label.context,)),
    )
    for tag_set, codes in sets:
        for code in codes:
            category = CATEGORIES[tag_set].get(code)
            if category is None:
                found.append(f"`{code}` is no value of `{tag_set}`")
            elif label.classification in category.excluded:
                found.append(f"`{category.value}` of `{tag_set}` is not used with `{label.classification}`")
    return tuple(found)


def _context_first(label: ConfidentialityLabel) -> Iterator[str]:
    """The list with those of the context before the others, as the standard's examples have it."""
    own = [code for code in label.releasable_to if code in CONTEXT_AUDIENCES[label.context]]
    yield from own
    yield from (code for code in label.releasable_to if code not in own)


def _category(tag_set: TagSet, values: Iterable[str]) -> str:
    inner = "".join(f"<GenericValue>{escape(value)}</GenericValue>" for value in values)
    return f"<Category Type={quoteattr(TYPES[tag_set])} TagName={quoteattr(tag_set)}>{inner}</Category>"


# --- XML ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Element:
    """An element with its place; `name` is (namespace, local name), `text` what stands directly in it."""

    name: tuple[str, str]
    attributes: dict[str, str]
    offset: int
    children: list[_Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    broken_at: int | None = None
    """Where a comment or an instruction stands in it."""

    @property
    def local(self) -> str:
        return self.name[1]


class _TooMuch(Exception):
    """More than is read, at a character."""


class _Target:
    """What the parser reports, as elements with their places."""

    def __init__(self, text: str, *, offset: int) -> None:
        self.bytes = text.encode("utf-8")
        self._passed = (0, offset)
        self._open: list[_Element] = []
        self._count = 0
        self.parser: Any = None
        self.root: _Element | None = None

    def offset(self, byte: int | None = None) -> int:
        """The character at which the parser is; it only goes forward."""
        index = self.parser.CurrentByteIndex if byte is None else byte
        before, characters = self._passed
        if index > before:
            characters += len(self.bytes[before:index].decode("utf-8", errors="ignore"))
            self._passed = (index, characters)
        return characters

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > XML_ELEMENTS_MAX or len(self._open) >= XML_DEPTH_MAX:
            raise _TooMuch
        namespace, _, local = tag[1:].partition("}") if tag.startswith("{") else ("", "", tag)
        element = _Element((namespace, local), attributes, self.offset())
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, _: str) -> None:
        self._open.pop()

    def data(self, text: str) -> None:
        if self._open:
            self._open[-1].text.append(text)

    def comment(self, _: str) -> None:
        self._interrupt()

    def pi(self, _: str, __: str | None = None) -> None:
        self._interrupt()

    def _interrupt(self) -> None:
        if self._open and self._open[-1].broken_at is None:
            self._open[-1].broken_at = self.offset()


def _parsed(given: str | bytes) -> tuple[str, _Element]:
    """The text and its root element."""
    if isinstance(given, bytes):
        try:
            text = given.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise MarkingError(f"byte {error.start} of the label is not UTF-8", text="", offset=0) from None
    else:
        text = given.removeprefix("\ufeff")
    if len(text) > XML_CHARACTERS_MAX:
        raise _malformed(f"more than {XML_CHARACTERS_MAX} characters", text, XML_CHARACTERS_MAX)
    body = text.lstrip(" \t\r\n")
    before = len(text) - len(body)
    declared = _DECLARED.match(body)
    if declared and declared[1].casefold() not in ("utf-8", "us-ascii"):
        raise _malformed(f"encoding {shown(declared[1])}, expected `UTF-8`", text, before + declared.start(1))
    try:
        target = _Target(body, offset=before)
    except UnicodeEncodeError as error:
        raise _malformed("half a surrogate pair", text, before + error.start) from None
    parser = DefusedXMLParser(target=target, encoding="utf-8", forbid_dtd=True)
    target.parser = parser.parser
    try:
        parser.feed(target.bytes)
        parser.close()
    except DefusedXmlException:
        raise _malformed("a document type or entity declaration, expected none", text, target.offset()) from None
    except _TooMuch:
        message = f"more than {XML_ELEMENTS_MAX} elements, or more than {XML_DEPTH_MAX} within one another"
        raise _malformed(message, text, target.offset()) from None
    except ParseError as error:
        raise _malformed(
            f"not well-formed XML: {str(error).partition(':')[0]}", text, target.offset(parser.parser.ErrorByteIndex)
        ) from None
    if target.root is None:
        raise _malformed("no element", text, 0)
    return text, target.root


def _malformed(message: str, text: str, offset: int) -> MarkingError:
    return MarkingError(f"{message}, at character {offset} of the label", text=text, offset=offset)


def _unresolved(message: str, text: str, offset: int, code: str = "unknown-token") -> Unresolved:
    return Unresolved(f"{message}, at character {offset} of the label", text=text, offset=offset, code=code)


def _children(text: str, element: _Element, namespace: str, **allowed: tuple[int, int]) -> dict[str, list[_Element]]:
    """The children by local name: those named, each between least and most times, in the namespace, with no text between."""
    found: dict[str, list[_Element]] = {name: [] for name in allowed}
    _no_text(text, element)
    for child in element.children:
        if child.name[0] != namespace:
            raise _malformed(f"{shown(child.local)} is in namespace {shown(child.name[0])}, expected `{namespace}`", text, child.offset)
        if child.local not in found:
            expected = ", ".join(f"`{name}`" for name in allowed)
            hint = f", expected {expected}" if expected else ""
            raise _malformed(f"unknown element {shown(child.local)} in `{element.local}`{hint}", text, child.offset)
        found[child.local].append(child)
        if len(found[child.local]) > allowed[child.local][1]:
            raise _malformed(f"a second `{child.local}` in `{element.local}`, expected one", text, child.offset)
    for name, (least, _) in allowed.items():
        if len(found[name]) < least:
            raise _malformed(f"no `{name}` in `{element.local}`", text, element.offset)
    return found


def _no_text(text: str, element: _Element) -> None:
    stray = "".join(element.text).strip()
    if stray:
        raise _malformed(f"text {shown(stray)} between the elements of `{element.local}`", text, element.offset)


def _value(text: str, element: _Element) -> str:
    """The text of an element that holds nothing else, blanks collapsed."""
    if element.children:
        raise _malformed(f"an element within `{element.local}`, expected text", text, element.children[0].offset)
    if element.broken_at is not None:
        raise _malformed(f"a comment or instruction within `{element.local}`", text, element.broken_at)
    value = " ".join("".join(element.text).split())
    if not value:
        raise _malformed(f"`{element.local}` is empty", text, element.offset)
    return value


def _attributes(text: str, element: _Element, *allowed: str) -> Mapping[str, str]:
    for name in element.attributes:
        # Attributes of other namespaces (`xsi:schemaLocation`, `xml:lang`) say nothing about the label.
        if not name.startswith("{") and name not in allowed:
            raise _malformed(f"unknown attribute {shown(name)} of `{element.local}`", text, element.offset)
    return element.attributes


# --- STANAG 4774 ----------------------------------------------------------------------------------------------------

_MANY: Final = XML_ELEMENTS_MAX


def _label(text: str, root: _Element) -> ConfidentialityLabel:
    if root.name == (NUMBERED_NAMESPACE, "label"):
        return _numbered(text, root)
    if root.local in _OTHER_LABELS:
        raise _malformed(f"`{root.local}` is not the originator's label of the thing itself", text, root.offset)
    if root.local not in _LABEL_ROOTS:
        raise _malformed(f"root element {shown(root.local)}, expected `{_LABEL_ROOTS[0]}`", text, root.offset)
    if root.name[0] != LABEL_NAMESPACE:
        raise _malformed(f"namespace {shown(root.name[0])}, expected `{LABEL_NAMESPACE}`", text, root.offset)
    _attributes(text, root, "Id", "ReviewDateTime")
    outer = _children(
        text,
        root,
        LABEL_NAMESPACE,
        ConfidentialityInformation=(1, 1),
        OriginatorID=(0, 1),
        CreationDateTime=(0, 1),
        SuccessionHandling=(0, 1),
    )
    if outer["SuccessionHandling"]:
        # A label that announces its successor: what follows it, and when, is for an officer to write down.
        raise _unresolved("`SuccessionHandling` is not understood here", text, outer["SuccessionHandling"][0].offset)
    created = _time(text, outer["CreationDateTime"][0]) if outer["CreationDateTime"] else None
    information = outer["ConfidentialityInformation"][0]
    _attributes(text, information)
    inner = _children(
        text, information, LABEL_NAMESPACE, PolicyIdentifier=(1, 1), Classification=(1, 1), PrivacyMark=(0, _MANY), Category=(0, _MANY)
    )
    if inner["PrivacyMark"]:
        raise _unresolved("`PrivacyMark` is not understood here", text, inner["PrivacyMark"][0].offset)
    policy, classification = inner["PolicyIdentifier"][0], inner["Classification"][0]
    _policy_address(text, policy)
    _attributes(text, classification, "URI", "URL")
    categories: dict[TagSet, list[tuple[str, int]]] = {}
    for category in inner["Category"]:
        tag_set, values = _read_category(text, category)
        if tag_set in categories:
            raise _malformed(f"a second category `{tag_set}`, expected one", text, category.offset)
        categories[tag_set] = values
    return _assembled(
        text,
        policy=(_value(text, policy), policy.offset),
        classification=(_value(text, classification), classification.offset),
        categories=categories,
        created=created,
    )


def _policy_address(text: str, policy: _Element) -> None:
    """The number of the policy, where it is stated beside its name: the two must not be of different policies."""
    stated = _attributes(text, policy, "URI", "URL")
    for name in ("URI", "URL"):
        said = stated.get(name)
        is_nato = _value(text, policy).upper() == POLICY
        if said is not None and is_nato != (said.strip() == f"urn:oid:{POLICY_OID}"):
            raise _malformed(f"`{name}` {shown(said)} is not that of policy {shown(_value(text, policy))}", text, policy.offset)


def _read_category(text: str, category: _Element) -> tuple[TagSet, list[tuple[str, int]]]:
    stated = _attributes(text, category, "Type", "TagName", "URI", "URL")
    for name in ("TagName", "Type"):
        if name not in stated:
            raise _malformed(f"a category without `{name}`", text, category.offset)
    name = " ".join(stated["TagName"].split())
    tag_set = next((each for each in TagSet if each.casefold() == name.casefold()), None)
    if tag_set is None:
        near = "".join(f", expected one like {shown(word)}" for word in closest(name, list(TagSet))[:1])
        raise _unresolved(f"unknown category {shown(name)}{near}", text, category.offset)
    if stated["Type"] != TYPES[tag_set]:
        raise _malformed(f"category `{tag_set}` of type {shown(stated['Type'])}, expected `{TYPES[tag_set]}`", text, category.offset)
    values = _children(text, category, LABEL_NAMESPACE, GenericValue=(1, _MANY))["GenericValue"]
    for value in values:
        _attributes(text, value, "URI", "URL")
    return tag_set, [(_value(text, value), value.offset) for value in values]


def _time(text: str, element: _Element) -> datetime:
    _attributes(text, element)
    value = _value(text, element)
    if not _TIME.fullmatch(value):
        raise _malformed(f"{shown(value)} is not a time like `2026-11-22T10:00:00Z`", text, element.offset)
    try:
        # Seven digits of a second are usual in labels; a microsecond is the finest kept.
        return datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", value)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _malformed(f"{shown(value)} is not in the calendar", text, element.offset) from None


def _assembled(
    text: str,
    *,
    policy: tuple[str, int],
    classification: tuple[str, int],
    categories: Mapping[TagSet, list[tuple[str, int]]],
    created: datetime | None,
) -> ConfidentialityLabel:
    """The label of what was read, every value looked at."""
    places = {}
    if policy[0].upper() != POLICY:
        if categories:
            message = f"categories of policy {shown(policy[0])} are not understood here"
            raise _unresolved(message, text, min(offset for values in categories.values() for _, offset in values))
        return ConfidentialityLabel(policy[0], classification[0], created=created, places={"level": classification[1]})
    name = classification[0].upper()
    if name not in CLASSIFICATIONS:
        expected = ", ".join(f"`{each}`" for each in CLASSIFICATIONS)
        raise _unresolved(
            f"unknown classification {shown(classification[0])}, expected one of {expected}", text, classification[1], "unknown-level"
        )
    places["level"] = classification[1]
    codes: dict[TagSet, tuple[str, ...]] = {}
    public = False
    for tag_set, values in categories.items():
        read: list[str] = []
        for value, offset in values:
            if tag_set is TagSet.CONTEXT and value.casefold() == RELEASABLE.casefold():
                continue
            if tag_set is TagSet.RELEASABLE_TO and value.casefold() == PUBLIC.casefold():
                public = True
                places[PUBLIC] = offset
                continue
            code = code_of(value.upper())
            if not CODE.fullmatch(code):
                raise _unresolved(f"unknown value {shown(value)} of `{tag_set}`", text, offset)
            if code in read:
                raise _malformed(f"value {shown(value)} twice in `{tag_set}`", text, offset)
            read.append(code)
            places.setdefault(code, offset)
        codes[tag_set] = tuple(read)
    released, only = codes.get(TagSet.RELEASABLE_TO, ()), codes.get(TagSet.ONLY, ())
    if only and (released or public):
        raise _malformed("`Only` beside `Releasable To`, expected one of them", text, categories[TagSet.ONLY][0][1])
    if public and any(code not in CONTEXT_AUDIENCES[NATO] for code in released):
        raise _malformed(f"`{PUBLIC}` beside a list of codes", text, places[PUBLIC])
    context = _context(text, codes.get(TagSet.CONTEXT, ()), places, name)
    return ConfidentialityLabel(
        POLICY,
        name,
        context,
        releasable_to=() if public else released,
        only=only,
        public=public,
        sensitivities=codes.get(TagSet.SENSITIVITY, ()),
        administrative=codes.get(TagSet.ADMINISTRATIVE, ()),
        created=created,
        places=places,
    )


def _context(text: str, contexts: tuple[str, ...], places: Mapping[str, int], classification: str) -> str:
    if not contexts:
        return NATO
    if len(contexts) > 1:
        raise _unresolved(f"contexts {shown(contexts[0])} and {shown(contexts[1])}, expected one", text, places[contexts[1]])
    context = contexts[0]
    if context not in CONTEXT_AUDIENCES:
        near = "".join(f", expected one like {shown(word)}" for word in closest(context, CONTEXT_AUDIENCES)[:1])
        raise _unresolved(f"unknown context {shown(context)}{near}", text, places[context])
    if context != NATO and classification == "TOP SECRET":
        raise _malformed(f"context `{context}` with `TOP SECRET`, which is of the Alliance alone", text, places[context])
    return context


# --- the numbered form ------------------------------------------------------------------------------------------------


def _numbered(text: str, root: _Element) -> ConfidentialityLabel:
    """The same label by numbers: `<classification lacv='3'/>`, `<tag type='permissive' id='1.3.26.1.4.4' lacv='1001'/>`."""
    _attributes(text, root)
    found = _children(text, root, NUMBERED_NAMESPACE, policy=(1, 1), classification=(1, 1), tag=(0, _MANY))
    policy, classification = found["policy"][0], found["classification"][0]
    if _attributes(text, policy, "id").get("id") != POLICY_OID:
        raise _unresolved(f"unknown policy {shown(policy.attributes.get('id', ''))}", text, policy.offset, "unknown-level")
    _attributes(text, classification, "lacv")
    number = _number(text, classification)
    level = next((each.name for each in CLASSIFICATIONS.values() if each.lacv == number), None)
    if level is None:
        raise _unresolved(f"unknown classification `{number}`", text, classification.offset, "unknown-level")
    categories: dict[TagSet, list[tuple[str, int]]] = {}
    for tag in found["tag"]:
        stated = _attributes(text, tag, "type", "id", "lacv")
        tag_set = TAG_SET_OIDS.get(stated.get("id", ""))
        if tag_set is None:
            raise _unresolved(f"unknown category {shown(stated.get('id', ''))}", text, tag.offset)
        if _NUMBERED_TYPES.get(stated.get("type", "")) != TYPES[tag_set]:
            raise _malformed(f"category `{tag_set}` of type {shown(stated.get('type', ''))}", text, tag.offset)
        number = _number(text, tag)
        value = next((each.value for each in CATEGORIES[tag_set].values() if each.lacv == number), None)
        if value is None:
            raise _unresolved(f"unknown value `{number}` of `{tag_set}`", text, tag.offset)
        categories.setdefault(tag_set, []).append((value, tag.offset))
    return _assembled(
        text, policy=(POLICY, policy.offset), classification=(level, classification.offset), categories=categories, created=None
    )


def _number(text: str, element: _Element) -> int:
    value = element.attributes.get("lacv", "")
    if element.children or "".join(element.text).strip() or not _NUMBER.fullmatch(value):
        raise _malformed(f"`{element.local}` with `lacv` {shown(value)}, expected a number", text, element.offset)
    return int(value)


# --- STANAG 4778 ----------------------------------------------------------------------------------------------------


def _bindings(text: str, root: _Element) -> tuple[Binding, ...]:
    if root.name != (BINDING_NAMESPACE, "BindingInformation"):
        raise _malformed(f"root element {shown(root.local)}, expected `BindingInformation` of `{BINDING_NAMESPACE}`", text, root.offset)
    bindings = []
    for container in _children(text, root, BINDING_NAMESPACE, MetadataBindingContainer=(1, _MANY))["MetadataBindingContainer"]:
        for binding in _children(text, container, BINDING_NAMESPACE, MetadataBinding=(1, _MANY))["MetadataBinding"]:
            parts = _children(text, binding, BINDING_NAMESPACE, Metadata=(1, _MANY), DataReference=(0, _MANY))
            for metadata in parts["Metadata"]:
                _no_text(text, metadata)
            references = tuple(_reference(text, each) for each in parts["DataReference"])
            labels = [
                child
                for metadata in parts["Metadata"]
                for child in metadata.children
                # Metadata of other kinds stands beside labels; a label of ours in another namespace is no label.
                if child.name[0] == LABEL_NAMESPACE or child.local in _LABEL_ROOTS
            ]
            if len(labels) > 1:
                raise _malformed("a second label in one `MetadataBinding`, expected one", text, labels[1].offset)
            bindings += [Binding(_label(text, label), references) for label in labels]
    if not bindings:
        raise _malformed("no label in the binding", text, root.offset)
    return tuple(bindings)


def _reference(text: str, element: _Element) -> Reference:
    if "URI" not in element.attributes:
        raise _malformed("`DataReference` without `URI`", text, element.offset)
    _children(text, element, BINDING_NAMESPACE)
    return Reference(element.attributes["URI"], element.attributes.get(f"{{{MIME_NAMESPACE}}}contentType"))
