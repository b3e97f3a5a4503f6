"""What production.yaml does to a new PostgreSQL, with its own commands, on a real one."""

import asyncio
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from persistence.cluster import postgres_program
from persistence.embedded import EmbeddedPostgres
from tests.fixtures.node import Node
from tests.fixtures.shell import playhall
from tests.integration.deploy.test_manifests import DEPLOY, PRODUCTION

PASSWORDS = {"PLAYHALL_OWNER_PASSWORD": "it's", "PLAYHALL_NODE_PASSWORD": "another"}


@pytest.mark.long("a database of its own")
async def test_the_database_of_the_compose_file_is_made_migrated_granted_and_served(
    data_dir: Path, tmp_path: Path
) -> None:
    server = EmbeddedPostgres()
    dsn = await asyncio.to_thread(server.start, data_dir)
    host = parse_qs(urlsplit(dsn).query)["host"][0]
    programs = Path(postgres_program("psql")).parent
    environment = {
        **os.environ,
        **PASSWORDS,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PGHOST": host,
        "PGUSER": "postgres",
        "PGDATABASE": "postgres",
    }

    def url_of(login: str) -> str:
        return f"postgresql://{login}@/playhall?host={host}"

    def run(*command: str) -> None:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    try:
        await asyncio.to_thread(run, "sh", str(DEPLOY / "production-init.sh"))
        migrated = await asyncio.to_thread(
            playhall,
            "migrate",
            environment={
                "PLAYHALL_DATABASE_URL": url_of("playhall_owner"),
                "PLAYHALL_DATA_DIR": str(tmp_path),
            },
        )
        assert migrated.status == 0, migrated.said
        program, address, *rest = PRODUCTION["services"]["grant"]["command"]
        assert re.fullmatch(r"postgresql://postgres:\$\{\w+:\?\}@postgres/playhall", address)
        await asyncio.to_thread(run, program, url_of("postgres"), *rest)

        node = Node(tmp_path / "node", url_of("playhall_node"))
        with node:
            async with (
                aiohttp.ClientSession(node.url) as web,
                web.get("/readyz") as ready,
                web.post("/v1/auth/guest", json={}) as guest,
            ):
                assert (ready.status, guest.status) == (200, 200)
    finally:
        await asyncio.to_thread(server.stop)
