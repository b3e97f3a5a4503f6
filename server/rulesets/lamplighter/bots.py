"""Readers of The Lamplighter."""

from collections.abc import Mapping
from typing import Final

from server.gamekit.chance import Chance
from server.gamekit.contract import Bot, Payload

# What somebody does who wants the lamp lit, the most urgent first.
_WANTED: Final = ("light", "cross", "buy_oil", "go_to_market", "ask_keeper", "search", "confess")


def random_choice(view: Payload, chance: Chance) -> Payload:
    """Choose anything."""
    move: Payload = chance.choice(view["legal_moves"])
    return move


def lamplighter(view: Payload, chance: Chance) -> Payload:
    """Choose what brings the light back, as far as that is possible."""
    options = view["options"]
    for choice in _WANTED:
        if choice in options:
            return {"type": "choose", "choice": choice}
    return random_choice(view, chance)


BOTS: Final[Mapping[str, Bot]] = {"random": random_choice, "lamplighter": lamplighter}
