"""`/v1/epochs`: any day there ever was, for everybody."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import date, datetime
from functools import partial
from typing import Final

from persistence.epochs.steps import SettlementStore
from persistence.epochs.store import DayKey, EpochDay, EpochStore
from protocol import epochs as wire
from protocol.codec import validate
from protocol.epochs import EpochNotFound, EpochNotSettled
from protocol.errors import InvalidField
from protocol.ids import UUID_PATTERN, EpochId
from server.core.clock import wire_time
from server.domains.compete.epochs import views
from server.domains.compete.epochs.board import take_first_that_fit
from server.domains.compete.epochs.results import bot_key, settle_contributions, summary_key
from server.gateway.http.endpoints import Endpoint, HttpRequest, RawResponse

TAG: Final = "epochs"
ONE: Final = "/v1/epochs/{epoch}"
PAGE_BYTES_MAX: Final = 1024 * 1024
BOARDS_KEPT: Final = 16
BOARD_GOOD_S: Final = 5
CURRENT: Final = "current"
READING: Final = (EpochNotFound, EpochNotSettled, InvalidField)

# Read an object whole; raises `NotFound` where there is none.
Get = Callable[[str], Awaitable[bytes]]


class EpochRoutes:
    """The addresses of days. `days` reads as nobody in particular; `get` reads an object."""

    def __init__(self, *, days: EpochStore, steps: SettlementStore, get: Get) -> None:
        self._days = days
        self._steps = steps
        self._get = get
        self._boards: dict[tuple[EpochId, int, int], wire.Scoreboard] = {}
        self._counting = asyncio.Lock()

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [*self._of_days(), *self._of_results()]

    def _of_days(self) -> list[Endpoint]:
        get = partial(Endpoint, "GET", scope="bot", tag=TAG, errors=READING)
        return [
            get(
                "/v1/epochs",
                "List days, newest first.",
                self._list,
                query=wire.DaysQuery,
                answer=wire.Epochs,
            ),
            get(
                ONE, "Read a day, by its id, its date, or `current`.", self._one, answer=wire.Epoch
            ),
            get(
                f"{ONE}/profile",
                "Read the rules of a day.",
                self._rules,
                answer=wire.EpochRules,
            ),
            get(f"{ONE}/slots", "Read the slots of a day.", self._slots, answer=wire.Slots),
            get(
                f"{ONE}/events",
                "Read the events of a day, starting at any version.",
                self._events,
                query=wire.EventsQuery,
                answer=wire.EpochEvents,
            ),
        ]

    def _of_results(self) -> list[Endpoint]:
        get = partial(Endpoint, "GET", scope="bot", tag=TAG, errors=READING)
        board = "Read the scoreboard of a day; final once it is settled."
        paid = "Read the payouts of a day and every result computed for it."
        edition = "Read about the edition of a day."
        return [
            get(f"{ONE}/scoreboard", board, self._scoreboard, answer=wire.Scoreboard),
            get(f"{ONE}/payouts", paid, self._payouts, answer=wire.Payouts),
            get(f"{ONE}/edition", edition, self._edition, answer=wire.Edition),
            get(
                f"{ONE}/summary",
                "Download the summary of an archived day.",
                self._summary,
            ),
            get(
                f"{ONE}/bots/{{bot_id}}",
                "Download a bot's results of an archived day.",
                self._bot,
                query=wire.ResultQuery,
            ),
        ]

    async def _list(self, request: HttpRequest) -> wire.Epochs:
        query: wire.DaysQuery = request.query
        before = _date(query.before, field="before") if query.before else date.max
        days = await self._days.list_days(before=before, limit=query.limit)
        more = days[-1].day.isoformat() if len(days) == query.limit else None
        return wire.Epochs(epochs=[views.epoch(day) for day in days], next=more)

    async def _one(self, request: HttpRequest) -> wire.Epoch:
        return views.epoch(await self._day(request))

    async def _rules(self, request: HttpRequest) -> wire.EpochRules:
        day = await self._day(request)
        config = day.profile.model_dump(mode="json")
        return wire.EpochRules(profile=day.profile_key, config=config)

    async def _slots(self, request: HttpRequest) -> wire.Slots:
        day = await self._day(request)
        return views.slots(day, *await self._days.read_slots(day.epoch_id))

    async def _events(self, request: HttpRequest) -> wire.EpochEvents:
        query: wire.EventsQuery = request.query
        day = await self._day(request)
        events = await self._days.read_events(day.epoch_id, after=query.after, limit=query.limit)
        shown = [
            views.event(day.epoch_id, event)
            for event in take_first_that_fit(events, PAGE_BYTES_MAX)
        ]
        return wire.EpochEvents(epoch_id=day.epoch_id, head=day.version, events=shown)

    async def _scoreboard(self, request: HttpRequest) -> wire.Scoreboard:
        day = await self._day(request)
        async with self._counting:  # once, however many ask for it, and in one thread
            now = await self._days.now()
            recent = 0 if day.frozen_at else int(now.timestamp()) // BOARD_GOOD_S
            key = (day.epoch_id, day.version, recent)
            if key not in self._boards:
                counted = await self._count(day, now)
                while len(self._boards) >= BOARDS_KEPT:
                    del self._boards[next(iter(self._boards))]
                self._boards[key] = counted
            return self._boards[key]

    async def _count(self, day: EpochDay, now: datetime) -> wire.Scoreboard:
        """Settle what has happened so far; after the freeze that is what was, or will be, paid."""
        events = await self._steps.read_frozen_events(day.epoch_id)
        settled = await asyncio.to_thread(settle_contributions, day, events, now=now)
        names = await self._steps.read_bot_slugs([one.bot_id for one in settled])
        return wire.Scoreboard(
            epoch_id=day.epoch_id,
            version=day.version,
            at=wire_time(day.frozen_at or now),
            is_final=day.phase in ("settle", "archive"),
            bots=views.standings(settled, names),
        )

    async def _payouts(self, request: HttpRequest) -> wire.Payouts:
        day = await self._day(request)
        paid = await self._steps.list_payouts(day.epoch_id)
        return views.payouts(day.epoch_id, paid, await self._steps.list_settlements(day.epoch_id))

    async def _edition(self, request: HttpRequest) -> wire.Edition:
        day = await self._day(request)
        row = await self._days.read_edition(day.epoch_id)
        if row is None:
            raise EpochNotSettled(
                "The epoch has no edition yet; one is created when it is archived."
            )
        return views.edition(row)

    async def _summary(self, request: HttpRequest) -> RawResponse:
        day = await self._day(request)
        key = summary_key(day, await self._newest(day))
        return RawResponse(await self._get(key), "application/json")

    async def _bot(self, request: HttpRequest) -> RawResponse:
        query: wire.ResultQuery = request.query
        day = await self._day(request)
        newest = await self._newest(day)
        bot_id = request.parse_path(wire.BotPath).bot_id
        key = bot_key(day, bot_id, min(query.result or newest, newest))
        return RawResponse(await self._get(key), "application/json")

    async def _newest(self, day: EpochDay) -> int:
        """Give the number of the result in force; raise `EpochNotSettled`."""
        if day.summary_uri is None:
            raise EpochNotSettled(
                "The epoch has no summary yet; one is created when it is archived."
            )
        return (await self._steps.list_settlements(day.epoch_id))[0].number

    async def _day(self, request: HttpRequest) -> EpochDay:
        return await self._days.read_day(parse_day_key(request))


def parse_day_key(request: HttpRequest) -> DayKey:
    """Read which day an address means; raise `InvalidField`."""
    named = validate(wire.EpochPath, {"epoch": request.path["epoch"]}).epoch
    if named == CURRENT:
        return None
    if re.fullmatch(UUID_PATTERN, named):
        return EpochId(named)
    return _date(named, field="epoch")


def _date(text: str, *, field: str) -> date:
    with suppress(ValueError):  # a date that there is not
        if re.fullmatch(wire.DAY_PATTERN, text):  # ISO has other ways to write one
            return date.fromisoformat(text)
    raise InvalidField(f"{field}: send a date such as 2026-02-12.", field=field)
