"""Companions: people's own rows as the person, what a companion writes as the server."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg
import orjson

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol import companions as wire
from protocol.ids import UserId, new_id

SQL: Final = load_queries("companions/store")
LUMINORS_MAX: Final = 200
EXPORTED_AT_ONCE: Final = 200
SUMMARISED_MAX: Final = 200
OPINIONS_MAX: Final = 500  # rated answers that preferences are learned from
SHORT_CHARS: Final = 300  # an answer below this is short,
MEDIUM_CHARS: Final = 900  # and one below this is of medium length
Row = TypeVar("Row")


class StoredConversation(NamedTuple):
    """A thread of a person with a companion."""

    conversation_id: str
    luminor_id: str
    title: str | None
    session_id: str | None
    is_active: bool
    is_archived: bool
    message_count: int
    created_at: datetime
    updated_at: datetime
    last_message_at: datetime | None
    summary: str | None


class StoredMessage(NamedTuple):
    """A message of a conversation."""

    message_id: str
    conversation_id: str
    role: str
    content: str
    status: str
    failure: str | None
    model: str | None
    tokens: int | None
    cost: float | None
    reply_to: str | None
    user_rating: int | None
    was_helpful: bool | None
    created_at: datetime


class StoredMemory(NamedTuple):
    """Something that a companion remembers of a person."""

    memory_id: str
    luminor_id: str
    memory_type: str
    content: str
    importance: int
    source_message_id: str | None
    superseded_by: str | None
    superseded_at: datetime | None
    created_at: datetime
    updated_at: datetime


class StoredBond(NamedTuple):
    """How close a person is to a companion."""

    luminor_id: str
    bond_level: int
    bond_xp: int
    xp_for_next_level: int
    level_progress_percent: float
    total_interactions: int
    last_interaction_at: datetime | None


class StoredUsage(NamedTuple):
    """What an account used today."""

    day: str
    tier: str
    messages: int
    tokens: int
    cost: float


class Speaker(NamedTuple):
    """Who talks to a companion: their tier, and their name."""

    tier: str
    name: str


class StoredPersona(NamedTuple):
    """What a model is told of a companion; the prompt is secret."""

    luminor_id: str
    name: str
    title: str
    specialty: str
    personality: dict[str, Any]
    system_prompt: str
    greeting_message: str
    expertise: list[str]


class RecalledMemory(NamedTuple):
    """A memory that has to do with what was said."""

    content: str
    memory_type: str
    importance: int
    subject: str | None


class MemoryText(NamedTuple):
    """What is to be embedded."""

    memory_id: str
    content: str


class EmbeddedQuestion(NamedTuple):
    """What memories are compared with: a vector of length 1, and from which similarity on."""

    embedding: Sequence[float]
    model: str
    similarity_min: float


class StoredOpinions(NamedTuple):
    """What a person thinks of a companion's answers of one length: how many, and from -1 to 1."""

    luminor_id: str
    personality: dict[str, Any]
    length: wire.AnswerLength
    answers: int
    reward: float


class Fact(NamedTuple):
    """Something that a person said of themselves. A newer one of its subject supersedes it."""

    subject: str
    memory_type: str
    content: str
    importance: int


class SaidMessage(NamedTuple):
    """What was said, and its answer; `is_new` is False where it had been said before."""

    message_id: str
    answer_id: str
    is_new: bool


class PagePlace(NamedTuple):
    """Where a page of a list ended."""

    at: datetime
    row_id: str


class CompanionStore:
    """Companions in PostgreSQL."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    # ------------------------------------------------------------------ companions

    async def list_luminors(self, who: Requester | None) -> list[dict[str, Any]]:
        """List the companions that somebody may talk to."""
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(SQL["list_luminors"], LUMINORS_MAX)
        return [_luminor(row) for row in rows]

    async def find_luminor(self, who: Requester | None, name: str) -> dict[str, Any]:
        """Find one by id or slug; raise `LuminorNotFound`."""
        async with self._rls.as_user(who) as connection:
            row = await connection.fetchrow(SQL["find_luminor"], name)
        return _luminor(_found(row, wire.LuminorNotFound))

    async def list_definitions(self) -> list[dict[str, Any]]:
        """List all companions with what only admins see."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_definitions"], LUMINORS_MAX, None)
        return [_luminor(row) for row in rows]

    async def put_definition(
        self, luminor_id: str | None, asked: wire.LuminorRequest, *, actor: UserId
    ) -> dict[str, Any]:
        """Add a companion, or change one, on record."""
        fields = asked.model_dump()
        fields["personality"] = orjson.dumps(fields["personality"])
        order = (
            *("name", "slug", "title", "specialty", "color", "avatar_url", "icon", "personality"),
            *("system_prompt", "greeting_message", "expertise", "ai_tools"),
            *("is_active", "is_public"),
        )
        values = [fields[name] for name in order]
        async with self._database.transaction() as connection:
            with _refusals():
                if luminor_id is None:
                    done = await connection.fetchval(SQL["add_definition"], *values)
                else:
                    changed = await connection.fetchval(
                        SQL["change_definition"], *values, luminor_id
                    )
                    done = _found(changed, wire.LuminorNotFound)
            row = await connection.fetchrow(SQL["list_definitions"], 1, done)
            # The log says that a prompt was written, and not what it is: others read the log.
            after = {name: fields[name] for name in ("name", "slug", "is_active", "is_public")}
            action = "luminor.add" if luminor_id is None else "luminor.change"
            await record_entry(connection, actor=actor, action=action, target=done, after=after)
        return _luminor(_found(row, wire.LuminorNotFound))

    async def delete_definition(self, luminor_id: str, *, actor: UserId) -> None:
        """Delete a companion, on record."""
        async with self._database.transaction() as connection:
            deleted = await connection.fetchval(SQL["delete_definition"], luminor_id)
            _found(deleted, wire.LuminorNotFound)
            await record_entry(connection, actor=actor, action="luminor.delete", target=luminor_id)

    async def read_persona(self, luminor_id: str) -> StoredPersona:
        """Read what a model is told of a companion; raise `LuminorNotFound`."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_persona"], luminor_id)
        values = dict(_found(row, wire.LuminorNotFound))
        values["personality"] = orjson.loads(values["personality"])
        return StoredPersona(*values.values())

    # ------------------------------------------------------------------ conversations

    async def start_conversation(
        self, who: Requester, luminor_id: str, session_id: str | None
    ) -> StoredConversation:
        """Find or make the active conversation of a session; raise `LuminorNotFound`."""
        async with self._rls.as_user(who) as connection:
            found = await connection.fetchrow(SQL["find_luminor"], luminor_id)
            _found(found, wire.LuminorNotFound)
            with _refusals():
                made = await connection.fetchval(
                    SQL["start_conversation"], who.user_id, luminor_id, session_id
                )
            row = await connection.fetchrow(SQL["find_conversation"], made)
        return StoredConversation(*_found(row, wire.ConversationNotFound))

    async def find_conversation(self, who: Requester, conversation_id: str) -> StoredConversation:
        """Find one's conversation; raise `ConversationNotFound`."""
        async with self._rls.as_user(who) as connection:
            row = await connection.fetchrow(SQL["find_conversation"], conversation_id)
        return StoredConversation(*_found(row, wire.ConversationNotFound))

    async def list_conversations(
        self, who: Requester, query: wire.ConversationQuery, after: PagePlace | None
    ) -> list[StoredConversation]:
        """List one's conversations."""
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(
                SQL["list_conversations"],
                query.is_archived,
                query.luminor_id,
                query.text,
                *(after or (None, None)),
                query.limit,
            )
        return [StoredConversation(*row) for row in rows]

    async def change_conversation(
        self, who: Requester, conversation_id: str, change: wire.ConversationChange
    ) -> StoredConversation:
        """Change a conversation; raise `ConversationNotFound` or `SessionTaken`."""
        async with self._rls.as_user(who) as connection:
            with _refusals():
                changed = await connection.fetchval(
                    SQL["change_conversation"], conversation_id, change.title, change.is_archived
                )
            _found(changed, wire.ConversationNotFound)
            row = await connection.fetchrow(SQL["find_conversation"], conversation_id)
        return StoredConversation(*_found(row, wire.ConversationNotFound))

    async def delete_conversation(self, who: Requester, conversation_id: str) -> None:
        """Delete a conversation; raise `ConversationNotFound`."""
        async with self._rls.as_user(who) as connection:
            deleted = await connection.fetchval(SQL["delete_conversation"], conversation_id)
        _found(deleted, wire.ConversationNotFound)

    async def list_messages(
        self, who: Requester, conversation_id: str, after: PagePlace | None, limit: int
    ) -> list[StoredMessage]:
        """List messages, newest first; raise `ConversationNotFound`."""
        async with self._rls.as_user(who) as connection:
            row = await connection.fetchrow(SQL["find_conversation"], conversation_id)
            _found(row, wire.ConversationNotFound)
            rows = await connection.fetch(
                SQL["list_messages"], conversation_id, *(after or (None, None)), limit
            )
        return [StoredMessage(*row) for row in rows]

    async def export_messages(
        self, who: Requester, conversation_id: str
    ) -> AsyncIterator[StoredMessage]:
        """Give all messages of a conversation, oldest first, a page at a time."""
        after: PagePlace | None = None
        while True:
            async with self._rls.as_user(who) as connection:
                rows = await connection.fetch(
                    SQL["list_messages_forward"],
                    conversation_id,
                    *(after or (None, None)),
                    EXPORTED_AT_ONCE,
                )
            for message in (page := [StoredMessage(*row) for row in rows]):
                yield message
            if len(page) < EXPORTED_AT_ONCE:
                return
            after = PagePlace(page[-1].created_at, page[-1].message_id)

    async def find_message(self, who: Requester, message_id: str) -> StoredMessage:
        """Find one's message; raise `MessageNotFound`."""
        async with self._rls.as_user(who) as connection:
            row = await connection.fetchrow(SQL["find_message"], message_id)
        return StoredMessage(*_found(row, wire.MessageNotFound))

    async def rate_message(
        self, who: Requester, message_id: str, rating: wire.RatingRequest
    ) -> StoredMessage:
        """Rate an answer; raise `MessageNotFound`."""
        async with self._rls.as_user(who) as connection:
            rated = await connection.fetchval(
                SQL["rate_message"], message_id, rating.user_rating, rating.was_helpful
            )
            _found(rated, wire.MessageNotFound)
            row = await connection.fetchrow(SQL["find_message"], message_id)
        return StoredMessage(*_found(row, wire.MessageNotFound))

    # ------------------------------------------------------------------ context

    async def read_creation(self, who: Requester, creation_id: str) -> dict[str, Any] | None:
        """Read what a companion is told of a creation that the person can see."""
        async with self._rls.as_user(who) as connection:
            row = await connection.fetchrow(SQL["read_creation"], creation_id)
        return None if row is None else dict(row)

    async def recall(
        self,
        who: Requester,
        luminor_id: str,
        text: str,
        limit: int,
        *,
        question: EmbeddedQuestion | None = None,
    ) -> list[RecalledMemory]:
        """Give the person's memories that have most to do with a text, best first.

        Without an embedding of the text they go by its words alone.
        """
        meaning = question or (None, None, None)
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(SQL["recall"], luminor_id, text, limit, *meaning)
        return [RecalledMemory(*row) for row in rows]

    async def list_unembedded(
        self, model: str, limit: int, *, whose: tuple[UserId, str] | None = None
    ) -> list[MemoryText]:
        """List memories in use that a model has not embedded: of all, or of a bond."""
        async with self._database.acquire() as connection:
            if whose is None:
                rows = await connection.fetch(SQL["list_unembedded"], model, limit)
            else:
                rows = await connection.fetch(SQL["list_unembedded_of"], model, limit, *whose)
        return [MemoryText(*row) for row in rows]

    async def put_embeddings(
        self, model: str, embedded: Sequence[tuple[MemoryText, Sequence[float]]]
    ) -> int:
        """Store embeddings of memories that still say the same; gives how many."""
        stored = 0
        async with self._database.transaction() as connection:
            for memory, vector in embedded:
                done = await connection.fetchval(
                    SQL["put_embedding"], memory.memory_id, memory.content, vector, model
                )
                stored += done is not None
        return stored

    # ------------------------------------------------------------------ memories and bonds

    async def list_memories(
        self, who: Requester, luminor_id: str, query: wire.MemoryQuery, after: PagePlace | None
    ) -> list[StoredMemory]:
        """List what a companion remembers."""
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(
                SQL["list_memories"],
                luminor_id,
                query.superseded,
                *(after or (None, None)),
                query.limit,
            )
        return [StoredMemory(*row) for row in rows]

    async def add_memory(
        self, who: Requester, luminor_id: str, asked: wire.MemoryRequest
    ) -> StoredMemory:
        """Have a companion remember something; raise `LuminorNotFound` or `TooManyMemories`."""
        async with self._rls.as_user(who) as connection:
            found = await connection.fetchrow(SQL["find_luminor"], luminor_id)
            _found(found, wire.LuminorNotFound)
            with _refusals():
                added = await connection.fetchval(
                    SQL["add_memory"],
                    who.user_id,
                    luminor_id,
                    asked.memory_type,
                    asked.content,
                    asked.importance,
                    None,
                )
            row = await connection.fetchrow(SQL["find_memory"], added)
        return StoredMemory(*_found(row, wire.MemoryNotFound))

    async def change_memory(
        self, who: Requester, memory_id: str, change: wire.MemoryChange
    ) -> StoredMemory:
        """Edit a memory; raise `MemoryNotFound`."""
        async with self._rls.as_user(who) as connection:
            row = await connection.fetchrow(
                SQL["change_memory"],
                memory_id,
                change.memory_type,
                change.content,
                change.importance,
            )
        return StoredMemory(*_found(row, wire.MemoryNotFound))

    async def delete_memory(self, who: Requester, memory_id: str) -> None:
        """Forget a memory; raise `MemoryNotFound`."""
        async with self._rls.as_user(who) as connection:
            deleted = await connection.fetchval(SQL["delete_memory"], memory_id)
        _found(deleted, wire.MemoryNotFound)

    async def find_bond(self, who: Requester, luminor_id: str) -> StoredBond | None:
        """Read how close a person is to a companion; None before the first message."""
        async with self._rls.as_user(who) as connection:
            row = await connection.fetchrow(SQL["find_bond"], luminor_id)
        return None if row is None else StoredBond(*row)

    async def read_preferences(self, who: Requester, luminor_id: str) -> dict[str, Any]:
        """Read what a person prefers in a companion, as it was stored; empty before."""
        async with self._rls.as_user(who) as connection:
            stored = await connection.fetchval(SQL["read_preferences"], luminor_id)
        read = orjson.loads(stored) if stored is not None else {}
        return read if isinstance(read, dict) else {}

    async def set_preferences(
        self,
        who: Requester,
        luminor_id: str,
        *,
        preferences: Mapping[str, Any],
        match: Mapping[str, Any],
    ) -> None:
        """Keep what a person prefers in a companion, and how well it fits."""
        async with self._rls.as_user(who) as connection:
            await connection.execute(
                SQL["set_preferences"], luminor_id, orjson.dumps(preferences), orjson.dumps(match)
            )

    async def list_opinions(self, who: Requester, since: datetime | None) -> list[StoredOpinions]:
        """Read what a person thinks of the answers that they rated, by companion and length."""
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(
                SQL["list_opinions"], since, SHORT_CHARS, MEDIUM_CHARS, OPINIONS_MAX
            )
        return [
            StoredOpinions(
                row["luminor_id"],
                orjson.loads(row["personality"]),
                row["length"],
                row["answers"],
                row["reward"],
            )
            for row in rows
        ]

    async def find_luminor_of(self, who: Requester, message_id: str) -> str:
        """Say with which companion a message was exchanged; raise `MessageNotFound`."""
        async with self._rls.as_user(who) as connection:
            found = await connection.fetchval(SQL["luminor_of_message"], message_id)
        return str(_found(found, wire.MessageNotFound))

    async def read_speaker(self, user_id: UserId) -> Speaker:
        """Read the tier and the name of an account."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_speaker"], user_id)
        return Speaker(*row) if row is not None else Speaker("explorer", "")

    async def read_usage(self, user_id: UserId) -> StoredUsage:
        """Read what an account used today."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_usage"], user_id)
        return StoredUsage(*row) if row is not None else StoredUsage("", "explorer", 0, 0, 0.0)

    # ------------------------------------------------------------------ answers

    async def find_said(
        self, user_id: UserId, conversation_id: str, request_id: str
    ) -> SaidMessage | None:
        """Find what was said under a request id; None for a new one."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["find_said"], conversation_id, request_id, user_id)
        if row is None or row["answer_id"] is None:
            return None
        return SaidMessage(row["message_id"], row["answer_id"], False)

    async def say(
        self,
        user_id: UserId,
        conversation: StoredConversation,
        asked: wire.MessageRequest,
        *,
        model: str,
        messages_max: int,
        facts: Sequence[Fact],
    ) -> SaidMessage:
        """Store a message, begin its answer and remember facts, all or nothing, once per request.

        Raises `ConversationNotFound`, `ConversationArchived`, `CompanionBusy` or `CompanionQuota`.
        """
        place = conversation.conversation_id
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_person"], user_id)
            is_archived = await connection.fetchval(SQL["lock_conversation"], place, user_id)
            if _found(is_archived, wire.ConversationNotFound):
                raise wire.ConversationArchived
            row = await connection.fetchrow(SQL["find_said"], place, asked.request_id, user_id)
            if row is not None and row["answer_id"] is not None:
                return SaidMessage(row["message_id"], row["answer_id"], False)
            if await connection.fetchval(SQL["is_answering"], place):
                raise wire.CompanionBusy
            if await connection.fetchval(SQL["count_message"], user_id, messages_max) is None:
                raise wire.CompanionQuota(
                    f"You have sent {messages_max} messages to companions today, which is what "
                    "your tier allows; go on tomorrow (UTC)."
                )
            message_id = await connection.fetchval(
                SQL["say"], place, user_id, asked.text, asked.request_id
            )
            answer_id = new_id()
            await connection.execute(
                SQL["open_answer"], answer_id, user_id, place, model, message_id
            )
            for fact in facts:
                await _remember(connection, user_id, conversation.luminor_id, fact, message_id)
        return SaidMessage(message_id, answer_id, True)

    async def save_answers(self, written: Mapping[str, str]) -> set[str]:
        """Keep what was written so far; gives the answers that are still wanted."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(
                SQL["save_answers"], list(written), list(written.values())
            )
        return {row["id"] for row in rows}

    async def end_answer(
        self,
        user_id: UserId,
        answer_id: str,
        *,
        content: str,
        status: str,
        failure: str | None,
        tokens: int,
        cost: float,
    ) -> bool:
        """End an answer and record what it used; False where it had ended already."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_person"], user_id)
            ended = await connection.fetchval(
                SQL["end_answer"], answer_id, content, status, failure, tokens, cost
            )
            if ended is None:
                if await connection.fetchval(SQL["is_counted"], answer_id):
                    return False
                await connection.execute(SQL["record_usage"], answer_id, tokens, cost)
            await connection.execute(SQL["add_usage"], user_id, tokens, cost)
        return ended is not None

    async def stop_answer(self, answer_id: str) -> bool:
        """Stop an answer that another node writes."""
        async with self._database.acquire() as connection:
            return await connection.fetchval(SQL["stop_answer"], answer_id) is not None

    async def end_abandoned(self, after_s: float) -> int:
        """End the answers whose nodes are gone; gives how many."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["end_abandoned"], after_s))

    async def summarise(self, conversation: StoredConversation, keep: int, chars_max: int) -> None:
        """Add what a person said before the newest messages to the summary, shortened."""
        place = conversation.conversation_id
        async with self._database.transaction() as connection:
            rows = await connection.fetch(SQL["list_unsummarised"], place, keep, SUMMARISED_MAX)
            if not rows:
                return
            lines = [conversation.summary or ""]
            lines += [" ".join(row["content"].split())[:120] for row in rows]
            summary = "\n".join(filter(None, lines))[-chars_max:]
            await connection.execute(SQL["set_summary"], place, summary, rows[-1]["id"])


async def _remember(
    connection: Connection, user_id: UserId, luminor_id: str, fact: Fact, source: str
) -> None:
    """Add a fact; one of the same subject that says something else is superseded."""
    current = await connection.fetchrow(SQL["current_memory"], user_id, luminor_id, fact.subject)
    if current is not None and current["content"] == fact.content:
        return
    try:
        async with connection.transaction():
            if current is not None:
                await connection.execute(SQL["retire_memory"], current["id"])
            added = await connection.fetchval(
                SQL["add_memory"],
                user_id,
                luminor_id,
                fact.memory_type,
                fact.content,
                fact.importance,
                source,
            )
            await connection.execute(SQL["name_subject"], added, fact.subject)
            if current is not None:
                await connection.execute(SQL["name_successor"], current["id"], added)
    except asyncpg.CheckViolationError as error:
        if error.constraint_name != "luminor_memories_max":
            raise


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in the protocol's words what a constraint refused."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == "idx_luminors_slug":
            raise wire.LuminorSlugTaken from error
        if error.constraint_name == "luminor_conversations_session_idx":
            raise wire.SessionTaken from error
        raise
    except asyncpg.CheckViolationError as error:
        if error.constraint_name == "luminor_memories_max":
            raise wire.TooManyMemories from error
        raise


def _found(row: Row | None, error: type[Exception]) -> Row:
    if row is None:
        raise error
    return row


def _luminor(row: asyncpg.Record) -> dict[str, Any]:
    fields = dict(row)
    fields["luminor_id"] = fields.pop("id")
    fields["personality"] = orjson.loads(fields["personality"])
    return fields
