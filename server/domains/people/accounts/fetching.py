"""Reading JSON from other services: bounded, and only good answers."""

from typing import Final

import aiohttp
import orjson

ANSWER_BYTES_MAX: Final = 64 * 1024


class NotJson(Exception):
    """The answer is another, or too large."""


async def read_json_answer(answer: aiohttp.ClientResponse) -> object:
    """Read the JSON of a good answer; raise `NotJson`."""
    if answer.status != 200:
        raise NotJson(f"status {answer.status}")
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise NotJson(f"more than {ANSWER_BYTES_MAX} bytes")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotJson("no JSON") from None
