"""The use cases of companions."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

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
from server.core.clock import Clock, wire_time
from server.core.periodic import AWAY
from server.core.rate_limits import Rate, RateLimiter
from server.domains.interfaces import CompanionModeration
from server.domains.services import InterfaceNotProvided, Interfaces
from server.domains.social.companions import views
from server.domains.social.companions.caches import CompanionCaches
from server.domains.social.companions.context import ChatPrompt, build_prompt
from server.domains.social.companions.facts import find_facts
from server.domains.social.companions.moderation import RefusedWords
from server.domains.social.companions.preferences import (
    Preferences,
    learn,
    read_chosen,
    read_since,
    write_chosen,
)
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
        caches: CompanionCaches,
    ) -> None:
        self.store = store
        self.writer = writer
        self._settings = settings
        self._clock = clock
        self._moderation = moderation
        self._recall = recall
        self.caches = caches
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
        persona = await self.caches.personas.get(conversation.luminor_id)
        if self.writer.is_full:
            raise Overloaded
        speaker = await self.caches.speakers.get(who.user_id)
        said = await self.store.say(
            who.user_id,
            conversation,
            asked,
            model=self.writer.provider.model,
            messages_max=self._settings.messages_max(speaker.tier),
            facts=find_facts(asked.text),
        )
        if said.is_new:

            async def prepare() -> ChatPrompt:
                return await self._prompt(who, conversation, persona, asked, speaker.name)

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
        preferred = await self.store.read_preferences(who, conversation.luminor_id)
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
            preferred=Preferences(
                read_chosen(preferred.get("chosen")), read_chosen(preferred.get("learned"))
            ).used,
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

    async def rate(
        self, who: Requester, message_id: str, rating: wire.RatingRequest
    ) -> StoredMessage:
        """Rate an answer, and learn from it; raise `MessageNotFound`."""
        rated = await self.store.rate_message(who, message_id, rating)
        luminor_id = await self.store.find_luminor_of(who, message_id)
        with suppress(wire.LuminorNotFound):  # it is not active any more
            await self.read_preferences(who, luminor_id)
        return rated

    # ------------------------------------------------------------------ preferences

    async def read_preferences(self, who: Requester, luminor_id: str) -> wire.CompanionPreferences:
        """Say what somebody prefers in a companion, as learned by now; raise `LuminorNotFound`."""
        stored = await self.store.read_preferences(who, luminor_id)
        return await self._keep_preferences(who, luminor_id, stored, before=stored)

    async def choose_preferences(
        self, who: Requester, luminor_id: str, asked: wire.PreferencesRequest
    ) -> wire.CompanionPreferences:
        """Choose what one prefers; raise `LuminorNotFound`."""
        stored = await self.store.read_preferences(who, luminor_id)
        chosen = asked.model_dump(exclude_none=True)
        wanted = {**stored, "chosen": chosen}
        return await self._keep_preferences(who, luminor_id, wanted, before=stored)

    async def reset_preferences(self, who: Requester, luminor_id: str) -> wire.CompanionPreferences:
        """Forget what was chosen and learned; raise `LuminorNotFound`."""
        wanted = {"since": wire_time(self._clock.now())}
        return await self._keep_preferences(who, luminor_id, wanted, before={})

    async def _keep_preferences(
        self,
        who: Requester,
        luminor_id: str,
        wanted: Mapping[str, Any],
        *,
        before: Mapping[str, Any],
    ) -> wire.CompanionPreferences:
        """Learn anew, and store what has changed by it."""
        found = await self.store.find_luminor(who, luminor_id)
        personality = found["personality"]
        since = read_since(wanted)
        opinions = await self.store.list_opinions(who, since)
        preferences = Preferences(read_chosen(wanted.get("chosen")), learn(opinions, luminor_id))
        shown = views.preferences_of(
            luminor_id, preferences, personality, rated=sum(each.answers for each in opinions)
        )
        shown.learned_since = wire_time(since) if since is not None else None
        kept = {
            "chosen": write_chosen(preferences.chosen),
            "learned": write_chosen(preferences.learned),
            **({"since": shown.learned_since} if since is not None else {}),
        }
        if kept != before:
            match = {
                "percent": shown.match_percent,
                "traits": [each.model_dump() for each in shown.traits],
            }
            await self.store.set_preferences(who, luminor_id, preferences=kept, match=match)
        return shown

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
