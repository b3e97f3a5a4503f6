"""`/v1/saves`: slots, writing them, their revisions and conflicts; the schemas of titles."""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import BaseModel

from persistence.saves.schemas import StoredSaveSchema
from persistence.saves.store import (
    REVISION_MAX,
    ConflictPlace,
    SlotPosition,
    StoredConflict,
    StoredRevision,
    StoredSlot,
    parse_state,
)
from protocol import saves as wire
from protocol.errors import Forbidden, InvalidField, RateLimited
from protocol.ids import PlayerId
from server.core.clock import Clock, wire_fields, wire_time
from server.core.cursors import CursorCodec
from server.core.rate_limits import Rate, RateLimiter
from server.domains.progression.saves.schemas import SaveSchemaRegistry
from server.domains.progression.saves.service import ANY, Base, SaveService
from server.domains.progression.saves.settings import SavesSettings
from server.domains.progression.saves.states import read_patch
from server.gateway.http.endpoints import Endpoint, HttpRequest, RawResponse, is_known

TAG: Final = "saves"
ALL: Final = "/v1/saves"
ONE: Final = f"{ALL}/{{slot_id}}"
REVISIONS: Final = f"{ONE}/revisions"
REVISION: Final = f"{REVISIONS}/{{revision}}"
SCHEMAS: Final = "/v1/save-schemas/{title}"
IF_MATCH: Final = {
    "If-Match": 'The revision that was changed, in quotes: "7". * overwrites whatever is there.'
}
IF_NONE_MATCH: Final = {
    "If-None-Match": "The revision that you have; answers 304 if it is current."
}

_SLOTS: Final = CursorCodec("saves", SlotPosition, datetime, UUID)
_REVISIONS: Final = CursorCodec("revisions", int, int, int_max=REVISION_MAX)
_CONFLICTS: Final = CursorCodec("conflicts", ConflictPlace, str, datetime, UUID)
_SCHEMAS: Final = CursorCodec("save-schemas", int, int)
_REVISION_TAG: Final = re.compile(r'"([1-9][0-9]{0,15})"')


class SaveRoutes:
    """The addresses of saves."""

    def __init__(
        self,
        *,
        service: SaveService,
        schemas: SaveSchemaRegistry,
        settings: SavesSettings,
        clock: Clock,
        saw: Callable[[PlayerId], None],
    ) -> None:
        """`saw` is called with whose request it is."""
        self._service = service
        self._saw = saw
        self._schemas = schemas
        self._clock = clock
        self._limit = RateLimiter(
            "saves",
            Rate(settings.saves_writes_per_minute, settings.saves_writes_burst),
            "You are saving too often",
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [
            *self._of_slots(),
            *self._of_writing(),
            *self._of_revisions(),
            *self._of_conflicts(),
            *self._of_schemas(),
        ]

    def _of_slots(self) -> list[Endpoint]:
        make = partial(Endpoint, auth="required", tag=TAG)
        none = (wire.SaveSlotNotFound, InvalidField)
        return [
            make(
                "GET",
                ALL,
                "List your save slots, oldest first.",
                self._list,
                query=wire.SavesQuery,
                answer=wire.Saves,
                is_tagged=True,
            ),
            self._writing(
                "POST",
                ALL,
                "Make a save slot.",
                self._create,
                body=wire.NewSave,
                answer=wire.Save,
                errors=(wire.TooManySaves,),
            ),
            make(
                "GET",
                ONE,
                "Read a slot.",
                self._read,
                query=wire.SaveQuery,
                answer=wire.Save,
                headers=IF_NONE_MATCH,
                errors=(*none, wire.SaveSchemaNotFound, wire.NotUpgradable),
            ),
            make(
                "PATCH",
                f"{ONE}/name",
                "Rename a slot, or give it a thumbnail.",
                self._change,
                body=wire.SaveChange,
                answer=wire.Save,
                errors=none,
            ),
            make(
                "DELETE",
                ONE,
                "Delete a slot with all its revisions, and what it holds if you accept that.",
                self._delete,
                query=wire.DeleteQuery,
                answer=wire.SaveDeleted,
                errors=(*none, wire.SlotHoldsSomething),
            ),
            make(
                "GET",
                f"{ONE}/export",
                "Export a slot.",
                self._export,
                answer=wire.SaveFile,
                errors=none,
            ),
            self._writing(
                "POST",
                f"{ALL}/import",
                "Make a slot of an exported file.",
                self._import,
                query=wire.ImportQuery,
                body=wire.SaveFile,
                answer=wire.Save,
                errors=(wire.TooManySaves, wire.SaveFileRefused),
            ),
        ]

    def _of_writing(self) -> list[Endpoint]:
        refusals = (
            wire.SaveSlotNotFound,
            wire.RevisionRequired,
            wire.BadRevision,
            wire.SaveConflict,
            wire.SaveMovedOn,
            wire.TooManyConflicts,
            wire.NotUpgradable,
        )
        return [
            self._writing(
                "PUT",
                ONE,
                "Write a state.",
                self._write,
                body=wire.SaveWrite,
                answer=wire.SaveWritten,
                headers=IF_MATCH,
                errors=refusals,
            ),
            self._writing(
                "PATCH",
                ONE,
                "Write the difference from a revision, as a JSON Patch (RFC 6902).",
                self._patch,
                query=wire.SavePatchQuery,
                body=bytes,
                body_type=wire.PATCH_TYPE,
                answer=wire.SaveWritten,
                headers=IF_MATCH,
                errors=(*refusals, wire.RevisionNotFound, wire.PatchRefused, wire.ChecksumMismatch),
            ),
        ]

    def _of_revisions(self) -> list[Endpoint]:
        make = partial(Endpoint, auth="required", tag=TAG)
        none = (wire.SaveSlotNotFound, wire.RevisionNotFound, InvalidField)
        return [
            make(
                "GET",
                REVISIONS,
                "List the revisions of a slot, of all branches, newest first.",
                self._revisions,
                query=wire.RevisionsQuery,
                answer=wire.Revisions,
                is_tagged=True,
                errors=(wire.SaveSlotNotFound,),
            ),
            make(
                "GET",
                REVISION,
                "Read a revision.",
                self._revision,
                answer=wire.Revision,
                is_tagged=True,
                errors=none,
            ),
            make(
                "PATCH",
                REVISION,
                "Pin a revision, so that it is kept, or let it go.",
                self._pin,
                body=wire.Pin,
                answer=wire.RevisionCard,
                errors=(*none, wire.TooManyPins),
            ),
            self._writing(
                "POST",
                f"{REVISION}/restore",
                "Make a revision current again, as a new one.",
                self._restore,
                body=wire.MutationRequest,
                answer=wire.SaveWritten,
                headers=IF_MATCH,
                errors=(*none, wire.RevisionRequired, wire.SaveMovedOn),
            ),
        ]

    def _of_conflicts(self) -> list[Endpoint]:
        settling = (
            wire.SaveSlotNotFound,
            wire.ConflictNotFound,
            wire.ConflictSettled,
            wire.RevisionRequired,
            wire.SaveMovedOn,
        )
        return [
            Endpoint(
                "GET",
                f"{ONE}/conflicts",
                "List the conflicts of a slot, open ones first.",
                self._conflicts,
                auth="required",
                query=wire.ConflictsQuery,
                answer=wire.Conflicts,
                is_tagged=True,
                errors=(wire.SaveSlotNotFound,),
                tag=TAG,
            ),
            self._writing(
                "POST",
                f"{ONE}/resolve",
                "Resolve a conflict: choose sides, or send a combined state.",
                self._resolve,
                body=wire.Resolve,
                answer=wire.SaveWritten,
                headers=IF_MATCH,
                errors=settling,
            ),
            self._writing(
                "POST",
                f"{ONE}/undo",
                "Take back a resolution that is still current.",
                self._undo,
                body=wire.Undo,
                answer=wire.SaveWritten,
                headers=IF_MATCH,
                errors=(*settling, wire.RevisionNotFound),
            ),
        ]

    def _of_schemas(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET",
                SCHEMAS,
                "List the versions of a title's save schema, newest first.",
                self._list_schemas,
                auth="none",
                query=wire.SaveSchemasQuery,
                answer=wire.SaveSchemas,
                is_tagged=True,
                tag=TAG,
            ),
            Endpoint(
                "PUT",
                "/v1/admin/save-schemas/{title}/{version}",
                "Publish the next version of a title's save schema.",
                self._publish,
                auth="required",
                scope="editor",
                body=wire.SaveSchemaRequest,
                answer=wire.SaveSchema,
                errors=(Forbidden, wire.SaveSchemaRefused, wire.SaveSchemaTaken),
                tag=TAG,
            ),
        ]

    def _writing(
        self,
        method: Any,
        path: str,
        summary: str,
        handler: Callable[[HttpRequest], Awaitable[Any]],
        *,
        errors: tuple[Any, ...],
        **fields: Any,
    ) -> Endpoint:
        """Describe an address that writes: its body may be large and compressed."""
        return Endpoint(
            method,
            path,
            summary,
            handler,
            auth="required",
            tag=TAG,
            body_bytes_max=wire.WRITE_BYTES_MAX,
            is_compressible=True,
            admit=self._admit,
            errors=(
                RateLimited,
                InvalidField,
                wire.MutationReused,
                wire.ServerField,
                wire.StateRefused,
                wire.SaveSchemaNotFound,
                *errors,
            ),
            **fields,
        )

    def _admit(self, request: HttpRequest) -> None:
        self._limit.require_allowed(request.who.user_id, self._clock.monotonic())
        self._saw(request.who.player_id)

    # ------------------------------------------------------------------ slots

    async def _list(self, request: HttpRequest) -> wire.Saves:
        query: wire.SavesQuery = request.query
        after = SlotPosition() if query.cursor is None else _SLOTS.read(query.cursor)
        slots = await self._service.list_slots(
            request.who.requester, title=query.title, after=after, limit=query.limit
        )
        return wire.Saves(
            saves=[wire.SaveCard(**_card(slot)) for slot in slots],
            next=_SLOTS.after_page(
                slots, query.limit, lambda last: SlotPosition(last.created_at, last.slot_id)
            ),
        )

    async def _create(self, request: HttpRequest) -> RawResponse:
        return _save(await self._service.create(request.who.requester, request.body))

    async def _read(self, request: HttpRequest) -> RawResponse:
        query: wire.SaveQuery = request.query
        slot = await self._service.read(
            request.who.requester, _slot_id(request), query.schema_version
        )
        tag = _tag(slot.progression_version)
        known = request.headers.get("If-None-Match", "")
        if query.schema_version is None and is_known(known, tag):
            return RawResponse(b"", "application/json", status=304, headers={"ETag": tag})
        return _save(slot)

    async def _change(self, request: HttpRequest) -> RawResponse:
        slot_id = _slot_id(request)
        return _save(await self._service.change(request.who.requester, slot_id, request.body))

    async def _delete(self, request: HttpRequest) -> wire.SaveDeleted:
        slot_id = _slot_id(request)
        query: wire.DeleteQuery = request.query
        await self._service.delete(request.who.requester, slot_id, discards=query.discard)
        return wire.SaveDeleted(slot_id=slot_id)

    async def _export(self, request: HttpRequest) -> RawResponse:
        file = await self._service.export(request.who.requester, _slot_id(request))
        name = f'attachment; filename="{file.title}.playhall-save.json"'
        return _raw(file, {"Content-Disposition": name})

    async def _import(self, request: HttpRequest) -> RawResponse:
        who = request.who.requester
        return _save(await self._service.import_file(who, request.body, request.query))

    # ------------------------------------------------------------------ writing

    async def _write(self, request: HttpRequest) -> RawResponse:
        slot_id, base = _slot_id(request), _base(request)
        return _answer(
            await self._service.write(request.who.requester, slot_id, base, request.body)
        )

    async def _patch(self, request: HttpRequest) -> RawResponse:
        slot_id, base = _slot_id(request), _base(request)
        if request.headers.get("Content-Type", "").partition(";")[0].strip() != wire.PATCH_TYPE:
            raise InvalidField(f"Content-Type: send {wire.PATCH_TYPE}.", field="Content-Type")
        patch = read_patch(request.body)
        return _answer(
            await self._service.patch(request.who.requester, slot_id, base, patch, request.query)
        )

    # ------------------------------------------------------------------ revisions

    async def _revisions(self, request: HttpRequest) -> wire.Revisions:
        query: wire.RevisionsQuery = request.query
        found = await self._service.revisions(
            request.who.requester,
            _slot_id(request),
            below=REVISION_MAX if query.cursor is None else _REVISIONS.read(query.cursor),
            limit=query.limit,
        )
        return wire.Revisions(
            revisions=[_revision_card(each) for each in found],
            next=_REVISIONS.after_page(found, query.limit, lambda last: last.revision),
        )

    async def _revision(self, request: HttpRequest) -> wire.Revision:
        slot_id, revision = _revision_of(request)
        found = await self._service.revision(request.who.requester, slot_id, revision)
        assert found.state is not None
        return wire.Revision(**_revision_card(found).model_dump(), state=parse_state(found.state))

    async def _pin(self, request: HttpRequest) -> wire.RevisionCard:
        slot_id, revision = _revision_of(request)
        return _revision_card(
            await self._service.pin(
                request.who.requester, slot_id, revision, is_pinned=request.body.is_pinned
            )
        )

    async def _restore(self, request: HttpRequest) -> RawResponse:
        (slot_id, revision), base = _revision_of(request), _base(request)
        who = request.who.requester
        return _answer(await self._service.restore(who, slot_id, base, revision, request.body))

    # ------------------------------------------------------------------ conflicts

    async def _conflicts(self, request: HttpRequest) -> wire.Conflicts:
        query: wire.ConflictsQuery = request.query
        after = ConflictPlace() if query.cursor is None else _CONFLICTS.read(query.cursor)
        found = await self._service.conflicts(
            request.who.requester, _slot_id(request), after=after, limit=query.limit
        )
        return wire.Conflicts(
            conflicts=[_conflict(each) for each in found],
            next=_CONFLICTS.after_page(
                found,
                query.limit,
                lambda last: ConflictPlace(last.status, last.opened_at, last.conflict_id),
            ),
        )

    async def _resolve(self, request: HttpRequest) -> RawResponse:
        slot_id, base = _slot_id(request), _base(request)
        return _answer(
            await self._service.resolve(request.who.requester, slot_id, base, request.body)
        )

    async def _undo(self, request: HttpRequest) -> RawResponse:
        slot_id, base = _slot_id(request), _base(request)
        return _answer(await self._service.undo(request.who.requester, slot_id, base, request.body))

    # ------------------------------------------------------------------ schemas

    async def _list_schemas(self, request: HttpRequest) -> wire.SaveSchemas:
        title = request.parse_path(wire.SchemaPath).title
        query: wire.SaveSchemasQuery = request.query
        below = REVISION_MAX if query.cursor is None else _SCHEMAS.read(query.cursor)
        known = (await self._schemas.find_title(title)).versions
        page = sorted((each for each in known if each < below), reverse=True)[: query.limit]
        return wire.SaveSchemas(
            schemas=[_schema(known[version].stored) for version in page],
            next=_SCHEMAS.after_page(page, query.limit, int),
        )

    async def _publish(self, request: HttpRequest) -> wire.SaveSchema:
        path = request.parse_path(wire.SchemaVersionPath)
        published = await self._schemas.publish(
            path.title, int(path.version), request.body, actor=request.who.user_id
        )
        return _schema(published)


# ------------------------------------------------------------------ reading requests


def _slot_id(request: HttpRequest) -> str:
    return request.parse_path(wire.SlotPath).slot_id


def _revision_of(request: HttpRequest) -> tuple[str, int]:
    path = request.parse_path(wire.RevisionPath)
    return path.slot_id, int(path.revision)


def _base(request: HttpRequest) -> Base:
    """Read which revision a change was made from; raise `RevisionRequired`."""
    tag = request.headers.get("If-Match", "").strip()
    if tag == "*":
        return ANY
    found = _REVISION_TAG.fullmatch(tag)
    if found is None:
        raise wire.RevisionRequired(field="If-Match")
    return int(found[1])


# ------------------------------------------------------------------ writing answers


def _tag(revision: int) -> str:
    return f'"{revision}"'


def _raw(answer: BaseModel, headers: dict[str, str]) -> RawResponse:
    return RawResponse(orjson.dumps(answer.model_dump()), "application/json", headers=headers)


def _answer(answered: wire.SaveWritten) -> RawResponse:
    return _raw(answered, {"ETag": _tag(answered.current)})


def _save(slot: StoredSlot) -> RawResponse:
    assert slot.narrative_state is not None
    # The state goes out as it is stored, without being parsed.
    shown = {**_card(slot), "state": orjson.Fragment(slot.narrative_state)}
    headers = {"ETag": _tag(slot.progression_version)}
    return RawResponse(orjson.dumps(shown), "application/json", headers=headers)


def _card(slot: StoredSlot) -> dict[str, Any]:
    fields = wire_fields(slot)
    for unshown in ("account_id", "last_revision", "narrative_state"):
        del fields[unshown]
    fields["revision"] = fields.pop("progression_version")
    return fields


def _revision_card(stored: StoredRevision) -> wire.RevisionCard:
    fields = wire_fields(stored)
    del fields["slot_id"], fields["state"]
    return wire.RevisionCard(**fields)


def _conflict(stored: StoredConflict) -> wire.Conflict:
    return wire.Conflict(**wire_fields(stored))


def _schema(stored: StoredSaveSchema) -> wire.SaveSchema:
    return wire.SaveSchema(
        title=stored.title,
        version=stored.version,
        json_schema=stored.schema,
        merge=dict(stored.merge),
        otherwise=stored.otherwise,
        upgrade=stored.upgrade,
        created_at=wire_time(stored.created_at),
    )
