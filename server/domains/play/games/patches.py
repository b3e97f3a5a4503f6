"""What viewers of a real-time game are sent: a snapshot first, then what has changed.

A patch is drawn from the state as it was decided, and leaves when everything that led to it is
committed, like all that a game sends. It is a JSON merge patch (RFC 7396) from the view as of the
tick `since` to the view as of `tick`. A client that has a view of any tick from `since` on applies
it: in between, the view did not change.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple, Protocol

import orjson

from protocol.errors import PlayhallError
from protocol.ids import GameId
from server.core.containment import RAISED_BY_RULES
from server.core.rules_watch import CALLING_RULES
from server.domains.play.games.ruleset_failures import GameFailures
from server.gamekit.contract import Payload, Viewer
from server.gamekit.fold import GameFold
from server.gamekit.realtime import RealtimeRuleset
from server.gateway.transport.framing import text_frame

# Calls back once everything decided so far is committed, or with the error that it met.
WhenCommitted = Callable[[Callable[[int | PlayhallError], None]], None]


class Viewers(Protocol):
    """Who looks at a game, and how they are sent what they see."""

    @property
    def viewers(self) -> Mapping[Viewer, int]:
        """Who looks, and how many of each."""

    def send_views(self, frames: Mapping[Viewer, bytes]) -> None:
        """Send each viewer their frame; a viewer without one gets nothing."""


class DrawnView(NamedTuple):
    """A view that viewers have, and the tick that it is of."""

    tick: int
    view: Payload


def merge_patch(old: Payload, new: Payload) -> Payload:
    """Give the JSON merge patch that turns one object into the other; {} if they are equal."""
    patch: Payload = {key: None for key, value in old.items() if value is not None}
    for key, value in new.items():
        before = old.get(key)
        if before == value and type(before) is type(value):
            patch.pop(key, None)
        elif isinstance(before, dict) and isinstance(value, dict):
            if changes := merge_patch(before, value):
                patch[key] = changes
            else:
                patch.pop(key, None)
        elif value is not None:
            patch[key] = value
    return patch


class PatchPublisher:
    """Draws the patches of one game, and has them sent to its subscribers."""

    __slots__ = (
        "_acked",
        "_drawn",
        "_faults",
        "_fold",
        "_prefix",
        "_rules",
        "_subscribers",
        "_when",
    )

    def __init__(
        self,
        game_id: GameId,
        fold: GameFold,
        rules: RealtimeRuleset[Any, Any],
        *,
        subscribers: Viewers,
        when_committed: WhenCommitted,
        faults: GameFailures,
    ) -> None:
        self._fold = fold
        self._rules = rules
        self._subscribers = subscribers
        self._when = when_committed
        self._faults = faults
        self._prefix = b'{"type":"game.patch","game_id":"%b","tick":' % game_id.encode()
        # What the viewers of each viewpoint have, and the last command number sent to each seat.
        # Both are bounded by the viewers: what nobody looks from any more is dropped.
        self._drawn: dict[Hashable, DrawnView] = {}
        self._acked: dict[Viewer, int] = {}

    def publish(self) -> None:
        """Send every subscriber what has changed for them since the last patch."""
        viewers = self._subscribers.viewers
        groups: dict[Hashable, list[Viewer]] = {}
        try:
            with CALLING_RULES:
                for viewer in viewers:
                    point = self._rules.viewpoint(self._fold.state, viewer)
                    groups.setdefault(point, []).append(viewer)
                frames = self._frames(groups)
        except RAISED_BY_RULES as error:  # viewers keep what they have; the next patch has it all
            self._faults.count(self._rules.name, "view", error)
            return
        for point in self._drawn.keys() - groups.keys():
            del self._drawn[point]
        for viewer in self._acked.keys() - viewers.keys():
            del self._acked[viewer]
        if frames:
            self._when(lambda what: self._send(frames, what))

    def bring_up_to_date(self, viewer: Viewer, view: Payload) -> None:
        """Note that a viewer is sent this view, of now; those who share it are patched to it."""
        self.publish()
        point = self._rules.viewpoint(self._fold.state, viewer)
        # Where others share the view, it was just drawn. If nothing had changed, they still have
        # it of an earlier tick, and the next patch must say so.
        self._drawn.setdefault(point, DrawnView(self._fold.tick, view))
        self._acked.pop(viewer, None)

    def _frames(self, groups: dict[Hashable, list[Viewer]]) -> dict[Viewer, bytes]:
        frames: dict[Viewer, bytes] = {}
        tick, head = self._fold.tick, self._fold.next_index - 1
        for point, viewers in groups.items():
            drawn = self._drawn.get(point)
            view = self._rules.view(self._fold.state, viewers[0])
            if drawn is None:
                continue  # nobody has been sent a view yet
            changes = merge_patch(drawn.view, view)
            body = b'%b%d,"since":%d,"head":%d,"changes":%b,"ack":' % (
                self._prefix,
                tick,
                drawn.tick,
                head,
                orjson.dumps(changes),
            )
            for viewer in viewers:
                ack = 0 if viewer is None else self._fold.table.seats[viewer].cmd_no
                if changes or self._acked.get(viewer) != ack:
                    self._acked[viewer] = ack
                    frames[viewer] = text_frame(b"%b%d}" % (body, ack))
            if changes:
                self._drawn[point] = DrawnView(tick, view)
        return frames

    def _send(self, frames: dict[Viewer, bytes], what: int | PlayhallError) -> None:
        if isinstance(what, int):  # else the game is lost, and its followers come back for it
            self._subscribers.send_views(frames)
