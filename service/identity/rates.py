"""Rates: how often a client may ask, and how often anybody may guess.

Token buckets, kept as one number per client: the moment its bucket is full again. A request moves that moment on by the
time one token takes to come back, and is refused if that would lie further ahead than the whole bucket takes. Integers, in
nanoseconds, so that a burst of 2,000 is 2,000 and not 1,999.

These guard the service, not the content: whether a client may have something is never decided here. Time is an argument.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime
from typing import Final

from service.errors import TooMany

_NANOSECONDS: Final = 1_000_000_000


class Rates:
    """A bucket for each key, of which the least recently used are forgotten when there are too many.

    Args:
        rate_per_second: tokens that come back to a bucket in a second.
        burst: tokens in a full bucket; at least 1.
        keys_max: buckets held.
    """

    def __init__(self, *, rate_per_second: float, burst: int, keys_max: int = 10_000) -> None:
        self._token: Final = round(_NANOSECONDS / rate_per_second)
        self._bucket: Final = self._token * burst
        self._keys_max: Final = keys_max
        self._full_at: Final[OrderedDict[str, int]] = OrderedDict()
        self._lock: Final = threading.Lock()

    def take(self, key: str, *, now: datetime) -> None:
        """Take one token. A refused request takes none.

        Raises:
            TooMany: the bucket is empty.
        """
        at = int(now.timestamp() * 1_000_000) * 1_000
        with self._lock:
            # Between two bounds: no further back than now (a bucket is never fuller than full), and no further ahead than a whole
            # bucket, so that a clock set back does not shut a client out for as long as it was set back.
            full_at = min(max(self._full_at.get(key, at), at), at + self._bucket)
            excess = full_at + self._token - at - self._bucket
            self._full_at[key] = full_at if excess > 0 else full_at + self._token
            self._full_at.move_to_end(key)
            if len(self._full_at) > self._keys_max:
                self._full_at.popitem(last=False)
        if excess > 0:
            raise TooMany(-(-excess // _NANOSECONDS))

    def give_back(self, key: str) -> None:
        """Undo one `take`."""
        with self._lock:
            if key in self._full_at:
                self._full_at[key] -= self._token

    def __len__(self) -> int:
        return len(self._full_at)


class SecretAttempts:
    """How often a secret may be guessed: for one client id, and by everybody together.

    A token is taken before the guess is checked and given back if it was right, so that guesses made at the same time count too.
    The client ids are those *presented*, in use or not: a refusal says nothing about which it is.

    Someone who presents ever new ids pushes others out of the table, and so refills their buckets. The bucket that everybody shares
    bounds that: at 10 guesses a second, it takes longer to push an id out of 10,000 than its bucket takes to refill.
    """

    def __init__(
        self,
        *,
        per_client_per_second: float = 1 / 6,
        per_client_burst: int = 10,
        overall_per_second: float = 10.0,
        overall_burst: int = 40,
    ) -> None:
        self._per_client: Final = Rates(rate_per_second=per_client_per_second, burst=per_client_burst)
        self._overall: Final = Rates(rate_per_second=overall_per_second, burst=overall_burst, keys_max=1)

    def begin(self, client_id: str, *, now: datetime) -> None:
        """Before a secret is checked.

        Raises:
            TooMany: not to be checked now.
        """
        self._per_client.take(client_id, now=now)
        try:
            self._overall.take("", now=now)
        except TooMany:
            self._per_client.give_back(client_id)
            raise

    def succeeded(self, client_id: str) -> None:
        """The secret was right; the attempt does not count."""
        self._per_client.give_back(client_id)
        self._overall.give_back("")
