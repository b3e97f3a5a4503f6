"""The use cases of quests: what a slot may do, and what happens when it does.

A change holds the slot's row until it is committed, so that one at a time concerns a slot. That an
account is rewarded once, whichever of its slots claims, is a primary key: see `reward_claims`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from persistence.database import Connection, Database
from persistence.quests.store import (
    Availability,
    GameCountingQuest,
    NoSuchReference,
    ProgressRow,
    QuestStore,
    StoredChecks,
    StoredQuest,
    StoredTimedEvent,
)
from persistence.rls import Requester, RlsDatabase
from persistence.saves.changes import ChangeRow
from protocol import quests as wire
from protocol.domain_events import GameCompleted
from protocol.errors import InvalidField
from protocol.ids import UserId
from protocol.inventory import Bundle
from protocol.saves import SaveSlotNotFound
from server.core.clock import Clock, wire_time, wire_time_or_none
from server.core.event_delivery import EventDelivery
from server.domains.interfaces import (
    Economy,
    EconomyReview,
    Holdings,
    ProgressStream,
    SaveSlot,
    SaveSlots,
)
from server.domains.progression.quests.calendar import OpeningTimes
from server.domains.progression.quests.catalogue import (
    CompiledQuest,
    QuestCatalogue,
    TitleContent,
    check_quest,
    parse_schedule,
)
from server.domains.progression.quests.expressions import (
    ConditionFacts,
    ConditionVerdict,
    Value,
    load_library,
)
from server.domains.progression.quests.machine import (
    NotPossible,
    QuestCircumstances,
    QuestInput,
    QuestStatus,
    list_automatic_states,
    transition,
)
from server.domains.services import Services

GRANT: Final = "reward"  # the one grant of a quest; the key of a claim
GRANT_MODDED: Final = "modded"  # what a modded slot gets of it, once as well
T = TypeVar("T")

TOLD_MAX: Final = 50  # quests that devices are told of at once
NAMED_MAX: Final = 5  # quests in the reason of a flag
NAMES_MAX: Final = 10_000  # of a collection in a state that are looked at
_NOTHING: Final = Holdings({}, {})


class QuestEntry(NamedTuple):
    """A quest, and how far a slot is with it: `path` from the stored state to the present one."""

    quest: CompiledQuest
    row: ProgressRow | None
    path: Sequence[QuestStatus]
    verdict: ConditionVerdict
    opening: OpeningTimes | None

    @property
    def status(self) -> QuestStatus:
        """The present state."""
        return self.path[-1]

    @property
    def step(self) -> int:
        """How many steps are done."""
        return (
            self.row.step
            if self.row is not None and self.status is not QuestStatus.AVAILABLE
            else 0
        )

    @property
    def step_count(self) -> int:
        """How many games count for the present step."""
        return self.row.step_count if self.row is not None and self.step == self.row.step else 0

    @property
    def present_step(self) -> object:
        """The step that is to be done now; None unless the quest is active and has one."""
        steps = self.quest.steps
        is_going_on = self.status is QuestStatus.ACTIVE and self.step < len(steps)
        return steps[self.step] if is_going_on else None

    @property
    def is_shown(self) -> bool:
        """Whether its player may know of it."""
        stored = self.quest.stored
        is_untouched = self.status in (QuestStatus.LOCKED, QuestStatus.EXPIRED)
        return not (is_untouched and (stored.hidden or stored.is_withdrawn))


@dataclass(frozen=True, slots=True)
class SlotQuests:
    """All quests of a slot at a moment."""

    slot: SaveSlot
    facts: ConditionFacts
    entries: Mapping[str, QuestEntry]
    claimed: set[str]
    checks: StoredChecks

    def require_quest(self, name: str) -> QuestEntry:
        """Find a quest; raise `QuestNotFound` for one that its player may not know of."""
        entry = self.entries.get(name)
        if entry is None or not entry.is_shown:
            raise wire.QuestNotFound
        return entry

    def quest_view(self, entry: QuestEntry) -> wire.Quest:
        """Write a quest as its player sees it."""
        quest, stored, opening = entry.quest, entry.quest.stored, entry.opening
        return wire.Quest(
            quest_id=stored.quest_id,
            name=stored.name,
            title=stored.title,
            description=stored.description,
            status=entry.status.value,
            unmet=list(entry.verdict.unmet) if entry.status is QuestStatus.LOCKED else [],
            event=stored.event,
            opens_at=None if opening is None else wire_time_or_none(opening.next_opens_at),
            closes_at=None if opening is None else wire_time_or_none(opening.closes_at),
            steps=[self._step(entry, place) for place in range(len(quest.steps))],
            reward_bundle=_content(quest.reward),
            is_rewarded=stored.quest_id in self.claimed,
            last_updated=None if entry.row is None else wire_time(entry.row.last_updated),
        )

    def _step(self, entry: QuestEntry, place: int) -> wire.StepProgress:
        step = entry.quest.steps[place]
        is_over = entry.status in (QuestStatus.COMPLETED, QuestStatus.CLAIMED)
        is_done = is_over or place < entry.step
        target = step.games if isinstance(step, wire.GamesStep) else 1
        count = 0
        if isinstance(step, wire.GamesStep):
            present = entry.step_count if place == entry.step else 0
            count = target if is_done else min(present, target)
        return wire.StepProgress(
            name=step.name,
            description=step.description,
            kind=step.kind,
            is_done=is_done,
            count=count,
            target=target,
        )


class EntryChange(NamedTuple):
    """What an action makes of an entry."""

    status: QuestStatus
    step: int = 0
    step_count: int = 0
    is_repeated: bool = False


_Decide: TypeAlias = Callable[[SlotQuests, QuestEntry], EntryChange]
_Give: TypeAlias = Callable[
    [Connection, SlotQuests, QuestEntry],
    Awaitable[tuple[wire.RewardContent, SaveSlot, list[ChangeRow]]],
]


class QuestService:
    """What people do with quests, and editors."""

    def __init__(
        self,
        *,
        database: Database,
        rls: RlsDatabase,
        store: QuestStore,
        catalogue: QuestCatalogue,
        slots: SaveSlots,
        stream: ProgressStream,
        economy: Economy,
        review: EconomyReview,
        clock: Clock,
    ) -> None:
        self._database = database
        self._rls = rls
        self._store = store
        self._catalogue = catalogue
        self._slots = slots
        self._stream = stream
        self._economy = economy
        self._review = review
        self._clock = clock
        self.announced_total = 0
        self.completed = 0
        self.claimed = 0

    # ------------------------------------------------------------------ reading

    async def list_quests(self, who: Requester, slot_id: str) -> wire.Quests:
        """List a slot's quests, and why some are not available."""
        async with self._rls.as_user(who) as connection:
            slot = await self._slots.read(connection, who.user_id, slot_id)
            progress = await self._store.read_progress(connection, slot_id)
        async with self._database.acquire() as connection:
            claimed = await self._store.list_claimed(connection, who.user_id, slot.title)
            board = await self._board(connection, slot, progress, claimed)
        shown = [board.quest_view(each) for each in board.entries.values() if each.is_shown]
        return wire.Quests(slot_id=slot_id, quests=shown)

    async def narrative(self, who: Requester, slot_id: str) -> wire.Narrative:
        """Read what a slot's state says of the story."""
        async with self._rls.as_user(who) as connection:
            slot = await self._slots.read(connection, who.user_id, slot_id)
        return wire.Narrative(
            slot_id=slot_id,
            revision=slot.revision,
            flags=_mapping(slot.state.get("flags")),
            counters=_mapping(slot.state.get("counters")),
            choices=_mapping(slot.state.get("choices")),
            lore=sorted(_members(slot.state.get("lore"))),
            cosmetics=sorted(_members(slot.state.get("cosmetics"))),
        )

    async def open_events(self, title: str) -> wire.TimedEventStatuses:
        """Say what is open by the server's clock, and what opens next."""
        now = self._clock.now()
        async with self._database.acquire() as connection:
            content = await self._catalogue.find_title(connection, title)
        shown = [
            _open_event("season", season, content.find_season_opening(name, now))
            for name, season in content.seasons.items()
            if not season.is_withdrawn
        ]
        shown += [
            _open_event("event", event, content.find_event_opening(name, now))
            for name, event in content.events.items()
            if not event.is_withdrawn
        ]
        return wire.TimedEventStatuses(now=wire_time(now), events=shown)

    async def _board(
        self,
        connection: Connection,
        slot: SaveSlot,
        progress: Mapping[str, ProgressRow],
        claimed: set[str],
    ) -> SlotQuests:
        content = await self._catalogue.find_title(connection, slot.title)
        held = _NOTHING
        if content.asks_for_holdings:
            held = await self._economy.read_holdings(connection, slot.account_id, slot.slot_id)
        now = self._clock.now()
        facts = _facts(slot, content, progress, held, now)
        entries = {
            name: _entry(quest, progress.get(quest.stored.quest_id), content, facts)
            for name, quest in content.quests.items()
        }
        return SlotQuests(slot, facts, entries, claimed, content.checks)

    # ------------------------------------------------------------------ acting

    async def accept(self, who: Requester, slot_id: str, name: str) -> wire.QuestActed:
        """Begin a quest that is available."""

        def decide(_: SlotQuests, entry: QuestEntry) -> EntryChange:
            if entry.status is QuestStatus.ACTIVE:
                return EntryChange(entry.status, entry.step, entry.step_count, is_repeated=True)
            if entry.quest.stored.is_withdrawn:
                raise wire.QuestNotPossible("This quest was withdrawn.")
            return EntryChange(_require(entry, QuestInput.ACCEPT))

        return await self._act(who, slot_id, name, decide)

    async def abandon(self, who: Requester, slot_id: str, name: str) -> wire.QuestActed:
        """Give a quest up; what was done of it is lost."""

        def decide(_: SlotQuests, entry: QuestEntry) -> EntryChange:
            if entry.status is QuestStatus.AVAILABLE:
                return EntryChange(entry.status, is_repeated=True)
            return EntryChange(_require(entry, QuestInput.ABANDON))

        return await self._act(who, slot_id, name, decide)

    async def advance(self, who: Requester, slot_id: str, name: str, step: str) -> wire.QuestActed:
        """Note that a step is done."""

        def decide(board: SlotQuests, entry: QuestEntry) -> EntryChange:
            names = [each.name for each in entry.quest.steps]
            if step not in names:
                raise InvalidField(f"step: the steps are {', '.join(names)}.", field="step")
            if entry.status is not QuestStatus.ACTIVE:
                raise wire.QuestNotPossible(
                    f"This quest is {entry.status}; only active ones have steps to do."
                )
            place = names.index(step)
            if place < entry.step:
                return EntryChange(entry.status, entry.step, entry.step_count, is_repeated=True)
            if place > entry.step:
                raise wire.StepNotDone(
                    f"step: {names[entry.step]} is to be done first.", field="step"
                )
            _require_done(board, entry, place, is_reported=True)
            return EntryChange(entry.status, place + 1)

        return await self._act(who, slot_id, name, decide)

    async def complete(self, who: Requester, slot_id: str, name: str) -> wire.QuestActed:
        """Finish a quest whose steps are done."""

        def decide(board: SlotQuests, entry: QuestEntry) -> EntryChange:
            steps = len(entry.quest.steps)
            if entry.status in (QuestStatus.COMPLETED, QuestStatus.CLAIMED):
                return EntryChange(entry.status, steps, is_repeated=True)
            status = _require(entry, QuestInput.COMPLETE)
            for place in range(entry.step, steps):
                _require_done(board, entry, place, is_reported=False)
            return EntryChange(status, steps)

        acted = await self._act(who, slot_id, name, decide)
        self.completed += not acted.is_repeated
        return acted

    async def claim(self, who: Requester, slot_id: str, name: str) -> wire.QuestActed:
        """Give the reward: items and currencies once to the account, the rest to the slot.

        A modded slot gets what stays in it, and leaves the account's reward to be claimed.
        """

        def decide(_: SlotQuests, entry: QuestEntry) -> EntryChange:
            steps = len(entry.quest.steps)
            if entry.status is QuestStatus.CLAIMED:
                return EntryChange(entry.status, steps, is_repeated=True)
            return EntryChange(_require(entry, QuestInput.CLAIM), steps)

        return await self._act(who, slot_id, name, decide, self._give)

    async def _give(
        self, connection: Connection, board: SlotQuests, entry: QuestEntry
    ) -> tuple[wire.RewardContent, SaveSlot, list[ChangeRow]]:
        slot, stored, reward = board.slot, entry.quest.stored, entry.quest.reward
        grant = GRANT_MODDED if slot.is_modded else GRANT
        is_left = not slot.is_modded or stored.quest_id not in board.claimed
        is_first = is_left and await self._store.record_claim(
            connection, slot.account_id, stored.quest_id, grant, slot.slot_id, reward.model_dump()
        )
        granted = _content(reward).model_copy(update={"items": {}, "currencies": {}})
        changes: list[ChangeRow] = []
        bundle = Bundle(**reward.model_dump(exclude={"flags"}))
        if is_first and bundle != Bundle():
            given = await self._economy.grant(
                connection,
                slot.account_id,
                slot.slot_id,
                bundle,
                key=f"quest:{stored.quest_id}:{grant}",
                reason=f"quest {stored.name}",
            )
            if given is not None:
                held = {"items": given.items, "currencies": given.currencies}
                granted = granted.model_copy(update=held)
        state = with_unlocks(slot.state, reward)
        if state != slot.state:
            changes.append(await self._slots.write(connection, slot, state))
            slot = slot._replace(state=state)
        if not slot.is_modded:
            board.claimed.add(stored.quest_id)
        self.claimed += is_first
        return granted, slot, changes

    async def _act(
        self,
        who: Requester,
        slot_id: str,
        name: str,
        decide: _Decide,
        give: _Give | None = None,
    ) -> wire.QuestActed:
        granted: wire.RewardContent | None = None
        changes: list[ChangeRow] = []
        async with self._database.transaction() as connection:
            slot = await self._slots.lock(connection, who.user_id, slot_id)
            progress = await self._store.read_progress(connection, slot_id)
            claimed = await self._store.list_claimed(connection, who.user_id, slot.title)
            board = await self._board(connection, slot, progress, claimed)
            entry = board.require_quest(name)
            change = decide(board, entry)
            if not change.is_repeated:
                if change.status is QuestStatus.COMPLETED:
                    await self._judge(connection, board, entry)
                row = await self._store_path(connection, slot, entry, change)
                if give is not None:
                    granted, slot, changes = await give(connection, board, entry)
                entry = entry._replace(row=row, path=[change.status])
                changes.append(await self._append(connection, slot, entry))
                progress[row.quest_id] = row
                after = await self._board(connection, slot, progress, board.claimed)
                available, _ = await self._append_available(connection, after, besides=name)
                changes += available
            shown = board.quest_view(entry)
        for each in changes:
            self._stream.announce(each)
        return wire.QuestActed(quest=shown, is_repeated=change.is_repeated, granted=granted)

    async def _judge(self, connection: Connection, board: SlotQuests, entry: QuestEntry) -> None:
        """Flag an implausible completion; raise `GainRefused` where that is enforced."""
        slot, stored = board.slot, entry.quest.stored
        if not (stored.follows or stored.min_play_time_s):
            return
        known = await self._store.availability(connection, slot.slot_id)
        for rule, reason in _implausible(board, stored, known):
            await self._review.flag_for_review(
                connection,
                slot.account_id,
                slot.slot_id,
                rule=rule,
                subject=f"quest:{stored.name}",
                reason=reason,
                mode=getattr(board.checks, rule),
            )

    async def _store_path(
        self, connection: Connection, slot: SaveSlot, entry: QuestEntry, change: EntryChange
    ) -> ProgressRow:
        """Store each state on the way, as the database knows the table of transitions too."""
        row = entry.row
        if row is None:
            quest_id = entry.quest.stored.quest_id
            row = await self._store.ensure_entry(
                connection, slot.account_id, slot.slot_id, quest_id
            )
        for status in (*entry.path[1:], change.status):
            row = await self._store.update_entry(
                connection,
                row.entry_id,
                status,
                step=change.step,
                step_count=change.step_count,
                at=self._clock.now(),
            )
        return row

    async def _append(self, connection: Connection, slot: SaveSlot, entry: QuestEntry) -> ChangeRow:
        stored = entry.quest.stored
        data = {"quest_id": stored.quest_id, "name": stored.name, "step": entry.step}
        kind = f"quest.{entry.status}"
        return await self._stream.append(connection, slot.account_id, kind, slot.slot_id, data)

    # ------------------------------------------------------------------ what becomes available

    async def announce_available(self, account_id: UserId, slot_id: str) -> bool:
        """Tell an account's devices of a slot's quests that became available.

        What was told is stored, so it is told once, by whichever node, and again only after it was
        not available meanwhile. True if there is more to tell than is told at once.
        """
        try:
            async with self._database.acquire() as connection:
                slot = await self._slots.read(connection, account_id, slot_id)
                board = await self._read_board(connection, slot)
                known = await self._store.availability(connection, slot_id)
            if _news(known, board).availability == known:  # as it mostly is: nothing is locked
                return False
            async with self._database.transaction() as connection:
                slot = await self._slots.lock(connection, account_id, slot_id)
                board = await self._read_board(connection, slot)
                changes, is_more = await self._append_available(connection, board)
        except SaveSlotNotFound:  # deleted meanwhile
            return False
        for each in changes:
            self._stream.announce(each)
        return is_more

    async def _read_board(self, connection: Connection, slot: SaveSlot) -> SlotQuests:
        progress = await self._store.read_progress(connection, slot.slot_id)
        return await self._board(connection, slot, progress, set())

    async def _append_available(
        self, connection: Connection, board: SlotQuests, *, besides: str | None = None
    ) -> tuple[list[ChangeRow], bool]:
        """Store and append what became available in a locked slot; says if there is more.

        The quest `besides` is told of otherwise.
        """
        slot = board.slot
        known = await self._store.availability(connection, slot.slot_id)
        news = _news(known, board, besides=besides)
        if news.availability != known:
            await self._store.put_availability(connection, slot.slot_id, news.availability)
        self.announced_total += len(news.announced)
        return [await self._append(connection, slot, each) for each in news.announced], news.is_more

    # ------------------------------------------------------------------ games

    async def count_game(self, delivery: EventDelivery) -> None:
        """Count a game for the quests that wait for it; a second delivery changes nothing."""
        event = delivery.event
        assert isinstance(event, GameCompleted)
        if event.uncounted is not None:
            return
        seats = {seat.player_id: seat for seat in event.players if not seat.forfeited}
        for listening in await self._store.list_counting_quests(list(seats), event.ruleset):
            is_won = seats[listening.player_id].is_winner
            await self._count_for(listening, delivery.event_id, event.ruleset, is_won=is_won)

    async def pass_over_games(self, deliveries: Sequence[EventDelivery]) -> list[str]:
        """List the games for which no quest waits, by the ids of their events."""
        games = [(each.event_id, each.event) for each in deliveries]
        players = {
            seat.player_id
            for _, event in games
            if isinstance(event, GameCompleted)
            for seat in event.players
        }
        waiting = await self._store.list_counted_rulesets(players)
        return [
            event_id
            for event_id, event in games
            if isinstance(event, GameCompleted)
            and not any((seat.player_id, event.ruleset) in waiting for seat in event.players)
        ]

    async def _count_for(
        self, listening: GameCountingQuest, event_id: str, ruleset: str, *, is_won: bool
    ) -> None:
        async with self._database.transaction() as connection:
            try:
                slot = await self._slots.lock(connection, listening.account_id, listening.slot_id)
            except SaveSlotNotFound:  # deleted meanwhile
                return
            progress = await self._store.read_progress(connection, slot.slot_id)
            board = await self._board(connection, slot, progress, set())
            entries = {each.quest.stored.quest_id: each for each in board.entries.values()}
            if (entry := entries.get(listening.quest_id)) is None:  # it cannot be used any more
                return
            step = entry.present_step
            if not isinstance(step, wire.GamesStep) or step.ruleset != ruleset:
                return
            if (step.wins and not is_won) or entry.step_count >= step.games:
                return
            if not await self._store.record_counted_event(connection, listening.entry_id, event_id):
                return
            change = EntryChange(entry.status, entry.step, entry.step_count + 1)
            row = await self._store_path(connection, slot, entry, change)
            data = {
                "quest_id": listening.quest_id,
                "name": entry.quest.stored.name,
                "step": entry.step,
                "count": row.step_count,
            }
            change_row = await self._stream.append(
                connection, slot.account_id, "quest.progress", slot.slot_id, data
            )
        self._stream.announce(change_row)

    # ------------------------------------------------------------------ editing

    async def definitions(self, title: str) -> list[StoredQuest]:
        """List the quests of a title, hidden and withdrawn ones too."""
        async with self._database.acquire() as connection:
            return await self._store.list_quests(connection, title)

    async def events(self, title: str) -> tuple[list[StoredTimedEvent], list[StoredTimedEvent]]:
        """List the timed events and the seasons of a title."""
        async with self._database.acquire() as connection:
            return await self._store.list_timed_events(connection, title)

    async def put_quest(
        self, title: str, name: str, asked: wire.QuestRequest, *, actor: UserId
    ) -> StoredQuest:
        """Add or change a quest; raise what is wrong with it, by field."""
        await load_library()
        check_quest(asked)
        if asked.follows:
            there = {each.name for each in await self.definitions(title)} - {name}
            for place, each in enumerate(asked.follows):
                if each not in there:
                    field = f"follows.{place}"
                    message = f"{field}: the title has no other quest {each}."
                    raise InvalidField(message, field=field)
        put = self._store.put_quest(title, name, asked.model_dump(), actor=actor)
        return await self._put(title, put, "event")

    async def checks(self, title: str) -> StoredChecks:
        """Read what is done about implausible progress in a title."""
        async with self._database.acquire() as connection:
            return await self._store.checks(connection, title)

    async def put_checks(
        self, title: str, asked: wire.QuestChecks, *, actor: UserId
    ) -> StoredChecks:
        """Set what is done about implausible progress in a title."""
        checks = StoredChecks(asked.play_time, asked.quest_order)
        return await self._put(title, self._store.put_checks(title, checks, actor=actor), "title")

    async def put_event(
        self, title: str, name: str, asked: wire.TimedEventRequest, *, actor: UserId
    ) -> StoredTimedEvent:
        """Add or change a timed event."""
        schedule = parse_schedule(asked, self._clock.now())
        put = self._store.put_event(
            title, name, asked.model_dump(), schedule.starts_at, actor=actor
        )
        return await self._put(title, put, "season")

    async def put_season(
        self, title: str, name: str, asked: wire.SeasonRequest, *, actor: UserId
    ) -> StoredTimedEvent:
        """Add or change a season."""
        schedule = parse_schedule(asked, self._clock.now())
        put = self._store.put_season(
            title, name, asked.model_dump(), schedule.starts_at, actor=actor
        )
        return await self._put(title, put, "name")

    async def _put(self, title: str, put: Awaitable[T | None], refers_by: str) -> T:
        try:
            stored = await put
        except NoSuchReference:
            message = f"{refers_by}: the title has none of this name."
            raise InvalidField(message, field=refers_by) from None
        if stored is None:
            raise wire.TooManyQuests
        self._catalogue.invalidate(title)
        return stored


def make_service(services: Services, catalogue: QuestCatalogue | None = None) -> QuestService:
    """Make the service of a node, from what the domains before this one provide."""
    store, interfaces = QuestStore(services.database), services.interfaces
    return QuestService(
        database=services.database,
        rls=services.rls,
        store=store,
        catalogue=catalogue or QuestCatalogue(store, services.clock.monotonic),
        slots=interfaces.get(SaveSlots),
        stream=interfaces.get(ProgressStream),
        economy=interfaces.get(Economy),
        review=interfaces.get(EconomyReview),
        clock=services.clock,
    )


# ------------------------------------------------------------------ deciding


class _News(NamedTuple):
    """What devices are to be told of, and what they know then."""

    announced: Sequence[QuestEntry]
    availability: Availability
    is_more: bool


def _news(known: Availability, board: SlotQuests, *, besides: str | None = None) -> _News:
    """Find what became available; what is so from the start was not unlocked, and is not told."""
    available = {
        name: entry
        for name, entry in board.entries.items()
        if entry.status is QuestStatus.AVAILABLE and not entry.quest.stored.is_withdrawn
    }
    new = [
        entry
        for name, entry in available.items()
        if entry.quest.stored.quest_id not in known.available
        if name != besides and entry.quest.is_conditional
    ]
    waiting = {entry.quest.stored.quest_id for entry in new[TOLD_MAX:]}
    ids = {entry.quest.stored.quest_id for entry in available.values()} - waiting
    begun = {entry.row.quest_id for entry in board.entries.values() if entry.row is not None}
    availability = Availability(frozenset(ids), known.reached | ids | begun)
    return _News(new[:TOLD_MAX], availability, bool(waiting))


def _implausible(
    board: SlotQuests, stored: StoredQuest, known: Availability
) -> list[tuple[str, str]]:
    """Say by which rules, and why, it is implausible that a slot completes a quest now."""
    found = []
    played, takes = board.slot.play_time_s, stored.min_play_time_s
    if played < takes:
        found.append(("play_time", f"completed after {played} s of play, of at least {takes}"))
    skipped = [
        name
        for name in stored.follows
        if (before := board.entries.get(name)) is not None
        if before.status in (QuestStatus.LOCKED, QuestStatus.EXPIRED) and before.row is None
        if before.quest.stored.quest_id not in known.reached | board.claimed
    ]
    if skipped:
        names = ", ".join(skipped[:NAMED_MAX])
        found.append(("quest_order", f"completed, and never available was: {names}"))
    return found


def _entry(
    quest: CompiledQuest, row: ProgressRow | None, content: TitleContent, facts: ConditionFacts
) -> QuestEntry:
    stored = quest.stored
    opening = None if stored.event is None else content.find_event_opening(stored.event, facts.now)
    verdict = quest.required.evaluate(facts)
    circumstances = QuestCircumstances(
        is_met=verdict.holds,
        has_failed=quest.fails is not None and quest.fails.evaluate(facts).holds,
        is_open=opening is None or opening.is_open,
        opens_again=opening is None or opening.next_opens_at is not None,
        was_closed=row is not None
        and opening is not None
        and opening.opened_at is not None
        and row.last_updated < opening.opened_at,
    )
    status = QuestStatus.LOCKED if row is None else QuestStatus(row.status)
    return QuestEntry(quest, row, list_automatic_states(status, circumstances), verdict, opening)


def _require(entry: QuestEntry, by: QuestInput) -> QuestStatus:
    try:
        return transition(entry.status, by)
    except NotPossible:
        raise wire.QuestNotPossible(
            f"This quest is {entry.status}, so you cannot {by.name.lower()} it."
        ) from None


def _require_done(board: SlotQuests, entry: QuestEntry, place: int, *, is_reported: bool) -> None:
    """Raise `StepNotDone` for a step that is not; what clients report is theirs to say."""
    step, when = entry.quest.steps[place], entry.quest.when[place]
    if when is not None:
        is_done = when.evaluate(board.facts).holds
    elif isinstance(step, wire.GamesStep):
        is_done = place == entry.step and entry.step_count >= step.games
    else:
        is_done = is_reported
    if not is_done:
        raise wire.StepNotDone(f"step: {step.name} is not done yet.", field="step")


def _facts(
    slot: SaveSlot,
    content: TitleContent,
    progress: Mapping[str, ProgressRow],
    held: Holdings,
    now: datetime,
) -> ConditionFacts:
    state = slot.state
    values: dict[str, Mapping[str, Value]] = {
        "flags": _mapping(state.get("flags")),
        "counters": _mapping(state.get("counters")),
        "choices": _mapping(state.get("choices")),
        "lore": dict.fromkeys(_members(state.get("lore")), True),
        "cosmetics": dict.fromkeys(_members(state.get("cosmetics")), True),
        "items": held.items,
        "currencies": held.currencies,
        "quests": {
            name: progress[quest.stored.quest_id].status
            for name, quest in content.quests.items()
            if quest.stored.quest_id in progress
        },
        "events": {name: content.find_event_opening(name, now).is_open for name in content.events},
        "seasons": {
            name: content.find_season_opening(name, now).is_open for name in content.seasons
        },
    }
    return ConditionFacts(values, now, slot.play_time_s)


def with_unlocks(state: Mapping[str, Any], reward: wire.RewardBundle) -> dict[str, Any]:
    """Add what a reward unlocks to a state; what is of another shape than expected is replaced."""
    unlocked = dict(state)
    for of, names in (("lore", reward.lore), ("cosmetics", reward.cosmetics)):
        if names:
            unlocked[of] = list(dict.fromkeys([*_members(state.get(of)), *names]))
    if reward.flags:
        unlocked["flags"] = {**_mapping(state.get("flags")), **reward.flags}
    return unlocked


def _content(reward: wire.RewardBundle) -> wire.RewardContent:
    return wire.RewardContent(**reward.model_dump())


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _members(value: object) -> list[str]:
    """List what is unlocked, written as a list or as an object of truths."""
    if isinstance(value, dict):
        return [name for name, is_there in value.items() if is_there]
    if isinstance(value, list):
        return [name for name in value[:NAMES_MAX] if isinstance(name, str)]
    return []


def _open_event(
    kind: Any, stored: StoredTimedEvent, opening: OpeningTimes
) -> wire.TimedEventStatus:
    return wire.TimedEventStatus(
        kind=kind,
        name=stored.name,
        season=stored.season,
        title=stored.title,
        description=stored.description,
        zone=stored.zone,
        is_open=opening.is_open,
        opened_at=wire_time_or_none(opening.opened_at),
        closes_at=wire_time_or_none(opening.closes_at),
        next_opens_at=wire_time_or_none(opening.next_opens_at),
    )
