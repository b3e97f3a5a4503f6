"""The connections of players, over all nodes: the newest wins.

On one node `Sessions.greet` closes the older of two connections by itself. Over several, the
database decides which is the newer one: each node notes at once who connected to it, and each note
gets a higher number than all before it (`persistence/presence`). Then the others are told the
numbers, and close what has a lower one. What they were not told, they read: at intervals, and when
the broker says that notices may be missing. No clock of any node matters.

There is no timer: a quiet node notes a connection when it comes, and what comes while a statement
is under way makes the next one.

A connection that is not noted yet is the newest so far as this node knows: what it hears of its
player meanwhile is remembered (`_heard`) until the number is there.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import orjson

from persistence.broker import Notice
from persistence.presence.store import PresenceStore
from protocol.ids import PlayerId
from server.core.events import Listeners, LocalEventBus, PlayerDisconnected, PlayerGreeted
from server.core.periodic import repeat_every
from server.core.subscriptions import PollPolicy, Subscriptions, Topic
from server.gateway.session.sessions import Sessions

# After a statement that failed.
PAUSE_S: Final = 0.25
POLL: Final = PollPolicy(live_s=10.0, alone_s=2.0)
# Of players who came or went and are not noted yet; the next look at all of them finds the others.
WAITING_MAX: Final = 50_000
# How many one statement notes, and one message names: some 60 bytes each.
NOTED_AT_ONCE: Final = 500

_EVERYBODY: Final = "all"


class PlayerConnections:
    """Notes who is connected to this node, and closes what is superseded by another."""

    def __init__(
        self,
        store: PresenceStore,
        *,
        node: str,
        sessions: Sessions,
        subscriptions: Subscriptions,
        events: LocalEventBus,
    ) -> None:
        self.superseded = 0  # connections that were closed for one on another node
        self._store = store
        self._node = node
        self._sessions = sessions
        self._subscriptions = subscriptions
        self._events = events
        self._has_others = False
        self._waiting: dict[PlayerId, None] = {}  # who came or went since the last batch
        self._woken = asyncio.Event()
        self._in_flight: set[PlayerId] = set()
        self._numbers: dict[PlayerId, int] = {}  # of the connections that are noted
        self._heard: dict[PlayerId, int] = {}  # numbers on other nodes, for those that are not
        self._topic: Topic[Any] = subscriptions.kind("connections", source=self, poll=POLL).hold(
            _EVERYBODY
        )

    def listens(self) -> Listeners:
        """Say which events are noted."""
        return {
            PlayerGreeted: lambda event: self._note(event.player_id),
            PlayerDisconnected: lambda event: self._note(event.player_id),
        }

    async def start(self) -> None:
        """Forget who was here before this node was started."""
        self._has_others = await self._store.has_other_nodes()
        self._publish_gone(await self._store.forget_node())

    async def run(self) -> None:
        """Note who came and went, until cancelled."""
        await repeat_every(PAUSE_S, self.keep_noting, "noting who is connected", at_once=True)

    async def find_elsewhere(self, player_ids: Collection[PlayerId]) -> set[PlayerId]:
        """Say who of these is connected to another node."""
        if not player_ids or not self._is_needed:
            return set()
        return await self._store.find_elsewhere(player_ids)

    # ------------------------------------------------------------------ who is here

    async def keep_noting(self) -> None:
        """Note who came and went, until that fails; what could not be noted waits for next time."""
        while True:
            while not self._waiting:
                self._woken.clear()
                await self._woken.wait()
            some = list(self._waiting)[:NOTED_AT_ONCE]
            for player_id in some:
                del self._waiting[player_id]
            self._in_flight = set(some)
            try:
                await self._write(some)
            except BaseException:
                self._waiting = dict.fromkeys(some) | self._waiting
                raise
            finally:
                self._in_flight = set()

    async def _write(self, some: Sequence[PlayerId]) -> None:
        here = [each for each in some if self._sessions.is_here(each)]
        gone = set(some).difference(here)
        if gone:
            await self._store.note_gone(gone)
            for player_id in gone:
                self._numbers.pop(player_id, None)
                self._heard.pop(player_id, None)
        if not here:
            return
        numbers = await self._store.note_here(here)
        self._topic.notify(payload=orjson.dumps(list(numbers.items())))
        self._numbers |= numbers
        for player_id in here:
            if (heard := self._heard.pop(player_id, None)) is not None:
                self._compare(player_id, heard)

    def _note(self, player_id: PlayerId) -> None:
        # Where there is no other node, who came is found when there is one.
        if self._is_needed and len(self._waiting) < WAITING_MAX:
            self._waiting[player_id] = None
            self._woken.set()

    @property
    def _is_needed(self) -> bool:
        return self._has_others or self._subscriptions.has_peers

    # ------------------------------------------------------------------ who is elsewhere

    def on_notice(self, _: Topic[Any], notice: Notice) -> bool:
        """Compare what another node has noted."""
        for player_id, number in orjson.loads(notice.payload):
            if not self._sessions.is_here(player_id):
                continue
            if player_id in self._waiting or player_id in self._in_flight:
                self._heard[player_id] = max(number, self._heard.get(player_id, 0))
            else:
                self._compare(player_id, number)
        return True

    async def deliver_missed(self, _: Sequence[Topic[Any]]) -> None:
        """Compare all who are here with what is noted, and forget nodes that are gone."""
        self._has_others = await self._store.has_other_nodes()
        if not self._is_needed:
            return
        self._publish_gone(await self._store.forget_dead_nodes())
        here = set(self._sessions.players())
        self._numbers = {who: number for who, number in self._numbers.items() if who in here}
        noted = {row.player_id: row for row in await self._store.read(here)}
        for player_id in noted.keys() | here:
            if player_id in self._waiting or player_id in self._in_flight:
                continue
            row = noted.get(player_id)
            if row is None or row.node == self._node:
                if (row is not None) is not self._sessions.is_here(player_id):
                    self._note(player_id)
            elif self._sessions.is_here(player_id):
                self._compare(player_id, row.number)

    def _compare(self, player_id: PlayerId, number: int) -> None:
        """Close the connection here if one on another node is newer."""
        session = self._sessions.connection_of_player(player_id)
        if session is not None and number > self._numbers.get(player_id, 0):
            self.superseded += 1
            self._sessions.supersede(session)

    def _publish_gone(self, player_ids: Iterable[PlayerId]) -> None:
        """Publish that players lost their connection with their node; they may be back by now."""
        for player_id in player_ids:
            if not self._sessions.is_here(player_id):
                self._events.publish(PlayerDisconnected(player_id))
