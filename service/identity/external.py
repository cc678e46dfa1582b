"""The keys of an external OpenID issuer: fetched over HTTPS, kept for a while, and never on anyone else's word.

OpenID Connect Discovery 1.0 section 4 (or a JWK Set URL given by the operator), RFC 7517 for the keys.

- A key name we do not hold leads to one fetch, and then to none for `retry_seconds`: tokens with invented names cannot make us
  hammer the issuer, and those who wait for a fetch are few and wait for a limited time.
- Keys are fetched again when they are older than `fresh_seconds`, so that one withdrawn by the issuer ends here too.
- If a fetch fails, the keys held stay good until they are `kept_seconds` old; after that no token of this issuer is believed.
- Answers are limited in bytes and in time, not followed elsewhere, and not decompressed.

The HTTP client comes from outside (`http_client()` makes the one to use).
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Final

import httpx

from service.errors import Broken
from service.identity.encoding import json_object
from service.identity.keys import Algorithm, VerifyingKey, acceptable_keys

ANSWER_BYTES_MAX: Final = 256 * 1024
ANSWER_SECONDS_MAX: Final = 5.0
"""For one answer from its first byte to its last; `http_client()` limits the waiting before that."""
KEYS_MAX: Final = 100
"""Of one JWK Set; a longer one is refused."""
RETRY_SECONDS: Final = 30.0
FRESH_SECONDS: Final = 600.0
KEPT_SECONDS: Final = 3600.0
WAITERS_MAX: Final = 8
"""Requests that wait for a fetch another one has begun; more are refused at once, so that they do not take up all threads."""


def http_client() -> httpx.Client:
    """The HTTP client for an issuer: the machine's own trust store, 3 s for each step, no redirects.

    Nothing from the environment: a proxy or a `.netrc` meant for something else does not come between us and the issuer.
    """
    return httpx.Client(verify=ssl.create_default_context(), timeout=3.0, follow_redirects=False, trust_env=False)


@dataclass(frozen=True, slots=True)
class _Fetched:
    keys: Mapping[str, VerifyingKey]
    at: float


class _Unusable(Exception):
    """An answer that is no set of keys; the message says why."""


class ExternalKeys:
    """The keys of one issuer, for `tokens.TrustSource`.

    Args:
        issuer: its `iss`; where discovery begins, if no `jwks_url` is given.
        algorithm: the one we accept from it; keys for another are left out.
        client: asks; see `http_client()`.
        jwks_url: where the keys are, in place of discovery.
        retry_seconds: between two fetches, at the least.
        fresh_seconds: age from which keys in use are fetched again.
        kept_seconds: age from which keys are good no more.
        elapsed: a stopwatch in seconds, for the time an answer takes. The only clock here; what is in force goes by `now`.

    Raises:
        Broken: an address that is not HTTPS, save on this machine itself, or not an address.
    """

    def __init__(
        self,
        *,
        issuer: str,
        algorithm: Algorithm,
        client: httpx.Client,
        jwks_url: str | None = None,
        retry_seconds: float = RETRY_SECONDS,
        fresh_seconds: float = FRESH_SECONDS,
        kept_seconds: float = KEPT_SECONDS,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer: Final = issuer
        self._algorithm: Final = algorithm
        self._client: Final = client
        self._jwks_url: Final = None if jwks_url is None else _address(jwks_url)
        # An issuer's name need not be an address if nothing is to be found there.
        self._discovery_url: Final = _address(issuer.rstrip("/") + "/.well-known/openid-configuration") if jwks_url is None else None
        self._retry_seconds: Final = retry_seconds
        self._fresh_seconds: Final = fresh_seconds
        self._kept_seconds: Final = kept_seconds
        self._elapsed: Final = elapsed
        self._fetched: _Fetched | None = None
        self._tried_at: float | None = None
        self._failure: str | None = None
        self._fetching: Final = threading.Lock()
        self._waiters: Final = threading.BoundedSemaphore(WAITERS_MAX)

    @property
    def failure(self) -> str | None:
        """Why the last fetch failed; None if it did not, or there was none yet. For the operator."""
        return self._failure

    def held(self, kid: str, *, now: datetime) -> VerifyingKey | None:
        fetched = self._fetched
        if fetched is None or now.timestamp() - fetched.at >= self._kept_seconds:
            return None
        return fetched.keys.get(kid)

    def must_fetch(self, kid: str, *, now: datetime) -> bool:
        held = self.held(kid, now=now) is not None
        if self._fetching.locked():
            # Who holds a key goes on with it; who does not waits with the one who fetches.
            return not held
        return self._due(held, now.timestamp())

    def fetch(self, kid: str, *, now: datetime) -> None:
        if self._fetching.acquire(blocking=False):
            try:
                self._fetch_if_due(kid, now)
            finally:
                self._fetching.release()
        elif self.held(kid, now=now) is None and self._waiters.acquire(blocking=False):
            # Another one fetches. Its answer is ours too: wait for it to end, do not ask again.
            try:
                if self._fetching.acquire(timeout=2 * ANSWER_SECONDS_MAX):
                    self._fetching.release()
            finally:
                self._waiters.release()

    def _due(self, held: bool, at: float) -> bool:
        # A clock set back makes `since` negative; then it is as good as long ago.
        if self._tried_at is not None and 0 <= at - self._tried_at < self._retry_seconds:
            return False
        return not held or self._fetched is None or not 0 <= at - self._fetched.at < self._fresh_seconds

    def _fetch_if_due(self, kid: str, now: datetime) -> None:
        at = now.timestamp()
        # Asked again under the lock: another one may have fetched since `must_fetch` was.
        if not self._due(self.held(kid, now=now) is not None, at):
            return
        # Noted before the answer: a fetch that fails counts.
        self._tried_at = at
        try:
            keys = self._keys()
        except httpx.HTTPError as error:
            self._failure = f"the external issuer cannot be reached: {type(error).__name__}"
        except _Unusable as error:
            self._failure = f"the external issuer's answer is of no use: {error}"
        else:
            # A key that is the same keeps its identity, and what was verified with it stays verified.
            before = {} if self._fetched is None else self._fetched.keys
            same = {name: before[name] for name, key in keys.items() if name in before and _is_same(before[name], key)}
            self._fetched = _Fetched({**keys, **same}, at)
            self._failure = None

    def _keys(self) -> dict[str, VerifyingKey]:
        """The issuer's keys as it gives them now. Empty is an answer too: it has withdrawn them all."""
        keys = self._answer(self._jwks_url or self._discovered()).get("keys")
        if not isinstance(keys, list) or len(keys) > KEYS_MAX:
            raise _Unusable(f"expected a JWK Set of at most {KEYS_MAX} keys")
        return acceptable_keys(keys, self._algorithm)

    def _discovered(self) -> httpx.URL:
        """Where the issuer says its keys are. OpenID Connect Discovery 1.0 sections 4.2 and 4.3."""
        if self._discovery_url is None:
            raise _Unusable("no address to discover its keys from")
        document = self._answer(self._discovery_url)
        # Else one issuer's document could lend another's keys to it.
        if document.get("issuer") != self._issuer:
            raise _Unusable("its discovery document is another issuer's")
        address = document.get("jwks_uri")
        if not isinstance(address, str):
            raise _Unusable("its discovery document names no JWK Set")
        try:
            url = _address(address)
        except Broken as error:
            raise _Unusable(str(error)) from None
        # An issuer elsewhere has no business on this machine's own ports.
        if _is_loopback(url) and not _is_loopback(self._discovery_url):
            raise _Unusable("its discovery document leads to this machine itself")
        return url

    def _answer(self, url: httpx.URL) -> dict[str, object]:
        """The JSON object at an address.

        Raises:
            httpx.HTTPError: no whole answer.
            _Unusable: another status than 200 (a redirect too), too large, too slow, encoded, or not a JSON object.
        """
        started = self._elapsed()
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        content = bytearray()
        with self._client.stream("GET", url, headers=headers, follow_redirects=False) as response:
            if response.status_code != httpx.codes.OK:
                raise _Unusable(f"status `{response.status_code}`, expected `200`")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise _Unusable("it is compressed, which we did not ask for")
            # Raw: a few bytes that unfold into gigabytes stay a few bytes.
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > ANSWER_BYTES_MAX:
                    raise _Unusable(f"more than {ANSWER_BYTES_MAX} bytes")
                if self._elapsed() - started > ANSWER_SECONDS_MAX:
                    raise _Unusable(f"it took longer than {ANSWER_SECONDS_MAX} s")
        try:
            return json_object(bytes(content))
        except ValueError:
            raise _Unusable("it is not a JSON object") from None


def _address(text: str) -> httpx.URL:
    """An address we may ask.

    Raises:
        Broken: not HTTPS (plain HTTP is for this machine itself only), without a host, or with a user or fragment.
    """
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        raise Broken(f"external issuer address `{text}` is not a URL") from None
    if not url.host or url.userinfo or url.fragment:
        raise Broken(f"external issuer address `{text}` has no host, or names a user or a fragment")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url)):
        raise Broken(f"external issuer address `{text}` is not `https`; plain `http` is for this machine itself only")
    return url


def _is_loopback(url: httpx.URL) -> bool:
    if url.host == "localhost":
        return True
    try:
        return ip_address(url.host).is_loopback
    except ValueError:
        return False


def _is_same(one: VerifyingKey, other: VerifyingKey) -> bool:
    return one.algorithm is other.algorithm and one.public.public_numbers() == other.public.public_numbers()
