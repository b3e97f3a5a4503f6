"""What is written when a game ends, beside its last events."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from protocol.history import GameSummary
from protocol.ids import PlayerId


@dataclass(frozen=True, slots=True)
class XpRule:
    """What a completed game adds to `xp_total` of everybody who has an account, bots aside."""

    per_game: int = 0
    per_win: int = 0


NO_XP = XpRule()

# Why a game is in the history and counts for nothing else: its scores were declared by a
# client, or it had one seat, so nobody to win against.
UncountedReason: TypeAlias = Literal["declared", "solo"]


@dataclass(frozen=True, slots=True)
class SeatResult:
    """How a game went for one player, as it enters their statistics.

    `forfeited`: they left before the end. It counts as a game played and not won, and
    brings no points, no tricks and no XP.
    """

    player_id: PlayerId
    seat: int
    score: int
    tricks_won: int
    is_winner: bool
    forfeited: bool = False

    @property
    def counted_score(self) -> int | None:
        """The score as it enters statistics; None where it does not."""
        return None if self.forfeited else self.score

    @property
    def counted_tricks(self) -> int:
        """The tricks as they enter statistics."""
        return 0 if self.forfeited else self.tricks_won


@dataclass(frozen=True, slots=True)
class Completion:
    """Everything that commits together with a game's last events.

    `winner_id` is set where exactly one player won. `uncounted` says why the game brings no
    XP and enters no statistics; None where it does both.
    """

    at: datetime
    summary: GameSummary
    results: tuple[SeatResult, ...]
    winner_id: PlayerId | None
    uncounted: UncountedReason | None = None
