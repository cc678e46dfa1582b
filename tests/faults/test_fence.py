"""The fence (promise 8): when an act has answered, no worker records a release under the old state.

Sixteen readers against publish, suspend, resume, relabel, create and withdraw in a loop, in one process and in several, on either
database. Every leaf is then compared with an oracle that knows only what each act allowed.
"""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from service.settings import Settings
from service.sharing import catalogue
from service.sharing.installation import open_installation
from service.sharing.verification import verify_all
from tests.support.faults import MACHINE_HERE, Small, entries, face, small
from tests.support.faults_fence import READ_BETWEEN_ACTS, check, poster, read_from_servers, read_in_threads, tell
from tests.support.faults_server import Server
from tests.support.two_officers import relabel_within

CYCLES = 2


def test_no_leaf_after_an_act_names_what_was_before_it_though_two_workers_read(tmp_path: Path, database_url: str) -> None:
    """Two gates over one database: each knows of the other's acts only through the fence."""
    world = small(tmp_path, database=database_url)
    other = open_installation(Settings(data=tmp_path, database=database_url))
    workers = (world.installation, other)
    try:
        for worker in workers:
            worker.gate.start()
        story = read_in_threads(world, workers, lambda: tell(world, cycles=CYCLES))
        check(world, story)
        assert len(story.answered) == CYCLES * 8
        assert len(entries(world.installation, "JPN")) >= len(story.answered) * READ_BETWEEN_ACTS
        report = verify_all(other)
        assert report.ok, report.problem
    finally:
        other.close()
        world.installation.close()


def test_nor_does_one_though_readers_and_acts_are_of_three_processes(tmp_path: Path) -> None:
    """Two servers answer; acts are done in this process, as a command does them, and by HTTP at one of the servers."""
    (tmp_path / "data").mkdir()
    world = small(tmp_path / "data")
    try:
        with Server(tmp_path / "data") as one, Server(tmp_path / "data") as two:
            tale = read_from_servers(world, [one.url, two.url], lambda: tell(world, cycles=CYCLES, post=poster(world, two.url)))
            story = asyncio.run(tale)
        check(world, story)
        assert len(story.answered) == CYCLES * 8
        assert len(entries(world.installation, "JPN")) >= len(story.answered) * READ_BETWEEN_ACTS
        assert verify_all(world.installation).ok
    finally:
        world.installation.close()


# --- what is on its way ---------------------------------------------------------------------------------------------------------

LARGE = 20 << 20
WAIT_SECONDS = 1.0


def _withdraw(world: Small) -> None:
    with world.installation.acts.act("item.withdraw", MACHINE_HERE) as act:
        catalogue.withdraw(act, world.items["chart"], reason="a test")


def _suspend(world: Small) -> None:
    world.installation.publishing.suspend("JPN", MACHINE_HERE, reason="a test")


def _relabel(world: Small) -> None:
    with world.installation.acts.act("item.relabel", MACHINE_HERE) as act:
        relabel_within(act, world.items["chart"], "(U//REL TO USA, AUS)")


@pytest.mark.parametrize("act", [_withdraw, _suspend, _relabel])
def test_a_file_on_its_way_to_a_slow_reader_is_cut_within_a_second_of_the_act(tmp_path: Path, act: object) -> None:
    (tmp_path / "data").mkdir()
    world = small(tmp_path / "data", chart_bytes=LARGE)
    assert callable(act)
    try:
        with Server(tmp_path / "data") as server, socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            reader.settimeout(10)
            reader.connect(("127.0.0.1", server.port))
            path = f"/v1/items/{world.items['chart']}/files/{world.file}"
            authorization = world.headers("jpn")["authorization"]
            reader.sendall(f"GET {path} HTTP/1.1\r\nhost: here\r\nauthorization: {authorization}\r\n\r\n".encode())
            received = bytearray(reader.recv(1 << 16))
            while len(received) < 1 << 20:
                received += reader.recv(1 << 16)
            assert received.startswith(b"HTTP/1.1 200")
            # It reads on, slowly, beyond the second that the act has; what still comes was in the network's hands by then.
            act(world)
            end = time.monotonic() + WAIT_SECONDS
            while time.monotonic() < end:
                received += reader.recv(1 << 10)
                time.sleep(0.02)
            while block := _or_nothing(reader):
                received += block
            body = bytes(received).partition(b"\r\n\r\n")[2]
            assert len(body) < LARGE * 3 // 4
            assert world.chart.startswith(body)
        assert face(entries(world.installation, "JPN")[-1])["result"] == "sent"
    finally:
        world.installation.close()


def _or_nothing(reader: socket.socket) -> bytes:
    try:
        return reader.recv(1 << 16)
    except ConnectionResetError:
        return b""


def test_a_file_on_its_way_goes_on_while_acts_concern_others(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    world = small(tmp_path / "data", chart_bytes=LARGE)
    try:
        with Server(tmp_path / "data") as server, socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            reader.settimeout(10)
            reader.connect(("127.0.0.1", server.port))
            path = f"/v1/items/{world.items['chart']}/files/{world.file}"
            authorization = world.headers("jpn")["authorization"]
            reader.sendall(f"GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\nauthorization: {authorization}\r\n\r\n".encode())
            received = bytearray(reader.recv(1 << 16))
            world.installation.publishing.suspend("GBR", MACHINE_HERE, reason="a test")
            end = time.monotonic() + WAIT_SECONDS
            while time.monotonic() < end:
                received += reader.recv(1 << 10)
                time.sleep(0.02)
            while block := _or_nothing(reader):
                received += block
        assert bytes(received).partition(b"\r\n\r\n")[2] == world.chart
    finally:
        world.installation.close()
