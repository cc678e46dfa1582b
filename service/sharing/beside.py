"""Work beside the requests: in a thread of its own, again and again, until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final


class Beside:
    """`start` it once in each worker, and `stop` it.

    Args:
        work: does it once, and says in how many seconds it is wanted again. What it raises ends the thread.
        first: in how many seconds it is wanted first.
    """

    def __init__(self, name: str, work: Callable[[], float], *, first: float) -> None:
        self._name: Final = name
        self._work: Final = work
        self._first: Final = first
        self.stopped: Final = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self.stopped.clear()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Once what is being done is done; does nothing where it was not started."""
        self.stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        wait = self._first
        while not self.stopped.wait(wait):
            wait = self._work()
