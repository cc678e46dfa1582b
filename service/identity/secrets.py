"""Client secrets: how they are made, kept and compared.

A secret is shown once and kept only as an argon2id hash. Comparing costs the same whether the client exists or not, so that
nobody learns from our answers, or from how long they take, which client ids are in use.

argon2id is slow on purpose, and a client fetches a token every ten minutes. `ProvenSecrets` remembers, in memory and under a key that
dies with the process, which secrets have been proven since the start. That makes a known client's token cheap, and lets it
through while someone else is busy guessing (see `rates.SecretAttempts`).
"""

from __future__ import annotations

import hmac
import secrets
import threading
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from service.errors import Broken

SECRET_BYTES: Final = 32
SECRET_CHARACTERS_MAX: Final = 256
"""Of a secret presented; a longer one is refused unread."""
HASHES_AT_ONCE_MAX: Final = 2
"""Hashes being computed at a time, of 19 MiB each: a crowd of wrong guesses waits instead of filling memory."""


def new_secret() -> str:
    """A client secret: 256 random bits as base64url."""
    return secrets.token_urlsafe(SECRET_BYTES)


class SecretHasher:
    """argon2id with fixed costs.

    The defaults are those of OWASP's password storage sheet (19 MiB, 2 passes, 1 lane). Our secrets are random and of 256 bits,
    so the cost is not what keeps them safe; it keeps a stolen table worthless should anyone ever enter a secret of their own.
    """

    def __init__(self, *, time_cost: int = 2, memory_kib: int = 19 * 1024, parallelism: int = 1) -> None:
        self._hasher: Final = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=parallelism, type=Type.ID)
        self._at_once: Final = threading.BoundedSemaphore(HASHES_AT_ONCE_MAX)
        # Made once and at the start: were it made at the first unknown client, that answer would take twice as long.
        self.dummy_hash: Final = self._hasher.hash(new_secret())

    def hash(self, secret: str) -> str:
        """The hash to keep, in PHC form, with a salt of its own."""
        return self._hasher.hash(secret)

    def matches(self, secret_hash: str, secret: str) -> bool:
        """Whether `secret` is the one behind `secret_hash`. For a client that does not exist give `dummy_hash`, and ignore the answer.

        Raises:
            Broken: what is kept is not such a hash.
        """
        with self._at_once:
            try:
                return self._hasher.verify(secret_hash, secret)
            except VerifyMismatchError:
                return False
            except (InvalidHashError, VerificationError) as error:
                raise Broken("a client's secret cannot be checked: what is kept is not an argon2 hash") from error


class ProvenSecrets:
    """Which secrets have been proven since the start, as HMACs under a key nobody else has.

    Bound to the hash in force: after a change of secret, or for a client without one, nothing is remembered. The oldest of too
    many goes first.
    """

    def __init__(self, *, entries_max: int = 10_000) -> None:
        self._key: Final = secrets.token_bytes(32)
        self._entries_max: Final = entries_max
        self._marks: Final[dict[bytes, None]] = {}
        self._lock: Final = threading.Lock()

    def holds(self, secret_hash: str, secret: str) -> bool:
        """Whether this secret was proven for this hash."""
        return self._mark(secret_hash, secret) in self._marks

    def add(self, secret_hash: str, secret: str) -> None:
        """Remember a secret that `SecretHasher.matches` has proven."""
        with self._lock:
            self._marks[self._mark(secret_hash, secret)] = None
            if len(self._marks) > self._entries_max:
                del self._marks[next(iter(self._marks))]

    def _mark(self, secret_hash: str, secret: str) -> bytes:
        # A PHC string holds no NUL, so the two cannot run into one another.
        return hmac.digest(self._key, f"{secret_hash}\0{secret}".encode("utf-8", "surrogatepass"), "sha256")
