"""The use cases of saves: each decides by `rules.py`, in one transaction that holds the slot."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson

from persistence.database import Connection
from persistence.rls import Requester
from persistence.saves.changes import ChangeRow, ProgressStore
from persistence.saves.store import (
    ConflictPlace,
    FoundMutation,
    MutationRaced,
    MutationRow,
    NewSlot,
    RevisionRow,
    SaveStore,
    SaveTransaction,
    SlotAlreadyCreated,
    SlotPosition,
    StoredConflict,
    StoredRevision,
    StoredSlot,
    lock_slot,
    parse_state,
    read_slot,
    slot_titles,
)
from protocol import saves as wire
from protocol.envelope import WireModel
from protocol.errors import InvalidField, Overloaded, PlayhallError, Unavailable
from protocol.ids import UserId, new_id
from server.core.clock import Clock, wire_time
from server.domains.interfaces import ProgressStream, SaveSlot, SlotHoldings
from server.domains.progression.saves import rules
from server.domains.progression.saves.rules import (
    NewRevision,
    OpenBranch,
    RevisionContent,
    WriteDecision,
)
from server.domains.progression.saves.schemas import SaveSchemaRegistry, TitleSchemas
from server.domains.progression.saves.settings import SavesSettings
from server.domains.progression.saves.states import (
    CanonicalState,
    State,
    StateLimits,
    apply_patch,
    canonicalise_state,
    content_hash,
    is_modded,
    keep_mods,
    validate_client_state,
)
from server.domains.services import Services

# Every so many revisions it is looked what need not be kept.
PRUNE_EVERY: Final = 16
CONFLICTS_MAX: Final = 20  # open ones of a slot, since neither of their branches is pruned
LARGE_BYTES: Final = 64 * 1024
NAMED_MAX: Final = 5  # of what a slot holds, in a message
REVISIONS_MAX: Final = 1000  # rows of a slot, most of them without a state

ANY: Final = None
"""The base of a write that overwrites whatever is there."""

Base: TypeAlias = int | None
_Answer: TypeAlias = wire.SaveWritten | wire.ConflictDetails


class WriteRequest(NamedTuple):
    """A write, whichever way it came.

    `make` gives the state, from that of the base, which is None if it was pruned.
    """

    make: Callable[[State | None], CanonicalState]
    mutation_id: str
    mutation_hash: str
    schema_version: int | None
    device: str
    play_time_s: int | None
    package: str | None
    is_modded: bool
    refuses_stale: bool


class SaveService:
    """What people do with their saves."""

    def __init__(
        self,
        *,
        store: SaveStore,
        schemas: SaveSchemaRegistry,
        settings: SavesSettings,
        announce: Callable[[ChangeRow], None],
        clock: Clock,
        limits: StateLimits,
        deletions: "Deletions",
    ) -> None:
        self._store = store
        self._deletions = deletions
        self._schemas = schemas
        self._settings = settings
        self._announce = announce
        self._clock = clock
        self._limits = limits
        self.written = self.merged = self.conflicts_made = 0  # totals since the start
        self._retention = rules.RevisionRetention(
            settings.saves_revisions_kept, settings.saves_revisions_bytes_max
        )

    # ------------------------------------------------------------------ slots

    async def create(self, who: Requester, asked: wire.NewSave) -> StoredSlot:
        """Make a slot; a repeat gives the slot that was made."""
        state = validate_client_state(asked.state, self._limits)
        schemas = await self._schemas.find_title(asked.title, version=asked.schema_version)
        schemas.require(asked.schema_version)
        _require_no_change(
            rules.with_server_fields({}, state.state, schemas.rules(asked.schema_version)).changed
        )
        schemas.validate(state.state, asked.schema_version)
        new = NewSlot(
            slot_id=new_id(),
            state=state.json,
            title=asked.title,
            name=asked.name,
            schema_version=asked.schema_version,
            package=asked.package,
            device=asked.device,
            play_time_s=asked.play_time_s,
            checksum=state.checksum,
            is_modded=asked.is_modded or is_modded(state.state),
            reason="create",
            mutation_id=asked.mutation_id,
            mutation_hash=_hash_of("create", asked) if asked.mutation_id else None,
        )
        return await self._made(who, new)

    async def import_file(
        self, who: Requester, file: wire.SaveFile, query: wire.ImportQuery
    ) -> StoredSlot:
        """Make a slot of a file; the server's fields do not come along."""
        state = validate_client_state(file.state, self._limits)
        if state.checksum != file.checksum:
            raise wire.SaveFileRefused(
                "checksum: it is not that of the state; the file was changed or damaged.",
                field="checksum",
            )
        schemas = await self._schemas.find_title(file.title, version=file.schema_version)
        schemas.require(file.schema_version)
        kept = rules.with_server_fields({}, state.state, schemas.rules(file.schema_version)).state
        state = canonicalise_state(kept)
        schemas.validate(state.state, file.schema_version)
        new = NewSlot(
            slot_id=new_id(),
            state=state.json,
            title=file.title,
            name=file.name,
            schema_version=file.schema_version,
            package=None,
            device=query.device,
            play_time_s=file.play_time_s,
            checksum=state.checksum,
            is_modded=file.is_modded or is_modded(state.state),
            reason="import",
            mutation_id=query.mutation_id,
            mutation_hash=_hash_of("import", file) if query.mutation_id else None,
        )
        return await self._made(who, new)

    async def _made(self, who: Requester, new: NewSlot) -> StoredSlot:
        said = {"revision": 1, "reason": new.reason, "device": new.device}
        try:
            change = await self._store.create_slot(
                who.user_id,
                new,
                slots_max=self._settings.saves_slots_max,
                said={**said, "checksum": new.checksum},
            )
        except SlotAlreadyCreated as before:
            if before.mutation_hash != new.mutation_hash:
                raise wire.MutationReused(field="mutation_id") from None
            return await self._store.read(who, before.slot_id)
        self._announce(change)
        return await self._store.read(who, new.slot_id)

    async def list_slots(
        self, who: Requester, *, title: str | None, after: SlotPosition, limit: int
    ) -> list[StoredSlot]:
        """List somebody's own slots."""
        return await self._store.list_slots(who, title=title, after=after, limit=limit)

    async def read(
        self, who: Requester, slot_id: str, schema_version: int | None = None
    ) -> StoredSlot:
        """Read a slot, its state at a schema version if one is asked for."""
        slot = await self._store.read(who, slot_id)
        if schema_version is None or schema_version == slot.schema_version:
            return slot
        schemas = await self._schemas.find_title(slot.title, version=schema_version)
        schemas.require(schema_version)
        assert slot.narrative_state is not None
        state = schemas.upgrade_state(
            parse_state(slot.narrative_state), slot.schema_version, schema_version
        )
        shown = canonicalise_state(state)
        return slot._replace(
            narrative_state=shown.json,
            schema_version=schema_version,
            size=len(shown.json),
            checksum=shown.checksum,
        )

    async def change(self, who: Requester, slot_id: str, asked: wire.SaveChange) -> StoredSlot:
        """Rename a slot, or give it another thumbnail."""
        return await self._store.rename_slot(
            who, slot_id, name=asked.name, thumbnail=asked.thumbnail
        )

    async def delete(self, who: Requester, slot_id: str, *, discards: bool) -> None:
        """Delete a slot; raise `SlotHoldsSomething` unless what it holds is to be lost."""
        held = None if discards else self._deletions.require_empty
        self._announce(await self._store.delete(who.user_id, slot_id, held))

    async def export(self, who: Requester, slot_id: str) -> wire.SaveFile:
        """Write a slot as a file."""
        slot = await self._store.read(who, slot_id)
        assert slot.narrative_state is not None
        state = canonicalise_state(parse_state(slot.narrative_state))
        return wire.SaveFile(
            format="playhall-save",
            version=1,
            title=slot.title,
            name=slot.name,
            schema_version=slot.schema_version,
            play_time_s=slot.play_time_s,
            is_modded=slot.is_modded,
            exported_at=wire_time(self._clock.now()),
            state=state.state,
            checksum=state.checksum,
        )

    # ------------------------------------------------------------------ revisions

    async def revisions(
        self, who: Requester, slot_id: str, *, below: int, limit: int
    ) -> list[StoredRevision]:
        """List the revisions of a slot, newest first."""
        return await self._store.list_revisions(who, slot_id, below=below, limit=limit)

    async def revision(self, who: Requester, slot_id: str, revision: int) -> StoredRevision:
        """Read a revision with its state; raise `RevisionNotFound`."""
        found = await self._store.read_revision(who, slot_id, revision)
        if found.state is None:
            raise wire.RevisionNotFound
        return found

    async def pin(
        self, who: Requester, slot_id: str, revision: int, *, is_pinned: bool
    ) -> StoredRevision:
        """Pin a revision, or let it go."""
        return await self._store.pin(
            who, slot_id, revision, is_pinned=is_pinned, pins_max=self._settings.saves_pins_max
        )

    async def conflicts(
        self, who: Requester, slot_id: str, *, after: ConflictPlace, limit: int
    ) -> list[StoredConflict]:
        """List the conflicts of a slot."""
        return await self._store.list_conflicts(who, slot_id, after=after, limit=limit)

    # ------------------------------------------------------------------ writing

    async def write(
        self, who: Requester, slot_id: str, base: Base, asked: wire.SaveWrite
    ) -> wire.SaveWritten:
        """Write a state that was made from `base`; raise `SaveConflict` and much else."""
        state = validate_client_state(asked.state, self._limits)
        request = WriteRequest(
            make=lambda _: state,
            mutation_id=asked.mutation_id,
            mutation_hash=_hash_of("write", asked, state.json),
            schema_version=asked.schema_version,
            device=asked.device,
            play_time_s=asked.play_time_s,
            package=asked.package,
            is_modded=asked.is_modded,
            refuses_stale=asked.on_stale == "refuse",
        )
        return await self._write(who, slot_id, base, request)

    async def patch(
        self,
        who: Requester,
        slot_id: str,
        base: Base,
        patch: list[dict[str, Any]],
        asked: wire.SavePatchQuery,
    ) -> wire.SaveWritten:
        """Write what a patch makes of the state of `base`, if that has the checksum."""

        def make(before: State | None) -> CanonicalState:
            if before is None:
                raise wire.RevisionNotFound("This revision was pruned; send the whole state.")
            state = validate_client_state(apply_patch(before, patch, self._limits), self._limits)
            if state.checksum != asked.checksum:
                raise wire.ChecksumMismatch(field="checksum")
            return state

        request = WriteRequest(
            make=make,
            mutation_id=asked.mutation_id,
            mutation_hash=_hash_of("patch", asked, orjson.dumps(patch)),
            schema_version=asked.schema_version,
            device=asked.device,
            play_time_s=asked.play_time_s,
            package=None,
            is_modded=asked.is_modded,
            refuses_stale=asked.on_stale == "refuse",
        )
        return await self._write(who, slot_id, base, request)

    async def _write(
        self, who: Requester, slot_id: str, base: Base, asked: WriteRequest
    ) -> wire.SaveWritten:
        done = await self._on_top(who, slot_id, base, asked)
        if done is None:
            try:
                done = await self._once(who, slot_id, asked, base)
            except MutationRaced:
                done = await self._once(who, slot_id, asked, base)
        answer, change = done
        if change is not None:
            self._announce(change)
            self.written += 1
            self.merged += isinstance(answer, wire.SaveWritten) and answer.outcome == "merged"
            self.conflicts_made += isinstance(answer, wire.ConflictDetails)
        if isinstance(answer, wire.ConflictDetails):
            error = wire.SaveConflict()
            error.details = wire.conflict_details(answer)
            raise error
        return answer

    async def _on_top(
        self, who: Requester, slot_id: str, base: Base, asked: WriteRequest
    ) -> tuple[_Answer, ChangeRow | None] | None:
        """Write on top of the current revision without holding the slot, as most writes are.

        The one statement that writes does nothing if the slot has gone on. None: nothing was
        written, because the slot must be held to find out what is to be done.
        """
        slot = await self._store.current(who.user_id, slot_id)
        is_on_top = base is ANY or base == slot.progression_version
        if not is_on_top or _is_pruning_due(slot.last_revision + 1):
            return None
        try:
            decided = await self._decide(slot, base, asked)
            own = decided.decision.own
            row = _row_of(own, decided.canonical)
            change = await self._store.advance(
                slot,
                row,
                MutationRow(asked.mutation_id, asked.mutation_hash, "written", own.revision),
                _said_of(own, asked.device, None),
                package=asked.package,
            )
        except (Overloaded, Unavailable):
            raise
        except (PlayhallError, MutationRaced):  # it may be a repeat, which is answered as before
            return None
        return None if change is None else (_written(slot, decided.decision, row), change)

    async def _once(
        self, who: Requester, slot_id: str, asked: WriteRequest, base: Base
    ) -> tuple[_Answer, ChangeRow | None]:
        """Write, or find what was written, in one transaction."""
        async with self._store.lock_and_change(who.user_id, slot_id, asked.mutation_id) as work:
            if work.found is not None:
                return await self._repeated(work, work.found, asked.mutation_hash), None
            decided = await self._decide(work.slot, base, asked, work)
            return await self._carry_out(work, decided, asked)

    async def _decide(
        self, slot: StoredSlot, base: Base, asked: WriteRequest, work: SaveTransaction | None = None
    ) -> "_Decided":
        """Decide about a write; without `work` only about one that is on top of the current one."""
        sent = asked.schema_version or slot.schema_version
        connection = None if work is None else work.connection
        schemas = await self._schemas.find_title(slot.title, version=sent, connection=connection)
        schemas.require(sent)
        target = max(sent, slot.schema_version)
        current = slot.progression_version
        is_blind = base is ANY
        number = current if base is ANY else base
        if number > slot.last_revision:
            raise wire.BadRevision(field="If-Match")
        mine = _content_of(slot)
        before: RevisionContent | None = mine
        if number != current:
            assert work is not None
            before = await _kept_content(work, number)
        made = asked.make(before.state if before is not None else None)
        state = schemas.upgrade_state(made.state, sent, target)
        ours = _upgraded(mine, schemas, target)
        known = ours.state if before is None else _upgraded(before, schemas, target).state
        if not asked.is_modded:
            state = keep_mods(known, state)
        transplant = rules.with_server_fields(known, state, schemas.rules(target))
        if before is not None and not is_blind:  # else the client cannot know what they are
            _require_no_change(transplant.changed)
        canonical = made  # and checked, unless something was added to it
        if transplant.state is not made.state:
            canonical = validate_client_state(transplant.state, self._limits)
        theirs = RevisionContent(
            state=canonical.state,
            schema_version=target,
            device=asked.device,
            play_time_s=slot.play_time_s if asked.play_time_s is None else asked.play_time_s,
            is_modded=asked.is_modded or is_modded(transplant.state),
        )
        schemas.validate(theirs.state, target)
        if number == current:
            decision = rules.decide_on_top(slot.last_revision, number, theirs)
            return _Decided(decision, ours, None, canonical)
        assert work is not None
        placed = await self._place(work, number, theirs, ours, schemas, refuses=asked.refuses_stale)
        return placed._replace(canonical=canonical)

    async def _place(
        self,
        work: SaveTransaction,
        base: int,
        theirs: RevisionContent,
        ours: RevisionContent,
        schemas: TitleSchemas,
        *,
        refuses: bool,
    ) -> "_Decided":
        """Find where an older write meets the current state, and decide what becomes of it."""
        slot, target = work.slot, theirs.schema_version
        ancestor_state: State | None = None
        branches = [OpenBranch(*each) for each in await work.list_open_branches()]
        parents = await work.read_parents()
        ancestor = rules.find_merge_base(parents, base, slot.progression_version, branches)
        met = await _kept_content(work, ancestor) if ancestor is not None else None
        if met is not None:
            ancestor_state = _upgraded(met, schemas, target).state
        decide = partial(
            rules.decide_write,
            last_revision=slot.last_revision,
            current=slot.progression_version,
            ours=ours,
            base=base,
            ancestor=ancestor,
            ancestor_state=ancestor_state,
            theirs=theirs,
            rules=schemas.rules(target),
            open_branches=branches,
            is_acceptable=lambda state: (
                schemas.fits(state, target)
                and len(canonicalise_state(state).json) <= self._limits.bytes_max
            ),
        )
        # A large merge takes tens of milliseconds, for which nobody else shall wait.
        is_large = slot.size > LARGE_BYTES
        decision = await asyncio.to_thread(decide) if is_large else decide()
        is_new = decision.outcome == "conflict" and decision.extends is None
        if is_new and len(branches) >= CONFLICTS_MAX:
            raise wire.TooManyConflicts
        if refuses and decision.outcome != "written":
            error = wire.SaveMovedOn()
            details = _details(slot, decision, ours, ancestor_state, conflict_id=None)
            error.details = wire.conflict_details(details)
            raise error
        return _Decided(decision, ours, ancestor_state)

    async def _carry_out(
        self, work: SaveTransaction, decided: "_Decided", asked: WriteRequest
    ) -> tuple[_Answer, ChangeRow]:
        decision, slot = decided.decision, work.slot
        own = decision.own
        head = decision.head
        conflict_id = decision.extends
        if decision.outcome == "conflict" and conflict_id is None:
            conflict_id = new_id()
        mutation = MutationRow(
            asked.mutation_id,
            asked.mutation_hash,
            decision.outcome,
            slot.progression_version if head is None else head.revision,
            conflict_id if decision.outcome == "conflict" else None,
        )
        row = _row_of(own, decided.canonical)
        if head is not own:
            await work.add_branch_revision(row, mutation)
        paths = decision.paths[: wire.PATHS_MAX]
        if decision.outcome == "conflict":
            assert conflict_id is not None
            if decision.extends is not None:
                await work.extend_conflict(conflict_id, own.revision, paths)
            else:
                await work.open_conflict(
                    conflict_id, base=decision.base, branch=own.revision, paths=paths
                )
        if head is None:
            await self._prune(work, own.revision, slot.progression_version)
            details = _details(slot, decision, decided.ours, decided.ancestor_state, conflict_id)
            change = await work.append_change(
                "save.conflict",
                {"conflict_id": conflict_id, "branch": own.revision, "device": asked.device},
            )
            return details, change
        head_row = row if head is own else _row_of(head)
        change = await work.add_current_revision(
            head_row,
            mutation if head is own else None,
            _said_of(head, asked.device, decision.closes),
            package=asked.package,
        )
        if decision.closes is not None:
            await work.close_conflict(decision.closes, head.revision)
        await self._prune(work, own.revision, head.revision)
        return _written(slot, decision, head_row), change

    async def _repeated(
        self, work: SaveTransaction, found: FoundMutation, mutation_hash: str
    ) -> _Answer:
        """Give the answer to a mutation that was carried out before."""
        if found.mutation_hash != mutation_hash:
            raise wire.MutationReused(field="mutation_id")
        slot = work.slot
        if found.outcome == "conflict":
            return await self._repeated_conflict(work, found)
        head = await work.read_revision(found.revision if found.head is None else found.head)
        is_merged = found.outcome == "merged"
        return wire.SaveWritten(
            slot_id=slot.slot_id,
            outcome="merged" if is_merged else "written",
            revision=found.revision,
            current=head.revision,
            checksum=head.checksum,
            schema_version=head.schema_version,
            is_modded=slot.is_modded or head.is_modded,
            state=parse_state(head.state) if is_merged and head.state is not None else None,
            repeated=True,
        )

    async def _repeated_conflict(
        self, work: SaveTransaction, found: FoundMutation
    ) -> wire.ConflictDetails:
        assert found.conflict_id is not None
        conflict = await work.read_conflict(found.conflict_id)
        slot = work.slot
        head = await work.read_revision(found.head or slot.progression_version)
        own = await work.read_revision(found.revision)
        base = await _kept_content(work, conflict.base) if conflict.base is not None else None
        proposal: State = {}
        if head.state is not None and own.state is not None:
            schemas = await self._schemas.find_title(slot.title, connection=work.connection)
            version = max(head.schema_version, own.schema_version)
            sides = [
                schemas.upgrade_state(parse_state(each.state), each.schema_version, version)
                for each in (head, own)
                if each.state is not None
            ]
            met = None if base is None else _upgraded(base, schemas, version).state
            proposal = rules.merge(met, sides[0], sides[1], schemas.rules(version)).state
        return wire.ConflictDetails(
            slot_id=slot.slot_id,
            conflict_id=conflict.conflict_id,
            revision=found.revision,
            current=_side(head.revision, None if head.state is None else parse_state(head.state)),
            base=None
            if conflict.base is None
            else _side(conflict.base, None if base is None else base.state),
            proposal=proposal,
            paths=conflict.paths,
        )

    # ------------------------------------------------------------------ going back and deciding

    async def restore(
        self,
        who: Requester,
        slot_id: str,
        base: Base,
        revision: int,
        asked: wire.MutationRequest,
    ) -> wire.SaveWritten:
        """Make an old state current again; the server's fields stay as they are now."""

        async def make(
            work: SaveTransaction, schemas: TitleSchemas, ours: RevisionContent
        ) -> _Made:
            found = await _kept_content(work, revision)
            if found is None:
                raise wire.RevisionNotFound
            target = max(found.schema_version, ours.schema_version)
            state = keep_mods(ours.state, _upgraded(found, schemas, target).state)
            state = rules.with_server_fields(ours.state, state, schemas.rules(target)).state
            content = found._replace(state=state, schema_version=target, device=asked.device)
            return _Made(content, (work.slot.progression_version,), "restore", revision)

        key = _hash_of("restore", asked, str(revision).encode())
        return await self._advance(who, slot_id, base, (asked.mutation_id, key), make)

    async def resolve(
        self, who: Requester, slot_id: str, base: Base, asked: wire.Resolve
    ) -> wire.SaveWritten:
        """Resolve a conflict; what is decided becomes current, with all that could be merged."""
        if asked.choose is None and not asked.fields and asked.state is None:
            raise InvalidField(
                "choose: send `choose`, `fields` or a combined `state`.", field="choose"
            )

        combined = None if asked.state is None else validate_client_state(asked.state, self._limits)

        async def make(
            work: SaveTransaction, schemas: TitleSchemas, ours: RevisionContent
        ) -> _Made:
            conflict = await work.read_conflict(asked.conflict_id)
            if conflict.status != "open":
                raise wire.ConflictSettled("This conflict is resolved already.")
            branch = await _kept_content(work, conflict.branch)
            assert branch is not None  # those of open conflicts are not pruned
            target = max(branch.schema_version, ours.schema_version)
            theirs = _upgraded(branch, schemas, target)
            mine = _upgraded(ours, schemas, target)
            base = await _kept_content(work, conflict.base) if conflict.base is not None else None
            met = None if base is None else _upgraded(base, schemas, target).state
            newest: Literal["ours", "theirs"] = (
                "ours" if work.slot.progression_version > conflict.branch else "theirs"
            )
            merge_rules = schemas.rules(target)
            state = self._resolved(asked, merge_rules, met, mine.state, theirs.state, newest=newest)
            schemas.validate(state, target)
            content = RevisionContent(
                state=validate_client_state(state, self._limits).state,
                schema_version=target,
                device=asked.device,
                play_time_s=max(ours.play_time_s, branch.play_time_s),
                is_modded=ours.is_modded or branch.is_modded,
            )
            parents = (work.slot.progression_version, conflict.branch)
            return _Made(content, parents, "resolve", None, closes=conflict.conflict_id)

        content = () if combined is None else (combined.json,)
        key = _hash_of("resolve", asked, *content)
        return await self._advance(who, slot_id, base, (asked.mutation_id, key), make)

    def _resolved(
        self,
        asked: wire.Resolve,
        merge_rules: rules.MergeRules,
        base: State | None,
        ours: State,
        theirs: State,
        *,
        newest: Literal["ours", "theirs"],
    ) -> State:
        if asked.state is not None:
            state = keep_mods(ours, asked.state)
            transplant = rules.with_server_fields(ours, state, merge_rules)
            _require_no_change(transplant.changed)
            return transplant.state
        merged = rules.merge(base, ours, theirs, merge_rules, newest=newest)
        sides = {path: asked.fields.get(path, asked.choose or "current") for path in merged.paths}
        sides |= asked.fields
        taken = [path for path, side in sides.items() if side == "branch"]
        kept = [path for path, side in asked.fields.items() if side == "current"]
        state = rules.with_fields(theirs, merged.state, taken)
        state = rules.with_fields(ours, state, kept)
        return rules.with_server_fields(ours, state, merge_rules).state

    async def undo(
        self, who: Requester, slot_id: str, base: Base, asked: wire.Undo
    ) -> wire.SaveWritten:
        """Take back a resolution that is still current; the conflict is open again."""

        async def make(
            work: SaveTransaction, schemas: TitleSchemas, ours: RevisionContent
        ) -> _Made:
            conflict = await work.read_conflict(asked.conflict_id)
            if conflict.status != "resolved":
                raise wire.ConflictSettled("This conflict is open; there is nothing to undo.")
            if conflict.resolution != work.slot.progression_version:
                raise wire.ConflictSettled(
                    "The slot has changed since; restore the revision that you want instead."
                )
            resolution = await work.read_revision(conflict.resolution)
            before = await _kept_content(work, resolution.parents[0])
            if before is None:
                raise wire.RevisionNotFound
            target = max(before.schema_version, ours.schema_version)
            state = _upgraded(before, schemas, target).state
            state = rules.with_server_fields(ours.state, state, schemas.rules(target)).state
            content = before._replace(state=state, schema_version=target, device=asked.device)
            parents = (work.slot.progression_version,)
            source = resolution.parents[0]
            return _Made(content, parents, "undo", source, reopens=conflict.conflict_id)

        key = _hash_of("undo", asked)
        return await self._advance(who, slot_id, base, (asked.mutation_id, key), make)

    async def _advance(
        self,
        who: Requester,
        slot_id: str,
        base: Base,
        mutation: tuple[str, str],
        make: "_Make",
    ) -> wire.SaveWritten:
        """Make a revision of what is stored, and have it current."""
        try:
            answer, change = await self._advance_once(who, slot_id, base, mutation, make)
        except MutationRaced:
            answer, change = await self._advance_once(who, slot_id, base, mutation, make)
        if change is not None:
            self._announce(change)
        return answer

    async def _advance_once(
        self,
        who: Requester,
        slot_id: str,
        base: Base,
        mutation: tuple[str, str],
        make: "_Make",
    ) -> tuple[wire.SaveWritten, ChangeRow | None]:
        async with self._store.lock_and_change(who.user_id, slot_id, mutation[0]) as work:
            if work.found is not None:
                answer = await self._repeated(work, work.found, mutation[1])
                assert isinstance(answer, wire.SaveWritten)
                return answer, None
            slot = work.slot
            if base is not ANY and base != slot.progression_version:
                raise _moved_on(slot)
            schemas = await self._schemas.find_title(slot.title, connection=work.connection)
            made = await make(work, schemas, _content_of(slot))
            new = NewRevision(
                slot.last_revision + 1, made.parents, made.reason, made.content, made.source
            )
            row = _row_of(new)
            change = await work.add_current_revision(
                row,
                MutationRow(*mutation, "written", new.revision),
                _said_of(new, made.content.device, made.closes),
            )
            if made.closes is not None:
                await work.close_conflict(made.closes, new.revision)
            if made.reopens is not None:
                await work.reopen_conflict(made.reopens)
            await self._prune(work, new.revision, new.revision)
        answer = wire.SaveWritten(
            slot_id=slot_id,
            outcome="written",
            revision=new.revision,
            current=new.revision,
            checksum=row.checksum,
            schema_version=row.schema_version,
            is_modded=slot.is_modded or row.is_modded,
            state=made.content.state,
        )
        return answer, change

    async def _prune(self, work: SaveTransaction, newest: int, head: int) -> None:
        """Now and then, forget the states that need not be kept."""
        if not _is_pruning_due(newest, head):
            return
        kept = [rules.KeptRevision(*each) for each in await work.list_kept_revisions()]
        needed = {head, newest}
        for _, base, branch in await work.list_open_branches():
            needed |= {branch} if base is None else {base, branch}
        gone = rules.list_prunable(kept, needed=needed, retention=self._retention)
        await work.prune_revisions(gone, rows_max=REVISIONS_MAX)


class _Decided(NamedTuple):
    """A decision, the states that it came of, and the client's own as it is stored."""

    decision: WriteDecision
    ours: RevisionContent
    ancestor_state: State | None
    canonical: CanonicalState | None = None


class _Made(NamedTuple):
    """A revision that is made of what is stored."""

    content: RevisionContent
    parents: tuple[int, ...]
    reason: wire.Reason
    source: int | None
    closes: str | None = None
    reopens: str | None = None


_Make: TypeAlias = Callable[[SaveTransaction, TitleSchemas, RevisionContent], Awaitable[_Made]]


class Deletions:
    """What other domains say of a slot that is to be deleted; see `SlotDeletions`."""

    def __init__(self) -> None:
        self._holdings: list[SlotHoldings] = []

    def add_holdings(self, read: SlotHoldings) -> None:
        """Have a domain asked what a slot holds."""
        self._holdings.append(read)

    async def require_empty(self, connection: Connection, account_id: UserId, slot_id: str) -> None:
        """Raise `SlotHoldsSomething` where a domain says so."""
        held: dict[str, int] = {}
        for read in self._holdings:
            held |= await read(connection, account_id, slot_id)
        if not held:
            return
        named = ", ".join(f"{quantity} {each}" for each, quantity in list(held.items())[:NAMED_MAX])
        more = "" if len(held) <= NAMED_MAX else f" and {len(held) - NAMED_MAX} more"
        raise wire.SlotHoldsSomething(
            f"This slot holds {named}{more}, which would be lost with it; send discard=true to "
            "accept that.",
            field="discard",
        )


def read_limits(settings: SavesSettings) -> StateLimits:
    """Read how large a state may be."""
    return StateLimits(
        settings.saves_state_bytes_max,
        settings.saves_state_depth_max,
        settings.saves_mods_bytes_max,
    )


def make_service(
    services: Services,
    settings: SavesSettings,
    *,
    schemas: SaveSchemaRegistry,
    stream: ProgressStream,
    deletions: Deletions | None = None,
) -> SaveService:
    """Make the service of a node; `stream` tells devices of what was written."""
    return SaveService(
        store=SaveStore(services.database, services.rls, ProgressStore(services.database)),
        schemas=schemas,
        settings=settings,
        announce=stream.announce,
        clock=services.clock,
        limits=read_limits(settings),
        deletions=deletions or Deletions(),
    )


class SlotAccess:
    """Slots as other domains use them; see `SaveSlots`."""

    def __init__(self, changes: ProgressStore) -> None:
        self._changes = changes

    async def lock(self, connection: Connection, account_id: UserId, slot_id: str) -> SaveSlot:
        """Hold an account's slot until the transaction ends; raise `SaveSlotNotFound`."""
        return _shown(await lock_slot(connection, account_id, slot_id))

    async def read(self, connection: Connection, account_id: UserId, slot_id: str) -> SaveSlot:
        """Read an account's slot; raise `SaveSlotNotFound`."""
        return _shown(await read_slot(connection, account_id, slot_id))

    async def titles(self, connection: Connection, account_id: UserId) -> Mapping[str, str]:
        """Say which title each slot of an account is of, by the ids of slots."""
        return await slot_titles(connection, account_id)

    async def write(self, connection: Connection, slot: SaveSlot, state: State) -> ChangeRow:
        """Write a state, the server's fields too, as a new revision of a locked slot."""
        stored = await lock_slot(connection, slot.account_id, slot.slot_id)
        work = SaveTransaction(connection, stored, self._changes)
        content = _content_of(stored)._replace(state=canonicalise_state(state).state, device="")
        number = stored.last_revision + 1
        new = NewRevision(number, (stored.progression_version,), "server", content)
        row = _row_of(new)
        return await work.add_current_revision(row, None, _said_of(new, "", None))


def _shown(slot: StoredSlot) -> SaveSlot:
    assert slot.narrative_state is not None
    return SaveSlot(
        slot.slot_id,
        slot.account_id,
        slot.title,
        slot.progression_version,
        slot.schema_version,
        slot.play_time_s,
        slot.is_modded,
        parse_state(slot.narrative_state),
    )


def _content_of(slot: StoredSlot) -> RevisionContent:
    assert slot.narrative_state is not None
    return RevisionContent(
        parse_state(slot.narrative_state),
        slot.schema_version,
        slot.device,
        slot.play_time_s,
        slot.is_modded,
    )


async def _kept_content(work: SaveTransaction, revision: int) -> RevisionContent | None:
    """Read what a revision holds; None if it was pruned, or forgotten altogether."""
    try:
        found = await work.read_revision(revision)
    except wire.RevisionNotFound:
        return None
    if found.state is None:
        return None
    return RevisionContent(
        parse_state(found.state),
        found.schema_version,
        found.device,
        found.play_time_s,
        found.is_modded,
    )


def _upgraded(content: RevisionContent, schemas: TitleSchemas, target: int) -> RevisionContent:
    state = schemas.upgrade_state(content.state, content.schema_version, target)
    return content._replace(state=state, schema_version=target)


def _is_pruning_due(*revisions: int) -> bool:
    return any(each % PRUNE_EVERY == 0 for each in revisions)


def _written(slot: StoredSlot, decision: WriteDecision, head_row: RevisionRow) -> wire.SaveWritten:
    head = decision.head
    assert head is not None
    return wire.SaveWritten(
        slot_id=slot.slot_id,
        outcome=decision.outcome,
        revision=decision.own.revision,
        current=head.revision,
        checksum=head_row.checksum,
        schema_version=head.content.schema_version,
        is_modded=slot.is_modded or head.content.is_modded,
        state=head.content.state if head is not decision.own else None,
    )


def _row_of(new: NewRevision, canonical: CanonicalState | None = None) -> RevisionRow:
    """Write a revision for the database; `canonical` is its state, if that was written before."""
    state = canonical if canonical is not None else canonicalise_state(new.content.state)
    return RevisionRow(
        new.revision,
        new.parents,
        new.reason,
        new.source,
        state.json,
        new.content.schema_version,
        new.content.device,
        new.content.play_time_s,
        state.checksum,
        new.content.is_modded,
    )


def _said_of(new: NewRevision, device: str, resolved: str | None) -> Mapping[str, object]:
    said: dict[str, object] = {"revision": new.revision, "reason": new.reason, "device": device}
    return said if resolved is None else {**said, "resolved": resolved}


def _details(
    slot: StoredSlot,
    decision: WriteDecision,
    ours: RevisionContent,
    ancestor_state: State | None,
    conflict_id: str | None,
) -> wire.ConflictDetails:
    base = None if decision.base is None else _side(decision.base, ancestor_state)
    return wire.ConflictDetails(
        slot_id=slot.slot_id,
        conflict_id=conflict_id,
        revision=None if conflict_id is None else decision.own.revision,
        current=_side(slot.progression_version, ours.state),
        base=base,
        proposal=decision.proposal,
        paths=decision.paths[: wire.PATHS_MAX],
    )


def _side(revision: int, state: State | None) -> wire.Side:
    return wire.Side(revision=revision, state=state)


def _moved_on(slot: StoredSlot) -> wire.SaveMovedOn:
    return wire.SaveMovedOn(
        f"The slot is at revision {slot.progression_version} by now; read it, then decide again.",
        field="If-Match",
    )


def _require_no_change(changed: Sequence[str]) -> None:
    if changed:
        raise wire.ServerField(
            f"state{changed[0]}: the server alone writes this field; leave it as you read it.",
            field=f"state{changed[0]}",
        )


def _hash_of(kind: str, asked: WireModel, *content: bytes) -> str:
    """Hash what a request says, beside its id; `content` is its state, if that is known better."""
    left_out = {"mutation_id", "state"} if content else {"mutation_id"}
    said = orjson.dumps(asked.model_dump(exclude=left_out), option=orjson.OPT_SORT_KEYS)
    return content_hash(kind.encode(), said, *content)
