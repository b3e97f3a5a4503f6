"""Whether stored saves load where other versions of their schema are understood."""

from collections.abc import Sequence
from typing import Final

from persistence.saves.store import SaveStore, parse_state
from protocol.errors import PlayhallError
from server.domains.interfaces import UnloadableSaves
from server.domains.progression.saves.schemas import SaveSchemaRegistry, TitleSchemas

# How many saves of a schema version are tried. If more are stored, those are a sample.
TRIED_MAX: Final = 2000
READ_AT_ONCE: Final = 50
_FIRST: Final = "00000000-0000-0000-0000-000000000000"


class SaveCompatibilityChecker:
    """Tries upgrades on the saves that are stored; see `SaveCompatibility`."""

    def __init__(self, store: SaveStore, schemas: SaveSchemaRegistry) -> None:
        self._store = store
        self._schemas = schemas

    async def find_unloadable(
        self, title: str, *, oldest: int, newest: int
    ) -> Sequence[UnloadableSaves]:
        """Find a title's saves that do not load where these versions are understood."""
        schemas = await self._schemas.find_title(title, version=newest)
        broken = []
        for version, saves in await self._store.count_by_schema_version(title):
            if version > newest:
                reason = f"version {newest} is the newest that is understood"
                broken.append(UnloadableSaves(version, saves, reason))
            elif version < oldest:
                failed, reason = await self._try(schemas, version, oldest)
                if failed:
                    broken.append(UnloadableSaves(version, failed, reason))
        return broken

    async def _try(self, schemas: TitleSchemas, version: int, target: int) -> tuple[int, str]:
        """Bring saves to a version; gives how many cannot be brought there, and why the first."""
        if schemas.newest < target:
            return 1, f"there is no save schema of version {target}"
        failed, reason, after = 0, "", _FIRST
        for _ in range(TRIED_MAX // READ_AT_ONCE):
            page = await self._store.read_states(
                schemas.title, version, after=after, limit=READ_AT_ONCE
            )
            for slot_id, json in page:
                after = slot_id
                try:
                    state = schemas.upgrade_state(parse_state(json), version, target)
                    schemas.validate(state, target)
                except PlayhallError as error:
                    failed += 1
                    reason = reason or error.message
            if len(page) < READ_AT_ONCE:
                break
        return failed, reason
