"""Reviews: what marks make of an entry, and that an escalation never ends by one person's word."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import Conflict
from service.releaselog.reviews import Mark, Review, State, marked

ANN, BEN = "c_ann", "c_ben"


def after(*marks: tuple[Mark, str]) -> Review | None:
    review: Review | None = None
    for mark, who in marks:
        review = marked(review, mark, who)
    return review


R, Q, E, C = Mark.REVIEWED, Mark.QUESTIONED, Mark.ESCALATED, Mark.CLOSED


@pytest.mark.parametrize(
    ("marks", "state", "closer"),
    [
        ([(R, ANN)], State.REVIEWED, None),
        ([(R, ANN), (R, BEN)], State.REVIEWED, None),
        ([(R, ANN), (Q, ANN)], State.QUESTIONED, None),
        ([(Q, ANN), (Q, BEN)], State.QUESTIONED, None),
        ([(Q, ANN), (C, ANN)], State.CLOSED, None),
        ([(Q, ANN), (E, BEN)], State.ESCALATED, None),
        ([(E, ANN), (E, ANN)], State.ESCALATED, None),
        ([(E, ANN), (C, ANN)], State.CLOSING, ANN),
        ([(E, ANN), (C, ANN), (C, BEN)], State.CLOSED, None),
        ([(E, ANN), (C, BEN), (C, ANN)], State.CLOSED, None),
        ([(E, ANN), (C, ANN), (E, BEN)], State.ESCALATED, None),
        ([(E, ANN), (C, ANN), (E, BEN), (C, ANN)], State.CLOSING, ANN),
        ([(E, ANN), (C, ANN), (C, BEN), (Q, ANN)], State.QUESTIONED, None),
        ([(E, ANN), (C, ANN), (C, BEN), (E, ANN), (C, BEN)], State.CLOSING, BEN),
    ],
)
def test_marks_bring_an_entry_where_they_say(marks: list[tuple[Mark, str]], state: State, closer: str | None) -> None:
    assert after(*marks) == Review(state, closer)


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ([(C, ANN)], "nothing to close"),
        ([(R, ANN), (C, BEN)], "nothing to close"),
        ([(Q, ANN), (C, ANN), (C, BEN)], "nothing to close"),
        ([(Q, ANN), (R, BEN)], "that is `questioned` cannot be marked `reviewed`"),
        ([(E, ANN), (R, BEN)], "that is `escalated` cannot be marked `reviewed`"),
        ([(E, ANN), (Q, BEN)], "it is escalated"),
        ([(E, ANN), (C, ANN), (Q, BEN)], "it is escalated"),
        ([(E, ANN), (C, ANN), (R, BEN)], "that is `closing` cannot be marked `reviewed`"),
        ([(Q, ANN), (C, ANN), (R, BEN)], "that is `closed` cannot be marked `reviewed`"),
        ([(E, ANN), (C, BEN), (C, BEN)], "two different persons"),
    ],
)
def test_a_mark_that_says_nothing_or_needs_another_person_is_refused(marks: list[tuple[Mark, str]], said: str) -> None:
    *before, last = marks
    review = after(*before)
    with pytest.raises(Conflict, match=said):
        marked(review, *last)


MARKS = st.lists(st.tuples(st.sampled_from(Mark), st.sampled_from([ANN, BEN, "c_cay"])), max_size=12)


@settings(deadline=None)
@given(MARKS)
def test_what_was_escalated_is_closed_by_two_different_persons_and_by_nothing_else(marks: list[tuple[Mark, str]]) -> None:
    review: Review | None = None
    escalated, closers = False, set[str]()
    for mark, who in marks:
        try:
            review = marked(review, mark, who)
        except Conflict:
            continue
        if mark is Mark.ESCALATED:
            escalated, closers = True, set()
        elif mark is Mark.CLOSED and escalated:
            closers.add(who)
        assert (review.closer is not None) == (review.state is State.CLOSING)
        if escalated:
            assert review.state in (State.ESCALATED, State.CLOSING, State.CLOSED)
            assert (review.state is State.CLOSED) == (len(closers) == 2)
            escalated = review.state is not State.CLOSED


@settings(deadline=None)
@given(MARKS, st.sampled_from(Mark), st.sampled_from([ANN, BEN]))
def test_an_escalation_can_always_be_made_and_always_be_ended(marks: list[tuple[Mark, str]], mark: Mark, who: str) -> None:
    review: Review | None = None
    for one in marks:
        try:
            review = marked(review, *one)
        except Conflict:
            continue
    escalated = marked(review, Mark.ESCALATED, who)
    assert marked(marked(escalated, Mark.CLOSED, ANN), Mark.CLOSED, BEN) == Review(State.CLOSED)
