"""The Python client of Playhall: what to write bots with. See `docs/guides/clients.md`.

    async with connect("http://localhost:8080", name="Ten Lines") as client:
        game = await client.quick_play("four_in_a_row")
        async for event in game:
            moves = (await game.view())["legal_moves"]
            if moves:
                await game.act(random.choice(moves))

The names below are the public interface. The modules behind them are for programs that manage
their own connections, such as the load tester:

- `client`: an account, the games that it plays, and their events;
- `content`: content packages, kept up to date in a folder;
- `connection`: a websocket that reconnects, resumes and repeats;
- `game`: the state of one followed game, without any I/O;
- `transport`, `http`, `account`: one websocket, HTTP requests, and tokens;
- `saves`: save slots that are written offline and sent later;
- `errors`: everything that is raised.
"""

from playhall.client import Client, Event, Game, connect
from playhall.content import ContentFolder, InstalledPackage
from playhall.errors import (
    ClientError,
    ConnectionLost,
    DataDamaged,
    EventOutOfOrder,
    Json,
    RequestRefused,
    ServerUnreachable,
)
from playhall.saves import OfflineSaves

__all__ = [
    "Client",
    "ClientError",
    "ConnectionLost",
    "ContentFolder",
    "DataDamaged",
    "Event",
    "EventOutOfOrder",
    "Game",
    "InstalledPackage",
    "Json",
    "OfflineSaves",
    "RequestRefused",
    "ServerUnreachable",
    "connect",
]
