"""A pseudonym is readable, one person's in one store, and tells nothing to who lacks the secret."""

from __future__ import annotations

import pickle
import re

from hypothesis import given
from hypothesis import strategies as st

import nbannotate as nba
from nbannotate.core.people import ADJECTIVES, ANIMALS, pseudonym

SECRETS = st.binary(min_size=32, max_size=32)


@given(SECRETS, SECRETS, st.uuids().map(str), st.uuids().map(str))
def test_it_depends_on_the_secret_and_the_store_alone(secret, other, store, another):
    name = pseudonym(secret, store)

    assert name == pseudonym(secret, store)
    for one, of_store in ((other, store), (secret, another)):
        assert (name == pseudonym(one, of_store)) == ((one, of_store) == (secret, store))


@given(SECRETS, st.uuids().map(str))
def test_it_is_an_adjective_an_animal_and_a_number(secret, store):
    adjective, animal, number = pseudonym(secret, store).split("-")

    assert adjective in ADJECTIVES and animal in ANIMALS
    assert re.fullmatch("[0-9]{4}", number)


def test_it_stays_the_same_in_later_versions():
    assert pseudonym(bytes(range(32)), "f3a0") == "loyal-hare-2030"


def test_people_of_a_class_get_names_of_their_own():
    names = {pseudonym(number.to_bytes(32), "f3a0") for number in range(1000)}

    assert len(names) == 1000
    words = [{name.split("-")[place] for name in names} for place in (0, 1)]
    assert all(len(found) == 64 for found in words)


def test_the_words_are_plain_sorted_and_in_the_list_once():
    for words in (ADJECTIVES, ANIMALS):
        assert list(words) == sorted(set(words)) and len(words) == 64
        assert all(re.fullmatch("[a-z]{3,9}", word) for word in words)


def test_the_values_are_no_names_and_survive_a_process():
    for value in (nba.PSEUDONYM, nba.ANONYMOUS):
        assert not isinstance(value, str)
        assert pickle.loads(pickle.dumps(value)) is value
    assert repr(nba.PSEUDONYM) == "nba.PSEUDONYM" and nba.PSEUDONYM is not nba.ANONYMOUS
