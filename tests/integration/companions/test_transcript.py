"""The conversation in the guide is what the offline provider answers."""

import re
from pathlib import Path

from tests.integration.companions.conftest import Companions
from tests.integration.social.world import ADA

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
