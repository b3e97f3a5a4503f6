"""Who follows a game on this node, and what each of them may see.

An event is encoded once for each distinct view of it: once for everybody where all of it
is public, once more for each viewer whose snapshot differs. The node that plays a game owns its
topic. Nodes that follow it from elsewhere are sent the committed events once, and do the same for
their own viewers, with a `Subscribers` of theirs.
"""

import asyncio
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Final, Protocol

import orjson

from persistence.hook_points import HookPoint
from protocol.codec import encode
from protocol.errors import CloseReason, Overloaded, Quarantined
from protocol.games import GameStopped
from protocol.ids import GameId, PlayerId
from server.core.containment import EXHAUSTED, RAISED_BY_RULES, RulesTooSlow
from server.core.rules_watch import CALLING_RULES
from server.core.subscriptions import Deliver, Stop, TooManySubscribers, Topic
from server.domains.play.games.event_batches import encode_batch
from server.domains.play.games.recorder import RecordedEvent
from server.domains.play.games.ruleset_failures import GameFailures, RulesetFailures
from server.gamekit.contract import Event, Payload, Viewer
from server.gamekit.fold import AnyRuleset
from server.gamekit.table import INVALID_ACTION, visible_refused_move
from server.gateway.transport.framing import text_frame

# How many committed events a game keeps at hand for those who come or come back.
TAIL_EVENTS: Final = 64


class GameFollower(Hashable, Protocol):
    """A connection, as far as `Subscribers` needs it."""

    @property
    def deliver(self) -> Deliver:
        """How frames are queued for the socket; the connection's own, for the least of calls."""

    @property
    def is_behind(self) -> bool:
        """Whether the connection takes frames more slowly than they come."""

    def end(self) -> None:
        """Take note that there will be nothing more to deliver."""

    def disconnect(self, why: CloseReason) -> None:
        """Close the connection; its client resumes from the last index it has."""


Redact = Callable[[Event, Viewer], Payload | None]


def show_unredacted(event: Event, _: Viewer) -> Payload:
    """Hide nothing: how everybody sees a game that is over."""
    return event.payload


def hide_all(_: Event, __: Viewer) -> None:
    """Hide everything: the rules are not to be asked any more."""


def encode_stopped_frame(game_id: GameId, why: Quarantined | None = None) -> bytes:
    """Say to followers that their game is quarantined, and that asking again is of no use."""
    why = why or Quarantined()
    return text_frame(
        encode(
            GameStopped(game_id=game_id, code="quarantined", message=why.message, retry=why.retry)
        )
    )


class ViewEncoder:
    """How one game's events look to a viewer: as payloads, or as frames.

    Without a ruleset nothing is hidden. A payload that the ruleset cannot redact is hidden
    altogether: the stream has no gap, and shows nothing that the viewer may not know.
    """

    __slots__ = ("_faults", "_name", "_prefix", "_redact", "_redact_refused")

    def __init__(
        self, game_id: GameId, ruleset: AnyRuleset | None, faults: RulesetFailures | GameFailures
    ) -> None:
        self._prefix = b'{"type":"game.event","game_id":"%b","event_index":' % game_id.encode()
        self._faults = faults
        self._name = "" if ruleset is None else ruleset.name
        self._redact: Redact = show_unredacted if ruleset is None else ruleset.redact
        self._redact_refused: Redact = show_unredacted if ruleset is None else visible_refused_move

    def visible_payload(self, event: Event, viewer: Viewer) -> Payload | None:
        """Give what a viewer may see of an event."""
        try:
            redact = self._redact_refused if event.type == INVALID_ACTION else self._redact
            with CALLING_RULES:
                seen = redact(event, viewer)
        except RAISED_BY_RULES as error:
            self._note(error)
            return None
        is_whole = seen is event.payload
        return seen if is_whole or self._encoded(seen) != b"null" else None

    def frames(self, recorded: Sequence[RecordedEvent], viewer: Viewer) -> bytes:
        """Frame some events for one viewer."""
        return self.frames_for(recorded, (viewer,))[viewer]

    def frames_for(
        self, recorded: Sequence[RecordedEvent], viewers: Collection[Viewer]
    ) -> dict[Viewer, bytes]:
        """Frame some events for each viewer; equal views share one encoding."""
        try:
            with CALLING_RULES:
                return self._frames_for(recorded, viewers)
        except RulesTooSlow as error:
            self._note(error)  # so that nothing is shown now
            return self._frames_for(recorded, viewers)

    def _frames_for(
        self, recorded: Sequence[RecordedEvent], viewers: Collection[Viewer]
    ) -> dict[Viewer, bytes]:
        redact_other, redact_refused = self._redact, self._redact_refused
        whole: list[bytes] = []  # for viewers who may see all of every event
        own: dict[Viewer, list[bytes]] = {}  # for each who may not
        viewers = dict.fromkeys(viewers)
        for item in recorded:
            event = item.event
            payload = event.payload
            redact = redact_refused if event.type == INVALID_ACTION else redact_other
            frame = self._frame(item, item.payload)
            for viewer in viewers:
                try:
                    seen = redact(event, viewer)
                except RulesTooSlow:
                    raise
                except RAISED_BY_RULES as error:
                    self._note(error)
                    seen = None
                if seen is not payload:
                    if viewer not in own:
                        own[viewer] = whole.copy()
                    own[viewer].append(self._frame(item, self._encoded(seen)))
                elif viewer in own:
                    own[viewer].append(frame)
            whole.append(frame)
        frames = dict.fromkeys(viewers, b"".join(whole))
        for viewer, parts in own.items():
            frames[viewer] = b"".join(parts)
        return frames

    def _encoded(self, seen: Payload | None) -> bytes:
        try:
            return orjson.dumps(seen)
        except orjson.JSONEncodeError as error:
            self._note(error)
            return b"null"

    def _note(self, error: BaseException) -> None:
        self._faults.count(self._name, "redact", error)
        if isinstance(error, EXHAUSTED):
            self._redact = hide_all

    def _frame(self, item: RecordedEvent, payload: bytes) -> bytes:
        return text_frame(
            b'%b%d,"event":"%b","payload":%b,"at":"%b"}'
            % (self._prefix, item.event_index, item.event.type.encode(), payload, item.at)
        )


class Subscribers:
    """The followers of one game on this node: the topic of the game, while it is played here.

    Of a game that is played here, also which other nodes have followers.
    """

    __slots__ = ("_nodes", "_topic", "away", "encoder", "is_shared")

    def __init__(self, encoder: ViewEncoder, topic: Topic[GameFollower]) -> None:
        self.encoder = encoder
        # None once the game was let go. Its next owner, perhaps on this node, has the topic then.
        self._topic: Topic[GameFollower] | None = topic
        # Until when which other nodes are sent the game's events, by the loop's clock. "" stands
        # for nodes that are not known yet, as the game has only just come here.
        self._nodes: dict[str, float] = {}
        # Whether there are any; a plain attribute, as it is asked for each move.
        self.is_shared = False
        # Players who took their seats through other nodes, and through which.
        self.away: dict[PlayerId, str] = {}

    def __len__(self) -> int:
        return 0 if self._topic is None else len(self._topic)

    @property
    def followers(self) -> list[GameFollower]:
        """List them."""
        return [] if self._topic is None else self._topic.subscribers()

    def admit(self, follower: GameFollower, viewer: Viewer) -> Stop:
        """Send a follower everything from now on; returns how to stop.

        Raise `Overloaded` where the game is let go, or too many follow it.
        """
        if self._topic is None:
            raise Overloaded("The game was let go meanwhile; take its stream up once more.")
        try:
            return self._topic.subscribe(follower, follower.deliver, view=viewer)
        except TooManySubscribers:
            raise Overloaded("Too many follow this game; try again in a while.") from None

    def publish(self, recorded: Sequence[RecordedEvent], last_hash: bytes) -> None:
        """Send committed events to everybody, each as they may see them.

        `last_hash` is that of the last of them.
        """
        if (observed := PUBLISHING_EVENTS.around) is None:
            self._publish(recorded, last_hash)
        else:
            observed(self, recorded, last_hash)

    def _publish(self, recorded: Sequence[RecordedEvent], last_hash: bytes) -> None:
        topic = self._topic
        if topic is None:
            return
        if topic.views:
            topic.send_views(self.encoder.frames_for(recorded, topic.views))
        if self.is_shared and recorded:
            topic.notify(
                number=recorded[-1].event_index,
                after=recorded[0].event_index - 1,
                payload=encode_batch(recorded, last_hash),
            )

    @property
    def nodes(self) -> list[str]:
        """List the other nodes that are known to have followers."""
        return [node for node in self._nodes if node]

    @property
    def is_new_here(self) -> bool:
        """Whether the game came to this node a moment ago, and other nodes may follow it."""
        return "" in self._nodes

    def share(self, node: str, for_s: float) -> None:
        """Send another node the game's events for a while; "" for any that may follow it."""
        self._nodes[node] = asyncio.get_running_loop().time() + for_s
        self.is_shared = True

    def forget_silent_nodes(self, now: float) -> list[PlayerId]:
        """Forget the nodes whose time ran out; returns the players who were there."""
        for node in [node for node, until in self._nodes.items() if until <= now]:
            del self._nodes[node]
        self.is_shared = bool(self._nodes)
        gone = [player for player, node in self.away.items() if node not in self._nodes]
        for player in gone:
            del self.away[player]
        return gone

    @property
    def viewers(self) -> Mapping[Viewer, int]:
        """Who looks, and how many of each."""
        return {} if self._topic is None else self._topic.views

    def send_views(self, frames: Mapping[Viewer, bytes]) -> None:
        """Send each viewer their frame; a viewer without one gets nothing."""
        if self._topic is not None:
            self._topic.send_views(frames)

    def publish_ephemeral(self, frame: bytes) -> None:
        """Send everybody a frame that nobody needs; who is behind does not get it."""
        for follower in self.followers:
            if not follower.is_behind:
                follower.deliver(frame)

    def publish_frame(self, frame: bytes) -> None:
        """Send everybody the same frame."""
        if self._topic is not None:
            self._topic.send(frame)

    def close(self) -> None:
        """Send nothing more, and end what follows; harmless when that was done."""
        followers, topic = self.followers, self._topic
        self._topic = None
        for follower in followers:
            follower.end()
        if topic is not None:
            topic.release()


PUBLISHING_EVENTS: Final = HookPoint(Subscribers._publish)
