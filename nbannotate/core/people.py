"""Names of annotators that tell nobody who they are: a pseudonym, or none."""

from __future__ import annotations

import hashlib
import hmac
from enum import Enum
from typing import Final, Literal


class Naming(Enum):
    """Values of ``annotator=`` that are no names themselves."""

    PSEUDONYM = "pseudonym"
    ANONYMOUS = "anonymous"

    def __repr__(self) -> str:
        return f"nba.{self.name}"


PSEUDONYM: Final[Literal[Naming.PSEUDONYM]] = Naming.PSEUDONYM
"""A name such as ``quiet-otter-4821``: for one person in one store always the same."""

ANONYMOUS: Final[Literal[Naming.ANONYMOUS]] = Naming.ANONYMOUS
"""No name: nothing in the store tells who labelled, and all who do so count as one."""

_ADJECTIVES = """
    agile amber ample autumn azure bold brave breezy bright brisk bronze calm candid cheery clever
    coral cosy crisp curious dapper early fair fluffy gentle gleaming golden grand happy honest
    indigo jolly keen kind lively loyal lucky lunar mellow merry mighty misty modest nimble noble
    patient polite proud quick quiet rapid royal sandy shiny silver smooth snowy solar steady sunny
    swift tidy velvet warm wise
"""
_ANIMALS = """
    alpaca badger bison bobcat buffalo canary caracal caribou cheetah condor cricket dolphin eagle
    ermine falcon ferret finch gazelle gecko gibbon giraffe hare hedgehog heron ibex iguana jackdaw
    jaguar kestrel koala kudu lark lemur leopard linnet llama lynx magpie marmot marten moose
    narwhal newt ocelot octopus oriole osprey otter panda pelican penguin puffin quail raven robin
    salmon seal sparrow starling stork tapir toucan wombat zebra
"""
ADJECTIVES, ANIMALS = tuple(_ADJECTIVES.split()), tuple(_ANIMALS.split())
_NUMBERS = 10_000


def pseudonym(secret: bytes, store_id: str) -> str:
    """The pseudonym of who holds a secret, in one store.

    Without the secret it cannot be told from any other, nor can those of two stores be told to be
    one person's.

    Parameters
    ----------
    secret
        At least 16 bytes that nobody else knows.
    store_id
        Id of the store.
    """
    digest = hmac.digest(secret, store_id.encode(), hashlib.sha256)
    number, place = divmod(int.from_bytes(digest), len(ADJECTIVES))
    number, other = divmod(number, len(ANIMALS))
    return f"{ADJECTIVES[place]}-{ANIMALS[other]}-{number % _NUMBERS:04}"
