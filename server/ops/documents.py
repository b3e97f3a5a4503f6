"""The generated documents, as files."""

import asyncio
from pathlib import Path
from typing import Final

import orjson

from persistence.database import Database
from persistence.retention import matrix
from persistence.rls import RlsDatabase
from protocol.asyncapi import asyncapi_document
from server.app import App
from server.config import Config
from server.core.clock import Clock
from server.core.tasks import Tasks
from server.domains.services import Services
from server.gateway.http.openapi import openapi_document
from server.version import VERSION

PRIVACY_PAGE: Final = Path("operations/privacy.md")
_BEGIN: Final = "<!-- Written by `playhall spec` from persistence/retention.py. -->\n"
_END: Final = "<!-- End of what is written. -->"


def write_documents(folder: Path) -> list[Path]:
    """Write the OpenAPI and AsyncAPI documents, and the table of retention into its page.

    The same code always writes the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    documents = {
        "openapi.json": asyncio.run(_openapi()),
        "asyncapi.json": asyncapi_document(version=VERSION),
    }
    for name, document in documents.items():
        (folder / name).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    written = [folder / name for name in documents]
    if (page := folder / PRIVACY_PAGE).exists():
        page.write_text(with_retention(page.read_text("utf-8")), "utf-8")
        written.append(page)
    return written


def with_retention(page: str) -> str:
    """Put the table of retention between its marks in a page."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{PRIVACY_PAGE} has lost the marks of the table of retention")
    return "".join([before, begin, "\n", *(f"{row}\n" for row in matrix()), "\n", end, after])


async def _openapi() -> dict[str, object]:
    """Wire a server that is never opened, and ask it for its addresses."""
    async with Tasks() as tasks:
        base = Services(
            Config(),
            Database.unopened(),
            RlsDatabase(Database.unopened()),
            "node",
            Clock(),
            tasks,
            {},
        )
        return dict(openapi_document(App(base).endpoints(), version=VERSION))
