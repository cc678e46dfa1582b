"""A real server as a process of its own, on loopback: started, killed, started again over the same data folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.support.faults import ROOT

_START_SECONDS_MAX: Final = 60


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


class Server:
    """`service.app:from_environment` under uvicorn. Use it as a context, or `start` and `kill` it."""

    def __init__(self, data: Path, *, under: Sequence[str] = (), settings: Mapping[str, str] | None = None) -> None:
        self.port: Final = free_port()
        self.url: Final = f"http://127.0.0.1:{self.port}"
        self._errors: Final = data.parent / f"{data.name}-{self.port}.stderr"
        self._environment: Final = {**os.environ, "ENTENTE_DATA": str(data), **(settings or {})}
        self._command: Final = [
            *under, sys.executable, "-m", "uvicorn", "--factory", "service.app:from_environment", "--host", "127.0.0.1",
            "--port", str(self.port), "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning",
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self._begin()
        end = time.monotonic() + _START_SECONDS_MAX
        while not self._ready():
            if self.process is None or self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(f"the server did not start:\n{self.errors()}")
            time.sleep(0.02)

    def start_and_kill(self, seconds: float) -> None:
        """Kill it while it starts."""
        self._begin()
        time.sleep(seconds)
        self.kill()

    def _begin(self) -> None:
        with self._errors.open("ab") as errors:
            # A group of its own: what runs under a tracer is to die with it.
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=errors, stderr=errors, start_new_session=True
            )

    def _ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"GET /health/ready HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
                return connection.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        if self.process is None:
            raise AssertionError("it does not run")
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=30)
        self.process = None
        return status

    def errors(self) -> str:
        """What it wrote."""
        return self._errors.read_text(errors="replace")

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
