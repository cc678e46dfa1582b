"""Roots reach witnesses; what they sign is served and verified; one who has seen another database stops everything until answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from service.cli.witness import WitnessFolder
from service.errors import Broken, Busy, Conflict, NotVisible, ProofError, Rejected
from service.releaselog.cosign import Cosigner, find_cosignature
from service.releaselog.receipt import read_proof
from service.settings import Settings
from service.sharing.installation import open_installation
from service.sharing.rootlog import RootClock, root_checkpoint, root_proof
from service.sharing.standing import standing
from service.sharing.verification import verify_all
from service.sharing.witnessing import Witnessing, add_witness, remove_witness
from service.store import logs, roots
from tests.support.personal import record_in_words
from tests.support.store_bundles import bundle_files
from tests.support.store_world import OFFICER, Clock, World

URL = "http://witness.test/w1"
Handler = Callable[[httpx.Request], httpx.Response]


class Watched:
    """A world, a witness of it in a folder of its own, and the way between them, which a test may exchange."""

    def __init__(self, tmp_path: Path, url: str, **settings: Any) -> None:
        self.clock = Clock()
        self.world = World(tmp_path / "data", url=url, clock=self.clock, **settings)
        self.world.publish(bundle_files())
        self.world.client("JPN")
        self.folder = WitnessFolder(tmp_path / "witness")
        self.vkey = self.folder.create("witness.example/w1")
        self.installation = self.world.installation
        self.answer: Handler = self.honest
        self.asked: list[str] = []
        self.installation.rootlog.append()
        with self.installation.database.reading() as connection:
            origin = self.installation.rootlog.origin(connection)
        assert origin is not None
        self.origin = origin
        self.folder.trust(self.installation.ledger.vkey(origin))
        self.witnessing = Witnessing(database=self.installation.database, http=self.client, clock=self.clock)

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._handle))

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        return self.answer(request)

    def honest(self, request: httpx.Request) -> httpx.Response:
        answer = self.folder.answer(request.read(), time=int(self.clock().timestamp()))
        return httpx.Response(answer.status, content=answer.body.encode(), headers={"content-type": answer.media_type})

    def add(self, vkey: str | None = None) -> None:
        add_witness(self.installation.acts, OFFICER, name="inspector", url=URL, vkey=vkey or self.vkey)

    def root(self) -> None:
        """A root, a minute later, sent to the witnesses."""
        self.clock.advance(seconds=60)
        assert self.installation.rootlog.append() is not None
        self.witnessing.submit()

    def signed(self) -> int:
        with self.installation.database.reading() as connection:
            return roots.cosigned_size(connection)

    def halted(self) -> str | None:
        with self.installation.database.reading() as connection:
            return roots.signing(connection).halted_why

    def reopened(self) -> World:
        """Another worker."""
        other = World(self.installation.settings.data, url=self.installation.settings.database, clock=self.clock)
        other.clients.update(self.world.clients)
        return other


@pytest.fixture
def watched(tmp_path: Path, database_url: str) -> Iterator[Watched]:
    made = Watched(tmp_path, database_url)
    yield made
    made.world.close()


def problem(world: World) -> str | None:
    found = verify_all(world.installation).problem
    return None if found is None else f"{found.log} {found.index} {found.code}: {found.message}"


def test_every_root_is_signed_and_served_with_the_signature(watched: Watched) -> None:
    watched.add()
    watched.root()
    watched.world.item("JPN", "absent")
    watched.root()
    assert watched.signed() == 3 and watched.asked == [f"{URL}/add-checkpoint"] * 2
    with watched.installation.database.reading() as connection:
        proof, head = root_proof(connection, watched.installation.ledger, "JPN")
        note = root_checkpoint(connection, head, 3)
        assert find_cosignature(root_checkpoint(connection, head, 2), watched.vkey) is not None
        with pytest.raises(NotVisible):
            root_checkpoint(connection, head, 4)
    assert read_proof(proof.proof).checkpoint == note
    found = find_cosignature(note, watched.vkey)
    assert found is not None and found.time == int(watched.clock().timestamp())
    assert problem(watched.world) is None


def test_a_proof_is_under_the_newest_root_that_somebody_signed(watched: Watched) -> None:
    watched.add()
    watched.root()
    watched.answer = lambda request: httpx.Response(500)
    watched.root()
    with watched.installation.database.reading() as connection:
        proof, _ = root_proof(connection, watched.installation.ledger, "JPN")
    read = read_proof(proof.proof)
    assert read.index == 1 and find_cosignature(read.checkpoint, watched.vkey) is not None


def test_a_witness_that_was_away_or_has_forgotten_us_catches_up(watched: Watched) -> None:
    watched.add()
    watched.root()
    watched.answer = lambda request: httpx.Response(503)
    watched.root()
    assert watched.signed() == 2
    watched.answer = watched.honest
    watched.root()
    assert watched.signed() == 4
    # It was set back, and says so by its size: the proof begins there. And a new one begins at nothing.
    watched.folder.forget(watched.origin)
    watched.root()
    assert watched.signed() == 5 and watched.halted() is None


def test_a_signature_lost_on_its_way_is_fetched_again(watched: Watched) -> None:
    watched.add()

    def lost(request: httpx.Request) -> httpx.Response:
        watched.honest(request)
        raise httpx.ReadTimeout("gone", request=request)

    watched.answer = lost
    watched.root()
    assert watched.signed() == 0
    watched.answer = watched.honest
    watched.witnessing.submit()
    assert watched.signed() == 2 and watched.halted() is None


def answers(status: int, body: str, media_type: str = "text/plain") -> Handler:
    return lambda request: httpx.Response(status, content=body.encode(), headers={"content-type": media_type})


STRANGER = Cosigner("witness.example/w1", bytes(32))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answers(404, ""), id="it does not know us"),
        pytest.param(answers(403, ""), id="it does not trust our key"),
        pytest.param(answers(500, ""), id="broken"),
        pytest.param(answers(302, ""), id="it sends us elsewhere"),
        pytest.param(answers(200, ""), id="nothing signed"),
        pytest.param(answers(200, "x" * 70_000), id="too much"),
        pytest.param(answers(200, STRANGER.line("other\n", time=1)), id="another's signature alone"),
        pytest.param(answers(409, "9\n"), id="a size of another type"),
        pytest.param(answers(409, "many\n", "text/x.tlog.size"), id="a size that is none"),
        pytest.param(answers(409, "00\n", "text/x.tlog.size"), id="a size with a leading zero"),
    ],
)
def test_an_answer_that_is_neither_signature_nor_disagreement_changes_nothing(watched: Watched, answer: Handler) -> None:
    watched.add()
    watched.answer = answer
    watched.root()
    assert watched.signed() == 0 and watched.halted() is None
    watched.world.item("JPN", "absent")


def test_a_wrong_signature_under_the_registered_key_is_not_kept(watched: Watched) -> None:
    watched.add(STRANGER.vkey)
    watched.answer = answers(200, STRANGER.line("another\n5\nAAAA\n", time=1))
    watched.root()
    assert watched.signed() == 0


# --- disagreement -------------------------------------------------------------------------------------------------------


DISAGREEMENTS: Mapping[str, tuple[Handler, str]] = {
    "it has signed more than we hold": (answers(409, "9\n", "text/x.tlog.size"), "a root log of 9 entries, and this database holds 3"),
    "our tree does not continue its own": (answers(422, "no"), "another root log of 2 entries"),
}


@pytest.mark.parametrize("case", DISAGREEMENTS)
def test_a_witness_that_disagrees_stops_every_worker_until_the_operator_answers(watched: Watched, case: str) -> None:
    answer, said = DISAGREEMENTS[case]
    other = watched.reopened()
    watched.add()
    watched.root()
    watched.answer = answer
    watched.root()
    why = watched.halted()
    assert why is not None and "witness `inspector`" in why and said in why and "entente log restored" in why
    heads = logs_of(watched)
    for world in (watched.world, other):
        with pytest.raises(Broken, match="witness `inspector`"):
            world.item("JPN", "absent")
        with pytest.raises(Broken, match="witness `inspector`"):
            world.suspend("JPN")
        with pytest.raises(Broken, match="witness `inspector`"):
            world.installation.acts.look("look.audience", OFFICER, [], {})
        with pytest.raises(Broken, match="witness `inspector`"):
            world.installation.rootlog.append()
        assert standing(world.installation).reasons == (why,)
    assert logs_of(watched) == heads, "nothing was signed"
    assert problem(watched.world) is None
    # The operator: the witness was wrong, or the loss is accepted. Both are on record.
    remove_witness(watched.installation.acts, OFFICER, name="inspector")
    assert watched.halted() == why, "to ask no more is no answer"
    assert watched.installation.accept_restored(OFFICER, "the witness was set up anew") == ()
    for world in (watched.world, other):
        world.item("JPN", "absent")
    with watched.installation.database.reading() as connection:
        (row,) = logs.of_types(connection, "officers", ("log.restored",))
        details = record_in_words(connection, row)["details"]
    assert details["reason"] == "the witness was set up anew" and "inspector" in details["halted"]
    other.close()


def logs_of(watched: Watched) -> list[tuple[str, int, str]]:
    with watched.installation.database.reading() as connection:
        return [(head.name, head.size, head.checkpoint) for head in logs.heads(connection)]


def test_a_fork_of_the_same_size_is_a_disagreement(watched: Watched) -> None:
    """Rewritten and signed again with the real key: what only a witness can see."""
    watched.add()
    watched.root()
    with watched.installation.database.acting() as connection:
        connection.execute(text("DELETE FROM cosignature"))
    # The witness has seen another tree of this size.
    state = watched.folder._read()
    known = state.latest[watched.origin]
    changed = type(known)(known.origin, known.size, bytes(32))
    watched.folder._write(type(state)(state.name, state.private, state.trusted, {watched.origin: changed}))
    watched.witnessing.submit()
    why = watched.halted()
    assert why is not None and "another root log of 2 entries" in why


def test_another_worker_s_newer_root_is_no_disagreement(watched: Watched) -> None:
    watched.add()
    watched.root()
    once = True

    def overtaken(request: httpx.Request) -> httpx.Response:
        nonlocal once
        if once:
            once = False
            watched.clock.advance(seconds=60)
            watched.installation.rootlog.append()
            Witnessing(database=watched.installation.database, http=watched.client, clock=watched.clock).submit()
        return watched.honest(request)

    watched.answer = overtaken
    watched.root()
    assert watched.halted() is None and watched.signed() == 4


# --- strict mode --------------------------------------------------------------------------------------------------------


def test_past_the_limit_nothing_is_released_until_a_witness_has_signed(tmp_path: Path, database_url: str) -> None:
    watched = Watched(tmp_path, database_url, unwitnessed_seconds_max=300)
    world, installation = watched.world, watched.installation
    watched.clock.advance(seconds=300)
    world.item("JPN", "absent")
    watched.clock.advance(seconds=1)
    before = logs_of(watched)
    with pytest.raises(Busy, match="no witness has seen the logs for more than 300 seconds"):
        world.item("JPN", "absent")
    with pytest.raises(Busy, match="no witness"):
        world.suspend("JPN")
    assert logs_of(watched) == before and standing(installation).reasons != ()
    # What mends it goes on: roots, and registering a witness.
    watched.answer = lambda request: httpx.Response(503)
    watched.add()
    watched.root()
    with pytest.raises(Busy, match="no witness"):
        world.item("JPN", "absent")
    watched.answer = watched.honest
    watched.root()
    world.item("JPN", "absent")
    assert standing(installation).reasons == () and standing(installation).unwitnessed_seconds == 0
    world.close()


# --- registering --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["", "witness.test", "ftp://witness.test", "https://", "https://a:b@witness.test", "https://w.test/?a=b", "https://w.test/#a"]
)
def test_an_address_of_another_form_is_refused(watched: Watched, url: str) -> None:
    with pytest.raises(Rejected, match="address of a witness"):
        add_witness(watched.installation.acts, OFFICER, name="w", url=url, vkey=watched.vkey)


def test_names_and_keys_are_checked_and_acts_are_on_record(watched: Watched) -> None:
    acts = watched.installation.acts
    with pytest.raises(Rejected, match="witness name"):
        add_witness(acts, OFFICER, name="The Inspector", url=URL, vkey=watched.vkey)
    with pytest.raises(ProofError, match="0x04"):
        add_witness(acts, OFFICER, name="w", url=URL, vkey=watched.installation.ledger.vkey(watched.origin))
    watched.add()
    with pytest.raises(Conflict, match="a witness `inspector` already"):
        watched.add()
    remove_witness(acts, OFFICER, name="inspector")
    with pytest.raises(Conflict, match="no witness `inspector`"):
        remove_witness(acts, OFFICER, name="inspector")
    with watched.installation.database.reading() as connection:
        found = [type_ for type_, _, _ in logs.records_of(connection, "officers", ["witness.add", "witness.remove"])]
    assert found == ["witness.add", "witness.remove"]


# --- verification, and the service itself -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        ("UPDATE cosignature SET size = 1", "root 0 cosignature: expected a witness's signature that holds"),
        ("UPDATE cosignature SET size = 9", "root None cosignature: expected signatures under roots alone, found one of size 9"),
        ("UPDATE cosignature SET line = REPLACE(line, 'w1', 'w2')", "root 1 cosignature: expected a witness's signature by the key"),
        ("UPDATE cosignature SET line = 'x'", "root 1 cosignature: expected a witness's signature that holds"),
    ],
)
def test_a_signature_of_a_witness_that_was_tampered_with_is_named(watched: Watched, tamper: str, said: str) -> None:
    watched.add()
    watched.root()
    with watched.installation.database.acting() as connection:
        connection.execute(text(tamper))
    found = problem(watched.world)
    assert found is not None and found.startswith(said), found


def test_the_clock_s_thread_sends_its_last_root_too(tmp_path: Path) -> None:
    watched = Watched(tmp_path, f"sqlite:///{tmp_path / 'd.db'}")
    watched.add()
    installation = open_installation(
        Settings(data=tmp_path / "data", database=watched.installation.settings.database), clock=watched.clock, http=watched.client
    )
    assert isinstance(installation.root_clock, RootClock)
    installation.root_clock.start()
    installation.close()
    assert watched.signed() == 2
    watched.world.close()
