"""`/v1/saves/{slot}/quests`, `/v1/events`, and what editors write."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from persistence.quests.store import StoredQuest, StoredTimedEvent
from protocol import quests as wire
from protocol.errors import Forbidden, InvalidField, RateLimited
from protocol.inventory import AssetNotFound, AssetRetired, GainRefused, HoldingFull
from protocol.saves import SaveSlotNotFound, SlotPath
from server.core.clock import Clock, wire_time
from server.core.rate_limits import Rate, RateLimiter
from server.domains.progression.quests.service import QuestService
from server.domains.progression.quests.settings import QuestsSettings
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "quests"
ALL: Final = "/v1/saves/{slot_id}/quests"
ONE: Final = f"{ALL}/{{name}}"
ADMIN: Final = "/v1/admin"


class QuestRoutes:
    """The addresses of quests and events."""

    def __init__(self, service: QuestService, settings: QuestsSettings, clock: Clock) -> None:
        self._service = service
        self._admit = AccountLimit(
            RateLimiter(
                "quests",
                Rate(settings.actions_per_minute, settings.actions_burst),
                "You are doing too much at once",
            ),
            clock,
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(Endpoint, auth="required", tag=TAG)
        none = (SaveSlotNotFound, InvalidField)
        return [
            make(
                "GET",
                ALL,
                "List a slot's quests, and why some are not available.",
                self._list,
                answer=wire.Quests,
                is_tagged=True,
                errors=none,
            ),
            self._acting("accept", "Begin a quest.", self._accept),
            self._acting(
                "advance",
                "Do the next step of a quest.",
                self._advance,
                body=wire.QuestAdvance,
                errors=(wire.StepNotDone,),
            ),
            self._acting(
                "complete",
                "Finish a quest whose steps are done.",
                self._complete,
                errors=(wire.StepNotDone, GainRefused),
            ),
            self._acting("abandon", "Give a quest up.", self._abandon),
            self._acting(
                "claim",
                "Claim a quest's reward, once for each account.",
                self._claim,
                errors=(AssetNotFound, AssetRetired, HoldingFull, GainRefused),
            ),
            make(
                "GET",
                "/v1/saves/{slot_id}/narrative",
                "Read a slot's flags, choices, and what is unlocked.",
                self._narrative,
                answer=wire.Narrative,
                is_tagged=True,
                errors=none,
            ),
            Endpoint(
                "GET",
                "/v1/events",
                "List a title's timed events and seasons: what is open now, and what opens next.",
                self._events,
                auth="none",
                query=wire.TimedEventStatusesQuery,
                answer=wire.TimedEventStatuses,
                errors=(InvalidField,),
                tag=TAG,
            ),
            *self._of_editors(),
        ]

    def _acting(
        self,
        verb: str,
        summary: str,
        handler: Callable[[HttpRequest], Awaitable[Any]],
        *,
        errors: tuple[Any, ...] = (),
        **fields: Any,
    ) -> Endpoint:
        return Endpoint(
            "POST",
            f"{ONE}/{verb}",
            summary,
            handler,
            auth="required",
            answer=wire.QuestActed,
            admit=self._admit,
            errors=(
                SaveSlotNotFound,
                wire.QuestNotFound,
                wire.QuestNotPossible,
                InvalidField,
                RateLimited,
                *errors,
            ),
            tag=TAG,
            **fields,
        )

    def _of_editors(self) -> list[Endpoint]:
        make = partial(Endpoint, auth="required", scope="editor", tag=TAG)
        refusals = (Forbidden, InvalidField, wire.TooManyQuests)
        return [
            make(
                "GET",
                f"{ADMIN}/quests/{{title}}",
                "List a title's quests, hidden and withdrawn ones too.",
                self._definitions,
                answer=wire.QuestDefinitions,
                errors=(Forbidden, InvalidField),
            ),
            make(
                "PUT",
                f"{ADMIN}/quests/{{title}}/{{name}}",
                "Add or change a quest.",
                self._put_quest,
                body=wire.QuestRequest,
                answer=wire.QuestDefinition,
                errors=(*refusals, wire.ConditionRefused, AssetNotFound, AssetRetired),
            ),
            make(
                "GET",
                f"{ADMIN}/quest-checks/{{title}}",
                "Read what is done about implausible progress in a title.",
                self._checks,
                answer=wire.QuestChecks,
                errors=(Forbidden, InvalidField),
            ),
            make(
                "PUT",
                f"{ADMIN}/quest-checks/{{title}}",
                "Set what is done about implausible progress in a title.",
                self._put_checks,
                body=wire.QuestChecks,
                answer=wire.QuestChecks,
                errors=refusals,
            ),
            make(
                "GET",
                f"{ADMIN}/events/{{title}}",
                "List a title's timed events and seasons, withdrawn ones too.",
                self._event_definitions,
                answer=wire.TimedEvents,
                errors=(Forbidden, InvalidField),
            ),
            make(
                "PUT",
                f"{ADMIN}/events/{{title}}/{{name}}",
                "Add or change a timed event.",
                self._put_event,
                body=wire.TimedEventRequest,
                answer=wire.TimedEventDefinition,
                errors=(*refusals, wire.ScheduleRefused),
            ),
            make(
                "PUT",
                f"{ADMIN}/seasons/{{title}}/{{name}}",
                "Add or change a season.",
                self._put_season,
                body=wire.SeasonRequest,
                answer=wire.Season,
                errors=(*refusals, wire.ScheduleRefused),
            ),
        ]

    # ------------------------------------------------------------------ players

    async def _list(self, request: HttpRequest) -> wire.Quests:
        slot_id = request.parse_path(SlotPath).slot_id
        return await self._service.list_quests(request.who.requester, slot_id)

    async def _narrative(self, request: HttpRequest) -> wire.Narrative:
        slot_id = request.parse_path(SlotPath).slot_id
        return await self._service.narrative(request.who.requester, slot_id)

    async def _accept(self, request: HttpRequest) -> wire.QuestActed:
        return await self._service.accept(request.who.requester, *_quest_of(request))

    async def _advance(self, request: HttpRequest) -> wire.QuestActed:
        asked: wire.QuestAdvance = request.body
        who = request.who.requester
        return await self._service.advance(who, *_quest_of(request), asked.step)

    async def _complete(self, request: HttpRequest) -> wire.QuestActed:
        return await self._service.complete(request.who.requester, *_quest_of(request))

    async def _abandon(self, request: HttpRequest) -> wire.QuestActed:
        return await self._service.abandon(request.who.requester, *_quest_of(request))

    async def _claim(self, request: HttpRequest) -> wire.QuestActed:
        return await self._service.claim(request.who.requester, *_quest_of(request))

    async def _events(self, request: HttpRequest) -> wire.TimedEventStatuses:
        query: wire.TimedEventStatusesQuery = request.query
        return await self._service.open_events(query.title)

    # ------------------------------------------------------------------ editors

    async def _definitions(self, request: HttpRequest) -> wire.QuestDefinitions:
        found = await self._service.definitions(_title_of(request))
        return wire.QuestDefinitions(quests=[_definition(each) for each in found])

    async def _put_quest(self, request: HttpRequest) -> wire.QuestDefinition:
        title, name = _named(request)
        actor = request.who.user_id
        return _definition(await self._service.put_quest(title, name, request.body, actor=actor))

    async def _checks(self, request: HttpRequest) -> wire.QuestChecks:
        found = await self._service.checks(_title_of(request))
        return wire.QuestChecks(**found._asdict())

    async def _put_checks(self, request: HttpRequest) -> wire.QuestChecks:
        actor = request.who.user_id
        stored = await self._service.put_checks(_title_of(request), request.body, actor=actor)
        return wire.QuestChecks(**stored._asdict())

    async def _event_definitions(self, request: HttpRequest) -> wire.TimedEvents:
        events, seasons = await self._service.events(_title_of(request))
        return wire.TimedEvents(
            events=[_event(each) for each in events], seasons=[_season(each) for each in seasons]
        )

    async def _put_event(self, request: HttpRequest) -> wire.TimedEventDefinition:
        title, name = _named(request)
        actor = request.who.user_id
        return _event(await self._service.put_event(title, name, request.body, actor=actor))

    async def _put_season(self, request: HttpRequest) -> wire.Season:
        title, name = _named(request)
        actor = request.who.user_id
        return _season(await self._service.put_season(title, name, request.body, actor=actor))


def _quest_of(request: HttpRequest) -> tuple[str, str]:
    path = request.parse_path(wire.QuestPath)
    return path.slot_id, path.name


def _title_of(request: HttpRequest) -> str:
    return request.parse_path(wire.TitlePath).title


def _named(request: HttpRequest) -> tuple[str, str]:
    path = request.parse_path(wire.NamePath)
    return path.title, path.name


def _definition(stored: StoredQuest) -> wire.QuestDefinition:
    fields = {**stored._asdict(), "updated_at": wire_time(stored.updated_at)}
    del fields["save_title"]
    kinds = dict.fromkeys(("when", "ruleset", "games", "wins"))
    fields["steps"] = [{**kinds, **step} for step in stored.steps]
    return wire.QuestDefinition.model_validate(fields)


def _event(stored: StoredTimedEvent) -> wire.TimedEventDefinition:
    return wire.TimedEventDefinition.model_validate(_fields(stored))


def _season(stored: StoredTimedEvent) -> wire.Season:
    fields = _fields(stored)
    fields["season_id"] = fields.pop("event_id")
    del fields["season"]
    return wire.Season.model_validate(fields)


def _fields(stored: StoredTimedEvent) -> dict[str, Any]:
    fields = {**stored._asdict(), "updated_at": wire_time(stored.updated_at)}
    fields["starts_at"] = stored.starts_at.isoformat(timespec="seconds")
    del fields["save_title"]
    return fields
