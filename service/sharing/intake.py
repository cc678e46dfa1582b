"""Items on their way in: an officer's JSON read strictly, marked portions turned into labels through time (DESIGN section 14).

Pure but for looking up files by digest, which the caller passes in. What is malformed is refused with a code and a message;
what is well-formed but unmarked, or holds a name that the scheme lacks, is kept whole, in quarantine, until an officer
decides. Nothing is guessed, and nothing is half taken.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar

import rfc8785

from service.errors import Rejected
from service.labels.effective import DatedLabel, timeline
from service.labels.equivalence import read_marking
from service.labels.intake import check_label, label_of
from service.labels.label import Label, LabelError
from service.labels.markings import profile_of
from service.labels.markings.base import MarkingProfile, Unresolved
from service.labels.markings.pages import Verdict, judge
from service.labels.markings.register import Register
from service.labels.rollup import Departures, departures
from service.labels.scheme import ReleasableIn, Scheme
from service.policy import Bundle
from service.policy.reader import moment_of
from service.releaselog.leaf import LeafError, canonical, canonical_string
from service.settings import COPY_BYTES_MAX, ITEM_BYTES_MAX, JSON_DEPTH_MAX, PORTIONS_MAX, TEXT_PORTION_BYTES_MAX
from service.sharing import parts
from service.sharing.words import searched
from service.store.tables import FOREVER
from service.store.times import micros

_ITEM_MEMBERS: Final = {"ref", "marking", "marked_on", "label", "releasable_in", "categories", "originators", "portions", "compilation"}
_DATES: Final = ("not_before", "downgrade_on", "declassify_on")
_PORTION_MEMBERS: Final = {"kind", "marking", "marked_on", "label", "categories", "originators", *_DATES}
_KIND_MEMBERS: Final = {
    "title": {"text", "tear_line"},
    "text": {"text", "tear_line"},
    "json": {"value", "markings", "tear_line"},
    "file": {"path", "sha256", "name", "media_type", "tear_line"},
}
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What would disturb a terminal or a line of a report."""
REF_LENGTH_MAX: Final = 512
_NAME_LENGTH_MAX: Final = 255


class Refusal(Rejected):
    """An item that is refused. `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code=code)


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file that a portion names: its digest and length."""

    sha256: bytes
    size: int


_Read = TypeVar("_Read")
FindFile = Callable[[Mapping[str, Any]], FileSource]
"""Given a file portion's JSON, the stored file it means; raises `Refusal` where there is none."""


@dataclass(frozen=True, slots=True)
class PortionDraft:
    """A portion read: content, marking as written, and its labels through time as (from, until, label), in microseconds."""

    kind: str
    content: bytes
    content_sha256: bytes
    size: int
    name: str | None
    media_type: str | None
    marking: str
    timeline: tuple[tuple[int, int, Label], ...]
    within: int | None = None
    """Of a part of a JSON value: the number of the portion that holds it; and `place`, where in that one (`sharing.parts`)."""
    place: str | None = None
    instead_of: int | None = None
    """Of a tear-line: the number of the portion it is shown instead of (`sharing.tear_lines`)."""
    declassify_on: str | None = None
    """Of what waits for an event or is exempt: which, as canonical JSON."""
    words: str | None = None
    """What of it can be found (`sharing.words.searched`), where whoever read it has worked that out."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an item is quarantined: a code for programs, a reason for the officer."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class ItemDraft:
    """An item read whole. With `hold`, it goes to quarantine and its timelines are empty."""

    ref: str
    marking: str
    whole: bool
    portions: tuple[PortionDraft, ...]
    compilation: tuple[tuple[int, int, Label], ...] | None
    hold: Hold | None
    source: str
    """The JSON as it came, canonical, with files by digest."""
    over_marked: str | None = None
    """Where its marking holds back what every portion allows; it is stored all the same, for a stricter marking is lawful."""
    holds: tuple[Hold, ...] = ()
    """All that keeps it in quarantine; `hold` is the first."""


class _Held(Exception):
    def __init__(self, hold: Hold) -> None:
        super().__init__(hold.reason)
        self.hold = hold


# --- JSON -----------------------------------------------------------------------------------------------------------


def parse_json(data: bytes) -> object:
    """Parse JSON strictly: UTF-8, no member twice, no NaN, at most `JSON_DEPTH_MAX` deep.

    Raises:
        Refusal: with `not-utf-8` or `not-json`.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("not-utf-8", f"byte {error.start} is not UTF-8") from None
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        raise Refusal("not-json", f"nested more than {JSON_DEPTH_MAX} deep") from None
    except json.JSONDecodeError as error:
        raise Refusal("not-json", f"not JSON at character {error.pos}: {error.msg.lower()}") from None
    except ValueError:
        raise Refusal("not-json", "a number of too many digits") from None
    _check_depth(value)
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Refusal("not-json", "a member stands twice in one object")
    return members


def _no_constant(name: str) -> object:
    raise Refusal("not-json", f"`{name}` is not JSON")


def _check_depth(value: object) -> None:
    layer: list[object] = [value]
    for _ in range(JSON_DEPTH_MAX):
        layer = [
            inner for outer in layer if isinstance(outer, dict | list) for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not layer:
            return
    raise Refusal("not-json", f"nested more than {JSON_DEPTH_MAX} deep")


# --- items ----------------------------------------------------------------------------------------------------------


class ItemReader:
    """Reads items under one bundle, as of one time. A marking is read once for all that bear it: most items of an import share theirs.

    Args:
        at: the time of the act; dates that have passed by then have had their effect.
    """

    def __init__(self, bundle: Bundle, at: datetime) -> None:
        self._readings: Final = _Readings(bundle, at)

    def read(self, value: object, *, find_file: FindFile) -> ItemDraft:
        """Read one item.

        Raises:
            Refusal: malformed; `code` says how.
        """
        return _read_item(value, self._readings, find_file)


def read_item(value: object, *, bundle: Bundle, at: datetime, find_file: FindFile) -> ItemDraft:
    """Read one item alone; as `ItemReader`."""
    return ItemReader(bundle, at).read(value, find_file=find_file)


def _read_item(value: object, readings: _Readings, find_file: FindFile) -> ItemDraft:
    item = _members(value, _ITEM_MEMBERS, "item")
    ref = item.get("ref")
    if not isinstance(ref, str) or not 0 < len(ref) <= REF_LENGTH_MAX or UNPRINTABLE.search(ref):
        raise Refusal("ref", f"`ref` is a string of 1 to {REF_LENGTH_MAX} printable characters")
    given = item.get("portions")
    if not isinstance(given, list) or not given:
        raise Refusal("portions", "`portions` is a list with at least one portion")
    if len(given) > PORTIONS_MAX:
        raise Refusal("portions", f"{len(given)} portions, expected at most {PORTIONS_MAX}")
    scheme = readings.bundle.scheme
    reader = _Reader(readings, _names(item, "categories", ()), _names(item, "originators", (scheme.own,)), readings.marked_on(item, "item"))
    portions: list[PortionDraft] = []
    holds: list[Hold] = []
    labels: list[Label] = []
    marks: list[str | None] = []

    def draft_of(
        what: str,
        marked: Mapping[str, Any],
        content: _Content,
        *,
        within: int | None = None,
        place: str | None = None,
        instead_of: int | None = None,
    ) -> PortionDraft:
        stretches: _Timeline = ()
        declassify_on = None
        try:
            label, stretches, declassify_on = reader.portion(marked, what)
            labels.append(label)
            marks.append(marked.get("marking"))
        except _Held as held:
            holds.append(Hold(held.hold.code, f"{what}: {held.hold.reason}"))
        kind, data, _, _, name, _ = content
        words = searched(kind, content=data, name=name)
        return PortionDraft(*content, _written(marked), stretches, within, place, instead_of, declassify_on, words)

    for place, one in enumerate(given):
        members = _members(one, None, f"portion {place}")
        first = len(portions)
        for what, marked, content, part in _marked(members, place, find_file):
            within = None if part is None or part.within is None else first + part.within
            place_within = None if part is None else part.place
            portions.append(draft_of(what, marked, content, within=within, place=place_within))
        for what, marked, content in _tear_lines(members, place, find_file):
            portions.append(draft_of(what, marked, content, instead_of=first))
    if len(portions) > PORTIONS_MAX:
        more = "the tear-lines" if any(portion.instead_of is not None for portion in portions) else "the values marked by themselves"
        raise Refusal("portions", f"{len(portions)} portions with {more}, expected at most {PORTIONS_MAX}")
    _check_sizes(portions)
    compilation = None
    over_marked = None
    try:
        banner = None if holds else reader.banner(item, labels)
        if item.get("compilation") is not None:
            if any(portion.instead_of is not None for portion in portions):
                # What the parts reveal together was judged of the parts as they are, not of what stands in their place.
                raise Refusal("tear-line", "an item with a `compilation` has no `tear_line`: it goes out as it is, or not at all")
            compilation = reader.compilation(item["compilation"], labels)
        if banner is not None:
            together = None if compilation is None else (compilation[0][2], str(item["compilation"]))
            over_marked = reader.over_marked(banner, item, list(zip(labels, marks, strict=True)), together)
    except _Held as held:
        holds.append(held.hold)
    hold = holds[0] if holds else None
    if hold is not None:
        portions = [_without_timeline(portion) for portion in portions]
        compilation = over_marked = None
    return ItemDraft(
        ref=ref,
        marking=_written(item),
        whole=_whole(item, scheme),
        portions=tuple(portions),
        compilation=compilation,
        hold=hold,
        source=_canonical(_with_digests(item, portions)).decode("utf-8"),
        over_marked=over_marked,
        holds=tuple(holds),
    )


def _with_digests(item: Mapping[str, Any], portions: Sequence[PortionDraft]) -> dict[str, Any]:
    """The item's JSON with each file named by digest: paths mean nothing once the import is over."""

    def named(members: Mapping[str, Any], portion: PortionDraft) -> Mapping[str, Any]:
        if portion.kind != "file":
            return members
        return {**{name: members[name] for name in members if name != "path"}, "sha256": portion.content_sha256.hex()}

    written: list[Mapping[str, Any]] = []
    for number, portion in enumerate(portions):
        if portion.within is None and portion.instead_of is None:
            members = named(item["portions"][len(written)], portion)
            variants = [variant for variant in portions if variant.instead_of == number]
            if variants:
                members = {**members, "tear_line": [named(*pair) for pair in zip(members["tear_line"], variants, strict=True)]}
            written.append(members)
    return {**item, "portions": written}


def _without_timeline(portion: PortionDraft) -> PortionDraft:
    return replace(portion, timeline=())


def _members(value: object, allowed: set[str] | None, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Refusal("shape", f"{what} is not a JSON object")
    if allowed is None:
        kind = value.get("kind")
        if not isinstance(kind, str) or kind not in _KIND_MEMBERS:
            expected = ", ".join(f"`{name}`" for name in _KIND_MEMBERS)
            raise Refusal("kind", f"`kind` of {what} is one of {expected}")
        allowed = _PORTION_MEMBERS | _KIND_MEMBERS[kind]
    for name in value:
        if name not in allowed:
            raise Refusal("unknown-member", f"unknown member `{_shown(name)}` in {what}")
    return value


def _shown(text: str) -> str:
    return UNPRINTABLE.sub("?", text[:64])


def _names(members: Mapping[str, Any], key: str, default: Sequence[str]) -> tuple[str, ...]:
    given = members.get(key, list(default))
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise Refusal(key, f"`{key}` is a list of strings")
    if key == "originators" and not given:
        raise Refusal(key, "`originators` has at least one")
    return tuple(given)


def _written(members: Mapping[str, Any]) -> str:
    if "marking" in members and members["marking"] is not None:
        return str(members["marking"])
    return "" if members.get("label") is None else _canonical(members["label"]).decode("utf-8")


def _whole(item: Mapping[str, Any], scheme: Scheme) -> bool:
    given = item.get("releasable_in", scheme.releasable_in)
    if given not in list(ReleasableIn):
        raise Refusal("releasable_in", "`releasable_in` is `whole` or `portions`")
    return bool(given == ReleasableIn.WHOLE)


def _canonical(value: object) -> bytes:
    try:
        return canonical(value)
    except LeafError:
        pass  # the library tells better what is the matter with it
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise Refusal("not-canonical", f"a value that JSON cannot keep exactly: {str(error)[:120].lower()}") from None


def _check_sizes(portions: Sequence[PortionDraft]) -> None:
    titles = sum(portion.kind == "title" and portion.instead_of is None for portion in portions)
    if titles > 1:
        raise Refusal("title", f"{titles} titles, expected at most one")
    total = sum(len(portion.content) for portion in portions)
    if total > ITEM_BYTES_MAX:
        raise Refusal("item-too-large", f"an item of {total} bytes without files, expected at most {ITEM_BYTES_MAX}")
    written = sum(_written_bytes(portion) for portion in portions)
    if written > COPY_BYTES_MAX:
        raise Refusal("item-too-large", f"an item of {written} bytes as JSON writes it, expected at most {COPY_BYTES_MAX}")


def _written_bytes(portion: PortionDraft) -> int:
    """Bytes of a portion in a copy. A quote takes two, a control character six."""
    if portion.kind in ("title", "text"):
        return len(canonical_string(portion.content.decode("utf-8")))
    if portion.within is not None:
        # A part is named where it stands by itself, and by a pointer where it stands in its container.
        return len(portion.content) + 2 * len(canonical_string(portion.name or "")) + len((portion.place or "").encode("utf-8"))
    return len(portion.content)


_Content = tuple[str, bytes, bytes, int, str | None, str | None]


_Timeline = tuple[tuple[int, int, Label], ...]


def _content(members: Mapping[str, Any], place: int | str, find_file: FindFile) -> _Content:
    kind = members["kind"]
    if kind == "file":
        name, media_type = members.get("name"), members.get("media_type", "application/octet-stream")
        if not isinstance(name, str) or not 0 < len(name) <= _NAME_LENGTH_MAX or UNPRINTABLE.search(name) or set(name) & {"/", "\\"}:
            raise Refusal("name", f"`name` of portion {place} is a file name of at most {_NAME_LENGTH_MAX} characters, without a path")
        if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type):
            raise Refusal("media-type", f"`media_type` of portion {place} is like `image/png`")
        source = find_file(members)
        return kind, b"", source.sha256, source.size, name, media_type
    if kind == "json":
        if "value" not in members:
            raise Refusal("value", f"portion {place} has no `value`")
        content = _canonical(members["value"])
    else:
        text = members.get("text")
        if not isinstance(text, str) or not text:
            raise Refusal("text", f"`text` of portion {place} is a string that is not empty")
        try:
            content = text.encode("utf-8")
        except UnicodeEncodeError:
            raise Refusal("text", f"`text` of portion {place} holds half a surrogate pair") from None
    if len(content) > TEXT_PORTION_BYTES_MAX:
        raise Refusal("portion-too-large", f"portion {place} has {len(content)} bytes, expected at most {TEXT_PORTION_BYTES_MAX}")
    return kind, content, hashlib.sha256(content).digest(), len(content), None, None


_PART_MEMBERS: Final = _PORTION_MEMBERS - {"kind"}
_INHERITED: Final = ("categories", "originators", "not_before")
"""What a part has from its portion where it says nothing itself: never a date on which its label gets lower."""
_INHERITED_BY_PART: Final = (*_INHERITED, "marked_on")
"""A value within a portion was marked with it. A tear-line was written another day, and says which or has that of the item."""


def _marked(
    members: Mapping[str, Any], place: int, find_file: FindFile
) -> Iterator[tuple[str, Mapping[str, Any], _Content, parts.Part | None]]:
    """What of a portion is marked by itself, as (what it is, its marking and dates, its content, its part): mostly the portion alone."""
    content = _content(members, place, find_file)
    what = f"portion {place}"
    markings = members.get("markings")
    if markings is None or markings == {}:
        yield what, members, content, None
        return
    if not isinstance(markings, Mapping):
        raise Refusal("markings", f"`markings` of {what} is an object of pointers and markings")
    try:
        split = parts.split(members["value"], markings)
    except Rejected as error:
        raise Refusal(error.code, f"{what}: {error}") from None
    for part in split:
        canonical = _canonical(part.value)
        left: _Content = "json", canonical, hashlib.sha256(canonical).digest(), len(canonical), part.name, None
        if part.within is None:
            yield what, members, left, part
            continue
        of_part = f"{what} at `{_shown(part.pointer)}`"
        given = markings[part.pointer]
        own = _members({"marking": given} if isinstance(given, str) else given, _PART_MEMBERS, of_part)
        yield of_part, {**{name: members[name] for name in _INHERITED_BY_PART if name in members}, **own}, left, part


def _tear_lines(members: Mapping[str, Any], place: int, find_file: FindFile) -> Iterator[tuple[str, Mapping[str, Any], _Content]]:
    """The variants of a portion, in the author's order, as (what it is, its marking and dates, its content)."""
    given = members.get("tear_line")
    if given is None:
        return
    if not isinstance(given, list) or not given:
        raise Refusal("tear-line", f"`tear_line` of portion {place} is a list with at least one variant, the one that says most first")
    if members.get("markings"):
        raise Refusal("tear-line", f"portion {place} has both `markings` and `tear_line`, expected one")
    kind = members["kind"]
    allowed = (_PORTION_MEMBERS | _KIND_MEMBERS[kind]) - {"kind", "markings", "tear_line"}
    for number, one in enumerate(given):
        what = f"tear-line {number} of portion {place}"
        own = _members(one, allowed, what)
        # What narrows the portion narrows its variant too, unless the author says otherwise.
        marked = {**{name: members[name] for name in _INHERITED if name in members}, **own, "kind": kind}
        yield what, marked, _content(marked, f"{place}, tear-line {number},", find_file)


def label_of_marking(
    bundle: Bundle,
    marking: str,
    *,
    portion: bool,
    categories: Sequence[str],
    originators: Sequence[str],
    at: datetime,
    issuers: Sequence[str] | None = None,
    profile: MarkingProfile | None = None,
) -> Label:
    """The label of a marking under a bundle, with another's level put on our ladder by the bundle's table as of `at`.

    Args:
        issuers: whose level the marking may begin with; the originators where not given.
        profile: that of the bundle's scheme, by a caller who has it at hand.

    Raises:
        MarkingError: malformed.
        Unresolved: unmarked, or with a name that the bundle does not hold.
        LabelError: no originator.
    """
    scheme = bundle.scheme
    read = read_marking(
        marking,
        portion=portion,
        profile=profile or profile_of(scheme),
        originators=originators if issuers is None else issuers,
        equivalences=bundle.equivalent_levels,
        scheme=scheme,
        at=at,
    )
    label = label_of(read, categories=categories, originators=originators, scheme=scheme, known_codes=bundle.known_codes)
    for code in label.originators:
        if code in scheme.communities:
            # Consent is a partner's to give; of a community's information nothing could ever be decided.
            message = f"originator `{code}` is a community, expected a partner or ourselves"
            raise Unresolved(message, text=marking, code="unknown-code")
    return label


_Key = tuple[str, bool, tuple[str, ...], tuple[str, ...], tuple[str, ...], datetime]


class _Readings:
    """What markings and labels mean under one bundle at one time, each found out once. Errors are not held: they are few."""

    def __init__(self, bundle: Bundle, at: datetime) -> None:
        self.bundle: Final = bundle
        self.at: Final = at
        self.profile: Final[MarkingProfile] = profile_of(bundle.scheme)
        self._members: Final = bundle.members(at)
        self._partners: Final = frozenset(partner.code for partner in bundle.partners)
        self._labels: Final[dict[_Key, Label]] = {}
        self._dated: Final[dict[tuple[Label, str], tuple[_Timeline, str | None]]] = {}
        self._banners: Final[dict[tuple[Label, frozenset[Label]], Departures]] = {}

    def marked_on(self, members: Mapping[str, Any], what: str) -> datetime | None:
        """The `marked_on` of an item or portion: midnight of that day; None where it says nothing."""
        given = members.get("marked_on")
        if given is None:
            return None
        day = moment_of(given) if isinstance(given, str) and _DAY.fullmatch(given) else None
        if day is None:
            raise Refusal("marked-on", f"`marked_on` of {what} is a day like `2019-05-31`")
        if day > self.at:
            raise Refusal("marked-on", f"`marked_on` of {what} is `{given}`, which is still to come")
        return day

    def label(
        self,
        marking: str,
        *,
        portion: bool,
        categories: tuple[str, ...],
        originators: tuple[str, ...],
        issuers: tuple[str, ...],
        marked_on: datetime | None,
    ) -> Label:
        """The label of a marking. Raises as `label_of_marking`."""
        at = marked_on or self.at
        key = (marking, portion, categories, originators, issuers, at)
        found = self._labels.get(key)
        if found is None:
            found = self._labels[key] = label_of_marking(
                self.bundle,
                marking,
                portion=portion,
                categories=categories,
                originators=originators,
                issuers=issuers,
                at=at,
                profile=self.profile,
            )
        return found

    def given(self, value: object) -> Label:
        """A label given in place of a marking.

        Raises:
            Rejected: not a label, or one that no marking of the profile can say: it could be released and not be written.
        """
        label = Label.from_json(value)
        check_label(label, scheme=self.bundle.scheme, known_codes=self.bundle.known_codes)
        self.profile.write_portion(label)
        return label

    def dated(self, label: Label, members: Mapping[str, Any]) -> tuple[_Timeline, str | None]:
        """A label through time, by the dates beside it; and the event or exemption it waits for.

        Raises:
            Rejected: dates that cannot be read or make no sense.
        """
        dates = {name: members[name] for name in _DATES if members.get(name) is not None}
        key = (label, json.dumps(dates) if dates else "")
        found = self._dated.get(key)
        if found is None:
            scheme = self.bundle.scheme
            dated = DatedLabel.read(label, **dates, scheme=scheme, partners=self._partners)
            stretches = tuple(
                (micros(stretch.from_), FOREVER if stretch.until is None else micros(stretch.until), stretch.label)
                for stretch in timeline(dated, self.at, scheme=scheme)
            )
            undated = None if dated.undated is None else _canonical(dated.undated.to_json()).decode("utf-8")
            found = self._dated[key] = (stretches, undated)
        return found

    def excess(self, banner: Label, written: str | None, parts: Sequence[tuple[Label, str | None]]) -> str | None:
        """Where a banner is stricter than parts require, and the tightest that would do; None where it is not.

        By their labels, and where the profile has rules of its own for a page, by those as well: they may require more.
        """
        excess = self.departures(banner, [label for label, _ in parts]).excess
        if not excess:
            return None
        try:
            marks = dict.fromkeys(mark or self.profile.write_portion(label) for label, mark in parts)
            judged = judge(list(marks), written or self.profile.write_banner(banner), register=self._register())
        except Rejected:
            return excess[0]  # a label that no marking says, so that no page can be made of it
        if judged.verdict is Verdict.TOO_STRICT:
            return f"{judged.why}; `{judged.banner}` would do"
        # What the profile cannot read as a page (a level that a table puts on our ladder) is compared by labels alone.
        return excess[0] if judged.verdict is Verdict.INVALID else None

    def _register(self) -> Register:
        def level_of(issuer: str, name: str) -> str | None:
            return next(reversed(self.bundle.equivalent_levels.meant(issuer, name, at=self.at)), None)

        return Register(self.bundle.scheme, self.bundle.known_codes, self._members, level_of)

    def departures(self, banner: Label, labels: Collection[Label]) -> Departures:
        """How a banner departs from what labels require."""
        key = (banner, frozenset(labels))
        found = self._banners.get(key)
        if found is None:
            found = self._banners[key] = departures(banner, labels, scheme=self.bundle.scheme, members=self._members)
        return found


class _Reader:
    """Turns markings into labels for one item."""

    def __init__(self, readings: _Readings, categories: tuple[str, ...], originators: tuple[str, ...], marked_on: datetime | None) -> None:
        self._readings: Final = readings
        self._categories: Final = categories
        self._originators: Final = originators
        self._marked_on: Final = marked_on

    def portion(self, members: Mapping[str, Any], what: str) -> tuple[Label, _Timeline, str | None]:
        label = self._label(members, portion=True, what=what)
        stretches, undated = self._hold_or_refuse(lambda: self._readings.dated(label, members), what)
        return label, stretches, undated

    def banner(self, item: Mapping[str, Any], labels: Sequence[Label]) -> Label:
        """The label of the item's own marking: refused where it is looser than its portions require."""
        banner = self._label(item, portion=False, what="item", categories_of=labels)
        fault = self._readings.departures(banner, labels).fault
        if fault is not None:
            raise Refusal("marking-too-loose", f"the item's marking is looser than its portions require: {fault}")
        return banner

    def over_marked(
        self, banner: Label, item: Mapping[str, Any], portions: Sequence[tuple[Label, str | None]], together: tuple[Label, str] | None
    ) -> str | None:
        """Why the item's marking holds back what every portion allows; None where it does not.

        Args:
            portions: their labels, each with its marking as written, None where it was given as a label.
            together: likewise of the compilation, where there is one: a banner is to say what the parts reveal together.
        """
        parts = [*portions, *([] if together is None else [together])]
        excess = self._readings.excess(banner, item.get("marking"), parts)
        return None if excess is None else f"the item's marking is stricter than its portions require: {excess}"

    def compilation(self, marking: object, labels: Sequence[Label]) -> tuple[tuple[int, int, Label], ...]:
        """What the parts reveal together; never looser than they are."""
        label = self._label({"marking": marking}, portion=False, what="compilation", categories_of=labels)
        fault = self._readings.departures(label, labels).fault
        if fault is not None:
            raise Refusal("compilation-too-loose", f"the compilation marking is looser than the portions require: {fault}")
        return ((micros(self._readings.at), FOREVER, label),)

    def _label(self, members: Mapping[str, Any], *, portion: bool, what: str, categories_of: Sequence[Label] | None = None) -> Label:
        if "label" in members and "marking" in members:
            raise Refusal("marking", f"{what} has both `marking` and `label`, expected one")
        marked_on = self._readings.marked_on(members, what) or self._marked_on
        if members.get("label") is not None:
            return self._hold_or_refuse(lambda: self._readings.given(members["label"]), what)
        marking = members.get("marking")
        if marking is not None and not isinstance(marking, str):
            raise Refusal("marking", f"`marking` of {what} is a string")
        if not marking or not marking.strip():
            raise _Held(Hold("unmarked", "it bears no marking"))
        categories = _names(members, "categories", self._categories)
        originators = _names(members, "originators", self._originators)
        if categories_of is not None:
            categories = tuple(sorted({*categories, *(name for label in categories_of for name in label.categories)}))
            originators = tuple(sorted({*originators, *(code for label in categories_of for code in label.originators)}))
        # Whose level a banner begins with is for its portions to say, where the item does not.
        issuers = tuple(sorted({code for label in categories_of or () for code in label.originators})) or originators
        return self._hold_or_refuse(
            lambda: self._readings.label(
                marking, portion=portion, categories=categories, originators=originators, issuers=issuers, marked_on=marked_on
            ),
            what,
        )

    @staticmethod
    def _hold_or_refuse(read: Callable[[], _Read], what: str) -> _Read:
        try:
            return read()
        except Unresolved as unresolved:
            raise _Held(Hold(unresolved.code, str(unresolved))) from None
        except LabelError as error:
            raise Refusal("label", f"{what}: {error}") from None
        except Rejected as error:
            raise Refusal(error.code, f"{what}: {error}") from None
