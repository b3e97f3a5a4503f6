"""The use cases of companions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, NamedTuple

from persistence.companions.store import (
    CompanionStore,
    SaidMessage,
    StoredConversation,
    StoredMessage,
    StoredPersona,
)
from persistence.rls import Requester
from protocol import companions as wire
from protocol.errors import Overloaded
from server.core.clock import Clock
from server.core.periodic import AWAY
from server.core.rate_limits import Rate, RateLimiter
from server.domains.interfaces import CompanionModeration
from server.domains.services import InterfaceNotProvided, Interfaces
from server.domains.social.companions.context import ChatPrompt, build_prompt
from server.domains.social.companions.facts import find_facts
from server.domains.social.companions.moderation import RefusedWords
from server.domains.social.companions.recall import MemoryRecall
from server.domains.social.companions.settings import CompanionsSettings
from server.domains.social.companions.writing import AnswerWriter

RECENT_MAX: Final = 40  # messages that a prompt may have whole
SUMMARY_CHARS_MAX: Final = 2000
POLL_S: Final = 0.5  # of an answer that another node writes
KEEP_ALIVE_S: Final = 15.0


class AnswerPiece(NamedTuple):
    """The next piece of an answer."""

    offset: int
    text: str


class AnswerPause(NamedTuple):
    """Nothing came for a while."""


Followed = AnswerPiece | AnswerPause | StoredMessage


class CompanionService:
    """What people do with companions."""

    def __init__(
        self,
        store: CompanionStore,
        writer: AnswerWriter,
        settings: CompanionsSettings,
        clock: Clock,
        moderation: "Moderation",
        recall: MemoryRecall,
    ) -> None:
        self.store = store
        self.writer = writer
        self._settings = settings
        self._clock = clock
        self._moderation = moderation
        self._recall = recall
        self._limit = RateLimiter(
            "companion-messages",
            Rate(
                settings.companions_messages_per_minute,
                settings.companions_messages_burst,
            ),
            "You are sending messages too fast",
        )

    async def say(
        self, who: Requester, conversation_id: str, asked: wire.MessageRequest
    ) -> SaidMessage:
        """Store a message once and have it answered."""
        self._limit.require_allowed(who.user_id, self._clock.monotonic())
        conversation = await self.store.find_conversation(who, conversation_id)
        said = await self.store.find_said(who.user_id, conversation_id, asked.request_id)
        if said is not None:
            return said
        problem = await self._moderation().find_problem(asked.text)
        if problem is not None:
            raise wire.MessageRefused(problem)
        persona = await self.store.read_persona(conversation.luminor_id)
        if self.writer.is_full:
            raise Overloaded
        usage = await self.store.read_usage(who.user_id)
        said = await self.store.say(
            who.user_id,
            conversation,
            asked,
            model=self.writer.provider.model,
            messages_max=self._settings.messages_max(usage.tier),
            facts=find_facts(asked.text),
        )
        if said.is_new:

            async def prepare() -> ChatPrompt:
                return await self._prompt(who, conversation, persona, asked, usage.name)

            self.writer.start(said.answer_id, who.user_id, prepare)
        return said

    async def _prompt(
        self,
        who: Requester,
        conversation: StoredConversation,
        persona: StoredPersona,
        asked: wire.MessageRequest,
        person: str,
    ) -> ChatPrompt:
        """Read, as the person, what the answer may be made of."""
        place = conversation.conversation_id
        await self.store.summarise(conversation, RECENT_MAX, SUMMARY_CHARS_MAX)
        conversation = await self.store.find_conversation(who, place)
        recent = await self.store.list_messages(who, place, None, RECENT_MAX + 2)
        answered = {each.reply_to for each in recent if each.status == "streaming"}
        bond = await self.store.find_bond(who, conversation.luminor_id)
        creation = asked.creation_id and await self.store.read_creation(who, asked.creation_id)
        return build_prompt(
            persona,
            bond_level=bond.bond_level if bond is not None else 1,
            person=person,
            memories=await self._recall.recall(who, conversation.luminor_id, asked.text),
            summary=conversation.summary or "",
            creation=creation or None,
            history=[
                each
                for each in recent
                if each.content and each.status != "streaming" and each.message_id not in answered
            ],
            text=asked.text,
            tokens_max=self._settings.ai_context_tokens,
        )

    async def find_answer(self, who: Requester, message_id: str) -> StoredMessage:
        """Find one's answer; raise `MessageNotFound`."""
        message = await self.store.find_message(who, message_id)
        if message.role != "assistant":
            raise wire.MessageNotFound
        return message

    async def follow(self, who: Requester, message_id: str, offset: int) -> AsyncIterator[Followed]:
        """Give an answer from an offset on as it is written, and at last how it ended.

        Raises `MessageNotFound` if it is deleted meanwhile.
        """
        while True:
            if (answer := self.writer.get(message_id)) is not None:
                while True:
                    changed, text = answer.changed, answer.text
                    if len(text) > offset:
                        yield AnswerPiece(offset, text[offset:])
                        offset = len(text)
                        continue
                    if answer.is_done:
                        break
                    with suppress(TimeoutError):
                        async with asyncio.timeout(KEEP_ALIVE_S):
                            await changed.wait()
                            continue
                    yield AnswerPause()
            try:
                message = await self.find_answer(who, message_id)
            except AWAY:  # the database: the answer is there when it is back
                await asyncio.sleep(POLL_S)
                yield AnswerPause()
                continue
            if len(message.content) > offset:
                yield AnswerPiece(offset, message.content[offset:])
                offset = len(message.content)
            if message.status != "streaming":
                yield message
                return
            await asyncio.sleep(POLL_S)
            yield AnswerPause()

    async def stop(self, who: Requester, message_id: str) -> StoredMessage:
        """Stop an answer; what was written stays. One that has ended stays as it is."""
        message = await self.find_answer(who, message_id)
        if (answer := self.writer.get(message_id)) is None:
            if message.status == "streaming":
                await self.store.stop_answer(message_id)
            return await self.find_answer(who, message_id)
        answer.stop("stopped")
        while not answer.is_done:
            await answer.changed.wait()
        return await self.find_answer(who, message_id)

    async def usage(self, who: Requester) -> wire.CompanionUsage:
        """Say what somebody used today."""
        used = await self.store.read_usage(who.user_id)
        return wire.CompanionUsage(
            day=used.day,
            tier=used.tier,
            messages=used.messages,
            messages_max=self._settings.messages_max(used.tier),
            tokens=used.tokens,
            cost=used.cost,
        )


class Moderation:
    """Finds what reviews texts: a title package's, or the words of a setting."""

    def __init__(self, interfaces: Interfaces, settings: CompanionsSettings) -> None:
        self._interfaces = interfaces
        self._words = RefusedWords(settings.companions_refused_words.split(","))

    def __call__(self) -> CompanionModeration:
        """Give it; title packages are built after this domain."""
        try:
            return self._interfaces.get(CompanionModeration)
        except InterfaceNotProvided:
            return self._words
