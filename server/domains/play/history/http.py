"""`/v1/rulesets`, summaries, statistics, history and leaderboards."""

from collections.abc import Mapping
from functools import partial

from persistence.history.store import HistoryStore
from protocol.errors import GameNotFound, InvalidField, LobbyNotFound, NotFound
from protocol.history import (
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
    StatsQuery,
    Summary,
)
from protocol.ids import PlayerId
from protocol.lobbies import LobbyPath
from server.domains.play.history import views
from server.domains.play.history.views import read_cursor
from server.gamekit.fold import AnyRuleset
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG = "records"
NO_PLAYER = "There is no player with this id."


class HistoryRoutes:
    """The addresses of records; `rulesets` are the games that this server runs."""

    def __init__(self, *, store: HistoryStore, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._store = store
        self._rulesets = rulesets
        self._shown: list[AnyRuleset] = []  # those that `_listed` was drawn from
        self._listed = Rulesets(rulesets=[])

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        get = partial(Endpoint, "GET", tag=TAG)
        return [
            get(
                "/v1/rulesets",
                "List the rulesets of this server and their configuration.",
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
                "List the matches played in a lobby with their players, newest first.",
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
                "Read a player's statistics, over all games that count or for one ruleset.",
                self._stats,
                auth="none",
                query=StatsQuery,
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
        if self._shown != (rulesets := [*self._rulesets.values()]):  # some were loaded again
            self._shown = rulesets
            self._listed = Rulesets(rulesets=[views.ruleset(rules) for rules in rulesets])
        return self._listed

    async def _summary(self, request: HttpRequest) -> Summary:
        game_id = request.parse_path(GamePath).game_id
        found = await self._store.read_summary(game_id, viewer=_viewer(request))
        if found is None:
            raise GameNotFound("There is no finished game with this id that you may see.")
        return found

    async def _stats(self, request: HttpRequest) -> PlayerStats:
        player_id = request.parse_path(PlayerPath).player_id
        query: StatsQuery = request.query
        found = await self._store.read_stats(player_id, ruleset=query.ruleset)
        if found is None:
            raise NotFound(NO_PLAYER)
        if found.games_played == 0:
            self._require_known(query.ruleset)
        return found

    async def _history(self, request: HttpRequest) -> Matches:
        player_id = request.parse_path(PlayerPath).player_id
        query: PageQuery = request.query
        after = read_cursor(query.cursor)
        found = await self._store.list_matches(
            player_id, viewer=_viewer(request), after=after, limit=query.limit + 1
        )
        if not found and not await self._store.has_player(player_id):
            raise NotFound(NO_PLAYER)
        return views.page(found, query.limit)

    async def _lobby_history(self, request: HttpRequest) -> Matches:
        lobby_id = request.parse_path(LobbyPath).lobby_id
        query: PageQuery = request.query
        found = await self._store.list_lobby_matches(
            lobby_id,
            viewer=_viewer(request),
            after=read_cursor(query.cursor),
            limit=query.limit + 1,
        )
        if found is None:
            raise LobbyNotFound
        return views.page(found, query.limit)

    async def _match(self, request: HttpRequest) -> Match:
        match_id = request.parse_path(MatchPath).match_id
        found = await self._store.read_match(match_id, viewer=_viewer(request))
        if found is None:
            raise NotFound("There is no match with this id that you may see.")
        return views.match(found)

    async def _leaderboard(self, request: HttpRequest) -> Leaderboard:
        board = request.parse_path(BoardPath).board
        query: LeaderboardQuery = request.query
        entries = await self._store.list_leaderboard(
            board,
            # Who says who they are has perhaps just played, and finds that counted.
            may_be_old="Authorization" not in request.headers,
            **query.model_dump(),
        )
        if not entries:
            self._require_known(query.ruleset)
        return views.leaderboard(board, entries, query.ruleset)

    def _require_known(self, ruleset: str | None) -> None:
        """Refuse the name of a ruleset that nobody played and that cannot be played here.

        Records outlive rulesets, so a name that has some is good whatever is installed.
        """
        names = [*self._rulesets]
        if ruleset is not None and ruleset not in names:
            raise InvalidField(
                f"ruleset: there are no games of {ruleset!r}; "
                f"this server has {', '.join(names)} (GET /v1/rulesets).",
                field="ruleset",
            )


def _viewer(request: HttpRequest) -> PlayerId | None:
    return None if request.identity is None else request.identity.player_id
