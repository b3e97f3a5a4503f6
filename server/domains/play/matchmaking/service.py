"""What people do: queue, leave, accept, decline; and what they are sent of their search.

A node keeps in memory whom it tells, which are the people who queued or connected here; everything
else is read from the database every half second, in one query for all of them. So it does not
matter which node finds a match, or whether the one where somebody queued is still there.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from persistence.matchmaking.store import MatchStore, NewTicket, StoredSearch
from protocol import matchmaking as wire
from protocol.envelope import Update
from protocol.errors import InvalidField, Overloaded
from protocol.ids import MatchId, PlayerId
from server.core.clock import Clock, wire_time, wire_time_or_none
from server.domains.interfaces import MatchLobbies, PlayerRatings
from server.domains.play.matchmaking.rules import SearchRules
from server.gateway.session.sessions import Sessions, update_frame

READ_AT_ONCE: Final = 1000
SENT_EVERY_S: Final = 5.0


@dataclass(slots=True)
class _Sent:
    """What somebody was sent last; nothing yet of one who has just connected."""

    what: tuple[object, ...] | None = None
    at: float = 0.0
    ruleset: str = ""


class MatchmakingService:
    """Serves the people who are connected to this node."""

    def __init__(
        self,
        *,
        store: MatchStore,
        lobbies: MatchLobbies,
        ratings: PlayerRatings,
        sessions: Sessions,
        rules: SearchRules,
        tickets_max: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._lobbies = lobbies
        self._ratings = ratings
        self._sessions = sessions
        self._rules = rules
        self._tickets_max = tickets_max
        self._clock = clock
        # Whom to tell; bounded by the connections of this node.
        self._sent: dict[PlayerId, _Sent] = {}
        self._waiting: Mapping[str, int] = {}

    async def queue(self, player_id: PlayerId, asked: wire.Queue) -> dict[str, object]:
        """Put somebody and their party into a queue; raise what a lobby or a queue refuses."""
        plan = self._lobbies.plan_match(asked.ruleset, asked.seats, asked.config)
        party = [player_id]
        if asked.lobby_id is not None:
            party = list(await self._lobbies.read_party(asked.lobby_id, player_id))
        if len(party) > min(plan.seats, wire.PARTY_MAX):
            raise InvalidField(
                f"lobby_id: {len(party)} people do not fit into a match.", field="lobby_id"
            )
        ratings = await self._ratings.read_ratings(asked.ruleset, party)
        rating = sum(each.rating for each in ratings.values()) / len(party)
        ticket = NewTicket(
            ruleset=asked.ruleset,
            seats=plan.seats,
            config=plan.config,
            region=asked.region,
            rating=rating,
            properties=asked.properties,
            conditions=[each.model_dump() for each in asked.conditions],
            with_bots=asked.bots,
        )
        added = await self._store.add(ticket, party, tickets_max=self._tickets_max)
        if added is None:
            raise Overloaded("Too many people wait in this queue; try again.")
        for each in party:
            if self._sessions.is_here(each):
                self._sent[each] = _Sent()
        ticket_id, queued_at, usual_s = added
        return {
            "ticket_id": ticket_id,
            "queued_at": wire_time(queued_at),
            "rating": round(rating, 1),
            "estimate_s": round(max(usual_s, 1.0), 1) if usual_s else None,
        }

    async def leave(self, player_id: PlayerId) -> None:
        """Take somebody and their party out of the queue, or decline."""
        await self._store.leave(player_id)
        self._sent.pop(player_id, None)

    async def accept(self, player_id: PlayerId, match_id: str) -> None:
        """Accept a match."""
        await self._store.accept(player_id, match_id)

    async def decline(self, player_id: PlayerId, match_id: str) -> None:
        """Decline a match, and leave the queue."""
        await self._store.decline(player_id, match_id)
        self._sent.pop(player_id, None)

    def player_connected(self, player_id: PlayerId) -> None:
        """Look at the next opportunity whether somebody who connected is in a queue."""
        self._sent[player_id] = _Sent()

    def player_disconnected(self, player_id: PlayerId) -> None:
        """Tell somebody nothing more; their place is kept for the grace period."""
        self._sent.pop(player_id, None)

    # ------------------------------------------------------------------ sweeps

    async def note_seen(self) -> None:
        """Note that those whose search goes on are connected.

        Somebody of a party may be connected to another node than the host, who queued.
        """
        for player_id in await self._store.list_party_members():
            if player_id not in self._sent and self._sessions.is_here(player_id):
                self._sent[player_id] = _Sent()
        here = [player for player, sent in self._sent.items() if sent.what is not None]
        for first in range(0, len(here), READ_AT_ONCE):
            await self._store.note_seen(here[first : first + READ_AT_ONCE])

    async def count_waiting(self) -> None:
        """Count who waits."""
        self._waiting = await self._store.count_waiting_people()

    def waiting(self) -> int:
        """Say how many people wait."""
        return sum(self._waiting.values())

    async def send_updates(self) -> None:
        """Tell everybody here what is new about their search."""
        players = list(self._sent)
        for first in range(0, len(players), READ_AT_ONCE):
            some = players[first : first + READ_AT_ONCE]
            self._send_changes(some, await self._store.read_searches(some))

    def _send_changes(self, players: Collection[PlayerId], found: Collection[StoredSearch]) -> None:
        searches = {search.player_id: search for search in found}
        now = self._clock.monotonic()
        for player_id in players:
            sent = self._sent.get(player_id)
            if sent is None:
                continue
            search = searches.get(player_id)
            if search is None:
                del self._sent[player_id]
                if sent.what is not None:
                    self._send(player_id, _ended(sent.ruleset))
            elif search.state == "started":
                del self._sent[player_id]
                self._send(player_id, _found(search))
            else:
                what = (search.match_id, search.state, search.accepted)
                if what != sent.what or now - sent.at >= SENT_EVERY_S:
                    sent.what, sent.at, sent.ruleset = what, now, search.ruleset
                    self._send(player_id, self._update(search))

    def _send(self, player_id: PlayerId, update: Update) -> None:
        if (session := self._sessions.connection_of_player(player_id)) is not None:
            session.socket.send(update_frame(update))

    def _update(self, search: StoredSearch) -> wire.MatchUpdate:
        usual = search.usual_s or None
        return wire.MatchUpdate(
            state="waiting" if search.state is None else _SHOWN[search.state],
            ruleset=search.ruleset,
            waited_s=round(search.waited_s, 1),
            estimate_s=None if usual is None else round(max(usual - search.waited_s, 1.0), 1),
            rating_window=round(self._rules.window_after(search.waited_s), 1),
            waiting=self._waiting.get(search.ruleset, 0),
            match_id=_match_id(search),
            accept_by=wire_time_or_none(search.accept_by if search.state == "offered" else None),
            accepted=search.accepted,
            players=search.players,
        )


_SHOWN: Final[dict[str, wire.MatchState]] = {"offered": "offered", "starting": "starting"}


def _match_id(search: StoredSearch) -> MatchId | None:
    return None if search.match_id is None else MatchId(search.match_id)


def _found(search: StoredSearch) -> wire.MatchFound:
    assert search.match_id is not None
    assert search.game_id is not None
    return wire.MatchFound(
        match_id=MatchId(search.match_id),
        ruleset=search.ruleset,
        lobby_id=search.match_id,
        game_id=search.game_id,
        seats=search.seats or [],
    )


def _ended(ruleset: str) -> wire.MatchUpdate:
    return wire.MatchUpdate(
        state="ended",
        ruleset=ruleset,
        waited_s=0.0,
        estimate_s=None,
        rating_window=None,
        waiting=0,
        match_id=None,
        accept_by=None,
        accepted=0,
        players=0,
    )
