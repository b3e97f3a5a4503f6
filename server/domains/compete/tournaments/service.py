"""The use cases: taking part, organising, and what games bring."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from persistence.tournaments.store import StoredTournament, TournamentChange, TournamentStore
from protocol import tournaments as wire
from protocol.domain_events import GameCompleted
from protocol.errors import Forbidden, InvalidField
from protocol.ids import PlayerId, UserId
from server.core.clock import Clock
from server.core.event_delivery import EventDelivery
from server.domains.compete.tournaments.rules import game_points
from server.domains.compete.tournaments.streams import TournamentStreams
from server.domains.interfaces import SeatedGames
from server.gamekit.fold import AnyRuleset

PLAYERS: Final = 2  # of a game


class TournamentService:
    """What players and organisers do with tournaments, and what games do."""

    def __init__(
        self,
        *,
        store: TournamentStore,
        streams: TournamentStreams,
        games: SeatedGames,
        rulesets: Mapping[str, AnyRuleset],
        clock: Clock,
    ) -> None:
        self._store = store
        self._streams = streams
        self._games = games
        self._rulesets = rulesets
        self._clock = clock
        self.results_total = 0

    # ------------------------------------------------------------------ taking part

    async def register(self, tournament_id: str, player_id: PlayerId) -> wire.Registration:
        """Register a player; whoever is registered stays it."""
        async with self._store.change(tournament_id) as change:
            stored = _found(await change.read())
            entrant = await change.find_entrant(player_id)
            if entrant is None or entrant.is_withdrawn:
                _require_open(stored)
                if entrant is not None:
                    await change.return_entrant(player_id)
                elif not await change.add_entrants([(player_id, None)]):
                    raise wire.TournamentFull
                entrant = await change.find_entrant(player_id)
                assert entrant is not None
                version = await change.count()
            else:
                version = 0
        if version:
            self._streams.announce(tournament_id, version)
        return wire.Registration(
            tournament_id=tournament_id,
            player_id=player_id,
            entrant=entrant.number,
            is_withdrawn=False,
        )

    async def withdraw(self, tournament_id: str, player_id: PlayerId) -> wire.Registration:
        """Take a player out. Once a tournament runs, what they have not begun is forfeited."""
        async with self._store.change(tournament_id) as change:
            stored = _found(await change.read())
            entrant = await change.find_entrant(player_id)
            if entrant is None:
                raise wire.NotRegistered
            if stored.completed_at is not None:
                raise wire.TournamentOver
            if stored.status == "registration":
                await change.remove_entrant(player_id)
            else:
                await change.withdraw(player_id)
            version = await change.count()
        self._streams.announce(tournament_id, version)
        return wire.Registration(
            tournament_id=tournament_id,
            player_id=player_id,
            entrant=entrant.number,
            is_withdrawn=True,
        )

    async def check_in(
        self, tournament_id: str, pairing_id: str, player_id: PlayerId
    ) -> wire.CheckedIn:
        """Note that a player is there for their game; again is harmless."""
        async with self._store.change(tournament_id) as change:
            status = await change.check_in(pairing_id, player_id)
            version = 0 if status is None else await change.count()
        if status is None:
            found = await self._store.find_pairing(tournament_id, pairing_id, player_id)
            if found is None:
                raise wire.PairingNotFound
            status, is_theirs = found
            if not is_theirs:
                raise Forbidden("This is not your pairing.")
            if status in ("decided", "void"):
                raise wire.PairingDecided
        if version:
            self._streams.announce(tournament_id, version)
        return wire.CheckedIn(pairing_id=pairing_id, status=status)

    # ------------------------------------------------------------------ organising

    async def create(self, new: wire.NewTournament, *, actor: UserId) -> StoredTournament:
        """Announce a tournament."""
        config = self._games.complete_config(new.ruleset, new.config)
        ruleset = self._rulesets[new.ruleset]
        if PLAYERS not in ruleset.seats:
            raise InvalidField("ruleset: it cannot be played by two.", field="ruleset")
        if ruleset.scores_declared:
            problem = "ruleset: its scores are declared by clients and count for nothing."
            raise InvalidField(problem, field="ruleset")
        if new.starts_at > self._clock.now() + timedelta(days=wire.AHEAD_DAYS_MAX):
            problem = f"starts_at: choose a time within {wire.AHEAD_DAYS_MAX} days."
            raise InvalidField(problem, field="starts_at")
        tournament_id = await self._store.add(new, config, actor=actor)
        if tournament_id is None:
            raise wire.TooManyTournaments
        return _found(await self._store.read(tournament_id))

    async def cancel(self, tournament_id: str, reason: str, *, actor: UserId) -> StoredTournament:
        """Call a tournament off; games that are played end as ordinary games."""
        async with self._store.change(tournament_id) as change:
            _found(await change.read())
            if not await change.cancel(reason, actor=actor):
                raise wire.TournamentOver
        return await self._announced(tournament_id)

    async def add_bots(
        self, tournament_id: str, wanted: wire.NewBots, *, actor: UserId
    ) -> StoredTournament:
        """Register bots of the ruleset, as many as there is room for."""
        stored = _found(await self._store.read(tournament_id))
        bots = await self._games.add_bots(stored.ruleset, wanted.bot, wanted.count)
        async with self._store.change(tournament_id) as change:
            _require_open(_found(await change.read()))
            added = await change.add_entrants([(bot.player_id, bot.bot) for bot in bots])
            if not added:
                raise wire.TournamentFull("These bots are registered, or the tournament is full.")
            await change.record(actor, "add_tournament_bots", {"bot": wanted.bot, "added": added})
            await change.count()
        return await self._announced(tournament_id)

    async def decide(
        self, tournament_id: str, pairing_id: str, decision: wire.PairingDecision, *, actor: UserId
    ) -> StoredTournament:
        """Decide a pairing that is not decided; what its game brings later counts no more."""
        points = (decision.first_points, decision.second_points)
        async with self._store.change(tournament_id) as change:
            _found(await change.read())
            if not await change.decide(pairing_id, points, "forfeit"):
                await self._require_pairing(tournament_id, pairing_id)
                raise wire.PairingDecided
            after = {"pairing_id": pairing_id, **decision.model_dump()}
            await change.record(actor, "decide_tournament_pairing", after)
            await change.count()
        return await self._announced(tournament_id)

    async def _require_pairing(self, tournament_id: str, pairing_id: str) -> None:
        nobody = PlayerId("00000000-0000-0000-0000-000000000000")
        if await self._store.find_pairing(tournament_id, pairing_id, nobody) is None:
            raise wire.PairingNotFound

    async def _announced(self, tournament_id: str) -> StoredTournament:
        stored = _found(await self._store.read(tournament_id))
        self._streams.announce(tournament_id, stored.version)
        return stored

    # ------------------------------------------------------------------ games

    async def record_game(self, delivery: EventDelivery) -> None:
        """Decide the pairing whose game ended, if the game is one of a tournament's, once."""
        event = delivery.event
        assert isinstance(event, GameCompleted)
        if event.lobby_id is None:
            return
        async with self._store.change_of_lobby(event.lobby_id) as change:
            version = 0 if change is None else await _record(change, event)
        if change is not None and version:
            self.results_total += 1
            self._streams.announce(change.tournament_id, version)

    async def pass_over_games(self, deliveries: Sequence[EventDelivery]) -> list[str]:
        """List the games that are of no tournament, by the ids of their events."""
        lobbies = {
            each.event_id: each.event.lobby_id
            for each in deliveries
            if isinstance(each.event, GameCompleted)
        }
        of_pairings = await self._store.find_lobbies(
            {lobby_id for lobby_id in lobbies.values() if lobby_id is not None}
        )
        return [event_id for event_id, lobby in lobbies.items() if lobby not in of_pairings]


async def _record(change: TournamentChange, event: GameCompleted) -> int:
    """Decide a pairing by its game; 0 if that was done, else the version after it."""
    assert event.lobby_id is not None
    found = await change.find_by_lobby(event.lobby_id)
    if found is None:
        return 0
    pairing_id, first, second = found
    seats = {seat.player_id: seat for seat in event.players}
    points = game_points(
        first_won=seats[first].is_winner,
        second_won=seats[second].is_winner,
        all_left=all(seat.forfeited for seat in event.players),
    )
    if not await change.record_result(pairing_id, event.game_id, points):
        return 0
    return await change.count()


def _found(stored: StoredTournament | None) -> StoredTournament:
    if stored is None:
        raise wire.TournamentNotFound
    return stored


def _require_open(stored: StoredTournament) -> None:
    """Refuse whoever comes too late; an arena and a Swiss tournament may let them in."""
    if stored.status == "registration" and stored.starts_at > stored.now:
        return
    is_last = stored.format == "swiss" and stored.round == stored.rounds
    is_ending = stored.ends_at is not None and stored.ends_at <= stored.now
    if stored.status != "running" or not stored.late_join or is_last or is_ending:
        raise wire.RegistrationClosed
