"""What people in a lobby, or about to be in one, ask of it."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from persistence.lobbies.model import AdministeredLobby, Lobby, LobbyListPosition
from persistence.lobbies.store import LobbyStore
from protocol import lobbies as wire
from protocol.errors import InvalidField, NotTheHost, Overloaded, WrongPassword
from protocol.ids import LobbyId, PlayerId, UserId
from protocol.lobbies import ListFilter, ListQuery, LobbyPage
from server.core.clock import Clock
from server.core.events import LocalEventBus, MemberKicked
from server.core.passwords import HashRequester, PasswordHasher
from server.core.rate_limits import Rate, RateLimiter, client_network, require_all
from server.domains.play.lobbies import rules
from server.domains.play.lobbies.catalog import (
    RulesetCatalog,
    draft_lobby,
    draft_peer_lobby,
    validate_config,
    validate_free_config,
    validate_seats,
)
from server.domains.play.lobbies.changes import LobbyChanges, LobbyGameStarter, require_found
from server.domains.play.lobbies.followers import ConnectionLookup, Follower
from server.domains.play.lobbies.peers import PeerLobbyService
from server.domains.play.lobbies.quick_play import QuickPlay
from server.domains.play.lobbies.rules import require_may_join, require_visible
from server.domains.play.lobbies.subscribers import LobbySubscribers
from server.domains.play.lobbies.tables import TableGames
from server.domains.play.lobbies.views import lobby_page, read_list_cursor
from server.gateway.session.identity import Identity


class LobbyReader:
    """Reads lobbies. Following comes before reading, so that no change is missed between."""

    def __init__(self, store: LobbyStore, subscribers: LobbySubscribers) -> None:
        self._store = store
        self._subscribers = subscribers

    async def read_lobby(self, lobby_id: LobbyId, player_id: PlayerId | None) -> Lobby:
        """Read a lobby that somebody may see."""
        return require_visible(await self._store.read(lobby_id), player_id)

    async def list_for_operators(
        self, *, status: str | None, text: str, after: LobbyListPosition | None, limit: int
    ) -> list[AdministeredLobby]:
        """List some lobbies of any kind, newest first."""
        return await self._store.list_for_operators(
            status=status, text=text, after=after, limit=limit
        )

    async def read_page(self, query: ListQuery) -> LobbyPage:
        """Read a page of the public list."""
        return lobby_page(
            await self._store.list_public(query, read_list_cursor(query.cursor)), query.limit
        )

    async def watch(self, follower: Follower, lobby_id: LobbyId) -> Lobby:
        """Follow a lobby that the follower's player may see, and read it."""
        self._subscribers.require_capacity(follower)
        await self.read_lobby(lobby_id, follower.who.player_id)
        self._subscribers.follow(follower, lobby_id)
        try:
            lobby = await self.read_lobby(lobby_id, follower.who.player_id)
        except BaseException:
            self._subscribers.unfollow(follower, lobby_id)
            raise
        self._subscribers.note_read(lobby)
        if lobby.status == "CLOSED":  # there is nothing more to come
            self._subscribers.unfollow(follower, lobby_id)
        return lobby

    async def watch_list(self, follower: Follower, look_for: ListFilter) -> LobbyPage:
        """Follow the public list, and read the newest of what is looked for."""
        await self._subscribers.public_list.follow(follower, look_for)
        return await self.read_page(ListQuery(**look_for.model_dump()))

    def unwatch(self, follower: Follower, lobby_id: LobbyId | None) -> None:
        """Stop following a lobby, or the list."""
        if lobby_id is None:
            self._subscribers.public_list.unfollow(follower)
        else:
            self._subscribers.unfollow(follower, lobby_id)


# A party may come from one network, and all of it into one lobby.
FROM_NETWORK: Final = Rate(per_minute=60, burst=60)
OF_PLAYER: Final = Rate(per_minute=10, burst=10)
INTO_LOBBY_FROM_NETWORK: Final = Rate(per_minute=10, burst=20)
INTO_LOBBY: Final = Rate(per_minute=60, burst=120)


class LobbyPasswords:
    """Hashes and checks passwords of lobbies, after limits; `now` gives monotonic seconds.

    `share` has other nodes count what the limits count.
    """

    def __init__(
        self,
        passwords: PasswordHasher,
        *,
        now: Callable[[], float],
        share: Callable[[RateLimiter], RateLimiter],
    ) -> None:
        self._passwords = passwords
        self._now = now
        self._networks = share(
            RateLimiter(
                "lobby-passwords-network",
                FROM_NETWORK,
                "Too many lobby passwords from your network",
            )
        )
        self._players = share(
            RateLimiter("lobby-passwords-player", OF_PLAYER, "You sent too many lobby passwords")
        )
        self._pairs = share(
            RateLimiter(
                "lobby-passwords-lobby-network",
                INTO_LOBBY_FROM_NETWORK,
                "Too many passwords for this lobby from your network",
            )
        )
        self._lobbies = share(
            RateLimiter("lobby-passwords-lobby", INTO_LOBBY, "Too many passwords for this lobby")
        )

    async def hash_password(self, password: str, *, host: PlayerId, remote: str) -> str:
        """Hash the password of a new lobby; raise `RateLimited` or `Overloaded`."""
        require_all(self._counted(host, client_network(remote)), self._now())
        return await self._passwords.hash(password, HashRequester.at("lobby", remote))

    async def require(
        self, lobby: Lobby, password: str | None, *, player_id: PlayerId, remote: str
    ) -> None:
        """Raise `WrongPassword` unless it is the lobby's, `RateLimited` or `Overloaded`."""
        if lobby.password_hash is None:
            return
        if password is None:
            raise WrongPassword("This lobby has a password; send it as `password`.")
        network = client_network(remote)
        require_all(
            [
                *self._counted(player_id, network),
                (self._pairs, (lobby.lobby_id, network)),
                (self._lobbies, lobby.lobby_id),
            ],
            self._now(),
        )
        asker = HashRequester.at("lobby", remote)
        if not await self._passwords.matches(lobby.password_hash, password, asker):
            raise WrongPassword

    def _counted(self, player_id: PlayerId, network: str) -> Sequence[tuple[RateLimiter, Hashable]]:
        return (self._networks, network), (self._players, player_id)


class LobbyService:
    """Carries out members' wishes; whoever is let in follows the lobby from then on."""

    def __init__(
        self,
        *,
        store: LobbyStore,
        changes: LobbyChanges,
        starter: LobbyGameStarter,
        quick_play: QuickPlay,
        peers: PeerLobbyService,
        tables: TableGames,
        catalog: RulesetCatalog,
        subscribers: LobbySubscribers,
        presence: ConnectionLookup,
        passwords: LobbyPasswords,
        clock: Clock,
        events: LocalEventBus,
    ) -> None:
        self._store = store
        self._changes = changes
        self._starter = starter
        self._quick_play = quick_play
        self._peers = peers
        self._tables = tables
        self._catalog = catalog
        self._subscribers = subscribers
        self._presence = presence
        self._clock = clock
        self._passwords = passwords
        self._events = events

    async def create(self, host: PlayerId, new: wire.NewLobby, *, remote: str) -> Lobby:
        """Open a lobby; `remote` is the client's address."""
        draft = self._drafted(new)
        if new.password is not None:
            hashed = await self._passwords.hash_password(new.password, host=host, remote=remote)
            draft = replace(draft, password_hash=hashed)
        return self._followed(await self._changes.open_lobby(draft, host), host)

    async def join(self, player_id: PlayerId, joining: wire.Joining, *, remote: str) -> Lobby:
        """Enter a lobby: a public one by id, any by its code; `remote` is the client's address."""
        lobby = await self._meant(joining, player_id)
        require_may_join(lobby, player_id)
        if lobby.find_member(player_id) is None:
            await self._passwords.require(
                lobby, joining.password, player_id=player_id, remote=remote
            )
        entered = await self._changes.enter_lobby(
            lobby.lobby_id, player_id, joining.role, joining.table
        )
        return self._followed(entered, player_id)

    async def quick_play(self, player_id: PlayerId, wish: wire.QuickPlay) -> Lobby:
        """Sit down where others wait."""
        return self._followed(await self._quick_play.seat_player(player_id, wish), player_id)

    async def leave(self, player_id: PlayerId, lobby_id: LobbyId) -> Lobby:
        """Leave a lobby, and follow it no longer."""
        decide = partial(rules.leave_lobby, player_id=player_id)
        lobby = await self._changes.apply_rule(lobby_id, decide, "left", player_id)
        if (follower := self._presence.connection_of_player(player_id)) is not None:
            self._subscribers.unfollow(follower, lobby_id)
        return lobby

    async def ready(self, player_id: PlayerId, lobby_id: LobbyId, ready: bool) -> Lobby:
        """Say whether one is ready."""
        decide = partial(rules.with_ready, player_id=player_id, ready=ready)
        return await self._changes.apply_rule(lobby_id, decide, "ready", player_id)

    async def kick(self, host: PlayerId, wish: wire.Kick) -> Lobby:
        """Remove somebody for good."""
        decide = partial(rules.kick_member, host=host, player_id=wish.player_id)
        lobby = await self._changes.apply_rule(wish.lobby_id, decide, "kicked", wish.player_id)
        if lobby.game_id is not None:
            self._events.publish(MemberKicked(lobby.lobby_id, lobby.game_id, wish.player_id))
        for game in lobby.table_games:
            if game.game_id is not None:
                self._events.publish(MemberKicked(game.lobby_id, game.game_id, wish.player_id))
        return lobby

    async def add_bot(self, host: PlayerId, wish: wire.AddBot) -> Lobby:
        """Seat a bot that the lobby's ruleset has."""

        def decide(lobby: Lobby) -> Lobby:
            after = rules.with_bot(lobby, host, wish.bot, wish.table)
            self._catalog.require_bot(lobby.ruleset, wish.bot)
            return after

        return await self._changes.apply_rule(wish.lobby_id, decide, "bot_added")

    async def remove_bot(self, host: PlayerId, wish: wire.RemoveBot) -> Lobby:
        """Take a bot out."""
        decide = partial(rules.without_bot, host=host, player_id=wish.player_id)
        return await self._changes.apply_rule(wish.lobby_id, decide, "bot_removed", wish.player_id)

    async def configure(self, host: PlayerId, wish: wire.Configure) -> Lobby:
        """Change what is given, as far as the lobby's ruleset allows it."""

        def decide(lobby: Lobby) -> Lobby:
            config, seats = self._checked(lobby, wish)
            return rules.configure_lobby(
                lobby,
                host,
                name=wish.name,
                config=config,
                seats=seats,
                is_public=wish.is_public,
                tables=wish.tables,
            )

        return await self._changes.apply_rule(wish.lobby_id, decide, "configured", host)

    async def start(self, host: PlayerId, wish: wire.Start) -> Lobby:
        """Start the game: on the server, or of a peer lobby on the host's machine."""
        lobby = self._changes.known.find(wish.lobby_id)
        if lobby is None:
            lobby = require_found(await self._store.read(wish.lobby_id))
        if lobby.has_tables:
            return await self._tables.start(host, wish.lobby_id, wish.table)
        if wish.table:
            rules.require_table(lobby, wish.table)
        if lobby.mode == "peer":
            return await self._peers.start(host, wish.lobby_id)

        def check(lobby: Lobby) -> None:
            rules.require_all_ready(lobby, host)
            if lobby.mode == "peer":  # since a moment ago
                raise Overloaded

        return await self._starter.start(wish.lobby_id, check, host)

    async def close(self, who: Identity, lobby_id: LobbyId) -> None:
        """Close an open lobby: the rules say why not, the database decides."""
        async with self._changes.turns.hold(lobby_id):
            before = require_found(await self._store.read(lobby_id))
            rules.close_lobby(before, who.player_id)
            if not await self._store.close_as(who.requester, lobby_id):
                raise NotTheHost
            after = require_found(await self._store.read(lobby_id))
            self._changes.publish_if_changed(before, after, "closed", who.player_id)

    async def close_by_operator(self, lobby_id: LobbyId, reason: str, *, actor: UserId) -> Lobby:
        """Close a lobby for its members, with a reason for the audit log."""
        async with self._changes.turns.hold(lobby_id):
            async with self._store.transaction() as transaction:
                before = require_found(await transaction.lock_lobby(lobby_id))
                after = await transaction.save(before, rules.close_by_operator(before))
                if after.version != before.version:
                    await transaction.record_closing(before, reason, actor=actor)
            self._changes.publish_if_changed(before, after, "closed", reason="closed_by_operator")
        return after

    def _drafted(self, new: wire.NewLobby) -> Lobby:
        if new.mode == "peer":
            return draft_peer_lobby(new, self._clock.now())
        return draft_lobby(new, self._catalog.ruleset(new.ruleset), self._clock.now())

    def _checked(
        self, lobby: Lobby, wish: wire.Configure
    ) -> tuple[dict[str, Any] | None, int | None]:
        """Check the configuration and the seats, where they are given."""
        if lobby.mode == "peer":
            return None if wish.config is None else validate_free_config(wish.config), wish.seats
        ruleset = self._catalog.ruleset(lobby.ruleset)
        config = None if wish.config is None else validate_config(ruleset, wish.config)
        return config, None if wish.seats is None else validate_seats(ruleset, wish.seats)

    async def _meant(self, joining: wire.Joining, player_id: PlayerId) -> Lobby:
        if (joining.lobby_id is None) == (joining.code is None):
            raise InvalidField("lobby_id: give either `lobby_id` or `code`.", field="lobby_id")
        known = self._changes.known
        if joining.lobby_id is not None:
            lobby = known.find(joining.lobby_id)
            if lobby is None or not rules.may_see(lobby, player_id):
                lobby = await self._store.read(joining.lobby_id)
            return require_visible(lobby, player_id)
        code = joining.code or ""
        if (lobby := known.find_by_code(code)) is not None and player_id not in lobby.bans:
            return lobby
        lobby_id = await self._store.find_by_code(code)
        return require_found(None if lobby_id is None else await self._store.read(lobby_id))

    def _followed(self, lobby: Lobby, player_id: PlayerId) -> Lobby:
        if (follower := self._presence.connection_of_player(player_id)) is not None:
            self._subscribers.follow(follower, lobby.lobby_id)
            self._subscribers.note_read(lobby)
        return lobby
