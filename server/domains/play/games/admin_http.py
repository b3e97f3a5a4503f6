"""`/v1/admin/games`: what operators see of games, and how they end one."""

from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import orjson

from persistence.games.administration import AdministeredGame, GameFilter, GamePosition
from protocol import operations as wire
from protocol.errors import Forbidden, GameNotFound, GameOver, InvalidField
from protocol.history import GamePath
from server.core.clock import datetime_from_ms, wire_fields, wire_time
from server.core.cursors import CursorCodec
from server.domains.play.games.administration import GameAdministration, InspectedGame
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG: Final = "operations"

_CURSOR: Final = CursorCodec("admin-games", GamePosition, datetime, UUID)


class GameAdminRoutes:
    """The addresses; `moderator` reads what spectators see, `admin` does the rest."""

    def __init__(self, administration: GameAdministration) -> None:
        self._administration = administration

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(Endpoint, auth="required", scope="admin", tag=TAG)
        of_game = "/v1/admin/games/{game_id}"
        return [
            make(
                "GET",
                "/v1/admin/games",
                "List games, public or not, newest first.",
                self._list,
                scope="moderator",
                query=wire.AdminGamesQuery,
                answer=wire.AdminGames,
                errors=(Forbidden, InvalidField),
            ),
            make(
                "GET",
                of_game,
                "Inspect a game: why it does not go on, who sits in it, what spectators see.",
                self._inspect,
                scope="moderator",
                answer=wire.AdminGameDetails,
                errors=(Forbidden, GameNotFound, InvalidField),
            ),
            make(
                "GET",
                f"{of_game}/log",
                "Read part of a game's log with all that it hides; that is put on record.",
                self._read_log,
                query=wire.AdminLogQuery,
                answer=wire.AdminLog,
                errors=(Forbidden, GameNotFound, InvalidField),
            ),
            make(
                "POST",
                f"{of_game}/end",
                "End a game for good, whatever its rules say.",
                self._end,
                body=wire.EndGameRequest,
                answer=wire.AdminGameDetails,
                errors=(Forbidden, GameNotFound, GameOver, InvalidField),
            ),
            make(
                "POST",
                f"{of_game}/release",
                "Let a quarantined game be played again.",
                self._release,
                body=wire.ReasonRequest,
                answer=wire.AdminGameDetails,
                errors=(Forbidden, GameNotFound, GameOver, InvalidField),
            ),
        ]

    async def _list(self, request: HttpRequest) -> wire.AdminGames:
        query: wire.AdminGamesQuery = request.query
        which = GameFilter(query.state, query.ruleset, query.silent_s, query.node)
        after = None if query.cursor is None else _CURSOR.read(query.cursor)
        games = await self._administration.list_games(which, after, limit=query.limit)
        return wire.AdminGames(
            games=[self._shown(game) for game in games],
            next=_CURSOR.after_page(
                games, query.limit, lambda last: GamePosition(last.created_at, last.game_id)
            ),
        )

    async def _inspect(self, request: HttpRequest) -> wire.AdminGameDetails:
        game_id = request.parse_path(GamePath).game_id
        return self._details(await self._administration.inspect(game_id))

    async def _read_log(self, request: HttpRequest) -> wire.AdminLog:
        game_id = request.parse_path(GamePath).game_id
        query: wire.AdminLogQuery = request.query
        head, rows = await self._administration.read_log(
            game_id, after=query.after, limit=query.limit, actor=request.who.user_id
        )
        return wire.AdminLog(
            game_id=game_id,
            head=head,
            events=[
                wire.AdminEvent(
                    event_index=row.event_index,
                    event=row.type,
                    payload=orjson.loads(row.payload),
                    at=wire_time(row.at),
                )
                for row in rows
            ],
        )

    async def _end(self, request: HttpRequest) -> wire.AdminGameDetails:
        game_id = request.parse_path(GamePath).game_id
        await self._administration.end(game_id, request.body.reason, actor=request.who.user_id)
        return await self._inspect(request)

    async def _release(self, request: HttpRequest) -> wire.AdminGameDetails:
        game_id = request.parse_path(GamePath).game_id
        await self._administration.release(game_id, request.body.reason, actor=request.who.user_id)
        return await self._inspect(request)

    def _shown(self, game: AdministeredGame) -> wire.AdminGame:
        fields = wire_fields(game)
        del fields["status"]
        return wire.AdminGame(
            **fields
            | {
                "state": state_of(game),
                "problem": self._administration.find_problem(game),
                "is_node_alive": bool(game.is_node_alive),
            }
        )

    def _details(self, inspected: InspectedGame) -> wire.AdminGameDetails:
        shown = self._shown(inspected.record.game)
        live, snapshot = inspected.live, inspected.snapshot
        turn: dict[str, Any] = (snapshot and snapshot["turn"]) or {}
        deadline_ms = turn.get("deadline_ms")
        return wire.AdminGameDetails(
            game=shown.model_copy(update={"problem": inspected.problem}),
            quarantine_trace=inspected.record.quarantine_trace,
            node_address=inspected.record.node_address,
            is_here=live is not None,
            seats=None
            if snapshot is None
            else [
                wire.AdminSeat(
                    **seat,
                    display_name=inspected.names.get(seat["player_id"], ""),
                    is_to_move=seat["seat"] in turn.get("seats", ()),
                )
                for seat in snapshot["players"]
            ],
            deadline_at=None if deadline_ms is None else wire_time(datetime_from_ms(deadline_ms)),
            followers=None if live is None else len(live.subscribers),
            view=None if snapshot is None else snapshot["view"],
        )


def state_of(game: AdministeredGame) -> str:
    """Say in one word where a game stands."""
    if game.ended_at is not None:
        return "ended"
    if game.quarantined_at is not None:
        return "quarantined"
    return "running" if game.status == "in_progress" else game.status
