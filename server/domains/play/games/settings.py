"""Games: how they run, and the XP that they give."""

from typing import Annotated

from pydantic import Field

from server.core.settings import Seconds, Settings

Xp = Annotated[int, Field(ge=0, le=1_000_000)]


class GameSettings(Settings):
    """Writers of the log, leases, bots' pauses, XP."""

    writers: Annotated[int, Field(ge=1, le=16)] = 2
    bot_pause_s: Seconds = Field(default=0.7, description="How long a bot waits before it moves.")
    idle_game_s: Seconds = Field(
        default=300.0, description="How long an idle game stays in memory."
    )
    spread_games: bool = Field(
        default=True, description="Whether new games go to less busy nodes, with Redis."
    )
    lease_s: Annotated[float, Field(ge=1, le=600)] = 10.0
    rules_limit_s: Annotated[float, Field(ge=0.1, le=600)] = Field(
        default=5.0, description="How long one call of a game's rules may take."
    )
    rules_memory_mb: Annotated[int, Field(ge=0, le=1_048_576)] = Field(
        default=1024, description="How much memory one call may take; 0 for any."
    )
    xp_per_game: Xp = Field(default=10, description="XP for a completed game.")
    xp_per_win: Xp = Field(default=25, description="Additional XP for winning it.")
