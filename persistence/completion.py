"""What is written when a game ends, beside its last events."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol.ids import PlayerId


@dataclass(frozen=True, slots=True)
class XpRule:
    """What a completed game adds to `xp_total` of everybody who has an account, bots aside."""

    per_game: int = 0
    per_win: int = 0


NO_XP = XpRule()


@dataclass(frozen=True, slots=True)
class SeatResult:
    """How a game went for one player, as it enters their lifetime statistics."""

    player_id: PlayerId
    seat: int
    score: int
    tricks_won: int
    is_winner: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """The row of `game_summaries`; `players` and `rounds` are JSON."""

    players: list[dict[str, Any]]
    rounds: list[dict[str, Any]]
    final_scores: dict[str, int]
    highest_bid: int | None
    highest_score: int | None
    lowest_score: int | None
    most_consecutive_wins: int | None
    most_consecutive_losses: int | None
    highest_misplay: int | None


@dataclass(frozen=True, slots=True)
class Completion:
    """Everything that commits together with a game's last events.

    `winner_id` is set where exactly one player won.
    """

    at: datetime
    summary: Summary
    results: tuple[SeatResult, ...]
    winner_id: PlayerId | None
