"""Tournaments on the wire: lists, registration, pairings, standings, live updates.

A win is 2 points, a draw 1. `version` grows with every change of a tournament, so a client that
has version 7 needs nothing older.
"""

from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from protocol.envelope import Command, CommandId, Ok, Update, WireModel
from protocol.errors import PlayhallError
from protocol.history import Cursor, Limit
from protocol.ids import UUID_PATTERN, GameId, LobbyId, PlayerId, WirePlayerId
from protocol.lobbies import RulesetName
from protocol.text import NAME, ONE_LINE

ENTRANTS_MAX: Final = 1024
ROUNDS_MAX: Final = 50
OPEN_MAX: Final = 200  # tournaments that are not over
PAIRINGS_MAX: Final = 512  # of a page
ARENA_PAIRINGS_MAX: Final = 20_000  # after these, an arena pairs nobody any more
ROUND_ROBIN_MAX: Final = 64  # entrants: everybody meets everybody
WATCHED_MAX: Final = 16
CHECK_IN_S_MAX: Final = 3600
ARENA_S_MAX: Final = 86_400
ARENA_S_MIN: Final = 5
AHEAD_DAYS_MAX: Final = 366

Format: TypeAlias = Literal["swiss", "round_robin", "single_elimination", "arena"]
TournamentStatus: TypeAlias = Literal["registration", "running", "completed", "cancelled"]
PairingStatus: TypeAlias = Literal["waiting", "ready", "playing", "decided", "void"]
PairingKind: TypeAlias = Literal["game", "bye", "forfeit", "void"]
Points: TypeAlias = Literal[0, 1, 2]

TournamentId = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
PairingId = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=100), NAME]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=300), ONE_LINE]

# ------------------------------------------------------------------ errors


class TournamentNotFound(PlayhallError):
    """There is no tournament with this id."""

    code, status = "tournament_not_found", 404


class PairingNotFound(PlayhallError):
    """The tournament has no such pairing."""

    code, status = "pairing_not_found", 404


class RegistrationClosed(PlayhallError):
    """Nobody can register for this tournament now."""

    code, status = "registration_closed", 409


class TournamentFull(PlayhallError):
    """The tournament has the maximum number of entrants."""

    code, status = "tournament_full", 409


class NotRegistered(PlayhallError):
    """You are not registered for this tournament."""

    code, status = "not_registered", 409


class TournamentOver(PlayhallError):
    """The tournament is over; it cannot be changed any more."""

    code, status = "tournament_over", 409


class PairingDecided(PlayhallError):
    """The pairing is decided, or its game has begun."""

    code, status = "pairing_decided", 409


class TooManyTournaments(PlayhallError):
    """There is the maximum number of tournaments that are not over; cancel one first."""

    code, status = "too_many_tournaments", 409


# ------------------------------------------------------------------ reading


class Tournament(WireModel):
    """A tournament as of a version."""

    tournament_id: TournamentId
    title: str
    ruleset: str
    config: dict[str, Any]
    format: Format
    status: TournamentStatus
    version: int
    starts_at: str
    entrants: int = Field(description="Registered, without those who withdrew.")
    entrants_min: int
    entrants_max: int
    round: int = Field(description="The present round, from 1; 0 before the first.")
    rounds: int | None = Field(
        description="How many there will be; null for an arena, and before the start where it "
        "depends on the entrants."
    )
    open_pairings: int = Field(description="Pairings that are not decided yet.")
    late_join: bool
    check_in_s: int = Field(description="0: games begin without a check-in.")
    duration_s: int | None = Field(description="Of an arena.")
    ends_at: str | None = Field(description="When an arena pairs nobody any more.")
    started_at: str | None
    completed_at: str | None
    cancel_reason: str | None


class TournamentsQuery(WireModel):
    """Which tournaments."""

    status: TournamentStatus | None = None
    ruleset: RulesetName | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class Tournaments(WireModel):
    """Tournaments, those that start last first; `next` is the cursor of others."""

    tournaments: list[Tournament]
    next: str | None


class StandingsRow(WireModel):
    """What an entrant has; who is equal in everything has the same place."""

    place: int
    player_id: PlayerId
    display_name: str
    is_bot: bool
    entrant: int = Field(description="The number of the registration.")
    is_withdrawn: bool
    points: int = Field(description="2 for a win, 1 for a draw.")
    wins: int
    draws: int
    losses: int
    buchholz: int
    sonneborn_berger: int
    head_to_head: int
    survived: int = Field(description="Rounds of an elimination that they came through.")


class Standings(WireModel):
    """The table, the best first."""

    tournament_id: TournamentId
    version: int
    round: int
    standings: list[StandingsRow]


class TournamentSeat(WireModel):
    """One side of a pairing."""

    player_id: PlayerId
    display_name: str
    entrant: int
    points: Points | None
    is_ready: bool = Field(description="Checked in, or need not.")


class PairingView(WireModel):
    """Who meets whom; `second` is null for a bye."""

    pairing_id: PairingId
    round: int
    board: int
    attempt: int = Field(description="Above 1: a drawn game of an elimination is played again.")
    status: PairingStatus
    kind: PairingKind
    first: TournamentSeat
    second: TournamentSeat | None
    ready_by: str | None = Field(description="Who has not checked in by then forfeits.")
    lobby_id: LobbyId | None
    game_id: GameId | None


class PairingsQuery(WireModel):
    """Which pairings: of a round, by default the present one, or all of a player."""

    round: Annotated[int, Field(ge=1, le=ROUND_ROBIN_MAX)] | None = None
    player_id: WirePlayerId | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=PAIRINGS_MAX)] = 100


class Pairings(WireModel):
    """Pairings, by round and board; `next` is the cursor of others."""

    tournament_id: TournamentId
    version: int
    pairings: list[PairingView]
    next: str | None


class TournamentPath(WireModel):
    """The tournament in an address."""

    tournament_id: TournamentId


class PairingPath(TournamentPath):
    """The tournament and the pairing in an address."""

    pairing_id: PairingId


# ------------------------------------------------------------------ taking part


class Registration(WireModel):
    """That somebody takes part."""

    tournament_id: TournamentId
    player_id: PlayerId
    entrant: int
    is_withdrawn: bool


class CheckedIn(WireModel):
    """That somebody is there for their game."""

    pairing_id: PairingId
    status: PairingStatus


# ------------------------------------------------------------------ organising


class NewTournament(WireModel):
    """A tournament to announce. Its ruleset must be playable by two, with scores of its own."""

    title: Title
    ruleset: RulesetName
    config: dict[str, Any] = Field(default_factory=dict)
    format: Format
    starts_at: Annotated[AwareDatetime, Field(strict=False)] = Field(
        description="When registration ends and play begins."
    )
    entrants_min: Annotated[int, Field(ge=2, le=ENTRANTS_MAX)] = 2
    entrants_max: Annotated[int, Field(ge=2, le=ENTRANTS_MAX)] = 64
    rounds: Annotated[int, Field(ge=1, le=ROUNDS_MAX)] | None = Field(
        default=None,
        description="Of a Swiss tournament, at most half as many as entrants; by default enough "
        "for one winner.",
    )
    late_join: bool = Field(default=False, description="Swiss and arena only.")
    check_in_s: Annotated[int, Field(ge=0, le=CHECK_IN_S_MAX)] = Field(
        default=0, description="How long people have to check in for each game; 0: they need not."
    )
    duration_s: Annotated[int, Field(ge=ARENA_S_MIN, le=ARENA_S_MAX)] | None = Field(
        default=None, description="Of an arena, which needs it."
    )

    @model_validator(mode="after")
    def _fits_format(self) -> "NewTournament":
        if self.entrants_min > self.entrants_max:
            raise ValueError("entrants_min must not be above entrants_max")
        if (self.duration_s is not None) != (self.format == "arena"):
            raise ValueError("duration_s belongs to an arena, and an arena needs it")
        if self.rounds is not None and self.format != "swiss":
            raise ValueError("rounds belongs to the format swiss")
        if self.late_join and self.format not in ("swiss", "arena"):
            raise ValueError("late_join belongs to the formats swiss and arena")
        if self.format == "round_robin" and self.entrants_max > ROUND_ROBIN_MAX:
            raise ValueError(f"A round robin has at most {ROUND_ROBIN_MAX} entrants")
        return self


class TournamentCancellation(WireModel):
    """Why a tournament is called off."""

    reason: Reason


class NewBots(WireModel):
    """Bots of the ruleset to register, to try a tournament or to fill it."""

    bot: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    count: Annotated[int, Field(ge=1, le=ENTRANTS_MAX)]


class PairingDecision(WireModel):
    """How an organiser decides a pairing that is not decided."""

    first_points: Points
    second_points: Points
    reason: Reason

    @model_validator(mode="after")
    def _adds_up(self) -> "PairingDecision":
        if (self.first_points, self.second_points) not in ((2, 0), (0, 2), (1, 1), (0, 0)):
            raise ValueError("Points are 2 and 0, 1 and 1, 0 and 2, or 0 and 0")
        return self


# ------------------------------------------------------------------ live


class WatchingTournament(WireModel):
    """The tournament as it is; changes follow."""

    re: CommandId
    type: Literal["ok"] = "ok"
    tournament: Tournament


class Watch(Command):
    """Follow a tournament: get it now, and again whenever it has changed."""

    reply: ClassVar[type[WireModel]] = WatchingTournament
    type: Literal["tournament.watch"]
    tournament_id: TournamentId


class Unwatch(Command):
    """Follow a tournament no longer."""

    reply: ClassVar[type[WireModel]] = Ok
    type: Literal["tournament.unwatch"]
    tournament_id: TournamentId


class TournamentChanged(Update):
    """A tournament changed; read the pairings or the standings again if you show them.

    Versions may be left out: the newest has everything.
    """

    type: Literal["tournament.update"] = "tournament.update"
    tournament: Tournament


COMMANDS = (Watch, Unwatch)
UPDATES = (TournamentChanged,)
