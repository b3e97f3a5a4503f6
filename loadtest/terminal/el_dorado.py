"""El Dorado on a terminal."""

from collections.abc import Mapping
from typing import ClassVar

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadtest.terminal.cards import in_order, painted, read_card, short, symbol
from loadtest.terminal.screen import Screen, choice
from protocol.game import Json


class ElDoradoScreen(Screen):
    """Bids, tricks and scores."""

    title: ClassVar[str] = "El Dorado"
    moves: ClassVar[frozenset[str]] = frozenset({"player_bid", "card_played"})

    def __init__(self, me: str, names: Mapping[str, str]) -> None:
        super().__init__(me, names)
        self._trick: list[tuple[str, str]] = []
        self._bids: list[str] = []
        self._players: list[str] = []

    def describe_move(self, event: str, payload: Json) -> str:
        """Say what was bid or played."""
        return (
            f"bid {payload['bid']}" if event == "player_bid" else f"played {short(payload['card'])}"
        )

    def tell_move(self, event: str, payload: Json) -> Text | None:
        """Tell a deal, the bids, a trick, or a round's score in a line each."""
        match event:
            case "round_started":
                self._bids.clear()
                starter = self.name(payload["player_id"])
                head = f"\nRound {payload['round']}, {_cards(payload['cards'])}; {starter}"
                return Text(f"{head} {'begin' if starter == 'You' else 'begins'}.", style="bold")
            case "cards_dealt":
                self._players = payload["players"]
                return _line("Your hand: ", in_order(payload["hands"].get(self.me, ())))
            case "trump_revealed":
                return _line(f"Trump is {payload['trump']}: ", [payload["card"]])
            case "player_bid":
                self._bids.append(f"{self.name(payload['player_id'])} {payload['bid']}")
            case "bidding_completed":
                return Text(f"Bids: {', '.join(self._bids)}.")
            case "trick_started":
                self._trick.clear()
            case "card_played":
                self._trick.append((payload["player_id"], payload["card"]))
            case "trick_completed":
                return self._tell_trick(payload)
            case "round_scored":
                return self._tell_score(payload)
        return None

    def show(self, view: Json) -> RenderableType:
        """Show the scores, the trick, and the hand with what may be played."""
        return Group(self._table(view), self._hand(view))

    def prompt(self, view: Json) -> str:
        """Ask for a bid or a card."""
        if view["phase"] == "bidding":
            return f"How many tricks will you take? (0 to {view['cards']}) "
        return "Which card? (number or name) "

    def read(self, line: str, view: Json) -> Json:
        """Read a bid or a card."""
        if view["phase"] == "bidding":
            bid = choice(line, low=0, high=view["cards"], what="your bid")
            return {"type": "bid", "bid": bid}
        return {"type": "play_card", "card": read_card(line, in_order(view["hand"]))}

    def _tell_trick(self, payload: Json) -> Text:
        line = Text(f"Trick {payload['trick']}: ")
        for place, (player, card) in enumerate(self._trick):
            line.append(f"{', ' if place else ''}{self.name(player)} ").append_text(painted(card))
        winner = self.name(payload["player_id"])
        return line.append(f". {winner} {'take' if winner == 'You' else 'takes'} it.")

    def _tell_score(self, payload: Json) -> Text:
        results = [
            f"{self.name(player)} {result['tricks']} of {result['bid']} ({result['delta']:+d})"
            for player, result in payload["players"].items()
        ]
        return Text(f"Round {payload['round']}: {', '.join(results)}.", style="cyan")

    def _table(self, view: Json) -> Table:
        trump = symbol(view["trump"]) if view["trump"] else "?"
        table = Table(title=f"Round {view['round']} of {view['rounds']}, trump {trump}")
        for heading in ("player", "bid", "tricks", "score", "plays"):
            table.add_column(heading)
        played = {each["seat"]: each["card"] for each in view["trick"]}
        for seat, player in enumerate(self._players):
            bid = view["bids"][seat]
            table.add_row(
                self.name(player),
                "" if bid is None else str(bid),
                str(view["tricks"][seat]),
                str(view["totals"][seat]),
                painted(played[seat]) if seat in played else "",
            )
        return table

    def _hand(self, view: Json) -> Columns:
        playable = {move.get("card") for move in view["legal_moves"]}
        bidding = view["phase"] == "bidding"
        return Columns(
            [
                Text(f"{place} ").append_text(
                    painted(card, "bold" if bidding or card in playable else "dim")
                )
                for place, card in enumerate(in_order(view["hand"]), start=1)
            ],
            padding=(0, 2),
        )


def _line(head: str, cards: list[str]) -> Text:
    line = Text(head)
    for card in cards:
        line.append_text(painted(card)).append(" ")
    return line


def _cards(count: int) -> str:
    return "1 card each" if count == 1 else f"{count} cards each"
