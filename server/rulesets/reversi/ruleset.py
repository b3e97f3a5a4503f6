"""The rules of reversi, played with clocks.

disc_placed      player_id, cell (0 to 63, by rows from the top left), turned (cells)
turn_passed      player_id: had no cell to play, so the other goes on
board_finished   nobody can play any more
time_ran_out     player_id

Seat 0 has the dark discs and begins. A player whose clock reaches zero loses, whatever the board
shows. The clocks are `server.gamekit.clocks`; the rules read the times of events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from protocol.ids import PlayerId
from server.gamekit.chance import Chance
from server.gamekit.clocks import GameClock, TimeControl
from server.gamekit.contract import (
    WINS,
    Bot,
    Event,
    IllegalMove,
    Outcome,
    Payload,
    Ruleset,
    RulesetConfig,
    SeatMove,
    Setup,
    Standing,
    Statistic,
    Timer,
    Turn,
    Viewer,
)

SIDE: Final = 8
CELLS: Final = SIDE * SIDE
# Dark (seat 0) and light discs in the middle.
START: Final = {27: 1, 28: 0, 35: 0, 36: 1}
CORNERS: Final = (0, 7, 56, 63)
_DIRECTIONS: Final = tuple((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y)
FLAG: Final = "flag"


def turned_by(board: list[int | None], cell: int, seat: int) -> list[int]:
    """List the discs that a disc placed here would turn; none where it may not be placed."""
    if board[cell] is not None:
        return []
    turned: list[int] = []
    for dx, dy in _DIRECTIONS:
        x, y = cell % SIDE + dx, cell // SIDE + dy
        line: list[int] = []
        while 0 <= x < SIDE and 0 <= y < SIDE and board[y * SIDE + x] == 1 - seat:
            line.append(y * SIDE + x)
            x, y = x + dx, y + dy
        if line and 0 <= x < SIDE and 0 <= y < SIDE and board[y * SIDE + x] == seat:
            turned += line
    return sorted(turned)


def open_cells(board: list[int | None], seat: int) -> list[int]:
    """List the cells where a seat may place a disc."""
    return [cell for cell in range(CELLS) if turned_by(board, cell, seat)]


def place_anywhere(view: Payload, chance: Chance) -> Payload:
    """Place a disc wherever that is allowed."""
    move: Payload = chance.choice(view["legal_moves"])
    return move


def corners_then_few(view: Payload, chance: Chance) -> Payload:
    """Take a corner, else turn as few discs as possible: early on, fewer discs are safer."""
    board, seat = view["board"], view["seat"]
    cells = chance.shuffled([move["cell"] for move in view["legal_moves"]])
    best = min(cells, key=lambda cell: (cell not in CORNERS, len(turned_by(board, cell, seat))))
    return _place(best)


BOTS: Final[Mapping[str, Bot]] = {"random": place_anywhere, "corners_then_few": corners_then_few}


class Config(RulesetConfig):
    """The clocks."""

    clock: TimeControl = TimeControl(kind="fischer", main_s=300.0, increment_s=3.0)


@dataclass(slots=True)
class State:
    """The board, whose turn it is, and the clocks."""

    config: Config
    players: tuple[PlayerId, ...]
    clock: GameClock
    board: list[int | None] = field(default_factory=lambda: [START.get(n) for n in range(CELLS)])
    to_move: int = 0
    turn_no: int = 0
    is_over: bool = False
    loser: int | None = None  # by time, or by leaving

    def count(self, seat: int) -> int:
        """Count a seat's discs."""
        return self.board.count(seat)


class Reversi(Ruleset[State, int]):
    """Place a disc so that it turns others; a move is the number of a cell."""

    name = "reversi"
    title = "Reversi"
    rules = (
        "Place a disc so that it encloses discs of the other colour in a straight line; these turn "
        "over. A player without such a cell passes. When nobody can play, more discs win. Each "
        "player has a clock: who runs out of time loses."
    )
    seats: ClassVar[range] = range(2, 3)
    statistics = (Statistic(WINS, "sum", board=True),)
    rated = True
    config = Config
    bots = BOTS
    reads_time = True

    def initial(self, setup: Setup) -> State:
        """Place the first four discs."""
        assert isinstance(setup.config, Config)
        return State(setup.config, tuple(setup.players), GameClock.of_seats(setup.config.clock, 2))

    def setup(self, state: State) -> list[Event]:
        """Begin with seat 0 to move; its clock runs from the game's first event on."""
        return []

    def parse(self, raw: Payload) -> int:
        """Parse `{"type": "place", "cell": 19}`."""
        match raw:
            # A bool is an int to `isinstance`, but not a cell.
            case {"type": "place", "cell": int(cell)} if (
                len(raw) == 2 and type(cell) is int and 0 <= cell < CELLS
            ):
                return cell
        raise IllegalMove(
            "unknown_move", 'Send {"type": "place", "cell": 19}; cells are 0 to 63, row by row.'
        )

    def decide(self, state: State, seat: int, move: int) -> list[Event]:
        """Place a disc; the other passes if it cannot play, and if nobody can, that is the end."""
        if state.is_over:
            raise IllegalMove("invalid_phase", "The game has ended.")
        if seat != state.to_move:
            raise IllegalMove("not_your_turn", "It is the other player's turn.")
        turned = turned_by(state.board, move, seat)
        if not turned:
            raise IllegalMove("turns_nothing", f"A disc on cell {move} would turn no other.")
        player = state.players[seat]
        payload = {"player_id": player, "cell": move, "turned": turned, "_v": 1}
        events = [Event("disc_placed", payload)]
        board = list(state.board)
        _place_on(board, move, turned, seat)
        if not open_cells(board, 1 - seat):
            if open_cells(board, seat):
                passes = {"player_id": state.players[1 - seat], "_v": 1}
                events.append(Event("turn_passed", passes))
            else:
                events.append(Event("board_finished", {"_v": 1}))
        return events

    def evolve(self, state: State, event: Event) -> None:
        """Fold one event."""
        payload = event.payload
        match event.type:
            case "game_created":
                state.clock.start(state.to_move, event.at_ms)
            case "disc_placed":
                _place_on(state.board, payload["cell"], payload["turned"], state.to_move)
                _begin_turn(state, 1 - state.to_move, event.at_ms)
            case "turn_passed":
                _begin_turn(state, 1 - state.to_move, event.at_ms)
            case "board_finished":
                _end(state, event.at_ms)
            case "time_ran_out" | "player_left" if not state.is_over:
                state.loser = state.players.index(payload["player_id"])
                _end(state, event.at_ms)

    def move_of(self, state: State, event: Event) -> SeatMove | None:
        """Read a move back."""
        if event.type != "disc_placed":
            return None
        return SeatMove(
            state.players.index(event.payload["player_id"]), _place(event.payload["cell"])
        )

    def view(self, state: State, viewer: Viewer) -> Payload:
        """Show the board by rows, with the seat of each disc, and the clocks."""
        can_move = not state.is_over and viewer == state.to_move
        cells = open_cells(state.board, state.to_move) if can_move else []
        return {
            "seat": viewer,
            "board": list(state.board),
            "discs": [state.count(0), state.count(1)],
            "turn": None if state.is_over else state.to_move,
            "clock": state.clock.view(),
            "over": state.is_over,
            "legal_moves": [_place(cell) for cell in cells],
        }

    def to_act(self, state: State) -> Turn | None:
        """Let the seat whose clock runs act; the clock, and not the turn, has the deadline."""
        return None if state.is_over else Turn((state.to_move,), state.turn_no, None)

    def timeout_move(self, state: State, seat: int) -> Payload:
        """Play the first open cell; only a bot that failed needs it, as leaving ends the game."""
        return _place(open_cells(state.board, seat)[0])

    def next_timer(self, state: State) -> Timer | None:
        """Give the moment at which the running clock reaches zero."""
        flag_at_ms = state.clock.flag_at_ms
        return None if flag_at_ms is None else Timer(FLAG, flag_at_ms)

    def decide_timer(self, state: State, timer: Timer) -> list[Event]:
        """End the game: the player whose clock ran has lost on time."""
        return [Event("time_ran_out", {"player_id": state.players[state.to_move], "_v": 1})]

    def outcome(self, state: State) -> Outcome | None:
        """Score the discs; more of them win, unless time or leaving decided."""
        if not state.is_over:
            return None
        dark, light = state.count(0), state.count(1)
        winner = None if dark == light else int(light > dark)
        if state.loser is not None:
            winner = 1 - state.loser
        return Outcome(
            tuple(Standing(seat, state.count(seat), is_winner=seat == winner) for seat in range(2))
        )


def _place_on(board: list[int | None], cell: int, turned: list[int], seat: int) -> None:
    for each in (cell, *turned):
        board[each] = seat


def _begin_turn(state: State, seat: int, at_ms: int) -> None:
    state.to_move = seat
    state.turn_no += 1
    state.clock.start(seat, at_ms)


def _end(state: State, at_ms: int) -> None:
    state.is_over = True
    state.clock.stop(at_ms)


def _place(cell: int) -> Payload:
    return {"type": "place", "cell": cell}
