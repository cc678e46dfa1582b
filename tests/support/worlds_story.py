"""What happens in both worlds, and the one thing that happens in only one of them.

The story is a list of acts about items that the partner may see, at least in part. Before, between and after them there are
*places*; a `Difference` acts there, in the world that has it. It may also change an item on its way in (a withheld portion more),
and act between the partner's requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from service.policy import read_directory
from tests.support.worlds import GBR, IND, OFFICER, POLICIES, Pair, Request, World

Item = dict[str, Any]
MAP: Final = b"\x89PNG\r\n\x1a\n a map that may be had \x00\xff"
SECRET_MAP: Final = b"\x89PNG\r\n\x1a\n a map that may not be had \x00\xfe"
TOMORROW: Final = "2026-11-23"
"""The story begins on the day before; the drive crosses midnight."""


def _nothing(_: World, __: int) -> None:
    pass


def _as_it_is(_: World, item: Item) -> Item:
    return item


@dataclass(frozen=True, slots=True)
class Difference:
    """One withheld thing.

    `at` is called at every place of the story by its number; `item` gives an item the form it has in this world; `between` is
    called between requests, by how many there were. `bundle` is the policy from the first publication on, where that is the
    difference.
    """

    name: str
    at: Callable[[World, int], None] = _nothing
    item: Callable[[World, Item], Item] = _as_it_is
    between: Callable[[World, int], None] = _nothing
    bundle: Callable[[], dict[str, bytes]] | None = None

    def __str__(self) -> str:
        return self.name


def sample(**added: tuple[str, ...]) -> dict[str, bytes]:
    """The shipped bundle with lines more, by file, and without its cases, which say what the shipped rules are to do."""
    files = dict(read_directory(POLICIES))
    files["cases.csv"] = files["cases.csv"].splitlines(keepends=True)[0]
    for stem, lines in added.items():
        files[f"{stem}.csv"] += "".join(f"{line}\n" for line in lines).encode("utf-8")
    return files


# --- what both worlds have ------------------------------------------------------------------------------------------


def _text(marking: str, text: str, **more: Any) -> Item:
    return {"kind": "text", "marking": marking, "text": text, **more}


def _title(marking: str, text: str) -> Item:
    return {"kind": "title", "marking": marking, "text": text}


def _file(world: World, marking: str, content: bytes, name: str = "map.png") -> Item:
    return {"kind": "file", "marking": marking, "sha256": world.keep_file(content), "name": name, "media_type": "image/png"}


def _item(ref: str, marking: str, categories: list[str], *portions: Item, **more: Any) -> Item:
    return {"ref": ref, "marking": marking, "categories": categories, "portions": list(portions), **more}


def _open(_: World) -> Item:
    return _item("story/open", "UNCLASSIFIED", ["MARITIME"], _title("(U)", "Open water"), _text("(U)", "Anyone may read this."))


def _parts(world: World) -> Item:
    return _item(
        "story/parts",
        "SECRET//NOFORN",
        ["DIPLOMATIC"],
        _title("(U)", "In parts"),
        _text("(S//REL TO USA, JPN)", "This part is for two."),
        _text("(S//NF)", "This part is for one."),
        {"kind": "json", "marking": "(C//REL TO USA, JPN)", "value": {"a": [1, 2, 3]}},
        _file(world, "(C//REL TO USA, JPN)", MAP),
        releasable_in="portions",
    )


def _whole(_: World) -> Item:
    text = _text("(S//REL TO USA, JPN)", "All of this.")
    return _item("story/whole", "SECRET//REL TO USA, JPN", ["AIR"], text, releasable_in="whole")


def _untitled(world: World) -> Item:
    return _item(
        "story/untitled",
        "SECRET//NOFORN",
        ["MARITIME"],
        _text("(C//REL TO USA, QUAD)", "No title may be had."),
        _text("(S//NF)", "Nor this."),
        _file(world, "(C//REL TO USA, QUAD)", MAP, "second.png"),
    )


def _later(_: World) -> Item:
    late = _text("(S//REL TO USA, JPN)", "This comes tomorrow.", not_before={"*": TOMORROW})
    return _item("story/later", "SECRET//REL TO USA, JPN", ["MARITIME"], _title("(S//REL TO USA, JPN)", "Later"), late)


def _twice(_: World) -> Item:
    text = "The same words twice."
    return _item("story/twice", "SECRET//NOFORN", ["BASES"], _text("(S//REL TO USA, JPN)", text), _text("(S//NF)", "Other words."))


def _corrected(world: World) -> Item:
    item = _parts(world)
    item["portions"][1] = _text("(S//REL TO USA, JPN)", "This part is for two, corrected.")
    return item


def _compiled(_: World) -> Item:
    return _item(
        "story/compiled",
        "SECRET//REL TO USA, JPN",
        ["ARMS-CONTROL"],
        _text("(C//REL TO USA, JPN)", "One half."),
        _text("(C//REL TO USA, JPN)", "The other half."),
        compilation="SECRET//REL TO USA, JPN",
    )


STORY: Final[tuple[tuple[str, Callable[[World], Item]], ...]] = (
    ("create", _open),
    ("create", _parts),
    ("create", _whole),
    ("create", _untitled),
    ("create", _later),
    ("create", _twice),
    ("update", _corrected),
    ("create", _compiled),
)
"""Nine places: before the first step, between any two, after the last."""


def tell(pair: Pair, difference: Difference) -> None:
    """Tell the story in both worlds, with the difference in one."""
    # Files go ahead at times of their own: what is done at one time is told apart by a microsecond, and would show.
    pair.both(lambda world: world.keep_file(MAP))
    pair.having_only(lambda world: world.keep_file(SECRET_MAP))
    pair.having_only(lambda world: difference.at(world, 0))
    for place, (verb, make) in enumerate(STORY, start=1):
        pair.tick()
        pair.without.store(make(pair.without), update=verb == "update")
        pair.having.store(difference.item(pair.having, make(pair.having)), update=verb == "update")
        pair.having_only(lambda world, place=place: difference.at(world, place))  # type: ignore[misc]


# --- the differences ------------------------------------------------------------------------------------------------


def _at_each_place(make: Callable[[World, int], Item]) -> Callable[[World, int], None]:
    def at(world: World, place: int) -> None:
        world.store(make(world, place))

    return at


def _hidden(marking: str, categories: list[str], **more: Any) -> Callable[[World, int], Item]:
    mark = "(S//NF)" if marking.endswith("NOFORN") else "(" + marking.replace("SECRET", "S").replace("CONFIDENTIAL", "C") + ")"

    def make(_: World, place: int) -> Item:
        text = _text(mark, f"Not for them, {place}.", **more)
        return _item(f"hidden/{place}", marking, categories, {**_title(mark, f"Hidden {place}"), **more}, text)

    return make


def _hidden_file(world: World, place: int) -> Item:
    return _item(f"hidden/{place}", "SECRET//NOFORN", ["MARITIME"], _file(world, "(S//NF)", SECRET_MAP + bytes([place])))


def _hidden_with_their_words(_: World, place: int) -> Item:
    # The very words and label of a part they may have, in an item that goes out whole or not at all.
    shown = _text("(S//REL TO USA, JPN)", "This part is for two.")
    return _item(f"hidden/{place}", "SECRET//NOFORN", ["DIPLOMATIC"], shown, _text("(S//NF)", "Not this."), releasable_in="whole")


def _hidden_by_compilation(_: World, place: int) -> Item:
    halves = [_text("(C//REL TO USA, JPN)", f"Half {number} of {place}.") for number in range(2)]
    return _item(f"hidden/{place}", "SECRET//NOFORN", ["MARITIME"], *halves, compilation="SECRET//NOFORN")


def _portion_more(portion: Callable[[World], Item], *, first: bool) -> Callable[[World, Item], Item]:
    def item(world: World, item: Item) -> Item:
        if not item["marking"].endswith("NOFORN"):
            return item
        portions = [portion(world), *item["portions"]] if first else [*item["portions"], portion(world)]
        return {**item, "portions": portions}

    return item


def _value_more(_: World, item: Item) -> Item:
    """A member and an element more in every JSON value, each withheld by a mark of its own."""

    def more(portion: Item) -> Item:
        if portion["kind"] != "json":
            return portion
        value = {"a": [1, {"secret": "a part more"}, 2, 3], "two": "a part more"}
        return {**portion, "value": value, "markings": {"/a/1": "(S//NF)", "/two": "(S//NF)"}}

    return {**item, "portions": [more(portion) for portion in item["portions"]]}


def _tear_lines(world: World, item: Item) -> Item:
    """What is shown of an item is in truth instead of something that is not: each portion is a tear-line of one that is withheld."""
    originals: dict[str, Item] = {
        "title": {"text": "In truth it is called otherwise"},
        "text": {"text": "In truth it says more than two may read."},
        "json": {"value": {"in": ["truth", "more"] * 9}},
        "file": {"sha256": world.keep_file(SECRET_MAP), "name": "truth.png", "media_type": "image/png"},
    }
    if "compilation" in item:
        return item

    def torn(portion: Item) -> Item:
        variant = {name: value for name, value in portion.items() if name != "kind"}
        also = {**variant, "marking": "(C//NF)", "categories": item["categories"]}
        return {"kind": portion["kind"], "marking": "(S//NF)", **originals[portion["kind"]], "tear_line": [also, variant]}

    return {**item, "marking": "SECRET//NOFORN", "portions": [torn(portion) for portion in item["portions"]]}


def _torn_once(world: World, item: Item) -> Item:
    """The same of one portion of one item: what is withheld of an item that is shown in part costs a row, and no more."""
    if item["ref"] != "story/twice":
        return item
    torn = _tear_lines(world, item)["portions"][0]
    return {**item, "portions": [{**torn, "tear_line": torn["tear_line"][1:]}, *item["portions"][1:]]}


def _truth_changes(world: World, place: int) -> None:
    """From the seventh place on what is withheld behind the tear-lines is corrected, relabelled, comes and goes."""
    if place == 7:
        item = _tear_lines(world, _whole(world))
        item["portions"][0]["text"] = "In truth, and corrected, it says more still."
        world.store(item, update=True)
    if place == 8:
        world.relabel(
            "story/whole",
            "(S//REL TO USA, GBR)",
            portion_id=_portion_of(world, "story/whole", "In truth, and corrected, it says more still."),
        )
        item = _tear_lines(world, _later(world))
        item["portions"][1]["tear_line"].pop(0)
        world.store(item, update=True)


def _title_more(_: World, item: Item) -> Item:
    if item["ref"] != "story/untitled":
        return item
    return {**item, "portions": [_title("(S//NF)", "A title that may not be had"), *item["portions"]]}


def _for_others_too(_: World, item: Item) -> Item:
    def widened(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("REL TO USA, JPN", "REL TO USA, GBR, IND, JPN")
        if isinstance(value, dict):
            return {name: widened(one) for name, one in value.items()}
        return [widened(one) for one in value] if isinstance(value, list) else value

    return {**item, **{name: widened(item[name]) for name in ("marking", "portions", "compilation") if name in item}}


def _twice_with(*texts: tuple[str, str]) -> Item:
    return _item("story/twice", "SECRET//NOFORN", ["BASES"], *(_text(marking, text) for marking, text in texts))


_SHOWN: Final = ("(S//REL TO USA, JPN)", "The same words twice.")
_LEVEL: Final = "(S//NF)"


def _versions(world: World, place: int) -> None:
    """From the sixth place on there is `story/twice`: withheld parts change, come, go, and say what a shown part says."""
    versions = {
        6: _twice_with(_SHOWN, (_LEVEL, "Other words, changed.")),
        7: _twice_with((_LEVEL, _SHOWN[1]), _SHOWN, (_LEVEL, "More words.")),
        8: _twice_with(_SHOWN, (_LEVEL, _SHOWN[1])),
    }
    if place in versions:
        world.store(versions[place], update=True)


def _quarantined(world: World, place: int) -> None:
    unmarked = _item(f"hidden/{place}", "", ["MARITIME"], _text("", "Nobody marked this."))
    del unmarked["marking"], unmarked["portions"][0]["marking"]
    world.store(unmarked)
    if place >= 6:
        version = _twice_with(("(S//REL TO USA, JPN)", "New words, for them if they were marked."), _SHOWN)
        version["portions"].append({"kind": "text", "text": f"Unmarked {place}."})
        world.store(version, update=True)


def _withdrawn(world: World, place: int) -> None:
    world.store(_hidden("SECRET//REL TO USA, JPN", ["MARITIME"], not_before={"*": TOMORROW})(world, place))
    world.withdraw(f"hidden/{place}")


def _relabelled(world: World, place: int) -> None:
    world.store(_hidden("SECRET//NOFORN", ["DIPLOMATIC"])(world, place))
    world.relabel(f"hidden/{place}", "(TS//NF)" if place % 2 else "(S//REL TO USA, GBR)")
    if place == 6:
        portion = _portion_of(world, "story/twice", "Other words.")
        world.relabel("story/twice", "(TS//NF)", portion_id=portion)


def _portion_of(world: World, ref: str, text: str) -> str:
    sql = "SELECT p.id FROM portion p JOIN item i ON i.id = p.item_id WHERE i.ref = '{}' AND CAST(p.content AS TEXT) = '{}'"
    return str(world.rows(sql.format(ref, text))[0][0])


NEW_PARTNER: Final[dict[str, tuple[str, ...]]] = {
    "partners": ("g2, XAN, active, , , nation, Xanadu",),
    "communities": ("g, XAN, XAN-CLUB, ,", "g, XAN, ALL-PARTNERS, ,", "g, USA, XAN-CLUB, ,"),
    "agreements": (
        "p, AGR-9001, allow, release, XAN, *, TOP SECRET, AIR BASES DIPLOMATIC MARITIME, none, *, 2020-01-01, , Unspoken agreement",
        "p, AGR-9002, allow, refer, XAN-CLUB, *, SECRET, CYBER, none, *, 2026-11-23, , Unspoken understanding",
    ),
    "prohibitions": ("p, PRO-9001, deny, *, XAN-CLUB, *, SECRET, NUCLEAR, *, *, 2026-11-23, , Unspoken order",),
}


def _published(place: int, **added: tuple[str, ...]) -> Callable[[World, int], None]:
    def at(world: World, here: int) -> None:
        if here == place:
            world.publish(sample(**added))

    return at


def _new_partner(world: World, place: int) -> None:
    if place == 3:
        world.publish(sample(**NEW_PARTNER))
        world.add_client("two-worlds-xan", "XAN", ("PEACEKEEPING-UN",))
    if place > 3:
        world.store(_hidden("SECRET//REL TO USA, XAN", ["MARITIME"])(world, place))


def _partner_there(world: World, place: int) -> None:
    if place == 0:
        world.add_client("two-worlds-xan", "XAN", ("PEACEKEEPING-UN",))
    world.store(_hidden("SECRET//REL TO USA, XAN", ["MARITIME"])(world, place))


def _traffic_of(partner: str) -> Callable[[World, int], None]:
    def between(world: World, asked: int) -> None:
        if partner not in world.clients:
            return
        page = world.ask(Request("GET", "/v1/items", query="limit=3"), who=partner)
        retry = ("Idempotency-Key", f"retry-of-{asked:012d}")
        world.ask(Request("GET", f"/v1/items/{next(iter(world.items.values()))}", headers=(retry,)), who=partner)
        world.ask(Request("GET", "/v1/items/nothing"), who=partner)
        if page.status != 200:
            raise ValueError("the other partner's traffic is not answered")

    return between


def _another_client(world: World, place: int) -> None:
    if place == 2:
        world.add_client("two-worlds-gbr", GBR, ("PEACEKEEPING-UN",))


def _acts_between(world: World, asked: int) -> None:
    """Acts about what is withheld, while the partner asks."""
    ref = f"meanwhile/{asked}"
    world.store({**_hidden("SECRET//NOFORN", ["MARITIME"])(world, 0), "ref": ref})
    world.relabel(ref, "(TS//NF)")
    if asked % 2:
        world.withdraw(ref)


def _suspended(world: World, place: int) -> None:
    if place == 2:
        world.installation.publishing.suspend(GBR, OFFICER, reason="the story says so")
    if place == 4:
        world.installation.publishing.resume(GBR, OFFICER, reason="the story says so")
    if place == 6:
        world.installation.publishing.suspend(IND, OFFICER, reason="the story says so")


def _many(world: World, place: int) -> None:
    for number in range(6):
        world.store({**_hidden("SECRET//NOFORN", ["MARITIME"])(world, place), "ref": f"hidden/{place}/{number}"})


MANY: Final = Difference("fifty-four-items", at=_many)
"""For what must not grow with what is withheld."""
TORN_ONCE: Final = Difference("portion-behind-a-tear-line", item=_torn_once)
"""Likewise."""
NOTHING: Final = Difference("nothing")


DIFFERENCES: Final = (
    Difference("item", at=_at_each_place(_hidden("SECRET//NOFORN", ["MARITIME"]))),
    Difference("item-of-files", at=_at_each_place(_hidden_file)),
    Difference("item-whole-for-one-part", at=_at_each_place(_hidden_with_their_words)),
    Difference("item-by-compilation", at=_at_each_place(_hidden_by_compilation)),
    Difference("item-released-to-another", at=_at_each_place(_hidden("CONFIDENTIAL//REL TO USA, IND", ["ECONOMIC"]))),
    Difference("item-under-embargo", at=_at_each_place(_hidden("SECRET//REL TO USA, JPN", ["MARITIME"], not_before={"*": "2027-05-01"}))),
    Difference("item-of-a-category-without-agreement", at=_at_each_place(_hidden("SECRET//REL TO USA, JPN", ["NUCLEAR"]))),
    Difference("item-withdrawn-before-it-was-visible", at=_withdrawn),
    Difference("item-relabelled", at=_relabelled),
    Difference("portion-of-text", item=_portion_more(lambda _: _text("(S//NF)", "One part more."), first=True)),
    Difference("portion-of-text-as-one-shown", item=_portion_more(lambda _: _text("(S//NF)", _SHOWN[1]), first=True)),
    Difference(
        "portion-of-json", item=_portion_more(lambda _: {"kind": "json", "marking": "(S//NF)", "value": {"b": [0] * 200}}, first=False)
    ),
    Difference("portion-of-file", item=_portion_more(lambda world: _file(world, "(S//NF)", SECRET_MAP, "secret.png"), first=True)),
    Difference("portion-that-is-the-title", item=_title_more),
    Difference("portions-behind-tear-lines", at=_truth_changes, item=_tear_lines),
    Difference("value-in-a-json-portion", item=_value_more),
    Difference("audience-of-others", item=_for_others_too),
    Difference("versions-of-withheld-portions", at=_versions),
    Difference("versions-in-quarantine", at=_quarantined),
    Difference("partner", at=_new_partner, between=_traffic_of("XAN")),
    Difference("partner-from-the-beginning", at=_partner_there, between=_traffic_of("XAN"), bundle=lambda: sample(**NEW_PARTNER)),
    Difference(
        "prohibition-on-another",
        at=_published(
            3,
            prohibitions=(
                "p, PRO-9002, deny, *, GBR, *, UNCLASSIFIED, MARITIME, *, *, , , Unspoken order",
                "p, PRO-9003, deny, release, FVEY, *, SECRET, AIR, *, *, 2026-11-23, , Unspoken order",
            ),
        ),
    ),
    Difference(
        "agreement-of-another",
        at=_published(
            3,
            agreements=(
                "p, AGR-9003, allow, release, IND, *, SECRET, ARMS-CONTROL BASES, none, *, 2020-01-01, , Unspoken agreement",
                "p, AGR-9004, allow, release, GBR, *, SECRET, AIR, none, *, 2026-11-23, 2026-11-24, Unspoken agreement",
            ),
        ),
    ),
    Difference("client-of-another-and-its-traffic", at=_another_client, between=_traffic_of(GBR)),
    Difference("traffic-of-another", between=_traffic_of(IND)),
    Difference("another-suspended", at=_suspended),
    Difference("acts-meanwhile", between=_acts_between),
)
