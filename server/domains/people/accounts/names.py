"""Friendly names for guests: "Amber Otter", also known as `amber_otter_k3f9q`."""

import re
import unicodedata
from typing import NamedTuple


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ADJECTIVES = _words(
    "amber azure bold brave breezy bright brisk calm candid cheery civil clever cosmic crisp "
    "curious daring deft eager fabled fair fearless fleet frank gentle glad golden graceful "
    "grand hardy hasty honest humble jolly keen kind lively loyal lucky mellow merry mighty "
    "modest neat nimble noble patient plucky polite proud quick quiet ready royal silver "
    "sly smart snug spry steady sunny swift tidy velvet witty"
)
_ANIMALS = _words(
    "badger bear beaver bison bobcat camel canary cheetah condor cougar coyote crane crow "
    "dolphin dove eagle egret falcon ferret finch fox gecko gibbon hare hawk hedgehog heron "
    "ibex iguana jackal jaguar kestrel kiwi koala lemur leopard lion llama lynx magpie marten "
    "mole moose newt ocelot orca osprey otter owl panda panther parrot pelican penguin puffin "
    "puma raven robin salmon seal sparrow stork tiger walrus wolf wombat"
)
# Base 32 without i, l and o; five characters of it tell guests of one name apart.
_TAIL_ALPHABET = "023456789abcdefghjkmnpqrstuvwxyz"
_TAIL_CHARS = 5
_COLORS = _words("#e4572e #f3a712 #a8c686 #669bbc #29335c #d1495b #00798c #8f5cb2 #3a7d44 #c06e52")

USERNAME_CHARS_MIN = 3
SLUG_CHARS_MAX = 18  # with an underscore and a tail, 24

# How many bits `generate_names` takes; what is left over is not used.
NUMBER_BITS = 96


class GuestNames(NamedTuple):
    """How a new guest is called and painted until they say otherwise."""

    username: str
    display_name: str
    avatar_seed: str
    color: str


def slug_from_name(text: str) -> str | None:
    """Derive the beginning of a username from what somebody is called elsewhere; or nothing."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub("[^a-z0-9]+", "_", plain).strip("_")[:SLUG_CHARS_MAX].strip("_")
    return slug if len(slug) >= USERNAME_CHARS_MIN else None


def name_suffix(number: int) -> str:
    """Give the characters of a number that tell people of one name apart."""
    return "".join(_TAIL_ALPHABET[(number >> 5 * i) & 31] for i in range(_TAIL_CHARS))


def generate_names(number: int) -> GuestNames:
    """Make names from a number of `NUMBER_BITS` random bits; the same number, the same names."""
    avatar_seed = f"{number:024x}"
    number, adjective = divmod(number, len(_ADJECTIVES))
    number, animal = divmod(number, len(_ANIMALS))
    number, color = divmod(number, len(_COLORS))
    words = (_ADJECTIVES[adjective], _ANIMALS[animal])
    return GuestNames(
        "_".join((*words, name_suffix(number))),
        " ".join(words).title(),
        avatar_seed,
        _COLORS[color],
    )
