"""A package is not released while stored saves would not load under it."""

import pytest

from server.domains.interfaces import SaveClass, SaveCompatibility
from server.domains.services import NotProvided
from tests.integration.packages.conftest import Studio, prose

CONTENT = prose(21, 500)


class Saves:
    """Says which saves there are: 40 of schema version 2."""

    async def not_loading(self, title: str, *, oldest: int, newest: int) -> list[SaveClass]:
        if title != "story" or oldest <= 2 <= newest:
            return []
        return [SaveClass(2, 40, "there is no upgrade to version 3.")]


@pytest.fixture
def studio_with_saves(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Studio:
    interfaces = studio.node.app.services.interfaces
    with pytest.raises(NotProvided):
        interfaces.get(SaveCompatibility)
    monkeypatch.setitem(interfaces._provided, SaveCompatibility, Saves())
    return studio


async def test_release_that_would_break_saves_is_refused_with_which(
    studio_with_saves: Studio,
) -> None:
    studio = studio_with_saves
    saves = {"title": "story", "oldest": 3, "newest": 5}
    draft = await studio.draft(CONTENT, saves=saves)
    path = f"/v1/content/packages/{draft['package_id']}/release"
    status, error = await studio.node.ask(studio.editor, "POST", path)
    assert (status, error["code"], error["field"]) == (409, "saves_would_break", "saves")
    assert "40 of them of schema version 2: there is no upgrade" in error["message"]
    path = f"/v1/content/packages/{draft['package_id']}"
    assert (await studio.node.ok(studio.editor, "GET", path))["status"] == "draft"


@pytest.mark.parametrize(
    "saves",
    [
        None,
        {"title": "story", "oldest": 1, "newest": 5},
        {"title": "other", "oldest": 3, "newest": 5},
    ],
)
async def test_release_under_which_saves_load_is_made(
    studio_with_saves: Studio, saves: object
) -> None:
    released = await studio_with_saves.release(CONTENT, saves=saves)
    assert (released["status"], released["saves"]) == ("released", saves)
