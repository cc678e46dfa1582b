"""Nothing but the policy engine says what is released: take its word away and all is refused, exchange the model and all follows.

The oracle is stock `casbin.Enforcer` over the files as they are in the bundle, put together here from their text alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import casbin
import pytest
from casbin.persist.adapters.string_adapter import StringAdapter

from service.api.access import Access
from service.demo.setup import set_up_demo
from service.labels.label import Label
from service.labels.scheme import Scheme
from service.policy import Bundle, Engine, EngineKind, Explained, NearMiss, Request, Verdict, functions, read_bundle
from service.settings import Settings
from service.sharing.installation import open_installation
from service.store import catalogue
from service.store.catalogue import VersionAt
from service.store.times import micros
from tests.support.api import FILES, MACHINE, NOT_FOUND, Clock, Service, copied, routes, service_in

PARTNERS = ("jpn", "ind", "gbr")
CASBIN_FILES = ("partners.csv", "communities.csv", "agreements.csv", "prohibitions.csv")


class Forced:
    """An engine that says one thing, whatever it is asked."""

    uncompiled = None

    def __init__(self, answer: Callable[[], Verdict]) -> None:
        self._answer = answer

    def evaluate(self, request: Request) -> Verdict:
        return self._answer()

    def explain(self, request: Request) -> Explained:
        return self.evaluate(request), ()

    def near_misses(self, request: Request) -> tuple[NearMiss, ...]:
        return ()


def refuse() -> Verdict:
    return Verdict(False, (), (), None)


def raising() -> Verdict:
    raise RuntimeError("forced")


def allow() -> Verdict:
    return Verdict(True, ("AGR-0001",), (), None)


def forced(answer: Callable[[], Verdict]) -> Callable[[Mapping[str, bytes]], Bundle]:
    """`read_bundle`, with an engine that gives this answer."""

    def build(kind: EngineKind, *, model: str, rows: str, scheme: Scheme) -> Engine:
        return Forced(answer)

    return lambda files: read_bundle(files, build=build)


@pytest.fixture(scope="module")
def visible(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """(item, a portion of it) of all that each partner sees under the shipped policy, a file portion where there is one."""
    with service_in(copied(demo_folder, tmp_path_factory.mktemp("visible") / "data")) as service:
        found: dict[str, list[tuple[str, str]]] = {}
        files: set[str] = set()
        for who in PARTNERS:
            for listed in service.list_all(who):
                portions = service.get(who, f"/v1/items/{listed['id']}").json()["portions"]
                best = sorted(portions, key=lambda one: one["kind"] != "file")
                files |= {one["id"] for one in portions if one["kind"] == "file"}
                found.setdefault(who, []).append((listed["id"], best[0]["id"] if best else "none"))
            # Those with a file first, so that the samples below hold one.
            found[who].sort(key=lambda one: one[1] not in files)
        assert all(len(items) > 10 for items in found.values())
        return found


@pytest.mark.parametrize("answer", [refuse, raising])
def test_with_the_engine_s_no_every_route_says_no(
    demo_folder: Path, tmp_path: Path, visible: dict[str, list[tuple[str, str]]], answer: Callable[[], Verdict]
) -> None:
    with service_in(copied(demo_folder, tmp_path / "data"), read=forced(answer)) as service:
        for who in PARTNERS:
            assert service.list_all(who) == service.list_all(who, level="UNCLASSIFIED") == []
            for method, path, access in routes():
                if access is not Access.RECORDED or "{" not in path:
                    continue
                for item_id, portion in visible[who][::3]:
                    reply = service.ask(who, method, path.replace("{id}", item_id).replace("{portion}", portion))
                    assert reply.status_code == 404
                    assert reply.content == (b"" if method == "HEAD" else NOT_FOUND)
            for entry in service.entries(partner=who.upper()):
                assert entry["record"]["outcome"] == ("release" if entry["face"]["type"] == "list" else "withhold")
                assert all("copy_sha256" not in one for one in entry["face"]["items"])
        seen = visible["jpn"][0][0]
        lines = service.get("officer", f"/v1/officer/items/{seen}/audience").json()["partners"]
        assert {line["outcome"] for line in lines} == {"withhold"}
        view = service.get("officer", "/v1/officer/partners/JPN/view", params={"path": f"/v1/items/{seen}"}).json()
        assert view["status"] == 404
        asked = {"partner": "JPN", "action": "release", "purpose": "none", "label": OPEN.to_json()}
        (decided,) = service.post("officer", "/v1/officer/decide", {"requests": [asked]}).json()["answers"]
        assert decided["outcome"] == "withhold"
        assert ("error" in decided) == (answer is raising)


OPEN = Label("UNCLASSIFIED", ("DIPLOMATIC",), ("*",), (), ("USA",))


def test_with_the_engine_s_yes_nothing_else_says_no(tmp_path: Path) -> None:
    """No second opinion anywhere: levels, categories, audiences, originators, partners are compared by the engine alone."""
    bundle = {**FILES, "cases.csv": FILES["cases.csv"].split(b"\n")[0] + b"\n"}
    installation = open_installation(Settings(data=tmp_path / "data"), clock=Clock(), read_bundle=forced(allow))
    installation.publishing.publish(bundle, MACHINE)
    set_up_demo(installation)
    installation.close()
    with service_in(tmp_path / "data", read=forced(allow)) as service:
        versions = stored(service)
        for who in PARTNERS:
            assert {one["id"] for one in service.list_all(who)} == set(versions)
            for item_id, version in list(versions.items())[::3]:
                copy = service.get(who, f"/v1/items/{item_id}").json()
                assert [one["id"] for one in copy["portions"]] == [
                    one.portion.id for one in version.portions if one.portion.kind != "title"
                ]


# --- the oracle -----------------------------------------------------------------------------------------------------


def in_force(line: str, date: str) -> bool:
    """Whether a line of a Casbin file is a row in force on a date, by its own two cells."""
    cells = [cell.strip() for cell in line.split(",")]
    place = 10 if cells[0] == "p" else 3
    return bool(line) and not line.startswith("#") and (cells[place] or "0") <= date < (cells[place + 1] or "9")


def stock(files: Mapping[str, bytes], date: str = "2026-11-22") -> Any:
    rows = [line for name in CASBIN_FILES for line in files[name].decode().splitlines() if in_force(line, date)]
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=files["model.conf"].decode()), StringAdapter("\n".join(rows) + "\n"))
    functions.register(enforcer, read_bundle(files).scheme)
    return enforcer


def says(enforcer: Any, partner: str, action: str, label: Label, purpose: str = "none") -> bool | None:
    """What stock Casbin says; None where it raises."""
    try:
        return bool(
            enforcer.enforce(
                partner, action, purpose, label.level, label.categories, label.releasable_to, label.shown_to, label.caveats,
                label.originators, label.consents, label.grants,
            )
        )  # fmt: skip
    except Exception:  # noqa: BLE001  whatever stock Casbin raises is a withhold (DESIGN section 4)
        return None


class Remembered:
    """Stock Casbin, asked each question once."""

    def __init__(self, enforcer: Any) -> None:
        self._enforcer = enforcer
        self._answers: dict[tuple[Any, ...], bool | str] = {}

    def enforce(self, *request: Any) -> bool:
        if request not in self._answers:
            try:
                self._answers[request] = bool(self._enforcer.enforce(*request))
            except Exception as raised:  # noqa: BLE001  raised again, each time it is asked
                self._answers[request] = str(raised)
        answer = self._answers[request]
        if isinstance(answer, str):
            raise ValueError(answer)
        return answer


def outcome(enforcer: Any, partner: str, action: str, label: Label) -> str:
    asked = says(enforcer, partner, action, label)
    if asked is None:
        return "withhold"
    if asked:
        return "release"
    return "refer" if says(enforcer, partner, "refer", label) else "withhold"


def stored(service: Service) -> dict[str, VersionAt]:
    """Every item with a version in force, with its portions and their labels now."""
    installation = service.installation
    with installation.database.reading() as connection:
        state = installation.world.current(connection)
        at = max(micros(service.clock()), state.at)
        ids = catalogue.items_after(connection, "", limit=1000)
        return catalogue.versions_at(connection, ids, at=at)


def test_stock_casbin_agrees_for_every_partner_label_and_action(service: Service) -> None:
    enforcer = Remembered(stock(FILES))
    stored(service)
    labels = list(service.installation.world.labels.values())
    partners = [partner.code for partner in read_bundle(FILES).partners]
    assert len(labels) > 30
    assert len(partners) == 15
    cases = [(partner, action, label) for partner in partners for label in labels for action in ("release", "display")]
    answers: list[dict[str, Any]] = []
    for start in range(0, len(cases), 1000):
        lines = [
            {"partner": partner, "action": action, "purpose": "none", "label": label.to_json()}
            for partner, action, label in cases[start : start + 1000]
        ]
        answers += service.post("officer", "/v1/officer/decide", {"requests": lines}).json()["answers"]
    found = {"release": 0, "refer": 0, "withhold": 0}
    for (partner, action, label), answer in zip(cases, answers, strict=True):
        assert answer["outcome"] == outcome(enforcer, partner, action, label), (partner, action, label)
        found[answer["outcome"]] += 1
    assert min(found.values()) > 20, f"the sample shows every outcome: {found}"


ACTIVE = 'g2(r.partner, "active") && g(r.partner, p.grantee)'
MODELS = {
    "the level alone": f'{ACTIVE} && p.eft == "allow" && permits(p.action, r.action) && at_most(r.level, p.level)',
    "agreements with the partner itself, by category": (
        'g2(r.partner, "active") && p.grantee == r.partner && p.eft == "allow" && covers(p.categories, r.categories)'
    ),
    "whoever is addressed, whatever it is": (
        f'{ACTIVE} && p.eft == "allow" && addressed(r.action, r.releasable_to, r.display_to, r.partner)'
    ),
    "what is withheld, turned round": (
        f'{ACTIVE} && p.eft == "allow" && permits(p.action, r.action) && !addressed(r.action, r.releasable_to, r.display_to, r.partner)'
    ),
    "prohibitions only": f'{ACTIVE} && p.eft == "deny" && forbids(p.action, r.action)',
}


def with_matcher(matcher: str) -> dict[str, bytes]:
    head = FILES["model.conf"].decode().partition("m = ")[0]
    cases = FILES["cases.csv"].split(b"\n")[0] + b"\n"
    # What the shipped model never releases, another may: neither cases nor `never` are of it.
    never = FILES["never.csv"].split(b"\n")[0] + b"\n"
    files = {name: content for name, content in FILES.items() if name != "README.md"}
    return {**files, "model.conf": f"{head}m = {matcher}\n".encode(), "cases.csv": cases, "never.csv": never}


@contextmanager
def under(demo_folder: Path, folder: Path, files: Mapping[str, bytes]) -> Iterator[Service]:
    """The demo, under a bundle uploaded and published over HTTP."""
    with service_in(copied(demo_folder, folder)) as service:
        for who in PARTNERS:
            assert service.list_all(who), "what was cached under the shipped model"
        uploaded = service.post("officer", "/v1/officer/policies", {"files": {name: text.decode() for name, text in files.items()}})
        assert uploaded.status_code == 201, uploaded.text
        service.publish_as_two(uploaded.json()["digest"])
        yield service


def released(enforcer: Any, partner: str, version: VersionAt, labels: Mapping[int, Label]) -> list[str]:
    """The portions of a version that go to a partner, by stock Casbin."""
    shown = [one.portion.id for one in version.portions if outcome(enforcer, partner, "release", labels[one.label_id]) == "release"]
    whole = version.whole or version.compilation is not None
    if version.compilation is not None and outcome(enforcer, partner, "release", labels[version.compilation[0]]) != "release":
        return []
    return shown if not whole or len(shown) == len(version.portions) else []


@pytest.mark.parametrize("name", MODELS)
def test_another_model_over_the_same_columns_is_followed(demo_folder: Path, tmp_path: Path, name: str) -> None:
    files = with_matcher(MODELS[name])
    enforcer = stock(files)
    oracle = Remembered(enforcer)
    with under(demo_folder, tmp_path / "data", files) as service:
        versions = stored(service)
        labels = service.installation.world.labels
        for who in PARTNERS:
            expected = {one: released(oracle, who.upper(), version, labels) for one, version in versions.items()}
            assert {one["id"] for one in service.list_all(who)} == {one for one, portions in expected.items() if portions}
            for item_id, portions in list(expected.items())[::2]:
                reply = service.get(who, f"/v1/items/{item_id}")
                if not portions:
                    assert reply.content == NOT_FOUND
                    continue
                (recorded,) = service.entry(reply)["record"]["items"]
                assert recorded["portions"] == portions
                texts = [one.portion.id for one in versions[item_id].portions if one.portion.id in portions and one.portion.kind != "title"]
                assert [one["id"] for one in reply.json()["portions"]] == texts
        for item_id, version in list(versions.items())[::6]:
            for line in service.get("officer", f"/v1/officer/items/{item_id}/audience").json()["partners"]:
                portions = released(oracle, line["partner"], version, labels)
                complete = len(portions) == len(version.portions)
                wanted = {"release" if complete else "in_part"} if portions else {"withhold", "refer"}
                assert line["outcome"] in wanted, (item_id, line)


def test_the_models_differ_from_the_shipped_one_and_from_each_other(service: Service) -> None:
    """Else a service that follows none of them could pass."""
    stored(service)
    labels = list(service.installation.world.labels.values())
    enforcers = {"shipped": stock(FILES)} | {name: stock(with_matcher(matcher)) for name, matcher in MODELS.items()}
    seen = {name: tuple(says(enforcer, "JPN", "release", label) for label in labels) for name, enforcer in enforcers.items()}
    assert len(set(seen.values())) == len(MODELS) + 1
