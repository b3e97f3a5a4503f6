"""Games as they looked after each event: for replays, and for spectators who see a game later.

Any ruleset can be looked at, as what is shown are its own views. A page of them needs the state
before it, so the last few games keep theirs: going on costs the events of one page, going back
folds the log again. Rules run on the main thread; between slices of a log, other games go on.

While a game runs, only the view of spectators is drawn, up to the event that the reader may see.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

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
# Spectators with the same delay ask for the same event one after the other.
MOMENTS_KEPT: Final = 64


class _Moment(NamedTuple):
    """A game after an event, as everybody may see it, or every seat as well."""

    game_id: GameId
    event_index: int
    with_seats: bool


class ReplayReader:
    """Draws games, one after the other."""

    def __init__(self, store: GameStore, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._store = store
        self._rulesets = rulesets
        self._folds: OrderedDict[GameId, GameFold] = OrderedDict()
        self._moments: OrderedDict[_Moment, DrawnEvent] = OrderedDict()
        self._drawing = asyncio.Lock()

    async def read_views(self, game: StoredGame, *, after: int, until: int) -> list[DrawnEvent]:
        """Draw a game after each event with an index above `after`, up to `until`.

        Raises `GameNotFound` where there is nothing to draw it with.
        """
        if game.next_event_index > REPLAY_EVENTS_MAX:
            raise GameNotFound(
                f"Views are drawn of games of at most {REPLAY_EVENTS_MAX} events. This game has "
                f"{game.next_event_index}: read its log at /v1/games/{game.id}/events."
            )
        moment = _Moment(game.id, until, game.status == "completed")
        try:
            async with self._drawing:
                if after == until - 1 and (kept := self._moments.get(moment)) is not None:
                    return [kept]
                drawn = await self._draw(game, moment, after=after)
        except (CorruptLog, *RAISED_BY_RULES) as error:
            raise GameNotFound(
                "The rules of this server cannot draw this game; its log is still at "
                f"/v1/games/{game.id}/events."
            ) from error
        if after == until - 1 and drawn:
            self._moments[moment] = drawn[0]
            _drop_oldest(self._moments, MOMENTS_KEPT)
        return drawn

    async def _draw(self, game: StoredGame, moment: "_Moment", *, after: int) -> list[DrawnEvent]:
        fold = self._folds.pop(game.id, None)  # back only if all of it went well
        if fold is not None and fold.next_index > after + 1:
            fold = None
        start = -1 if fold is None else fold.next_index - 1
        drawn: list[DrawnEvent] = []
        before: dict[str, Any] = {}
        async for events in self._slices(game.id, after=start, until=moment.event_index):
            with CALLING_RULES:
                for event in events:
                    if fold is None:
                        fold = GameFold(read_origin(game, event, self._ruleset(game)))
                    fold.apply(event)
                    if fold.next_index > after + 1:
                        drawn.append(_draw_event(fold, before, with_seats=moment.with_seats))
        if fold is not None:
            self._folds[game.id] = fold
            _drop_oldest(self._folds, FOLDS_KEPT)
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


def _draw_event(fold: GameFold, before: dict[str, Any], *, with_seats: bool) -> DrawnEvent:
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
            for seat in range(len(fold.table.seats) if with_seats else 0)
        ],
    )
    before.update(view=view, table=table)
    return drawn


Key = TypeVar("Key")
Kept = TypeVar("Kept")


def _drop_oldest(kept: OrderedDict[Key, Kept], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)


def _copied(value: object) -> Any:
    """Take rules at their present word: what they give may be part of a state that goes on."""
    return orjson.loads(orjson.dumps(value))


def _changes(before: Payload, after: Payload) -> Payload:
    missing = object()
    return {key: value for key, value in after.items() if before.get(key, missing) != value}
