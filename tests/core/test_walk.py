"""The walk through the images: filters, steps, and the places to keep ready."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbannotate.core.walk import Walk

KEYS = [f"{number}.jpg" for number in range(8)]
SUBSETS = st.sets(st.sampled_from(KEYS))
PLACES = st.integers(-20, 20)


def walk_at(position: int) -> Walk:
    walk = Walk(KEYS)
    walk.go(position)
    return walk


def test_a_walk_starts_at_its_first_image():
    walk = Walk(KEYS)

    assert (walk.position, walk.current, len(walk)) == (0, "0.jpg", 8)


def test_going_past_an_end_stays_at_it():
    assert walk_at(99).current == "7.jpg"
    assert walk_at(-1).current == "0.jpg"


def test_a_filter_keeps_the_image_in_place_and_its_order():
    walk = walk_at(4)

    walk.keep(lambda key: key in {"6.jpg", "4.jpg", "1.jpg"})

    assert walk.shown == ["1.jpg", "4.jpg", "6.jpg"]
    assert walk.current == "4.jpg"


def test_a_filter_that_leaves_the_image_out_goes_to_the_next_one():
    walk = walk_at(4)

    walk.keep(lambda key: key in {"1.jpg", "6.jpg", "7.jpg"})

    assert walk.current == "6.jpg"


def test_a_filter_that_leaves_out_all_that_come_after_goes_to_the_last():
    walk = walk_at(4)

    walk.keep(lambda key: key in {"1.jpg", "2.jpg"})

    assert walk.current == "2.jpg"


def test_a_filter_that_leaves_nothing_has_no_image_and_can_be_taken_off():
    walk = walk_at(4)

    walk.keep(lambda key: False)
    assert (walk.current, len(walk), walk.around(4)) == (None, 0, [])
    assert walk.next_where(lambda key: True) is None
    walk.go(3)
    assert walk.current is None

    walk.keep(None)
    assert walk.current in KEYS and len(walk) == 8


def test_the_filter_is_not_applied_again_at_each_step():
    todo = set(KEYS)
    walk = Walk(KEYS)
    walk.keep(todo.__contains__)

    todo.discard("1.jpg")
    walk.go(1)

    assert walk.current == "1.jpg"


def test_a_key_has_its_place_in_what_is_shown():
    walk = walk_at(0)
    assert walk.place("3.jpg") == 3

    walk.keep(lambda key: key in {"3.jpg", "5.jpg"})

    assert (walk.place("3.jpg"), walk.place("0.jpg"), walk.place("no such")) == (0, None, None)


def test_the_next_one_wanted_is_looked_for_from_the_start_after_the_end():
    walk = walk_at(5)

    assert walk.next_where(lambda key: key in {"2.jpg", "7.jpg"}) == 7
    assert walk.next_where(lambda key: key in {"2.jpg", "5.jpg"}) == 2
    assert walk.next_where(lambda key: key == "5.jpg") == 5
    assert walk.next_where(lambda key: False) is None


def test_the_places_to_keep_ready_are_this_one_those_ahead_and_the_one_before():
    assert walk_at(3).around(2) == [3, 4, 5, 2]
    assert walk_at(0).around(2) == [0, 1, 2]
    assert walk_at(7).around(2) == [7, 6]


@given(SUBSETS, SUBSETS, PLACES)
def test_a_kept_image_stays_in_place_whatever_the_filter_was_before(first, second, position):
    walk = Walk(KEYS)
    walk.keep(first.__contains__)
    walk.go(position)
    current = walk.current

    walk.keep(second.__contains__)

    assert walk.shown == [key for key in KEYS if key in second]
    if current in second:
        assert walk.current == current
    elif current is not None and second:
        later = [key for key in walk.shown if key > current]
        assert walk.current == (later[0] if later else walk.shown[-1])
    assert (walk.current is None) == (not second)


@given(SUBSETS, PLACES)
def test_the_place_is_always_one_of_those_shown(kept, position):
    walk = Walk(KEYS)
    walk.keep(kept.__contains__)

    walk.go(position)

    assert 0 <= walk.position < max(1, len(walk))
    assert walk.current is None or walk.place(walk.current) == walk.position


@given(PLACES, SUBSETS)
def test_the_next_one_wanted_is_the_nearest_ahead(position, wanted):
    walk = walk_at(position)

    found = walk.next_where(wanted.__contains__)

    steps = {(KEYS.index(key) - walk.position - 1) % len(KEYS): key for key in wanted}
    assert found == (KEYS.index(steps[min(steps)]) if steps else None)


@given(PLACES, st.integers(0, 12))
def test_each_place_to_keep_ready_is_there_once_this_one_first(position, ahead):
    walk = walk_at(position)

    places = walk.around(ahead)

    assert places[0] == walk.position
    nearby = range(walk.position - 1, walk.position + ahead + 1)
    assert sorted(places) == [p for p in nearby if 0 <= p < len(KEYS)]
