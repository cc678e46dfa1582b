"""A secret opens the door of one client; nothing shows which doors there are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Broken, Forbidden, Rejected, TooMany, Unauthenticated
from service.identity.authentication import SecretAuthenticator, authorize, bearer_token, purpose_of
from service.identity.clients import CLIENT_ID, Caller, Client, Role, new_client_id
from service.identity.rates import Rates, SecretAttempts
from service.identity.secrets import ProvenSecrets, SecretHasher, new_secret

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
OURS = "entente.example"
SECRET = new_secret()
CHEAP = SecretHasher(time_cost=1, memory_kib=8)
PARTNER = Client(
    "c_japanjapanjapan1", OURS, "c_japanjapanjapan1", "jpn", Role.PARTNER, "JPN", ("EXERCISE-KEEN",), secret_hash=CHEAP.hash(SECRET)
)
UNKNOWN = "c_nobodynobodynobod"


class Directory:
    """A client table in memory."""

    def __init__(self, *clients: Client) -> None:
        self.clients = list(clients)

    def find(self, issuer: str, subject: str) -> Client | None:
        return next((client for client in self.clients if (client.issuer, client.subject) == (issuer, subject)), None)

    def by_id(self, client_id: str) -> Client | None:
        return next((client for client in self.clients if client.id == client_id), None)


class CountingHasher(SecretHasher):
    """A hasher that notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_kib=8)
        self.asked: list[str] = []

    def matches(self, secret_hash: str, secret: str) -> bool:
        self.asked.append(secret_hash)
        return super().matches(secret_hash, secret)


def door(directory: Directory, hasher: SecretHasher = CHEAP, attempts: SecretAttempts | None = None) -> SecretAuthenticator:
    return SecretAuthenticator(directory, issuer=OURS, hasher=hasher, attempts=attempts)


def test_the_right_secret_opens() -> None:
    assert door(Directory(PARTNER)).authenticate(PARTNER.id, SECRET, now=NOW) == PARTNER


@pytest.mark.parametrize(
    ("client", "client_id", "secret"),
    [
        pytest.param(PARTNER, PARTNER.id, SECRET[:-1], id="wrong-secret"),
        pytest.param(PARTNER, PARTNER.id, "", id="empty-secret"),
        pytest.param(PARTNER, PARTNER.id, SECRET + "\0", id="secret-with-nul-after-it"),
        pytest.param(PARTNER, PARTNER.id, PARTNER.secret_hash, id="the-hash-as-secret"),
        pytest.param(PARTNER, PARTNER.id, "é", id="secret-not-ascii"),
        pytest.param(PARTNER, PARTNER.id, "\ud800", id="secret-of-half-a-character"),
        pytest.param(PARTNER, PARTNER.id, "s" * 100_000, id="huge-secret"),
        pytest.param(PARTNER, UNKNOWN, SECRET, id="unknown-client"),
        pytest.param(PARTNER, PARTNER.name, SECRET, id="name-as-id"),
        pytest.param(PARTNER, "", SECRET, id="empty-id"),
        pytest.param(PARTNER, PARTNER.id + "\n", SECRET, id="id-with-line-end"),
        pytest.param(PARTNER, "c_" + "x" * 100_000, SECRET, id="huge-id"),
        pytest.param(replace(PARTNER, enabled=False), PARTNER.id, SECRET, id="disabled-client"),
        pytest.param(replace(PARTNER, issuer="https://login.example"), PARTNER.id, SECRET, id="client-of-another-issuer"),
        pytest.param(replace(PARTNER, secret_hash=None), PARTNER.id, SECRET, id="client-without-secret"),
        pytest.param(replace(PARTNER, secret_hash=None), PARTNER.id, "", id="client-without-secret-and-none-given"),
    ],
)
def test_anything_else_does_not_and_the_answer_is_always_the_same(client: Client, client_id: str, secret: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        door(Directory(client)).authenticate(client_id, secret, now=NOW)
    assert str(refused.value) == "not authenticated"
    assert refused.value.reason == "secret"


def test_an_unknown_a_disabled_and_a_known_client_cost_the_same_hash() -> None:
    disabled = replace(PARTNER, id="c_disableddisabled", subject="c_disableddisabled", enabled=False)
    hasher = CountingHasher()
    ours = door(Directory(PARTNER, disabled), hasher)
    for client_id in (PARTNER.id, disabled.id, UNKNOWN):
        with pytest.raises(Unauthenticated):
            ours.authenticate(client_id, "wrong", now=NOW)
    assert hasher.asked == [PARTNER.secret_hash, hasher.dummy_hash, hasher.dummy_hash]
    # The same costs: everything in the PHC form before the salt is equal.
    assert hasher.dummy_hash.rsplit("$", 2)[0] == hasher.hash("x").rsplit("$", 2)[0]


def test_the_costs_are_those_we_say() -> None:
    assert SecretHasher().dummy_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_secret_proven_once_is_cheap_until_it_changes() -> None:
    directory, hasher = Directory(PARTNER), CountingHasher()
    ours = door(directory, hasher)
    for _ in range(3):
        assert ours.authenticate(PARTNER.id, SECRET, now=NOW) == PARTNER
    assert len(hasher.asked) == 1
    directory.clients = [replace(PARTNER, enabled=False)]
    with pytest.raises(Unauthenticated):
        ours.authenticate(PARTNER.id, SECRET, now=NOW)
    changed = replace(PARTNER, secret_hash=CHEAP.hash(new_secret()))
    directory.clients = [changed]
    with pytest.raises(Unauthenticated):
        ours.authenticate(PARTNER.id, SECRET, now=NOW)
    assert len(hasher.asked) == 3


def test_guessing_is_slowed_for_the_id_presented_whether_it_is_in_use_or_not() -> None:
    for client_id in (PARTNER.id, UNKNOWN):
        hasher = CountingHasher()
        ours = door(Directory(PARTNER), hasher, SecretAttempts(per_client_burst=3))
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                ours.authenticate(client_id, "wrong", now=NOW)
        with pytest.raises(TooMany) as refused:
            ours.authenticate(client_id, "wrong", now=NOW)
        assert refused.value.retry_after_seconds == 6
        assert len(hasher.asked) == 3
        with pytest.raises(Unauthenticated):
            ours.authenticate(client_id, "wrong", now=NOW + timedelta(seconds=6))


def test_guessing_under_ever_new_ids_is_slowed_too() -> None:
    hasher = CountingHasher()
    ours = door(Directory(PARTNER), hasher, SecretAttempts(overall_burst=5, overall_per_second=10))
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            ours.authenticate(new_client_id(), "wrong", now=NOW)
    for _ in range(5):
        with pytest.raises(TooMany):
            ours.authenticate(new_client_id(), "wrong", now=NOW)
    assert len(hasher.asked) == 5


def test_who_knows_the_secret_is_not_kept_out_by_those_who_guess() -> None:
    ours = door(Directory(PARTNER), attempts=SecretAttempts(per_client_burst=2, overall_burst=3))
    assert ours.authenticate(PARTNER.id, SECRET, now=NOW) == PARTNER
    for client_id in (PARTNER.id, PARTNER.id, UNKNOWN):
        with pytest.raises(Unauthenticated):
            ours.authenticate(client_id, "wrong", now=NOW)
    for client_id in (PARTNER.id, UNKNOWN):
        with pytest.raises(TooMany):
            ours.authenticate(client_id, "wrong", now=NOW)
    assert ours.authenticate(PARTNER.id, SECRET, now=NOW) == PARTNER


def test_right_secrets_do_not_count_as_attempts() -> None:
    clients = [replace(PARTNER, id=client_id, subject=client_id) for client_id in (new_client_id() for _ in range(5))]
    ours = door(Directory(*clients), attempts=SecretAttempts(overall_burst=1))
    for client in clients:
        assert ours.authenticate(client.id, SECRET, now=NOW) == client


def test_a_stored_hash_that_is_none_is_the_operators_matter() -> None:
    with pytest.raises(Broken) as refused:
        door(Directory(replace(PARTNER, secret_hash="plain-text"))).authenticate(PARTNER.id, SECRET, now=NOW)
    assert "plain-text" not in str(refused.value)


def test_secrets_have_256_bits_and_are_never_the_same() -> None:
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    assert {len(secret) for secret in made} == {43}


def test_proven_secrets_are_bounded_and_the_oldest_goes() -> None:
    proven = ProvenSecrets(entries_max=2)
    for secret in "abc":
        proven.add("hash", secret)
    assert [proven.holds("hash", secret) for secret in "abc"] == [False, True, True]


def test_a_clients_hash_is_not_shown() -> None:
    assert PARTNER.secret_hash is not None
    assert PARTNER.secret_hash not in repr(PARTNER)
    assert PARTNER.secret_hash not in repr(Caller(PARTNER))


@pytest.mark.parametrize("header", ["Bearer abc.def.ghi", "bearer abc.def.ghi", "BEARER abc.def.ghi"])
def test_a_bearer_header_gives_its_token(header: str) -> None:
    assert bearer_token(header) == "abc.def.ghi"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer  a", "Bearer a b", "Basic YTpi", "a.b.c", "Bearer\ta"])
def test_any_other_header_gives_none(header: str | None) -> None:
    with pytest.raises(Unauthenticated) as refused:
        bearer_token(header)
    assert str(refused.value) == "not authenticated"


def caller(role: Role) -> Caller:
    return Caller(Client("c_callercallercalle", OURS, "x", "x", role, "JPN" if role is Role.PARTNER else None))


@pytest.mark.parametrize("asked", list(Role))
@pytest.mark.parametrize("role", list(Role))
def test_roles_do_not_include_one_another(role: Role, asked: Role) -> None:
    if role is asked:
        authorize(caller(role), {asked})
    else:
        with pytest.raises(Forbidden):
            authorize(caller(role), {asked})


def test_a_route_for_several_roles_is_for_each_and_a_route_for_none_for_nobody() -> None:
    authorize(caller(Role.AUDITOR), {Role.OFFICER, Role.AUDITOR})
    for role in Role:
        with pytest.raises(Forbidden):
            authorize(caller(role), set())


@pytest.mark.parametrize(("header", "purpose"), [(None, "none"), ("none", "none"), ("EXERCISE-KEEN", "EXERCISE-KEEN")])
def test_a_purpose_set_for_the_client_is_taken(header: str | None, purpose: str) -> None:
    assert purpose_of(Caller(PARTNER), header) == purpose


@pytest.mark.parametrize("header", ["", "EXERCISE-OTHER", "exercise-keen", "EXERCISE-KEEN ", "*", "none,EXERCISE-KEEN", "NONE"])
def test_another_purpose_is_forbidden_and_not_named(header: str) -> None:
    with pytest.raises(Forbidden) as refused:
        purpose_of(Caller(PARTNER), header)
    assert str(refused.value) == "this purpose is not set for this client"


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "japan"}, {"id": "c_short"}, {"id": "c_" + "x" * 63}, {"id": "c_japanjapanjapan1\n"}, {"id": "c_japan:japanjapan1"},
        {"issuer": ""}, {"subject": ""}, {"subject": "a\0b"}, {"subject": "s" * 256}, {"subject": "é"}, {"name": ""}, {"name": " x"},
        {"name": "a\nb"}, {"name": "n" * 101}, {"partner": None}, {"partner": ""}, {"partner": "jpn"}, {"partner": "JPN IND"},
        {"role": Role.OFFICER}, {"purposes": ("none",)}, {"purposes": ("*",)}, {"purposes": ("A", "A")}, {"purposes": ("A B",)},
    ],
    ids=repr,
)  # fmt: skip
def test_a_client_that_is_not_whole_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(Rejected) as refused:
        replace(PARTNER, **wrong)  # type: ignore[arg-type]  # wrong on purpose
    assert refused.value.code == "client"


def test_client_ids_are_random_and_of_the_form_we_accept() -> None:
    made = [new_client_id() for _ in range(100)]
    assert len(set(made)) == 100
    assert all(CLIENT_ID.fullmatch(client_id) for client_id in made)


def taken(rates: Rates, key: str, now: datetime, times: int) -> int:
    """How many of so many requests get through."""
    passed = 0
    for _ in range(times):
        try:
            rates.take(key, now=now)
        except TooMany:
            continue
        passed += 1
    return passed


def test_a_bucket_holds_exactly_its_burst_and_refills_at_its_rate() -> None:
    rates = Rates(rate_per_second=1000, burst=2000)
    assert taken(rates, "a", NOW, 2500) == 2000
    assert taken(rates, "a", NOW, 10) == 0
    assert taken(rates, "a", NOW + timedelta(milliseconds=7), 20) == 7
    assert taken(rates, "a", NOW + timedelta(hours=1), 2500) == 2000


def test_one_clients_haste_is_not_anothers_wait() -> None:
    rates = Rates(rate_per_second=1, burst=1)
    assert taken(rates, "a", NOW, 5) == 1
    assert taken(rates, "b", NOW, 5) == 1


@settings(max_examples=100)
@given(
    rate=st.sampled_from([0.1, 1 / 6, 1.0, 3.0, 1000.0]),
    burst=st.integers(1, 20),
    waits=st.lists(st.integers(0, 5_000_000), min_size=1, max_size=60),
)
def test_the_wait_we_name_is_long_enough_and_nobody_gets_more_than_rate_and_burst(rate: float, burst: int, waits: list[int]) -> None:
    rates, now, passed = Rates(rate_per_second=rate, burst=burst), NOW, 0
    for wait in waits:
        now += timedelta(microseconds=wait)
        try:
            rates.take("a", now=now)
            passed += 1
        except TooMany as refused:
            assert refused.retry_after_seconds >= 1
            later = now + timedelta(seconds=refused.retry_after_seconds)
            rates.take("a", now=later)
            passed += 1
            now = later
    assert passed <= burst + (now - NOW).total_seconds() * rate + 1e-3


def test_a_clock_set_back_shuts_nobody_out_for_long() -> None:
    rates = Rates(rate_per_second=1, burst=2)
    assert taken(rates, "a", NOW, 5) == 2
    earlier = NOW - timedelta(days=1)
    assert taken(rates, "a", earlier, 5) == 0
    assert taken(rates, "a", earlier + timedelta(seconds=2), 5) == 2


def test_the_table_of_buckets_is_bounded_and_keeps_those_in_use() -> None:
    rates = Rates(rate_per_second=1, burst=1, keys_max=3)
    passed = 0
    for key in ("b", "c", "d", "e"):
        passed += taken(rates, "a", NOW, 1)
        assert taken(rates, key, NOW, 1) == 1
    assert len(rates) == 3
    assert passed == 1
    assert taken(rates, "b", NOW, 1) == 1
