"""What nobody asks for: filling due lobbies, and clearing up after those who went away."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final, TypeAlias

from persistence.lobbies.store import LobbyStore
from protocol.errors import LobbyClosed, LobbyNotFound, NotAMember, Overloaded, Unavailable
from protocol.ids import GameId, LobbyId, PlayerId
from protocol.lobbies import Reason
from server.core.clock import Clock
from server.core.containment import contain_failures, log_failure
from server.core.events import LocalEventBus, MemberKicked, WatcherExcluded
from server.core.periodic import AWAY, repeat_every
from server.core.subscriptions import AnnouncedSweep, PollPolicy, Subscriptions
from server.domains.interfaces import PresenceElsewhere
from server.domains.play.lobbies import peers, rules
from server.domains.play.lobbies.changes import LobbyChanges
from server.domains.play.lobbies.followers import ConnectionLookup
from server.domains.play.lobbies.quick_play import QuickPlay

WAITING_MAX: Final = 20_000


class DisconnectGrace:
    """Remembers who went away; times are monotonic seconds.

    When more than `WAITING_MAX` are away, the time of those who went first is up at once.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._gone: dict[PlayerId, float] = {}  # in the order in which they went

    def disconnected(self, player_id: PlayerId, now: float) -> None:
        """Remember somebody."""
        self._gone.pop(player_id, None)
        self._gone[player_id] = now

    def reconnected(self, player_id: PlayerId) -> None:
        """Forget somebody who is back."""
        self._gone.pop(player_id, None)

    def take_due(self, now: float) -> Iterator[PlayerId]:
        """Take out, one after the other, those whose time is up."""
        while self._gone:
            first = next(iter(self._gone))
            if len(self._gone) <= WAITING_MAX and now - self._gone[first] < self._grace_s:
                return
            del self._gone[first]
            yield first


log = logging.getLogger(__name__)

POLL_EVERY_S: Final = 0.5
BEAT_EVERY_S: Final = 20.0
SILENT_S: Final = 120.0
HOST_SILENT_S: Final = 60.0
KICKS_POLL: Final = PollPolicy(live_s=10.0, alone_s=5.0)
KICKS_AT_ONCE: Final = 1000
FILLED_AT_ONCE: Final = 8


# This node's games, by their lobbies.
GamesHere: TypeAlias = Callable[[], Mapping[LobbyId, GameId]]


class LobbyMaintenance:
    """The sweeps over lobbies. Any number of nodes may sweep at once.

    `games_here` lists this node's games by their lobbies. `WatcherExcluded` is published, again and
    again, for whoever was kicked out of one of these lobbies, on whichever node.
    """

    def __init__(
        self,
        *,
        store: LobbyStore,
        changes: LobbyChanges,
        quick_play: QuickPlay,
        subscriptions: Subscriptions,
        presence: ConnectionLookup,
        elsewhere: PresenceElsewhere,
        games_here: GamesHere,
        events: LocalEventBus,
        clock: Clock,
        grace_s: float,
    ) -> None:
        self.departures = DisconnectGrace(grace_s)
        self._store = store
        self._changes = changes
        self._quick_play = quick_play
        self._presence = presence
        self._elsewhere = elsewhere
        self._games_here = games_here
        self._events = events
        self._clock = clock
        self._kicks = AnnouncedSweep(subscriptions, "kicks", self.catch_up_kicks, poll=KICKS_POLL)
        self._free = asyncio.Semaphore(FILLED_AT_ONCE)

    async def run(self) -> None:
        """Sweep for as long as the server lives."""
        async with asyncio.TaskGroup() as group:
            group.create_task(
                repeat_every(POLL_EVERY_S, self.fill_due, "lobbies: filling with bots")
            )
            group.create_task(
                repeat_every(POLL_EVERY_S, self.remove_absent, "lobbies: removing absent members")
            )
            group.create_task(
                repeat_every(BEAT_EVERY_S, self.send_heartbeats, "lobbies: sending heartbeats")
            )
            group.create_task(
                repeat_every(BEAT_EVERY_S, self.close_silent, "lobbies: closing silent ones")
            )
            group.create_task(
                repeat_every(BEAT_EVERY_S, self.replace_silent_hosts, "lobbies: replacing hosts")
            )

    async def fill_due(self) -> None:
        """Fill and start the lobbies whose wait is over."""
        due = await self._store.list_due_for_bots(
            self._clock.now()
        )  # outside: what it raises is no group
        async with asyncio.TaskGroup() as group:
            for lobby_id in due:
                group.create_task(self._fill(lobby_id))

    async def remove_absent(self) -> None:
        """Let those leave their open lobbies who did not come back in time, to any node.

        Those whose leaving fails are tried again later, and keep nobody else; the first failure
        is raised when all were tried.
        """
        now = self._clock.monotonic()
        again: list[PlayerId] = []
        first: Exception | None = None
        due = [p for p in self.departures.take_due(now) if not self._presence.is_here(p)]
        try:
            elsewhere = await self._elsewhere.find_elsewhere(due)
        except BaseException:
            for player_id in due:
                self.departures.disconnected(player_id, now)
            raise
        for n, player_id in enumerate(due):
            if player_id in elsewhere:
                continue
            try:
                if not await self.leave_all(player_id, reason="connection_lost"):
                    again.append(player_id)
            except Exception as error:
                again.append(player_id)
                if first is None:
                    first = error
                else:
                    log_failure("leaving lobbies")
                if isinstance(error, AWAY):
                    again += due[n + 1 :]
                    break
        for player_id in again:
            self.departures.disconnected(player_id, now)
        if first is not None:
            raise first

    async def send_heartbeats(self) -> None:
        """Show life for the lobbies of everybody who is connected here."""
        here = [f.identity.player_id for f in self._presence if f.identity is not None]
        if here:
            await self._store.refresh_players(here)

    async def close_silent(self) -> None:
        """Close open lobbies whose node died."""
        for lobby_id in await self._store.list_silent(SILENT_S):
            decide = partial(rules.close_if_silent, silent_s=SILENT_S)
            with contain_failures(f"closing lobby {lobby_id}", passed=AWAY):
                await self._changes.apply_rule(lobby_id, decide, "closed", reason="nobody_there")

    async def replace_silent_hosts(self) -> None:
        """Let hosts of peer lobbies go who show no life; who stands longest takes over."""
        for lobby_id, host in await self._store.list_silent_hosts(HOST_SILENT_S):
            decide = partial(peers.without_silent_host, host=host, silent_s=HOST_SILENT_S)
            with contain_failures(f"replacing the host of lobby {lobby_id}", passed=AWAY):
                await self._changes.apply_rule(lobby_id, decide, "left", host, reason="host_silent")

    def announce_kick(self, _: MemberKicked) -> None:
        """Have other nodes look for somebody who was kicked: the game may be theirs."""
        self._kicks.announce_sweep()

    async def catch_up_kicks(self) -> None:
        """Publish who was kicked from a game here, perhaps on another node."""
        games = self._games_here()
        lobbies = list(games)
        for first in range(0, len(lobbies), KICKS_AT_ONCE):
            some = lobbies[first : first + KICKS_AT_ONCE]
            for lobby_id, player_id in await self._store.read_bans(some):
                self._events.publish(WatcherExcluded(games[lobby_id], player_id))

    async def _fill(self, lobby_id: LobbyId) -> None:
        async with self._free:
            try:
                await self._quick_play.fill_with_bots(lobby_id)
            except (Unavailable, Overloaded) as error:  # it stays due, and the next look sees it
                log.warning("filling lobby %s was postponed: %s", lobby_id, error.message)
            except Exception:
                log_failure(f"filling lobby {lobby_id}")
                with contain_failures(f"postponing lobby {lobby_id}"):  # the others are filled now
                    await self._quick_play.postpone(lobby_id)

    async def leave_all(self, player_id: PlayerId, *, reason: Reason | None = None) -> bool:
        """Take a player out of every lobby that can be left.

        False if one is to be left later: who lost their connection stays at the table until its
        game is over.
        """
        leave = rules.leave_if_away if reason == "connection_lost" else rules.leave_lobby
        left_all = True
        for lobby_id in await self._store.list_open_of_player(player_id):
            decide = partial(leave, player_id=player_id)
            try:
                lobby = await self._changes.apply_rule(
                    lobby_id, decide, "left", player_id, reason=reason
                )
                left_all &= lobby.status == "CLOSED" or lobby.find_member(player_id) is None
            except (LobbyClosed, LobbyNotFound, NotAMember) as why:
                log.info("%s need not leave lobby %s: %s", player_id, lobby_id, why.message)
        return left_all
