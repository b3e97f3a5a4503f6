"""Saves on the wire: slots, their revisions, conflicts, schemas, and what is published to devices.

A slot's state is JSON of the title's own. A write names the revision that it was made from
(`If-Match`); what two devices changed meanwhile is merged by the rules of the title's schema, and
what cannot be merged is kept as a branch, a *conflict*, until somebody resolves it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from protocol.envelope import Command, CommandId, Update, WireModel
from protocol.errors import PlayhallError
from protocol.history import Cursor, Limit
from protocol.ids import UUID_PATTERN
from protocol.limits import INT_MAX
from protocol.lobbies import pattern_with_message
from protocol.schemas import JsonObject
from protocol.text import ONE_LINE, STORABLE

STATE_BYTES_MAX: Final = 1024 * 1024
STATE_DEPTH_MAX: Final = 32
# A state, and what stands around it in a body.
WRITE_BYTES_MAX: Final = STATE_BYTES_MAX + 64 * 1024
PATCH_TYPE: Final = "application/json-patch+json"
PATCH_OPERATIONS_MAX: Final = 1000
MODS_MAX: Final = 64
SCHEMA_BYTES_MAX: Final = 128 * 1024
SCHEMA_RULES_MAX: Final = 500
UPGRADE_STEPS_MAX: Final = 200
POINTER_CHARS_MAX: Final = 500
PATHS_MAX: Final = 100  # of a conflict that are named; there may be more

Uuid = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
TitleName = Annotated[
    str,
    StringConstraints(max_length=64),
    pattern_with_message(
        r"[a-z0-9][a-z0-9_-]*", "Name a title with a to z, digits, dashes and underscores"
    ),
]
SlotName = Annotated[str, StringConstraints(max_length=64), ONE_LINE]
DeviceName = Annotated[str, StringConstraints(max_length=64), ONE_LINE]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
PlayTime = Annotated[int, Field(ge=0, le=INT_MAX)]
Checksum = Annotated[
    str,
    StringConstraints(max_length=71),
    pattern_with_message(
        r"sha256:[0-9a-f]{64}", "Write a checksum as sha256: and 64 lowercase hex digits"
    ),
]
Pointer = Annotated[
    str,
    StringConstraints(max_length=POINTER_CHARS_MAX),
    pattern_with_message(
        r"(?:/(?:[^~/]|~[01])*)+", "Name a field by a JSON Pointer: /chapter/flags"
    ),
]
Package = Annotated[str, StringConstraints(min_length=1, max_length=100), ONE_LINE]
Thumbnail = Annotated[str, StringConstraints(max_length=300), ONE_LINE]
# A state is any JSON object; its size and depth are checked apart.
State = dict[str, Any]
MergeRule = Literal["max", "min", "union", "sum", "newest", "server", "ask"]
Reason = Literal["create", "write", "merge", "restore", "import", "resolve", "undo", "server"]
Outcome = Literal["written", "merged", "conflict"]

# ------------------------------------------------------------------ errors


class SaveSlotNotFound(PlayhallError):
    """You have no save slot with this id; GET /v1/saves lists yours."""

    code, status = "save_slot_not_found", 404


class SlotHoldsSomething(PlayhallError):
    """The slot holds items or currencies, which would be lost; send `discard=true` to accept it."""

    code, status = "slot_holds_something", 409


class TooManySaves(PlayhallError):
    """You have the maximum number of save slots; delete one first."""

    code, status = "too_many_saves", 409


class RevisionRequired(PlayhallError):
    """Send If-Match with the revision that you changed, in quotes, or * to overwrite any."""

    code, status = "revision_required", 428


class BadRevision(PlayhallError):
    """If-Match names a revision that this slot never had; read the slot again."""

    code, status = "bad_revision", 412


class RevisionNotFound(PlayhallError):
    """The slot has no such revision, or it was pruned."""

    code, status = "revision_not_found", 404


class TooManyPins(PlayhallError):
    """You have pinned the maximum number of revisions of this slot; unpin one first."""

    code, status = "too_many_pins", 409


class MutationReused(PlayhallError):
    """This mutation_id was used for something else; make a new one for each change."""

    code, status = "mutation_reused", 409


class SaveMovedOn(PlayhallError):
    """The slot has a newer revision and nothing was written; `details` proposes a merge."""

    code, status = "save_moved_on", 409


class SaveConflict(PlayhallError):
    """Two devices changed the same fields; your write is kept beside it until you resolve this."""

    code, status = "save_conflict", 409


class TooManyConflicts(PlayhallError):
    """The slot has the maximum number of open conflicts; resolve one, then send this again."""

    code, status = "too_many_save_conflicts", 409


class ConflictNotFound(PlayhallError):
    """The slot has no such conflict."""

    code, status = "save_conflict_not_found", 404


class ConflictSettled(PlayhallError):
    """The conflict is not in the state for this; GET the slot's conflicts to see."""

    code, status = "save_conflict_settled", 409


class ServerField(PlayhallError):
    """The server alone writes this field; leave it as you read it."""

    code, status = "server_field", 422


class StateRefused(PlayhallError):
    """The state does not fit the title's save schema."""

    code, status = "state_refused", 422


class PatchRefused(PlayhallError):
    """The JSON Patch cannot be applied to this revision."""

    code, status = "patch_refused", 422


class ChecksumMismatch(PlayhallError):
    """The checksum is not that of the state; send the whole state instead."""

    code, status = "checksum_mismatch", 422


class SaveFileRefused(PlayhallError):
    """This is not a save file, or it was damaged."""

    code, status = "save_file_refused", 422


class SaveSchemaNotFound(PlayhallError):
    """The title has no save schema of this version."""

    code, status = "save_schema_not_found", 404


class SaveSchemaRefused(PlayhallError):
    """The save schema cannot be used."""

    code, status = "save_schema_refused", 422


class SaveSchemaTaken(PlayhallError):
    """This version of the save schema exists and says something else; publish the next version."""

    code, status = "save_schema_taken", 409


class NotUpgradable(PlayhallError):
    """The state cannot be brought to this schema version."""

    code, status = "save_not_upgradable", 409


# ------------------------------------------------------------------ slots


class SlotPath(WireModel):
    """The slot in an address."""

    slot_id: Uuid


class RevisionPath(SlotPath):
    """The revision in an address."""

    revision: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,15}$")]


class NewSave(WireModel):
    """A new slot."""

    title: TitleName
    name: SlotName = ""
    state: State = Field(default_factory=dict)
    schema_version: Version = 1
    device: DeviceName = ""
    play_time_s: PlayTime = 0
    package: Package | None = None
    is_modded: bool = False
    mutation_id: Uuid | None = Field(
        default=None, description="Repeat the request with the same one if no answer came."
    )


class SaveWrite(WireModel):
    """A state that replaces the one of the revision in `If-Match`."""

    state: State
    mutation_id: Uuid = Field(
        description="New for each change; a repeat with the same one and the same content gets the "
        "same answer."
    )
    schema_version: Version | None = Field(default=None, description="As the slot has it.")
    device: DeviceName = ""
    play_time_s: PlayTime | None = None
    package: Package | None = None
    is_modded: bool = False
    on_stale: Literal["merge", "refuse"] = Field(
        default="merge",
        description="If another device wrote meanwhile: merge, or answer 409 and write nothing.",
    )


class SavePatchQuery(WireModel):
    """What belongs to a delta; the patch is the body."""

    mutation_id: Uuid
    checksum: Checksum = Field(description="Of the state after the patch, as canonical JSON.")
    schema_version: Version | None = None
    device: DeviceName = ""
    play_time_s: PlayTime | None = None
    is_modded: bool = False
    on_stale: Literal["merge", "refuse"] = "merge"


class SaveChange(WireModel):
    """What a slot is called; what is left out stays."""

    name: SlotName | None = None
    thumbnail: Thumbnail | None = Field(default=None, description="bucket/path of a stored file.")


class SaveCard(WireModel):
    """A slot in a list, without its state."""

    slot_id: str
    title: str
    name: str
    revision: int
    schema_version: int
    package: str | None
    thumbnail: str | None
    device: str
    play_time_s: int
    size: int = Field(description="Bytes of the state as canonical JSON.")
    checksum: str
    is_modded: bool
    conflicts: int = Field(description="Open ones.")
    created_at: str
    updated_at: str


class Save(SaveCard):
    """A slot with its state; `ETag` is the revision."""

    state: State


class SaveQuery(WireModel):
    """How a slot is read."""

    schema_version: Version | None = Field(
        default=None, description="Bring the state to this version, in the answer alone."
    )


class SavesQuery(WireModel):
    """Which slots."""

    title: TitleName | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class Saves(WireModel):
    """Slots, oldest first."""

    saves: list[SaveCard]
    next: str | None


class SaveWritten(WireModel):
    """The write is committed: `revision` is your own, `current` what the slot has now."""

    slot_id: str
    outcome: Outcome
    revision: int
    current: int
    checksum: str = Field(description="Of the current state.")
    schema_version: int
    is_modded: bool
    state: State | None = Field(
        default=None, description="The current state, where it is not what was sent."
    )
    repeated: bool = Field(default=False, description="The mutation was carried out before.")


class ImportQuery(WireModel):
    """What belongs to an import; the file is the body."""

    mutation_id: Uuid | None = None
    device: DeviceName = ""


class DeleteQuery(WireModel):
    """Whether what the slot holds may be lost."""

    discard: bool = Field(
        default=False, description="Accept that the items and currencies of the slot are lost."
    )


class SaveDeleted(WireModel):
    """The slot is gone, with its revisions."""

    slot_id: str


# ------------------------------------------------------------------ revisions


class RevisionCard(WireModel):
    """A revision, without its state."""

    revision: int
    parents: list[int]
    reason: Reason
    source: int | None = Field(description="The revision that was restored or brought back.")
    device: str
    schema_version: int
    play_time_s: int
    size: int
    checksum: str
    is_modded: bool
    is_pinned: bool
    is_pruned: bool = Field(description="Its state is not kept any more.")
    created_at: str


class Revision(RevisionCard):
    """A revision with its state."""

    state: State


class RevisionsQuery(WireModel):
    """A page of revisions."""

    cursor: Cursor | None = None
    limit: Limit = 20


class Revisions(WireModel):
    """Revisions of all branches, newest first."""

    revisions: list[RevisionCard]
    next: str | None


class Pin(WireModel):
    """Whether a revision is kept whatever comes."""

    is_pinned: bool


class MutationRequest(WireModel):
    """A change without content of its own."""

    mutation_id: Uuid
    device: DeviceName = ""


# ------------------------------------------------------------------ conflicts


class Side(WireModel):
    """A revision with its state; no state if it was pruned."""

    revision: int
    state: State | None


class ConflictDetails(WireModel):
    """`details` of `save_conflict` and `save_moved_on`."""

    slot_id: str
    conflict_id: str | None = Field(description="None where nothing was written.")
    revision: int | None = Field(description="Of your write, on its branch.")
    current: Side
    base: Side | None = Field(description="What both come from.")
    proposal: State = Field(description="Merged; where `paths` differ, as the current state.")
    paths: list[str] = Field(description="The fields to decide, as JSON Pointers.")


class Conflict(WireModel):
    """A branch that could not be merged."""

    conflict_id: str
    base: int | None
    branch: int
    paths: list[str]
    status: Literal["open", "resolved"]
    resolution: int | None = Field(description="The revision that resolved it.")
    opened_at: str
    resolved_at: str | None


class ConflictsQuery(WireModel):
    """A page of conflicts."""

    cursor: Cursor | None = None
    limit: Limit = 20


class Conflicts(WireModel):
    """The conflicts of a slot, open ones first, and the newest of these."""

    conflicts: list[Conflict]
    next: str | None


class Resolve(WireModel):
    """Resolve a conflict: choose a side for all fields or for each, or send a combined state."""

    conflict_id: Uuid
    mutation_id: Uuid
    choose: Literal["current", "branch"] | None = None
    fields: Annotated[dict[Pointer, Literal["current", "branch"]], Field(max_length=PATHS_MAX)] = (
        Field(default_factory=dict, description="A side for a field, beside `choose`.")
    )
    state: State | None = Field(default=None, description="The combined state, instead.")
    device: DeviceName = ""


class Undo(WireModel):
    """Take a resolution back; the conflict is open again."""

    conflict_id: Uuid
    mutation_id: Uuid
    device: DeviceName = ""


# ------------------------------------------------------------------ files


class SaveFile(WireModel):
    """A slot as one file."""

    format: Literal["playhall-save"]
    version: Literal[1]
    title: TitleName
    name: SlotName
    schema_version: Version
    play_time_s: PlayTime
    is_modded: bool
    exported_at: str
    state: State
    checksum: Checksum


# ------------------------------------------------------------------ schemas


class SchemaPath(WireModel):
    """The title in an address."""

    title: TitleName


class SchemaVersionPath(SchemaPath):
    """The version of a title's schema in an address."""

    version: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}$")]


class SaveSchemaRequest(WireModel):
    """How saves of a title are checked, merged and brought up to date."""

    json_schema: Annotated[JsonObject, STORABLE] = Field(
        description="JSON Schema of a state, without its mods."
    )
    merge: Annotated[dict[Pointer, MergeRule], Field(max_length=SCHEMA_RULES_MAX), STORABLE] = (
        Field(
            default_factory=dict, description="A rule for a field; `*` is any key: `/counters/*`."
        )
    )
    otherwise: Literal["ask", "newest"] = Field(
        default="ask", description="The rule of every field without one."
    )
    upgrade: Annotated[list[JsonObject], Field(max_length=UPGRADE_STEPS_MAX), STORABLE] = Field(
        default_factory=list,
        description="JSON Patch that makes a state of the version before fit this one.",
    )


class SaveSchema(SaveSchemaRequest):
    """A version of a title's save schema; it never changes."""

    title: str
    version: int
    created_at: str


class SaveSchemasQuery(WireModel):
    """A page of schemas."""

    cursor: Cursor | None = None
    limit: Limit = 20


class SaveSchemas(WireModel):
    """The versions of a title's save schema, newest first."""

    schemas: list[SaveSchema]
    next: str | None


# ------------------------------------------------------------------ what is published to devices


class ProgressChange(Update):
    """Something about the account's saves changed; `number` counts without gaps."""

    type: Literal["progress.change"] = "progress.change"
    number: int
    kind: str = Field(
        description="save.revision, save.conflict, save.deleted, or another domain's."
    )
    slot_id: str | None
    data: JsonObject
    at: str


class Watching(WireModel):
    """The reply to `progress.watch`."""

    re: CommandId
    type: Literal["ok"] = "ok"
    number: int = Field(description="Of the newest change.")
    is_complete: bool = Field(
        description="False if changes after yours are no longer kept: read the slots again."
    )
    changes: list[ProgressChange]


class Watch(Command):
    """Follow the changes of your own saves; gives those after a number, then each new one."""

    reply: ClassVar[type[WireModel]] = Watching
    type: Literal["progress.watch"]
    after: Annotated[int, Field(ge=0, le=INT_MAX)] | None = None


class Unwatch(Command):
    """Stop following."""

    type: Literal["progress.unwatch"]


COMMANDS: tuple[type[Command], ...] = (Watch, Unwatch)
UPDATES: tuple[type[Update], ...] = (ProgressChange,)


def conflict_details(details: ConflictDetails) -> Mapping[str, object]:
    """Write the details of a conflict as an error carries them."""
    return details.model_dump()
