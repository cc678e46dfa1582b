"""Servers as they are run in service, each a process on loopback, and a client that costs less than they do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import uvloop

REPOSITORY = Path(__file__).resolve().parents[2]
_STOOD_STILL_SECONDS = 0.05


@contextlib.contextmanager
def server(application: str, *, factory: bool = False, **environment: str) -> Iterator[int]:
    """A uvicorn process; yields its port once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port), "--log-level", "warning", "--no-access-log"]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-server-header", "--no-date-header"] + (["--factory"] if factory else [])
    process = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **environment})
    try:
        _await_answer(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)


def _await_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=1)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server did not answer in two minutes")


def settle() -> None:
    """What was made so far is not looked through for garbage while somebody waits for an answer to be read."""
    gc.collect()
    gc.freeze()


_SLEEPER = """
import sys, time
while True:
    began = time.time()
    time.sleep(0.01)
    late = time.time() - began - 0.01
    if late > float(sys.argv[1]):
        print(began, late, flush=True)
"""


@contextlib.contextmanager
def sleeper() -> Iterator[list[tuple[float, float]]]:
    """When a process that only sleeps woke up late, and by how many seconds: then the machine stood still. To be read afterwards."""
    told: list[tuple[float, float]] = []
    process = subprocess.Popen([sys.executable, "-c", _SLEEPER, str(_STOOD_STILL_SECONDS)], stdout=subprocess.PIPE, text=True)
    try:
        yield told
    finally:
        process.terminate()
        written, _ = process.communicate()
        told += [(float(at), float(late)) for at, late in (line.split() for line in written.splitlines())]


def requests_per_second(port: int, path: str, *, token: str, connections: int, seconds: float) -> float:
    """Answers a second, over so many connections that each wait for an answer before they ask again."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    async def ask(stop: float) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answers = 0
        while time.perf_counter() < stop:
            await _exchange(reader, writer, request)
            answers += 1
        writer.close()
        return answers

    async def all_of_them() -> float:
        begun = time.perf_counter()
        counts = await asyncio.gather(*(ask(begun + seconds) for _ in range(connections)))
        return sum(counts) / (time.perf_counter() - begun)

    return uvloop.run(all_of_them())


def seconds_each(port: int, path: str, *, token: str, times: int) -> list[float]:
    """Seconds that each of so many requests took, one after the other on one connection."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()

    async def one_by_one() -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        taken = []
        for _ in range(times):
            begun = time.perf_counter()
            await _exchange(reader, writer, request)
            taken.append(time.perf_counter() - begun)
        writer.close()
        return taken

    return uvloop.run(one_by_one())


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"expected 200, got {head.splitlines()[0]!r}")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))
