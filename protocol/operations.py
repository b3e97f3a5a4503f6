"""HTTP bodies of operations: nodes, games, lobbies, jobs, the event outbox, and settings."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, JsonValue, StringConstraints

from protocol.envelope import WireModel
from protocol.history import Cursor, Limit
from protocol.ids import UUID_PATTERN, WireGameId, WireLobbyId, WirePlayerId
from protocol.limits import EVENT_INDEX_MAX, EVENTS_PAGE_MAX, SEATS_MAX, TEXT_CHARS_MAX
from protocol.lobbies import RulesetName
from protocol.text import TEXT

NODE_CHARS_MAX: Final = 200
JOB_CHARS_MAX: Final = 200
SILENT_S_MAX: Final = 366 * 86_400

Uuid = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
NodeId = Annotated[str, StringConstraints(min_length=1, max_length=NODE_CHARS_MAX)]
WrittenReason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_CHARS_MAX),
    TEXT,
]


class ReasonRequest(WireModel):
    """Do something that is put on record with its reason."""

    reason: WrittenReason = Field(description="For the audit log.")


# ------------------------------------------------------------------ nodes


class Node(WireModel):
    """A server process that shares this database."""

    node: str
    address: str = Field(description="Where clients reach it; empty if there is only one.")
    started_at: str
    lease_until: str
    is_alive: bool = Field(description="Whether its lease is good; it may take games if it is.")
    is_this: bool = Field(description="Whether it is the node that answers.")
    games: int = Field(description="Running games that it owns.")


class Nodes(WireModel):
    """All nodes, the living first; `orphaned_games` run and have no living node."""

    nodes: list[Node]
    orphaned_games: int
    quarantined_games: int


# ------------------------------------------------------------------ games

GameState = Literal["running", "quarantined", "ended", "completed"]


class AdminGamesQuery(WireModel):
    """Which games to list, and how many at once."""

    state: GameState | None = Field(
        default=None, description="`ended`: by an operator, before its rules ended it."
    )
    ruleset: RulesetName | None = None
    silent_s: Annotated[int, Field(ge=1, le=SILENT_S_MAX)] | None = Field(
        default=None, description="Only running games without an event for so many seconds."
    )
    node: NodeId | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class AdminGame(WireModel):
    """A game as operators see it, public or not."""

    game_id: WireGameId
    ruleset: str
    ruleset_version: int
    state: Literal["created", "running", "quarantined", "ended", "completed"]
    problem: str | None = Field(description="Why it does not go on; null where nothing is known.")
    lobby_id: WireLobbyId | None
    lobby_name: str | None
    is_public: bool
    node: str | None = Field(description="The node that owns it.")
    is_node_alive: bool
    head: int = Field(description="Index of the last event; -1 for none.")
    last_event_at: str | None
    created_at: str
    completed_at: str | None
    quarantined_at: str | None
    quarantine_reason: str | None
    ended_at: str | None
    end_reason: str | None


class AdminGames(WireModel):
    """A page of games, newest first."""

    games: list[AdminGame]
    next: str | None


class AdminSeat(WireModel):
    """A seat of a game."""

    seat: int
    player_id: WirePlayerId
    display_name: str
    bot: str | None
    present: bool = Field(description="False for a player who left.")
    connected: bool
    is_to_move: bool


class AdminGameDetails(WireModel):
    """A game, who sits in it, and what it shows a spectator.

    Seats and view are null where the game is not running, or its rules are not to be called.
    """

    game: AdminGame
    quarantine_trace: str | None = Field(description="Where the rules failed.")
    node_address: str | None
    is_here: bool = Field(description="Whether it is in the memory of the node that answers.")
    seats: list[AdminSeat] | None
    deadline_at: str | None = Field(description="Until when those who are to move have time.")
    followers: int | None = Field(description="Connections that follow it on this node.")
    view: JsonValue = Field(description="What a spectator sees; nothing that players hide.")


class AdminLogQuery(WireModel):
    """Which part of a log."""

    after: Annotated[int, Field(ge=-1, le=EVENT_INDEX_MAX)] | None = Field(
        default=None, description="After this event; by default the last `limit` events."
    )
    limit: Annotated[int, Field(ge=1, le=EVENTS_PAGE_MAX)] = 20


class AdminEvent(WireModel):
    """An event as it is in the log, with all that it hides from players."""

    event_index: int
    event: str
    payload: JsonValue
    at: str


class AdminLog(WireModel):
    """Part of a log, in order; reading it is put on record."""

    game_id: WireGameId
    head: int
    events: list[AdminEvent]


class EndGameRequest(WireModel):
    """End a game for good, whatever its rules say. Its players keep what they had before it."""

    reason: WrittenReason = Field(description="Shown to the players, and for the audit log.")


# ------------------------------------------------------------------ lobbies


class AdminLobbiesQuery(WireModel):
    """Which lobbies to list, private ones too."""

    status: Literal["OPEN", "PLAYING", "CLOSED"] | None = None
    text: Annotated[str, StringConstraints(max_length=TEXT_CHARS_MAX)] = Field(
        default="", description="Part of the name, or the join code, or the id."
    )
    cursor: Cursor | None = None
    limit: Limit = 50


class AdminLobby(WireModel):
    """A lobby as operators see it."""

    lobby_id: WireLobbyId
    name: str
    status: Literal["OPEN", "PLAYING", "CLOSED"]
    mode: str
    ruleset: str | None
    join_code: str | None
    is_public: bool
    has_password: bool
    host_player_id: WirePlayerId | None
    host_name: str | None
    players: int
    seats: Annotated[int, Field(ge=0, le=SEATS_MAX)]
    game_id: WireGameId | None
    created_at: str
    last_heartbeat: str


class AdminLobbies(WireModel):
    """A page of lobbies, newest first."""

    lobbies: list[AdminLobby]
    next: str | None


# ------------------------------------------------------------------ jobs


class PeriodicJob(WireModel):
    """Work that the answering node does again and again."""

    name: str
    every_s: float
    is_running: bool
    runs: int
    failures: int
    last_run_at: str | None
    last_took_s: float | None
    last_error: str | None = Field(description="Of the last run; null if it went well.")
    next_run_at: str | None = Field(description="Null while it runs.")


class SharedJob(WireModel):
    """Work that nodes share: whichever takes it when it is due does it."""

    name: str
    due_at: str
    started_at: str | None
    ended_at: str | None
    duration_s: float | None
    row_count: int | None
    last_error: str | None = Field(description="Of the last run; null if it went well.")


class PeriodicJobs(WireModel):
    """The periodic work of one node, and what all nodes share, by name.

    Other nodes have periodic work of their own.
    """

    node: str
    jobs: list[PeriodicJob]
    shared: list[SharedJob]


class RunJobRequest(WireModel):
    """Have a job done now: by the answering node, or, if nodes share it, by one within a minute."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=JOB_CHARS_MAX)]


# ------------------------------------------------------------------ the event outbox


class OutboxQuery(WireModel):
    """Which events of the outbox to list."""

    state: Literal["pending", "dead"] = "dead"
    cursor: Cursor | None = None
    limit: Limit = 50


class OutboxEvent(WireModel):
    """A durable event that some listener does not have yet; its payload is not shown."""

    event_id: str
    name: str
    occurred_at: str
    attempts: int
    delivered_to: list[str]
    last_error: str | None
    next_attempt_at: str
    dead_at: str | None


class OutboxPage(WireModel):
    """Events, oldest first; the counts are of the whole outbox."""

    pending: int
    dead: int
    oldest_s: float
    events: list[OutboxEvent]
    next: str | None


class OutboxEventPath(WireModel):
    """The event in an address."""

    event_id: Uuid


# ------------------------------------------------------------------ settings


class EffectiveSetting(WireModel):
    """A setting as the answering node has it."""

    name: str
    value: Any = Field(description="`********` for a secret that is set.")
    default: Any
    source: Literal["default", "environment", "command line"]
    is_secret: bool
    domain: str | None = Field(description="Whose it is; null for the node's own.")
    description: str


class EffectiveSettings(WireModel):
    """The settings of one node."""

    node: str
    settings: list[EffectiveSetting]
    unread: list["UnreadVariable"]


class UnreadVariable(WireModel):
    """A variable that looks like a setting and that nothing reads."""

    name: str
    meant: str | None = Field(description="The setting with the most similar name.")
