"""Signals: met exactly where a window holds enough, by a plain count over all windows; and the same for whoever asks."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from service.sharing.signals import ABSENT_IDS, BURST, MINUTE, WITHHELD_IDS, Thresholds, signals
from service.store.log_answers import Request

LIMITS = Thresholds(minutes=2, absent_ids=3, withheld_ids=2, requests=5)


def request(number: int, at: int, client: str, item: str | None = None, *, withheld: bool = False) -> Request:
    """A request at a time in seconds; refused for `item`, if one is given."""
    leaf = None if item is None else json.dumps({"items": [{"id": item}]}).encode()
    record = None if item is None else json.dumps({"items": [{"id": item}] if withheld else []}).encode()
    return Request(at * 1_000_000, "JPN", f"e{number}", client, item is not None, leaf, record)


def test_distinct_ids_count_and_repeats_do_not() -> None:
    asked = [request(number, number, "c_one", item) for number, item in enumerate(["a", "a", "b", "b", "a", "b"])]
    assert [one for one in signals(asked, LIMITS) if one.rule == ABSENT_IDS] == []
    (found,) = [one for one in signals([*asked, request(9, 9, "c_one", "c")], LIMITS) if one.rule == ABSENT_IDS]
    assert (found.count, found.first_event_id, found.last_event_id) == (3, "e0", "e9")
    assert found.says() == "client c_one asked for 3 ids that never were within 2 minutes; threshold 3"


def test_what_is_slow_enough_or_spread_over_clients_is_no_signal() -> None:
    slow = [request(number, number * 61, "c_one", f"i{number}") for number in range(20)]
    assert signals(slow, LIMITS) == []
    spread = [request(number, number, f"c_{number % 7}", f"i{number}") for number in range(14)]
    assert signals(spread, LIMITS) == []


def test_two_bursts_with_quiet_between_are_two_signals() -> None:
    asked = [request(number, number + (1000 if number >= 6 else 0), "c_one") for number in range(12)]
    found = signals(asked, LIMITS)
    assert [(one.rule, one.count, one.first_event_id, one.last_event_id) for one in found] == [
        (BURST, 6, "e0", "e5"), (BURST, 6, "e6", "e11"),
    ]  # fmt: skip


def test_withheld_and_absent_are_counted_apart() -> None:
    asked = [request(number, number, "c_one", f"i{number}", withheld=number % 2 == 0) for number in range(4)]
    assert [(one.rule, one.count) for one in signals(asked, LIMITS)] == [(WITHHELD_IDS, 2)]


REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 90), st.sampled_from(["c_one", "c_two"]), st.sampled_from([None, "a", "b", "c", "d"]), st.booleans()
    ),
    max_size=40,
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(REQUESTS)
def test_a_signal_is_where_a_plain_count_finds_a_window_and_nowhere_else(drawn: list[tuple[int, str, str | None, bool]]) -> None:
    at = 0
    asked = []
    for number, (gap, client, item, withheld) in enumerate(drawn):
        at += gap
        asked.append(request(number, at, client, item, withheld=withheld))
    met: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for end in asked:
        window = [one for one in asked if end.at - 2 * MINUTE < one.at <= end.at and one.client == end.client]
        window = [one for one in window if asked.index(one) <= asked.index(end)]
        for rule, threshold in ((ABSENT_IDS, 3), (WITHHELD_IDS, 2), (BURST, 5)):
            counted = {_counted(one, rule) for one in window} - {None}
            if _counted(end, rule) is not None and len(counted) >= threshold:
                met.setdefault((rule, end.client), []).append((end.event_id, len(counted)))
    found = signals(asked, LIMITS)
    for (rule, client), events in met.items():
        its = [one for one in found if (one.rule, one.client) == (rule, client)]
        assert its[0].count <= max(count for _, count in events)
        assert max(one.count for one in its) == max(count for _, count in events)
        assert {one.last_event_id for one in its} <= {event for event, _ in events}
        assert its[-1].last_event_id == events[-1][0]
    assert {(one.rule, one.client) for one in found} == set(met)
    assert signals(list(asked), LIMITS) == found


def _counted(one: Request, rule: str) -> str | None:
    if rule == BURST:
        return one.event_id
    if one.leaf is None or one.record is None:
        return None
    withheld = bool(json.loads(one.record)["items"])
    return json.loads(one.leaf)["items"][0]["id"] if withheld == (rule == WITHHELD_IDS) else None
