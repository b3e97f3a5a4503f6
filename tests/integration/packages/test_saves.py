"""A package is not released while stored saves would not load under it."""

import pytest

from protocol.ids import new_id
from tests.integration.packages.conftest import Json, Studio, prose

CONTENT = prose(21, 500)


class Title:
    """A title's schemas and saves."""

    def __init__(self, studio: Studio) -> None:
        self.name = new_id()
        self._studio = studio
        self._node = studio.node

    async def schema(self, version: int, field: str, *upgrade: Json) -> None:
        """Publish a version whose states have one field, a number."""
        body = {
            "json_schema": {
                "properties": {field: {"type": "integer"}},
                "required": [field],
                "additionalProperties": False,
            },
            "upgrade": upgrade,
        }
        path = f"/v1/admin/save-schemas/{self.name}/{version}"
        await self._node.ok(self._studio.editor, "PUT", path, body)

    async def save(self, version: int, **state: object) -> None:
        body = {"title": self.name, "schema_version": version, "state": state}
        status, answer = await self._node.ask(await self._node.person(), "POST", "/v1/saves", body)
        assert status in (200, 201), answer

    async def released(self, oldest: int, newest: int) -> Json:
        """Try to release a package that understands some versions; gives the answer."""
        saves = {"title": self.name, "oldest": oldest, "newest": newest}
        draft = await self._studio.draft(CONTENT, saves=saves)
        path = f"/v1/content/packages/{draft['package_id']}/release"
        _, answer = await self._node.ask(self._studio.editor, "POST", path)
        return answer


@pytest.fixture
async def title(studio: Studio) -> Title:
    """Three saves of version 1, one of which lacks what the step to version 2 moves."""
    title = Title(studio)
    await title.schema(1, "chapter")
    for _ in range(2):
        await title.save(1, chapter=3)
    return title


async def test_saves_that_upgrade_steps_bring_along_load(title: Title) -> None:
    await title.schema(2, "part", {"op": "move", "from": "/chapter", "path": "/part"})
    assert (await title.released(1, 1))["status"] == "released"
    assert (await title.released(2, 2))["status"] == "released"
    await title.save(2, part=4)
    assert (await title.released(1, 2))["status"] == "released"
    # Content of before the new saves were written would not understand them.
    refused = await title.released(1, 1)
    assert (refused["code"], refused["field"]) == ("saves_would_break", "saves")
    assert "1 stored saves" in refused["message"]
    assert "schema version 2: version 1 is the newest that is understood" in refused["message"]


@pytest.mark.parametrize(
    ("upgrade", "said"),
    [
        ({"op": "move", "from": "/missing", "path": "/part"}, "step to schema version 2 failed"),
        ({"op": "add", "path": "/part", "value": "one"}, "state/part"),
    ],
)
async def test_step_that_does_not_work_is_found(title: Title, upgrade: Json, said: str) -> None:
    await title.schema(2, "part", upgrade)
    refused = await title.released(2, 2)
    assert refused["code"] == "saves_would_break"
    assert "2 stored saves would not load, 2 of them of schema version 1" in refused["message"]
    assert said in refused["message"]


async def test_saves_without_a_way_to_the_versions_that_load_are_found(title: Title) -> None:
    refused = await title.released(2, 9)
    assert "there is no save schema of version 2" in refused["message"]


async def test_title_without_saves_breaks_none(studio: Studio) -> None:
    assert (await Title(studio).released(7, 9))["status"] == "released"
