"""The high-water mark: a database put back from yesterday signs nothing until its loss was accepted on record."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.errors import Broken, Conflict
from service.releaselog.merkle import leaf_hash, root
from service.settings import Settings
from service.sharing.acts import MACHINE, Actor
from service.sharing.highwater import Highwater, Keeper, Mark, Reached, Shortfall, path_of
from service.sharing.installation import open_installation
from service.sharing.ledger import Ledger
from service.store import Database, logs
from tests.conftest import new_postgresql_database
from tests.support.log_drafts import draft
from tests.support.personal import record_in_words
from tests.support.store_bundles import bundle_files
from tests.support.store_world import World

OPERATOR = Actor(MACHINE, "cli")


def released(world: World, times: int) -> None:
    for _ in range(times):
        world.page("JPN")


def mark_of(folder: Path) -> Mark:
    return Mark.from_bytes(path_of(Settings(data=folder)).read_bytes())


def put_back(older: Path, folder: Path) -> None:
    """What an operator does with a backup: the data folder is exchanged, and what lies beside it stays."""
    shutil.rmtree(folder)
    shutil.copytree(older, folder)


def acts_of(world: World) -> list[tuple[str, dict[str, object]]]:
    with world.installation.database.reading() as connection:
        head = logs.head(connection, "officers")
        assert head is not None
        return [(row.type, record_in_words(connection, row)["details"]) for row in list(logs.entries(connection, head.id))]


def entente(folder: Path, *arguments: str) -> Result:
    return CliRunner(env={"ENTENTE_DATA": str(folder), "ENTENTE_HIGHWATER": None}).invoke(app, list(arguments))


@pytest.fixture
def restored(world: World, tmp_path: Path) -> Path:
    """The folder of a database of yesterday, with the mark of today: three releases to JPN are missing in it."""
    world.installation.note_missing_mark(OPERATOR)  # as when serving begins
    released(world, 2)
    world.close()
    shutil.copytree(tmp_path / "data", tmp_path / "yesterday")
    today = World(tmp_path / "data")
    today.know_clients()
    released(today, 3)
    today.close()
    put_back(tmp_path / "yesterday", tmp_path / "data")
    return tmp_path / "data"


def test_the_mark_is_what_is_committed_and_its_owners_alone(world: World, tmp_path: Path) -> None:
    released(world, 3)
    world.installation.highwater.keep()
    with world.installation.database.reading() as connection:
        heads = {head.name: Reached(head.size, head.root) for head in logs.heads(connection)}
    assert mark_of(tmp_path / "data").logs == heads
    assert stat.S_IMODE(path_of(Settings(data=tmp_path / "data")).stat().st_mode) == 0o600
    assert path_of(Settings(data=tmp_path / "data")).parent == tmp_path


def test_yesterdays_database_signs_nothing_and_says_what_is_missing(restored: Path) -> None:
    world = World(restored)
    world.know_clients()
    refusal = world.installation.ledger.refusal
    assert refusal is not None and "log `JPN` holds 2 entries, and had 5" in refusal
    assert "entente log restored --reason TEXT" in refusal
    before = world.everything()
    with pytest.raises(Broken, match="older than its high-water mark"):
        released(world, 1)
    with pytest.raises(Broken, match="older than its high-water mark"):
        world.suspend("JPN")
    with pytest.raises(Broken, match="older than its high-water mark"):
        world.installation.acts.look("look.of-the-tests", OPERATOR, [], {})
    assert world.everything() == before
    world.close()
    # Nor does closing it make it the newest.
    assert mark_of(restored).logs["JPN"].size == 5


def test_the_service_does_not_start_on_it_and_verifying_says_so(restored: Path) -> None:
    served = entente(restored, "serve", "--port", "0")
    assert served.exit_code == 2
    assert "log `JPN` holds 2 entries, and had 5" in served.stderr and "entente log restored" in served.stderr
    verified = entente(restored, "log", "verify")
    assert verified.exit_code == 1
    assert verified.stdout.splitlines()[-1] == "every log holds in itself, and is NOT the newest"
    answer = json.loads(entente(restored, "log", "verify", "--json").stdout)
    assert (answer["ok"], answer["problem"]) == (False, None) and "JPN" in answer["refusal"]


def test_a_loss_is_accepted_on_record_once_and_the_service_goes_on(restored: Path) -> None:
    said = entente(restored, "log", "restored", "--reason", "the disk of the 22nd")
    assert said.exit_code == 0
    assert "log `JPN` holds 2 entries, and had 5" in said.stdout.splitlines()
    world = World(restored)
    world.know_clients()
    (details,) = [details for type_, details in acts_of(world) if type_ == "log.restored"]
    assert details == {
        "reason": "the disk of the 22nd",
        "logs": [{"log": "JPN", "expected": 5, "found": 2, "forked": False}],
    }
    released(world, 1)
    world.close()
    assert mark_of(restored).logs["JPN"].size == 3
    again = entente(restored, "log", "restored", "--reason", "once more")
    assert again.exit_code == 1 and "nothing to accept" in again.stderr


def test_a_reason_is_asked_for(restored: Path) -> None:
    assert entente(restored, "log", "restored").exit_code == 2
    refused = entente(restored, "log", "restored", "--reason", "  ")
    assert refused.exit_code == 1 and "`--reason` is empty" in refused.stderr
    assert World(restored).installation.ledger.refusal is not None


def test_another_history_of_the_same_length_is_noticed(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    world.installation.note_missing_mark(OPERATOR)
    released(world, 2)
    world.close()
    shutil.copytree(folder, tmp_path / "yesterday")
    mark = path_of(Settings(data=folder))
    for times in (3, 4):
        shutil.copytree(tmp_path / "yesterday", tmp_path / f"history-{times}")
        shutil.copy(mark, path_of(Settings(data=tmp_path / f"history-{times}")))
        history = World(tmp_path / f"history-{times}")
        history.know_clients()
        released(history, times)
        history.close()
    shutil.copy(path_of(Settings(data=tmp_path / "history-3")), path_of(Settings(data=tmp_path / "history-4")))
    forked = World(tmp_path / "history-4")
    assert forked.installation.highwater.shortfalls() == (Shortfall("JPN", 5, 6, forked=True),)
    assert forked.installation.ledger.refusal is not None
    assert "log `JPN` has another history in its first 5 entries" in forked.installation.ledger.refusal
    forked.close()


def test_a_missing_mark_is_put_on_record_when_serving_begins_and_not_before(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world.close()
    mark = path_of(Settings(data=tmp_path / "data"))
    mark.unlink(missing_ok=True)
    World(tmp_path / "data").close()
    assert not mark.exists()
    serving = World(tmp_path / "data")
    with caplog.at_level(logging.WARNING):
        serving.installation.note_missing_mark(OPERATOR)
        serving.installation.note_missing_mark(OPERATOR)
    assert [type_ for type_, _ in acts_of(serving)].count("log.highwater-missing") == 1
    assert len([one for one in caplog.records if "is missing" in one.message]) == 1
    assert mark.exists()
    serving.close()


def test_a_database_exchanged_under_a_running_service_is_noticed(world: World, tmp_path: Path) -> None:
    released(world, 2)
    world.installation.highwater.keep()
    mark = mark_of(tmp_path / "data")
    ahead = {**mark.logs, "JPN": Reached(mark.logs["JPN"].size + 1, mark.logs["JPN"].root)}
    path_of(Settings(data=tmp_path / "data")).write_bytes(Mark(mark.instance, mark.act, ahead).to_bytes())
    world.installation.keeper.keep()
    with pytest.raises(Broken, match="log `JPN` holds 2 entries, and had 3"):
        released(world, 1)


def test_a_mark_never_goes_back_whoever_keeps_it(world: World, tmp_path: Path) -> None:
    released(world, 1)
    world.installation.highwater.keep()
    kept = mark_of(tmp_path / "data")
    more = {**kept.logs, "JPN": Reached(9, bytes(32)), "XXX": Reached(4, bytes(32))}
    path_of(Settings(data=tmp_path / "data")).write_bytes(Mark(kept.instance, kept.act + 5, more).to_bytes())
    world.installation.highwater.keep()
    assert mark_of(tmp_path / "data") == Mark(kept.instance, kept.act + 5, more)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda content: content[: len(content) // 2], id="torn"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: content.replace(b'"v":1', b'"v":2'), id="of another version"),
        pytest.param(lambda content: content.replace(b'"act":', b'"act":-'), id="a negative count"),
        pytest.param(lambda content: b"[]", id="not an object"),
        pytest.param(lambda content: b"\xff" + content, id="not text"),
    ],
)
def test_a_mark_that_cannot_be_read_is_no_mark_to_go_by(world: World, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    world.installation.highwater.keep()
    world.close()
    mark = path_of(Settings(data=tmp_path / "data"))
    mark.write_bytes(spoil(mark.read_bytes()))
    spoiled = mark.read_bytes()
    with pytest.raises(Broken, match=r"the high-water mark `.*data\.highwater` cannot be read"):
        World(tmp_path / "data")
    assert mark.read_bytes() == spoiled


def test_a_foreign_mark_is_named(world: World, tmp_path: Path) -> None:
    world.close()
    path_of(Settings(data=tmp_path / "data")).write_bytes(Mark("another.example", 0, {}).to_bytes())
    with pytest.raises(Broken, match=r"is of installation `another\.example`"):
        World(tmp_path / "data")


def test_nothing_new_is_set_up_beside_the_mark_of_what_was_here(world: World, tmp_path: Path) -> None:
    world.installation.highwater.keep()
    world.close()
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(Broken, match="is of an installation that was here before"):
        World(tmp_path / "data")
    path_of(Settings(data=tmp_path / "data")).unlink()
    World(tmp_path / "data").close()


def test_a_mark_that_cannot_be_written_is_told_and_stops_nothing(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = Highwater(tmp_path / "no-such-folder" / "mark", instance="entente.local", database=world.installation.database)
    with pytest.raises(Broken, match="set `ENTENTE_HIGHWATER` to a file that can be written"):
        nowhere.keep()
    refused: list[str] = []
    with caplog.at_level(logging.WARNING):
        Keeper(nowhere, refuse=refused.append).keep()
    assert "was not kept" in caplog.text and refused == []
    assert os.listdir(tmp_path / "data") != []


def test_every_earlier_state_of_a_log_is_known_again_and_no_other(database: Database, tmp_path: Path) -> None:
    ledger = Ledger("entente.test", bytes(32))
    sizes = (1, 2, 255, 256, 257, 511, 512, 700)
    with database.acting() as connection:
        heads = ledger.lock(connection, ["JPN"])
        ledger.append(connection, heads, [draft("JPN", number) for number in range(max(sizes))], at=1_795_341_600_000_000)
    with database.reading() as connection:
        head = logs.head(connection, "JPN")
        assert head is not None
        hashes = [leaf_hash(row.leaf) for row in logs.entries(connection, head.id)]
    mark = tmp_path / "mark"
    highwater = Highwater(mark, instance="entente.test", database=database)
    for size in sizes:
        mark.write_bytes(Mark("entente.test", 0, {"JPN": Reached(size, root(hashes[:size]))}).to_bytes())
        assert highwater.shortfalls() == ()
        mark.write_bytes(Mark("entente.test", 0, {"JPN": Reached(size, root(hashes[1 : size + 1]))}).to_bytes())
        assert highwater.shortfalls() == (Shortfall("JPN", size, max(sizes), forked=True),)
    mark.write_bytes(Mark("entente.test", 0, {"JPN": Reached(max(sizes) + 1, bytes(32)), "IND": Reached(1, bytes(32))}).to_bytes())
    assert highwater.shortfalls() == (Shortfall("IND", 1, 0, forked=False), Shortfall("JPN", 701, 700, forked=False))


def test_it_is_so_on_postgresql_too(postgresql_url: str, tmp_path: Path) -> None:
    url = new_postgresql_database(postgresql_url)
    world = World(tmp_path / "data", url=url)
    world.publish(bundle_files())
    released(world, 2)
    world.close()
    older = new_postgresql_database(postgresql_url, template=url.rpartition("?")[0].rpartition("/")[2])
    world = World(tmp_path / "data", url=url)
    world.clients["JPN"] = world.installation.registry.named("jpn-of-the-tests")
    released(world, 3)
    world.close()
    opened = open_installation(Settings(data=tmp_path / "data", database=older))
    assert opened.ledger.refusal is not None and "log `JPN` holds 2 entries, and had 5" in opened.ledger.refusal
    with pytest.raises(Conflict):
        World(tmp_path / "data", url=url).installation.accept_restored(OPERATOR, "nothing is lost there")
    assert opened.accept_restored(OPERATOR, "the backup of yesterday") == (Shortfall("JPN", 5, 2, forked=False),)
    opened.close()
