"""`/v1/tournaments`, and what organisers do under `/v1/admin/tournaments`."""

from functools import partial
from typing import Final

from persistence.tournaments.store import (
    PairingPlace,
    StoredTournament,
    TournamentPlace,
    TournamentStore,
)
from protocol import tournaments as wire
from protocol.errors import Forbidden, InvalidField, RateLimited, UnknownBot, UnknownRuleset
from server.core.clock import Clock
from server.core.rate_limits import Rate, RateLimiter
from server.domains.compete.tournaments import views
from server.domains.compete.tournaments.service import TournamentService
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "tournaments"
ALL: Final = "/v1/tournaments"
ONE: Final = f"{ALL}/{{tournament_id}}"
ADMIN: Final = "/v1/admin/tournaments"
ADMIN_ONE: Final = f"{ADMIN}/{{tournament_id}}"
CHANGES: Final = Rate(60, 30)


class TournamentRoutes:
    """The addresses of tournaments."""

    def __init__(self, service: TournamentService, store: TournamentStore, clock: Clock) -> None:
        self._service = service
        self._store = store
        self._admit = AccountLimit(
            RateLimiter("tournaments", CHANGES, "You registered or checked in too often"), clock
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [*self._public(), *self._of_players(), *self._of_organisers()]

    def _public(self) -> list[Endpoint]:
        get = partial(Endpoint, "GET", auth="none", tag=TAG)
        usual = (wire.TournamentNotFound, InvalidField)
        return [
            get(
                ALL,
                "List tournaments, those that start last first.",
                self._list,
                query=wire.TournamentsQuery,
                answer=wire.Tournaments,
                errors=(InvalidField,),
            ),
            get(ONE, "Read a tournament.", self._read, answer=wire.Tournament, errors=usual),
            get(
                f"{ONE}/standings",
                "Read the table of a tournament, with its tie-breaks.",
                self._standings,
                answer=wire.Standings,
                errors=usual,
            ),
            get(
                f"{ONE}/pairings",
                "List who meets whom: in a round, by default the present one, or of a player.",
                self._pairings,
                query=wire.PairingsQuery,
                answer=wire.Pairings,
                errors=usual,
            ),
        ]

    def _of_players(self) -> list[Endpoint]:
        make = partial(Endpoint, auth="required", tag=TAG, admit=self._admit)
        usual = (wire.TournamentNotFound, InvalidField, RateLimited)
        return [
            make(
                "POST",
                f"{ONE}/registration",
                "Register for a tournament; again is harmless.",
                self._register,
                answer=wire.Registration,
                errors=(*usual, wire.RegistrationClosed, wire.TournamentFull),
            ),
            make(
                "DELETE",
                f"{ONE}/registration",
                "Withdraw; what has not begun is forfeited.",
                self._withdraw,
                answer=wire.Registration,
                errors=(*usual, wire.NotRegistered, wire.TournamentOver),
            ),
            make(
                "POST",
                f"{ONE}/pairings/{{pairing_id}}/check-in",
                "Check in for your game; it begins once both have.",
                self._check_in,
                answer=wire.CheckedIn,
                errors=(
                    Forbidden,
                    InvalidField,
                    RateLimited,
                    wire.PairingNotFound,
                    wire.PairingDecided,
                ),
            ),
        ]

    def _of_organisers(self) -> list[Endpoint]:
        make = partial(
            Endpoint, "POST", auth="required", scope="admin", tag=TAG, answer=wire.Tournament
        )
        usual = (Forbidden, wire.TournamentNotFound, InvalidField)
        return [
            make(
                ADMIN,
                "Announce a tournament.",
                self._create,
                body=wire.NewTournament,
                errors=(Forbidden, InvalidField, UnknownRuleset, wire.TooManyTournaments),
            ),
            make(
                f"{ADMIN_ONE}/cancel",
                "Cancel a tournament that is not over.",
                self._cancel,
                body=wire.TournamentCancellation,
                errors=(*usual, wire.TournamentOver),
            ),
            make(
                f"{ADMIN_ONE}/bots",
                "Register bots of the ruleset, as many as there is room for.",
                self._add_bots,
                body=wire.NewBots,
                errors=(*usual, UnknownBot, wire.RegistrationClosed, wire.TournamentFull),
            ),
            make(
                f"{ADMIN_ONE}/pairings/{{pairing_id}}/decision",
                "Decide a pairing that is not decided.",
                self._decide,
                body=wire.PairingDecision,
                errors=(*usual, wire.PairingNotFound, wire.PairingDecided),
            ),
        ]

    # ------------------------------------------------------------------ reading

    async def _list(self, request: HttpRequest) -> wire.Tournaments:
        query: wire.TournamentsQuery = request.query
        after = views.START if query.cursor is None else views.TOURNAMENTS.read(query.cursor)
        found = await self._store.list_some(query.status, query.ruleset, after, query.limit)
        place = views.TOURNAMENTS.after_page(
            found, query.limit, lambda row: TournamentPlace(row.starts_at, row.tournament_id)
        )
        return wire.Tournaments(
            tournaments=[views.tournament_view(each) for each in found], next=place
        )

    async def _read(self, request: HttpRequest) -> wire.Tournament:
        return views.tournament_view(await self._stored(request))

    async def _standings(self, request: HttpRequest) -> wire.Standings:
        found, entrants, pairings = await self._store.read_table(_tournament_id(request))
        if found is None:
            raise wire.TournamentNotFound
        return views.standings_view(found, entrants, pairings)

    async def _pairings(self, request: HttpRequest) -> wire.Pairings:
        query: wire.PairingsQuery = request.query
        stored = await self._stored(request)
        round_ = query.round
        if round_ is None and query.player_id is None:
            round_ = stored.round
        after = views.FIRST_PAIRING if query.cursor is None else views.PAIRINGS.read(query.cursor)
        found = await self._store.list_pairings(
            stored.tournament_id,
            round_=round_,
            player_id=query.player_id,
            after=after,
            limit=query.limit,
        )
        place = views.PAIRINGS.after_page(
            found, query.limit, lambda row: PairingPlace(row.round, row.board, row.attempt)
        )
        return wire.Pairings(
            tournament_id=stored.tournament_id,
            version=stored.version,
            pairings=[views.pairing_view(each) for each in found],
            next=place,
        )

    async def _stored(self, request: HttpRequest) -> StoredTournament:
        found = await self._store.read(_tournament_id(request))
        if found is None:
            raise wire.TournamentNotFound
        return found

    # ------------------------------------------------------------------ taking part

    async def _register(self, request: HttpRequest) -> wire.Registration:
        return await self._service.register(_tournament_id(request), request.who.player_id)

    async def _withdraw(self, request: HttpRequest) -> wire.Registration:
        return await self._service.withdraw(_tournament_id(request), request.who.player_id)

    async def _check_in(self, request: HttpRequest) -> wire.CheckedIn:
        path = request.parse_path(wire.PairingPath)
        return await self._service.check_in(
            path.tournament_id, path.pairing_id, request.who.player_id
        )

    # ------------------------------------------------------------------ organising

    async def _create(self, request: HttpRequest) -> wire.Tournament:
        return views.tournament_view(
            await self._service.create(request.body, actor=request.who.user_id)
        )

    async def _cancel(self, request: HttpRequest) -> wire.Tournament:
        body: wire.TournamentCancellation = request.body
        return views.tournament_view(
            await self._service.cancel(
                _tournament_id(request), body.reason, actor=request.who.user_id
            )
        )

    async def _add_bots(self, request: HttpRequest) -> wire.Tournament:
        return views.tournament_view(
            await self._service.add_bots(
                _tournament_id(request), request.body, actor=request.who.user_id
            )
        )

    async def _decide(self, request: HttpRequest) -> wire.Tournament:
        path = request.parse_path(wire.PairingPath)
        return views.tournament_view(
            await self._service.decide(
                path.tournament_id, path.pairing_id, request.body, actor=request.who.user_id
            )
        )


def _tournament_id(request: HttpRequest) -> str:
    return request.parse_path(wire.TournamentPath).tournament_id
