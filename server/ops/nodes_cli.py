"""`playhall nodes`: which nodes serve this database, and how busy they are."""

import asyncio
import sys

import orjson
import typer
from rich.console import Console
from rich.table import Table

from persistence.database import Database
from persistence.games.store import GameStore, NodeRow
from server.ops.shell import DataDir, Shell


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the command to a command line."""

    def nodes(
        as_json: bool = typer.Option(False, "--json", help="Write JSON, one object per node."),
        data_dir: DataDir = None,
    ) -> None:
        """List the nodes of this database: what each is doing, and how busy it is."""
        config = shell.read_config(data_dir=data_dir)
        with shell.said_plainly(), shell.database_url(config) as dsn:
            rows = asyncio.run(_read(dsn, allow_unsafe=config.unsafe_database))
        if as_json:
            for row in rows:
                sys.stdout.write(orjson.dumps(_describe(row)).decode() + "\n")
            return
        _print(rows)

    app.command()(nodes)


async def _read(dsn: str, *, allow_unsafe: bool) -> list[NodeRow]:
    database = await Database.open(dsn, pool_max=2, allow_unsafe=allow_unsafe)
    try:
        return await GameStore(database, node="").list_nodes()
    finally:
        await database.close()


def _state(row: NodeRow) -> str:
    """Say what a node is doing; one that died keeps its row, and others have its games."""
    if row.lease_s <= 0:
        return "gone"
    return "draining" if row.is_draining else "serving"


def _describe(row: NodeRow) -> dict[str, object]:
    return {
        "node": row.node,
        "state": _state(row),
        "load": row.load,
        "games": row.games,
        "connections": row.connections,
        "address": row.address,
        "version": row.version,
        "started_at": row.started_at,
        "lease_s": round(row.lease_s, 1),
    }


def _print(rows: list[NodeRow]) -> None:
    out = Console(highlight=False)
    if not rows:
        out.print("No node has served this database yet.")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("node", "state", "load", "games", "connections", "address", "version"):
        table.add_column(title, justify="right" if title in NUMBERS else "left", no_wrap=True)
    for row in rows:
        said = _describe(row)
        said["load"] = f"{row.load:.0%}"
        table.add_row(*(str(said[str(column.header)]) for column in table.columns))
    out.print(table)


NUMBERS = ("load", "games", "connections")
