"""`entente` for guides with many commands: each is a process of its own, forked from one that has read the code already.

Starting a command takes ten times as long as most commands do. What runs is the same `main`, with the arguments, folder, environment,
input and output that the shell gave; a guide cannot tell. `serve`, which stays and is told to end by a signal, is started as it is.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SECONDS_MAX: Final = 60
_CLIENT: Final = """#!{python} -SE
import json, os, socket, sys
if sys.argv[1:2] == ["serve"]:
    os.execv({entente!r}, ["entente", *sys.argv[1:]])
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({address!r})
    asked = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
    socket.send_fds(server, [json.dumps(asked).encode()], [0, 1, 2])
    sys.exit(int(server.recv(8) or b"70"))
"""


@contextmanager
def forked_entente(folder: Path) -> Iterator[str]:
    """A folder to put first in `PATH`, with such an `entente` in it."""
    folder.mkdir()
    # Not below the test's own folder: the address of a socket is at most 107 bytes.
    short = tempfile.TemporaryDirectory(prefix="entente-")
    address = str(Path(short.name) / "socket")
    client = folder / "entente"
    client.write_text(_CLIENT.format(python=sys.executable, address=address, entente=str(Path(sys.executable).parent / "entente")))
    client.chmod(0o755)
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"}
    server = subprocess.Popen([sys.executable, "-m", "tests.support.forked", address], cwd=root, env=environment)
    try:
        end = time.monotonic() + SECONDS_MAX
        while not os.path.exists(address):
            assert server.poll() is None and time.monotonic() < end, "the commands could not be made ready"
            time.sleep(0.05)
        yield str(folder)
    finally:
        server.kill()
        server.wait()
        short.cleanup()


def _serve(address: str) -> None:
    from service.cli import main

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen()
        while True:
            asker, _ = listener.accept()
            with asker:
                message, files, _, _ = socket.recv_fds(asker, 1 << 20, 3)
                child = os.fork()
                if child == 0:
                    _run(main, json.loads(message), files)
                for file in files:
                    os.close(file)
                _, status = os.waitpid(child, 0)
                asker.send(b"%d" % os.waitstatus_to_exitcode(status))


def _run(main: object, asked: dict[str, object], files: list[int]) -> None:
    """Run a command in this child, and end it."""
    code = 70
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(str(asked["folder"]))
        os.environ.clear()
        os.environ.update(asked["environment"])  # type: ignore[arg-type]
        sys.argv = ["entente", *asked["arguments"]]  # type: ignore[misc]
        try:
            main()  # type: ignore[operator]
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1])
