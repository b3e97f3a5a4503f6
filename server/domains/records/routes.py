"""`/v1/rulesets`, summaries, statistics, history and leaderboards."""

from collections.abc import Mapping
from functools import partial

from persistence.records import RecordStore
from protocol.codec import validate
from protocol.errors import GameNotFound, InvalidField, LobbyNotFound, NotFound
from protocol.ids import PlayerId
from protocol.lobby import LobbyPath
from protocol.record import (
    BoardPath,
    GamePath,
    Leaderboard,
    LeaderboardQuery,
    Match,
    Matches,
    MatchPath,
    PageQuery,
    PlayerPath,
    PlayerStats,
    Rulesets,
    Summary,
)
from server.domains.records import answers
from server.domains.records.rules import read_cursor
from server.gamekit.fold import AnyRuleset
from server.gateway.http import Endpoint, HttpRequest

TAG = "records"
NO_PLAYER = "There is no player with this id."


class RecordRoutes:
    """The addresses of records; `rulesets` are the games that this server runs."""

    def __init__(self, *, store: RecordStore, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._store = store
        self._rulesets = Rulesets(rulesets=[answers.ruleset(r) for r in rulesets.values()])

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        get = partial(Endpoint, "GET", tag=TAG)
        return [
            get(
                "/v1/rulesets",
                "List the games that can be played here, with their configuration.",
                self._list_rulesets,
                auth="none",
                answer=Rulesets,
            ),
            get(
                "/v1/leaderboards/{board}",
                "Rank players by wins, win_rate, highest_score or total_tricks.",
                self._leaderboard,
                auth="none",
                query=LeaderboardQuery,
                answer=Leaderboard,
                errors=(InvalidField,),
            ),
            *self._of_games(),
            *self._of_players(),
        ]

    def _of_games(self) -> list[Endpoint]:
        get = partial(Endpoint, "GET", tag=TAG)
        game, match = "/v1/games/{game_id}/summary", "/v1/matches/{match_id}"
        lobby = "/v1/lobbies/{lobby_id}/matches"
        no_game, no_match = (GameNotFound, InvalidField), (NotFound, InvalidField)
        return [
            get(game, "Read how a game ended.", self._summary, answer=Summary, errors=no_game),
            get(match, "Read one match.", self._match, answer=Match, errors=no_match),
            get(
                lobby,
                "List what was played in a lobby, and who played, newest first.",
                self._lobby_history,
                query=PageQuery,
                answer=Matches,
                errors=(LobbyNotFound, InvalidField),
            ),
        ]

    def _of_players(self) -> list[Endpoint]:
        get = partial(Endpoint, "GET", errors=(NotFound, InvalidField), tag=TAG)
        return [
            get(
                "/v1/players/{player_id}/stats",
                "Read a player's lifetime statistics.",
                self._stats,
                auth="none",
                answer=PlayerStats,
            ),
            get(
                "/v1/players/{player_id}/matches",
                "List a player's matches, newest first.",
                self._history,
                query=PageQuery,
                answer=Matches,
            ),
        ]

    async def _list_rulesets(self, _: HttpRequest) -> Rulesets:
        return self._rulesets

    async def _summary(self, request: HttpRequest) -> Summary:
        game_id = validate(GamePath, dict(request.path)).game_id
        found = await self._store.summary(game_id, viewer=_viewer(request))
        if found is None:
            raise GameNotFound("There is no finished game with this id that you may see.")
        return answers.summary(found)

    async def _stats(self, request: HttpRequest) -> PlayerStats:
        found = await self._store.stats(validate(PlayerPath, dict(request.path)).player_id)
        if found is None:
            raise NotFound(NO_PLAYER)
        return answers.stats(found)

    async def _history(self, request: HttpRequest) -> Matches:
        player_id = validate(PlayerPath, dict(request.path)).player_id
        query: PageQuery = request.query
        after = read_cursor(query.cursor)
        found = await self._store.history(
            player_id, viewer=_viewer(request), after=after, limit=query.limit + 1
        )
        if not found and not await self._store.has_player(player_id):
            raise NotFound(NO_PLAYER)
        return answers.page(found, query.limit)

    async def _lobby_history(self, request: HttpRequest) -> Matches:
        lobby_id = validate(LobbyPath, dict(request.path)).lobby_id
        query: PageQuery = request.query
        found = await self._store.lobby_history(
            lobby_id,
            viewer=_viewer(request),
            after=read_cursor(query.cursor),
            limit=query.limit + 1,
        )
        if found is None:
            raise LobbyNotFound
        return answers.page(found, query.limit)

    async def _match(self, request: HttpRequest) -> Match:
        match_id = validate(MatchPath, dict(request.path)).match_id
        found = await self._store.match(match_id, viewer=_viewer(request))
        if found is None:
            raise NotFound("There is no match with this id that you may see.")
        return answers.match(found)

    async def _leaderboard(self, request: HttpRequest) -> Leaderboard:
        board = validate(BoardPath, dict(request.path)).board
        query: LeaderboardQuery = request.query
        entries = await self._store.leaderboard(board, **query.model_dump())
        return answers.leaderboard(board, entries)


def _viewer(request: HttpRequest) -> PlayerId | None:
    return None if request.identity is None else request.identity.player_id
