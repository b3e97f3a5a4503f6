"""The rules of lobbies: from a lobby and a request to the lobby as it will be, or a refusal."""

from collections.abc import Sequence
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
from protocol.ids import PlayerId
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


def join_lobby(lobby: Lobby, joiner: JoiningPlayer, role: Role) -> Lobby:
    """Let somebody in; who is in already stays, sits down, or gets up to watch."""
    require_may_join(lobby, joiner.player_id)
    member = lobby.find_member(joiner.player_id)
    if member is not None and member.role == role:
        return lobby
    if member is not None and role == "spectator":
        _require_may_get_up(lobby, member)
    if member is None and lobby.status == "OPEN" and joiner.open_lobbies >= OPEN_LOBBIES_MAX:
        raise TooManyLobbies
    seat = _seat_for_player(lobby) if role == "player" else None
    if role == "spectator":
        _require_place_for_spectator(lobby)
    newcomer = Member(joiner.player_id, joiner.display_name, role, seat, ready=False, bot=None)
    return _with_member(lobby, newcomer)


def leave_lobby(lobby: Lobby, player_id: PlayerId) -> Lobby:
    """Let somebody go; the last person closes the lobby."""
    member = require_member(lobby, player_id)
    if lobby.status == "PLAYING" and lobby.mode == "server" and member.role == "player":
        raise LobbyClosed("The game has started; leave it with game.leave.")
    return lobby if lobby.status == "CLOSED" else remove_member(lobby, member)


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
    return _with_member(lobby, member._replace(ready=ready))


def with_bot(lobby: Lobby, host: PlayerId, bot: str) -> Lobby:
    """Seat a bot."""
    require_host(lobby, host)
    require_open(lobby)
    if lobby.mode == "peer":
        raise UnknownBot(
            "Bots can only play on the server; this lobby's game runs on its host's machine."
        )
    return _with_member(lobby, _next_bot(lobby, bot))


def without_bot(lobby: Lobby, host: PlayerId, player_id: PlayerId) -> Lobby:
    """Take a bot's seat from it."""
    require_host(lobby, host)
    require_open(lobby)
    member = lobby.find_member(player_id)
    if member is None or member.bot is None:
        raise UnknownBot("There is no such bot in this lobby; lobby.watch lists its members.")
    return remove_member(lobby, member)


def configure_lobby(
    lobby: Lobby,
    host: PlayerId,
    *,
    name: str | None,
    config: dict[str, Any] | None,
    seats: int | None,
    is_public: bool | None,
) -> Lobby:
    """Change what is given; people have to say again that they are ready."""
    require_host(lobby, host)
    require_open(lobby)
    if seats is not None and seats < len(lobby.players):
        problem = f"seats: {len(lobby.players)} are taken; remove players or bots first."
        raise InvalidField(problem, field="seats")
    after = replace(
        lobby,
        name=lobby.name if name is None else name,
        config=lobby.config if config is None else config,
        seats=lobby.seats if seats is None else seats,
        is_public=lobby.is_public if is_public is None else is_public,
    )
    return after if after == lobby else _moved_up(clear_ready(after))


def fill_seats_with_bots(lobby: Lobby, bots: Sequence[str]) -> Lobby:
    """Give the free seats to bots, to each of these in turn; none if there are none."""
    require_open(lobby)
    for bot in islice(cycle(bots), lobby.seats - len(lobby.players)):
        lobby = _with_member(lobby, _next_bot(lobby, bot))
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
    others = [p for p in lobby.human_players if not p.ready and p.player_id != host]
    if others:
        names = ", ".join(player.display_name for player in others)
        raise NotReady(f"Not everyone is ready; still missing: {names}.")


def build_new_game(lobby: Lobby, seats: range) -> NewGame:
    """Make a game of an open lobby, for a ruleset that takes so many players."""
    require_open(lobby)
    players = sorted(lobby.players, key=lambda player: player.seat or 0)
    if len(players) not in seats:
        raise NotReady(
            f"The game needs {player_count_text(seats)} players and {len(players)} are here; "
            "wait for more, or add bots."
        )
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


def require_host(lobby: Lobby, player_id: PlayerId) -> None:
    """Refuse everybody but the host."""
    require_member(lobby, player_id)
    if lobby.host_player_id is None:
        raise NotTheHost("Quick play lobbies have no host; the game starts by itself.")
    if lobby.host_player_id != player_id:
        raise NotTheHost


def require_open(lobby: Lobby) -> None:
    """Refuse where the game has started, or all is over."""
    if lobby.status == "PLAYING":
        raise LobbyClosed("The game has started; the lobby can no longer be changed.")
    if lobby.status == "CLOSED":
        raise LobbyClosed("The lobby is closed; find another one, or create one.")


def _seat_for_player(lobby: Lobby) -> int:
    if lobby.status != "OPEN":
        raise LobbyClosed("The game has started; join as a spectator or find another lobby.")
    return _free_seat(lobby)


def _require_may_get_up(lobby: Lobby, player: Member) -> None:
    """Refuse to let somebody give up a seat that cannot be given up."""
    if lobby.status != "OPEN":
        raise LobbyClosed("The game has started; its players cannot change role.")
    if lobby.host_player_id == player.player_id or len(lobby.human_players) == 1:
        problem = "role: the host and the last player cannot become spectators; use lobby.leave."
        raise InvalidField(problem, field="role")


def _require_place_for_spectator(lobby: Lobby) -> None:
    if len(lobby.members) - len(lobby.players) >= lobby.spectators_max:
        raise LobbyFull("The lobby has the maximum number of spectators; watch another one.")


def _free_seat(lobby: Lobby) -> int:
    taken = {player.seat for player in lobby.players}
    free = next((seat for seat in range(lobby.seats) if seat not in taken), None)
    if free is None:
        raise LobbyFull
    return free


def _next_bot(lobby: Lobby, bot: str) -> Member:
    """Make a bot of this name that is not in the lobby yet: the same ones everywhere."""
    number = 1
    while lobby.find_member(bot_player_id(lobby.ruleset, bot, number)) is not None:
        number += 1
    player_id, display_name = bot_player_id(lobby.ruleset, bot, number), bot_name(bot, number)
    return Member(player_id, display_name, "player", _free_seat(lobby), ready=True, bot=bot)


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
    if not rest.human_players:
        return _closed(rest)
    if lobby.host_player_id == gone.player_id:
        return replace(rest, host_player_id=rest.human_players[0].player_id, host_peer_id=None)
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
            lobby = _with_member(lobby, player._replace(seat=_free_seat(lobby)))
    return lobby
