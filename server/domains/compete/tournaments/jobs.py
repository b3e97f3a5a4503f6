"""What nobody asks for: starting and advancing tournaments, and starting their games.

Every node does this, and none needs to lead. A tournament is advanced in one transaction that holds
its row and skips one that another node holds; it looks again, under that lock, at what is due. So a
node that is killed at any moment has advanced a tournament or not at all, and another one does it
half a second later.

Games are started pairing by pairing. A pairing is claimed for `CLAIM_S`, so nodes share the work.
The lobby of its game has an id that was stored with the pairing, and a lobby has one game: whoever
tries again after a kill, or after a claim that took too long, finds the game that was started.
"""

import asyncio
import logging
from collections import Counter
from functools import partial
from typing import Final

from persistence.tournaments.store import (
    ReadyPairing,
    StoredTournament,
    TournamentChange,
    TournamentStore,
)
from protocol.errors import GoingAway
from protocol.tournaments import ARENA_PAIRINGS_MAX
from server.core.containment import contain_failures
from server.core.periodic import AWAY, repeat_every
from server.domains.compete.tournaments.rules import (
    DRAW,
    FreePlayer,
    Pairing,
    next_step,
    pair_arena,
    planned_rounds,
    seat_pair,
)
from server.domains.compete.tournaments.streams import TournamentStreams
from server.domains.compete.tournaments.views import pairing_row, read_entrant, read_pairing
from server.domains.interfaces import Games, SeatedGame, SeatedGames, SeatedPlayer

log = logging.getLogger(__name__)

TICK_S: Final = 0.5
STOPPED_EVERY_S: Final = 5.0
CLAIM_S: Final = 10.0
CLAIMED_AT_ONCE: Final = 32
CLAIMS_MAX: Final = 16  # of a look, so a node starts at most 1024 games a second
STARTED_AT_ONCE: Final = 8
STOPPED_AT_ONCE: Final = 100


class TournamentJobs:
    """Advances tournaments, and starts their games, on every node."""

    def __init__(
        self,
        *,
        store: TournamentStore,
        streams: TournamentStreams,
        seated_games: SeatedGames,
        games: Games,
    ) -> None:
        self._store = store
        self._streams = streams
        self._seated_games = seated_games
        self._games = games
        self._free = asyncio.Semaphore(STARTED_AT_ONCE)
        self.advanced_total = 0
        self.started_total = 0

    async def run(self) -> None:
        """Work for as long as the server lives."""
        async with asyncio.TaskGroup() as group:
            for pause_s, sweep, what in (
                (TICK_S, self.advance_due, "advancing tournaments"),
                (TICK_S, self.start_games, "starting games of tournaments"),
                (STOPPED_EVERY_S, self.decide_stopped, "deciding stopped games of tournaments"),
            ):
                group.create_task(repeat_every(pause_s, sweep, what))

    # ------------------------------------------------------------------ rounds

    async def advance_due(self) -> None:
        """Decide what nobody checked in for, and advance what is due; one keeps no other."""
        for tournament_id in await self._store.list_late():
            with contain_failures(f"forfeits of tournament {tournament_id}", passed=AWAY):
                await self._forfeit_late(tournament_id)
        for tournament_id in await self._store.list_due():
            with contain_failures(f"advancing tournament {tournament_id}", passed=AWAY):
                await self.advance(tournament_id)

    async def advance(self, tournament_id: str) -> bool:
        """Take the step that is due, if one is; False if not, or if another node does it."""
        async with self._store.change_if_free(tournament_id) as change:
            if change is None:
                return False
            before = await change.read()
            assert before is not None
            await _advance(change, before)
            after = await change.read()
            assert after is not None
        if after.version == before.version:
            return False
        self.advanced_total += 1
        log.info("tournament %s: %s, round %d", tournament_id, after.status, after.round)
        self._streams.announce(tournament_id, after.version)
        return True

    async def _forfeit_late(self, tournament_id: str) -> None:
        async with self._store.change(tournament_id) as change:
            version = await change.count() if await change.forfeit_late() else 0
        if version:
            self._streams.announce(tournament_id, version)

    async def decide_stopped(self) -> None:
        """Count games as drawn that were set aside, since they will not end."""
        for tournament_id, pairing_id in await self._store.list_stopped(STOPPED_AT_ONCE):
            async with self._store.change(tournament_id) as change:
                is_new = await change.decide(pairing_id, (DRAW, DRAW), "void")
                version = await change.count() if is_new else 0
            if version:
                log.warning("pairing %s counts as drawn: its game was set aside", pairing_id)
                self._streams.announce(tournament_id, version)

    # ------------------------------------------------------------------ games

    async def start_games(self) -> None:
        """Start the games of pairings that are ready."""
        for _ in range(CLAIMS_MAX):
            if self._games.draining:
                return
            claimed = await self._store.claim_ready(CLAIMED_AT_ONCE, claim_s=CLAIM_S)
            async with asyncio.TaskGroup() as group:
                for pairing in claimed:
                    group.create_task(self._start(pairing))
            if len(claimed) < CLAIMED_AT_ONCE:
                return

    async def _start(self, pairing: ReadyPairing) -> None:
        async with self._free:
            try:
                await self._start_game(pairing)
            except (*AWAY, GoingAway) as error:  # it is claimed again later, here or elsewhere
                log.warning("pairing %s waits for its game: %s", pairing.pairing_id, error.message)
            except Exception:
                with contain_failures(f"starting the game of pairing {pairing.pairing_id}"):
                    raise

    async def _start_game(self, pairing: ReadyPairing) -> None:
        game_id = await self._seated_games.start_game(
            SeatedGame(
                lobby_id=pairing.lobby_id,
                name=_lobby_name(pairing),
                ruleset=pairing.ruleset,
                config=pairing.config,
                players=(
                    SeatedPlayer(pairing.first_player, pairing.first_name, pairing.first_bot),
                    SeatedPlayer(pairing.second_player, pairing.second_name, pairing.second_bot),
                ),
            )
        )
        if game_id is None:
            await self._store.renew_lobby(pairing)
            return
        version = await self._store.note_game(pairing, game_id)
        if version:
            self.started_total += 1
            self._streams.announce(pairing.tournament_id, version)


NAME_CHARS_MAX: Final = 64


def _lobby_name(pairing: ReadyPairing) -> str:
    place = f", {pairing.round}-{pairing.board}"
    return pairing.title[: NAME_CHARS_MAX - len(place)] + place


async def _advance(change: TournamentChange, stored: StoredTournament) -> None:
    """Start a tournament whose time has come, and pair what can be paired."""
    if stored.completed_at is not None:
        return
    if stored.status == "registration":
        if stored.starts_at > stored.now:
            return
        if stored.entrants < stored.entrants_min:
            reason = f"{stored.entrants} registered, and {stored.entrants_min} are needed."
            await change.cancel(reason, actor=None)
            return
        await change.start(planned_rounds(stored.format, stored.entrants, stored.rounds))
        started = await change.read()
        assert started is not None
        stored = started
    if stored.format == "arena":
        await _advance_arena(change, stored)
    else:
        await _advance_round(change, stored)


async def _advance_round(change: TournamentChange, stored: StoredTournament) -> None:
    assert stored.rounds is not None
    step = next_step(
        stored.format,
        stored.rounds,
        [read_entrant(entrant) for entrant in await change.read_entrants()],
        [read_pairing(pairing) for pairing in await change.read_pairings()],
    )
    if step is None:
        return
    if step.is_over:
        await change.complete()
        return
    await change.add_pairings([pairing_row(pairing) for pairing in step.pairings])
    await change.enter_round(step.pairings[0].round)


async def _advance_arena(change: TournamentChange, stored: StoredTournament) -> None:
    """Pair who waits; end an arena whose time is over once all games are."""
    assert stored.ends_at is not None
    last, firsts = await change.read_boards()
    if stored.now >= stored.ends_at or last >= ARENA_PAIRINGS_MAX:
        if not stored.open_pairings:
            await change.complete()
        return
    free = await change.list_free()
    pairs = pair_arena([FreePlayer(*each) for each in free])
    if not pairs:
        return
    seat = partial(seat_pair, active={each.number for each in free}, firsts=Counter(firsts))
    new: list[Pairing] = [seat(1, last + n, a, b) for n, (a, b) in enumerate(pairs, 1)]
    await change.add_pairings([pairing_row(pairing) for pairing in new])
    await change.enter_round(1)
