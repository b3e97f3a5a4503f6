"""`/v1/luminors`, `/v1/conversations`, `/v1/companion-messages`, `/v1/companion-memories`."""

from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, Final

import orjson

from persistence.companions.store import PagePlace, StoredConversation
from protocol import companions as wire
from protocol.codec import error_body, validate
from protocol.envelope import WireModel
from protocol.errors import (
    Forbidden,
    InvalidField,
    Overloaded,
    PlayhallError,
    RateLimited,
    TooLarge,
)
from server.core.clock import Clock
from server.core.rate_limits import Rate, RateLimiter
from server.domains.social.companions import views
from server.domains.social.companions.service import AnswerPause, AnswerPiece, CompanionService
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest, RawResponse

TAG: Final = "companions"
LUMINOR: Final = "/v1/luminors/{luminor_id}"
CONVERSATION: Final = "/v1/conversations/{conversation_id}"
MESSAGE: Final = "/v1/companion-messages/{message_id}"
MEMORY: Final = "/v1/companion-memories/{memory_id}"
ADMIN: Final = "/v1/admin/luminors"
BODY_BYTES_MAX: Final = 32 * 1024
RATE: Final = Rate(per_minute=300, burst=100)  # of one account, for all but messages
EVENTS: Final = "text/event-stream"


class CompanionRoutes:
    """The addresses of companions."""

    def __init__(self, service: CompanionService, clock: Clock) -> None:
        self._service = service
        self._store = service.store
        self._admit = AccountLimit(
            RateLimiter("companion-requests", RATE, "You are doing too much at once"), clock
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        yours = partial(Endpoint, auth="required", admit=self._admit, tag=TAG)
        none = (wire.ConversationNotFound, InvalidField, RateLimited)
        absent = (wire.LuminorNotFound, InvalidField, RateLimited)
        lost = (wire.MessageNotFound, InvalidField, RateLimited)
        forgotten = (wire.MemoryNotFound, InvalidField, RateLimited)
        return [
            Endpoint(
                "GET",
                "/v1/luminors",
                "List the companions.",
                self._luminors,
                answer=wire.Luminors,
                is_tagged=True,
                tag=TAG,
            ),
            Endpoint(
                "GET",
                "/v1/luminors/{name:[a-z0-9][a-z0-9-]*}",
                "Read a companion, by id or slug.",
                self._luminor,
                answer=wire.Luminor,
                is_tagged=True,
                errors=(wire.LuminorNotFound,),
                tag=TAG,
            ),
            yours(
                "GET",
                f"{LUMINOR}/bond",
                "Read how close you are to a companion.",
                self._bond,
                answer=wire.Bond,
                errors=absent,
            ),
            yours(
                "GET",
                f"{LUMINOR}/preferences",
                "Read what you prefer in a companion, how it was learned, and how well it fits.",
                self._preferences,
                answer=wire.CompanionPreferences,
                errors=absent,
            ),
            yours(
                "PUT",
                f"{LUMINOR}/preferences",
                "Choose what you prefer in a companion; what is left out is learned.",
                self._choose,
                body=wire.PreferencesRequest,
                answer=wire.CompanionPreferences,
                errors=absent,
            ),
            yours(
                "DELETE",
                f"{LUMINOR}/preferences",
                "Reset what you prefer in a companion: what you chose, and what was learned.",
                self._reset,
                answer=wire.CompanionPreferences,
                errors=absent,
            ),
            yours(
                "GET",
                f"{LUMINOR}/memories",
                "List what a companion remembers of you.",
                self._memories,
                query=wire.MemoryQuery,
                answer=wire.Memories,
                errors=absent,
            ),
            yours(
                "POST",
                f"{LUMINOR}/memories",
                "Have a companion remember something.",
                self._add_memory,
                body=wire.MemoryRequest,
                answer=wire.Memory,
                errors=(*absent, wire.TooManyMemories),
            ),
            yours(
                "PATCH",
                MEMORY,
                "Edit a memory.",
                self._change_memory,
                body=wire.MemoryChange,
                answer=wire.Memory,
                errors=forgotten,
            ),
            yours(
                "DELETE",
                MEMORY,
                "Have a memory forgotten.",
                self._delete_memory,
                answer=wire.MemoryDeleted,
                errors=forgotten,
            ),
            yours(
                "POST",
                "/v1/conversations",
                "Continue a conversation, or begin one.",
                self._start,
                body=wire.ConversationRequest,
                answer=wire.Conversation,
                errors=absent,
            ),
            yours(
                "GET",
                "/v1/conversations",
                "List or search your conversations.",
                self._list,
                query=wire.ConversationQuery,
                answer=wire.Conversations,
                errors=(InvalidField, RateLimited),
            ),
            yours(
                "GET",
                CONVERSATION,
                "Read a conversation.",
                self._conversation,
                answer=wire.Conversation,
                errors=none,
            ),
            yours(
                "PATCH",
                CONVERSATION,
                "Rename or archive a conversation.",
                self._change,
                body=wire.ConversationChange,
                answer=wire.Conversation,
                errors=(*none, wire.SessionTaken),
            ),
            yours(
                "DELETE",
                CONVERSATION,
                "Delete a conversation; memories stay.",
                self._delete,
                answer=wire.ConversationDeleted,
                errors=none,
            ),
            yours(
                "GET",
                f"{CONVERSATION}/export",
                "Download a conversation as JSON lines.",
                self._export,
                errors=none,
            ),
            yours(
                "GET",
                f"{CONVERSATION}/messages",
                "List messages, newest first.",
                self._messages,
                query=wire.PageQuery,
                answer=wire.CompanionMessages,
                errors=none,
            ),
            Endpoint(
                "POST",
                f"{CONVERSATION}/messages",
                "Say something; the answer comes as server-sent events.",
                self._say,
                auth="required",
                body=wire.MessageRequest,
                body_bytes_max=BODY_BYTES_MAX,
                errors=(
                    *none,
                    wire.LuminorNotFound,
                    wire.ConversationArchived,
                    wire.MessageRefused,
                    wire.CompanionBusy,
                    wire.CompanionQuota,
                    Overloaded,
                    TooLarge,
                ),
                tag=TAG,
            ),
            yours(
                "GET",
                MESSAGE,
                "Read a message.",
                self._message,
                answer=wire.CompanionMessage,
                errors=lost,
            ),
            yours(
                "GET",
                f"{MESSAGE}/stream",
                "Follow an answer from an offset on.",
                self._stream,
                query=wire.StreamQuery,
                errors=lost,
                headers={"Last-Event-ID": "Where to resume; it comes before `offset`."},
            ),
            yours(
                "POST",
                f"{MESSAGE}/stop",
                "Stop an answer; what was written stays.",
                self._stop,
                answer=wire.CompanionMessage,
                errors=lost,
            ),
            yours(
                "PUT",
                f"{MESSAGE}/rating",
                "Rate an answer.",
                self._rate,
                body=wire.RatingRequest,
                answer=wire.CompanionMessage,
                errors=lost,
            ),
            yours(
                "GET",
                "/v1/me/companion-usage",
                "Read what you used today.",
                self._usage,
                answer=wire.CompanionUsage,
                errors=(RateLimited,),
            ),
            *self._of_admins(),
        ]

    def _of_admins(self) -> list[Endpoint]:
        make = partial(Endpoint, auth="required", scope="admin", tag=TAG)
        one = f"{ADMIN}/{{luminor_id}}"
        refusals = (Forbidden, InvalidField, wire.LuminorSlugTaken)
        return [
            make(
                "GET",
                ADMIN,
                "List all companions, with their prompts.",
                self._definitions,
                answer=wire.LuminorDefinitions,
                errors=(Forbidden,),
            ),
            make(
                "POST",
                ADMIN,
                "Add a companion.",
                self._put,
                body=wire.LuminorRequest,
                answer=wire.LuminorDefinition,
                errors=refusals,
            ),
            make(
                "PUT",
                one,
                "Change a companion.",
                self._put,
                body=wire.LuminorRequest,
                answer=wire.LuminorDefinition,
                errors=(*refusals, wire.LuminorNotFound),
            ),
            make(
                "DELETE",
                one,
                "Delete a companion, with all that people had with it.",
                self._remove,
                answer=wire.LuminorDeleted,
                errors=(Forbidden, InvalidField, wire.LuminorNotFound),
            ),
        ]

    # ------------------------------------------------------------------ companions

    async def _luminors(self, request: HttpRequest) -> wire.Luminors:
        found = await self._store.list_luminors(request.requester)
        provider = self._service.writer.provider
        return wire.Luminors(
            luminors=[wire.Luminor(**each) for each in found],
            model=provider.model,
            is_offline=provider.is_offline,
        )

    async def _luminor(self, request: HttpRequest) -> wire.Luminor:
        found = await self._store.find_luminor(request.requester, request.path["name"])
        return wire.Luminor(**found)

    async def _definitions(self, _: HttpRequest) -> wire.LuminorDefinitions:
        found = await self._store.list_definitions()
        return wire.LuminorDefinitions(luminors=[wire.LuminorDefinition(**each) for each in found])

    async def _put(self, request: HttpRequest) -> wire.LuminorDefinition:
        luminor_id = request.path.get("luminor_id")
        if luminor_id is not None:
            luminor_id = _id(request, "luminor_id")
        actor = request.who.user_id
        stored = await self._store.put_definition(luminor_id, request.body, actor=actor)
        self._service.caches.personas.invalidate(str(stored["luminor_id"]))
        return wire.LuminorDefinition(**stored)

    async def _remove(self, request: HttpRequest) -> wire.LuminorDeleted:
        luminor_id = _id(request, "luminor_id")
        await self._store.delete_definition(luminor_id, actor=request.who.user_id)
        self._service.caches.personas.invalidate(luminor_id)
        return wire.LuminorDeleted(luminor_id=luminor_id)

    # ------------------------------------------------------------------ conversations

    async def _start(self, request: HttpRequest) -> wire.Conversation:
        asked: wire.ConversationRequest = request.body
        found = await self._store.start_conversation(
            request.who.requester, asked.luminor_id, asked.session_id
        )
        return views.conversation_of(found)

    async def _list(self, request: HttpRequest) -> wire.Conversations:
        query: wire.ConversationQuery = request.query
        after = views.read_place(views.CONVERSATIONS, query.cursor)
        found = await self._store.list_conversations(request.who.requester, query, after)
        return wire.Conversations(
            conversations=[views.conversation_of(each) for each in found],
            next=views.CONVERSATIONS.after_page(
                found, query.limit, lambda row: PagePlace(row.updated_at, row.conversation_id)
            ),
        )

    async def _conversation(self, request: HttpRequest) -> wire.Conversation:
        return views.conversation_of(await self._find(request))

    async def _find(self, request: HttpRequest) -> StoredConversation:
        conversation_id = _id(request, "conversation_id")
        return await self._store.find_conversation(request.who.requester, conversation_id)

    async def _change(self, request: HttpRequest) -> wire.Conversation:
        changed = await self._store.change_conversation(
            request.who.requester, _id(request, "conversation_id"), request.body
        )
        return views.conversation_of(changed)

    async def _delete(self, request: HttpRequest) -> wire.ConversationDeleted:
        conversation_id = _id(request, "conversation_id")
        await self._store.delete_conversation(request.who.requester, conversation_id)
        return wire.ConversationDeleted(conversation_id=conversation_id)

    async def _export(self, request: HttpRequest) -> RawResponse:
        conversation = await self._find(request)
        who = request.who.requester

        async def lines() -> AsyncIterator[bytes]:
            yield _line(views.conversation_of(conversation).model_dump())
            async for message in self._store.export_messages(who, conversation.conversation_id):
                yield _line(views.message_of(message).model_dump())

        return RawResponse(
            lines(),
            "application/x-ndjson",
            headers={"Content-Disposition": 'attachment; filename="conversation.jsonl"'},
        )

    # ------------------------------------------------------------------ messages

    async def _messages(self, request: HttpRequest) -> wire.CompanionMessages:
        query: wire.PageQuery = request.query
        after = views.read_place(views.MESSAGES, query.cursor)
        found = await self._store.list_messages(
            request.who.requester, _id(request, "conversation_id"), after, query.limit
        )
        return wire.CompanionMessages(
            messages=[views.message_of(each) for each in found],
            next=views.MESSAGES.after_page(
                found, query.limit, lambda row: PagePlace(row.created_at, row.message_id)
            ),
        )

    async def _say(self, request: HttpRequest) -> RawResponse:
        who = request.who.requester
        said = await self._service.say(who, _id(request, "conversation_id"), request.body)
        first = {"message_id": said.message_id, "answer_id": said.answer_id}
        return self._events(request, said.answer_id, 0, _event("said", first))

    async def _stream(self, request: HttpRequest) -> RawResponse:
        query: wire.StreamQuery = request.query
        message_id = _id(request, "message_id")
        last = request.headers.get("Last-Event-ID", "")
        if last and not (last.isascii() and last.isdigit() and len(last) < 6):
            raise InvalidField("Last-Event-ID: send the id of the last event unchanged.")
        await self._service.find_answer(request.who.requester, message_id)
        return self._events(request, message_id, int(last) if last else query.offset, b"")

    def _events(
        self, request: HttpRequest, message_id: str, offset: int, first: bytes
    ) -> RawResponse:
        who = request.who.requester

        async def events() -> AsyncIterator[bytes]:
            if first:
                yield first
            try:
                async for piece in self._service.follow(who, message_id, offset):
                    if isinstance(piece, AnswerPause):
                        yield b": waiting\n\n"
                    elif isinstance(piece, AnswerPiece):
                        end = piece.offset + len(piece.text)
                        delta = {"offset": piece.offset, "next_offset": end, "text": piece.text}
                        yield _event("delta", {"message_id": message_id, **delta}, end)
                    else:
                        yield _event("message", views.message_of(piece).model_dump())
            except PlayhallError as error:  # the status was sent before
                yield _event("error", error_body(error))

        return RawResponse(events(), EVENTS, headers={"X-Accel-Buffering": "no"})

    async def _message(self, request: HttpRequest) -> wire.CompanionMessage:
        message_id = _id(request, "message_id")
        found = await self._store.find_message(request.who.requester, message_id)
        return views.message_of(found)

    async def _stop(self, request: HttpRequest) -> wire.CompanionMessage:
        stopped = await self._service.stop(request.who.requester, _id(request, "message_id"))
        return views.message_of(stopped)

    async def _rate(self, request: HttpRequest) -> wire.CompanionMessage:
        rated = await self._service.rate(
            request.who.requester, _id(request, "message_id"), request.body
        )
        return views.message_of(rated)

    async def _usage(self, request: HttpRequest) -> wire.CompanionUsage:
        return await self._service.usage(request.who.requester)

    # ------------------------------------------------------------------ memories and bonds

    async def _bond(self, request: HttpRequest) -> wire.Bond:
        luminor_id, who = _id(request, "luminor_id"), request.who.requester
        await self._store.find_luminor(who, luminor_id)
        return views.bond_of(await self._store.find_bond(who, luminor_id), luminor_id)

    async def _preferences(self, request: HttpRequest) -> wire.CompanionPreferences:
        luminor_id = _id(request, "luminor_id")
        return await self._service.read_preferences(request.who.requester, luminor_id)

    async def _choose(self, request: HttpRequest) -> wire.CompanionPreferences:
        luminor_id = _id(request, "luminor_id")
        return await self._service.choose_preferences(
            request.who.requester, luminor_id, request.body
        )

    async def _reset(self, request: HttpRequest) -> wire.CompanionPreferences:
        luminor_id = _id(request, "luminor_id")
        return await self._service.reset_preferences(request.who.requester, luminor_id)

    async def _memories(self, request: HttpRequest) -> wire.Memories:
        query: wire.MemoryQuery = request.query
        after = views.read_place(views.MEMORIES, query.cursor)
        found = await self._store.list_memories(
            request.who.requester, _id(request, "luminor_id"), query, after
        )
        return wire.Memories(
            memories=[views.memory_of(each) for each in found],
            next=views.MEMORIES.after_page(
                found, query.limit, lambda row: PagePlace(row.created_at, row.memory_id)
            ),
        )

    async def _add_memory(self, request: HttpRequest) -> wire.Memory:
        added = await self._store.add_memory(
            request.who.requester, _id(request, "luminor_id"), request.body
        )
        return views.memory_of(added)

    async def _change_memory(self, request: HttpRequest) -> wire.Memory:
        changed = await self._store.change_memory(
            request.who.requester, _id(request, "memory_id"), request.body
        )
        return views.memory_of(changed)

    async def _delete_memory(self, request: HttpRequest) -> wire.MemoryDeleted:
        memory_id = _id(request, "memory_id")
        await self._store.delete_memory(request.who.requester, memory_id)
        return wire.MemoryDeleted(memory_id=memory_id)


def _line(fields: dict[str, Any]) -> bytes:
    return orjson.dumps(fields) + b"\n"


def _event(name: str, data: dict[str, Any], number: int | None = None) -> bytes:
    """Write a server-sent event; JSON has no line breaks."""
    numbered = b"" if number is None else b"id: %d\n" % number
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), numbered, orjson.dumps(data))


_PATHS: Final[Mapping[str, type[WireModel]]] = {
    "luminor_id": wire.LuminorPath,
    "conversation_id": wire.ConversationPath,
    "message_id": wire.MessagePath,
    "memory_id": wire.MemoryPath,
}


def _id(request: HttpRequest, name: str) -> str:
    path = validate(_PATHS[name], {name: request.path[name]})
    return str(getattr(path, name))
