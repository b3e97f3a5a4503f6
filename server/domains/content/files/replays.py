"""Building the replays of games that the server decided.

Nothing notifies this domain that a game is over: it looks for those without a replay. So none is
forgotten when a node dies, and any number of nodes may look.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from persistence.files.replays import DueReplay, ReplaySource, ReplayStore
from persistence.files.store import AnnouncedUpload, FileStore
from protocol.errors import InvalidField, Overloaded, StorageFull, Unavailable
from protocol.files import FileTaken, NewReplay
from protocol.ids import new_id
from server.core.clock import Clock
from server.core.containment import RAISED_BY_RULES, log_failure
from server.domains.content.files import replay_file, rules
from server.domains.content.files.model import REPLAYS, Buckets
from server.domains.content.files.uploads import Uploads
from server.gamekit.fold import AnyRuleset

log = logging.getLogger(__name__)

BUILT_AT_ONCE_MAX: Final = 20  # a sweep; games that are played come first
AGAIN_AFTER_S: Final = 600.0
STORED_WITHIN_S: Final = 120.0


class Replays:
    """The replays of one node's making."""

    def __init__(
        self,
        *,
        store: ReplayStore,
        files: FileStore,
        uploads: Uploads,
        clock: Clock,
        rulesets: Mapping[str, AnyRuleset],
        buckets: Buckets,
    ) -> None:
        self._store = store
        self._rulesets = rulesets
        self._buckets = buckets
        self._files = files
        self._uploads = uploads
        self._clock = clock

    async def build_due(self) -> int:
        """Build the replays that are due, so many at most; give how many were built."""
        built = 0
        for _ in range(BUILT_AT_ONCE_MAX):
            due = await self._store.take_due(again_after_s=AGAIN_AFTER_S)
            if due is None:
                break
            built += await self._try(due)
        return built

    async def _try(self, due: DueReplay) -> bool:
        """Build one; what is wrong with it stops neither the others nor the node."""
        try:
            return await self._build(due)
        except (Unavailable, Overloaded, StorageFull):
            raise
        except FileTaken:
            log.info("the replay of match %s is being stored elsewhere", due.match_id)
        except Exception:
            log_failure(f"building the replay of match {due.match_id}")
        return False

    async def _build(self, due: DueReplay) -> bool:
        source = await self._store.read_source(due.game_id)
        if source is None:
            log.error(
                "game %s is over, but not whole: no replay",
                due.game_id,
                extra={"game_id": due.game_id},
            )
            return False
        content = await asyncio.to_thread(self._written, due, source)
        try:
            new = rules.parse_replay_upload(
                due.match_id, NewReplay(size=len(content)), self._buckets
            )
        except InvalidField as too_large:
            log.warning(
                "no replay of game %s: %s", due.game_id, too_large, extra={"game_id": due.game_id}
            )
            return False
        upload = AnnouncedUpload(new_id(), None, due.match_id, **new.model_dump())
        if not await self._files.begin_replay(upload, for_s=STORED_WITHIN_S):
            # An upload that was given up may be in the way.
            expires_at = self._clock.now() + timedelta(seconds=STORED_WITHIN_S)
            await self._files.announce_replay(upload, expires_at=expires_at)
            await self._files.claim_upload(upload.upload_id, for_s=STORED_WITHIN_S)
        await self._uploads.store(upload, content)
        return True

    def _written(self, due: DueReplay, source: ReplaySource) -> bytes:
        """Write the file; without the commands if it would be too large with them."""
        ruleset = self._rulesets.get(source.game.ruleset)
        try:
            made = replay_file.replay_inputs(source.game, source.rows, ruleset)
        except RAISED_BY_RULES:  # the log itself is still good
            log.exception(
                "the commands of game %s cannot be determined",
                due.game_id,
                extra={"game_id": due.game_id},
            )
            made = replay_file.replay_inputs(source.game, source.rows, None)
        content = replay_file.write_replay(due.match_id, *source, made=made)
        if len(content) <= self._buckets[REPLAYS].bytes_max:
            return content
        log.warning(
            "the replay of game %s is too large with its commands",
            due.game_id,
            extra={"game_id": due.game_id},
        )
        return replay_file.write_replay(due.match_id, *source, made=made._replace(commands=None))
