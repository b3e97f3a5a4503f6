"""Lobbies on the wire: commands, replies, updates, HTTP bodies."""

import re
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from protocol.envelope import Command, Ok, Update, WireModel
from protocol.ids import WireGameId, WireLobbyId, WireMatchId, WirePlayerId
from protocol.limits import (
    CURSOR_CHARS_MAX,
    NAME_CHARS_MAX,
    PAGE_ITEMS_MAX,
    PASSWORD_CHARS_TYPED_MAX,
    SEATS_MAX,
)
from protocol.text import NAME, ONE_LINE, PASSWORD

JOIN_CODE_PATTERN: Final = r"^[2-9A-HJ-NP-Z]{6}$"
CODE_TYPED_CHARS_MAX: Final = 24  # with the spaces and dashes that people put in

# From RFC 3986, what an https URI is written with: a host, without anybody's name or password.
WEB_SERVER: Final = r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?=[/?#]|$)"
URI_CHARACTERS: Final = r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*"


def pattern_with_message(pattern: str, problem: str) -> AfterValidator:
    """Refuse text of another shape, and say in words what is wrong with it."""
    shape = re.compile(pattern)

    def check(text: str) -> str:
        if not shape.fullmatch(text):
            raise PydanticCustomError("shape", problem)
        return text

    return AfterValidator(check)


def _as_printed(typed: str) -> str:
    """Write a join code as it is shown, however somebody typed it."""
    return typed.upper().replace(" ", "").replace("-", "")


LobbyName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARS_MAX),
    NAME,
]
SearchText = Annotated[str, StringConstraints(max_length=NAME_CHARS_MAX), ONE_LINE]
_IDENTIFIER: Final = pattern_with_message(
    r"[a-z][a-z0-9_]*", "Use a to z, digits and underscores, beginning with a letter"
)
RulesetName = Annotated[str, StringConstraints(min_length=1, max_length=32), _IDENTIFIER]
BotName = Annotated[str, StringConstraints(min_length=1, max_length=32), _IDENTIFIER]
Region = Annotated[
    str,
    StringConstraints(min_length=2, max_length=16),
    pattern_with_message(
        r"[a-z0-9]+(-[a-z0-9]+)*", "Use a short code of a to z, digits and dashes: `eu-west`"
    ),
]
Password = Annotated[str, Field(min_length=1, max_length=PASSWORD_CHARS_TYPED_MAX), PASSWORD]
JoinCode = Annotated[
    str,
    StringConstraints(max_length=CODE_TYPED_CHARS_MAX),
    AfterValidator(_as_printed),
    pattern_with_message(
        JOIN_CODE_PATTERN, "A join code has 6 letters and digits, without 0, O, 1 and I"
    ),
]
Seats = Annotated[int, Field(ge=1, le=SEATS_MAX)]
TABLES_MAX: Final = 16  # in one lobby; all of them have at most SEATS_MAX seats
Tables = Annotated[int, Field(ge=1, le=TABLES_MAX)]
TableNumber = Annotated[int, Field(ge=0, lt=TABLES_MAX)]
Cursor = Annotated[str, Field(max_length=CURSOR_CHARS_MAX)]


HEARTBEAT_S: Final = 15  # how often the host of a peer lobby shows life

OPEN_LOBBIES_MAX: Final = 3  # that one player may be in
SPECTATORS_MAX: Final = 50  # in one lobby
BANS_MAX: Final = 200  # in one lobby
WATCHED_MAX: Final = 32  # lobbies that one connection may watch without being in them

Mode = Literal["server", "peer"]
Role = Literal["player", "spectator"]
Status = Literal["OPEN", "PLAYING", "CLOSED"]
ListedStatus = Literal["OPEN", "PLAYING"]
ChangeKind = Literal[
    "created",
    "joined",
    "left",
    "kicked",
    "ready",
    "bot_added",
    "bot_removed",
    "configured",
    "filled",
    "postponed",
    "started",
    "ended",
    "peer_registered",
    "reported",
    "fell_back",
    "caught_up",
    "closed",
]
Reason = Literal[
    "connection_lost", "host_silent", "nobody_there", "game_over", "closed_by_operator"
]


def _is_none(value: object) -> bool:
    return value is None


# What only lobbies with several tables have: the others are sent without it.
Table = Annotated[int | None, Field(exclude_if=_is_none)]


class Member(WireModel):
    """A member of a lobby; a spectator has no seat.

    In a lobby with several tables, `table` says at which one the seat is.
    """

    player_id: WirePlayerId
    display_name: str
    role: Role
    seat: int | None
    ready: bool
    bot: str | None
    table: Table = None


class TableState(WireModel):
    """A table of a lobby, by its place in the list; both ids are null while none is played.

    `lobby_id` is the lobby that the game has of its own.
    """

    game_id: WireGameId | None
    lobby_id: WireLobbyId | None


class Lobby(WireModel):
    """A lobby.

    `join_code` is only in replies to its members and never changes. A lobby
    made by quick play has no host. `fill_at` is when bots get its free seats.

    Of a peer lobby, `host_peer_id` is shown to its members alone, and null while it
    `needs_peer`. Its host sends `lobby.heartbeat` every `heartbeat_s`. `match_id` is the
    session that is played, or was played last, since `started_at`.

    A lobby with several `tables` stays open while games are played in it; `seats` are those of each
    table. Other lobbies are sent without `tables`.
    """

    lobby_id: WireLobbyId
    version: int
    name: str
    mode: Mode
    status: Status
    ruleset: RulesetName
    config: dict[str, Any]
    seats: int
    is_public: bool
    has_password: bool
    quick_play: bool
    join_code: str | None
    host_player_id: WirePlayerId | None
    game_id: WireGameId | None
    fill_at: str | None
    members: list[Member]
    created_at: str
    region: str | None = None
    host_peer_id: str | None = None
    needs_peer: bool = False
    heartbeat_s: int | None = None
    match_id: WireMatchId | None = None
    started_at: str | None = None
    tables: Annotated[list[TableState] | None, Field(exclude_if=_is_none)] = None


class LobbyCard(WireModel):
    """A lobby in a list; of one with several `tables`, `seats` and `taken` are those of all."""

    lobby_id: WireLobbyId
    version: int
    name: str
    mode: Mode
    status: Status
    ruleset: RulesetName
    seats: int
    taken: int
    has_password: bool
    game_id: WireGameId | None
    created_at: str
    region: str | None = None
    tables: Table = None


class LobbyReply(Ok):
    """The lobby after the command."""

    lobby: Lobby


class LobbyPage(WireModel):
    """One page of lobbies, newest first; `next` asks for the following page."""

    lobbies: list[LobbyCard]
    next: str | None


class LobbyListReply(LobbyPage, Ok):
    """One page of lobbies, newest first; `next` asks for the following page."""


class ListFilter(WireModel):
    """A search for public lobbies; `text` is searched for in their names."""

    ruleset: RulesetName | None = None
    mode: Mode | None = None
    region: Region | None = None
    free_seats: Annotated[int, Field(ge=0, le=SEATS_MAX)] = 0
    text: SearchText = ""


class ListQuery(ListFilter):
    """Which public lobbies to list, and how many at once."""

    status: ListedStatus = "OPEN"
    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_ITEMS_MAX)] = 20


class LobbyPath(WireModel):
    """The lobby in an address."""

    lobby_id: WireLobbyId


class List(ListQuery, Command):
    """List public lobbies."""

    reply: ClassVar[type[WireModel]] = LobbyListReply
    type: Literal["lobby.list"]


class WatchReply(Ok):
    """The current state of what you follow: one lobby, or the public list."""

    lobby: Lobby | None
    lobbies: list[LobbyCard] | None


class Watch(ListFilter, Command):
    """Follow one lobby or, without an id, the public list; the reply has its newest lobbies.

    The filters apply to the list: you get updates of lobbies that match, or just stopped matching.

    You may see a public lobby unless you were removed from it, and a private one that you
    are in. Updates with a `version` up to the reply's are old: drop them.
    """

    reply: ClassVar[type[WireModel]] = WatchReply
    type: Literal["lobby.watch"]
    lobby_id: WireLobbyId | None = None


class Unwatch(Command):
    """Stop following a lobby, or the list."""

    type: Literal["lobby.unwatch"]
    lobby_id: WireLobbyId | None = None


class NewLobby(WireModel):
    """A lobby to create. Name and seats default to the ruleset's title and maximum.

    A `peer` lobby's game runs on its host's machine: any name will do for its ruleset, and
    any configuration of up to 4 KiB and 8 levels.

    With `tables`, several games can be played in it at once, each with `seats`; all tables
    together have at most 64. Such a lobby has games on the server.
    """

    ruleset: RulesetName
    mode: Mode = "server"
    region: Region | None = None
    name: LobbyName | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    seats: Seats | None = None
    is_public: bool = True
    password: Password | None = None
    tables: Tables = 1


class Create(NewLobby, Command):
    """Create a lobby and join it as its host; you then follow it."""

    reply: ClassVar[type[WireModel]] = LobbyReply
    type: Literal["lobby.create"]


class Joining(WireModel):
    """The lobby to join, by exactly one of `lobby_id` and `code`, and the role.

    In a lobby with several tables, `table` says where to sit; without it, it is the first table
    that has a free seat and no game.
    """

    lobby_id: WireLobbyId | None = None
    code: JoinCode | None = None
    password: Password | None = None
    role: Role = "player"
    table: TableNumber | None = None


class Join(Joining, Command):
    """Join a lobby by code, or a public lobby by id; you then follow it.

    Joining again is harmless. While the lobby is open, a spectator who joins as a player
    gets a free seat, and a player who joins as a spectator gives it up. In a lobby with several
    tables, a player whose table plays no game changes to another one.
    """

    reply: ClassVar[type[WireModel]] = LobbyReply
    type: Literal["lobby.join"]


class Leave(Command):
    """Leave a lobby that has not started; spectators and peers can leave at any time.

    A lobby with several tables can be left at any time: a seat in a game is kept, or given up with
    `game.leave`.

    The longest-standing player becomes host after the host; the last person who leaves
    closes the lobby.
    """

    type: Literal["lobby.leave"]
    lobby_id: WireLobbyId


class Ready(Command):
    """Say whether you are ready to start."""

    reply: ClassVar[type[WireModel]] = LobbyReply
    type: Literal["lobby.ready"]
    lobby_id: WireLobbyId
    ready: bool = True


class Kick(Command):
    """Remove a person permanently (host only); not a player once the game has started."""

    reply: ClassVar[type[WireModel]] = LobbyReply
    type: Literal["lobby.kick"]
    lobby_id: WireLobbyId
    player_id: WirePlayerId


class AddBot(Command):
    """Add a bot (host only), in a lobby with several tables to `table`, or where the host sits."""

    reply: ClassVar[type[WireModel]] = LobbyReply
    type: Literal["lobby.add_bot"]
    lobby_id: WireLobbyId
    bot: BotName
    table: TableNumber | None = None


class RemoveBot(Command):
    """Remove a bot (host only)."""

    reply: ClassVar[type[WireModel]] = LobbyReply
    type: Literal["lobby.remove_bot"]
    lobby_id: WireLobbyId
    player_id: WirePlayerId


class Configure(Command):
    """Change an open lobby (host only); omitted fields stay unchanged. Resets every `ready`.

    The number of `tables` can be changed where there are several.

    When a lobby becomes private, those who follow it without being members stop following it.
    """

    reply: ClassVar[type[WireModel]] = LobbyReply
    type: Literal["lobby.configure"]
    lobby_id: WireLobbyId
    name: LobbyName | None = None
    config: dict[str, Any] | None = None
    seats: Seats | None = None
    is_public: bool | None = None
    tables: Tables | None = None


class Start(Command):
    """Start the game: every human player but the host is ready (host only).

    In a lobby with several tables, the host starts the game of `table`, and anybody that of their
    own table, which need not be named. All others at it are ready. The lobby stays open.
    """

    reply: ClassVar[type[WireModel]] = LobbyReply
    type: Literal["lobby.start"]
    lobby_id: WireLobbyId
    table: TableNumber | None = None


class Close(Command):
    """Close an open lobby (host only)."""

    type: Literal["lobby.close"]
    lobby_id: WireLobbyId


class QuickPlay(Command):
    """Join the fullest matching quick-play lobby, or a new one.

    It fits if it has the same configuration and, where `seats` is given, that many seats;
    a new one has 4 otherwise, or as near to it as the ruleset allows. The game starts when
    the seats are full; at `fill_at`, bots get those that are free. Nobody is its host.
    """

    reply: ClassVar[type[WireModel]] = LobbyReply
    type: Literal["lobby.quick_play"]
    ruleset: RulesetName
    seats: Seats | None = None
    config: dict[str, Any] = Field(default_factory=dict)


class LobbyChange(WireModel):
    """What happened, the player concerned, and the reason if it was not requested.

    `postponed` means that bots come later, `caught_up` that one or more changes were made
    on another node. In a lobby with several tables, the game of `table` has `started` or `ended`.
    """

    kind: ChangeKind
    player_id: WirePlayerId | None = None
    reason: Reason | None = None
    table: Table = None


class LobbyUpdate(Update):
    """A lobby changed; here it is as a whole, but without its `join_code`.

    `version` counts its changes. One that is not above what you have is old: drop it.
    """

    type: Literal["lobby.update"] = "lobby.update"
    lobby_id: WireLobbyId
    version: int
    change: LobbyChange
    lobby: Lobby


class ListUpdate(Update):
    """A lobby in the public list that you watch appeared, changed, or (null) went away."""

    type: Literal["lobby.listed"] = "lobby.listed"
    lobby_id: WireLobbyId
    version: int
    lobby: LobbyCard | None


COMMANDS: tuple[type[Command], ...] = (
    List,
    Watch,
    Unwatch,
    Create,
    Join,
    Leave,
    Ready,
    Kick,
    AddBot,
    RemoveBot,
    Configure,
    Start,
    Close,
    QuickPlay,
)
UPDATES: tuple[type[Update], ...] = (LobbyUpdate, ListUpdate)
