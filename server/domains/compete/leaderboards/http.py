"""`/v1/rulesets/{ruleset}/boards`: boards, seasons, and who is listed."""

from functools import partial
from typing import Final

from persistence.leaderboards.store import BoardStore, StoredSeason
from protocol import leaderboards as wire
from protocol.errors import BadToken, Forbidden, InvalidField, RateLimited, UnknownRuleset
from server.core.clock import Clock, wire_time
from server.core.rate_limits import Rate, RateLimiter
from server.domains.compete.leaderboards.service import BoardEditor, BoardReader, RankedRow
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "leaderboards"
BOARDS: Final = "/v1/rulesets/{ruleset}/boards"
LISTING: Final = "/v1/me/board-listing"
CHANGES: Final = Rate(30, 10)


class BoardRoutes:
    """The addresses of boards."""

    def __init__(
        self, store: BoardStore, reader: BoardReader, editor: BoardEditor, clock: Clock
    ) -> None:
        self._store = store
        self._reader = reader
        self._editor = editor
        self._admit = AccountLimit(
            RateLimiter("board-listing", CHANGES, "You are changing this too often"), clock
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        get = partial(Endpoint, "GET", tag=TAG)
        own = partial(Endpoint, path=LISTING, auth="required", tag=TAG, answer=wire.BoardListing)
        return [
            get(
                BOARDS,
                "List the boards and seasons of a ruleset.",
                self._list,
                auth="none",
                answer=wire.RulesetBoards,
                errors=(UnknownRuleset, InvalidField),
            ),
            get(
                f"{BOARDS}/{{statistic}}",
                "Read a board: from the top, around you, or among those whom you follow.",
                self._read,
                query=wire.RulesetBoardQuery,
                answer=wire.BoardPage,
                errors=(UnknownRuleset, wire.BoardNotFound, InvalidField, BadToken),
            ),
            get(
                "/v1/players/{player_id}/statistics/{ruleset}",
                "Read what a ruleset's statistics add up to for a player.",
                self._statistics,
                auth="none",
                answer=wire.PlayerStatistics,
                errors=(UnknownRuleset, InvalidField),
            ),
            own(
                method="GET",
                summary="Say whether you are on leaderboards.",
                handler=self._read_listing,
            ),
            own(
                method="PUT",
                summary="Put yourself on leaderboards, or take yourself off them.",
                handler=self._set_listing,
                body=wire.BoardListing,
                admit=self._admit,
                errors=(RateLimited,),
            ),
            Endpoint(
                "PUT",
                "/v1/admin/rulesets/{ruleset}/seasons/{season}",
                "Add a season, before it begins.",
                self._add_season,
                auth="required",
                scope="editor",
                body=wire.RulesetSeasonRequest,
                answer=wire.RulesetSeason,
                errors=(
                    Forbidden,
                    UnknownRuleset,
                    InvalidField,
                    wire.SeasonTaken,
                    wire.TooManySeasons,
                ),
                tag=TAG,
            ),
        ]

    async def _list(self, request: HttpRequest) -> wire.RulesetBoards:
        ruleset = request.parse_path(wire.RulesetPath).ruleset
        boards = [
            wire.RulesetBoard(
                statistic=each.name, combine=each.combine, lowest_leads=each.combine == "min"
            )
            for each in self._reader.boards(ruleset)
        ]
        seasons = [_season(each) for each in await self._store.list_seasons(ruleset)]
        return wire.RulesetBoards(ruleset=ruleset, boards=boards, seasons=seasons)

    async def _read(self, request: HttpRequest) -> wire.BoardPage:
        path = request.parse_path(wire.RulesetBoardPath)
        identity = request.identity
        period, rows, following = await self._reader.read_page(
            path.ruleset,
            path.statistic,
            request.query,
            who=request.requester,
            player_id=None if identity is None else identity.player_id,
        )
        return wire.BoardPage(
            ruleset=path.ruleset,
            statistic=path.statistic,
            period=period,
            entries=[_entry(row) for row in rows],
            next=following,
        )

    async def _statistics(self, request: HttpRequest) -> wire.PlayerStatistics:
        path = request.parse_path(wire.PlayerRulesetPath)
        self._reader.boards(path.ruleset)
        found = await self._store.player_statistics(path.ruleset, path.player_id)
        return wire.PlayerStatistics(
            player_id=path.player_id,
            ruleset=path.ruleset,
            statistics=[
                wire.PlayerStatistic(statistic=name, value=value, games=games)
                for name, value, games in found
            ],
        )

    async def _read_listing(self, request: HttpRequest) -> wire.BoardListing:
        is_hidden = await self._store.is_hidden(request.who.player_id)
        return wire.BoardListing(is_listed=not is_hidden)

    async def _set_listing(self, request: HttpRequest) -> wire.BoardListing:
        body: wire.BoardListing = request.body
        await self._store.set_listed(request.who.player_id, is_listed=body.is_listed)
        return body

    async def _add_season(self, request: HttpRequest) -> wire.RulesetSeason:
        path = request.parse_path(wire.RulesetSeasonPath)
        return _season(await self._editor.add_season(path.ruleset, path.season, request.body))


def _season(stored: StoredSeason) -> wire.RulesetSeason:
    return wire.RulesetSeason(
        name=stored.name,
        starts_at=wire_time(stored.starts_at),
        ends_at=wire_time(stored.ends_at),
    )


def _entry(ranked: RankedRow) -> wire.BoardEntry:
    row = ranked.row
    return wire.BoardEntry(
        rank=ranked.rank,
        player_id=row.player_id,
        display_name=row.display_name,
        is_bot=row.is_bot,
        value=row.value,
        games=row.games,
        achieved_at=wire_time(row.achieved_at),
    )
