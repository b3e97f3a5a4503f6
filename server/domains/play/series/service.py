"""Agrees on series, counts their games, starts the next ones, and sends their players what changed.

What changed is read from the database every half second and sent by the node to which a player is
connected, so it does not matter where somebody agreed or where a game ended.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from persistence.series.store import SeriesStore, StoredSeries
from protocol import series as wire
from protocol.domain_events import GameCompleted
from protocol.errors import PlayhallError
from protocol.ids import GameId, PlayerId
from server.core.containment import contain_failures
from server.core.event_delivery import EventDelivery
from server.core.periodic import repeat_every
from server.domains.interfaces import MatchLobbies
from server.domains.play.series import rules
from server.gateway.session.sessions import Sessions, update_frame

log = logging.getLogger(__name__)

SEND_EVERY_S: Final = 0.5
START_EVERY_S: Final = 1.0
EXPIRE_EVERY_S: Final = 10.0
LEASE_S: Final = 15.0
AT_ONCE: Final = 16
CHANGED_WITHIN_S: Final = 10.0  # longer than any pause between two looks
CHANGED_MAX: Final = 2000
STARTING_MAX: Final = 1000
EXPIRED_AT_ONCE: Final = 1000


class SeriesService:
    """Series, for the players of this node and the sweeps of all."""

    def __init__(self, store: SeriesStore, lobbies: MatchLobbies, sessions: Sessions) -> None:
        self._store = store
        self._lobbies = lobbies
        self._sessions = sessions
        self._sent: dict[str, int] = {}  # versions, of series that changed lately

    async def rematch(self, player_id: PlayerId, asked: wire.Rematch) -> StoredSeries:
        """Propose or agree; raise `NoRematch` or `OtherRematch`."""
        async with self._store.transaction() as transaction:
            game = await transaction.read_game(asked.game_id)
            if game is None:
                raise wire.NoRematch
            if game.at_table:
                raise wire.NoRematch(
                    "You still sit at the table: get ready there, and start its next game."
                )
            series = await transaction.lock_after(asked.game_id)
            if series is None:
                players = game.players
                if any(p["player_id"] == player_id and p.get("forfeited") for p in players):
                    raise wire.NoRematch
                seats = [None if p["is_bot"] else PlayerId(p["player_id"]) for p in players]
                best_of = asked.best_of or 1
                if player_id not in seats:
                    raise wire.NoRematch
                series = await transaction.add(
                    asked.game_id, game.ruleset, game.config, seats, best_of
                )
            elif asked.best_of not in (None, series.best_of):
                raise wire.OtherRematch
            agreed = rules.agree(series, player_id)
            return series if agreed is series else await transaction.save(agreed)

    async def decline(self, player_id: PlayerId, game_id: GameId) -> None:
        """Decline a rematch; raise `NoRematch`."""
        async with self._store.transaction() as transaction:
            series = await transaction.lock_after(game_id)
            if series is None:
                raise wire.NoRematch("There is no rematch of this game to decline.")
            await transaction.save(rules.decline(series, player_id))

    async def count_completed(self, delivery: EventDelivery) -> None:
        """Count a game of a series; a second delivery finds that the series has gone on."""
        event = delivery.event
        assert isinstance(event, GameCompleted)
        async with self._store.transaction() as transaction:
            series = await transaction.lock_of_game(event.game_id)
            if series is not None:
                await transaction.save(rules.count_game(series, event.players))
                return
        starting = await self._store.list_starting(limit=STARTING_MAX)
        if event.lobby_id in [rules.lobby_of(each) for each in starting]:
            # Its node died before it noted which game it is; the event comes again.
            raise LookupError(f"game {event.game_id} was over before its series knew of it")

    async def pass_over_games(self, deliveries: Sequence[EventDelivery]) -> list[str]:
        """List the games that belong to no series, by the ids of their events."""
        games = {
            each.event_id: each.event
            for each in deliveries
            if isinstance(each.event, GameCompleted)
        }
        series = await self._store.list_concerned(
            [event.game_id for event in games.values()], limit=STARTING_MAX
        )
        of_games = {each.game_id for each in series}
        of_lobbies = {rules.lobby_of(each) for each in series}
        return [
            event_id
            for event_id, event in games.items()
            if event.game_id not in of_games and event.lobby_id not in of_lobbies
        ]

    # ------------------------------------------------------------------ sweeps

    async def run(self) -> None:
        """Sweep for as long as the server lives."""
        async with asyncio.TaskGroup() as group:
            for pause_s, sweep, what in (
                (SEND_EVERY_S, self.send_updates, "series: sending updates"),
                (START_EVERY_S, self.start_games, "series: starting games"),
                (EXPIRE_EVERY_S, self.expire, "series: ending old proposals"),
            ):
                group.create_task(repeat_every(pause_s, sweep, what))

    async def start_games(self) -> None:
        """Start the games that are due, on whichever node."""
        for series in await self._store.claim(lease_s=LEASE_S, limit=AT_ONCE):
            with contain_failures(f"starting a game of series {series.series_id}"):
                try:
                    game_id = await self._lobbies.open_match(
                        rules.lobby_of(series),
                        series.ruleset,
                        series.config,
                        rules.rotated_seats(series),
                        region=None,
                    )
                except PlayhallError as error:
                    log.warning("series %s waits: %s", series.series_id, error.message)
                    continue
                await self._store.note_started(series, game_id)

    async def expire(self) -> None:
        """End proposals that nobody agreed to for a while."""
        await self._store.expire(wire.PROPOSED_KEPT_S, limit=EXPIRED_AT_ONCE)

    async def send_updates(self) -> None:
        """Send the players here what changed."""
        changed = await self._store.list_changed(CHANGED_WITHIN_S, limit=CHANGED_MAX)
        for series in changed:
            if self._sent.get(series.series_id) == series.version:
                continue
            frame = update_frame(wire.SeriesUpdate(series=shown_series(series)))
            for player_id in series.people:
                if (session := self._sessions.connection_of_player(player_id)) is not None:
                    session.socket.send(frame)
        self._sent = {series.series_id: series.version for series in changed}


def shown_series(series: StoredSeries) -> wire.Series:
    """Write a series."""
    return wire.Series(
        series_id=series.series_id,
        after_game=series.after_game,
        ruleset=series.ruleset,
        best_of=series.best_of,
        state=series.state,  # type: ignore[arg-type]  # the table's states are the protocol's
        version=series.version,
        players=list(series.people),
        agreed=list(series.agreed),
        number=series.number,
        game_id=series.game_id,
        wins={player: series.wins.get(player, 0) for player in series.people},
        winner_id=series.winner_id,
    )
