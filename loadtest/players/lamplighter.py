"""The Lamplighter: wanders about, and crosses the sands when the tide is low."""

from random import Random
from typing import Final

from loadtest.players.kind import RulesetPlayer
from playhall import Json

# What can be chosen in a scene whatever happened before.
ALWAYS: Final = {
    "harbour": ("walk_to_sands",),
    "market": ("leave",),
    "alley": ("climb", "freeze"),
    "sands": ("return", "wait"),
    "lighthouse": ("watch",),
}
# What can be chosen in a scene while an event is open.
WHILE_OPEN: Final = {"harbour": ("market", "go_to_market"), "sands": ("low_tide", "cross")}


class LamplighterBehaviour:
    """The one seat: where the story is, and what is open."""

    __slots__ = ("_chance", "_me", "open", "over", "scene", "turn")

    def __init__(self, me: str, chance: Random) -> None:
        self._me = me
        self._chance = chance
        self.scene: str | None = None
        self.open: set[str] = set()
        self.over = False
        self.turn = 0

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event."""
        if event == "scene_entered":
            self.scene = payload["scene"]
            self.turn += 1
        elif event == "event_opened":
            self.open.add(payload["event"])
        elif event == "event_closed":
            self.open.discard(payload["event"])
        elif event == "choice_made":
            self.scene = None
        elif event in ("story_ended", "player_left"):
            self.over = True

    def choose_move(self) -> Json | None:
        """Choose anything that is surely possible."""
        if self.over or self.scene not in ALWAYS:
            return None
        choices = list(ALWAYS[self.scene])
        event, choice = WHILE_OPEN.get(self.scene, ("", ""))
        if event in self.open:
            choices.append(choice)
        return {"type": "choose", "choice": self._chance.choice(choices)}

    def make_illegal_move(self) -> Json:
        """Choose what no scene has."""
        return {"type": "choose", "choice": "fly"}


class LamplighterScore:
    """What the ending is worth; a story that was left is worth nothing."""

    def __init__(self, players: list[str]) -> None:
        self.totals = dict.fromkeys(players, 0)

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event."""
        if event == "story_ended":
            for player in self.totals:
                self.totals[player] = payload["score"]


KIND: Final = RulesetPlayer(
    ruleset="lamplighter", behaviour=LamplighterBehaviour, score=LamplighterScore, seats=1
)
