"""Who went away, and when their time to come back is up: pure."""

from collections.abc import Iterator
from typing import Final

from protocol.ids import PlayerId

WAITING_MAX: Final = 20_000


class Departures:
    """Remembers who went away; times are monotonic seconds.

    When more than `WAITING_MAX` are away, the time of those who went first is up at once.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._gone: dict[PlayerId, float] = {}  # in the order in which they went

    def went(self, player_id: PlayerId, now: float) -> None:
        """Remember somebody."""
        self._gone.pop(player_id, None)
        self._gone[player_id] = now

    def came(self, player_id: PlayerId) -> None:
        """Forget somebody who is back."""
        self._gone.pop(player_id, None)

    def due(self, now: float) -> Iterator[PlayerId]:
        """Take out, one after the other, those whose time is up."""
        while self._gone:
            first = next(iter(self._gone))
            if len(self._gone) <= WAITING_MAX and now - self._gone[first] < self._grace_s:
                return
            del self._gone[first]
            yield first
