"""What is shown of a game in a terminal, and what a typed line means; one class a ruleset.

Cards are written as people write them: `A♠`, `AS`, `10h`; `A♠²` is of the second deck.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadtest.players.el_dorado import RANK_OF, SUIT_OF, SUITS
from loadtest.players.four_in_a_row import COLUMNS, ROWS
from playhall import Json


class UnclearInput(Exception):
    """A typed line that makes no sense; the message says what does."""


class Screen(ABC):
    """One game, as one person at a terminal sees it. `names` gives everybody's by player id."""

    title: str
    # What may be typed.
    input_help: ClassVar[str] = "Type the number of a move that is listed, or a move as JSON."
    # The events that a move begins with; without a command's number the server has moved.
    moves: ClassVar[frozenset[str]]

    def __init__(self, me: str, names: Mapping[str, str]) -> None:
        self.me = me
        self._names = names

    def player_name(self, player_id: str) -> str:
        """Say who somebody is."""
        return "You" if player_id == self.me else self._names.get(player_id, player_id[:8])

    def describe(self, event: str, payload: Json) -> Text | None:
        """Describe an event in one line; None for events that need no description."""
        if event == "game_created":
            seated = ", ".join(self.player_name(seat["player_id"]) for seat in payload["players"])
            return Text(f"{self.title}: {seated}.", style="bold")
        if event in _PRESENCE:
            player = self.player_name(payload["player_id"])
            of_you, of_others = _PRESENCE[event]
            did = of_you if player == "You" else of_others
            return Text(f"{player} {did}.", style="dim")
        if event == "game_completed":
            return self._result(payload)
        line = self.describe_event(event, payload)
        is_mine = event in self.moves and payload["player_id"] == self.me
        if is_mine and "_cmd" not in payload:
            did = self.describe_move(event, payload)
            return Text(f"Your turn timed out; the server {did}.", style="bold yellow")
        return line

    @abstractmethod
    def describe_move(self, event: str, payload: Json) -> str:
        """Say what was done by one of the `moves`: `played A♠`."""

    @abstractmethod
    def describe_event(self, event: str, payload: Json) -> Text | None:
        """Describe one of the ruleset's own events."""

    @abstractmethod
    def show_view(self, view: Json) -> RenderableType:
        """Show the table before this player's move."""

    @abstractmethod
    def prompt_text(self, view: Json) -> str:
        """Ask for a move."""

    @abstractmethod
    def read_move(self, line: str, view: Json) -> Json:
        """Read a typed line as a move; raise `UnclearInput`."""

    def _result(self, payload: Json) -> Text:
        scores = sorted(payload["final_scores"].items(), key=lambda item: -item[1])
        listed = ", ".join(f"{self.player_name(player)} {score}" for player, score in scores)
        winners = [self.player_name(player) for player in payload["winners"]]
        verdict = f"{' and '.join(winners)} won" if winners else "Nobody won"
        return Text(f"{verdict}. Final score: {listed}.", style="bold green")


# What is said of you, and of others.
_PRESENCE = {
    "player_left": ("left the game", "left the game"),
    "player_joined": ("returned to the game", "returned to the game"),
    "player_disconnected": ("lost the connection", "lost the connection"),
    "player_reconnected": ("are back", "is back"),
    "player_became_spectator": ("are now watching", "is now watching"),
    "player_marked_absent": ("sit this round out", "sits this round out"),
}


def read_number(line: str, *, low: int, high: int, what: str) -> int:
    """Read a number within bounds; raise `UnclearInput`."""
    text = line.strip()
    if text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    raise UnclearInput(f"Type {what}: a number from {low} to {high}.")


# ---------------------------------------------------------------------- cards


_SYMBOLS: Final = {"spades": "♠", "hearts": "♥", "diamonds": "♦", "clubs": "♣"}
_STYLES: Final = {"spades": "", "hearts": "red", "diamonds": "red", "clubs": ""}


def suit_symbol(suit: str) -> str:
    """Write a suit."""
    return _SYMBOLS[suit]


def card_text(card: str) -> str:
    """Write a card: `A♠`."""
    deck, suit, rank = card.split(":")
    return f"{rank}{_SYMBOLS[suit]}{'' if deck == 'd0' else '²'}"


def coloured_card(card: str, extra: str = "") -> Text:
    """Write a card in its colour."""
    return Text(card_text(card), style=f"{_STYLES[SUIT_OF[card]]} {extra}".strip())


def sort_hand(hand: Sequence[str]) -> list[str]:
    """Sort a hand by suit, high cards first."""
    return sorted(hand, key=lambda card: (SUITS.index(SUIT_OF[card]), -RANK_OF[card], card))


def read_card(line: str, hand: Sequence[str]) -> str:
    """Find the card that a line means: its place in the hand, from 1, or its name."""
    text = line.strip().upper()
    if text.isascii() and text.isdigit():
        if 1 <= int(text) <= len(hand):
            return hand[int(text) - 1]
        raise UnclearInput(f"Your hand has {len(hand)} cards: type a number from 1 to {len(hand)}.")
    for card in hand:
        if text in _spellings(card):
            return card
    raise UnclearInput("Type a card's number, or its name: AS is the ace of spades, 10H a red ten.")


def _spellings(card: str) -> set[str]:
    deck, suit, rank = card.split(":")
    names = {f"{rank}{_SYMBOLS[suit]}", f"{rank}{suit[0].upper()}"}
    return names if deck == "d0" else names | {f"{name}2" for name in names} | {card_text(card)}


# ---------------------------------------------------------------------- El Dorado


class ElDoradoScreen(Screen):
    """Bids, tricks and scores."""

    title = "El Dorado"
    input_help: ClassVar[str] = (
        "Type a card's number, or its name: AS is the ace of spades, 10H the ten of hearts."
    )
    moves: ClassVar[frozenset[str]] = frozenset({"player_bid", "card_played"})

    def __init__(self, me: str, names: Mapping[str, str]) -> None:
        super().__init__(me, names)
        self._trick: list[tuple[str, str]] = []
        self._bids: list[str] = []
        self._players: list[str] = []

    def describe_move(self, event: str, payload: Json) -> str:
        """Say what was bid or played."""
        return (
            f"bid {payload['bid']}"
            if event == "player_bid"
            else f"played {card_text(payload['card'])}"
        )

    def describe_event(self, event: str, payload: Json) -> Text | None:
        """Describe a deal, the bids, a trick, or a round's score in a line each."""
        match event:
            case "round_started":
                self._bids.clear()
                starter = self.player_name(payload["player_id"])
                head = f"\nRound {payload['round']}, {_cards_each(payload['cards'])}; {starter}"
                return Text(f"{head} {'begin' if starter == 'You' else 'begins'}.", style="bold")
            case "cards_dealt":
                self._players = payload["players"]
                return _cards_text("Your hand: ", sort_hand(payload["hands"].get(self.me, ())))
            case "trump_revealed":
                return _cards_text(f"Trump is {payload['trump']}: ", [payload["card"]])
            case "player_bid":
                self._bids.append(f"{self.player_name(payload['player_id'])} {payload['bid']}")
            case "bidding_completed":
                return Text(f"Bids: {', '.join(self._bids)}.")
            case "trick_started":
                self._trick.clear()
            case "card_played":
                self._trick.append((payload["player_id"], payload["card"]))
            case "trick_completed":
                return self._describe_trick(payload)
            case "round_scored":
                return self._describe_score(payload)
        return None

    def show_view(self, view: Json) -> RenderableType:
        """Show the scores, the trick, and the hand with what may be played."""
        return Group(self._table(view), self._hand(view))

    def prompt_text(self, view: Json) -> str:
        """Ask for a bid or a card."""
        if view["phase"] == "bidding":
            return f"How many tricks will you take? (0 to {view['cards']}) "
        return "Which card? (number or name) "

    def read_move(self, line: str, view: Json) -> Json:
        """Read a bid or a card."""
        if view["phase"] == "bidding":
            bid = read_number(line, low=0, high=view["cards"], what="your bid")
            return {"type": "bid", "bid": bid}
        return {"type": "play_card", "card": read_card(line, sort_hand(view["hand"]))}

    def _describe_trick(self, payload: Json) -> Text:
        line = Text(f"Trick {payload['trick']}: ")
        for place, (player, card) in enumerate(self._trick):
            line.append(f"{', ' if place else ''}{self.player_name(player)} ").append_text(
                coloured_card(card)
            )
        winner = self.player_name(payload["player_id"])
        return line.append(f". {winner} {'take' if winner == 'You' else 'takes'} it.")

    def _describe_score(self, payload: Json) -> Text:
        results = [
            f"{self.player_name(player)} {result['tricks']} of {result['bid']} "
            f"({result['delta']:+d})"
            for player, result in payload["players"].items()
        ]
        return Text(f"Round {payload['round']}: {', '.join(results)}.", style="cyan")

    def _table(self, view: Json) -> Table:
        trump = suit_symbol(view["trump"]) if view["trump"] else "?"
        table = Table(title=f"Round {view['round']} of {view['rounds']}, trump {trump}")
        for heading in ("player", "bid", "tricks", "score", "plays"):
            table.add_column(heading)
        played = {each["seat"]: each["card"] for each in view["trick"]}
        for seat, player in enumerate(self._players):
            bid = view["bids"][seat]
            table.add_row(
                self.player_name(player),
                "" if bid is None else str(bid),
                str(view["tricks"][seat]),
                str(view["totals"][seat]),
                coloured_card(played[seat]) if seat in played else "",
            )
        return table

    def _hand(self, view: Json) -> Columns:
        playable = {move.get("card") for move in view["legal_moves"]}
        bidding = view["phase"] == "bidding"
        return Columns(
            [
                Text(f"{place} ").append_text(
                    coloured_card(card, "bold" if bidding or card in playable else "dim")
                )
                for place, card in enumerate(sort_hand(view["hand"]), start=1)
            ],
            padding=(0, 2),
        )


def _cards_text(head: str, cards: list[str]) -> Text:
    line = Text(head)
    for card in cards:
        line.append_text(coloured_card(card)).append(" ")
    return line


def _cards_each(count: int) -> str:
    return "1 card each" if count == 1 else f"{count} cards each"


# ---------------------------------------------------------------------- Four in a Row


_DISCS: Final = (("●", "red"), ("○", "yellow"))


class FourInARowScreen(Screen):
    """The board; columns are counted from 1."""

    title = "Four in a row"
    input_help: ClassVar[str] = "Type a column's number."
    moves: ClassVar[frozenset[str]] = frozenset({"disc_dropped"})

    def describe_move(self, event: str, payload: Json) -> str:
        """Say where a disc went."""
        return f"dropped into column {payload['column'] + 1}"

    def describe_event(self, event: str, payload: Json) -> Text | None:
        """Describe a drop, and how it ended."""
        if event == "disc_dropped":
            player = self.player_name(payload["player_id"])
            verb = "drop" if player == "You" else "drops"
            return Text(f"{player} {verb} into column {payload['column'] + 1}.")
        if event == "four_connected":
            player = self.player_name(payload["player_id"])
            return Text(f"{player} {'have' if player == 'You' else 'has'} four in a row.")
        if event == "board_filled":
            return Text("The board is full.")
        return None

    def show_view(self, view: Json) -> RenderableType:
        """Show the board."""
        board = Text()
        for row in reversed(range(ROWS)):
            for column in view["board"]:
                if row < len(column):
                    disc, style = _DISCS[column[row]]
                    board.append(f" {disc}", style=style)
                else:
                    board.append(" ·", style="dim")
            board.append("\n")
        return board.append(" " + " ".join(str(number + 1) for number in range(COLUMNS)))

    def prompt_text(self, view: Json) -> str:
        """Ask for a column."""
        disc, _ = _DISCS[view["seat"]]
        return f"You play {disc}. Which column? (1 to {COLUMNS}) "

    def read_move(self, line: str, view: Json) -> Json:
        """Read a column."""
        return {
            "type": "drop",
            "column": read_number(line, low=1, high=COLUMNS, what="a column") - 1,
        }


# ---------------------------------------------------------------------- The Lamplighter


class LamplighterScreen(Screen):
    """The story, and numbered choices."""

    title = "The Lamplighter"
    input_help: ClassVar[str] = "Type the number of what you want to do."
    moves: ClassVar[frozenset[str]] = frozenset({"choice_made"})

    def describe_move(self, event: str, payload: Json) -> str:
        """Say what was chosen."""
        return f"chose “{_words(payload['choice'])}”"

    def describe_event(self, event: str, payload: Json) -> Text | None:
        """Tell the story."""
        match event:
            case "scene_entered":
                return Text(f"\n{_time_of_day(payload['hour'])}  {payload['text']}")
            case "counter_changed":
                return Text(f"{payload['by']:+d} {_words(payload['counter'])}", style="cyan")
            case "lore_unlocked":
                return Text(f"You know of {_words(payload['lore'])} now.", style="magenta")
            case "event_opened":
                return Text(f"It is time: {_words(payload['event'])}.", style="yellow")
            case "event_closed":
                return Text(f"It is over: {_words(payload['event'])}.", style="yellow")
        return None

    def show_view(self, view: Json) -> RenderableType:
        """Show what you have, and what you can choose."""
        counters = ", ".join(f"{count} {_words(name)}" for name, count in view["counters"].items())
        text = Text(f"You have {counters}.\n", style="dim")
        for number, option in enumerate(view["options"].values(), start=1):
            text.append(f" {number}  {option}\n", style="default")
        return text

    def prompt_text(self, view: Json) -> str:
        """Ask for a choice."""
        return f"What do you do? (1 to {len(view['options'])}) "

    def read_move(self, line: str, view: Json) -> Json:
        """Read a choice."""
        names = [*view["options"]]
        number = read_number(line, low=1, high=len(names), what="a choice")
        return {"type": "choose", "choice": names[number - 1]}


def _words(name: str) -> str:
    return name.replace("_", " ")


def _time_of_day(hour: int) -> str:
    return f"{hour % 24:02}:00"
