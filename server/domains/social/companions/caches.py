"""What each message to a companion needs and seldom changes: personas, and who is talking."""

from collections.abc import Callable
from typing import Final

from persistence.companions.store import CompanionStore, Speaker, StoredPersona
from protocol.ids import UserId
from server.core.shared_cache import SharedCache
from server.core.subscriptions import Subscriptions

PERSONAS_MAX: Final = 200
SPEAKERS_MAX: Final = 10_000
# A backstop: what the server changes is dropped at once, what others write into the database then.
PERSONA_TTL_S: Final = 300.0
SPEAKER_TTL_S: Final = 60.0


class CompanionCaches:
    """The caches of companions on this node."""

    def __init__(
        self, store: CompanionStore, subscriptions: Subscriptions, now: Callable[[], float]
    ) -> None:
        self.personas: SharedCache[StoredPersona] = SharedCache(
            subscriptions,
            "luminors",
            store.read_persona,
            now=now,
            entries_max=PERSONAS_MAX,
            ttl_s=PERSONA_TTL_S,
        )

        async def read_speaker(user_id: str) -> Speaker:
            return await store.read_speaker(UserId(user_id))

        self.speakers: SharedCache[Speaker] = SharedCache(
            subscriptions,
            "speakers",
            read_speaker,
            now=now,
            entries_max=SPEAKERS_MAX,
            ttl_s=SPEAKER_TTL_S,
        )

    @property
    def hits(self) -> int:
        """How often the database was not asked."""
        return self.personas.hits + self.speakers.hits

    @property
    def misses(self) -> int:
        """How often it was."""
        return self.personas.misses + self.speakers.misses
