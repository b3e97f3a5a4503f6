"""The schemas of payloads: compiled once, kept by version, and compiled again when corrected."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import jsonschema_rs
import orjson

from persistence.telemetry.schemas import StoredTelemetrySchema, TelemetrySchemaStore
from protocol.errors import InvalidField
from protocol.telemetry import SCHEMA_BYTES_MAX
from server.domains.progression.telemetry.rules import Check, EventType

# Patterns are matched in linear time, by automata of bounded size: no payload can make one stall.
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)


def compile_schema(schema: Mapping[str, Any]) -> Check:
    """Compile a schema; raise `InvalidField` for one that does not compile.

    Nothing is fetched: a reference that leads out of the schema does not compile.
    """
    if len(orjson.dumps(schema)) > SCHEMA_BYTES_MAX:
        raise InvalidField(
            f"json_schema: at most {SCHEMA_BYTES_MAX} bytes are allowed.", field="json_schema"
        )
    try:
        validator = jsonschema_rs.validator_for(
            dict(schema), offline=True, pattern_options=_PATTERNS
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        problem = " ".join(str(error).split())[:300]
        raise InvalidField(
            f"json_schema: it does not compile: {problem}", field="json_schema"
        ) from None

    def check(payload: object) -> str | None:
        if validator.is_valid(payload):
            return None
        error = next(iter(validator.iter_errors(payload)))
        place = ".".join(str(part) for part in ("payload", *error.instance_path))
        return f"{place}: {error.message}."

    return check


class _Compiled(NamedTuple):
    registered_at: datetime
    check: Check


class TelemetrySchemaRegistry:
    """What this node knows of the types; `look` brings it up to date."""

    def __init__(self, store: TelemetrySchemaStore) -> None:
        self._store = store
        self._compiled: dict[tuple[str, int], _Compiled] = {}
        self.types: Mapping[str, EventType] = {}
        self.kept_days_max = 0

    async def reload(self) -> None:
        """Read the schemas, and compile those that are new or were corrected."""
        self._take(await self._store.list_schemas())

    def _take(self, stored: Iterable[StoredTelemetrySchema]) -> None:
        compiled: dict[tuple[str, int], _Compiled] = {}
        types: dict[str, EventType] = {}
        for each in stored:
            key = (each.event_type, each.version)
            known = self._compiled.get(key)
            if known is None or known.registered_at != each.registered_at:
                known = _Compiled(each.registered_at, compile_schema(orjson.loads(each.schema)))
            compiled[key] = known
            before = types.get(each.event_type)
            checks = {} if before is None else before.checks
            types[each.event_type] = EventType(
                each.purpose, each.kept_days, each.version, {**checks, each.version: known.check}
            )
        self._compiled, self.types = compiled, types
        self.kept_days_max = max((each.kept_days for each in types.values()), default=0)
