"""The parts of the domain put together, as its commands and addresses use them."""

from collections.abc import Mapping
from dataclasses import replace

from persistence.lobbies.store import LobbyStore
from protocol.ids import LobbyId, MatchId, PlayerId
from server.core.clock import Clock
from server.core.events import LocalEventBus
from server.core.passwords import PasswordHasher
from server.core.shared_limits import SharedLimits
from server.core.subscriptions import Subscriptions, TopicKind
from server.core.tasks import Tasks
from server.domains.interfaces import PresenceElsewhere
from server.domains.play.lobbies.catalog import RulesetCatalog
from server.domains.play.lobbies.changes import LobbyChanges, LobbyGameStarter, StartGame
from server.domains.play.lobbies.followers import ConnectionLookup, Follower
from server.domains.play.lobbies.jobs import GamesHere, LobbyMaintenance
from server.domains.play.lobbies.matches import MatchedLobbies
from server.domains.play.lobbies.peers import PeerLobbyService
from server.domains.play.lobbies.quick_play import QuickPlay
from server.domains.play.lobbies.rules import may_watch_game
from server.domains.play.lobbies.seated_games import LobbySeatedGames
from server.domains.play.lobbies.service import LobbyPasswords, LobbyReader, LobbyService
from server.domains.play.lobbies.subscribers import LobbySubscribers
from server.domains.play.lobbies.tables import TableGames
from server.gamekit.fold import AnyRuleset


class Lobbies:
    """`members` and `reader` serve people; `maintenance.run()` is for a task of the server's life.

    `quick_play_wait_s` is how long until bots fill a quick-play lobby's free seats,
    `grace_s` how long until somebody who went away leaves an open lobby. `peers` serves the
    hosts of peer lobbies.
    """

    def __init__(
        self,
        *,
        store: LobbyStore,
        subscriptions: Subscriptions,
        presence: ConnectionLookup,
        elsewhere: PresenceElsewhere,
        rulesets: Mapping[str, AnyRuleset],
        start_game: StartGame,
        passwords: PasswordHasher,
        shared_limits: SharedLimits,
        clock: Clock,
        tasks: Tasks,
        events: LocalEventBus,
        games_here: GamesHere = dict,
        quick_play_wait_s: float = 10.0,
        grace_s: float = 30.0,
    ) -> None:
        self._subscribers = subscribers = LobbySubscribers(subscriptions, store)
        catalog = RulesetCatalog(rulesets)
        changes = LobbyChanges(store, subscribers)
        starter = LobbyGameStarter(
            store=store, changes=changes, catalog=catalog, start_game=start_game
        )
        quick_play = QuickPlay(
            store=store,
            changes=changes,
            starter=starter,
            catalog=catalog,
            clock=clock,
            tasks=tasks,
            wait_s=quick_play_wait_s,
        )
        self.matches = MatchedLobbies(
            store=store, changes=changes, starter=starter, catalog=catalog, clock=clock
        )
        self.seated_games = LobbySeatedGames(
            store=store, changes=changes, starter=starter, catalog=catalog, clock=clock
        )
        tables = TableGames(
            store=store, changes=changes, starter=starter, catalog=catalog, clock=clock
        )
        self.peers = PeerLobbyService(store, changes, starter=starter, catalog=catalog, clock=clock)
        self.members = LobbyService(
            store=store,
            changes=changes,
            starter=starter,
            quick_play=quick_play,
            peers=self.peers,
            tables=tables,
            catalog=catalog,
            subscribers=subscribers,
            presence=presence,
            events=events,
            passwords=LobbyPasswords(passwords, now=clock.monotonic, share=shared_limits.add),
            clock=clock,
        )
        self.reader = LobbyReader(store, subscribers)
        self.maintenance = LobbyMaintenance(
            store=store,
            changes=changes,
            quick_play=quick_play,
            subscriptions=subscriptions,
            presence=presence,
            elsewhere=elsewhere,
            games_here=games_here,
            events=events,
            clock=clock,
            grace_s=grace_s,
        )
        self._store = store
        self._changes = changes
        self._clock = clock

    @property
    def chat(self) -> TopicKind[Follower]:
        """What is said in lobbies, to those who follow them."""
        return self._subscribers.chat

    def count_followed(self) -> int:
        """Count the lobbies that somebody follows on this node."""
        return len(self._subscribers)

    async def publish_game_over(self, lobby_id: LobbyId) -> None:
        """Publish that a lobby was closed because its game is over; that was stored already."""
        lobby = await self._store.read(lobby_id)
        if lobby is not None and lobby.status == "CLOSED":
            before = replace(lobby, status="PLAYING")
            self._changes.publish(lobby, "closed", before=before, reason="game_over")
            await self._changes.publish_table(lobby, "ended")

    async def may_watch(self, lobby_id: LobbyId, player_id: PlayerId | None) -> bool:
        """Say whether somebody may watch a lobby's game."""
        lobby = await self._store.read(lobby_id)
        if lobby is None or lobby.table_of is None or may_watch_game(lobby, player_id):
            return lobby is not None and may_watch_game(lobby, player_id)
        # The game of a table is for everybody who is in the lobby with the tables.
        return await self.may_watch(lobby.table_of, player_id)

    async def may_upload_replay(self, match_id: MatchId, player_id: PlayerId) -> bool:
        """Say whether a match between peers is on record as this player reported it."""
        return await self.peers.may_upload_replay(match_id, player_id)

    async def leave_all(self, player_id: PlayerId) -> None:
        """Take a player out of every lobby that can be left."""
        await self.maintenance.leave_all(player_id)

    async def may_speak(self, lobby_id: LobbyId, player_id: PlayerId) -> bool:
        """Say whether somebody may speak in a lobby."""
        lobby = await self._store.read(lobby_id)
        return (
            lobby is not None
            and lobby.status != "CLOSED"
            and lobby.find_member(player_id) is not None
        )

    def player_disconnected(self, player_id: PlayerId) -> None:
        """Note that a player's last connection went away."""
        self.maintenance.departures.disconnected(player_id, self._clock.monotonic())

    def player_connected(self, player_id: PlayerId) -> None:
        """Note that a player is back."""
        self.maintenance.departures.reconnected(player_id)
