"""HTTP bodies about games, matches, players and leaderboards."""

from typing import Annotated, Any, Literal

from pydantic import Field

from protocol.envelope import WireModel
from protocol.games import Commitment, GameEvent
from protocol.ids import WireGameId, WireLobbyId, WireMatchId, WirePlayerId
from protocol.limits import (
    CURSOR_CHARS_MAX,
    EVENT_INDEX_MAX,
    EVENTS_PAGE_MAX,
    PAGE_ITEMS_MAX,
    SEATS_MAX,
    VIEWS_PAGE_MAX,
)
from protocol.lobbies import RulesetName

Cursor = Annotated[str, Field(max_length=CURSOR_CHARS_MAX)]
Limit = Annotated[int, Field(ge=1, le=PAGE_ITEMS_MAX)]
Board = Literal["wins", "win_rate", "highest_score", "total_tricks"]
WhichRuleset = Annotated[
    RulesetName | None,
    Field(description="Only games of this ruleset; by default all games that count."),
]


class GamePath(WireModel):
    """The game in an address."""

    game_id: WireGameId


class PlayerPath(WireModel):
    """The player in an address."""

    player_id: WirePlayerId


class MatchPath(WireModel):
    """The match in an address."""

    match_id: WireMatchId


class BoardPath(WireModel):
    """The leaderboard in an address."""

    board: Board


class Ruleset(WireModel):
    """A kind of game that this server offers."""

    name: str
    title: str
    rules: str = Field(description="How to play, in a few sentences; empty if it does not say.")
    version: int
    seats_min: int
    seats_max: int
    bots: list[str]
    config_schema: dict[str, Any]


class Rulesets(WireModel):
    """All rulesets of this server."""

    rulesets: list[Ruleset]


class Game(WireModel):
    """Read a game and its progress."""

    game_id: WireGameId
    ruleset: str
    ruleset_version: int
    status: Literal["created", "in_progress", "completed"]
    config: dict[str, Any]
    min_players: int | None = Field(description="Minimum number of players; null if not recorded.")
    max_players: int | None = Field(description="Seats of its lobby; null if not recorded.")
    head: int = Field(description="Index of the last event; -1 for none.")
    quarantined: bool
    created_at: str
    started_at: str | None
    completed_at: str | None


class GamesQuery(WireModel):
    """Which running games to list, and how many at once."""

    ruleset: RulesetName | None = None
    free_seats: Annotated[int, Field(ge=0, le=SEATS_MAX)] = 0
    can_watch: bool = False
    cursor: Cursor | None = None
    limit: Limit = 20


class RunningGame(WireModel):
    """A public game that runs."""

    game_id: WireGameId
    lobby_id: WireLobbyId | None
    join_code: str = Field(description="For `lobby.join`, as a spectator.")
    ruleset: str
    ruleset_version: int
    max_players: int
    current_players: int = Field(description="Occupied seats: bots, and players who have not left.")
    can_watch: bool = Field(
        description="If false, join the lobby with its password before you send `game.watch`."
    )
    started_at: str


class RunningGames(WireModel):
    """A page of running games, newest first."""

    games: list[RunningGame]
    next: str | None


class EventsQuery(WireModel):
    """Which part of a log to read."""

    after: Annotated[int, Field(ge=-1, le=EVENT_INDEX_MAX)] = -1
    limit: Annotated[int, Field(ge=1, le=EVENTS_PAGE_MAX)] = 200


class LoggedEvent(GameEvent):
    """An event of a log."""

    hash: str | None = Field(
        description="Of this event and all before it, in hex; null while the game runs, since it "
        "would show what is hidden. See docs/explanation/fairness.md."
    )


class Events(WireModel):
    """A part of a log, redacted for the reader while the game runs."""

    game_id: WireGameId
    events: list[LoggedEvent]
    head: int
    commitment: Commitment


class ViewsQuery(WireModel):
    """Which part of a game to look at."""

    after: Annotated[int, Field(ge=-1, le=EVENT_INDEX_MAX)] = -1
    limit: Annotated[int, Field(ge=1, le=VIEWS_PAGE_MAX)] = 50


class DrawnEvent(WireModel):
    """A game as it was after an event."""

    event_index: int
    table: dict[str, Any] = Field(
        description="What changed of `status`, `players`, `turn`, `seat` and, in real-time games, "
        "`tick`; in the first item of a page all of it."
    )
    view: dict[str, Any] = Field(
        description="What changed of a spectator's view; in the first item of a page all of it."
    )
    seats: list[dict[str, Any]] = Field(
        description="What the view of each seat has beside or instead of a spectator's; empty "
        "while the game runs."
    )


class Views(WireModel):
    """A part of a game, event by event, as spectators and each seat saw it."""

    game_id: WireGameId
    head: int = Field(description="Index of the last event that you may see.")
    views: list[DrawnEvent]


class GameSummary(WireModel):
    """How a game ended, as the table `game_summaries` and replay files have it, too."""

    players: list[dict[str, Any]]
    rounds: list[dict[str, Any]]
    final_scores: dict[str, int]
    highest_bid: int | None
    highest_score: int | None
    lowest_score: int | None
    most_consecutive_wins: int | None
    most_consecutive_losses: int | None
    highest_misplay: int | None


class Summary(GameSummary):
    """The summary of a finished game."""

    game_id: WireGameId
    created_at: str


class StatsQuery(WireModel):
    """Which games to count."""

    ruleset: WhichRuleset = None


class PlayerStats(WireModel):
    """A player's statistics, over all games that count or in one ruleset."""

    player_id: WirePlayerId
    ruleset: str | None = Field(description="The requested ruleset; null for all.")
    display_name: str
    is_bot: bool
    games_played: int
    games_won: int
    win_rate: float
    highest_score: int | None
    lowest_score: int | None
    total_points: int
    total_tricks_won: int
    most_consecutive_wins: int
    most_consecutive_losses: int
    current_win_streak: int
    current_loss_streak: int
    last_game_at: str | None


class PageQuery(WireModel):
    """One page of a list; `cursor` is the `next` of the page before."""

    cursor: Cursor | None = None
    limit: Limit = 20


class Match(WireModel):
    """A finished session, on the server or peer to peer."""

    match_id: WireMatchId
    game_id: WireGameId | None
    mode: str
    ruleset: str | None
    started_at: str | None
    ended_at: str | None
    winner_id: str | None
    replay_url: str | None
    counts: bool = Field(description="Whether it brings XP and enters statistics and ranks.")
    declared: bool = Field(
        description="A client declared the scores; the server did not check them."
    )
    players: list[dict[str, Any]] = Field(
        description="Who played; `forfeited` are those who left before the end."
    )


class Matches(WireModel):
    """One page of matches, newest first."""

    matches: list[Match]
    next: str | None


class LeaderboardQuery(WireModel):
    """How to rank: in which games, who has played enough, and whether bots count."""

    ruleset: WhichRuleset = None
    min_games: Annotated[int, Field(ge=1, le=100_000)] = 1
    bots: bool = False
    limit: Limit = 20


class LeaderboardRow(WireModel):
    """One rank; equal values share it."""

    rank: int
    player_id: WirePlayerId
    display_name: str
    is_bot: bool
    value: float
    games_played: int


class Leaderboard(WireModel):
    """The best players by one measure."""

    board: Board
    ruleset: str | None = Field(description="The requested ruleset; null for all.")
    rows: list[LeaderboardRow]


class Health(WireModel):
    """The process is alive, or the server ready."""

    status: Literal["ok"] = "ok"


class Status(WireModel):
    """What this server is doing now; public, without names.

    Events and completed games are those of all servers on the database, ever.
    """

    name: str = "Playhall"
    version: str
    node: str
    connections: int
    games: int
    lobbies: int
    events_total: int
    games_completed_total: int
    uptime_s: float
