"""El Dorado: bids what the hand is worth, then plays any card that may be played."""

from collections.abc import Callable
from random import Random
from typing import Final

from loadtest.players.kind import RulesetPlayer
from playhall import Json

SUITS: Final = ("spades", "hearts", "diamonds", "clubs")
RANKS: Final = ("2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K", "A")
# Every card's suit and rank (2 to 14), by its id `d{deck}:{suit}:{rank}`.
SUIT_OF: Final = {f"d{d}:{suit}:{name}": suit for d in (0, 1) for suit in SUITS for name in RANKS}
RANK_OF: Final = {
    f"d{d}:{suit}:{name}": rank
    for d in (0, 1)
    for suit in SUITS
    for rank, name in enumerate(RANKS, start=2)
}


class ElDoradoBehaviour:
    """One seat: its hand, and of the table what decides whose turn it is and what is legal."""

    __slots__ = (
        "_after",
        "_chance",
        "_me",
        "_see",
        "absent",
        "acted",
        "bidding",
        "broken",
        "hand",
        "led",
        "starter",
        "trump",
        "turn",
        "turn_of",
    )

    def __init__(self, me: str, chance: Random) -> None:
        self._me = me
        self._chance = chance
        self._after: dict[str, str] = {}
        self.turn = 0
        self.turn_of: str | None = None
        self.hand: list[str] = []
        self.absent: set[str] = set()
        self.acted = 0  # how many have bid in this round, or played to this trick
        self.bidding = False
        self.broken = False
        self.led: str | None = None
        self.trump = ""
        self.starter = ""
        self._see: dict[str, Callable[[Json], None]] = {
            "round_started": self._round_started,
            "player_marked_absent": self._player_marked_absent,
            "cards_dealt": self._cards_dealt,
            "trump_revealed": self._trump_revealed,
            "player_bid": self._player_bid,
            "bidding_completed": self._bidding_completed,
            "trick_started": self._trick_started,
            "card_played": self._card_played,
            "trump_broken": self._trump_broken,
        }

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event."""
        if (fold := self._see.get(event)) is not None:
            fold(payload)

    def choose_move(self) -> Json | None:
        """Bid what the hand is worth; play any card that may be played."""
        if self.turn_of != self._me:
            return None
        if self.bidding:
            return {"type": "bid", "bid": self._worth()}
        return {"type": "play_card", "card": self._chance.choice(self.playable())}

    def make_illegal_move(self) -> Json:
        """Bid too high, or play a card that is not there."""
        if self.bidding:
            return {"type": "bid", "bid": len(self.hand) + 1}
        held = set(self.hand)
        return {"type": "play_card", "card": next(card for card in SUIT_OF if card not in held)}

    def playable(self) -> list[str]:
        """List the cards of the hand that may be played now."""
        hand = self.hand
        if self.led is not None:
            return [card for card in hand if SUIT_OF[card] == self.led] or hand
        if self.broken:
            return hand
        return [card for card in hand if SUIT_OF[card] != self.trump] or hand

    def _worth(self) -> int:
        """Count the cards that likely take a trick."""
        return sum(
            RANK_OF[card] >= (11 if SUIT_OF[card] == self.trump else 14) for card in self.hand
        )

    def _give_turn(self, player: str) -> None:
        self.turn_of = player
        self.turn += 1

    def _give_turn_after(self, player: str) -> None:
        """Give the turn to the next; to nobody once all have bid, or played to the trick."""
        if self.acted < len(self._after):
            self._give_turn(self._after[player])
        else:
            self.turn_of = None

    def _round_started(self, payload: Json) -> None:
        self.starter = payload["player_id"]
        self.absent.clear()
        self.broken = False

    def _player_marked_absent(self, payload: Json) -> None:
        self.absent.add(payload["player_id"])

    def _cards_dealt(self, payload: Json) -> None:
        playing = [player for player in payload["players"] if player not in self.absent]
        self._after = dict(zip(playing, playing[1:] + playing[:1], strict=True))
        self.hand = list(payload["hands"].get(self._me, ()))

    def _trump_revealed(self, payload: Json) -> None:
        self.trump = payload["trump"]
        self.bidding = True
        self.acted = 0
        self._give_turn(self.starter)

    def _player_bid(self, payload: Json) -> None:
        self.acted += 1
        self._give_turn_after(payload["player_id"])

    def _bidding_completed(self, _: Json) -> None:
        self.bidding = False

    def _trick_started(self, payload: Json) -> None:
        self.led = None
        self.acted = 0
        self._give_turn(payload["player_id"])

    def _card_played(self, payload: Json) -> None:
        player, card = payload["player_id"], payload["card"]
        if player == self._me:
            self.hand.remove(card)
        if self.led is None:
            self.led = SUIT_OF[card]
        self.acted += 1
        self._give_turn_after(player)

    def _trump_broken(self, _: Json) -> None:
        self.broken = True


class ElDoradoScore:
    """Everybody's points: the sum of what the rounds brought, reckoned from bids and tricks."""

    def __init__(self, players: list[str]) -> None:
        self.totals = dict.fromkeys(players, 0)
        self._bids: dict[str, int] = {}
        self._tricks: dict[str, int] = {}

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event."""
        if event == "trick_completed":
            self._tricks[payload["player_id"]] = self._tricks.get(payload["player_id"], 0) + 1
        elif event == "player_bid":
            self._bids[payload["player_id"]] = payload["bid"]
        elif event == "round_scored":
            self._score_round()

    def _score_round(self) -> None:
        for player, bid in self._bids.items():
            made = self._tricks.get(player, 0) == bid
            self.totals[player] += 5 + bid if made else -(5 + bid)
        self._bids, self._tricks = {}, {}


KIND: Final = RulesetPlayer(
    ruleset="el_dorado",
    behaviour=ElDoradoBehaviour,
    score=ElDoradoScore,
    seats=4,
    hidden={"cards_dealt": "hands"},
)
