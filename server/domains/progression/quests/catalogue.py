"""The quests and events of titles: compiled, kept in memory, and read anew every few seconds."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter

from persistence.database import Connection
from persistence.quests.store import QuestStore, StoredChecks, StoredQuest, StoredTimedEvent
from protocol.quests import (
    ConditionRefused,
    ConditionStep,
    QuestRequest,
    RewardBundle,
    ScheduleRefused,
    SeasonRequest,
    Step,
)
from server.domains.progression.quests import calendar
from server.domains.progression.quests.calendar import BadSchedule, OpeningTimes, Schedule
from server.domains.progression.quests.expressions import (
    BadCondition,
    Condition,
    compile_condition,
    load_library,
)

log = logging.getLogger(__name__)

TITLES_MAX: Final = 64  # in memory; beyond that the one unused for longest is dropped
READ_AGAIN_S: Final = 5.0  # so long a node may not hear of what an editor told another

_STEPS: Final[TypeAdapter[list[Any]]] = TypeAdapter(list[Step])


@dataclass(frozen=True, slots=True)
class CompiledQuest:
    """A quest, ready for use; `when` are the conditions of its steps, None for other kinds."""

    stored: StoredQuest
    required: Condition
    fails: Condition | None
    steps: list[Any]
    when: tuple[Condition | None, ...]
    reward: RewardBundle

    @property
    def is_conditional(self) -> bool:
        """Whether something must happen before it is available."""
        return bool(self.required.source) or self.stored.event is not None

    def conditions(self) -> list[Condition]:
        """List all of its conditions."""
        return [each for each in (self.required, self.fails, *self.when) if each is not None]


@dataclass(slots=True)
class TitleContent:
    """The quests, events and seasons of a title, by name."""

    quests: Mapping[str, CompiledQuest]
    events: Mapping[str, StoredTimedEvent]
    seasons: Mapping[str, StoredTimedEvent]
    checks: StoredChecks
    read_at: float
    # What each says until something opens or closes; filled as it is asked for.
    _openings: dict[str, tuple[OpeningTimes, datetime | None]] = field(default_factory=dict)

    @property
    def stamp(self) -> frozenset[tuple[str, int]]:
        """Tell apart what editors made of the quests."""
        return frozenset((name, quest.stored.version) for name, quest in self.quests.items())

    def open_now(self, now: datetime) -> frozenset[str]:
        """List the timed events and seasons that are open, by kind and name."""
        events = {
            f"event {name}" for name in self.events if self.find_event_opening(name, now).is_open
        }
        seasons = {
            f"season {name}" for name in self.seasons if self.find_season_opening(name, now).is_open
        }
        return frozenset(events | seasons)

    @property
    def asks_for_holdings(self) -> bool:
        """Whether some condition asks for items or currencies."""
        return any(
            condition.asks.keys() & {"items", "currencies"}
            for quest in self.quests.values()
            for condition in quest.conditions()
        )

    def find_event_opening(self, name: str, now: datetime) -> OpeningTimes:
        """Say when a timed event is open."""
        event = self.events[name]
        if event.is_withdrawn:
            return OpeningTimes(False, None, None, None)
        if event.season is None:
            return self._cached(f"e {name}", now, lambda: calendar.find_opening(_of(event), now))
        season = self.seasons[event.season]
        if season.is_withdrawn:
            return OpeningTimes(False, None, None, None)
        return self._cached(
            f"e {name}",
            now,
            lambda: calendar.find_opening_within_season(_of(event), _of(season), now),
        )

    def find_season_opening(self, name: str, now: datetime) -> OpeningTimes:
        """Say when a season is open."""
        season = self.seasons[name]
        if season.is_withdrawn:
            return OpeningTimes(False, None, None, None)
        return self._cached(f"s {name}", now, lambda: calendar.find_opening(_of(season), now))

    def _cached(self, key: str, now: datetime, compute: Callable[[], OpeningTimes]) -> OpeningTimes:
        """Compute an opening again only once something opens or closes."""
        known = self._openings.get(key)
        if known is None or (known[1] is not None and now >= known[1]):
            found = compute()
            changes = [at for at in (found.closes_at, found.next_opens_at) if at is not None]
            known = self._openings[key] = found, min(changes, default=None)
        return known[0]


class QuestCatalogue:
    """Finds what a title has."""

    def __init__(self, store: QuestStore, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._titles: OrderedDict[str, TitleContent] = OrderedDict()

    async def find_title(self, connection: Connection, title: str) -> TitleContent:
        """Find what a title has; `connection` works as the server."""
        known = self._titles.get(title)
        if known is None or self._monotonic() - known.read_at > READ_AGAIN_S:
            quests = await self._store.list_quests(connection, title)
            if quests:
                await load_library()
            events, seasons = await self._store.list_timed_events(connection, title)
            known = self._titles[title] = TitleContent(
                {quest.name: ready for quest in quests if (ready := _usable(quest)) is not None},
                {event.name: event for event in events},
                {season.name: season for season in seasons},
                await self._store.checks(connection, title),
                self._monotonic(),
            )
            if len(self._titles) > TITLES_MAX:
                self._titles.popitem(last=False)
        self._titles.move_to_end(title)
        return known

    def is_known_empty(self, title: str) -> bool:
        """Say whether a title had no quests when it was read, a moment ago."""
        known = self._titles.get(title)
        is_fresh = known is not None and self._monotonic() - known.read_at <= READ_AGAIN_S
        return is_fresh and known is not None and not known.quests

    def invalidate(self, title: str) -> None:
        """Read a title anew the next time."""
        self._titles.pop(title, None)


def compile_quest(stored: StoredQuest) -> CompiledQuest:
    """Make a stored quest ready for use."""
    steps = _STEPS.validate_python(stored.steps)
    when = [
        compile_condition(step.when) if isinstance(step, ConditionStep) else None for step in steps
    ]
    fails = compile_condition(stored.fails_when) if stored.fails_when.strip() else None
    reward = RewardBundle.model_validate(stored.reward_bundle)
    required = compile_condition(stored.required_flags)
    return CompiledQuest(stored, required, fails, steps, tuple(when), reward)


def _usable(stored: StoredQuest) -> CompiledQuest | None:
    """Make a quest ready; None for one that no version of this server would store any more."""
    try:
        return compile_quest(stored)
    except (BadCondition, ValueError):
        log.exception("quest %s of %s cannot be used", stored.name, stored.save_title)
        return None


def check_quest(asked: QuestRequest) -> None:
    """Raise `ConditionRefused` for a quest with a condition that cannot be used."""
    named = [("required_flags", asked.required_flags), ("fails_when", asked.fails_when)]
    for place, step in enumerate(asked.steps):
        if isinstance(step, ConditionStep):
            named.append((f"steps.{place}.when", step.when))
    for name, source in named:
        try:
            compile_condition(source)
        except BadCondition as error:
            raise ConditionRefused(f"{name}: {error}.", field=name) from None


def parse_schedule(asked: SeasonRequest, now: datetime) -> Schedule:
    """Read a schedule; raise `ScheduleRefused` for one that cannot be used."""
    try:
        starts_at = datetime.fromisoformat(asked.starts_at)
    except ValueError:
        raise ScheduleRefused("starts_at: there is no such time.", field="starts_at") from None
    schedule = Schedule(starts_at, asked.zone, asked.duration_s, asked.recurrence)
    try:
        calendar.require_valid_schedule(schedule, now)
    except BadSchedule as error:
        raise ScheduleRefused(f"{error.field}: {error}.", field=error.field) from None
    return schedule


def _of(stored: StoredTimedEvent) -> Schedule:
    return Schedule(stored.starts_at, stored.zone, stored.duration_s, stored.recurrence)
