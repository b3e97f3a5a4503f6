"""Any moment of a game, folded from its log."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from server.domains.play.games.recorder import RecordedEvent
from server.gamekit.contract import Payload, Viewer
from server.gamekit.fold import AnyRuleset, GameFold
from server.gamekit.table import visible_payload
from server.ops.audit.evidence import GameEvidence, find_origin, read_log
from server.ops.audit.findings import CheckFailed

AROUND = 3


class ReplayView(NamedTuple):
    """Who looks: a seat, or None for a spectator; `is_open` hides nothing."""

    viewer: Viewer = None
    is_open: bool = False


class ShownEvent(NamedTuple):
    """An event as it is shown; a payload of None is hidden."""

    recorded: RecordedEvent
    payload: Payload | None
    is_here: bool


class Replay:
    """A log and a place in it; going on folds on, going back folds again."""

    def __init__(self, evidence: GameEvidence, rulesets: Mapping[str, AnyRuleset]) -> None:
        self.game_id = evidence.game_id
        self.is_over = evidence.is_over
        self.log: Sequence[RecordedEvent] = read_log(evidence.rows)
        self._origin = find_origin(evidence, self.log, rulesets=rulesets)
        self.fold = GameFold(self._origin)

    @property
    def head(self) -> int:
        """The index of the last event."""
        return len(self.log) - 1

    @property
    def index(self) -> int:
        """The index of the event that was folded last."""
        return self.fold.next_index - 1

    def go_to(self, index: int) -> None:
        """Go to an event, or the nearest end; raise `CheckFailed` where the log stops folding."""
        index = min(max(index, 0), self.head)
        if index < self.index:
            self.fold = GameFold(self._origin)
        while self.index < index:
            at = self.fold.next_index
            try:
                self.fold.apply(self.log[at].event)
            except Exception as error:  # whatever rules do with a payload that they never wrote
                raise CheckFailed(f"event {at} does not follow: {error!r}") from error

    def events_around(self, gaze: ReplayView) -> list[ShownEvent]:
        """Show the events before and after this place, as they may be seen."""
        first = max(0, self.index - AROUND)
        near = range(first, min(len(self.log), self.index + AROUND + 1))
        return [self._shown(index, gaze) for index in near]

    def snapshots(self, gaze: ReplayView) -> dict[Viewer, Payload]:
        """Draw the table for who looks; with nothing hidden, for every seat."""
        seats = range(len(self.fold.table.seats))
        viewers: Sequence[Viewer] = list(seats) if gaze.is_open else [gaze.viewer]
        return {viewer: self.fold.ruleset.view(self.fold.state, viewer) for viewer in viewers}

    def _shown(self, index: int, gaze: ReplayView) -> ShownEvent:
        recorded = self.log[index]
        seen: Payload | None = recorded.event.payload
        if not gaze.is_open:
            seen = visible_payload(self.fold.ruleset, recorded.event, gaze.viewer)
        return ShownEvent(recorded, seen, index == self.index)
