"""The save schemas of titles: compiled once, kept in memory, and read anew when one is added.

A version never changes, so what was compiled stays right. Regular expressions of a schema run in
linear time, and it refers to nothing outside of itself.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson
from jsonschema_rs import ReferencingError, RegexOptions, ValidationError, Validator, validator_for

from persistence.database import Connection
from persistence.saves.schemas import SaveSchemaStore, StoredSaveSchema
from protocol.ids import UserId
from protocol.saves import (
    SCHEMA_BYTES_MAX,
    NotUpgradable,
    PatchRefused,
    SaveSchemaNotFound,
    SaveSchemaRefused,
    SaveSchemaRequest,
    SaveSchemaTaken,
    StateRefused,
)
from server.core.clock import Clock
from server.domains.progression.saves.rules import MergeRules, format_pointer, merge_rules
from server.domains.progression.saves.states import (
    State,
    StateLimits,
    apply_patch,
    check_patch,
    without_mods,
)

log = logging.getLogger(__name__)

Hook: TypeAlias = Callable[[State], State]

TITLES_MAX: Final = 256  # in memory; beyond that the one unused for longest is dropped
READ_AGAIN_S: Final = 5.0  # so long a title may not hear of a version that another node took
REGEX_BYTES_MAX: Final = 1 << 20
_SAID_CHARS_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A version of a title's save schema, ready for use."""

    stored: StoredSaveSchema
    validator: Validator
    rules: MergeRules


@dataclass(slots=True)
class TitleSchemas:
    """The versions of one title; none where a title has no schema."""

    title: str
    limits: StateLimits
    hooks: Mapping[tuple[str, int], Hook]
    versions: dict[int, CompiledSchema] = field(default_factory=dict)
    read_at: float = float("-inf")

    @property
    def newest(self) -> int:
        """The newest version; 0 where there is none."""
        return max(self.versions, default=0)

    def require(self, version: int) -> None:
        """Raise `SaveSchemaNotFound` for a version that the title does not have."""
        if self.versions and version not in self.versions:
            raise SaveSchemaNotFound(
                f"{self.title} has no save schema of version {version}; its newest is "
                f"{self.newest}.",
                field="schema_version",
            )

    def rules(self, version: int) -> MergeRules:
        """Give the rules by which states of a version are merged."""
        compiled = self.versions.get(version)
        return compiled.rules if compiled is not None else MergeRules()

    def validate(self, state: State, version: int) -> None:
        """Raise `StateRefused` for a state that does not fit, with the field."""
        compiled = self.versions.get(version)
        if compiled is None:
            return
        problem = next(compiled.validator.iter_errors(without_mods(state)), None)
        if problem is not None:
            place = format_pointer(tuple(str(key) for key in problem.instance_path))
            said = problem.message[:_SAID_CHARS_MAX].rstrip(".")
            raise StateRefused(f"state{place}: {said}.", field=f"state{place}")

    def fits(self, state: State, version: int) -> bool:
        """Say whether a state fits."""
        compiled = self.versions.get(version)
        return compiled is None or compiled.validator.is_valid(without_mods(state))

    def upgrade_state(self, state: State, version: int, target: int) -> State:
        """Bring a state to a newer version, step by step; raise `NotUpgradable`.

        The result need not fit: a title may ask its player for what is missing.
        """
        if version > target:
            raise NotUpgradable(
                f"The save has schema version {version}, which is newer than {target}; update the "
                "game.",
                field="schema_version",
            )
        for step in range(version + 1, target + 1):
            compiled = self.versions.get(step)
            if compiled is None:
                continue
            try:
                state = apply_patch(state, compiled.stored.upgrade, self.limits)
            except PatchRefused as error:
                raise NotUpgradable(
                    f"The step to schema version {step} failed: {error.message}"
                ) from None
            if (hook := self.hooks.get((self.title, step))) is not None:
                state = self._by_hook(hook, state, step)
        return state

    def _by_hook(self, hook: Hook, state: State, step: int) -> State:
        """Have a title's own function do a step; a mistake in it costs this request alone."""
        try:
            return hook(state)
        except Exception:
            log.exception("the step of %s to save schema version %d failed", self.title, step)
            raise NotUpgradable(f"The step to schema version {step} failed.") from None


class SaveSchemaRegistry:
    """Finds the schemas of titles, and takes in new versions."""

    def __init__(self, store: SaveSchemaStore, clock: Clock, limits: StateLimits) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._titles: OrderedDict[str, TitleSchemas] = OrderedDict()
        self._hooks: dict[tuple[str, int], Hook] = {}

    def add_upgrade(self, title: str, version: int, hook: Hook) -> None:
        """Have a function do a step to a version, after the patch; a title package adds it."""
        self._hooks[title, version] = hook

    async def find_title(
        self, title: str, *, version: int = 0, connection: Connection | None = None
    ) -> TitleSchemas:
        """Find a title's schemas, those of other nodes too; `version` is one that is looked for."""
        known = self._titles.get(title)
        if known is None:
            known = TitleSchemas(title, self._limits, self._hooks)
        now = self._clock.monotonic()
        if known.newest < version or now - known.read_at > READ_AGAIN_S:
            found = await self._store.read(title, above=known.newest, connection=connection)
            for stored in found:
                known.versions[stored.version] = compile_schema(stored)
            known.read_at = now
            if not known.versions:  # whatever anybody asks for would drop what is needed
                return known
            self._titles[title] = known
            self._titles.move_to_end(title)
            if len(self._titles) > TITLES_MAX:
                self._titles.popitem(last=False)
        return known

    async def publish(
        self, title: str, version: int, asked: SaveSchemaRequest, *, actor: UserId
    ) -> StoredSaveSchema:
        """Add a version; the same one again is harmless. Raise why it cannot be used."""
        known = await self.find_title(title, version=version)
        new = StoredSaveSchema(
            title,
            version,
            asked.json_schema,
            asked.merge,
            asked.otherwise,
            asked.upgrade,
            self._clock.now(),
        )
        if version in known.versions:
            return _require_same(known.versions[version].stored, new)
        if version != known.newest + 1:
            raise SaveSchemaRefused(
                f"version: the next one of {title} is {known.newest + 1}.", field="version"
            )
        compile_schema(new)
        at = await self._store.add(new, actor=actor)
        known.read_at = float("-inf")
        if at is None:  # somebody else did at the same moment
            known = await self.find_title(title, version=version)
            return _require_same(known.versions[version].stored, new)
        return new._replace(created_at=at)


def compile_schema(stored: StoredSaveSchema) -> CompiledSchema:
    """Compile a schema; raise `SaveSchemaRefused` with what is wrong with it."""
    if len(orjson.dumps(stored.schema)) > SCHEMA_BYTES_MAX:
        raise SaveSchemaRefused(
            f"json_schema: keep it within {SCHEMA_BYTES_MAX} bytes of JSON.", field="json_schema"
        )
    try:
        check_patch(stored.upgrade)
    except PatchRefused as error:
        raise SaveSchemaRefused(f"upgrade: {error.message}", field="upgrade") from None
    try:
        validator = validator_for(
            stored.schema,
            offline=True,
            mask="the value",
            pattern_options=RegexOptions(size_limit=REGEX_BYTES_MAX),
        )
    except (ValidationError, ReferencingError, ValueError) as error:
        said = str(error).partition("\n")[0][:_SAID_CHARS_MAX].rstrip(".")
        raise SaveSchemaRefused(
            f"json_schema: it does not compile: {said}.", field="json_schema"
        ) from None
    return CompiledSchema(stored, validator, merge_rules(stored.merge, stored.otherwise))


def _require_same(stored: StoredSaveSchema, new: StoredSaveSchema) -> StoredSaveSchema:
    if _said(stored) != _said(new):
        raise SaveSchemaTaken
    return stored


def _said(schema: StoredSaveSchema) -> tuple[Any, ...]:
    return tuple(
        orjson.dumps(part, option=orjson.OPT_SORT_KEYS)
        for part in (schema.schema, schema.merge, schema.otherwise, schema.upgrade)
    )
