"""The conversations in the guides are what companions answer.

With `PLAYHALL_WRITE_TRANSCRIPT=1` the long one is written anew.
"""

import os
import re
from pathlib import Path
from uuid import uuid4

from loadtest.companion_transcript import LINES, write_transcript
from tests.fixtures.ai import AiServer
from tests.fixtures.http import bearer
from tests.integration.companions.conftest import Companions, served_companions
from tests.integration.social.world import ADA, World

LONG = Path(__file__).parents[3] / "docs" / "guides" / "companion-transcript.md"
GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "companions.md"


async def test_the_conversation_in_the_guide_can_be_had(offline: Companions) -> None:
    transcript = re.search(r"```text\n(Ada: .+?)```", GUIDE.read_text(), re.S)
    assert transcript is not None
    lines = transcript[1].strip().split("\n\n")
    assert len(lines) >= 8
    place = await offline.start(ADA)
    for asked, answered in zip(lines[::2], lines[1::2], strict=True):
        heard = await offline.say(ADA, place, asked.removeprefix("Ada: ").replace("\n", " "))
        assert f"Lumina: {heard.text}" == answered.replace("\n", " ")


async def transcript_of(companions: Companions, world: World) -> str:
    person = uuid4()
    await world.add_person(person, f"p{person.hex[:12]}")
    return await write_transcript(companions.web, bearer(str(person)))


def compare_with_page(title: str, transcript: str) -> None:
    page = LONG.read_text()
    pattern = rf"(## {re.escape(title)}\n.*?```text\n)(.*?)(\n```)"
    if os.environ.get("PLAYHALL_WRITE_TRANSCRIPT"):
        page = re.sub(pattern, lambda found: found[1] + transcript + found[3], page, flags=re.S)
        LONG.write_text(page)
    written = re.search(pattern, page, re.S)
    assert written is not None
    assert transcript == written[2]


def answers_of(transcript: str) -> dict[int, str]:
    found = re.findall(r"^ *(\d+) Ada: .+\n    Lumina: (.+)$", transcript, re.M)
    return {int(number): answer for number, answer in found}


async def test_a_conversation_of_200_messages_recalls_and_corrects(world: World) -> None:
    async with served_companions(world.dsn, companions_messages_explorer=LINES) as companions:
        transcript = await transcript_of(companions, world)
    compare_with_page("With the offline provider", transcript)
    answers = answers_of(transcript)
    assert "200 messages" in transcript
    for number, right, wrong in (
        (21, "live in Oslo", "Bergen"),
        (34, "live in Bergen", "Oslo"),
        (80, "live in Tromsø", "Bergen"),
        (9, "colour is teal", "ochre"),
        (97, "colour is ochre", "teal"),
        (40, "do not like fog", "you like fog"),
        (88, "you like fog", "do not like fog"),
        (59, "name is Countess", "Ada"),
        (72, "painter is Hokusai", "Turner"),
        (13, "keeper is called Old Tom", "Bergen"),
        (92, "deadline is in March", "Oslo"),
    ):
        assert right in answers[number], number
        assert wrong not in answers[number], number
    assert "remembers “They live in Tromsø” (instead of “They live in Bergen”)" in transcript


async def test_a_model_is_given_what_is_true_by_then(world: World, ai: AiServer) -> None:
    ai.recites = True
    async with served_companions(
        world.dsn, ai_url=ai.url, ai_context_tokens=2048, companions_messages_explorer=LINES
    ) as companions:
        transcript = await transcript_of(companions, world)
    compare_with_page("With a model", transcript)
    answers = answers_of(transcript)
    for number, first, wrong in (
        (34, "They live in Bergen", "Oslo"),
        (80, "They live in Tromsø", "Bergen"),
        (97, "Their favourite colour is ochre", "teal"),
        (92, "They said: the deadline is in March", "Oslo"),
    ):
        assert first in answers[number], number
        assert wrong not in answers[number], number
    assert all(len(str(each["messages"])) / 4 < 3000 for each in ai.requests)
