"""Who follows a game on this node, and what each of them may see.

An event is encoded once for each distinct view of it: once for everybody where all of it
is public, once more for each viewer whose picture differs.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import orjson

from protocol.errors import CloseReason
from protocol.ids import GameId
from server.domains.games.scribe import Told
from server.gamekit.contract import Event, Payload, Viewer
from server.gateway.framing import text_frame
from server.kernel.containment import contained, failed


class Follower(Protocol):
    """A connection, as far as an audience needs it."""

    def deliver(self, frames: bytes) -> None:
        """Queue frames for the socket."""

    def end(self) -> None:
        """Take note that there will be nothing more to deliver."""

    def hang_up(self, why: CloseReason) -> None:
        """Close the connection; its client resumes from the last index it has."""


Redact = Callable[[Event, Viewer], Payload | None]


def in_the_open(event: Event, _: Viewer) -> Payload:
    """Hide nothing: how everybody sees a game that is over."""
    return event.payload


class Lens:
    """How one game's events look to a viewer, as frames."""

    __slots__ = ("_prefix", "_redact")

    def __init__(self, game_id: GameId, redact: Redact) -> None:
        self._prefix = b'{"type":"game.event","game_id":"%b","event_index":' % game_id.encode()
        self._redact = redact

    def frames(self, told: Sequence[Told], viewer: Viewer) -> bytes:
        """Frame some events for one viewer."""
        return self.frames_for(told, (viewer,))[viewer]

    def frames_for(self, told: Sequence[Told], viewers: Iterable[Viewer]) -> dict[Viewer, bytes]:
        """Frame some events for each viewer; equal views share one encoding."""
        views: dict[Viewer, list[bytes]] = {viewer: [] for viewer in viewers}
        redact = self._redact
        for item in told:
            shared: bytes | None = None
            payload = item.event.payload
            for viewer, frames in views.items():
                seen = redact(item.event, viewer)
                if seen is not payload:
                    frames.append(self._frame(item, orjson.dumps(seen)))
                    continue
                if shared is None:
                    shared = self._frame(item, item.payload)
                frames.append(shared)
        return {viewer: b"".join(frames) for viewer, frames in views.items()}

    def _frame(self, item: Told, payload: bytes) -> bytes:
        return text_frame(
            b'%b%d,"event":"%b","payload":%b,"at":"%b"}'
            % (self._prefix, item.event_index, item.event.type.encode(), payload, item.at)
        )


class Audience:
    """The followers of one game on this node."""

    __slots__ = ("_viewers", "followers", "lens")

    def __init__(self, lens: Lens) -> None:
        self.lens = lens
        self.followers: dict[Follower, Viewer] = {}
        self._viewers: frozenset[Viewer] = frozenset()

    def __len__(self) -> int:
        return len(self.followers)

    def admit(self, follower: Follower, viewer: Viewer) -> None:
        """Send a follower everything from now on."""
        self.followers[follower] = viewer
        self._viewers = frozenset(self.followers.values())

    def dismiss(self, follower: Follower) -> None:
        """Send a follower nothing more."""
        self.followers.pop(follower, None)
        self._viewers = frozenset(self.followers.values())

    def tell(self, told: Sequence[Told]) -> None:
        """Send committed events to everybody, each as they may see them."""
        if not self.followers:
            return
        try:
            frames = self.lens.frames_for(told, self._viewers)
        except Exception:
            frames = self._frames_one_by_one(told)
        for follower, viewer in self.followers.items():
            try:
                follower.deliver(frames[viewer])
            except Exception:
                failed("delivering a game's events")

    def _frames_one_by_one(self, told: Sequence[Told]) -> dict[Viewer, bytes]:
        """Frame for each viewer alone; those whose view the rules fail to make are hung up on."""
        frames: dict[Viewer, bytes] = {}
        for viewer in self._viewers:
            try:
                frames[viewer] = self.lens.frames(told, viewer)
            except Exception:
                failed(f"showing a game's events to {_named(viewer)}")
        for follower, viewer in list(self.followers.items()):
            if viewer not in frames:
                self.dismiss(follower)
                with contained("hanging up on a follower"):
                    follower.hang_up(CloseReason.OVERLOADED)
        return frames


def _named(viewer: Viewer) -> str:
    return "spectators" if viewer is None else f"seat {viewer}"
