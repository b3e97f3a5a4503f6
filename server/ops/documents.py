"""The generated documents, as files."""

import asyncio
from pathlib import Path

import orjson

from persistence.database import Database
from persistence.rls import RlsDatabase
from protocol.asyncapi import asyncapi_document
from server.app import VERSION, App
from server.config import Config
from server.core.clock import Clock
from server.core.tasks import Tasks
from server.domains.services import Services
from server.gateway.http.openapi import openapi_document


def write_documents(folder: Path) -> list[Path]:
    """Write the OpenAPI and AsyncAPI documents; the same code always writes the same."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = {
        "openapi.json": asyncio.run(_openapi()),
        "asyncapi.json": asyncapi_document(version=VERSION),
    }
    for name, document in documents.items():
        (folder / name).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    return [folder / name for name in documents]


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
