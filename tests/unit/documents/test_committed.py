"""The documents in `docs/` are what the code writes."""

from pathlib import Path

import orjson

from server.gateway.http.openapi import TAGS
from server.ops.documents import PRIVACY_PAGE, with_retention, write_documents

DOCS = Path(__file__).parents[3] / "docs"


def test_committed_documents_are_current(tmp_path: Path) -> None:
    for path in write_documents(tmp_path):
        assert (DOCS / path.name).read_bytes() == path.read_bytes(), "run: playhall spec"


def test_every_group_of_addresses_is_described() -> None:
    document = orjson.loads((DOCS / "openapi.json").read_bytes())
    used = {
        tag
        for path in document["paths"].values()
        for operation in path.values()
        for tag in operation["tags"]
    }
    listed = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert set(listed) == used == set(TAGS)


def test_committed_table_of_retention_is_current() -> None:
    page = (DOCS / PRIVACY_PAGE).read_text()
    assert with_retention(page) == page, "run: playhall spec"
