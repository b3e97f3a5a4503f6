"""A conversation of 200 messages with a companion, as a page: what was said, remembered, corrected.

    python -m loadtest.companion_transcript http://127.0.0.1:8080

Speaks HTTP like any client. The person's lines are always the same, so with the built-in offline
provider the page is, too; `docs/guides/companion-transcript.md` is made like this.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import aiohttp

# After how many lines the next of these is said. What is in between is about the work.
_FACTS: Final = {
    1: "My name is Ada and I live in Oslo.",
    2: "I am working on a picture of a lighthouse.",
    4: "I like fog, and I like the colour of rust.",
    7: "My favourite colour is teal.",
    11: "Remember that the keeper is called Old Tom",
    15: "I don't like crowded scenes.",
    19: "My favourite painter is Turner.",
    23: "Remember that the deadline is in March",
    28: "I like long exposures.",
    # From here on, things are corrected.
    32: "I live in Bergen now.",
    33: "I live in Bergen.",
    37: "I don't like fog any more.",
    38: "I don't like fog.",
    44: "My favourite colour is ochre.",
    50: "I am working on a storm at sea.",
    57: "Call me Countess.",
    63: "I like crowded scenes.",
    70: "My favourite painter is Hokusai.",
    78: "I live in Tromsø.",
    86: "I like fog.",
}
_QUESTIONS: Final = {
    9: "What is my favourite colour?",
    13: "Who keeps the lighthouse? What do you remember?",
    21: "Where do I live?",
    26: "What do you remember of me?",
    34: "Where do I live?",
    40: "Do I like fog?",
    46: "What is my favourite colour?",
    52: "What do you remember about my picture?",
    59: "Who am I?",
    65: "Do I like crowded scenes?",
    72: "Do you remember my favourite painter?",
    80: "Where do I live?",
    88: "Do I like fog?",
    92: "When is the deadline? What do you remember?",
    97: "What is my favourite colour?",
    100: "What do you remember of me?",
}
_WORK: Final = (
    "How should I choose the lighting?",
    "The composition feels too heavy on the left.",
    "Should the horizon be higher?",
    "I tried a colder palette, and the sea looks flat.",
    "How do I draw waves that do not look like wool?",
    "The lamp is too bright against the sky.",
    "Give me a prompt for the next illustration.",
    "What if the tower were further away?",
    "The rocks need more texture.",
    "I am not sure about the birds.",
)
LINES: Final = 100


def lines() -> Iterator[str]:
    """Give what the person says, line by line."""
    work = 0
    for number in range(1, LINES + 1):
        if (line := _FACTS.get(number) or _QUESTIONS.get(number)) is not None:
            yield line
        else:
            yield _WORK[work % len(_WORK)]
            work += 1


async def write_transcript(
    web: aiohttp.ClientSession, headers: dict[str, str], *, luminor: str = "lumina"
) -> str:
    """Hold the conversation; gives it as text, with what was remembered and what was corrected."""
    async with web.get(f"/v1/luminors/{luminor}") as answer:
        shown = await _read(answer)
    luminor_id, name = shown["luminor_id"], shown["name"]
    body = {"luminor_id": luminor_id, "session_id": str(uuid4())}
    async with web.post("/v1/conversations", json=body, headers=headers) as answer:
        place = (await _read(answer))["conversation_id"]
    parts: list[str] = []
    known: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines(), 1):
        said = await _say(web, headers, place, line)
        parts.append(f"{number:>3} Ada: {line}\n    {name}: {said}")
        memories = await _memories(web, headers, luminor_id)
        for note in _changes(known, memories):
            parts[-1] += f"\n      * {note}"
        known = memories
    async with web.get(f"/v1/conversations/{place}", headers=headers) as answer:
        count = (await _read(answer))["message_count"]
    used = sum(each["superseded_at"] is None for each in known.values())
    parts.append(f"{count} messages; {used} memories in use, {len(known) - used} superseded.")
    return "\n".join(parts)


async def _say(web: aiohttp.ClientSession, headers: dict[str, str], place: str, text: str) -> str:
    body = {"text": text, "request_id": str(uuid4())}
    while True:
        path = f"/v1/conversations/{place}/messages"
        async with web.post(path, json=body, headers=headers) as answer:
            if answer.status == 429 and (await answer.json())["code"] == "rate_limited":
                await asyncio.sleep(2)
                continue
            if answer.status != 200:
                await _read(answer)
            event = ""
            async for raw in answer.content:
                kind, _, value = raw.decode().rstrip("\n").partition(": ")
                if kind == "event":
                    event = value
                elif kind == "data" and event == "message":
                    return str(json.loads(value)["content"])
        raise RuntimeError("an answer broke off")


async def _memories(
    web: aiohttp.ClientSession, headers: dict[str, str], luminor_id: str
) -> dict[str, dict[str, Any]]:
    query = {"superseded": "true", "limit": "100"}
    path = f"/v1/luminors/{luminor_id}/memories"
    async with web.get(path, params=query, headers=headers) as answer:
        listed = (await _read(answer))["memories"]
    return {each["memory_id"]: each for each in reversed(listed)}


def _changes(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> Iterator[str]:
    for memory_id, memory in after.items():
        if memory_id not in before:
            old = [each for each in after.values() if each["superseded_by"] == memory_id]
            instead = f" (instead of “{old[0]['content']}”)" if old else ""
            yield f"remembers “{memory['content']}”{instead}"


async def _read(answer: aiohttp.ClientResponse) -> Any:
    body = await answer.json()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {body}")
    return body


async def _run(url: str) -> str:
    async with aiohttp.ClientSession(url) as web:
        async with web.post("/v1/auth/guest", json={"display_name": "Ada"}) as answer:
            token = (await _read(answer))["access_token"]
        return await write_transcript(web, {"Authorization": f"Bearer {token}"})


def main() -> None:
    """Print the conversation with the server at an address."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of a running server, such as http://127.0.0.1:8080")
    sys.stdout.write(asyncio.run(_run(parser.parse_args().url)) + "\n")


if __name__ == "__main__":
    main()
