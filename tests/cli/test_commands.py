"""The commands over a data folder: what each does, what it records, how it ends."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from typer.core import TyperGroup
from typer.main import get_command

from service.app import create_app
from service.cli import app
from service.demo import DEMO_CLIENTS
from service.policy import read_directory
from service.releaselog.receipt import verify_receipt
from service.store import catalogue, logs, policies
from tests.support.personal import record_in_words

POLICIES: Final = Path(__file__).parents[2] / "policies"


def latest_officers_entry(home: Any) -> dict[str, Any]:
    with home.opened() as installation, installation.database.reading() as connection:
        head = logs.head(connection, "officers")
        assert head is not None
        (row,) = logs.entries(connection, head.id, start=head.size - 1, stop=head.size)
        return {"face": json.loads(row.leaf), "record": record_in_words(connection, row)}


def state_of(home: Any) -> tuple[int, int, frozenset[str]]:
    """(act number, entries in `officers`, who is suspended)."""
    with home.opened() as installation, installation.database.reading() as connection:
        head = logs.head(connection, "officers")
        assert head is not None
        return policies.fence(connection).act, head.size, policies.in_force(connection).suspended


def an_item(home: Any, ref: str = "invented/keen-harbour-plan") -> str:
    with home.opened() as installation, installation.database.reading() as connection:
        found = catalogue.item_by_ref(connection, ref)
        assert found is not None
        return found.id


# --- all of them ----------------------------------------------------------------------------------------------------


def leaves_of(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from leaves_of(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS: Final = dict(leaves_of(get_command(app)))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_accepts_the_common_options(path: tuple[str, ...]) -> None:
    options = {option for parameter in COMMANDS[path].params for option in parameter.opts}
    assert {"--data", "--policies", "--token", "--json"} <= options


def test_the_commands_are_those_of_the_design() -> None:
    assert {" ".join(path) for path in COMMANDS} >= {
        "serve", "token", "client add", "partner suspend", "partner resume", "items import", "policy check", "policy test",
        "policy decide", "policy explain", "policy diff", "policy publish", "policy approve", "policy withdraw", "policy history",
        "policy rollback", "policy calendar", "log verify", "log prove", "log releases", "log recipients", "log activity", "log firsts",
        "log signals", "log review", "log reviews", "log queries", "log replay",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["frob"], 2, "No such command", id="no such command"),
        pytest.param(["token"], 2, "Missing argument", id="an argument missing"),
        pytest.param(["items", "import", "x.jsonl", "--mapping", "nope"], 2, "unknown mapping", id="no such mapping"),
        pytest.param(["client", "add", "x", "--role", "king"], 2, "king", id="no such role"),
        pytest.param(["policy", "explain", "--partner", "JPN"], 2, "one of `--item` and `--marking`", id="neither item nor marking"),
        pytest.param(["token", "demo-jpn", "--data", "nowhere"], 2, "no installation in `nowhere`", id="no data folder"),
        pytest.param(["log", "verify", "--data", "nowhere"], 2, "no installation in `nowhere`", id="nothing to verify"),
        pytest.param(["policy", "publish", "nowhere"], 2, "no such folder `nowhere`", id="no policy folder"),
        pytest.param(["items", "import", "nowhere.jsonl", "--token", "{officer}"], 2, "cannot read `nowhere.jsonl`", id="no import file"),
        pytest.param(["token", "nobody"], 1, "no client named `nobody`", id="no such client"),
        pytest.param(["partner", "suspend", "JPN"], 1, "not authenticated", id="no token"),
        pytest.param(["partner", "suspend", "JPN", "--token", "x.y.z"], 1, "not authenticated", id="not a token"),
        pytest.param(["partner", "suspend", "ZZZ", "--token", "{officer}"], 1, "no such partner", id="no such partner"),
        pytest.param(["partner", "resume", "JPN", "--token", "{officer}"], 1, "not suspended", id="nothing to resume"),
        pytest.param(["policy", "rollback", "0" * 64, "--token", "{officer}"], 1, "no bundle", id="no such bundle"),
        pytest.param(["policy", "approve", "0" * 64, "--token", "{officer}"], 1, "no proposal of", id="nothing to approve"),
        pytest.param(["policy", "withdraw", "0" * 64, "--token", "{officer}"], 1, "no proposal of", id="nothing to withdraw"),
        pytest.param(["policy", "diff", "0" * 64, "nowhere"], 1, "no bundle `0000", id="nothing to compare"),
        pytest.param(["policy", "diff", "x", "y", "--data", "nowhere"], 2, "no installation in `nowhere`", id="no archive"),
        pytest.param(["policy", "diff", "x", "y", "--at", "soon"], 2, "neither a day nor a time", id="no time"),
        pytest.param(["policy", "calendar", "--days", "0"], 2, "--days", id="no days"),
        pytest.param(["policy", "calendar", "nowhere"], 2, "no such folder `nowhere`", id="no folder"),
        pytest.param(["policy", "explain", "--partner", "JPN", "--item", "x", "--token", "{officer}"], 1, "no item", id="no such item"),
        pytest.param(["log", "prove", "x", "--token", "{auditor}"], 1, "no event", id="no such event"),
        pytest.param(["client", "add", "demo-jpn", "--role", "officer"], 1, "registered already", id="a name that is taken"),
        pytest.param(["client", "add", "x", "--role", "partner"], 1, "expected a partner", id="a partner client without partner"),
        pytest.param(["client", "add", "x", "--role", "partner", "--partner", "ZZZ"], 1, "unknown partner", id="an unknown partner"),
    ],
)
def test_what_goes_wrong_is_one_line_on_stderr(demo: Any, arguments: list[str], code: int, said: str) -> None:
    tokens = {name: demo.token(f"demo-{name}") for name in ("officer", "auditor")}
    result = demo.run(*(argument.format(**tokens) for argument in arguments))
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert said in result.stderr
    assert result.stderr.startswith("entente: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", ["not a database", "a folder"])
def test_a_database_that_is_none_is_said_in_one_line(demo: Any, kind: str) -> None:
    for name in ("entente.db", "entente.db-wal", "entente.db-shm"):
        (demo.data / name).unlink(missing_ok=True)
    if kind == "a folder":
        (demo.data / "entente.db").mkdir()
    else:
        (demo.data / "entente.db").write_text("no database at all " * 100)
    result = demo.run("token", "demo-jpn")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "the database cannot be" in result.stderr


def test_a_setting_that_is_not_valid_is_named(nothing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTENTE_RATE_BURST", "0")
    result = nothing.run("client", "add", "x", "--role", "officer")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "`ENTENTE_RATE_BURST`" in result.stderr
    assert not nothing.data.exists()


# --- clients, tokens, partners --------------------------------------------------------------------------------------


def test_an_installation_can_be_begun_with_an_officer_who_publishes_the_policy(nothing: Any) -> None:
    added = nothing.run("client", "add", "chief", "--role", "officer")
    assert added.exit_code == 0, added.output
    assert [line.partition(": ")[0] for line in added.stdout.splitlines()] == ["client_id", "client_secret"]
    published = nothing.run("policy", "publish", "--json", token=nothing.token("chief"))
    assert published.exit_code == 0, published.output
    told = json.loads(published.stdout)
    assert (told["act"], len(told["digest"])) == (1, 64)
    partner = nothing.run("client", "add", "jpn-1", "--role", "partner", "--partner", "JPN", "--purpose", "EXERCISE-KEEN", "--json")
    assert set(json.loads(partner.stdout)) == {"client_id", "client_secret"}


def test_a_clients_secret_is_printed_once_and_is_the_one_that_counts(demo: Any) -> None:
    told = json.loads(demo.run("client", "add", "new", "--role", "auditor", "--json").stdout)
    with demo.opened() as installation:
        client = installation.registry.named("new")
        assert client.id == told["client_id"]
        assert client.secret_hash is not None and told["client_secret"] not in client.secret_hash
    entry = latest_officers_entry(demo)
    assert (entry["face"]["type"], entry["face"]["client"]) == ("client.add", "machine")
    assert told["client_secret"] not in json.dumps(entry)


def test_a_disabled_client_asks_no_more_not_even_with_a_token_in_force(demo: Any) -> None:
    token = demo.token("demo-jpn")
    path, headers = "/v1/items", {"authorization": f"Bearer {token}"}

    async def statuses() -> list[int]:
        # Another process disables the client: this one, which has just answered it, finds out at the commit.
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=create_app(installation)), base_url="http://entente") as client:
            before = await client.get(path, headers=headers)
            assert demo.run("client", "disable", "demo-jpn").exit_code == 0
            return [before.status_code, *[(await client.get(one, headers=headers)).status_code for one in (path, "/v1/me", path)]]

    with demo.opened() as installation:
        installation.gate.start()
        assert asyncio.run(statuses()) == [200, 401, 401, 401]
    entry = latest_officers_entry(demo)
    assert (entry["face"]["type"], entry["face"]["client"]) == ("client.disable", "machine")
    assert demo.run("token", "demo-jpn").exit_code == 1
    again = demo.run("client", "disable", "demo-jpn")
    assert (again.exit_code, "disabled already" in again.stderr) == (1, True)


def test_an_external_client_has_no_secret_and_no_token_of_ours(demo: Any) -> None:
    added = demo.run("client", "add", "ext", "--role", "officer", "--issuer", "https://issuer.example", "--subject", "someone", "--json")
    assert set(json.loads(added.stdout)) == {"client_id"}
    result = demo.run("token", "ext")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "https://issuer.example" in result.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_a_token_stands_alone_on_the_last_line_and_proves_its_client(demo: Any, as_json: bool) -> None:
    result = demo.run("token", "demo-jpn", *(["--json"] if as_json else []))
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    token = result.stdout.strip()
    if as_json:
        told = json.loads(result.stdout)
        assert (told["token_type"], told["expires_in"]) == ("Bearer", 600)
        token = told["access_token"]
    with demo.opened() as installation:
        caller = installation.verifier.verify(token, installation.clock())
    assert (caller.client.name, caller.partner) == ("demo-jpn", "JPN")
    entry = latest_officers_entry(demo)
    assert (entry["face"]["type"], entry["record"]["details"]) == ("token.issue", {"client": caller.id})


def test_suspending_a_partner_is_an_act_and_resuming_undoes_it(demo: Any) -> None:
    officer = demo.token("demo-officer")
    act = state_of(demo)[0]
    suspended = demo.run("partner", "suspend", "JPN", "--reason", "a leak", token=officer)
    assert suspended.exit_code == 0, suspended.output
    entry = latest_officers_entry(demo)
    assert entry["face"]["type"] == "partner.suspend"
    assert entry["record"]["details"] == {"partner": "JPN", "reason": "a leak"}
    assert state_of(demo)[::2] == (act + 1, frozenset({"JPN"}))
    resumed = demo.run("partner", "resume", "JPN", "--json", token=officer)
    assert json.loads(resumed.stdout)["result"] == "resumed"
    assert state_of(demo)[::2] == (act + 2, frozenset())


WANTED_BY: Final = [
    (["partner", "suspend", "JPN"], "officer"),
    (["partner", "resume", "JPN"], "officer"),
    (["items", "import", "-"], "officer"),
    (["policy", "publish"], "officer"),
    (["policy", "rollback", "{digest}"], "officer"),
    (["policy", "approve", "{digest}"], "officer"),
    (["policy", "withdraw", "{digest}"], "officer"),
    (["policy", "publish", "--dry-run"], "officer"),
    (["policy", "diff", "{digest}", "{digest}"], "officer"),
    (["policy", "calendar"], "officer"),
    (["policy", "explain", "--partner", "JPN", "--item", "{item}"], "officer"),
    (["log", "prove", "{event}"], "auditor"),
    (["log", "releases"], "auditor"),
    (["log", "recipients", "{item}"], "auditor"),
    (["log", "activity", "c", "--since", "2026-11-22", "--until", "2026-11-23"], "auditor"),
    (["log", "firsts", "JPN"], "auditor"),
    (["log", "signals", "--since", "2026-11-22", "--until", "2026-11-23"], "auditor"),
    (["log", "review", "{event}", "reviewed"], "auditor"),
    (["log", "reviews"], "auditor"),
    (["log", "queries"], "auditor"),
    (["log", "replay", "--sample", "3"], "auditor"),
    (["log", "replay", "--what-if", "{digest}"], "auditor"),
]


@pytest.mark.parametrize(("arguments", "role"), WANTED_BY, ids=[" ".join(arguments[:2]) for arguments, _ in WANTED_BY])
def test_a_token_of_another_role_is_refused_and_nothing_happens(demo: Any, arguments: list[str], role: str) -> None:
    others = {client.role: client.name for client in DEMO_CLIENTS if client.role != role}
    tokens = [demo.token(name) for name in others.values()]
    with demo.opened() as installation, installation.database.reading() as connection:
        digest = policies.in_force(connection).digest
    event = latest_officers_entry(demo)["face"]["event_id"]
    before = state_of(demo)
    for token in tokens:
        given = (argument.format(digest=digest, item=an_item(demo), event=event) for argument in arguments)
        result = demo.run(*given, token=token, stdin=b'{"ref":"x"}\n')
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"clients of role `{role}`" in result.stderr
    assert state_of(demo) == before


# --- items ----------------------------------------------------------------------------------------------------------

ITEM: Final = {"marking": "UNCLASSIFIED", "categories": ["MARITIME"], "portions": [{"kind": "text", "marking": "(U)", "text": "words"}]}


def test_an_import_reports_what_it_refuses_and_ends_with_the_totals(demo: Any, tmp_path: Path) -> None:
    (tmp_path / "map.png").write_bytes(b"map")
    with_file = {**ITEM, "portions": [{"kind": "file", "marking": "(U)", "path": "map.png", "name": "map.png"}]}
    lines = [{"ref": "new/1", **ITEM}, {"ref": "new/2", **ITEM, "marking": "?!"}, {"ref": "new/3", **with_file}, {"ref": "new/4"}]
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    officer = demo.token("demo-officer")
    result = demo.run("items", "import", str(file), token=officer)
    *reports, totals = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert [(report["line"], report["ref"], report["result"]) for report in reports] == [(2, "new/2", "refused"), (4, "new/4", "refused")]
    assert totals == {"imported": 2, "quarantined": 0, "refused": 2}
    entry = latest_officers_entry(demo)
    with demo.opened() as installation:
        assert (entry["face"]["type"], entry["face"]["client"]) == ("item.import", installation.registry.named("demo-officer").id)


def test_items_come_through_a_pipe_and_again_with_update(demo: Any) -> None:
    line = json.dumps({"ref": "new/1", **ITEM}).encode()
    officer = demo.token("demo-officer")
    for more, code, totals in (
        ([], 0, {"imported": 1, "quarantined": 0, "refused": 0}),
        ([], 1, {"imported": 0, "quarantined": 0, "refused": 1}),
        (["--update"], 0, {"imported": 1, "quarantined": 0, "refused": 0}),
    ):
        result = demo.run("items", "import", "-", *more, token=officer, stdin=line)
        assert (result.exit_code, json.loads(result.stdout.splitlines()[-1])) == (code, totals)


def test_what_is_quarantined_counts_as_loaded(demo: Any) -> None:
    line = json.dumps({"ref": "new/1", **ITEM, "marking": ""}).encode()
    result = demo.run("items", "import", "-", token=demo.token("demo-officer"), stdin=line)
    report, totals = [json.loads(told) for told in result.stdout.splitlines()]
    assert (result.exit_code, report["result"], report["code"]) == (0, "quarantined", "unmarked")
    assert totals == {"imported": 1, "quarantined": 1, "refused": 0}


def test_foreign_documents_come_in_by_their_mapping(demo: Any) -> None:
    source = Path(__file__).parents[2] / "service" / "demo" / "documents.jsonl"
    document = json.loads(source.open(encoding="utf-8").readline()) | {"id": "frus-new/d1"}
    stdin = json.dumps(document).encode() + b"\n" + b'{"id":"half"}\n'
    result = demo.run("items", "import", "-", "--mapping", "frus", token=demo.token("demo-officer"), stdin=stdin)
    report, totals = [json.loads(told) for told in result.stdout.splitlines()]
    assert (result.exit_code, report["line"], report["code"]) == (1, 2, "missing-member")
    assert (totals["imported"], totals["refused"]) == (1, 1)
    assert an_item(demo, "frus-new/d1")


# --- policy ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    for file in POLICIES.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_a_policy_is_published_listed_and_rolled_back(demo: Any, bundle: Path) -> None:
    officer = demo.token("demo-officer")
    agreements = bundle / "agreements.csv"
    agreements.write_text(agreements.read_text() + "# another comment\n")
    published = demo.run("policy", "publish", str(bundle), token=officer)
    assert published.exit_code == 0, published.output
    assert latest_officers_entry(demo)["face"]["type"] == "policy.publish"
    first, second = json.loads(demo.run("policy", "history", "--json").stdout)["publications"]
    assert first["client"] == "machine" and first["digest"] != second["digest"]
    assert second["digest"] in published.stdout
    back = demo.run("policy", "rollback", first["digest"], "--json", token=officer)
    assert json.loads(back.stdout)["digest"] == first["digest"]
    assert latest_officers_entry(demo)["face"]["type"] == "policy.rollback"
    assert [line.split()[1] for line in demo.run("policy", "history").stdout.splitlines()] == [
        first["digest"], second["digest"], first["digest"],
    ]  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True])
def test_a_bundle_with_findings_is_refused_by_place_and_the_one_in_force_stays(demo: Any, bundle: Path, as_json: bool) -> None:
    prohibitions = bundle / "prohibitions.csv"
    lines = prohibitions.read_text().splitlines(keepends=True)
    line = next(number for number, text in enumerate(lines, 1) if text.startswith("p, "))
    lines[line - 1] = lines[line - 1].replace(", deny,", ", dney,")
    prohibitions.write_text("".join(lines))
    officer = demo.token("demo-officer")
    before = state_of(demo)
    result = demo.run("policy", "publish", str(bundle), *(["--json"] if as_json else []), token=officer)
    assert result.exit_code == 1
    if as_json:
        told = json.loads(result.stdout)
        assert (told["digest"], told["findings"][0]["file"], told["findings"][0]["line"]) == (None, "prohibitions.csv", line)
    else:
        assert result.stdout.startswith(f"prohibitions.csv:{line}:")
    assert state_of(demo) == before


def test_rules_are_tried_by_stored_labels_too_and_the_look_is_on_record(demo: Any, tmp_path: Path) -> None:
    files = read_directory(Path(__file__).parents[2] / "policies")
    files["cases.csv"] = files["cases.csv"].partition(b"\n")[0] + b"\n"
    files["agreements.csv"] += b"p, AGR-0099, allow, release, NZL, *, TOP SECRET, NUCLEAR, none, NZL, , , Letter\n"
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    told = json.loads(demo.run("policy", "test", str(tmp_path), "--json", token=demo.token("demo-officer")).stdout)
    assert told["stored"]["looked_at"] is True
    assert told["stored"]["labels"] > 0
    # The demo's items are for all to see that an agreement with Japan counts; what was agreed above is about nothing that is stored.
    assert "AGR-0002" in told["stored"]["rules"]
    assert set(told["untried"]) == set(told["uncovered"]) - set(told["stored"]["rules"])
    assert "AGR-0099" in told["untried"]
    entry = latest_officers_entry(demo)
    assert entry["face"]["type"] == "look.coverage"
    assert entry["record"]["details"] == {"bundle": told["digest"]}
    lines = demo.run("policy", "test", str(tmp_path), token=demo.token("demo-officer")).stdout.splitlines()
    rules = len(told["stored"]["rules"])
    assert f"{rules} of {len(told['uncovered'])} rules are true for some of {told['stored']['labels']} stored labels" in lines
    assert "no case is decided by AGR-0099, and no stored label is one it is true for" in lines
    # Of a partner's token nothing is shown, nor of none.
    assert demo.run("policy", "test", str(tmp_path), token=demo.token("demo-jpn")).exit_code == 1
    assert latest_officers_entry(demo)["face"]["type"] == "token.issue"
    assert json.loads(demo.run("policy", "test", str(tmp_path), "--json").stdout)["stored"]["looked_at"] is False


def test_an_item_is_explained_portion_by_portion_without_its_content_and_the_look_is_on_record(demo: Any) -> None:
    officer = demo.token("demo-officer")
    item = an_item(demo)
    result = demo.run("policy", "explain", "--partner", "JPN", "--item", item, token=officer)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "release of invented/keen-harbour-plan (version 1) to JPN: in_part"
    assert "patrol craft" not in result.output
    entry = latest_officers_entry(demo)
    assert (entry["face"]["type"], entry["face"]["items"]) == ("look.explain", [{"id": item}])
    by_ref = demo.run("policy", "explain", "--partner", "JPN", "--item", "invented/keen-harbour-plan", "--json", token=officer)
    told = json.loads(by_ref.stdout)
    assert (told["item"], told["outcome"]) == (item, "in_part")
    outcomes = [part["outcome"] for part in told["parts"]]
    assert len(outcomes) - outcomes.count("release") == 2
    assert all(part["rules"] for part in told["parts"] if part["outcome"] == "release")


def test_an_item_in_quarantine_or_withdrawn_is_explained_as_such(demo: Any) -> None:
    officer = demo.token("demo-officer")
    with demo.opened() as installation, installation.database.reading() as connection:
        held = catalogue.quarantined(connection, after=(0, 0), limit=1)[0]
    result = demo.run("policy", "explain", "--partner", "JPN", "--item", held.item_id, "--json", token=officer)
    told = json.loads(result.stdout)
    assert told["outcome"] == "withhold" and told["why"].startswith("in quarantine")


def test_a_marking_is_explained_from_files_without_token(nothing: Any) -> None:
    result = nothing.run("policy", "explain", "--partner", "JPN", "--marking", "SECRET//REL TO USA, JPN", "--category", "MARITIME")
    assert result.exit_code == 0, result.output
    assert "AGR-" in result.stdout
    assert not nothing.data.exists()


# --- logs -----------------------------------------------------------------------------------------------------------


def test_the_logs_verify_and_that_they_were_verified_is_on_record(demo: Any) -> None:
    result = demo.run("log", "verify")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "every log holds"
    assert latest_officers_entry(demo)["face"]["type"] == "log.verify"
    told = json.loads(demo.run("log", "verify", "--json").stdout)
    assert told["ok"] and told["problem"] is None
    assert {one["log"] for one in told["logs"]} >= {"officers", "JPN", "IND", "GBR"}


def test_a_log_that_was_changed_is_named_by_entry_and_left_as_it_is(demo: Any) -> None:
    size = state_of(demo)[1]
    with sqlite3.connect(demo.data / "entente.db") as raw:
        raw.execute(
            "UPDATE log_entry SET record = replace(CAST(record AS TEXT), 'done', 'dont') "
            "WHERE position = 1 AND log_id = (SELECT id FROM log WHERE name = 'officers')"
        )
    raw.close()
    result = demo.run("log", "verify")
    assert result.exit_code == 1
    assert any(line.startswith("officers: entry 1: ") for line in result.stdout.splitlines())
    problem = json.loads(demo.run("log", "verify", "--json").stdout)["problem"]
    assert (problem["log"], problem["index"]) == ("officers", 1)
    assert state_of(demo)[1] == size


def test_an_entry_is_proven_by_a_receipt_that_anyone_can_check(demo: Any) -> None:
    event = latest_officers_entry(demo)["face"]["event_id"]
    auditor = demo.token("demo-auditor")
    receipt = json.loads(demo.run("log", "prove", event, "--json", token=auditor).stdout)
    origin = receipt["key"].partition("+")[0]
    verify_receipt(receipt["leaf"].encode(), receipt["proof"], receipt["key"], origin=origin)
    assert receipt["event_id"] == event
    entry = latest_officers_entry(demo)
    assert (entry["face"]["type"], entry["record"]["details"]) == ("look.receipt", {"event_id": event, "log": "officers"})
    assert event in demo.run("log", "prove", event, token=auditor).stdout
