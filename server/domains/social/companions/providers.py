"""What writes answers, behind one port: an OpenAI-compatible API, or the server itself.

The API is asked with aiohttp, which the server has anyway: one request whose answer is a stream of
events. The `openai` library would bring a second HTTP client for it.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

import aiohttp
import orjson

from protocol.companions import Failure
from server.domains.social.companions.context import ChatPrompt
from server.domains.social.companions.settings import CompanionsSettings

log = logging.getLogger(__name__)

OFFLINE_MODEL: Final = "playhall-offline-1"
CONNECT_TIMEOUT_S: Final = 10.0
ATTEMPTS_MAX: Final = 2  # as long as nothing of the answer has come
RETRY_PAUSE_S: Final = 0.2
# A person is waiting: an API that wants a longer pause has failed.
RETRY_AFTER_MAX_S: Final = 5.0
_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_BUSY: Final = frozenset({429, 500, 502, 503, 504})


pause: Final = asyncio.sleep  # has a name of its own, so that tests need not wait


class ProviderUsage(NamedTuple):
    """How many tokens an answer took, as the provider counted them."""

    tokens_in: int
    tokens_out: int


class ProviderFailed(Exception):
    """The provider did not answer, or not to the end."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class CompanionProvider(Protocol):
    """Writes answers."""

    model: str
    is_offline: bool

    def stream(self, prompt: ChatPrompt) -> AsyncIterator[str | ProviderUsage]:
        """Give an answer piece by piece, and what it took; raise `ProviderFailed`."""


class OpenAiProvider:
    """An OpenAI-compatible API. Its key goes into one header and nowhere else."""

    is_offline = False

    def __init__(self, settings: CompanionsSettings) -> None:
        assert settings.ai_url is not None
        self.model = settings.ai_model
        self._url = f"{settings.ai_url}/chat/completions"
        self._settings = settings
        self._http: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Hold the connections to the API for as long as the block lasts."""
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=self._settings.ai_silence_s
        )
        connector = aiohttp.TCPConnector(limit=0)  # the answers under way are bounded
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        ) as self._http:
            yield
        self._http = None

    async def stream(self, prompt: ChatPrompt) -> AsyncIterator[str | ProviderUsage]:
        """Ask the API, again if it was busy before anything came."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            begun, pause_s = False, RETRY_PAUSE_S
            try:
                async for piece in self._ask(prompt):
                    begun = True
                    yield piece
            except _Busy as busy:
                if attempt == ATTEMPTS_MAX or busy.retry_after_s > RETRY_AFTER_MAX_S:
                    raise ProviderFailed("provider_error") from busy
                pause_s = max(pause_s, busy.retry_after_s)
            except TimeoutError as error:
                raise ProviderFailed("provider_timeout") from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                log.warning("the AI provider failed: %s", type(error).__name__)
                if begun:
                    raise ProviderFailed("cut_off") from error
                if attempt == ATTEMPTS_MAX:
                    raise ProviderFailed("provider_error") from error
            else:
                return
            await pause(pause_s)

    async def _ask(self, prompt: ChatPrompt) -> AsyncIterator[str | ProviderUsage]:
        assert self._http is not None
        key = self._settings.ai_key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        turns = [{"role": role, "content": content} for role, content in prompt.turns]
        body = {
            "model": self.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": self._settings.ai_answer_tokens,
            "messages": [{"role": "system", "content": prompt.system}, *turns],
        }
        request = self._http.post(self._url, json=body, headers=headers, allow_redirects=False)
        async with request as response:
            if response.status != 200:
                log.warning("the AI provider answered with status %d", response.status)
                if response.status in _BUSY:
                    raise _Busy(read_retry_after(response.headers.get("Retry-After", "")))
                raise ProviderFailed("provider_error")
            is_finished = False
            async for line in response.content:  # a line that is too long is a ValueError
                field, _, data = line.decode("utf-8", "replace").strip().partition(":")
                if field != "data":
                    continue
                if data.strip() == "[DONE]":
                    return
                chunk = orjson.loads(data)
                if not isinstance(chunk, dict) or "error" in chunk:
                    raise ProviderFailed("provider_error")
                text, finished = _delta_of(chunk)
                is_finished |= finished
                if text:
                    yield text
                if (usage := _usage_of(chunk)) is not None:
                    yield usage
            if not is_finished:
                raise ProviderFailed("cut_off")


class _Busy(Exception):
    """The API may answer a little later: when it said, or soon."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


def read_retry_after(header: str) -> float:
    """Read in how many seconds an API wants to be asked again; 0 where it did not say.

    A date counts as later than anybody waits: clocks differ, and dates are for long pauses.
    """
    if _SECONDS.fullmatch(header.strip()):
        return float(header)
    return float("inf") if header.strip() else 0.0


def _delta_of(chunk: dict[str, object]) -> tuple[str, bool]:
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return "", False
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else None
    return text if isinstance(text, str) else "", choice.get("finish_reason") is not None


def _usage_of(chunk: dict[str, object]) -> ProviderUsage | None:
    usage = chunk.get("usage")
    if not isinstance(usage, dict):
        return None
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    tokens_in, tokens_out = (n if isinstance(n, int) and 0 <= n < 2**30 else 0 for n in counts)
    return ProviderUsage(tokens_in, tokens_out)


_NEXT_STEPS: Final = (
    "As a next step, sketch the smallest version of it and tell me what you notice.",
    "Try one variation first, and compare the two.",
    "Tell me more about the feeling you are after, and we go on from there.",
    "Pick the part that matters most to you; we begin with that one.",
)
_OPENINGS: Final = (
    ("I see.", "Thank you for telling me.", "That is a good place to begin."),
    ("I like where this goes.", "Good to hear from you.", "That fits what we have talked about."),
    ("You know how much I enjoy this.", "My friend, I am with you.", "Just like you."),
)
_ASKS_OF_MEMORIES: Final = (
    *("remember", "my name", "know about me", "who am i", "where do i live", "my favourite"),
    *("my favorite", "do i like", "what did i"),
)
_WORDS: Final = re.compile(r"\S+\s*")
OFFLINE_LABEL: Final = "(I am the built-in offline companion and answer from templates.)"


class OfflineProvider:
    """Answers from templates, the conversation and the memories; equally to equal prompts.

    It says so in the first answer of a conversation, and by its `model` in every one.
    """

    is_offline = True
    model = OFFLINE_MODEL

    async def stream(self, prompt: ChatPrompt) -> AsyncIterator[str | ProviderUsage]:
        """Write the answer word by word."""
        answer = answer_offline(prompt)
        for word in _WORDS.findall(answer):
            yield word
            await asyncio.sleep(0)
        yield ProviderUsage(0, 0)


def answer_offline(prompt: ChatPrompt) -> str:
    """Write an answer in persona."""
    persona, lower = prompt.persona, prompt.text.casefold()
    pick = int.from_bytes(
        sha256(f"{persona.name}\0{prompt.text}\0{len(prompt.history)}".encode()).digest()[:4], "big"
    )
    closeness = 0 if prompt.bond_level < 4 else 1 if prompt.bond_level < 7 else 2
    parts = []
    if not prompt.history:
        parts += [f"I am {persona.name}, {persona.title}.", OFFLINE_LABEL]
    if lower.endswith("?") and any(asked in lower for asked in _ASKS_OF_MEMORIES):
        parts.append(_recite(prompt))
    else:
        openings = _OPENINGS[closeness]
        name = _name_in(prompt)
        opening = openings[pick % len(openings)]
        parts.append(f"{name}: {opening}" if name and closeness else opening)
        if prompt.creation is not None:
            parts.append(f"“{prompt.creation['title']}” is what we are looking at.")
        known = [word for word in persona.expertise if word.casefold() in lower]
        if known:
            parts.append(f"You speak of {known[0]}, which I know well.")
        else:
            subjects = persona.expertise or [persona.specialty or "details"]
            parts.append(f"I would look at the {subjects[pick % len(subjects)]} first.")
        if prompt.length != "short":
            parts.append(_NEXT_STEPS[pick % len(_NEXT_STEPS)])
        if prompt.length == "long":
            parts.append(_NEXT_STEPS[(pick + 1) % len(_NEXT_STEPS)])
    return " ".join(parts)


def _name_in(prompt: ChatPrompt) -> str:
    names = [each.content for each in prompt.memories if each.subject == "name"]
    return names[0].removeprefix("Their name is ") if names else ""


def _recite(prompt: ChatPrompt) -> str:
    if not prompt.memories:
        return "I do not remember anything of you yet."
    remembered = "; ".join(
        memory.content.replace("Their ", "your ", 1)
        .replace("They are ", "you are ", 1)
        .replace("They ", "you ", 1)
        for memory in prompt.memories[:5]
    )
    return f"This is what I remember: {remembered}."
