"""The answers that this node writes: from the provider into memory and, every second, the database.

Followers read an answer's text as it is, from their own offset on; so nothing is queued for them,
and one who is slow gets larger pieces. The database's row says how an answer ended: only a row that
is still `streaming` can be ended, so that one which was stopped or given up elsewhere stays so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from persistence.companions.store import CompanionStore
from protocol.companions import ANSWER_CHARS_MAX, Failure, MessageStatus
from protocol.errors import PlayhallError
from protocol.ids import UserId
from server.core.containment import log_failure
from server.core.periodic import AWAY, repeat_every
from server.core.tasks import Tasks
from server.domains.interfaces import CompanionModeration
from server.domains.social.companions.context import ChatPrompt, count_tokens
from server.domains.social.companions.moderation import WINDOW_CHARS, PromptGuard
from server.domains.social.companions.providers import (
    CompanionProvider,
    ProviderFailed,
    ProviderUsage,
)
from server.domains.social.companions.settings import CompanionsSettings

log = logging.getLogger(__name__)

SAVE_EVERY_S: Final = 1.0
END_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # between attempts to store how an answer ended
STOP_S: Final = 5.0  # for answers under way when the node goes
COST_PER: Final = 1_000_000
Prepare = Callable[[], Awaitable[ChatPrompt]]


@dataclass(slots=True)
class OpenAnswer:
    """An answer that is being written here."""

    answer_id: str
    user_id: UserId
    text: str = ""
    is_done: bool = False
    stopped: tuple[MessageStatus, Failure | None] | None = None
    saved_chars: int = -1
    saved_at: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _timeout: asyncio.Timeout | None = None

    def limit(self, timeout: asyncio.Timeout) -> None:
        """Say what ends the writing early."""
        self._timeout = timeout
        if self.stopped is not None:
            self.stop(*self.stopped)

    def unlimit(self) -> None:
        """Say that the writing has ended: there is nothing left to end early."""
        self._timeout = None

    def stop(self, status: MessageStatus, failure: Failure | None = None) -> None:
        """End the writing now; what was written stays."""
        self.stopped = self.stopped or (status, failure)
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time())

    def announce(self) -> None:
        """Wake whoever follows it."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class AnswerWithheld(Exception):
    """An answer says what may not be said."""


class AnswerWriter:
    """Writes answers, each in a task of its own."""

    def __init__(
        self,
        store: CompanionStore,
        provider: CompanionProvider,
        settings: CompanionsSettings,
        *,
        tasks: Tasks,
        moderation: Callable[[], CompanionModeration],
    ) -> None:
        self.provider = provider
        self.completed = 0
        self.failed = 0
        self.tokens = 0
        self._store = store
        self._settings = settings
        self._tasks = tasks
        self._moderation = moderation
        self._open: dict[str, OpenAnswer] = {}
        self._is_ending = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Whether no more answers can be written here."""
        return self._is_ending or len(self._open) >= self._settings.companions_streams_max

    def get(self, answer_id: str) -> OpenAnswer | None:
        """Find an answer that is being written here."""
        return self._open.get(answer_id)

    def start(self, answer_id: str, user_id: UserId, prepare: Prepare) -> None:
        """Write an answer whose row was made; `prepare` builds its prompt."""
        answer = self._open[answer_id] = OpenAnswer(answer_id, user_id)
        self._tasks.start_work(self._write(answer, prepare), name="answer of a companion")

    async def save(self) -> None:
        """Keep what was written so far, and stop what is no longer wanted."""
        now = asyncio.get_running_loop().time()
        due = now - self._settings.companions_abandoned_s / 3
        written = {
            each.answer_id: each.text
            for each in self._open.values()
            if not each.is_done and (len(each.text) != each.saved_chars or each.saved_at < due)
        }
        if not written:
            return
        wanted = await self._store.save_answers(written)
        for answer_id, text in written.items():
            if (answer := self._open.get(answer_id)) is None:
                continue
            answer.saved_chars, answer.saved_at = len(text), now
            if answer_id not in wanted:
                answer.stop("stopped")

    async def run(self) -> None:
        """Keep what is written, until cancelled."""
        await repeat_every(SAVE_EVERY_S, self.save, "keeping answers of companions")

    async def end_abandoned(self) -> None:
        """End the answers whose nodes are gone, again and again."""
        pause_s = self._settings.companions_abandoned_s / 3
        await repeat_every(pause_s, self._end_abandoned, "ending abandoned answers", at_once=True)

    async def _end_abandoned(self) -> None:
        ended = await self._store.end_abandoned(self._settings.companions_abandoned_s)
        if ended:
            log.warning("%d answers of companions were interrupted; their nodes are gone", ended)

    async def finish(self) -> None:
        """End all answers under way, since the node goes."""
        self._is_ending = True
        for answer in self._open.values():
            answer.stop("failed", "interrupted")
        try:
            async with asyncio.timeout(STOP_S):
                while self._open:
                    await next(iter(self._open.values())).changed.wait()
        except TimeoutError:
            log.warning("%d answers of companions could not be ended in time", len(self._open))

    # ------------------------------------------------------------------ one answer

    async def _write(self, answer: OpenAnswer, prepare: Prepare) -> None:
        status: MessageStatus = "complete"
        failure: Failure | None = None
        prompt: ChatPrompt | None = None
        usage: ProviderUsage | None = None
        try:
            async with asyncio.timeout(self._settings.ai_timeout_s) as timeout:
                answer.limit(timeout)
                try:
                    prompt = await prepare()
                    usage = await self._receive(answer, prompt)
                finally:
                    answer.unlimit()  # a timeout that has ended cannot be changed
            if not answer.text:
                status, failure = "failed", "provider_error"
        except TimeoutError:
            status, failure = answer.stopped or ("failed", "provider_timeout")
        except ProviderFailed as error:
            status, failure = "failed", error.failure
        except AnswerWithheld:
            answer.text = ""
            status, failure = "failed", "withheld"
        except PlayhallError as error:
            log.warning("an answer of a companion was not begun: %s", error.message)
            status, failure = "failed", "interrupted"
        except Exception:
            log_failure("an answer of a companion")
            status, failure = "failed", "provider_error"
        try:
            if len(answer.text) >= ANSWER_CHARS_MAX and status == "complete":
                status, failure = "stopped", "too_long"
            await self._end(answer, status, failure, prompt, usage)
        finally:
            answer.is_done = True
            del self._open[answer.answer_id]
            answer.announce()

    async def _receive(self, answer: OpenAnswer, prompt: ChatPrompt) -> ProviderUsage | None:
        usage = None
        guard, moderation = PromptGuard(prompt.system), self._moderation()
        async with aclosing(self.provider.stream(prompt)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                if isinstance(piece, ProviderUsage):
                    usage = piece
                    continue
                room = ANSWER_CHARS_MAX - len(answer.text)
                text = answer.text + piece.replace("\0", "")[:room]
                await _review(text[-WINDOW_CHARS - len(piece) :], guard, moderation)
                answer.text = text
                answer.announce()
                if len(text) >= ANSWER_CHARS_MAX:
                    break
        await _review(answer.text, guard, moderation)
        return usage

    async def _end(
        self,
        answer: OpenAnswer,
        status: MessageStatus,
        failure: Failure | None,
        prompt: ChatPrompt | None,
        usage: ProviderUsage | None,
    ) -> None:
        """Store how an answer ended; if that cannot be done, the sweep does so."""
        if usage is None or (not any(usage) and not self.provider.is_offline):
            usage = ProviderUsage(prompt.tokens if prompt else 0, count_tokens(answer.text))
        if self.provider.is_offline and prompt is not None:
            usage = ProviderUsage(prompt.tokens, count_tokens(answer.text))
        settings = self._settings
        cost = usage.tokens_in * settings.ai_cost_input + usage.tokens_out * settings.ai_cost_output
        for pause_s in (*END_PAUSES_S, None):
            try:
                await self._store.end_answer(
                    answer.user_id,
                    answer.answer_id,
                    content=answer.text,
                    status=status,
                    failure=failure,
                    tokens=sum(usage),
                    cost=cost / COST_PER,
                )
            except AWAY:
                if pause_s is None:
                    raise
                await asyncio.sleep(pause_s)
            else:
                break
        self.tokens += sum(usage)
        self.completed += status == "complete"
        self.failed += status == "failed"


async def _review(text: str, guard: PromptGuard, moderation: CompanionModeration) -> None:
    if guard.finds_leak(text) or await moderation.find_problem(text) is not None:
        raise AnswerWithheld
