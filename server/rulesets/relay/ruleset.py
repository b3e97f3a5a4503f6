"""The game without rules.

    relayed      player_id, data (the move as it came)
    relay_ended  scores {player_id: integer}

The host is the first seat that is still there. Its move `{"type": "end"}`, with `scores` if
there are any, ends the game: the highest score wins, ties share the win. A game that
everybody left ends without a winner. What a host declares counts for no statistics,
leaderboard or XP.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from protocol.ids import PlayerId
from protocol.limits import SEATS_MAX
from protocol.numbers import floats_to_integers
from server.gamekit.contract import (
    Event,
    IllegalMove,
    Outcome,
    Payload,
    Ruleset,
    SeatMove,
    Setup,
    Standing,
    Viewer,
)

# Either way from 0; sums over many games must fit a database's integers.
SCORE_MAX: Final = 1_000_000


@dataclass(slots=True)
class State:
    """Who is there, and the scores once the game has ended."""

    players: tuple[PlayerId, ...]
    present: set[int]
    scores: dict[str, int] | None = None

    @property
    def host(self) -> int | None:
        """The seat that may end the game."""
        return min(self.present, default=None)


class Relay(Ruleset[State, Payload]):
    """Pass on whatever anybody sends."""

    name = "relay"
    title = "Relay"
    rules = "A game of the players' own: the server passes on what they send and knows no rules."
    seats: ClassVar[range] = range(1, SEATS_MAX + 1)
    verbatim_moves = True
    # The host declares the result, so the server can vouch for none of it.
    scores_declared = True
    leavers_rank_last = False

    def initial(self, setup: Setup) -> State:
        """Seat everybody."""
        return State(tuple(setup.players), set(range(len(setup.players))))

    def setup(self, state: State) -> list[Event]:
        """Begin without any ado."""
        return []

    def parse(self, raw: Payload) -> Payload:
        """Take any object as it is."""
        return raw

    def decide(self, state: State, seat: int, move: Payload) -> list[Event]:
        """Relay a move, or end the game."""
        if state.scores is not None:
            raise IllegalMove("invalid_phase", "The game has ended.")
        if move.get("type") == "end" and seat == state.host:
            return [Event("relay_ended", {"scores": _scores(state, move), "_v": 1})]
        return [Event("relayed", {"player_id": state.players[seat], "data": move, "_v": 1})]

    def evolve(self, state: State, event: Event) -> None:
        """Fold who comes and goes, and the end."""
        kind = event.type
        if kind == "relayed" or state.scores is not None:
            return
        if kind == "player_left":
            state.present.discard(event.payload["seat"])
            if not state.present:
                state.scores = {}
        elif kind == "player_joined":
            state.present.add(event.payload["seat"])
        elif kind == "relay_ended":
            state.scores = dict(event.payload["scores"])

    def move_of(self, state: State, event: Event) -> SeatMove | None:
        """Read what was sent back, or the host's end of the game."""
        payload = event.payload
        if event.type == "relayed":
            return SeatMove(state.players.index(payload["player_id"]), payload["data"])
        if event.type == "relay_ended" and state.host is not None:
            return SeatMove(state.host, {"type": "end", "scores": payload["scores"]})
        return None

    def view(self, state: State, viewer: Viewer) -> Payload:
        """Say who is there; what was relayed is in the log."""
        return {
            "seat": viewer,
            "host": state.host,
            "present": sorted(state.present),
            "scores": state.scores,
            "legal_moves": None if state.scores is None else [],
        }

    def outcome(self, state: State) -> Outcome | None:
        """Rank by the host's scores; who has none gets 0 and does not win."""
        if (scores := state.scores) is None:
            return None
        best = max(scores.values(), default=0)
        return Outcome(
            tuple(
                Standing(
                    seat,
                    scores.get(player, 0),
                    is_winner=player in scores and scores[player] == best,
                )
                for seat, player in enumerate(state.players)
            )
        )


def _scores(state: State, move: Payload) -> dict[str, int]:
    match floats_to_integers(move):
        case {"scores": dict(scores), **rest} if rest == {"type": "end"}:
            if set(scores) <= set(state.players) and all(map(_is_score, scores.values())):
                return scores
        case {"type": "end"} if len(move) == 1:
            return {}
    raise IllegalMove(
        "invalid_scores",
        f"Scores are integers up to {SCORE_MAX} either way, by the ids of players in this game.",
    )


def _is_score(value: object) -> bool:
    # A bool is an int to `isinstance`, but not a score.
    return type(value) is int and -SCORE_MAX <= value <= SCORE_MAX
