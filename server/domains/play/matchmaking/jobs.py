"""What nobody asks for: searching queues, starting matches, clearing up after those who left."""

import asyncio
import logging
from collections.abc import Mapping
from random import SystemRandom
from typing import Final

from persistence.matchmaking.store import MatchStore, StartingMatch
from protocol.errors import PlayhallError
from server.core.containment import contain_failures
from server.core.periodic import AWAY, repeat_every
from server.domains.interfaces import MatchLobbies
from server.domains.play.matchmaking.rules import SearchRules
from server.domains.play.matchmaking.search import search_queue
from server.domains.play.matchmaking.service import MatchmakingService
from server.gamekit.fold import AnyRuleset

log = logging.getLogger(__name__)

SEARCH_EVERY_S: Final = 1.0
SEND_EVERY_S: Final = 0.5
SEEN_EVERY_S: Final = 3.0
# Somebody who is connected was seen within this, also while the node is busy.
SEEN_WITHIN_S: Final = 2 * SEEN_EVERY_S
LEASE_S: Final = 15.0  # of a match that a node is starting
STARTED_AT_ONCE: Final = 16
ATTEMPTS_MAX: Final = 5
CLEARED_AT_ONCE: Final = 1000
# Long enough for a player whose connection was lost to come back and be told.
STARTED_KEPT_S: Final = 120.0


class Matchmaker:
    """The sweeps of matchmaking; any number of nodes may run them at once."""

    def __init__(
        self,
        *,
        store: MatchStore,
        lobbies: MatchLobbies,
        service: MatchmakingService,
        rulesets: Mapping[str, AnyRuleset],
        rules: SearchRules,
        accept_s: float,
        grace_s: float,
    ) -> None:
        self._store = store
        self._lobbies = lobbies
        self._service = service
        self._rulesets = rulesets
        self._rules = rules
        self._accept_s = accept_s
        self._grace_s = grace_s
        self._shuffle = SystemRandom().shuffle
        self.found = 0
        self.started = 0

    async def run(self) -> None:
        """Sweep for as long as the server lives."""
        async with asyncio.TaskGroup() as group:
            for pause_s, sweep, what in (
                (SEARCH_EVERY_S, self.search, "matchmaking: searching"),
                (SEND_EVERY_S, self._service.send_updates, "matchmaking: telling players"),
                (SEEN_EVERY_S, self._service.note_seen, "matchmaking: noting who is here"),
                (SEEN_EVERY_S, self._service.count_waiting, "matchmaking: counting who waits"),
                (SEEN_EVERY_S, self.clear_up, "matchmaking: clearing up"),
            ):
                group.create_task(repeat_every(pause_s, sweep, what))

    async def search(self) -> None:
        """Break up what was not accepted, search every queue, and start what was found."""
        await self._store.break_up_overdue(CLEARED_AT_ONCE)
        for name in await self._store.list_busy():
            ruleset = self._rulesets.get(name)
            if ruleset is None:
                continue
            with contain_failures(f"searching the queue of {name}", passed=AWAY):
                async with self._store.hold_queue(name) as queue:
                    if queue is not None:
                        searched = await search_queue(
                            queue,
                            ruleset,
                            self._rules,
                            accept_s=self._accept_s,
                            shuffle=self._shuffle,
                        )
                        self.found += searched.matches
        await self.start_found()

    async def start_found(self) -> None:
        """Start the matches that were found, on whichever node."""
        while claimed := await self._store.claim(lease_s=LEASE_S, limit=STARTED_AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for match in claimed:
                    group.create_task(self._start(match))

    async def clear_up(self) -> None:
        """Delete the tickets of those who went away, and matches that began some time ago."""
        absent_s = SEEN_WITHIN_S + self._grace_s
        await self._store.delete_absent(absent_s, limit=CLEARED_AT_ONCE)
        await self._store.clear(STARTED_KEPT_S, limit=CLEARED_AT_ONCE)

    async def _start(self, match: StartingMatch) -> None:
        """Start a match; one that fails is tried again when its lease is over."""
        with contain_failures(f"starting match {match.match_id}"):
            try:
                game_id = await self._lobbies.open_match(
                    match.match_id,
                    match.ruleset,
                    match.config,
                    match.seats,
                    region=match.region,
                )
            except PlayhallError as error:
                log.warning("match %s did not start: %s", match.match_id, error.message)
                if match.attempts >= ATTEMPTS_MAX:
                    await self._store.give_up(match.match_id)
                return
            await self._store.note_started(match.match_id, game_id)
            self.started += 1
