"""Every route of the OpenAPI document, asked as a partner would who wants to find out what is kept from it.

Nothing that is driven is named here. Paths, methods, parameters and bodies come from the document; what is put into them comes from
what the partner has been answered so far, from what it might have heard (ids and refs of what is hidden), and from what one tries on
any service. A route added tomorrow is driven tomorrow.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from service.app import build_routes, openapi
from tests.support.worlds import GBR, IND, JPN, PURPOSE, Answer, Base, Pair, Request, kind_of

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
BETWEEN: Final = 60
"""After so many requests something may happen elsewhere."""
_PLACEHOLDER: Final = re.compile(r"\{([^}]*)\}")
_RANDOM: Final = re.compile(rb"[A-Za-z0-9_-]{22,64}")
_MALFORMED: Final = (
    "a%2Fb", "%00", "%E2%82%AC", "%FF%FE", "..", "%2e%2e", "%2E%2E%2F%2E%2E", "%252e", ".", "", "%20", "*", "null", "0",
    "-1", "%27%20OR%201=1", "x" * 64, "x" * 65, "x" * 3000,
)  # fmt: skip
_TILES: Final = ("0/000", "entries/000", "1/000", "0/001", "0/000.p/0", "0/000.p/256", "entries/x001/000")
_NAMES: Final = (
    "UNCLASSIFIED", "CONFIDENTIAL", "SECRET", "TOP SECRET", "RESTRICTED", "secret", "MARITIME", "DIPLOMATIC", "NUCLEAR", "NO-SUCH",
    "", "%", "\u20ac", "' OR 1=1", "x" * 101,
)  # fmt: skip

Both = tuple[str, str]
"""A value in the world without and in the world with."""


def document() -> dict[str, Any]:
    """The OpenAPI document of the application as it is."""
    return openapi(build_routes())


def operations(described: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(method, path) of every operation of a document."""
    return {(method.upper(), path) for path, found in described["paths"].items() for method in found if method.upper() in METHODS}


@dataclass(slots=True)
class Known:
    """What the partner knows, a value of each world at a time."""

    families: list[list[Both]] = field(default_factory=list)
    """Ids that stood in one answer, in order."""
    places: list[Both] = field(default_factory=list)
    """What is given to come back with: cursors, bookmarks."""
    sizes: list[str] = field(default_factory=list)
    hidden: list[list[Both]] = field(default_factory=list)
    """Ids that it should not know, each family an item and its parts, in both worlds the same text or the same thing."""
    _seen: set[Both] = field(default_factory=set)

    def learn(self, answers: tuple[Answer, Answer]) -> None:
        """Take in what stood in an answer."""
        one, other = answers
        if len(one.body) != len(other.body) or b"\xff" in one.body:
            return
        ids: list[Both] = []
        for found in zip(_RANDOM.findall(one.body), _RANDOM.findall(other.body), strict=False):
            value = (found[0].decode(), found[1].decode())
            kind = kind_of(found[0])
            if value in self._seen or kind not in ("id", "cursor") or kind_of(found[1]) != kind:
                continue
            self._seen.add(value)
            (self.places if kind == "cursor" else ids).append(value)
        if ids:
            self.families.append(ids)
        lines = one.body.split(b"\n")
        if len(lines) > 2 and lines[1].isdigit():
            self.sizes.append(lines[1].decode())


class Drive:
    """Asks both worlds everything.

    Args:
        between: called after every `BETWEEN` requests, in the world that has the difference.
    """

    def __init__(self, pair: Pair, base: Base, between: Callable[[int], None], described: Mapping[str, Any] | None = None) -> None:
        self.pair: Final = pair
        self.document: Final = described or document()
        self.driven: Final[set[tuple[str, str]]] = set()
        self.known: Final = Known(hidden=hidden_values(pair, base))
        self._between: Final = between
        self._ours: dict[tuple[str, str], bool] = {}

    def ask(self, method: str, path: str, **more: Any) -> tuple[Answer, Answer]:
        """Ask for one path in both worlds; `path` and `query` may be two."""
        one, other = self._requests(method, path, **more)
        if self.pair.asked % BETWEEN == BETWEEN - 1:
            self.pair.having_only(lambda _: self._between(self.pair.asked))
        return self.pair.ask(one, other)

    def _requests(self, method: str, path: str | Both, query: str | Both = "", **more: Any) -> tuple[Request, Request]:
        paths = (path, path) if isinstance(path, str) else path
        queries = (query, query) if isinstance(query, str) else query
        return Request(method, paths[0], queries[0], **more), Request(method, paths[1], queries[1], **more)

    # --- the whole

    def everything(self, *, few: bool = False, again: bool = True) -> None:
        """All of it, and then the day after.

        Args:
            few: every operation all the same, with fewer of the values that have nothing to do with what is hidden.
            again: whether pages and paths are asked again the day after; if not, only what takes no values, and the own log to its end.
        """
        self.plain()
        self.paging(few=few)
        self.by_path(few=few)
        self.by_query(few=few)
        self.by_header(few=few)
        if not few:
            self.by_method()
        self.pair.tick(timedelta(hours=14))
        self.plain()
        if again:
            self.paging(few=True)
            self.by_path(few=True, again=True)
        self.own_account()

    def operate(self, operation: tuple[str, str], path: str | Both, query: str | Both = "", **more: Any) -> tuple[Answer, Answer]:
        """Ask an operation of the document, and remember whose it turned out to be."""
        self.driven.add(operation)
        answers = self.ask(operation[0], path, query=query, **more)  # type: ignore[arg-type]
        self._ours.setdefault(operation, answers[0].status != 403)
        self.known.learn(answers)
        return answers

    def operations(self, *, placeholders: bool) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
        for path, found in self.document["paths"].items():
            for method, described in found.items():
                if method.upper() in METHODS and bool(_PLACEHOLDER.search(path)) is placeholders:
                    yield (method.upper(), path), described

    # --- its parts

    def plain(self) -> None:
        """Every operation without placeholders, as it stands, with each body it says it takes."""
        for operation, described in self.operations(placeholders=False):
            for headers, body in self._bodies(described):
                self.operate(operation, operation[1], headers=headers, body=body)

    def paging(self, *, few: bool = False) -> None:
        """Lists: by pages of every size, on and on; each place given where each parameter might take it."""
        for operation, described in self.operations(placeholders=False):
            numbers = [one for one in _parameters(described) if one["schema"].get("type") == "integer"]
            texts = [one["name"] for one in _parameters(described) if not _is_integer(one)]
            if operation[0] not in ("GET", "HEAD"):
                continue
            for number in numbers if self._ours.get(operation) else numbers[:1]:
                name, schema = number["name"], number["schema"]
                low, high = schema.get("minimum", 1), schema.get("maximum", 100)
                odd = () if few else (low - 1, high + 1, "x", "", f"{low}&{name}={low}", "1e0", "0x1", " 1")
                for value in (low, low + 2, high) if few else (low, low + 1, low + 2, high, *odd):
                    query = f"{name}={quote(str(value), safe='&=')}"
                    before = len(self.known.places)
                    self.operate(operation, operation[1], query)
                    if not self._ours[operation]:
                        break
                    for place, text in itertools.product(self.known.places[before : before + 2], texts):
                        self.operate(operation, operation[1], _each(place, lambda given, text=text, query=query: f"{query}&{text}={given}"))  # type: ignore[misc]
                    if value in ((low + 2,) if few else (low, low + 1)) and operation[0] == "GET":
                        self._to_the_end(operation, query, texts, pages=12)

    def by_path(self, *, few: bool = False, again: bool = False) -> None:
        """Every operation with placeholders, with all that might stand in them; `again`, only to see whether answers have moved."""
        for operation, described in self.operations(placeholders=True):
            names = _PLACEHOLDER.findall(operation[1])
            headers, body = self._bodies(described)[0]
            ours = self._ours.get(operation, True)
            for count, values in enumerate(self._fillings(len(names), few=few or operation[0] == "HEAD")):
                if count >= 3 and not ours:
                    break
                if count >= 2 and operation[0] == "HEAD" and (again or (few and count % 4)):
                    continue
                if again and count >= 26:
                    break
                self.operate(operation, _each_of(values, lambda texts, path=operation[1]: _filled(path, texts)), headers=headers, body=body)  # type: ignore[misc]
                ours = self._ours[operation]

    def by_query(self, *, few: bool = False) -> None:
        """Text parameters with names, places and nonsense, alone, twice and together; parameters that do not exist."""
        foreign = self._foreign_places()
        for operation, described in (*self.operations(placeholders=False), *self.operations(placeholders=True)):
            texts = [one["name"] for one in _parameters(described) if not _is_integer(one)]
            if operation[0] not in ("GET", "HEAD") or (few and not self._ours.get(operation)):
                continue
            path = self._a_good_path(operation)
            odd = ("no-such-parameter=1", "q=a", "total=1", "limit=1&limit=2", "=", "%00=1", "cursor", "a" * 200)
            for query in odd[:1] if few else odd:
                self.operate(operation, path, query)
            if not self._ours.get(operation) or operation[0] == "HEAD":
                texts = texts[:1]
            for name in texts:
                values = [
                    *((text, text) for text in (_NAMES[2:10:2] if few else _NAMES)),
                    *self.known.places[:3],
                    *self.known.places[-2:],
                    *foreign,
                ]
                for value in values:
                    self.operate(operation, path, _each(value, lambda text, name=name: f"{name}={quote(text, safe='')}"))  # type: ignore[misc]
                self.operate(operation, path, f"{name}=SECRET&{name}=CONFIDENTIAL&limit=2")
                self.operate(operation, path, f"{name}=MARITIME&{name}=NUCLEAR&{name}=DIPLOMATIC&limit=2")
            for one, other in itertools.combinations(texts, 2):
                self.operate(operation, path, f"{one}=SECRET&{other}=MARITIME")
                self.operate(operation, path, f"{one}=TOP%20SECRET&{other}=NUCLEAR")

    def by_header(self, *, few: bool = False) -> None:
        """Headers that ask for less, for more, for the same again, or for another purpose."""
        tried: tuple[tuple[str, str], ...] = (
            ("Range", "bytes=0-3"), ("Range", "bytes=-1"), ("If-Range", "Sun, 22 Nov 2026 10:00:00 GMT"), ("If-None-Match", "*"),
            ("If-Match", "*"), ("If-Modified-Since", "Sun, 22 Nov 2026 10:00:00 GMT"), ("Purpose", PURPOSE), ("Purpose", "none"),
            ("Purpose", "PEACEKEEPING-UN"), ("Purpose", "NO-SUCH"), ("Purpose", ""), ("Accept", "text/html"), ("Accept-Encoding", "gzip"),
            ("Accept-Language", "ja"), ("Origin", "https://elsewhere.example"), ("X-Forwarded-For", "10.0.0.1"),
            ("X-HTTP-Method-Override", "DELETE"), ("Idempotency-Key", "short"), ("Idempotency-Key", "two-worlds-key-0"),
            ("Idempotency-Key", "two-worlds-key-0"),
            ("Prefer", "count=exact"),
        )  # fmt: skip
        for number, (operation, _) in enumerate((*self.operations(placeholders=False), *self.operations(placeholders=True))):
            if operation[0] not in ("GET", "HEAD") or (few and not self._ours.get(operation)):
                continue
            paths = [self._a_good_path(operation)]
            if _PLACEHOLDER.search(operation[1]) and self._ours.get(operation):
                paths.append(self._a_hidden_path(operation))
            for path in paths:
                for header in (tried[::6] if few else tried) if self._ours.get(operation) and operation[0] == "GET" else tried[:1]:
                    self.operate(operation, path, headers=(header,))
                # A key of this route's own, twice: told of the first event.
                for _ in range(2):
                    self.operate(operation, path, headers=(("Idempotency-Key", f"two-worlds-key-of-{number:04d}"),))
            self.operate(operation, paths[0], authorized=False)
            self.operate(operation, paths[0], authorized=False, headers=(("Authorization", "Bearer nonsense"),))

    def by_method(self) -> None:
        """Methods the document does not have, and paths it does not have."""
        documented = operations(self.document)
        for path in self.document["paths"]:
            filled = self._a_good_path(("GET", path))
            for method in METHODS:
                if (method, path) not in documented:
                    self.ask(method, filled)  # type: ignore[arg-type]
        segments = sorted({segment for path in self.document["paths"] for segment in path.split("/") if segment and "{" not in segment})
        for path in (
            "/",
            "//",
            "/v1",
            "/v1/",
            "/v1/items/",
            "//v1/items",
            "/V1/ITEMS",
            "/openapi.json",
            "/docs",
            "/metrics",
            "/v1/../v1/me",
        ):
            self.ask("GET", path)
        for segment in segments:
            self.ask("GET", f"/v1/{segment}")

    def own_account(self) -> None:
        """All that is to be had of our own log, to the end: faces, receipts, tiles."""
        for operation, described in self.operations(placeholders=False):
            if operation[0] != "GET" or not self._ours.get(operation):
                continue
            for parameter in _parameters(described):
                if _is_integer(parameter):
                    query = f"{parameter['name']}={parameter['schema'].get('maximum', 100)}"
                    texts = [one["name"] for one in _parameters(described) if not _is_integer(one)]
                    self._to_the_end(operation, query, texts)

    def _to_the_end(self, operation: tuple[str, str], query: str, texts: Sequence[str], *, pages: int = 40) -> None:
        """Follow what is called `next`, wherever it is taken."""
        where: Both = (query, query)
        for _ in range(pages):
            answers = self.operate(operation, operation[1], where)
            found = [_member(answer.body, "next") for answer in answers]
            if answers[0].status != 200 or None in found:
                return
            for name in texts:
                following = (f"{query}&{name}={found[0]}", f"{query}&{name}={found[1]}")
                if self.operate(operation, operation[1], following)[0].status == 200:
                    where = following
                    break
            else:
                return

    # --- what to put in

    def _fillings(self, count: int, *, few: bool) -> Iterator[tuple[Both, ...]]:
        known, hidden = self.known.families, self.known.hidden
        random = [("AAAAAAAAAAAAAAAAAAAAAA",) * 2, ("c_AAAAAAAAAAAAAAAAAAAAAAAA",) * 2]
        malformed = [(text, text) for text in (_MALFORMED[:4] if few else _MALFORMED)]
        tiles = [
            (text, text) for text in (*_TILES, *(f"{kind}/000.p/{size}" for size in self.known.sizes[-2:] for kind in ("0", "entries")))
        ]
        visible = _unique(value for family in (*known[:3], *known[-2:]) for value in family[: 2 if few else 9])
        secret = _unique(value for family in hidden for value in family)
        if count == 1:
            yield from ((value,) for value in (*visible[:2], *secret, *random, *visible[2:], *malformed, *([] if few else tiles)))
            return
        for family in (*known[: 3 if few else 12], *hidden):
            for value in family[1:6]:
                yield (family[0],) * (count - 1) + (value,)
        strangers = [*(family[0] for family in hidden), *random]
        for value in (*secret, *random, *(malformed[:1] if few else malformed)):
            yield (visible[0],) * (count - 1) + (value,)
            yield (value,) * (count - 1) + (visible[0],)
        for one, other in itertools.islice(itertools.product(strangers, secret), 0, 4 if few else 40):
            yield (one,) * (count - 1) + (other,)
        for one, other in itertools.pairwise(visible[: 4 if few else None]):
            yield (one,) * (count - 1) + (other,)

    def _a_good_path(self, operation: tuple[str, str]) -> str | Both:
        names = _PLACEHOLDER.findall(operation[1])
        if not names:
            return operation[1]
        family = next((family for family in self.known.families if len(family) > 1), [("x", "x")] * 2)
        values = (family[0],) * (len(names) - 1) + (family[-1] if len(names) > 1 else family[0],)
        return _each_of(values, lambda texts: _filled(operation[1], texts))

    def _a_hidden_path(self, operation: tuple[str, str]) -> str | Both:
        family = self.known.hidden[0]
        values = (family[0],) * (len(_PLACEHOLDER.findall(operation[1])) - 1) + (family[-1],)
        return _each_of(values, lambda texts: _filled(operation[1], texts))

    def _foreign_places(self) -> list[Both]:
        """Places that others would be given, in this partner's hands."""
        world = self.pair.having
        answer = world.ask(Request("GET", "/v1/items", query="limit=1"), who=IND) if IND in world.clients else None
        self.pair.without.ask(Request("GET", "/v1/items", query="limit=1"), who=IND)
        found = [_member(answer.body, name) for name in ("next", "bookmark")] if answer is not None else []
        return [(text, text) for text in (*found, "A" * 62, "A" * 61, "=" * 10) if text is not None]

    def _bodies(self, described: Mapping[str, Any]) -> list[tuple[tuple[tuple[str, str], ...], bytes]]:
        content = described.get("requestBody", {}).get("content", {})
        if not content:
            return [((), b"")]
        bodies: list[tuple[tuple[tuple[str, str], ...], bytes]] = []
        for media_type, shape in content.items():
            header = (("Content-Type", media_type),)
            if "form" in media_type:
                bodies.extend((header, form) for form in self._forms(shape["schema"].get("properties", {})))
            else:
                bodies.append((header, b'{"reason":"because"}'))
        return bodies

    def _forms(self, fields: Mapping[str, Any]) -> Iterable[bytes]:
        without = self.pair.without
        client = without.clients[JPN].id
        known = {"grant_type": "client_credentials", "client_id": client, "client_secret": without.secrets[JPN]}
        # The two worlds may have been set up apart: then the secret of the one is no secret of the other.
        if without.secrets[JPN] == self.pair.having.secrets[JPN]:
            yield _form({name: known.get(name, "x") for name in fields if name in known})
        yield _form({name: {**known, "client_secret": "x" * 43}.get(name, "x") for name in fields if name in known})
        other = self.pair.having.clients.get("XAN", self.pair.having.clients.get(GBR, self.pair.having.clients[IND])).id
        yield _form({name: {**known, "client_id": other}.get(name, "x") for name in fields if name in known})
        yield b"grant_type=password"


def hidden_values(pair: Pair, base: Base) -> list[list[Both]]:
    """What is kept from the partner, as its officers could look it up: families of an item's ids, and single ids."""
    sql = "SELECT i.ref, i.id, p.id, hex(p.content_sha256) FROM item i LEFT JOIN portion p ON p.item_id = i.id "
    sql += "ORDER BY i.created_at, i.ref, p.rowid"
    here: dict[str, list[str]] = {}
    for ref, item, portion, sha256 in pair.having.rows(sql):
        family = here.setdefault(ref, [item])
        family.extend(text for text in (portion, str(sha256).lower()) if text is not None)
    there = {ref for (ref,) in pair.without.rows("SELECT ref FROM item")}
    apart = [ref for ref in here if ref not in there]
    # Of many alike, the first, one in the middle and the last; each of them under an id that only the one world has.
    chosen = [apart[place] for place in sorted({0, len(apart) // 2, len(apart) - 1}) if apart]
    families = [[(text, text) for text in here[ref][:4]] for ref in chosen]
    families += [[(quote(ref, safe=""), quote(ref, safe="")), (ref, ref)] for ref in (chosen or list(here))[:1]]
    # Withheld portions of what is shown: the item's id in each world, and the portion's where it is.
    apart_parts, both_parts = _withheld_parts(pair)
    for ref, one, other in (*apart_parts[:3], *both_parts[:2]):
        families.append([(pair.without.items[ref], pair.having.items[ref]), (one, other)])
    others = (
        "SELECT e.event_id FROM log_entry e JOIN log g ON g.id = e.log_id WHERE g.name <> 'JPN' ORDER BY e.at DESC, e.position DESC LIMIT 3"
    )
    families += [[(event, event)] for (event,) in pair.having.rows(others)]
    families.append([(base.foreign_event, base.foreign_event)])
    return families


def _withheld_parts(pair: Pair) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """(ref, id in the one world, id in the other) of withheld portions of the story's items: of the one world alone, and of both."""
    sql = "SELECT i.ref, hex(p.content_sha256), b.body, p.id FROM portion p JOIN item i ON i.id = p.item_id "
    sql += "JOIN portion_label l ON l.portion_id = p.id JOIN label b ON b.id = l.label_id "
    sql += "WHERE b.body LIKE '%\"releasable_to\":[]%' AND i.ref LIKE 'story/%' ORDER BY p.rowid DESC, l.from_at"
    there = {(ref, sha256, label): portion for ref, sha256, label, portion in pair.without.rows(sql)}
    found: tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]] = ([], [])
    seen: set[str] = set()
    for ref, sha256, label, portion in pair.having.rows(sql):
        if portion in seen:
            continue  # its first label says which it is
        seen.add(portion)
        twin = there.get((ref, sha256, label))
        found[twin is not None].append((ref, twin or portion, portion))
    return found


# --- small things ---------------------------------------------------------------------------------------------------


def _parameters(described: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in described.get("parameters", ()) if one["in"] == "query"]


def _is_integer(parameter: Mapping[str, Any]) -> bool:
    return bool(parameter["schema"].get("type") == "integer")


def _each(value: Both, make: Callable[[str], str]) -> Both:
    return make(value[0]), make(value[1])


def _each_of(values: Sequence[Both], make: Callable[[Sequence[str]], str]) -> Both:
    return make([value[0] for value in values]), make([value[1] for value in values])


def _filled(path: str, texts: Sequence[str]) -> str:
    left = list(texts)
    return _PLACEHOLDER.sub(lambda _: left.pop(0), path)


def _unique(values: Iterable[Both]) -> list[Both]:
    return list(dict.fromkeys(values))


def _member(body: bytes, name: str) -> str | None:
    try:
        value = json.loads(body).get(name)
    except (ValueError, AttributeError):
        return None
    return value if isinstance(value, str) else None


def _form(fields: Mapping[str, str]) -> bytes:
    return "&".join(f"{name}={quote(text, safe='')}" for name, text in fields.items()).encode("ascii")
