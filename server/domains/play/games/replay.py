"""Finished games as they looked after each event, for whoever looks at a replay.

Any ruleset can be looked at, as what is shown are its own views. A page of them needs the state
before it, so the last few games keep theirs: going on costs the events of one page, going back
folds the log again. Rules run on the main thread; between slices of a log, other games go on.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import orjson

from persistence.games.model import StoredGame
from persistence.games.store import GameStore
from protocol.errors import GameNotFound
from protocol.history import DrawnEvent
from protocol.ids import GameId
from server.core.containment import RAISED_BY_RULES
from server.core.rules_watch import CALLING_RULES
from server.domains.play.games.recovery import CorruptLog, decode_row, read_origin
from server.domains.play.games.views import build_snapshot
from server.gamekit.contract import Event, Payload
from server.gamekit.fold import AnyRuleset, GameFold

# A longer game would keep the rules busy for seconds whenever somebody jumps to its end.
REPLAY_EVENTS_MAX: Final = 10_000
FOLDS_KEPT: Final = 16
SLICE_EVENTS: Final = 100


class ReplayReader:
    """Draws finished games, one after the other."""

    def __init__(self, store: GameStore, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._store = store
        self._rulesets = rulesets
        self._folds: OrderedDict[GameId, GameFold] = OrderedDict()
        self._drawing = asyncio.Lock()

    async def read_views(self, game: StoredGame, *, after: int, limit: int) -> list[DrawnEvent]:
        """Draw a finished game after each event of a page of its log.

        Raises `GameNotFound` where there is nothing to draw it with.
        """
        if game.next_event_index > REPLAY_EVENTS_MAX:
            raise GameNotFound(
                f"A replay shows games of at most {REPLAY_EVENTS_MAX} events. This game has "
                f"{game.next_event_index}: read its log at /v1/games/{game.id}/events."
            )
        try:
            async with self._drawing:
                return await self._draw(game, after=after, limit=limit)
        except (CorruptLog, *RAISED_BY_RULES) as error:
            raise GameNotFound(
                "The rules of this server cannot draw this game; its log is still at "
                f"/v1/games/{game.id}/events."
            ) from error

    async def _draw(self, game: StoredGame, *, after: int, limit: int) -> list[DrawnEvent]:
        fold = self._folds.pop(game.id, None)  # back only if all of it went well
        if fold is not None and fold.next_index > after + 1:
            fold = None
        start = -1 if fold is None else fold.next_index - 1
        drawn: list[DrawnEvent] = []
        before: dict[str, Any] = {}
        async for events in self._slices(game.id, after=start, until=after + limit):
            with CALLING_RULES:
                for event in events:
                    if fold is None:
                        fold = GameFold(read_origin(game, event, self._ruleset(game)))
                    fold.apply(event)
                    if fold.next_index > after + 1:
                        drawn.append(_draw_event(fold, before))
        if fold is not None:
            self._folds[game.id] = fold
        while len(self._folds) > FOLDS_KEPT:
            self._folds.popitem(last=False)
        return drawn

    async def _slices(
        self, game_id: GameId, *, after: int, until: int
    ) -> AsyncIterator[list[Event]]:
        while after < until:
            limit = min(SLICE_EVENTS, until - after)
            rows = await self._store.read_events(game_id, after=after, limit=limit)
            if not rows:
                return
            yield [decode_row(row).event for row in rows]
            after = rows[-1].event_index

    def _ruleset(self, game: StoredGame) -> AnyRuleset:
        ruleset = self._rulesets.get(game.ruleset)
        ruleset = ruleset and ruleset.of_version(game.ruleset_version)
        if ruleset is None:
            raise CorruptLog(f"there is no {game.ruleset} of version {game.ruleset_version}")
        return ruleset


def _draw_event(fold: GameFold, before: dict[str, Any]) -> DrawnEvent:
    """Draw what an event changed; `before` is what was drawn last, and becomes what is drawn now.

    What all see is drawn as it changes. A seat sees little that others do not (its hand, its
    moves), so that is drawn whole.
    """
    table = _copied(build_snapshot(fold, None))
    view, head = table.pop("view"), table.pop("head")
    drawn = DrawnEvent(
        event_index=head,
        table=_changes(before.get("table", {}), table),
        view=_changes(before.get("view", {}), view),
        seats=[
            _changes(view, _copied(fold.ruleset.view(fold.state, seat)))
            for seat in range(len(fold.table.seats))
        ],
    )
    before.update(view=view, table=table)
    return drawn


def _copied(value: object) -> Any:
    """Take rules at their present word: what they give may be part of a state that goes on."""
    return orjson.loads(orjson.dumps(value))


def _changes(before: Payload, after: Payload) -> Payload:
    missing = object()
    return {key: value for key, value in after.items() if before.get(key, missing) != value}
