"""Four in a row: drops into any column that is not full."""

from random import Random
from typing import Final

from loadtest.players.kind import RulesetPlayer
from playhall import Json

COLUMNS: Final = 7
ROWS: Final = 6


class FourInARowBehaviour:
    """One seat: how high the columns are, and whose turn it is."""

    __slots__ = ("_chance", "_me", "heights", "over", "players", "turn")

    def __init__(self, me: str, chance: Random) -> None:
        self._me = me
        self._chance = chance
        self.heights = [0] * COLUMNS
        self.players: list[str] = []
        self.over = False
        self.turn = 0

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event."""
        if event == "disc_dropped":
            self.heights[payload["column"]] += 1
            self.turn += 1
        elif event == "game_created":
            self.players = [seat["player_id"] for seat in payload["players"]]
        elif event in ("four_connected", "board_filled", "player_left"):
            self.over = True

    def choose_move(self) -> Json | None:
        """Drop anywhere."""
        if self.over or not self.players or self.players[self.turn % 2] != self._me:
            return None
        open_columns = [column for column in range(COLUMNS) if self.heights[column] < ROWS]
        if not open_columns:  # the last disc was seen, and `board_filled` was not yet
            return None
        return {"type": "drop", "column": self._chance.choice(open_columns)}

    def make_illegal_move(self) -> Json:
        """Drop beside the board."""
        return {"type": "drop", "column": COLUMNS}


class FourInARowScore:
    """1 for the winner; a draw has none."""

    def __init__(self, players: list[str]) -> None:
        self.totals = dict.fromkeys(players, 0)
        self._over = False

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event."""
        if event == "four_connected":
            self.totals[payload["player_id"]] = 1
        elif event == "player_left" and not self._over:
            for player in self.totals:
                self.totals[player] = int(player != payload["player_id"])
        self._over = self._over or event in ("four_connected", "board_filled", "player_left")


KIND: Final = RulesetPlayer(
    ruleset="four_in_a_row", behaviour=FourInARowBehaviour, score=FourInARowScore, seats=2
)
