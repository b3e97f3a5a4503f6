"""Lobbies as rows: what is read of them, and what is written."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from protocol.ids import GameId, LobbyId, MatchId, PlayerId
from protocol.lobbies import Mode, Role, Status


class Member(NamedTuple):
    """Somebody in a lobby; `seat` is None for a spectator, `bot` for a person.

    The seat is at `table`, which says nothing of a spectator.
    """

    player_id: PlayerId
    display_name: str
    role: Role
    seat: int | None
    ready: bool
    bot: str | None
    table: int = 0


class TableGame(NamedTuple):
    """A game at a table, in a lobby of its own; `game_id` is None until it has started."""

    table: int
    lobby_id: LobbyId
    game_id: GameId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lobby:
    """A lobby as of one moment; `members` has the longest-standing first.

    Of a lobby with several `tables`, `seats` are those of each, and `table_games` are the games
    that are played. Each of these has a lobby of its own; `table_of` and `table_no` lead from there
    to here.

    `silent_s` is how long it had shown no life, by the database's clock, and
    `host_silent_s` how long the host of a peer lobby had not. `lineup` is who played when
    the session `match_id` between peers started.
    """

    lobby_id: LobbyId
    name: str
    mode: Mode
    ruleset: str
    config: dict[str, Any]
    seats: int
    spectators_max: int
    is_public: bool
    created_at: datetime
    members: tuple[Member, ...]
    version: int = 1
    status: Status = "OPEN"
    join_code: str | None = None
    password_hash: str | None = None
    quick_play: bool = False
    host_player_id: PlayerId | None = None
    game_id: GameId | None = None
    fill_at: datetime | None = None
    silent_s: float = 0.0
    region: str | None = None
    host_peer_id: str | None = None
    host_silent_s: float = 0.0
    match_id: MatchId | None = None
    started_at: datetime | None = None
    lineup: tuple[PlayerId, ...] = ()
    bans: frozenset[PlayerId] = frozenset()
    tables: int = 1
    table_of: LobbyId | None = None
    table_no: int | None = None
    table_games: tuple[TableGame, ...] = ()

    def find_member(self, player_id: PlayerId | None) -> Member | None:
        """Find somebody."""
        return next((m for m in self.members if m.player_id == player_id), None)

    @property
    def players(self) -> tuple[Member, ...]:
        """Those who have a seat, the longest-standing first."""
        return tuple(member for member in self.members if member.role == "player")

    @property
    def has_tables(self) -> bool:
        """Whether it has several tables."""
        return self.tables > 1

    def players_at(self, table: int) -> tuple[Member, ...]:
        """Those who sit at a table, the longest-standing first."""
        return tuple(player for player in self.players if player.table == table)

    def game_at(self, table: int) -> TableGame | None:
        """Find the game that is played at a table."""
        return next((game for game in self.table_games if game.table == table), None)

    @property
    def people(self) -> tuple[Member, ...]:
        """Those members who are no bots."""
        return tuple(member for member in self.members if member.bot is None)

    @property
    def human_players(self) -> tuple[Member, ...]:
        """Those players who are no bots."""
        return tuple(member for member in self.players if member.bot is None)


class JoiningPlayer(NamedTuple):
    """Somebody who wants to enter a lobby, and how many open ones they are in."""

    player_id: PlayerId
    display_name: str
    open_lobbies: int


class LobbyCard(NamedTuple):
    """A lobby in a list; `seats` and `taken` are those of all its tables."""

    lobby_id: LobbyId
    version: int
    name: str
    mode: Mode
    status: Status
    ruleset: str
    seats: int
    taken: int
    has_password: bool
    game_id: GameId | None
    created_at: datetime
    region: str | None
    tables: int = 1


class PeerMatch(NamedTuple):
    """A session between peers as its host reported it; `scores` has all who played."""

    match_id: MatchId
    lobby: Lobby
    reported_by: PlayerId
    ended_at: datetime
    winner_id: PlayerId | None
    scores: dict[PlayerId, int | None]


class AdministeredLobby(NamedTuple):
    """A lobby as operators list it, public or not."""

    lobby_id: LobbyId
    name: str
    status: str
    mode: str
    ruleset: str | None
    join_code: str | None
    is_public: bool
    has_password: bool
    host_player_id: PlayerId | None
    host_name: str | None
    players: int
    seats: int
    game_id: GameId | None
    created_at: datetime
    last_heartbeat: datetime


class LobbyListPosition(NamedTuple):
    """A place in the list: the lobbies that follow it are older, or as old with a higher id."""

    created_at: datetime
    lobby_id: LobbyId


class QuickPlayCriteria(NamedTuple):
    """What makes a quick-play lobby fit a player; any number of seats, if None."""

    ruleset: str
    config: dict[str, Any]
    seats: int | None
