"""Games that another node owns and connections of this node follow.

The owner decides and writes; this node streams. It is asked for what only the owner can do (a move,
a seat taken again, see `owner.py`), and everything else comes from what is committed: the owner
publishes each batch of events once, on the game's topic, and each node that follows the topic makes
the frames of its own viewers, by the code that the owner uses for its own::

    socket -> commands.py -> NodeCalls.ask ----------> owner.py -> LiveGame.act
                                                                       |  committed
    socket <- Topic <- ViewEncoder <- RemoteGame.deliver <--- game:<id> + PostgreSQL

**Order.** `RemoteGame.head` is the last event that was delivered here. A batch that follows it is
delivered; one that is known is ignored; any other makes the topic *behind*, and the log is read
(`deliver_missed`). That happens also when the broker was away, and every `POLL`.

**Replies.** The owner's answer names the event that had been published before it. The reply waits
until that event was delivered here (`reach`), so a client that reads `ok` has seen what it caused,
as it has on the owner's node.

**Interest.** The owner publishes only while a node says that it follows: `RemoteGames` repeats that
every `RENEW_S`, and the owner forgets it after `INTEREST_S`. A new owner publishes for that long
without being asked. If it does not, the poll finds what was missed.

**A new owner.** Whoever finds the owner's lease run out takes the game, as ever. If that is this
node, its viewers stay where they are: the topic is the same (`hand_over`).

Games in real time are not followed from elsewhere, as what their viewers get is drawn from the
owner's state: their clients are redirected to the owner.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from persistence.broker import Notice
from persistence.eventlog.writer import EventRow
from persistence.games.model import StoredGame
from persistence.games.store import GameStanding, GameStore
from protocol.errors import (
    CmdNoGap,
    GameMovedOn,
    GoingAway,
    MoveRefused,
    Overloaded,
    PlayhallError,
    Quarantined,
    TooLarge,
    Unavailable,
    WrongNode,
)
from protocol.ids import GameId, LobbyId, PlayerId
from server.core.containment import contain_failures
from server.core.node_calls import Body, CallTooLarge, NodeCalls, NodeSilent
from server.core.subscriptions import PollPolicy, Subscriptions, Topic, TopicKind
from server.domains.play.games.event_batches import MalformedBatch, decode_batch
from server.domains.play.games.recorder import RecordedEvent
from server.domains.play.games.recovery import decode_row
from server.domains.play.games.ruleset_failures import RulesetFailures
from server.domains.play.games.subscribers import (
    TAIL_EVENTS,
    GameFollower,
    Subscribers,
    ViewEncoder,
    encode_stopped_frame,
)
from server.gamekit.fold import AnyRuleset
from server.gamekit.realtime import RealtimeRuleset
from server.gamekit.table import GAME_COMPLETED, compute_log_commitment, parse_players

log = logging.getLogger(__name__)

REMOTE_GAMES_MAX: Final = 20_000
POLL: Final = PollPolicy(live_s=2.0, alone_s=0.5)
RENEW_S: Final = 4.0
INTEREST_S: Final = 15.0
# How long a game is kept that nobody here follows any more: its next command finds the owner.
UNUSED_S: Final = 30.0
# How long a reply waits until what came before it was delivered here.
REACH_S: Final = 5.0
READ_ROWS: Final = 200
# How many games one message names, with their players: a dozen each would fit.
TOLD_AT_ONCE: Final = 100


class OwnerGone(Exception):
    """The node that had the game gave no answer, or has it no more; look again for its owner."""


class RemoteGame:
    """One game of another node, as far as it was delivered here."""

    __slots__ = (
        "_acting",
        "_hash",
        "_topic",
        "_waiting",
        "closed",
        "game_id",
        "head",
        "is_lost",
        "is_stopped",
        "lobby_id",
        "owner",
        "players",
        "renewed_at",
        "ruleset",
        "seats",
        "seed",
        "spectator_delay_s",
        "subscribers",
        "tail",
        "used_at",
    )

    def __init__(
        self,
        stored: StoredGame,
        ruleset: AnyRuleset,
        *,
        owner: str,
        first: RecordedEvent,
        last: EventRow,
        topic: Topic[GameFollower],
        faults: RulesetFailures,
    ) -> None:
        self.game_id: GameId = stored.id
        self.lobby_id: LobbyId | None = stored.lobby_id
        self.ruleset = ruleset
        self.seed = stored.seed
        self.spectator_delay_s: float = stored.config.get("spectator_delay_s", 0.0)
        self.owner = owner
        players = parse_players(first.event.payload)
        self.seats = {player.player_id: n for n, player in enumerate(players) if not player.bot}
        self.subscribers = Subscribers(ViewEncoder(stored.id, ruleset, faults), topic)
        self.tail: deque[RecordedEvent] = deque(maxlen=TAIL_EVENTS)
        self.head = last.event_index
        self.closed = False  # nothing more will be delivered
        self.is_lost = False  # this node took the game meanwhile
        self.is_stopped = False  # it is quarantined
        # Players of it who are connected here, and have taken their seats.
        self.players: set[PlayerId] = set()
        self.used_at = self.renewed_at = 0.0
        self._topic = topic
        self._hash = last.hash
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._acting: dict[PlayerId, asyncio.Future[None]] = {}
        topic.note_delivered(self.head)

    @property
    def status(self) -> str:
        """The game's status as of its head."""
        return "completed" if self.closed and not self.is_stopped else "in_progress"

    @property
    def commitment(self) -> str:
        """What the head commits to: see docs/explanation/fairness.md."""
        return compute_log_commitment(self.seed, self._hash)

    def seat_of(self, player_id: PlayerId) -> int | None:
        """Find a player's seat."""
        return self.seats.get(player_id)

    def require_sound(self) -> None:
        """Raise `Quarantined` where the game was set aside."""
        if self.is_stopped:
            raise Quarantined

    def deliver(self, recorded: Sequence[RecordedEvent], last_hash: bytes) -> None:
        """Send everybody here what follows the head; what was delivered before is left out."""
        news = [item for item in recorded if item.event_index > self.head]
        if not news or self.closed:
            return
        assert news[0].event_index == self.head + 1
        # First what this game says of itself, as on its owner.
        self.head, self._hash = news[-1].event_index, last_hash
        self.tail.extend(news)
        self._topic.note_delivered(self.head)
        self.subscribers.publish(news, last_hash)
        for index, future in self._waiting:
            if index <= self.head and not future.done():
                future.set_result(None)

    async def reach(self, index: int) -> None:
        """Wait until an event was delivered here; raise `Unavailable` if it takes too long."""
        if index <= self.head or self.closed:
            return
        self._topic.request_catch_up()
        entry = (index, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(REACH_S):
                await entry[1]
        except TimeoutError:
            raise Unavailable from None
        finally:
            self._waiting.remove(entry)

    def close(self) -> None:
        """Deliver nothing more, and end what follows."""
        self.closed = True
        for _, future in self._waiting:
            if not future.done():
                future.set_result(None)
        self.subscribers.close()

    def hand_over(self) -> None:
        """Leave the topic, with its followers, to the game that this node plays now."""
        self.is_lost = self.closed = True
        self._topic.release(owned=False)

    async def ask_in_turn(self, player_id: PlayerId, ask: Callable[[], Any]) -> Body:
        """Ask for a player's move; one that overtook the move before it is asked for again.

        Moves are sent as they come. If the broker loses one, the next arrives first and is refused
        for its number, which on the owner's node could not happen.
        """
        earlier = self._acting.get(player_id)
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acting[player_id] = mine
        try:
            try:
                answer: Body = await ask()
            except CmdNoGap:
                if earlier is None:
                    raise
                await earlier
                answer = await ask()
            return answer
        finally:
            mine.set_result(None)
            if self._acting.get(player_id) is mine:
                del self._acting[player_id]


class RemoteGames:
    """The games of other nodes that are followed or played from here."""

    def __init__(
        self,
        store: GameStore,
        *,
        rulesets: Mapping[str, AnyRuleset],
        subscriptions: Subscriptions,
        calls: NodeCalls | None,
        faults: RulesetFailures,
    ) -> None:
        self._store = store
        self._rulesets = rulesets
        self._calls = calls
        self._faults = faults
        self._games: dict[GameId, RemoteGame] = {}
        self._now = asyncio.get_running_loop().time
        # The topics of all games, those of this node too, whose owner needs no notices.
        self.topics: TopicKind[GameFollower] = subscriptions.kind("game", source=self, poll=POLL)
        self.delivered = 0

    def __len__(self) -> int:
        return len(self._games)

    # ------------------------------------------------------------------ finding

    @property
    def is_possible(self) -> bool:
        """Whether commands can be forwarded at present; otherwise clients are redirected."""
        return self._calls is not None and self._calls.is_possible

    def find(self, game_id: GameId) -> RemoteGame | None:
        """Find a game whose owner is known and can be asked."""
        return self._games.get(game_id) if self.is_possible else None

    def find_followed(self, game_id: GameId) -> RemoteGame | None:
        """Find a game that is followed here, whether or not its owner can be asked."""
        return self._games.get(game_id)

    def games(self) -> list[RemoteGame]:
        """List them."""
        return list(self._games.values())

    def games_of_player(self, player_id: PlayerId) -> list[RemoteGame]:
        """List the games in which a player has taken a seat from here."""
        return [game for game in self._games.values() if player_id in game.players]

    async def open(self, game_id: GameId, wrong: WrongNode) -> RemoteGame:
        """Find a game's owner, and follow the game; raise `wrong` where it must be done there."""
        if not self.is_possible:
            raise wrong
        owner = await self._store.find_live_owner(game_id)
        stored = await self._store.find(game_id)
        if owner is None or stored is None or owner.node == self._store.node:
            raise OwnerGone
        if (known := self._games.get(game_id)) is not None:
            known.owner = owner.node
            return known
        ruleset = self._rulesets.get(stored.ruleset)
        ruleset = ruleset and ruleset.of_version(stored.ruleset_version)
        if ruleset is None or isinstance(ruleset, RealtimeRuleset):
            raise wrong
        if len(self._games) >= REMOTE_GAMES_MAX:
            raise Overloaded
        first = await self._store.read_events(game_id, after=-1, limit=1)
        last = await self._store.read_events(game_id, after=stored.next_event_index - 2, limit=1)
        if (known := self._games.get(game_id)) is not None:
            return known  # somebody else was faster
        if (topic := self.topics.get(game_id)) is not None and topic.is_owned:
            raise OwnerGone  # this node took it meanwhile
        game = RemoteGame(
            stored,
            ruleset,
            owner=owner.node,
            first=decode_row(first[0]),
            last=last[0],
            topic=self.topics.hold(game_id),
            faults=self._faults,
        )
        game.used_at = self._now()
        self._games[game_id] = game
        return game

    def hand_over(self, game_id: GameId, rows: Iterable[EventRow]) -> None:
        """Bring followers up to a log that this node owns now; it delivers from then on."""
        game = self._games.pop(game_id, None)
        if game is None:
            return
        missed = [row for row in rows if row.event_index > game.head]
        if missed:
            game.deliver([decode_row(row) for row in missed], missed[-1].hash)
        game.hand_over()

    # ------------------------------------------------------------------ asking

    async def ask(self, game: RemoteGame, call: str, body: Body) -> Body:
        """Ask a game's owner; what it published before it answered has been delivered then.

        Raise what the owner refuses with, or `OwnerGone`.
        """
        assert self._calls is not None
        game.used_at = self._now()
        try:
            answer = await self._calls.ask(game.owner, call, {"game_id": game.game_id, **body})
        except (NodeSilent, WrongNode, GoingAway) as gone:
            raise OwnerGone from gone
        except CallTooLarge:
            raise TooLarge from None
        except PlayhallError as refused:
            if isinstance(refused, MoveRefused):
                await game.reach(refused.event_index)
            elif isinstance(refused, GameMovedOn):
                await game.reach(refused.head)
            raise
        await game.reach(answer.get("head", -1))
        return answer

    # ------------------------------------------------------------------ a source of topics

    def on_notice(self, topic: Topic[GameFollower], notice: Notice) -> bool:
        """Deliver a batch that follows what was delivered."""
        game = self._games.get(GameId(topic.key))
        if game is None:
            return False
        try:
            batch = decode_batch(notice.payload)
        except MalformedBatch:
            return False
        self._deliver(game, batch.recorded, batch.hash)
        return True

    async def deliver_missed(self, topics: Sequence[Topic[GameFollower]]) -> None:
        """Read what is missing; say to owners that their games are followed; forget the unused."""
        behind = [game for each in topics if (game := self._games.get(GameId(each.key)))]
        if not behind:
            return
        standings = await self._store.read_standings([game.game_id for game in behind])
        followed: dict[str, list[RemoteGame]] = {}
        now = self._now()
        for game in behind:
            standing = standings.get(game.game_id)
            if standing is None or self._games.get(game.game_id) is not game:
                continue
            await self._catch_up(game, standing)
            if len(game.subscribers) or game.players:
                game.used_at = now
                if now - game.renewed_at >= RENEW_S or game.owner != standing.owner:
                    game.renewed_at = now
                    followed.setdefault(standing.owner, []).append(game)
            elif now - game.used_at > UNUSED_S:
                self._forget(game)
            game.owner = standing.owner
        for owner, games in followed.items():
            self._tell_following(owner, games)

    def _tell_following(self, owner: str, games: Sequence[RemoteGame]) -> None:
        """Repeat to an owner which of its games are followed here, and who plays from here."""
        for first in range(0, len(games), TOLD_AT_ONCE):
            some = games[first : first + TOLD_AT_ONCE]
            body = [[game.game_id, list(game.players)] for game in some]
            if self._calls is not None:
                self._calls.send_note(owner, "game.following", body)

    async def _catch_up(self, game: RemoteGame, standing: GameStanding) -> None:
        while game.head < standing.next_event_index - 1 and not game.closed:
            rows = await self._store.read_events(game.game_id, after=game.head, limit=READ_ROWS)
            if not rows:
                return
            self._deliver(game, [decode_row(row) for row in rows], rows[-1].hash)
        if standing.is_quarantined and not game.closed:
            game.is_stopped = True
            game.subscribers.publish_frame(encode_stopped_frame(game.game_id))
            self._forget(game)

    def _deliver(self, game: RemoteGame, recorded: list[RecordedEvent], last_hash: bytes) -> None:
        self.delivered += len(recorded)
        game.deliver(recorded, last_hash)
        if recorded[-1].event.type == GAME_COMPLETED:
            self._forget(game)

    def _forget(self, game: RemoteGame) -> None:
        if self._games.get(game.game_id) is game:
            del self._games[game.game_id]
        with contain_failures("ending what follows a game"):
            game.close()
