"""Games over HTTP: what a game is, and its log."""

from collections.abc import Callable, Mapping
from typing import Final

from persistence.eventlog.writer import EventRow
from persistence.games.model import StoredGame
from persistence.games.store import GameStore
from protocol.codec import validate
from protocol.envelope import WireModel
from protocol.errors import GameNotFound, InvalidField, RateLimited
from protocol.history import Events, EventsQuery, LoggedEvent, Views, ViewsQuery
from protocol.history import Game as WireGame
from protocol.ids import GameId, PlayerId, WireGameId
from server.core.clock import wire_time, wire_time_or_none
from server.core.rate_limits import Rate, RateLimiter, client_network
from server.domains.play.games.access import GameAccess
from server.domains.play.games.recovery import decode_row
from server.domains.play.games.replay import ReplayReader
from server.domains.play.games.ruleset_failures import RulesetFailures
from server.domains.play.games.subscribers import ViewEncoder
from server.gamekit.contract import Viewer
from server.gamekit.fold import AnyRuleset
from server.gateway.http.endpoints import Endpoint, HttpRequest

# Each request folds part of a log, at worst all of it. A replay asks every few seconds, and
# a spectator with a delay once for each event.
VIEWS: Final = Rate(120, 60)


class _Path(WireModel):
    game_id: WireGameId


def game_id_of(request: HttpRequest) -> GameId:
    """Read the game's id from the address."""
    return validate(_Path, {"game_id": request.path["game_id"]}).game_id


class GameRoutes:
    """The endpoints of games."""

    def __init__(
        self,
        *,
        access: GameAccess,
        store: GameStore,
        rulesets: Mapping[str, AnyRuleset],
        faults: RulesetFailures,
        now: Callable[[], float],
    ) -> None:
        self._access = access
        self._now = now
        self._replays = ReplayReader(store, rulesets)
        self._limit = RateLimiter("views", VIEWS, "You are asking for views too fast")
        self._faults = faults
        self._store = store
        self._rulesets = rulesets

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [
            Endpoint(
                "GET",
                "/v1/games/{game_id}",
                "Read a game and its progress",
                self.game,
                answer=WireGame,
                errors=(GameNotFound, InvalidField),
                tag="games",
            ),
            Endpoint(
                "GET",
                "/v1/games/{game_id}/events",
                "Read part of a game's log, redacted for you while the game is running",
                self.events,
                query=EventsQuery,
                answer=Events,
                errors=(GameNotFound, InvalidField),
                tag="games",
            ),
            Endpoint(
                "GET",
                "/v1/games/{game_id}/views",
                "Draw a game after each event: for spectators and, once it is over, for each seat",
                self.views,
                query=ViewsQuery,
                answer=Views,
                admit=self._admit_views,
                errors=(GameNotFound, InvalidField, RateLimited),
                tag="games",
            ),
        ]

    async def game(self, request: HttpRequest) -> WireGame:
        """Describe one game."""
        who = request.identity.player_id if request.identity is not None else None
        stored = await self._access.require_readable(game_id_of(request), who)
        return WireGame(
            game_id=stored.id,
            ruleset=stored.ruleset,
            ruleset_version=stored.ruleset_version,
            status=stored.status,  # type: ignore[arg-type]  # checked by the database
            config=stored.config,
            min_players=stored.players_min,
            max_players=stored.players_max,
            head=await self._horizon(stored, who),
            quarantined=stored.quarantined,
            created_at=wire_time(stored.created_at),
            started_at=wire_time_or_none(stored.started_at),
            completed_at=wire_time_or_none(stored.completed_at),
        )

    async def events(self, request: HttpRequest) -> Events:
        """Give one page of a log."""
        who = request.identity.player_id if request.identity is not None else None
        stored = await self._access.require_readable(game_id_of(request), who)
        query: EventsQuery = request.query
        is_over = stored.status == "completed"
        read = self._store.read_finished_events if is_over else self._store.read_events
        rows = await read(stored.id, after=query.after, limit=query.limit)
        seat = await self._access.find_seat(stored.id, who) if who is not None else None
        encoder = ViewEncoder(stored.id, None if is_over else self._ruleset(stored), self._faults)
        head = await self._horizon(stored, who)
        return Events(
            game_id=stored.id,
            events=[
                _shown(stored.id, row, encoder, seat, with_hash=is_over)
                for row in rows
                if row.event_index <= head
            ],
            head=head,
            commitment=await self._access.commitment(stored, head),
        )

    async def views(self, request: HttpRequest) -> Views:
        """Draw a page of a game."""
        who = request.identity.player_id if request.identity is not None else None
        stored = await self._access.require_readable(game_id_of(request), who)
        query: ViewsQuery = request.query
        head = await self._horizon(stored, who)
        until = min(query.after + query.limit, head)
        views = await self._replays.read_views(stored, after=query.after, until=until)
        return Views(game_id=stored.id, head=head, views=views)

    def _admit_views(self, request: HttpRequest) -> None:
        identity = request.identity
        key = client_network(request.remote) if identity is None else identity.user_id
        self._limit.require_allowed(key, self._now())

    async def _horizon(self, stored: StoredGame, who: PlayerId | None) -> int:
        """Say up to which event this viewer may see the game now."""
        head = stored.next_event_index - 1
        if stored.status == "completed":
            return head
        delay_s = stored.config.get("spectator_delay_s", 0.0)
        return await self._access.visible_head(stored.id, who, head=head, delay_s=delay_s)

    def _ruleset(self, stored: StoredGame) -> AnyRuleset:
        """Find the rules that redact a running game; without them nothing of it is shown."""
        ruleset = self._rulesets.get(stored.ruleset)
        ruleset = ruleset and ruleset.of_version(stored.ruleset_version)
        if ruleset is None:
            named = f"{stored.ruleset} of version {stored.ruleset_version}"
            raise GameNotFound(f"This server has no ruleset {named}.")
        return ruleset


def _shown(
    game_id: GameId, row: EventRow, encoder: ViewEncoder, viewer: Viewer, *, with_hash: bool
) -> LoggedEvent:
    """Show one event; its hash would show what is hidden, so only once nothing is."""
    item = decode_row(row)
    return LoggedEvent(
        game_id=game_id,
        event_index=item.event_index,
        event=item.event.type,
        payload=encoder.visible_payload(item.event, viewer),
        at=item.at.decode(),
        hash=row.hash.hex() if with_hash else None,
    )
