"""`/v1/players/{player_id}/ratings` and the lists of rulesets."""

from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from persistence.ratings.store import RatedPlayer, RatingStore
from protocol import ratings as wire
from protocol.errors import InvalidField, NotFound, UnknownRuleset
from protocol.history import PageQuery, PlayerPath
from protocol.ids import PlayerId
from protocol.leaderboards import RulesetPath
from server.core.clock import wire_time, wire_time_or_none
from server.core.cursors import CursorCodec
from server.domains.compete.ratings.rules import system_of
from server.gamekit.fold import AnyRuleset
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG: Final = "ratings"
OF_PLAYER: Final = "/v1/players/{player_id}/ratings"
NEWEST: Final = 2**63 - 1


class _Place(NamedTuple):
    """Where a list by rating ended; the rating is written out, so that it is read exactly."""

    rating: str
    player_id: PlayerId


_BEST: Final = _Place("Infinity", PlayerId("00000000-0000-0000-0000-000000000000"))
_LIST: Final = CursorCodec("ratings", _Place, str, UUID)
_CHANGES: Final = CursorCodec("rating-changes", int, int)


class RatingRoutes:
    """The addresses of ratings."""

    def __init__(self, store: RatingStore, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._store = store
        self._rulesets = rulesets

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        get = partial(Endpoint, "GET", auth="none", tag=TAG)
        return [
            get(
                OF_PLAYER,
                "Read a player's ratings, by ruleset.",
                self._ratings,
                answer=wire.PlayerRatingsShown,
                errors=(NotFound, InvalidField),
            ),
            get(
                f"{OF_PLAYER}/{{ruleset}}",
                "List a player's rated games in a ruleset, newest first.",
                self._history,
                query=PageQuery,
                answer=wire.RatingHistory,
                errors=(UnknownRuleset, wire.NotRated, InvalidField),
            ),
            get(
                "/v1/rulesets/{ruleset}/ratings",
                "List players by rating, from the highest.",
                self._list,
                query=wire.RatingListQuery,
                answer=wire.RatingList,
                errors=(UnknownRuleset, wire.NotRated, InvalidField),
            ),
        ]

    async def _ratings(self, request: HttpRequest) -> wire.PlayerRatingsShown:
        player_id = request.parse_path(PlayerPath).player_id
        found = await self._store.list_ratings_of(player_id)
        if found is None:
            raise NotFound("There is no player with this id.")
        ratings = [
            wire.Rating(
                ruleset=name,
                system=system_of(self._rulesets[name]),
                rating=round(stored.rating, 1),
                deviation=round(stored.deviation, 1),
                is_provisional=stored.deviation > wire.DEVIATION_LISTED_MAX,
                games=stored.games,
                rated_at=wire_time_or_none(stored.rated_at),
            )
            for name, stored in found
            if name in self._rulesets
        ]
        return wire.PlayerRatingsShown(player_id=player_id, ratings=ratings)

    async def _history(self, request: HttpRequest) -> wire.RatingHistory:
        path = request.parse_path(wire.RatingHistoryPath)
        self._require_rated(path.ruleset)
        query: PageQuery = request.query
        before = NEWEST if query.cursor is None else _CHANGES.read(query.cursor)
        found = await self._store.list_changes(
            path.player_id, path.ruleset, before=before, limit=query.limit
        )
        changes = [
            wire.RatingChange(
                game_id=each.game_id,
                completed_at=wire_time(each.completed_at),
                place=each.place,
                before=round(each.before, 1),
                after=round(each.rating, 1),
                deviation=round(each.deviation, 1),
            )
            for each in found
        ]
        return wire.RatingHistory(
            player_id=path.player_id,
            ruleset=path.ruleset,
            changes=changes,
            next=_CHANGES.after_page(found, query.limit, lambda each: each.number),
        )

    async def _list(self, request: HttpRequest) -> wire.RatingList:
        ruleset = request.parse_path(RulesetPath).ruleset
        self._require_rated(ruleset)
        query: wire.RatingListQuery = request.query
        place = _BEST if query.cursor is None else _LIST.read(query.cursor)
        found = await self._store.list_best(
            ruleset,
            deviation_max=float("inf") if query.provisional else wire.DEVIATION_LISTED_MAX,
            after=(_rating(place), place.player_id),
            limit=query.limit,
        )
        players = [
            wire.RatingRow(
                player_id=each.player_id,
                display_name=each.display_name,
                rating=round(each.rating, 1),
                deviation=round(each.deviation, 1),
                games=each.games,
                rated_at=wire_time(each.rated_at),
            )
            for each in found
        ]
        following = _LIST.after_page(found, query.limit, _place)
        return wire.RatingList(ruleset=ruleset, players=players, next=following)

    def _require_rated(self, name: str) -> None:
        if (ruleset := self._rulesets.get(name)) is None:
            raise UnknownRuleset
        if not ruleset.rated:
            raise wire.NotRated


def _place(row: RatedPlayer) -> _Place:
    return _Place(repr(row.rating), row.player_id)


def _rating(place: _Place) -> float:
    try:
        return float(place.rating)
    except ValueError:
        raise InvalidField(
            "cursor: send the `next` of the previous page unchanged.", field="cursor"
        ) from None
