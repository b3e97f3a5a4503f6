"""The relay: sends messages of a given size, as many at once as it is allowed to."""

from random import Random
from typing import Final

from loadtest.players.kind import RulesetPlayer
from playhall import Json

PAYLOAD_BYTES: Final = 250
# What a message has around its padding.
_BARE_BYTES: Final = len('{"type":"say","n":1000,"pad":""}')


class RelayBehaviour:
    """One seat; it is always its turn."""

    __slots__ = ("_pad", "turn")

    def __init__(self, _: str, __: Random, *, payload_bytes: int = PAYLOAD_BYTES) -> None:
        self._pad = "x" * max(0, payload_bytes - _BARE_BYTES)
        self.turn = 0

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event: nothing depends on it."""

    def choose_move(self) -> Json:
        """Send the next message."""
        self.turn += 1
        return {"type": "say", "n": self.turn, "pad": self._pad}

    def make_illegal_move(self) -> Json:
        """Try to end the game in a way that the rules refuse, whoever tries."""
        return {"type": "end", "scores": "none"}


class RelayScore:
    """What the host said in the end."""

    def __init__(self, players: list[str]) -> None:
        self.totals = dict.fromkeys(players, 0)

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event."""
        if event == "relay_ended":
            self.totals.update(payload["scores"])


KIND: Final = RulesetPlayer(
    ruleset="relay",
    behaviour=RelayBehaviour,
    score=RelayScore,
    seats=4,
    ignored=frozenset({"relayed"}),
)
