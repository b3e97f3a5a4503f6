"""The rules of lobbies: from a lobby and a request to the lobby as it will be, or a refusal."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import cycle, islice
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from persistence.games.model import NewGame, NewPlayer
from persistence.lobbies.model import JoiningPlayer, Lobby, Member
from protocol.errors import (
    Forbidden,
    InvalidField,
    Kicked,
    LobbyClosed,
    LobbyFull,
    LobbyNotFound,
    NotAMember,
    NotReady,
    NotSeated,
    NotTheHost,
    TooManyLobbies,
    UnknownBot,
)
from protocol.ids import LobbyId, PlayerId
from protocol.limits import SEATS_MAX
from protocol.lobbies import BANS_MAX, OPEN_LOBBIES_MAX, Role


def may_see(lobby: Lobby, player_id: PlayerId | None) -> bool:
    """Say whether somebody may see a lobby."""
    is_member = lobby.find_member(player_id) is not None
    return (lobby.is_public or is_member) and player_id not in lobby.bans


def may_watch_game(lobby: Lobby, player_id: PlayerId | None) -> bool:
    """Say whether somebody may watch a lobby's game."""
    is_open_to_all = lobby.is_public and lobby.password_hash is None
    is_member = lobby.find_member(player_id) is not None
    return (is_open_to_all or is_member) and player_id not in lobby.bans


def require_visible(lobby: Lobby | None, player_id: PlayerId | None) -> Lobby:
    """Give the lobby to somebody who may see it; to others a private one is not there."""
    if lobby is None or not (lobby.is_public or lobby.find_member(player_id)):
        raise LobbyNotFound
    if player_id in lobby.bans:
        raise Kicked
    return lobby


def require_may_join(lobby: Lobby, player_id: PlayerId) -> None:
    """Refuse somebody who cannot enter, whatever the password and the seats."""
    if player_id in lobby.bans:
        raise Kicked
    if lobby.status == "CLOSED":
        raise LobbyClosed("The lobby is closed; find another one, or create one.")


# ------------------------------------------------------------------ coming and going


def join_lobby(lobby: Lobby, joiner: JoiningPlayer, role: Role, table: int | None = None) -> Lobby:
    """Let somebody in; who is in already stays, sits down, changes tables, or gets up to watch."""
    require_may_join(lobby, joiner.player_id)
    if table is not None:
        require_table(lobby, table)
        if role == "spectator":
            raise InvalidField("table: a spectator has no seat; leave `table` out.", field="table")
    member = lobby.find_member(joiner.player_id)
    is_there = member is not None and table in (None, member.table)
    if member is not None and member.role == role and (role == "spectator" or is_there):
        return lobby
    if member is not None:
        _require_no_game(lobby, member, "You cannot change your seat during your table's game.")
    if member is not None and role == "spectator":
        _require_may_get_up(lobby, member)
    if member is None and lobby.status == "OPEN" and joiner.open_lobbies >= OPEN_LOBBIES_MAX:
        raise TooManyLobbies
    at, seat = _seat_for_player(lobby, table) if role == "player" else (0, None)
    if role == "spectator":
        _require_place_for_spectator(lobby)
    newcomer = Member(
        joiner.player_id, joiner.display_name, role, seat, ready=False, bot=None, table=at
    )
    return _with_member(lobby, newcomer)


def leave_lobby(lobby: Lobby, player_id: PlayerId) -> Lobby:
    """Let somebody go; the last person closes the lobby."""
    member = require_member(lobby, player_id)
    if lobby.status == "PLAYING" and lobby.mode == "server" and member.role == "player":
        raise LobbyClosed("The game has started; leave it with game.leave.")
    return lobby if lobby.status == "CLOSED" else remove_member(lobby, member)


def leave_if_away(lobby: Lobby, player_id: PlayerId) -> Lobby:
    """Let somebody go who lost their connection; not from a table whose game is played."""
    member = require_member(lobby, player_id)
    is_playing = member.role == "player" and lobby.game_at(member.table) is not None
    return lobby if is_playing else leave_lobby(lobby, player_id)


def kick_member(lobby: Lobby, host: PlayerId, player_id: PlayerId) -> Lobby:
    """Remove somebody for good."""
    require_host(lobby, host)
    member = lobby.find_member(player_id)
    if member is None:
        raise NotAMember("That player is not in this lobby.")
    if player_id == host:
        raise InvalidField("player_id: this is you; use lobby.leave.", field="player_id")
    if member.bot is not None:
        raise InvalidField("player_id: this is a bot; use lobby.remove_bot.", field="player_id")
    if lobby.status != "OPEN" and lobby.mode == "server" and member.role == "player":
        raise LobbyClosed("The game has started; only spectators can be removed now.")
    _require_no_game(
        lobby, member, "A game is played at that player's table; remove them after it."
    )
    if len(lobby.bans) >= BANS_MAX:
        raise Forbidden(
            f"{BANS_MAX} people have been removed already; create a private lobby instead."
        )
    return replace(remove_member(lobby, member), bans=lobby.bans | {player_id})


def close_lobby(lobby: Lobby, host: PlayerId) -> Lobby:
    """Close an open lobby."""
    require_host(lobby, host)
    require_open(lobby)
    return _closed(lobby)


def close_by_operator(lobby: Lobby) -> Lobby:
    """Close a lobby whoever is in it; harmless for one that is closed."""
    if lobby.status == "PLAYING" and lobby.mode == "server":
        raise LobbyClosed("Its game is running; end the game, which closes the lobby.")
    return lobby if lobby.status == "CLOSED" else _closed(lobby)


def close_unstarted(lobby: Lobby) -> Lobby:
    """Close an open lobby that has no host, and whose game could not start."""
    require_open(lobby)
    return _closed(lobby)


def close_if_silent(lobby: Lobby, silent_s: float) -> Lobby:
    """Close a lobby, open or between peers, without life for so long; leave any other be."""
    # What is played on a server has its own end.
    is_alive = lobby.status == "OPEN" or (lobby.mode == "peer" and lobby.status == "PLAYING")
    return _closed(lobby) if is_alive and lobby.silent_s >= silent_s else lobby


# ------------------------------------------------------------------ getting ready


def with_ready(lobby: Lobby, player_id: PlayerId, ready: bool) -> Lobby:
    """Note that a player is ready, or not any more."""
    member = require_member(lobby, player_id)
    require_open(lobby)
    if member.role != "player":
        raise NotSeated("You are a spectator; join as a player first.")
    _require_no_game(lobby, member, "Your table's game has started; be ready after it.")
    return _with_member(lobby, member._replace(ready=ready))


def with_bot(lobby: Lobby, host: PlayerId, bot: str, table: int | None = None) -> Lobby:
    """Seat a bot at a table; where the host sits, if None."""
    member = require_host(lobby, host)
    require_open(lobby)
    if table is not None:
        require_table(lobby, table)
    if lobby.mode == "peer":
        raise UnknownBot(
            "Bots can only play on the server; this lobby's game runs on its host's machine."
        )
    at = member.table if table is None and member.role == "player" else table
    return _with_member(lobby, _next_bot(lobby, bot, at))


def without_bot(lobby: Lobby, host: PlayerId, player_id: PlayerId) -> Lobby:
    """Take a bot's seat from it."""
    require_host(lobby, host)
    require_open(lobby)
    member = lobby.find_member(player_id)
    if member is None or member.bot is None:
        raise UnknownBot("There is no such bot in this lobby; lobby.watch lists its members.")
    _require_no_game(
        lobby, member, "A game is played at that bot's table; remove the bot after it."
    )
    return remove_member(lobby, member)


def configure_lobby(
    lobby: Lobby,
    host: PlayerId,
    *,
    name: str | None,
    config: dict[str, Any] | None,
    seats: int | None,
    is_public: bool | None,
    tables: int | None = None,
) -> Lobby:
    """Change what is given; people have to say again that they are ready."""
    require_host(lobby, host)
    require_open(lobby)
    taken = max(len(lobby.players_at(table)) for table in range(lobby.tables))
    if seats is not None and seats < taken:
        raise InvalidField(
            f"seats: {taken} are taken; remove players or bots first.", field="seats"
        )
    _require_tables(lobby, lobby.tables if tables is None else tables)
    after = replace(
        lobby,
        name=lobby.name if name is None else name,
        config=lobby.config if config is None else config,
        seats=lobby.seats if seats is None else seats,
        is_public=lobby.is_public if is_public is None else is_public,
        tables=lobby.tables if tables is None else tables,
    )
    require_seats_bounded(after.tables, after.seats)
    return after if after == lobby else _moved_up(clear_ready(after))


def fill_seats_with_bots(lobby: Lobby, bots: Sequence[str]) -> Lobby:
    """Give the free seats to bots, to each of these in turn; none if there are none."""
    require_open(lobby)
    for bot in islice(cycle(bots), lobby.seats - len(lobby.players)):
        lobby = _with_member(lobby, _next_bot(lobby, bot, 0))
    return lobby


def postpone_bots(lobby: Lobby, fill_at: datetime) -> Lobby:
    """Let bots come later, if the lobby is still open."""
    return replace(lobby, fill_at=fill_at) if lobby.status == "OPEN" else lobby


# ------------------------------------------------------------------ starting


def is_full(lobby: Lobby) -> bool:
    """Say whether an open lobby's last seat is taken."""
    return lobby.status == "OPEN" and len(lobby.players) == lobby.seats


def require_full(lobby: Lobby) -> None:
    """Refuse to start while a seat is free."""
    require_open(lobby)
    if not is_full(lobby):
        raise NotReady("The game starts when the last seat is taken.")


def require_all_ready(lobby: Lobby, host: PlayerId) -> None:
    """Refuse to start while somebody else is not ready."""
    require_host(lobby, host)
    require_open(lobby)
    _require_ready(lobby.human_players, but=host)


def require_table_ready(lobby: Lobby, who: PlayerId, table: int | None) -> int:
    """Say at which table somebody starts a game, or refuse; their own one, if None."""
    member = require_member(lobby, who)
    require_open(lobby)
    if table is not None:
        require_table(lobby, table)
    elif member.role != "player":
        raise InvalidField("table: say which table is to start; you sit at none.", field="table")
    at = member.table if table is None else table
    is_own = member.role == "player" and member.table == at
    if not is_own and lobby.host_player_id != who:
        raise NotTheHost("Only the lobby's host, and those who sit at a table, can start its game.")
    if lobby.game_at(at) is not None:
        raise LobbyClosed(f"The game of table {at} has started already.")
    _require_ready([p for p in lobby.players_at(at) if p.bot is None], but=who)
    return at


def _require_ready(players: Iterable[Member], *, but: PlayerId) -> None:
    missing = [each for each in players if not each.ready and each.player_id != but]
    if missing:
        names = ", ".join(player.display_name for player in missing)
        raise NotReady(f"Not everyone is ready; still missing: {names}.")


def draft_table_lobby(
    lobby: Lobby, table: int, *, lobby_id: LobbyId, title: str, at: datetime, fill_at: datetime
) -> Lobby:
    """Draft the lobby of a table's game, with all who sit there.

    If the node dies before the game starts, the sweep for due lobbies starts it after `fill_at`.
    """
    seated = sorted(lobby.players_at(table), key=lambda player: player.seat or 0)
    members = [
        player._replace(table=0, seat=seat, ready=True) for seat, player in enumerate(seated)
    ]
    return Lobby(
        lobby_id=lobby_id,
        name=title,
        mode="server",
        ruleset=lobby.ruleset,
        config=lobby.config,
        seats=max(1, len(members)),
        spectators_max=lobby.spectators_max,
        is_public=lobby.is_public,
        password_hash=lobby.password_hash,
        region=lobby.region,
        created_at=at,
        fill_at=fill_at,
        members=tuple(members),
        table_of=lobby.lobby_id,
        table_no=table,
    )


def build_new_game(lobby: Lobby, seats: range) -> NewGame:
    """Make a game of an open lobby, for a ruleset that takes so many players."""
    require_open(lobby)
    players = sorted(lobby.players, key=lambda player: player.seat or 0)
    require_player_count(len(players), seats)
    return NewGame(
        ruleset=lobby.ruleset,
        config=lobby.config,
        players=tuple(NewPlayer(player.player_id, player.bot) for player in players),
        lobby_id=lobby.lobby_id,
        lobby_version=lobby.version,
        is_public=lobby.is_public,
        join_code=lobby.join_code,
        seats=lobby.seats,
    )


def require_player_count(count: int, seats: range) -> None:
    """Refuse a number of players that a ruleset does not take."""
    if count not in seats:
        raise NotReady(
            f"The game needs {player_count_text(seats)} players and {count} are here; "
            "wait for more, or add bots."
        )


def require_seats_bounded(tables: int, seats: int) -> None:
    """Refuse more seats than a lobby may have."""
    if tables > 1 and tables * seats > SEATS_MAX:
        raise InvalidField(
            f"tables: {tables} tables of {seats} seats are {tables * seats} seats; "
            f"a lobby has at most {SEATS_MAX}.",
            field="tables",
        )


def player_count_text(seats: range) -> str:
    """Say how many players there may be: `2`, or `2 to 10`."""
    return f"{seats[0]} to {seats[-1]}" if len(seats) > 1 else str(seats[0])


# ------------------------------------------------------------------ details


def require_member(lobby: Lobby, player_id: PlayerId) -> Member:
    """Find a member, or refuse."""
    member = lobby.find_member(player_id)
    if member is not None:
        return member
    if lobby.is_public:
        raise NotAMember
    raise LobbyNotFound


def require_host(lobby: Lobby, player_id: PlayerId) -> Member:
    """Find the host, or refuse."""
    member = require_member(lobby, player_id)
    if lobby.host_player_id is None:
        raise NotTheHost("Quick play lobbies have no host; the game starts by itself.")
    if lobby.host_player_id != player_id:
        raise NotTheHost
    return member


def require_open(lobby: Lobby) -> None:
    """Refuse where the game has started, or all is over."""
    if lobby.status == "PLAYING":
        raise LobbyClosed("The game has started; the lobby can no longer be changed.")
    if lobby.status == "CLOSED":
        raise LobbyClosed("The lobby is closed; find another one, or create one.")


def _seat_for_player(lobby: Lobby, table: int | None) -> tuple[int, int]:
    """Give a free seat: the table and the seat at it."""
    if lobby.status != "OPEN":
        raise LobbyClosed("The game has started; join as a spectator or find another lobby.")
    return _free_seat(lobby, table)


def require_table(lobby: Lobby, table: int) -> None:
    """Refuse a table that the lobby does not have."""
    if table >= lobby.tables:
        how_many = f"0 to {lobby.tables - 1}" if lobby.has_tables else "0: it has one table"
        raise InvalidField(f"table: the tables of this lobby are {how_many}.", field="table")


def _require_no_game(lobby: Lobby, member: Member, problem: str) -> None:
    """Refuse what cannot be done to a player while a game is played at the player's table."""
    if member.role == "player" and lobby.game_at(member.table) is not None:
        raise LobbyClosed(problem)


def _require_tables(lobby: Lobby, tables: int) -> None:
    """Refuse another number of tables where it cannot be had."""
    if (tables > 1) != lobby.has_tables:
        problem = "tables: a lobby has one table or several for good; create another lobby."
        raise InvalidField(problem, field="tables")
    used = {player.table for player in lobby.players} | {game.table for game in lobby.table_games}
    if (needed := max(used, default=0) + 1) > tables:
        problem = f"tables: table {needed - 1} is in use; have its players change tables first."
        raise InvalidField(problem, field="tables")


def _require_may_get_up(lobby: Lobby, player: Member) -> None:
    """Refuse to let somebody give up a seat that cannot be given up."""
    if lobby.status != "OPEN":
        raise LobbyClosed("The game has started; its players cannot change role.")
    if lobby.has_tables:
        return
    if lobby.host_player_id == player.player_id or len(lobby.human_players) == 1:
        problem = "role: the host and the last player cannot become spectators; use lobby.leave."
        raise InvalidField(problem, field="role")


def _require_place_for_spectator(lobby: Lobby) -> None:
    if len(lobby.members) - len(lobby.players) >= lobby.spectators_max:
        raise LobbyFull("The lobby has the maximum number of spectators; watch another one.")


def _free_seat(lobby: Lobby, table: int | None) -> tuple[int, int]:
    """Find the first free seat, at a table or at any; give the table and the seat."""
    if table is not None and lobby.game_at(table) is not None:
        raise LobbyClosed(f"A game is played at table {table}; choose another one, or watch it.")
    for at in range(lobby.tables) if table is None else (table,):
        free = _free_seat_at(lobby, at)
        if free is not None and lobby.game_at(at) is None:
            return at, free
    if not lobby.has_tables:
        raise LobbyFull
    if table is None:
        raise LobbyFull("No table has a free seat now; join as a spectator, and sit down later.")
    raise LobbyFull(f"Table {table} is full; choose another one.")


def _free_seat_at(lobby: Lobby, table: int) -> int | None:
    taken = {player.seat for player in lobby.players_at(table)}
    return next((seat for seat in range(lobby.seats) if seat not in taken), None)


def _next_bot(lobby: Lobby, bot: str, table: int | None) -> Member:
    """Make a bot of this name that is not in the lobby yet: the same ones everywhere."""
    number = 1
    while lobby.find_member(bot_player_id(lobby.ruleset, bot, number)) is not None:
        number += 1
    player_id, display_name = bot_player_id(lobby.ruleset, bot, number), bot_name(bot, number)
    at, seat = _free_seat(lobby, table)
    return Member(player_id, display_name, "player", seat, ready=True, bot=bot, table=at)


def bot_name(bot: str, number: int) -> str:
    """Name a bot as people see it."""
    return f"{bot.replace('_', ' ').title()} {number}"


def bot_player_id(ruleset: str, bot: str, number: int) -> PlayerId:
    """Name the player that a bot sits as; `number` tells those in one lobby apart, from 1."""
    return PlayerId(str(uuid5(NAMESPACE_URL, f"playhall:bot:{ruleset}:{bot}:{number}")))


def _with_member(lobby: Lobby, member: Member) -> Lobby:
    """Put a member in; one who is there already keeps the place in the order of standing."""
    members = {m.player_id: m for m in lobby.members} | {member.player_id: member}
    return replace(lobby, members=tuple(members.values()))


def remove_member(lobby: Lobby, gone: Member) -> Lobby:
    """Take a member out; the longest-standing person becomes host after the host."""
    members = tuple(m for m in lobby.members if m.player_id != gone.player_id)
    rest = replace(lobby, members=members)
    # Between games, people of a lobby with several tables need no seat.
    people = rest.people if lobby.has_tables else rest.human_players
    if not people:
        return _closed(rest)
    if lobby.host_player_id == gone.player_id:
        return replace(rest, host_player_id=people[0].player_id, host_peer_id=None)
    return rest


def _closed(lobby: Lobby) -> Lobby:
    return replace(lobby, status="CLOSED", fill_at=None, host_peer_id=None)


def clear_ready(lobby: Lobby) -> Lobby:
    """Take back every person's `ready`."""
    members = tuple(m._replace(ready=m.bot is not None) for m in lobby.members)
    return replace(lobby, members=members)


def _moved_up(lobby: Lobby) -> Lobby:
    """Give players whose seat is no longer there a free one."""
    for player in lobby.players:
        if player.seat is not None and player.seat >= lobby.seats:
            seat = _free_seat_at(lobby, player.table)
            lobby = _with_member(lobby, player._replace(seat=seat))
    return lobby
